// Gradient norm, AdamW, cast.
#include <numeric>

#include "reference.h"

namespace {

void norms() {
  for (int64_t n : {0, 1, 31, 32, 33, 97, 768, 1025, 1000003}) {
    const Floats gradient = random_floats(n, 101, 100.0f);
    double squares = 0;
    for (float g : gradient) squares += (double)g * g;
    for (float max_norm : {0.0f, 1.0f, 1e9f}) {
      const double scale = 1024, norm = std::sqrt(squares) / scale;
      const double clip = max_norm > 0 ? std::fmin(1.0, max_norm / (norm + 1e-6)) : 1;
      check_case("gradient_norm " + std::to_string(n), [&](wb_context* ctx) -> Outputs {
        Buffer<float> stats(3), workspace_holder(2 * WB_REDUCE_BLOCKS + 1);
        float* workspace = workspace_holder + 1; // 8-byte aligned, as the op asks
        Input<float> g(gradient), s(Floats{1024});
        OK(ctx->ops->gradient_norm(ctx, stats, workspace, g, nullptr, s, max_norm, n, 0, 1));
        return {stats.values()};
      }, {{norm, clip / scale, 1}}, 1e-7);
    }
  }
  for (float strange : {NAN, INFINITY, -INFINITY}) {
    for (int64_t at : {0, 96, 40000}) {
      Floats x = random_floats(40001, 102);
      x[at] = strange;
      for (const NamedContext& c : contexts()) {
        current = "gradient_norm of " + std::to_string(strange) + " on " + c.isa;
        Buffer<float> stats(3), workspace(2 * WB_REDUCE_BLOCKS + 1);
        Input<float> g(x);
        OK(c.ctx->ops->gradient_norm(c.ctx, stats, workspace + 1, g, nullptr, nullptr, 1, 40001, 0, 1));
        CHECK(stats[2] == 0, "finite");
      }
    }
  }
  // The largest finite gradient is finite, though its square is not a float.
  current = "gradient_norm of large values";
  wb_context* ctx = contexts().back().ctx;
  Buffer<float> stats(3), workspace(2 * WB_REDUCE_BLOCKS + 1);
  Input<float> g(Floats(100, 3e37f));
  OK(ctx->ops->gradient_norm(ctx, stats, workspace + 1, g, nullptr, nullptr, 1, 100, 0, 1));
  CHECK(stats[2] == 1 && std::fabs(stats[0] / 3e38f - 1) < 1e-6, "norm %g, %g", stats[0], stats[2]);
}

Floats narrow(const Floats& x) { // bfloat16's values, in float32's low half
  Floats y = x;
  for (float& value : y) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&value, &bits, sizeof bits);
  }
  return y;
}
std::vector<uint16_t> upper_halves(const Floats& x) {
  std::vector<uint16_t> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) memcpy(&y[i], (const char*)&x[i] + 2, 2);
  return y;
}
Floats widen_halves(const std::vector<uint16_t>& x) {
  Floats y(x.size());
  for (size_t i = 0; i < x.size(); ++i) memcpy((char*)&y[i] + 2, &x[i], 2);
  return y;
}

void adamw_case(int64_t n, bool copy, wb_dtype moment) {
  const std::vector<int64_t> ends = {n / 3, n / 3, n / 2, n};
  const Floats decay = {0.01f, 0.0f, 0.0f, 0.5f}, lr_scale = {1.0f, 1.0f, 0.0f, 0.5f}; // the third is frozen
  const Floats p = random_floats(n, 111), g = random_floats(n, 113);
  Floats m = random_floats(n, 112, 0.1f), v = random_floats(n, 114, 0.1f);
  for (float& x : v) x *= x;
  const bool narrowed = moment == WB_BF16;
  if (narrowed) m = narrow(m), v = narrow(v);
  const double lr = 1e-2f, c1 = 0.19f, c2 = 0.002f, b1 = 0.9f, b2 = 0.999f, eps = 1e-8f, factor = 0.5;
  Doubles p1 = widen(p), m1 = widen(m), v1 = widen(v), kept = widen(p);
  for (int64_t i = 0; i < n; ++i) {
    int k = 0;
    while (ends[k] <= i) ++k;
    if (lr_scale[k] == 0) {
      kept[i] = -7;
      continue;
    }
    const double rate = lr * lr_scale[k], gradient = g[i] * factor;
    p1[i] -= rate * decay[k] * p1[i];
    m1[i] = b1 * m1[i] + (1 - b1) * gradient;
    v1[i] = b2 * v1[i] + (1 - b2) * gradient * gradient;
    p1[i] -= rate * (m1[i] / c1) / (std::sqrt(v1[i] / c2) + eps);
    kept[i] = p1[i];
  }
  for (bool finite : {true, false}) {
    check_case("adamw " + std::to_string(n) + (finite ? "" : " skipped"), [&](wb_context* ctx) -> Outputs {
      Buffer<float> pa(p), ma(m), va(v), parameter_copy(Floats(n, -7.0f));
      Buffer<uint16_t> mh(upper_halves(m)), vh(upper_halves(v));
      void* const moments[] = {narrowed ? (void*)mh.data() : ma.data(), narrowed ? (void*)vh.data() : va.data()};
      Floats poisoned = g; // of a frozen segment nothing is read
      for (int64_t i = ends[1]; i < ends[2]; ++i) poisoned[i] = NAN;
      Input<float> gradient(poisoned), stats(Floats{1, 0.5f, finite ? 1.0f : 0.0f}), hyper(Floats{1e-2f, 0.19f, 0.002f});
      Input<float> d(decay), scale(lr_scale);
      Input<int64_t> e(ends);
      Input<int64_t> rng(std::vector<int64_t>{42, 7, 0});
      OK(ctx->ops->adamw(ctx, WB_F32, moment, pa, moments[0], moments[1], copy ? parameter_copy.data() : nullptr, gradient, nullptr,
                         stats, hyper, rng, e, d, scale, 0.9f, 0.999f, 1e-8f, n, 4, 0, 1));
      return {pa.values(), narrowed ? widen_halves(mh.values()) : ma.values(), narrowed ? widen_halves(vh.values()) : va.values(),
              parameter_copy.values()};
    }, finite ? Reference{p1, m1, v1, copy ? kept : Doubles(n, -7.0)}
              : Reference{widen(p), widen(m), widen(v), Doubles(n, -7.0)}, narrowed ? 0x1p-7 : 1e-6); // rounded by chance, an element is off by up to 2^-7
  }
}

