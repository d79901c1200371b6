// The norm of the whole gradient, the factor that clips it, and whether it is finite.
#include <cmath>

#include "parallel.h"
#include "simd.h"

namespace warpbert::WB_ISA {

typedef double Vd __attribute__((vector_size(kVectorBytes)));
typedef float Vhalf __attribute__((vector_size(kVectorBytes / 2), aligned(4), may_alias));

// Sum of squares in float64: it cannot overflow, so it is finite exactly when every element is.
static double sum_of_squares(const float* x, int64_t n) {
  constexpr int kHalf = W / 2, kSums = 4;
  Vd sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kHalf <= n; i += kSums * kHalf) {
#pragma GCC unroll 4
    for (int k = 0; k < kSums; ++k) {
      const Vhalf v = *reinterpret_cast<const Vhalf*>(x + i + k * kHalf);
      const Vd d = __builtin_convertvector(v, Vd);
      sums[k] += d * d;
    }
  }
  const Vd all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (int k = 0; k < kHalf; ++k) total += all[k];
  for (; i < n; ++i) total += (double)x[i] * x[i];
  return total;
}

wb_status gradient_norm(wb_context* ctx, float* stats, float* workspace, const float* gradient, const float* loss_scale,
                        float max_norm, int64_t n) {
  double* partial = reinterpret_cast<double*>(workspace); // [WB_REDUCE_BLOCKS]
  const int64_t block = maximum(16384, ceil_div(n, WB_REDUCE_BLOCKS)), blocks = ceil_div(n, block);
  parallel_runs(ctx, blocks, n, [=](int64_t b) {
    partial[b] = sum_of_squares(gradient + b * block, minimum(block, n - b * block));
  });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += partial[b];
  const double scale = loss_scale ? *loss_scale : 1.0;
  const double norm = sqrt(total) / scale;
  const double clip = max_norm > 0 && norm + 1e-6 > max_norm ? max_norm / (norm + 1e-6) : 1.0;
  stats[0] = (float)norm;
  stats[1] = (float)(clip / scale);
  stats[2] = std::isfinite(total) ? 1.0f : 0.0f;
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
