// AdamW (Loshchilov & Hutter 2019, algorithm 2), in PyTorch's order of operations: one pass over the flat buffers.
#include <cmath>

#include "parallel.h"
#include "simd.h"

namespace warpbert::WB_ISA {
namespace {

struct Step { float keep, beta1, beta2, step_size, sqrt_c2, eps, factor; };

void update(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict gradient, Step s,
            int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * s.factor;
    const float first = m[i] + (1.0f - s.beta1) * (g - m[i]);
    const float second = s.beta2 * v[i] + (1.0f - s.beta2) * g * g;
    m[i] = first;
    v[i] = second;
    p[i] = p[i] * s.keep - s.step_size * first / (sqrtf(second) / s.sqrt_c2 + s.eps);
  }
}

}  // namespace

wb_status adamw(wb_context* ctx, wb_dtype copy_dtype, float* parameter, float* m, float* v, void* parameter_copy,
                const float* gradient, const float* stats, const float* hyper, const int64_t* ends, const float* decay,
                const float* lr_scale, float beta1, float beta2, float eps, int64_t n, int64_t K) {
  if (parameter_copy) {
    if (wb_status status = require_float32(copy_dtype, "adamw")) return status;
  }
  if (stats[2] == 0.0f) return WB_OK;
  const float lr = hyper[0], c1 = hyper[1], sqrt_c2 = sqrtf(hyper[2]), factor = stats[1];
  constexpr int64_t kBlock = 16384;
  parallel_runs(ctx, ceil_div(n, kBlock), n, [=](int64_t task) {
    const int64_t begin = task * kBlock, end = minimum(n, begin + kBlock);
    int64_t low = 0, high = K; // the first segment that ends after `begin`
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (ends[middle] > begin) high = middle;
      else low = middle + 1;
    }
    for (int64_t k = low, i = begin; k < K && i < end; i = minimum(ends[k++], end)) {
      const int64_t count = minimum(ends[k], end) - i;
      if (lr_scale[k] == 0.0f || count == 0) continue;
      const float rate = lr * lr_scale[k];
      update(parameter + i, m + i, v + i, gradient + i,
             {1.0f - rate * decay[k], beta1, beta2, rate / c1, sqrt_c2, eps, factor}, count);
      float* copy = static_cast<float*>(parameter_copy);
      for (int64_t j = i; copy && j < i + count; ++j) copy[j] = parameter[j];
    }
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
