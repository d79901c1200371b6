// The dropout mask of warpbert.h inside kernels.
#pragma once
#include "device.cuh"
#include "philox.h"

struct Dropout {
  float probability;   // 0: nothing below is read
  float scale;         // of what stays
  uint32_t threshold;  // numbers below it are zeroed
  int32_t site;
  const int64_t* rng;   // {seed, step}
  const int32_t* rows;  // nullable
};

inline Dropout make_dropout(float probability, int32_t site, const int64_t* rng, const int32_t* rows) {
  return {probability, wb_dropout_scale(probability), wb_dropout_threshold(probability), site, rng, rows};
}

// The number under which row t draws its mask.
__device__ __forceinline__ int64_t dropout_row(const Dropout& d, int64_t t) {
  return d.probability > 0 && d.rows ? int64_t(d.rows[t]) : t;
}

// What draws masks, in registers.
struct Masks {
  uint64_t seed;
  uint32_t step, site, threshold;
  __device__ __forceinline__ explicit Masks(const Dropout& d)
      : seed(d.probability > 0 ? uint64_t(d.rng[0]) : 0), step(d.probability > 0 ? uint32_t(d.rng[1]) : 0),
        site(uint32_t(d.site)), threshold(d.threshold << 16) {}
  __device__ __forceinline__ wb_philox_words draw(uint64_t block) const {
    return wb_dropout_words(uint32_t(block), uint32_t(block >> 32), seed, step, site);
  }
  // Whether number n of a block lets its element stay; n is a constant, or Philox's words would go to local memory.
  __device__ __forceinline__ bool stays(const wb_philox_words& words, int n) const {
    return (n % 2 ? words.w[n / 2] : words.w[n / 2] << 16) >= threshold;
  }
};

// A block whose number n, a multiple of N, has become its first: by selection, where n is not a constant.
template <int N>
__device__ __forceinline__ wb_philox_words to_front(wb_philox_words words, int n) {
  if (N < 8 && n & 4) words.w[0] = words.w[2], words.w[1] = words.w[3];
  if (N < 4 && n & 2) words.w[0] = words.w[1];
  if (N < 2 && n & 1) words.w[0] >>= 16;
  return words;
}

// values *= mask * scale, for the elements e .. e+N-1; e is a multiple of N, and N divides 8.
template <int N>
__device__ __forceinline__ void apply_dropout(float (&values)[N], const Dropout& d, uint64_t e) {
  static_assert(8 % N == 0, "of one block");
  if (d.probability == 0) return;
  const Masks masks(d);
  const wb_philox_words words = to_front<N>(masks.draw(e / 8), int(e % 8));
#pragma unroll
  for (int i = 0; i < N; ++i) values[i] = masks.stays(words, i) ? values[i] * d.scale : 0.0f;
}
