// Losses.
#include "simt_harness.h"

static void test_cross_entropy() {
  struct Case {
    int64_t N, C, stride;
    float smoothing;
    bool weights;
  };
  for (wb_dtype type : all_types) {
    for (const Case& c : {Case{9, 2, 2, 0, false}, Case{5, 3, 4, 0.1f, true}, Case{6, 1, 16, 0, false}, Case{4, 1000, 1000, 0, true},
                          Case{3, 1021, 1032, 0.2f, true}, Case{3, 1025, 1025, 0.2f, false}, Case{3, 2045, 2048, 0.1f, true},
                          Case{3, 1030, 1072, 0.1f, true}, Case{2, 30522, 30528, 0, false}}) {
      const int64_t N = c.N, C = c.C, stride = c.stride;
      Floats logits = random_floats(N * C, 1, 4);
      logits[0] += 30;
      std::vector<int32_t> labels = random_ints(N, 2, int32_t(C));
      labels[1] = -100;
      if (N > 4) labels[4] = int32_t(C);
      if (C > 2 && c.smoothing == 0) logits[(labels[0] + 1) % C] = -INFINITY;
      logits = rounded(type, logits);
      Floats weights = random_floats(C, 3);
      for (float& w : weights) w = std::fabs(w);
      const float scale = 0.25f;
      const reference::CrossEntropy r = reference::cross_entropy(widen(logits), labels, c.weights ? widen(weights) : Doubles(),
                                                                 c.smoothing, -100, scale, N, C);
      check_schedules(
          std::string("cross_entropy ") + name_of(type) + " " + std::to_string(N) + "x" + std::to_string(C) + " of " + std::to_string(stride),
          [&](wb_context* ctx) {
            Tensor x(ctx, type, reference::spaced(logits, C, stride, float(NAN))), dx(ctx, type, N * stride), w(ctx, WB_F32, weights);
            Tensor loss(ctx, WB_F32, N), only(ctx, WB_F32, N), again(ctx, WB_F32, N);
            Elements<int32_t> tl(ctx, labels);
            float* const cw = c.weights ? w.floats() : nullptr;
            OK(ops->cross_entropy(ctx, type, loss.floats(), dx.data(), x.data(), tl, cw, c.smoothing, -100, scale, N, C, stride));
            OK(ops->cross_entropy(ctx, type, only.floats(), nullptr, x.data(), tl, cw, c.smoothing, -100, scale, N, C, stride));
            OK(ops->cross_entropy(ctx, type, again.floats(), x.data(), x.data(), tl, cw, c.smoothing, -100, scale, N, C, stride));
            return Outputs{loss.values(), only.values(), dx.values(), x.values()};
          },
          {r.loss, r.loss, reference::spaced(r.dlogits, C, stride, 0.0), reference::spaced(r.dlogits, C, stride, 0.0)}, {4e-6, 4e-6, 2 * tolerance(type), 2 * tolerance(type)}, 2e-6);
    }
  }
}

static void test_elementwise_losses() {
  struct Case {
    int64_t N, C;
    bool weights, misaligned;
  };
  for (wb_dtype type : all_types) {
    for (const Case& c : {Case{1, 1, false, false}, Case{33, 1, true, false}, Case{300, 2, true, false}, Case{5, 97, false, false},
                          Case{4, 768, true, false}, Case{4, 768, false, true}, Case{2, 1040, true, false}}) {
      const int64_t N = c.N, C = c.C;
      const Floats x = rounded(type, random_floats(N * C, 4, 3)), scores = random_floats(N * C, 5), weights = random_floats(C, 6);
      Floats yes(N * C), value = scores;
      for (int64_t i = 0; i < N * C; ++i) yes[i] = i % 5 == 1 ? float(i % 2) : 1 / (1 + std::exp(-scores[i]));
      for (int64_t i = 2; i < N * C; i += 3) yes[i] = value[i] = NAN;  // no label
      if (N * C > 20) {                                                // nor is this one
        yes[12] = -1e-6f;
        yes[15] = 1.000001f;
      }
      const float scale = 0.25f;
      const reference::Loss square = reference::mean_squared_error(widen(x), widen(value), scale);
      const reference::Loss entropy =
          reference::binary_cross_entropy(widen(x), widen(yes), c.weights ? widen(weights) : Doubles(), scale, C);
      const auto run = [&](wb_context* ctx, bool binary) {
        Tensor tx(ctx, type, x, c.misaligned), dx(ctx, type, N * C), t(ctx, WB_F32, binary ? yes : value), w(ctx, WB_F32, weights);
        Tensor loss(ctx, WB_F32, N * C, c.misaligned), only(ctx, WB_F32, N * C), again(ctx, WB_F32, N * C);
        const auto call = [&](Tensor& to, void* d) {
          OK(binary ? ops->binary_cross_entropy(ctx, type, to.floats(), d, tx.data(), t.floats(),
                                                c.weights ? w.floats() : nullptr, scale, N, C)
                    : ops->mean_squared_error(ctx, type, to.floats(), d, tx.data(), t.floats(), scale, N, C));
        };
        call(loss, dx.data());
        call(only, nullptr);
        call(again, tx.data());
        return Outputs{loss.values(), only.values(), again.values(), dx.values(), tx.values()};
      };
      const std::string label = std::string(name_of(type)) + " " + std::to_string(N) + "x" + std::to_string(C);
      const double t = tolerance(type);
      check_schedules("mean_squared_error " + label, [&](wb_context* ctx) { return run(ctx, false); },
                      {square.loss, square.loss, square.loss, square.gradient, square.gradient}, {1e-6, 1e-6, 1e-6, t, t});
      check_schedules("binary_cross_entropy " + label, [&](wb_context* ctx) { return run(ctx, true); },
                      {entropy.loss, entropy.loss, entropy.loss, entropy.gradient, entropy.gradient}, {1e-6, 1e-6, 1e-6, t, t},
                      1e-6);
    }
  }
  current = "binary_cross_entropy of strange logits";
  wb_context* const ctx = schedules()[0].ctx;
  Tensor x(ctx, WB_F32, Floats{1000, -1000, 1000, -1000, NAN, INFINITY, -INFINITY, NAN});
  Tensor t(ctx, WB_F32, Floats{1, 0, 0, 1, 1, 1, 0, NAN}), loss(ctx, WB_F32, 8), d(ctx, WB_F32, 8);
  OK(ops->binary_cross_entropy(ctx, WB_F32, loss.floats(), d.data(), x.data(), t.floats(), nullptr, 1, 8, 1));
  const Floats l = loss.values(), g = d.values();
  CHECK(l[0] == 0 && l[1] == 0 && g[0] == 0 && g[1] == 0, "right and certain: %g %g", double(l[0]), double(l[1]));
  CHECK(l[2] == 1000 && l[3] == 1000 && g[2] == 1 && g[3] == -1, "wrong and certain: %g %g", double(l[2]), double(l[3]));
  CHECK(std::isnan(l[4]) && std::isnan(g[4]) && !std::isfinite(l[5]) && !std::isfinite(l[6]), "NaN and Inf pass unseen");
  CHECK(l[7] == 0 && g[7] == 0, "no label: %g %g", double(l[7]), double(g[7]));
}

