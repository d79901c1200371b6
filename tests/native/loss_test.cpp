// Losses.
#include "reference.h"

namespace {

void cross_entropy_case(int64_t N, int64_t C, int64_t stride, bool weighted, float smoothing, bool in_place) {
  const std::string name = "cross_entropy " + std::to_string(N) + "x" + std::to_string(C)
      + " of " + std::to_string(stride) + (weighted ? " weighted" : "") + (smoothing > 0 ? " smoothed" : "") + (in_place ? " in place" : "");
  const Floats logits = random_floats(N * C, 91, 4.0f);
  Floats weights(C);
  for (int64_t c = 0; c < C; ++c) weights[c] = 0.25f + (float)(c % 5);
  std::vector<int32_t> labels = random_ints(N, 92, (int32_t)C);
  for (int64_t n = 3; n < N; n += 4) labels[n] = -100;
  if (N > 6) labels[5] = (int32_t)C, labels[6] = -1; // outside: NaN, not a crash
  const float scale = 0.125f;
  const reference::CrossEntropy expected = reference::cross_entropy(
      widen(logits), labels, weighted ? widen(weights) : Doubles(), smoothing, -100, scale, N, C);
  Input<int32_t> l(labels);
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Buffer<float> loss(N), alone(N), gradient(N * stride), x(reference::spaced(logits, C, stride, (float)NAN));
    Input<float> w(weights);
    float* given = weighted ? w.data() : nullptr;
    OK(ctx->ops->cross_entropy(ctx, WB_F32, alone, nullptr, x, l, given, smoothing, -100, scale, N, C, stride));
    OK(ctx->ops->cross_entropy(ctx, WB_F32, loss, in_place ? x : gradient, x, l, given, smoothing, -100, scale, N, C, stride));
    CHECK(N == 0 || memcmp(loss.data(), alone.data(), N * sizeof(float)) == 0, "without dlogits another loss");
    return {loss.values(), (in_place ? x : gradient).values()};
  }, {expected.loss, reference::spaced(expected.dlogits, C, stride, 0.0)});
}

void cross_entropies() {
  for (int64_t C : {1, 2, 31, 32, 33, 97, 768, 1025, 30522}) {
    cross_entropy_case(C == 30522 ? 4 : 9, C, C, false, 0.0f, false);
    cross_entropy_case(C == 30522 ? 4 : 9, C, C + 6, true, 0.1f, true);
    if (C < 1000) cross_entropy_case(33, C, C + 1, false, 0.2f, false);
  }
  cross_entropy_case(0, 5, 5, false, 0.0f, false);
  const Doubles logits = widen(random_floats(3 * 5, 93)), weights = {1, 2, 0.5, 3, 1};
  const std::vector<int32_t> labels = {4, -100, 1};
  check_derivative("derivative of cross_entropy", [&](const Doubles& at) {
    const Doubles loss = reference::cross_entropy(at, labels, weights, 0.1, -100, 1, 3, 5).loss;
    return 0.5 * (loss[0] + loss[1] + loss[2]);
  }, logits, reference::cross_entropy(logits, labels, weights, 0.1, -100, 0.5, 3, 5).dlogits);

  wb_context* ctx = contexts().back().ctx;
  current = "cross_entropy of strange logits";
  Input<int32_t> zero(std::vector<int32_t>{0, 0, 0});
  Input<float> x(Floats{1000, -1000, -INFINITY, /**/ NAN, 0, 1, /**/ 0, INFINITY, 1});
  Buffer<float> loss(3), d(9);
  OK(ctx->ops->cross_entropy(ctx, WB_F32, loss, d, x, zero, nullptr, 0, -100, 1, 3, 3, 3));
  CHECK(loss[0] == 0 && d[0] == 0 && d[1] == 0 && d[2] == 0, "a certain row: %g", loss[0]);
  CHECK(std::isnan(loss[1]) && std::isnan(loss[2]), "NaN and Inf: %g %g", loss[1], loss[2]);
  for (int i = 3; i < 9; ++i) CHECK(std::isnan(d[i]), "d[%d] = %g", i, d[i]);
}

// Every third element has no label; from the tenth on, one in seven is certain.
Floats some_targets(int64_t n, uint32_t seed, bool probabilities) {
  Floats t = random_floats(n, seed);
  for (int64_t i = 0; i < n; ++i) {
    if (probabilities) t[i] = i % 7 == 3 ? (float)(i % 2) : 1 / (1 + std::exp(-t[i]));
    if (i % 3 == 2) t[i] = NAN;
  }
  return t;
}

