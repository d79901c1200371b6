// Losses of single elements against float targets, each with its gradient in the same pass: 8 bytes an element of target
// and loss, beside the prediction and its gradient. A Loss has the op's name and of(prediction, target).
#pragma once
#include "elementwise.cuh"

struct LossAndSlope {
  float loss, slope;
};

// loss = w * Loss::of(x, target).loss and dx = scale * w * slope, both 0 where target is NaN. weights, [C], and dx may be
// null; dx may be x.
template <class Loss, class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, ELEMENTWISE_BLOCKS)
    elementwise_loss(float* __restrict__ loss, T* dx, const T* x, const float* __restrict__ target,
                     const float* __restrict__ weights, float scale, int64_t rows, int64_t C) {
  const int64_t c = first_column<N>();
  if (c >= C) return;
  float w[N];
#pragma unroll
  for (int i = 0; i < N; ++i) w[i] = weights ? weights[c + i] : 1.0f;
  for (int64_t r = first_row(); r < rows; r += row_step()) {
    float values[N], t[N], losses[N];
    load(values, x + r * C + c);
    load(t, target + r * C + c);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const LossAndSlope at = Loss::of(values[i], t[i]);
      const bool labelled = t[i] == t[i];
      losses[i] = labelled ? w[i] * at.loss : 0.0f;
      values[i] = labelled ? w[i] * at.slope * scale : 0.0f;
    }
    store(loss + r * C + c, losses);
    if (dx) store(dx + r * C + c, values);
  }
}

template <class Loss>
wb_status launch_elementwise_loss(wb_context* ctx, wb_dtype dtype, float* loss, void* dx, const void* x,
                                  const float* target, const float* weights, float scale, int64_t N, int64_t C) {
  if (N == 0) return WB_OK;
  return by_type(dtype, [&](auto type) {
    using T = decltype(type);
    T* const out = static_cast<T*>(dx);
    const T* const in = static_cast<const T*>(x);
    return by_width<T>(
        C,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, C, width);
          return launch(Loss::op, elementwise_loss<Loss, T, decltype(width)::value>, g.grid, g.block, 0, ctx, loss, out, in,
                        target, weights, scale, N, C);
        },
        loss, out, in, target);
  });
}
