// The dropout mask of warpbert.h inside kernels.
#pragma once
#include "device.cuh"
#include "philox.h"

struct Dropout {
  float probability;   // 0: nothing below is read
  float scale;         // 1 / (1 - probability)
  uint32_t threshold;  // words below it are zeroed
  int32_t site;
  const int64_t* rng;   // {seed, step}
  const int32_t* rows;  // nullable
};

inline Dropout make_dropout(float probability, int32_t site, const int64_t* rng, const int32_t* rows) {
  return {probability, 1.0f / (1.0f - probability), wb_dropout_threshold(probability), site, rng, rows};
}

// The number under which row t draws its mask.
__device__ __forceinline__ int64_t dropout_row(const Dropout& d, int64_t t) {
  return d.probability > 0 && d.rows ? int64_t(d.rows[t]) : t;
}

// Words of the elements 4 * quad .. 4 * quad + 3.
__device__ __forceinline__ wb_philox_words dropout_words(const Dropout& d, uint64_t quad) {
  return wb_dropout_words(uint32_t(quad), uint32_t(quad >> 32), uint64_t(d.rng[0]), uint32_t(d.rng[1]), uint32_t(d.site));
}

// values *= mask / (1 - p), for the elements e .. e+N-1; e is a multiple of N.
template <int N>
__device__ __forceinline__ void apply_dropout(float (&values)[N], const Dropout& d, uint64_t e) {
  if (d.probability == 0) return;
  if constexpr (N == 1) {
    const wb_philox_words words = dropout_words(d, e / 4);
    const int i = int(e % 4);
    const uint32_t word = i == 0 ? words.w[0] : i == 1 ? words.w[1] : i == 2 ? words.w[2] : words.w[3];
    values[0] = word < d.threshold ? 0.0f : values[0] * d.scale;
  } else {
    static_assert(N % 4 == 0, "whole Philox blocks");
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const wb_philox_words words = dropout_words(d, (e + i) / 4);
#pragma unroll
      for (int j = 0; j < 4; ++j) values[i + j] = words.w[j] < d.threshold ? 0.0f : values[i + j] * d.scale;
    }
  }
}
