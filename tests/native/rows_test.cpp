// Row-wise and element-wise ops: bias + activation, gather, dropout, cast.
#include <numeric>

#include "reference.h"

namespace {

const int64_t kSizes[] = {1, 31, 32, 33, 97, 768, 1025};
const float kStrange[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, 3e38f, -3e38f};

const char* activation_name(int kind) {
  const char* names[] = {"identity", "gelu", "gelu_tanh", "relu", "tanh"};
  return names[kind];
}

void activation_case(wb_activation kind, int64_t N, int64_t C, bool with_bias, bool in_place) {
  const std::string name = std::string("bias_activation ") + activation_name(kind) + " " + std::to_string(N) + "x"
      + std::to_string(C) + (with_bias ? "" : " without bias") + (in_place ? " in place" : "");
  const Floats x = random_floats(N * C, 1, 2.0f), bias = with_bias ? random_floats(C, 2) : Floats(C, 0.0f);
  const Floats dy = random_floats(N * C, 3), dbias = random_floats(C, 4);
  Doubles y(N * C), dx(N * C), sums = widen(dbias);
  for (int64_t i = 0; i < N * C; ++i) {
    const double v = with_bias ? (double)x[i] + (double)bias[i % C] : x[i];
    y[i] = reference::activation(kind, v);
    dx[i] = dy[i] * reference::slope(kind, v);
    sums[i % C] += dx[i];
  }
  check_case(name + " forward", [&](wb_context* ctx) -> Outputs {
    Buffer<float> input(x), output(N * C);
    Input<float> b(bias);
    float* to = in_place ? input.data() : output.data();
    OK(ctx->ops->bias_activation_forward(ctx, WB_F32, to, input, with_bias ? b.data() : nullptr, kind, N, C));
    return {(in_place ? input : output).values()};
  }, {y}, 1e-6);
  check_case(name + " backward", [&](wb_context* ctx) -> Outputs {
    Buffer<float> gradient(dy), output(N * C), sum(dbias), workspace(WB_REDUCE_BLOCKS * C);
    Input<float> input(x), b(bias);
    float* to = in_place ? gradient.data() : output.data();
    OK(ctx->ops->bias_activation_backward(ctx, WB_F32, to, sum, workspace, gradient,
                                          kind == WB_IDENTITY ? nullptr : input.data(),
                                          with_bias ? b.data() : nullptr, kind, N, C));
    return {(in_place ? gradient : output).values(), sum.values()};
  }, {dx, sums});
}

void activations() {
  for (int kind = WB_IDENTITY; kind <= WB_TANH; ++kind) {
    for (int64_t C : kSizes) activation_case((wb_activation)kind, C == 97 ? 700 : 5, C, C != 32, C % 2 == 1);
    activation_case((wb_activation)kind, 33, 768, true, true);
    activation_case((wb_activation)kind, 0, 7, true, true);
  }
  // No dbias wanted: no workspace needed.
  check_case("bias_activation backward without dbias", [&](wb_context* ctx) -> Outputs {
    Buffer<float> out(33);
    Input<float> dy(Floats(33, 2.0f)), x(Floats(33, 0.0f));
    OK(ctx->ops->bias_activation_backward(ctx, WB_F32, out, nullptr, nullptr, dy, x, nullptr, WB_GELU, 3, 11));
    return {out.values()};
  }, {Doubles(33, 1.0)});
}

void strange_values() {
  for (int kind = WB_IDENTITY; kind <= WB_TANH; ++kind) {
    for (int64_t n : {(int64_t)8, (int64_t)35}) { // alone in a tail, and in full vectors
      Floats x(n);
      for (int64_t i = 0; i < n; ++i) x[i] = kStrange[i % 8];
      Doubles y(n), dx(n);
      for (int64_t i = 0; i < n; ++i) {
        y[i] = (float)reference::activation((wb_activation)kind, x[i]);
        dx[i] = (float)reference::slope((wb_activation)kind, x[i]);
      }
      // gelu(-inf) is -inf * 0 in the definition: NaN, in every backend.
      check_case(std::string("NaN and Inf through ") + activation_name(kind), [&](wb_context* ctx) -> Outputs {
        Buffer<float> out(n), gradient(n);
        Input<float> in(x), ones(Floats(n, 1.0f));
        OK(ctx->ops->bias_activation_forward(ctx, WB_F32, out, in, nullptr, (wb_activation)kind, 1, n));
        OK(ctx->ops->bias_activation_backward(ctx, WB_F32, gradient, nullptr, nullptr, ones, in, nullptr,
                                              (wb_activation)kind, 1, n));
        return {out.values(), gradient.values()};
      }, {y, dx});
    }
  }
}

void derivatives() {
  for (int kind = WB_IDENTITY; kind <= WB_TANH; ++kind) {
    if (kind == WB_RELU) continue; // a step across its corner
    const Doubles x = widen(random_floats(50, 9, 2.0f));
    Doubles gradient(x.size());
    for (size_t i = 0; i < x.size(); ++i) gradient[i] = reference::slope((wb_activation)kind, x[i]);
    check_derivative(std::string("derivative of ") + activation_name(kind), [&](const Doubles& at) {
      double sum = 0;
      for (double v : at) sum += reference::activation((wb_activation)kind, v);
      return sum;
    }, x, gradient);
  }
}

void gather() {
  for (int64_t H : kSizes) {
    const int64_t T = 40, N = 17;
    std::vector<int32_t> rows(N);
    for (int64_t n = 0; n < N; ++n) rows[n] = (int32_t)((n * 7 + 3) % T);
    const Floats x = random_floats(T * H, 5), dy = random_floats(N * H, 6);
    Doubles y(N * H), dx(T * H, 0.0);
    for (int64_t i = 0; i < N * H; ++i) {
      y[i] = x[rows[i / H] * H + i % H];
      dx[rows[i / H] * H + i % H] = dy[i];
    }
    check_case("gather_rows " + std::to_string(H), [&](wb_context* ctx) -> Outputs {
      Buffer<float> out(N * H), gradient(T * H);
      Input<float> in(x), d(dy);
      Input<int32_t> r(rows);
      OK(ctx->ops->gather_rows_forward(ctx, WB_F32, out, in, r, N, T, H));
      OK(ctx->ops->gather_rows_backward(ctx, WB_F32, gradient, d, r, N, T, H));
      return {out.values(), gradient.values()};
    }, {y, dx}, 0);
  }
  wb_context* ctx = contexts()[0].ctx;
  current = "gather_rows out of range";
  Buffer<float> y(4), x(4);
  Input<int32_t> rows(std::vector<int32_t>{4});
  CHECK(ctx->ops->gather_rows_forward(ctx, WB_F32, y, x, rows, 1, 4, 1) == WB_INVALID_ARGUMENT, "accepted");
  CHECK(ctx->ops->gather_rows_forward(ctx, WB_F32, y, x, rows, 0, 4, 1) == WB_OK, "no rows");
}

void dropout() {
  std::vector<int32_t> batch_rows = {9, 2, 70000, 2147483000, 0, 5, 6};
  for (int64_t C : kSizes) {
    batch_rows[4] = (int32_t)std::min<int64_t>(INT32_MAX, ((int64_t)1 << 35) / C); // where e/8 passes 2^32
    for (bool in_place : {false, true}) {
      for (bool renumbered : {false, true}) {
        reference::Dropout drop{0.3f, 5, {-12345678901, (int64_t)C << 30}, renumbered ? batch_rows.data() : nullptr};
        const int64_t N = 7;
        Floats x = random_floats(N * C, 7);
        Doubles y(N * C);
        for (int64_t i = 0; i < N * C; ++i) y[i] = drop.factor(i / C, i % C, C) * x[i];
        for (int64_t i = 0; i < N * C; ++i) {
          if (y[i] == 0) x[i] = NAN; // a dropped element is gone, whatever it was
        }
        check_case("dropout " + std::to_string(C), [&](wb_context* ctx) -> Outputs {
          Buffer<float> in(x), out(N * C);
          Input<int64_t> rng({drop.rng[0], drop.rng[1]});
          Input<int32_t> rows(batch_rows);
          OK(ctx->ops->dropout_backward(ctx, WB_F32, out, in, drop.p, drop.site, rng,
                                        renumbered ? rows.data() : nullptr, N, C));
          if (!in_place) return {out.values()};
          OK(ctx->ops->dropout_forward(ctx, WB_F32, in, in, drop.p, drop.site, rng,
                                       renumbered ? rows.data() : nullptr, N, C));
          return {in.values()};
        }, {y}, 1e-7);
      }
    }
  }
  // p = 0 copies and reads no generator; p = 0.1 keeps nine in ten.
  wb_context* ctx = contexts()[0].ctx;
  current = "dropout rates";
  const int64_t n = 1 << 20;
  std::vector<float> ones(n, 1.0f), out(n);
  OK(ctx->ops->dropout_forward(ctx, WB_F32, out.data(), ones.data(), 0.0f, 1, nullptr, nullptr, 1024, n / 1024));
  CHECK(out == ones, "p = 0 changed something");
  const int64_t rng[2] = {42, 7};
  for (float p : {0.1f, 0.5f, 0.9f}) {
    OK(ctx->ops->dropout_forward(ctx, WB_F32, out.data(), ones.data(), p, 1, rng, nullptr, 1024, n / 1024));
    int64_t kept = 0;
    for (float v : out) kept += v != 0;
    const double deviation = std::sqrt(n * p * (1 - p));
    CHECK(std::fabs(kept - n * (1.0 - p)) < 5 * deviation, "p = %g kept %lld of %lld", p, (long long)kept, (long long)n);
  }
}

}  // namespace

void test_rows() {
  activations();
  strange_values();
  derivatives();
  gather();
  dropout();
}
