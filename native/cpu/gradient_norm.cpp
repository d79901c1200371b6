// The norm of the whole gradient, the factor that clips it, and whether it is finite.
#include <cmath>

#include "parallel.h"
#include "simd.h"
#include "touched_rows.h"

namespace warpbert::WB_ISA {

typedef double Vd __attribute__((vector_size(kVectorBytes)));
typedef float Vhalf __attribute__((vector_size(kVectorBytes / 2), aligned(4), may_alias));

// Of elements begin .. end-1, in float64: the sum of squares cannot overflow, so it is finite exactly when every element is. An
// element that does not count is left out of sums that adding its 0 would not change: the bits are those of a gradient with zeros.
static double sum_of_squares(const float* x, int64_t begin, int64_t end, TouchedRows rows) {
  constexpr int kHalf = W / 2, kSums = 4, kGroup = kSums * kHalf;
  Vd sums[kSums] = {};
  const auto add = [&](const float* group) WB_INLINE {
#pragma GCC unroll 4
    for (int k = 0; k < kSums; ++k) {
      const Vhalf v = *reinterpret_cast<const Vhalf*>(group + k * kHalf);
      const Vd d = __builtin_convertvector(v, Vd);
      sums[k] += d * d;
    }
  };
  int64_t i = begin;
  while (i + kGroup <= end) {
    const int64_t whole = (rows.run_end(i, end) - i) / kGroup * kGroup;
    if (whole == 0) { // a group of both kinds
      float group[kGroup];
      for (int j = 0; j < kGroup; ++j) group[j] = rows.has(i + j) ? x[i + j] : 0.0f;
      add(group);
      i += kGroup;
      continue;
    }
    if (rows.has(i)) {
      for (int64_t j = i; j < i + whole; j += kGroup) add(x + j);
    }
    i += whole;
  }
  const Vd all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (int k = 0; k < kHalf; ++k) total += all[k];
  for (; i < end; ++i) {
    if (rows.has(i)) total += (double)x[i] * x[i];
  }
  return total;
}

wb_status gradient_norm(wb_context* ctx, float* stats, float* workspace, const float* gradient, const uint8_t* touched,
                        const float* loss_scale, float max_norm, int64_t n, int64_t R, int64_t width) {
  double* partial = reinterpret_cast<double*>(workspace); // [WB_REDUCE_BLOCKS]
  const int64_t block = maximum(16384, ceil_div(n, WB_REDUCE_BLOCKS)), blocks = ceil_div(n, block);
  parallel_runs(ctx, blocks, n, [=](int64_t b) {
    partial[b] = sum_of_squares(gradient, b * block, minimum(n, (b + 1) * block), {touched, R, width});
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
