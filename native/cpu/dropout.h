// Dropout masks as warpbert.h defines them, drawn for a run of neighbouring elements at a time.
#ifndef WARPBERT_CPU_DROPOUT_H
#define WARPBERT_CPU_DROPOUT_H

#include "philox.h"
#include "simd.h"

namespace warpbert::WB_ISA {

struct Dropout {
  static constexpr int kRun = 256;         // the most elements drawn at once
  static constexpr int kBuffer = kRun + W; // floats that draw needs

  bool on;
  uint32_t threshold, step, site;
  uint64_t seed;
  float scale;
  const int32_t* rows;

  Dropout(float p, int32_t site_number, const int64_t* rng, const int32_t* dropout_rows)
      : on(p > 0.0f), threshold(wb_dropout_threshold(p)), step(on ? (uint32_t)rng[1] : 0), site((uint32_t)site_number),
        seed(on ? (uint64_t)rng[0] : 0), scale(1.0f / (1.0f - p)), rows(dropout_rows) {}

  // The row that row t of this call is in the whole batch; element numbers count from it.
  uint64_t row(int64_t t) const { return (uint64_t)(rows ? rows[t] : t); }

  // The factors (0 or 1/(1-p)) of elements first .. first+n-1, n <= kRun, in buffer[kBuffer].
  const float* draw(float* buffer, uint64_t first, int64_t n) const {
    const uint32_t offset = first & 3;
    const uint32_t low = (uint32_t)(first >> 2), high = (uint32_t)(first >> 34);
    const uint32_t groups = ((uint32_t)n + offset + 3) / 4;
#pragma omp simd
    for (uint32_t g = 0; g < groups; ++g) {
      const uint32_t group = low + g;
      const wb_philox_words words = wb_dropout_words(group, high + (group < low), seed, step, site);
      for (int k = 0; k < 4; ++k) buffer[4 * g + k] = words.w[k] < threshold ? 0.0f : scale;
    }
    return buffer + offset;
  }
};

// Zero where the factor is, even if v is NaN: the element is gone.
WB_INLINE static inline Vf drop(Vf v, Vf factor) { return select(factor != 0.0f, v * factor, Vf{}); }

// y = dropout(x) for one row of n columns whose number in the batch is `row`; y may be x. On or off is the caller's
// business: p = 0 draws nothing.
static inline void dropout_row(float* y, const float* x, const Dropout& dropout, uint64_t row, int64_t n) {
  float buffer[Dropout::kBuffer];
  for (int64_t c = 0; c < n; c += Dropout::kRun) {
    const int64_t run = minimum(Dropout::kRun, n - c);
    const float* factors = dropout.draw(buffer, row * (uint64_t)n + (uint64_t)c, run);
    vectors(run, [&](int64_t i, auto width) WB_INLINE {
      store(y + c + i, drop(load(x + c + i, width), load(factors + i, width)), width);
    });
  }
}

}  // namespace warpbert::WB_ISA
#endif