void elementwise_case(bool binary, int64_t N, int64_t C, bool weighted, bool in_place, float spread) {
  const std::string name = std::string(binary ? "binary_cross_entropy " : "mean_squared_error ") + std::to_string(N) + "x"
      + std::to_string(C) + (weighted ? " weighted" : "") + (in_place ? " in place" : "");
  const Floats prediction = random_floats(N * C, 94, spread);
  Floats target = some_targets(N * C, 95, binary), weights = random_floats(C, 96);
  if (binary && N * C > 20) target[10] = -1e-6f, target[12] = 1.000001f, target[15] = INFINITY; // NaN, not a number
  const float scale = 0.125f;
  const reference::Loss expected = binary
      ? reference::binary_cross_entropy(widen(prediction), widen(target), weighted ? widen(weights) : Doubles(), scale, C)
      : reference::mean_squared_error(widen(prediction), widen(target), scale);
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Buffer<float> loss(N * C), alone(N * C), gradient(N * C), x(prediction);
    Input<float> t(target), w(weights);
    const auto run = [&](float* to, float* d) {
      return binary ? ctx->ops->binary_cross_entropy(ctx, WB_F32, to, d, x, t, weighted ? w.data() : nullptr, scale, N, C)
                    : ctx->ops->mean_squared_error(ctx, WB_F32, to, d, x, t, scale, N, C);
    };
    OK(run(alone, nullptr));
    OK(run(loss, in_place ? x : gradient));
    CHECK(N == 0 || memcmp(loss.data(), alone.data(), N * C * sizeof(float)) == 0, "without a gradient another loss");
    return {loss.values(), (in_place ? x : gradient).values()};
  }, {expected.loss, expected.gradient}, 1e-6);
}

void elementwise() {
  for (int64_t C : {1, 2, 31, 32, 33, 97, 768, 1025}) {
    elementwise_case(false, 9, C, false, C % 2 == 0, 1);
    elementwise_case(true, 9, C, C % 2 == 0, C % 2 == 1, 3);
    elementwise_case(true, 33, C, C % 2 == 1, C % 2 == 0, 40);
  }
  elementwise_case(false, 0, 3, false, false, 1);
  elementwise_case(true, 0, 3, false, false, 1);
  const Doubles x = widen(random_floats(15, 97)), weights = {1, 2, 0.5};
  const Doubles t = {0, 1, 0.3, 0.9, NAN, 0.5, 1, 0, 0, 1, 1, 0.25, NAN, 0.75, 0};
  const auto sum = [](const Doubles& loss) {
    double total = 0;
    for (double l : loss) total += 0.5 * l;
    return total;
  };
  check_derivative("derivative of mean_squared_error", [&](const Doubles& at) {
    return sum(reference::mean_squared_error(at, t, 1).loss);
  }, x, reference::mean_squared_error(x, t, 0.5).gradient);
  check_derivative("derivative of binary_cross_entropy", [&](const Doubles& at) {
    return sum(reference::binary_cross_entropy(at, t, weights, 1, 3).loss);
  }, x, reference::binary_cross_entropy(x, t, weights, 0.5, 3).gradient);

  for (const NamedContext& c : contexts()) {
    current = "binary_cross_entropy of strange logits on " + c.isa;
    Input<float> logits(Floats{1000, -1000, 1000, -1000, NAN, INFINITY, -INFINITY, NAN}), target(Floats{1, 0, 0, 1, 1, 1, 0, NAN});
    Buffer<float> loss(8), d(8);
    OK(c.ctx->ops->binary_cross_entropy(c.ctx, WB_F32, loss, d, logits, target, nullptr, 1, 1, 8));
    const Floats l = loss.values(), g = d.values();
    CHECK(l[0] == 0 && l[1] == 0 && g[0] == 0 && g[1] == 0, "right and certain: %g %g %g %g", l[0], l[1], g[0], g[1]);
    CHECK(l[2] == 1000 && l[3] == 1000 && g[2] == 1 && g[3] == -1, "wrong and certain: %g %g %g %g", l[2], l[3], g[2], g[3]);
    CHECK(std::isnan(l[4]) && std::isnan(g[4]), "NaN: %g %g", l[4], g[4]);
    CHECK(!std::isfinite(l[5]) && !std::isfinite(l[6]), "Inf: %g %g", l[5], l[6]);
    CHECK(l[7] == 0 && g[7] == 0, "no label: %g %g", l[7], g[7]);
  }
}

