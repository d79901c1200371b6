// y = activation(x + bias), and the gradients of x and bias.
#include "column_sums.h"
#include "parallel.h"
#include "simd_math.h"

namespace warpbert::WB_ISA {
namespace {

struct Identity {
  static Vf WB_INLINE value(Vf x) { return x; }
  static Vf WB_INLINE slope(Vf) { return splat(1.0f); }
};

struct Gelu {
  static Vf WB_INLINE value(Vf x) { // x Phi(x): x Phi(-|x|) where x < 0, else x - x Phi(-|x|)
    const LowerTail at = lower_tail(x);
    return max(x, Vf{}) + min(x, at.t) * at.cdf; // an infinite x meets cdf = 0 only below 0, where that is NaN
  }
  static Vf WB_INLINE slope(Vf x) {
    x = clamp(x, -14.5f, 14.5f); // beyond, the slope is 0 or 1, and x * density must not be infinity times 0
    const Normal at = normal(x);
    return at.cdf + x * at.density;
  }
};

// x / (1 + e^(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3) is x/2 (1 + tanh u) without the cancellation.
struct GeluTanh {
  static Vf WB_INLINE exponential(Vf x) { return exp(x * (-1.59576912f - 0.0713548163f * (x * x))); }
  static Vf WB_INLINE value(Vf x) { return x / (1.0f + exponential(x)); }
  static Vf WB_INLINE slope(Vf x) {
    x = clamp(x, -10.0f, 10.0f);
    const Vf e = exponential(x);
    const Vf s = 1.0f / (1.0f + e);
    return s + x * (s * (e * s)) * (1.59576912f + 0.214064449f * (x * x));
  }
};

struct Relu { // x < 0 ? 0 : x keeps NaN
  static Vf WB_INLINE value(Vf x) { return select(x < 0.0f, Vf{}, x); }
  static Vf WB_INLINE slope(Vf x) { return select(x > 0.0f, splat(1.0f), select(x <= 0.0f, Vf{}, x)); }
};

struct Tanh {
  static Vf WB_INLINE value(Vf x) { return tanh(x); }
  static Vf WB_INLINE slope(Vf x) {
    const Vf y = tanh(x);
    return (1.0f - y) * (1.0f + y);
  }
};

template <class Activation>
void forward(wb_context* ctx, float* y, const float* x, const float* bias, int64_t N, int64_t C) {
  parallel_runs(ctx, N, N * C, [=](int64_t n) {
    const float* in = x + n * C;
    float* out = y + n * C;
    vectors(C, [&](int64_t i, auto width) WB_INLINE {
      Vf v = load(in + i, width);
      if (bias) v += load(bias + i, width);
      store(out + i, Activation::value(v), width);
    });
  });
}

template <class Activation>
void backward(wb_context* ctx, float* dx, float* dbias, float* workspace, const float* dy, const float* x,
              const float* bias, int64_t N, int64_t C) {
  const int64_t rows = reduce_rows(N), blocks = ceil_div(N, rows);
  parallel_tasks(ctx, blocks, N * C, [=](int64_t block) {
    float* sums = dbias ? workspace + block * C : nullptr; // [C] of this block's rows
    const int64_t first = block * rows, end = minimum(N, first + rows);
    for (int64_t n = first; n < end; ++n) {
      vectors(C, [&](int64_t i, auto width) WB_INLINE {
        Vf d = load(dy + n * C + i, width);
        if constexpr (!__is_same(Activation, Identity)) {
          Vf v = load(x + n * C + i, width);
          if (bias) v += load(bias + i, width);
          d *= Activation::slope(v);
        }
        store(dx + n * C + i, d, width);
        if (sums) store(sums + i, n == first ? d : d + load(sums + i, width), width);
      });
    }
  });
  if (dbias) add_column_sums(ctx, dbias, workspace, C, blocks, C);
}

}  // namespace

#define WB_DISPATCH(function, ...)                                     \
  switch (activation) {                                                \
    case WB_IDENTITY: function<Identity>(__VA_ARGS__); return WB_OK;   \
    case WB_GELU: function<Gelu>(__VA_ARGS__); return WB_OK;           \
    case WB_GELU_TANH: function<GeluTanh>(__VA_ARGS__); return WB_OK;  \
    case WB_RELU: function<Relu>(__VA_ARGS__); return WB_OK;           \
    case WB_TANH: function<Tanh>(__VA_ARGS__); return WB_OK;           \
  }                                                                    \
  return fail(WB_INVALID_ARGUMENT, "bias_activation: there is no activation %d", (int)activation)

wb_status bias_activation_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const float* bias,
                                  wb_activation activation, int64_t N, int64_t C) {
  if (wb_status status = require_float32(dtype, "bias_activation_forward")) return status;
  WB_DISPATCH(forward, ctx, static_cast<float*>(y), static_cast<const float*>(x), bias, N, C);
}

wb_status bias_activation_backward(wb_context* ctx, wb_dtype dtype, void* dx, float* dbias, float* workspace,
                                   const void* dy, const void* x, const float* bias, wb_activation activation,
                                   int64_t N, int64_t C) {
  if (wb_status status = require_float32(dtype, "bias_activation_backward")) return status;
  WB_DISPATCH(backward, ctx, static_cast<float*>(dx), dbias, workspace, static_cast<const float*>(dy),
              static_cast<const float*>(x), bias, N, C);
}

}  // namespace warpbert::WB_ISA