// A table of R rows in front of n elements, some of them not touched: of those only the parameter is read and written, and
// all results have the bits of a gradient and moments that are 0 there.
void touched_rows_case(int64_t R, int64_t width, int64_t n, float decay) {
  std::vector<uint8_t> rows(R);
  for (int64_t r = 0; r < R; ++r) rows[r] = r * 7 % 5 < 2 || r % 11 > 8;
  const auto idle = [&](int64_t i) { return i < R * width && !rows[i / width]; };
  const auto with = [&](Floats x, float of_idle) {
    for (int64_t i = 0; i < n; ++i) if (idle(i)) x[i] = of_idle;
    return x;
  };
  const Floats p = random_floats(n, 131), g = random_floats(n, 132), m = narrow(random_floats(n, 133, 0.1f));
  Floats v = narrow(random_floats(n, 134, 0.1f));
  for (float& x : v) x = std::fabs(x);
  const std::vector<int64_t> ends = {n / 3, n / 2, n};
  const Floats decays = {decay, 0.0f, decay}, scales = {1.0f, 2.0f, 0.5f};
  for (const NamedContext& c : contexts()) {
    current = "rows not touched, " + std::to_string(R) + "x" + std::to_string(width) + " of " + std::to_string(n) + " on " + c.isa;
    Input<uint8_t> touched(rows);
    Input<int64_t> e(ends), rng(std::vector<int64_t>{42, 7, 0});
    Input<float> hyper(Floats{1e-2f, 0.19f, 0.002f}), d(decays), scale(scales);
    Input<float> zeros(with(g, 0.0f)), poisoned(with(g, NAN));
    Buffer<float> dense_stats(3), stats(3), workspace(2 * WB_REDUCE_BLOCKS + 1);
    OK(c.ctx->ops->gradient_norm(c.ctx, dense_stats, workspace + 1, zeros, nullptr, nullptr, 1, n, 0, 1));
    OK(c.ctx->ops->gradient_norm(c.ctx, stats, workspace + 1, poisoned, touched, nullptr, 1, n, R, width));
    CHECK(stats.values() == dense_stats.values(), "norm %.9g, of zeros %.9g", stats[0], dense_stats[0]);
    Buffer<float> gradient(with(g, NAN));
    OK(c.ctx->ops->zero_rows(c.ctx, gradient, touched, R, width));
    for (int64_t i = 0; i < R * width; ++i) CHECK(idle(i) ? std::isnan(gradient[i]) : gradient[i] == 0, "[%lld] is %g", (long long)i, gradient[i]);
    for (wb_dtype moment : {WB_F32, WB_BF16}) {
      const auto step = [&](float of_idle, float* parameter, void* first, void* second, float* copy) {
        OK(c.ctx->ops->adamw(c.ctx, WB_F32, moment, parameter, first, second, copy, of_idle == 0 ? zeros : poisoned,
                             of_idle == 0 ? nullptr : touched.data(), dense_stats, hyper, rng, e, d, scale, 0.9f, 0.999f, 1e-8f, n, 3, R, width));
      };
      const auto run = [&](float of_idle) -> Outputs {
        Buffer<float> parameter(p), copy(p);
        if (moment == WB_BF16) {
          Buffer<uint16_t> first(upper_halves(with(m, of_idle))), second(upper_halves(with(v, of_idle)));
          step(of_idle, parameter, first, second, copy);
          return {parameter.values(), copy.values(), widen_halves(first.values()), widen_halves(second.values())};
        }
        Buffer<float> first(with(m, of_idle)), second(with(v, of_idle));
        step(of_idle, parameter, first, second, copy);
        return {parameter.values(), copy.values(), first.values(), second.values()};
      };
      const Outputs dense = run(0), sparse = run(NAN);
      for (int k = 0; k < 4; ++k) {
        for (int64_t i = 0; i < n; ++i) {
          const bool kept = k > 1 && idle(i);
          CHECK(kept ? std::isnan(sparse[k][i]) && dense[k][i] == 0 : sparse[k][i] == dense[k][i], "output %d [%lld]: %.9g, with zeros %.9g", k,
                (long long)i, sparse[k][i], dense[k][i]);
        }
      }
    }
  }
}