static void test_segment_cross_entropy() {
  for (wb_dtype type : all_types) {
    for (int64_t C : {1, 2, 3}) {
      for (const std::vector<int32_t>& lengths :
           {std::vector<int32_t>{1}, {4, 4, 4, 4, 4}, {1, 31, 0, 33, 127, 128, 129}, {0, 0}, {512, 3, 1025}}) {
        std::vector<int32_t> cu = {0}, labels;
        for (int32_t length : lengths) {
          for (int64_t c = 0; c < C; ++c) {  // in turn: a row, ignored, the last, negative, one too far
            const size_t kind = labels.size() % 7;
            labels.push_back(kind == 2 ? -100 : kind == 4 ? -1 : kind == 6 ? length : kind == 3 ? length - 1 : length / 2);
          }
          cu.push_back(cu.back() + length);
        }
        const int64_t T = cu.back(), B = int64_t(lengths.size());
        const Floats logits = rounded(type, random_floats(T * C, 7, 4));
        const float scale = 0.25f;
        const reference::Loss r = reference::segment_cross_entropy(widen(logits), cu, labels, -100, scale, C);
        check_schedules(
            std::string("segment_cross_entropy ") + name_of(type) + " " + std::to_string(T) + "x" + std::to_string(C),
            [&](wb_context* ctx) {
              Tensor x(ctx, type, logits), dx(ctx, type, T * C);
              Tensor loss(ctx, WB_F32, B * C), only(ctx, WB_F32, B * C), again(ctx, WB_F32, B * C);
              Elements<int32_t> s(ctx, cu), tl(ctx, labels);
              OK(ops->segment_cross_entropy(ctx, type, loss.floats(), dx.data(), x.data(), s, tl, -100, scale, T, B, C));
              OK(ops->segment_cross_entropy(ctx, type, only.floats(), nullptr, x.data(), s, tl, -100, scale, T, B, C));
              OK(ops->segment_cross_entropy(ctx, type, again.floats(), x.data(), x.data(), s, tl, -100, scale, T, B, C));
              return Outputs{loss.values(), only.values(), again.values(), dx.values(), x.values()};
            },
            {r.loss, r.loss, r.loss, r.gradient, r.gradient}, {4e-6, 4e-6, 4e-6, 2 * tolerance(type), 2 * tolerance(type)}, 2e-6);
      }
    }
  }
  current = "segment_cross_entropy of strange logits";  // three rows, the columns one by one
  wb_context* const ctx = schedules()[0].ctx;
  Tensor x(ctx, WB_F32, Floats{1000, -INFINITY, NAN, 0, 0, 1, 1, 0, -1000, 2, 1, INFINITY}), loss(ctx, WB_F32, 4);
  Tensor d(ctx, WB_F32, 12);
  Elements<int32_t> cu(ctx, {0, 3}), beyond(ctx, {0, 4}), labels(ctx, {0, 1, 1, 1});
  OK(ops->segment_cross_entropy(ctx, WB_F32, loss.floats(), d.data(), x.data(), cu, labels, -100, 1, 3, 1, 4));
  const Floats l = loss.values(), g = d.values();
  CHECK(l[0] == 0 && g[0] == 0 && g[4] == 0 && g[8] == 0, "a certain row: %g", double(l[0]));
  CHECK(std::fabs(l[1] - 1.3132617f) < 1e-6 && g[1] == 0, "a row ruled out: %g %g", double(l[1]), double(g[1]));
  CHECK(std::isnan(l[2]) && std::isnan(l[3]), "NaN and Inf: %g %g", double(l[2]), double(l[3]));
  for (int i : {2, 3, 6, 7, 10, 11}) CHECK(std::isnan(g[i]), "d[%d] = %g", i, double(g[i]));
  OK(ops->segment_cross_entropy(ctx, WB_F32, loss.floats(), d.data(), x.data(), beyond, labels, -100, 1, 3, 1, 4));
  for (float v : loss.values()) CHECK(std::isnan(v), "a segment beyond the rows: %g", double(v));
}

void test_losses() {
  test_cross_entropy();
  test_elementwise_losses();
  test_segment_cross_entropy();
}
