// Gradient norm and AdamW; contexts and memory.
#include "simt_harness.h"

static void test_gradient_norm() {
  for (int64_t n : {0, 1, 1000, 300001}) {
    for (bool misaligned : {false, true}) {
      for (float max_norm : {0.0f, 1.0f, 1e9f}) {
        Floats g = random_floats(n, 1, 1024);
        const float scale = 1024;
        double sum = 0;
        for (float v : g) sum += double(v) * v;
        const double norm = std::sqrt(sum) / scale;
        const double clip = max_norm > 0 ? std::fmin(1, max_norm / (norm + 1e-6)) : 1;
        auto run = [&](wb_context* ctx) {
          Tensor tg(ctx, WB_F32, g, misaligned), stats(ctx, WB_F32, 3), workspace(ctx, WB_F32, 2 * WB_REDUCE_BLOCKS);
          Tensor ts(ctx, WB_F32, Floats{scale});
          OK(ops->gradient_norm(ctx, stats.floats(), workspace.floats(), tg.floats(), nullptr, ts.floats(), max_norm, n, 0, 1));
          return Outputs{stats.values()};
        };
        check_schedules("gradient_norm " + std::to_string(n), run, {{norm, clip / scale, 1}}, {1e-6});
        if (n < 1000) continue;
        for (float bad : {INFINITY, NAN}) {
          g[n - 1] = bad;
          for (const ScheduledContext& s : schedules()) {
            current = "gradient_norm, not finite";
            CHECK(run(s.ctx)[0][2] == 0, "said to be finite");
          }
        }
        g[n - 1] = 3e38f;  // its square is beyond float32
        for (const ScheduledContext& s : schedules()) {
          current = "gradient_norm, large";
          const Floats stats = run(s.ctx)[0];
          CHECK(stats[2] == 1 && std::fabs(stats[0] / (3e38 / scale) - 1) < 1e-6, "%g", double(stats[0]));
        }
      }
    }
  }
  current = "gradient_norm without a loss scale";
  wb_context* const ctx = schedules()[0].ctx;
  Tensor g(ctx, WB_F32, Floats{3, 4}), stats(ctx, WB_F32, 3), workspace(ctx, WB_F32, 2 * WB_REDUCE_BLOCKS);
  OK(ops->gradient_norm(ctx, stats.floats(), workspace.floats(), g.floats(), nullptr, nullptr, 0, 2, 0, 1));
  const Floats values = stats.values();
  CHECK(values[0] == 5 && values[1] == 1 && values[2] == 1, "%g %g %g", double(values[0]), double(values[1]), double(values[2]));
}

static void test_adamw() {
  const float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, factor = 0.5f;
  const Floats hyper = {1e-3f, 1 - 0.9f * 0.9f, 1 - 0.999f * 0.999f};
  const std::vector<int64_t> rng = {42, 7, 64};
  for (wb_dtype type : all_types) {
    const wb_dtype moment = type == WB_F16 ? WB_BF16 : WB_F32;  // with one of the copies
    for (int64_t n : {1, 1000, 20003}) {
      std::vector<int64_t> ends = {n};
      if (n > 1) ends = {n / 7, n / 7 + 1, n / 7 + 1, n / 2, n - 1, n};  // odd, of one element, and empty
      Floats decay, lr_scale;
      for (size_t k = 0; k < ends.size(); ++k) {
        decay.push_back(k % 2 ? 0.01f : 0.0f);
        lr_scale.push_back(k == 3 ? 0.0f : 1.0f + 0.1f * float(k));
      }
      const Floats p = random_floats(n, 1), g = random_floats(n, 4);
      Floats m = random_floats(n, 2, 0.1f), v = random_floats(n, 3, 0.1f);
      for (float& x : v) x = x * x;
      m = rounded(moment, m);
      v = rounded(moment, v);
      const Floats poison = Floats(n, 7.0f);
      Doubles rp = widen(p), rm = widen(m), rv = widen(v), rc = widen(poison);
      for (int64_t i = 0, k = 0; i < n; ++i) {
        while (ends[k] <= i) ++k;
        if (lr_scale[k] == 0) continue;
        const double lr = double(hyper[0]) * lr_scale[k], gradient = double(g[i]) * factor;
        rp[i] -= lr * decay[k] * rp[i];
        rm[i] = beta1 * rm[i] + (1 - double(beta1)) * gradient;
        rv[i] = beta2 * rv[i] + (1 - double(beta2)) * gradient * gradient;
        rp[i] -= lr * (rm[i] / hyper[1]) / (std::sqrt(rv[i] / hyper[2]) + eps);
        rc[i] = rp[i];
      }
      for (bool misaligned : {false, true}) {
        for (float finite : {1.0f, 0.0f}) {
          check_schedules(
              std::string("adamw ") + name_of(type) + " " + std::to_string(n),
              [&](wb_context* ctx) {
                Tensor tp(ctx, WB_F32, p, misaligned), tm(ctx, moment, m), tv(ctx, moment, v), tg(ctx, WB_F32, g);
                Tensor copy(ctx, type, poison), stats(ctx, WB_F32, Floats{1, factor, finite}), th(ctx, WB_F32, hyper);
                Tensor td(ctx, WB_F32, decay), tl(ctx, WB_F32, lr_scale);
                Elements<int64_t> te(ctx, ends), tr(ctx, rng);
                OK(ops->adamw(ctx, type, moment, tp.floats(), tm.data(), tv.data(), copy.data(), tg.floats(), nullptr,
                              stats.floats(), th.floats(), tr, te, td.floats(), tl.floats(), beta1, beta2, eps, n, int64_t(ends.size()), 0, 1));
                const Outputs out = {tp.values(), tm.values(), tv.values(), copy.values()};
                OK(ops->adamw(ctx, type, moment, tp.floats(), tm.data(), tv.data(), nullptr, tg.floats(), nullptr,
                              stats.floats(), th.floats(), tr, te, td.floats(), tl.floats(), beta1, beta2, eps, n, int64_t(ends.size()), 0, 1));
                return out;
              },
              finite != 0 ? Reference{rp, rm, rv, rc} : Reference{widen(p), widen(m), widen(v), widen(poison)},
              finite != 0 ? Tolerances{1e-6, moment == WB_BF16 ? 0x1p-7 : 1e-6, moment == WB_BF16 ? 0x1p-7 : 3e-5, tolerance(type)} : Tolerances{0, 0, 0, 0});
        }
      }
    }
  }
}