// Every float16 and bfloat16 there is, and the floats halfway between them.
void casts() {
  for (const NamedContext& c : contexts()) {
    if (c.threads == 1) continue;
    for (wb_dtype type : {WB_F16, WB_BF16}) {
      current = std::string("cast ") + (type == WB_F16 ? "float16" : "bfloat16") + " on " + c.isa;
      std::vector<uint16_t> all(65536);
      std::iota(all.begin(), all.end(), 0);
      Input<uint16_t> half(all);
      Buffer<float> wide(65536);
      Buffer<uint16_t> back(65536);
      OK(c.ctx->ops->cast(c.ctx, wide, WB_F32, half, type, 65536));
      OK(c.ctx->ops->cast(c.ctx, back, type, wide, WB_F32, 65536));
      const int mantissa = type == WB_F16 ? 10 : 7, bias = type == WB_F16 ? 15 : 127;
      const int top = type == WB_F16 ? 31 : 255;
      for (int h = 0; h < 65536; ++h) {
        const int exponent = (h & 0x7fff) >> mantissa, fraction = h & ((1 << mantissa) - 1);
        const double sign = h & 0x8000 ? -1 : 1;
        const double value = exponent == top ? (fraction ? NAN : sign * INFINITY)
            : exponent == 0 ? sign * std::ldexp(fraction, 1 - bias - mantissa)
                            : sign * std::ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
        if (std::isnan(value)) {
          CHECK(std::isnan(wide[h]) && (back[h] & 0x7fff) > (top << mantissa), "NaN %04x: %g, %04x", h, wide[h], back[h]);
          continue;
        }
        CHECK(wide[h] == (float)value && std::signbit(wide[h]) == (h >> 15), "%04x: %g for %g", h, wide[h], value);
        CHECK(back[h] == h, "%04x came back as %04x", h, back[h]);
      }
      // Halfway goes to the even one, a bit above and below to the neighbours; beyond the largest is infinity.
      std::vector<float> between;
      for (int h = 0; h < (top << mantissa); ++h) {
        const double next = h + 1 < (top << mantissa) ? wide[h + 1] : std::ldexp(1.0, bias + 1);
        const float middle = (float)(0.5 * wide[h] + 0.5 * next);
        between.insert(between.end(), {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)});
      }
      const int64_t n = (int64_t)between.size();
      Input<float> x(between);
      Buffer<uint16_t> y(n);
      OK(c.ctx->ops->cast(c.ctx, y, type, x, WB_F32, n));
      for (int64_t i = 0; i < n; ++i) {
        const int h = (int)(i / 3), expected = i % 3 == 0 ? h + (h & 1) : i % 3 == 1 ? h : h + 1;
        CHECK(y[i] == expected, "%.9g became %04x for %04x", between[i], y[i], expected);
      }
    }
    current = "cast on " + c.isa;
    const uint32_t patterns[] = {0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000};
    Floats nans(4);
    memcpy(nans.data(), patterns, sizeof patterns);
    Input<float> x(nans);
    Buffer<uint16_t> y(4);
    for (wb_dtype type : {WB_F16, WB_BF16}) {
      OK(c.ctx->ops->cast(c.ctx, y, type, x, WB_F32, 4));
      for (int i = 0; i < 4; ++i) CHECK((y[i] & 0x7fff) > (type == WB_F16 ? 0x7c00 : 0x7f80), "NaN became %04x", y[i]);
    }
    Floats from = random_floats(1025, 121);
    Input<float> same(from);
    Buffer<float> to(1025);
    OK(c.ctx->ops->cast(c.ctx, to, WB_F32, same, WB_F32, 1025));
    CHECK(to.values() == from, "float32 to float32 changed something");
    OK(c.ctx->ops->cast(c.ctx, to, WB_F32, same, WB_F32, 0));
  }
}

}  // namespace

void test_optimizer() {
  norms();
  for (int64_t n : {0, 1, 31, 32, 33, 97, 768, 1025, 100003}) {
    for (wb_dtype moment : {WB_F32, WB_BF16}) adamw_case(n, n % 2 == 0, moment);
  }
  adamw_case(97, true, WB_F32);
  touched_rows_case(1, 1, 1, 0.01f);
  touched_rows_case(7, 3, 40, 0.01f);
  touched_rows_case(33, 31, 1025, 0);
  touched_rows_case(41, 97, 41 * 97, 0.5f);
  touched_rows_case(130, 768, 100003, 0.01f);
  touched_rows_case(900, 36, 40000, 0.01f);
  casts();
}
