/*
 * Philox4x32-7, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011), with the fewest rounds that they found to pass all of BigCrush (table 2). Plain C++ without tables
 * or state, for every backend: the same counter and key give the same four words on a CPU and on a GPU. How dropout fills
 * counter and key stands at the head of warpbert.h.
 */
#ifndef WARPBERT_PHILOX_H
#define WARPBERT_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define WB_PHILOX static __host__ __device__ __forceinline__
#else
#define WB_PHILOX static inline __attribute__((always_inline, unused))
#endif

#define WB_PHILOX_ROUNDS 7

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
  for (int round = 0; round < WB_PHILOX_ROUNDS; ++round) {
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

/* A block of a dropout: eight numbers of 16 bits, the lower half of word 0, its upper half, the lower half of word 1, ... */
WB_PHILOX wb_philox_words wb_dropout_words(uint32_t block_low, uint32_t block_high, uint64_t seed, uint32_t step,
                                           uint32_t site) {
  return wb_philox(block_low, block_high, step, site, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Attention draws for tiles of 16 queries and 16 keys, 32 blocks each: a block holds the scores that a lane of a warp has
 * of a tile in mma.sync's layout, so that no lane draws for another. `row` is the number of the tile's first query. */
WB_PHILOX uint64_t wb_score_tiles(int64_t row, int64_t A, int64_t head) { return (uint64_t)(row * A + head) << 17; }
WB_PHILOX uint32_t wb_score_block(int query, int key) {
  return (uint32_t)(key / 16 * 32 + query % 8 * 4 + key % 8 / 2);
}
WB_PHILOX int wb_score_number(int query, int key) { return query % 16 / 8 * 4 + key % 16 / 8 * 2 + key % 2; }

/* The site of AdamW's draws; dropouts are numbered from 0. */
#define WB_MOMENT_SITE 0xffffffffu

/* The bits of a float32, rounded to those of a bfloat16 (the low 16 are 0): away from zero with the probability that what
 * is cut off is of a step, by 16 random bits. Infinity stays, NaN is a quiet one. */
WB_PHILOX uint32_t wb_round_by_chance(uint32_t bits, uint32_t random16) {
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t rounded = magnitude < 0x7f800000u ? bits + random16 : magnitude > 0x7f800000u ? bits | 0x00400000u : bits;
  return rounded & 0xffff0000u;
}

/* Numbers below this are zeroed: p to the nearest 65,536th, but never all of them. */
WB_PHILOX uint32_t wb_dropout_threshold(float p) {
  const uint32_t nearest = (uint32_t)(p * 65536.0f + 0.5f);
  return nearest < 65535u ? nearest : 65535u;
}

/* What the others are multiplied by, so that sums keep their expectation. */
WB_PHILOX float wb_dropout_scale(float p) { return 65536.0f / (float)(65536u - wb_dropout_threshold(p)); }

#endif
