// LayerNorm of one row (Ba et al. 2016), forward and backward, for the two ops that contain one.
#ifndef WARPBERT_CPU_LAYERNORM_H
#define WARPBERT_CPU_LAYERNORM_H

#include <cmath>

#include "simd.h"

namespace warpbert::WB_ISA {

struct Statistics { float mean, rstd; };

// Two passes over a row that the first-level cache holds: the variance of row - mean does not cancel.
static inline Statistics statistics(const float* row, float total, float eps, int64_t H) {
  const float mean = total / (float)H;
  const float squares = sum_vectors(H, [&](int64_t i, auto width) WB_INLINE {
    const Vf d = keep(load(row + i, width) - mean, width);
    return d * d;
  });
  return {mean, 1.0f / sqrtf(squares / (float)H + eps)};
}

// y = (z - mean) * rstd * gamma + beta; y may be z.
static inline void normalise(float* y, const float* z, Statistics s, const float* gamma, const float* beta, int64_t H) {
  vectors(H, [&](int64_t i, auto width) WB_INLINE {
    const Vf normal = (load(z + i, width) - s.mean) * s.rstd;
    store(y + i, normal * load(gamma + i, width) + load(beta + i, width), width);
  });
}

// dgamma and dbeta (set if `first`, else added to), and put(i, dz, width) with the gradient of the row's input:
//   dz = rstd * (g - mean(g) - n * mean(g n)), g = dy * gamma, n = normalised(i, width) the normalised row.
// dy's element i is not read again once put(i) is called, so put may overwrite it.
template <class Normalised, class Put>
WB_INLINE static inline void layernorm_backward_row(float* dgamma, float* dbeta, bool first, const float* dy,
                                                    const float* gamma, float rstd, int64_t H, Normalised normalised,
                                                    Put put) {
  Vf sum_g{}, sum_gn{};
  vectors(H, [&](int64_t i, auto width) WB_INLINE {
    const Vf d = load(dy + i, width), n = normalised(i, width), g = d * load(gamma + i, width), dn = d * n;
    sum_g += keep(g, width);
    sum_gn += keep(g * n, width);
    store(dgamma + i, first ? dn : dn + load(dgamma + i, width), width);
    store(dbeta + i, first ? d : d + load(dbeta + i, width), width);
  });
  const float mean_g = sum(sum_g) / (float)H, mean_gn = sum(sum_gn) / (float)H;
  vectors(H, [&](int64_t i, auto width) WB_INLINE {
    const Vf g = load(dy + i, width) * load(gamma + i, width);
    put(i, rstd * ((g - mean_g) - normalised(i, width) * mean_gn), width);
  });
}

}  // namespace warpbert::WB_ISA
#endif