// Rows that are not touched: only the parameter is read and written, to the bits of a gradient and moments that are 0 there.
static void test_touched_rows() {
  struct Case {
    int64_t R, width, n;
  };
  for (const Case& c : {Case{1, 1, 1}, Case{7, 3, 40}, Case{33, 32, 1060}, Case{41, 97, 41 * 97}, Case{40, 516, 20700}}) {
    std::vector<uint8_t> rows(c.R);
    for (int64_t r = 0; r < c.R; ++r) rows[r] = r * 7 % 5 < 2 || r % 11 > 8;
    auto idle = [&](int64_t i) { return i < c.R * c.width && !rows[i / c.width]; };
    auto with = [&](Floats x, float of_idle) {
      for (int64_t i = 0; i < c.n; ++i) {
        if (idle(i)) x[i] = of_idle;
      }
      return x;
    };
    const Floats p = random_floats(c.n, 1), g = random_floats(c.n, 4), m = rounded(WB_BF16, random_floats(c.n, 2, 0.1f));
    Floats v = rounded(WB_BF16, random_floats(c.n, 3, 0.1f));
    for (float& x : v) x = std::fabs(x);
    const std::vector<int64_t> ends = {c.n / 3, c.n / 2, c.n};
    for (wb_dtype type : all_types) {
      const wb_dtype moment = type == WB_F16 ? WB_BF16 : WB_F32;
      auto run = [&](wb_context* ctx, bool dense, bool misaligned) {
        const float of_idle = dense ? 0 : NAN;
        Tensor tp(ctx, WB_F32, p, misaligned), tm(ctx, moment, with(m, of_idle)), tv(ctx, moment, with(v, of_idle));
        Tensor tg(ctx, WB_F32, with(g, of_idle), misaligned), copy(ctx, type, rounded(type, p)), stats(ctx, WB_F32, 3);
        Tensor workspace(ctx, WB_F32, 2 * WB_REDUCE_BLOCKS), th(ctx, WB_F32, Floats{1e-3f, 0.19f, 0.002f});
        Tensor td(ctx, WB_F32, Floats{0.01f, 0, 0.5f}), tl(ctx, WB_F32, Floats{1, 1, 2});
        Elements<int64_t> te(ctx, ends), tr(ctx, {42, 7, 0});
        Elements<uint8_t> flags(ctx, rows);
        const uint8_t* const touched = dense ? nullptr : static_cast<uint8_t*>(flags);
        OK(ops->gradient_norm(ctx, stats.floats(), workspace.floats(), tg.floats(), touched, nullptr, 1, c.n, c.R, c.width));
        OK(ops->adamw(ctx, type, moment, tp.floats(), tm.data(), tv.data(), copy.data(), tg.floats(), touched, stats.floats(),
                      th.floats(), tr, te, td.floats(), tl.floats(), 0.9f, 0.999f, 1e-8f, c.n, 3, c.R, c.width));
        OK(ops->zero_rows(ctx, tg.floats(), flags, c.R, c.width));
        return Outputs{stats.values(), tp.values(), copy.values(), tm.values(), tv.values(), tg.values()};
      };
      for (const ScheduledContext& s : schedules()) {
        for (bool misaligned : {false, true}) {
          current = "rows not touched, " + std::to_string(c.R) + "x" + std::to_string(c.width) + " " + name_of(type) + " " + s.schedule;
          const Outputs dense = run(s.ctx, true, misaligned), sparse = run(s.ctx, false, misaligned);
          CHECK(sparse[0] == dense[0], "norm %.9g, of zeros %.9g", sparse[0][0], dense[0][0]);
          for (int k = 1; k < 6; ++k) {
            for (int64_t i = 0; i < c.n; ++i) {
              const bool kept = k > 2 && idle(i);
              CHECK(kept ? std::isnan(sparse[k][i]) && dense[k][i] == 0 : sparse[k][i] == dense[k][i],
                    "output %d [%lld]: %.9g, with zeros %.9g", k, (long long)i, sparse[k][i], dense[k][i]);
            }
          }
          for (int64_t i = 0; i < c.R * c.width; ++i) CHECK(idle(i) || sparse[5][i] == 0, "[%lld] is not cleared", (long long)i);
        }
      }
    }
  }
}

void test_optimizer() {
  test_gradient_norm();
  test_adamw();
  test_touched_rows();
}