void segment_case(const std::vector<int32_t>& lengths, int64_t C, bool in_place, float spread) {
  std::vector<int32_t> cu = {0}, labels;
  for (int32_t length : lengths) {
    for (int64_t c = 0; c < C; ++c) { // in turn: a row, the last, ignored, negative, one too far
      const int kind = (int)(labels.size() % 7);
      labels.push_back(kind == 4 ? -100 : kind == 5 ? -1 : kind == 6 ? length : kind == 3 ? length - 1 : length / 2);
    }
    cu.push_back(cu.back() + length);
  }
  const int64_t T = cu.back(), B = (int64_t)lengths.size();
  const std::string name = "segment_cross_entropy " + std::to_string(T) + "x" + std::to_string(C) + " in "
      + std::to_string(B) + (in_place ? " in place" : "");
  const Floats logits = random_floats(T * C, 98, spread);
  const float scale = 0.125f;
  const reference::Loss expected = reference::segment_cross_entropy(widen(logits), cu, labels, -100, scale, C);
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Buffer<float> loss(B * C), alone(B * C), gradient(T * C), x(logits);
    Input<int32_t> s(cu), l(labels);
    OK(ctx->ops->segment_cross_entropy(ctx, WB_F32, alone, nullptr, x, s, l, -100, scale, T, B, C));
    OK(ctx->ops->segment_cross_entropy(ctx, WB_F32, loss, in_place ? x : gradient, x, s, l, -100, scale, T, B, C));
    CHECK(B == 0 || memcmp(loss.data(), alone.data(), B * C * sizeof(float)) == 0, "without dlogits another loss");
    return {loss.values(), (in_place ? x : gradient).values()};
  }, {expected.loss, expected.gradient});
}

void segments() {
  for (int64_t C : {1, 2, 3, 33}) {
    segment_case({1}, C, false, 1);
    segment_case({4, 4, 4, 4, 4, 4, 4}, C, true, 4);
    segment_case({1, 31, 0, 32, 33, 0, 97, 1, 2}, C, false, 4);
    segment_case({0, 0, 0}, C, false, 1);
    segment_case({700, 513, 1, 2048, 5, 512}, C, true, 4);
  }
  segment_case({}, 2, false, 1);
  segment_case({20000}, 1, false, 40);
  const std::vector<int32_t> cu = {0, 3, 3, 4, 9}, labels = {2, 0, -100, -100, 0, -100, 1, 4};
  const Doubles logits = widen(random_floats(18, 99));
  check_derivative("derivative of segment_cross_entropy", [&](const Doubles& at) {
    double total = 0;
    for (double l : reference::segment_cross_entropy(at, cu, labels, -100, 1, 2).loss) total += 0.5 * l;
    return total;
  }, logits, reference::segment_cross_entropy(logits, cu, labels, -100, 0.5, 2).gradient);

  wb_context* ctx = contexts().back().ctx;
  current = "segment_cross_entropy of strange logits"; // three rows, the columns one by one
  Input<float> x(Floats{1000, -INFINITY, NAN, 0, /**/ 0, 1, 1, 0, /**/ -1000, 2, 1, INFINITY});
  Input<int32_t> s(std::vector<int32_t>{0, 3}), l(std::vector<int32_t>{0, 1, 1, 1});
  Buffer<float> loss(4), d(12);
  OK(ctx->ops->segment_cross_entropy(ctx, WB_F32, loss, d, x, s, l, -100, 1, 3, 1, 4));
  CHECK(loss[0] == 0 && d[0] == 0 && d[4] == 0 && d[8] == 0, "a certain row: %g", loss[0]);
  CHECK(std::fabs(loss[1] - 1.3132617f) < 1e-6 && d[1] == 0, "a row ruled out: %g %g", loss[1], d[1]);
  CHECK(std::isnan(loss[2]) && std::isnan(loss[3]), "NaN and Inf: %g %g", loss[2], loss[3]);
  for (int i : {2, 3, 6, 7, 10, 11}) CHECK(std::isnan(d[i]), "d[%d] = %g", i, d[i]);
  current = "segment_cross_entropy of segments that are none";
  for (const std::vector<int32_t>& wrong : {std::vector<int32_t>{0, 2}, {1, 3}, {0, 4, 3}}) {
    Input<int32_t> bad(wrong);
    Buffer<float> poisoned(8);
    const wb_status status = ctx->ops->segment_cross_entropy(ctx, WB_F32, poisoned, nullptr, x, bad, l, -100, 1, 3, (int64_t)wrong.size() - 1, 4);
    CHECK(status == WB_INVALID_ARGUMENT && strstr(wb_backend()->last_error(), "segment_cross_entropy: "), "%d", status);
  }
}

}  // namespace

void test_losses() {
  cross_entropies();
  elementwise();
  segments();
}
