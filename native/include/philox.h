/*
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011). Plain C++ without tables or state, for every backend: the same counter and key give the same
 * four words on a CPU and on a GPU. How dropout fills counter and key stands at the head of warpbert.h.
 */
#ifndef WARPBERT_PHILOX_H
#define WARPBERT_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define WB_PHILOX static __host__ __device__ __forceinline__
#else
#define WB_PHILOX static inline __attribute__((always_inline, unused))
#endif

struct wb_philox_words { uint32_t w[4]; };

struct wb_wide_product { uint32_t high, low; };

/* On a GPU in one instruction: of a shift by 32 nvcc makes a second multiplication. */
WB_PHILOX wb_wide_product wb_multiply(uint32_t a, uint32_t b) {
  wb_wide_product product;
#ifdef __CUDA_ARCH__
  asm("{ .reg .u64 p; mul.wide.u32 p, %2, %3; mov.b64 {%0, %1}, p; }" : "=r"(product.low), "=r"(product.high) : "r"(a), "r"(b));
#else
  product.high = (uint32_t)(((uint64_t)a * b) >> 32);
  product.low = a * b;
#endif
  return product;
}

WB_PHILOX wb_philox_words wb_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const wb_wide_product p0 = wb_multiply(c0, 0xD2511F53u), p1 = wb_multiply(c2, 0xCD9E8D57u);
    c0 = p1.high ^ c1 ^ k0;
    c1 = p1.low;
    c2 = p0.high ^ c3 ^ k1;
    c3 = p0.low;
    k0 += 0x9E3779B9u; /* the golden ratio */
    k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
  }
  wb_philox_words out = {{c0, c1, c2, c3}};
  return out;
}

/* The words of element numbers 4 * group .. 4 * group + 3 of a dropout. */
WB_PHILOX wb_philox_words wb_dropout_words(uint32_t group_low, uint32_t group_high, uint64_t seed, uint32_t step,
                                           uint32_t site) {
  return wb_philox(group_low, group_high, step, site, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* The site of AdamW's draws; dropouts are numbered from 0. */
#define WB_MOMENT_SITE 0xffffffffu

/* The bits of a float32, rounded to those of a bfloat16 (the low 16 are 0): away from zero with the probability that what
 * is cut off is of a step, by 16 random bits. Infinity stays, NaN is a quiet one. */
WB_PHILOX uint32_t wb_round_by_chance(uint32_t bits, uint32_t random16) {
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t rounded = magnitude < 0x7f800000u ? bits + random16 : magnitude > 0x7f800000u ? bits | 0x00400000u : bits;
  return rounded & 0xffff0000u;
}

/* Words below this are zeroed. */
WB_PHILOX uint32_t wb_dropout_threshold(float p) { return (uint32_t)((double)p * 4294967296.0); }

#endif
