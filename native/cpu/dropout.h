// Dropout masks as warpbert.h defines them, drawn for a run of neighbouring elements at a time.
#ifndef WARPBERT_CPU_DROPOUT_H
#define WARPBERT_CPU_DROPOUT_H

#include <immintrin.h>

#include "philox.h"
#include "simd.h"

namespace warpbert::WB_ISA {

typedef uint32_t Vu __attribute__((vector_size(kVectorBytes)));
typedef uint64_t Vu64 __attribute__((vector_size(kVectorBytes)));

// 64-bit products of the low halves of the 64-bit lanes: one instruction, which GCC does not find by itself.
WB_INLINE static inline Vu64 multiply_low_halves(Vu64 a, Vu64 b) {
#if defined(__AVX512F__)
  return (Vu64)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b); // unmasked, GCC 12 warns of its own header
#elif defined(__AVX2__)
  return (Vu64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (Vu64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

struct WideProduct { Vu high, low; };
WB_INLINE static inline WideProduct multiply(Vu a, uint32_t b) {
  const Vu64 factor = Vu64{} + b, upper = Vu64{} + 0xffffffff00000000u;
  const Vu64 even = multiply_low_halves((Vu64)a, factor), odd = multiply_low_halves((Vu64)a >> 32, factor);
  return {(Vu)((even >> 32) | (odd & upper)), (Vu)((even & ~upper) | (odd << 32))};
}

// wb_philox of philox.h for W counters at once, in c; tests hold the two against each other.
WB_INLINE static inline void philox(Vu c[4], uint32_t k0, uint32_t k1) {
  for (int round = 0; round < WB_PHILOX_ROUNDS; ++round) {
    const WideProduct p0 = multiply(c[0], 0xD2511F53u), p1 = multiply(c[2], 0xCD9E8D57u);
    c[0] = p1.high ^ c[1] ^ k0;
    c[1] = p1.low;
    c[2] = p0.high ^ c[3] ^ k1;
    c[3] = p0.low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// Lanes of a and b in turn: a's and b's lower halves for half = 0, their upper halves for half = 1.
WB_INLINE static inline Vf interleave(Vf a, Vf b, int half) {
  return __builtin_shuffle(a, b, (lanes() >> 1) + half * (W / 2) + (lanes() & 1) * W);
}

constexpr int kDraw = 256;                 // the most elements drawn at once
constexpr int kDrawBuffer = kDraw + 8 * W; // floats that drawing them needs

// The words of W blocks from number `block`: words[k] has word k of each.
WB_INLINE static inline void draw_blocks(Vu words[4], uint64_t seed, uint32_t step, uint32_t site, uint64_t block) {
  const Vu low = (Vu)lanes() + (uint32_t)block;
  const Vu carry = (Vu)(low < (uint32_t)block) & 1;
  words[0] = low, words[1] = carry + (uint32_t)(block >> 32), words[2] = Vu{} + step, words[3] = Vu{} + site;
  philox(words, (uint32_t)seed, (uint32_t)(seed >> 32));
}

// f(i, words i .. i+W-1) for the words from number 4 * block, at least n of them.
template <class F>
WB_INLINE static inline void each_words(uint64_t seed, uint32_t step, uint32_t site, uint64_t block, int64_t n, F f) {
  for (int64_t i = 0; i < n; i += 4 * W) {
    Vu words[4];
    draw_blocks(words, seed, step, site, block + (uint64_t)i / 4);
    for (int half = 0; half < 2; ++half) { // W blocks' words by turns
      const Vf even = interleave((Vf)words[0], (Vf)words[2], half), odd = interleave((Vf)words[1], (Vf)words[3], half);
      f(i + 2 * half * W, (Vu)interleave(even, odd, 0));
      f(i + (2 * half + 1) * W, (Vu)interleave(even, odd, 1));
    }
  }
}

struct Dropout {
  bool on;
  uint32_t threshold, step, site;
  uint64_t seed;
  float scale;
  const int32_t* rows;

  Dropout(float p, int32_t site_number, const int64_t* rng, const int32_t* dropout_rows)
      : on(p > 0.0f), threshold(wb_dropout_threshold(p)), step(on ? (uint32_t)rng[1] : 0), site((uint32_t)site_number),
        seed(on ? (uint64_t)rng[0] : 0), scale(wb_dropout_scale(p)), rows(dropout_rows) {}

  // The row that row t of this call is in the whole batch; element numbers count from it.
  uint64_t row(int64_t t) const { return (uint64_t)(rows ? rows[t] : t); }

  // The factors (0 or the scale) of the 2 W numbers in W words, in to[2 W].
  WB_INLINE void factors(float* to, Vu words) const {
    const Vf low = select((words & 0xffff) < threshold, Vf{}, splat(scale)), high = select(words >> 16 < threshold, Vf{}, splat(scale));
    store(to, interleave(low, high, 0));
    store(to + W, interleave(low, high, 1));
  }

  // The factors of elements first .. first+n-1, n <= kDraw, in buffer[kDrawBuffer].
  const float* draw(float* buffer, uint64_t first, int64_t n) const {
    const int64_t before = first & 7;
    each_words(seed, step, site, first >> 3, ceil_div(n + before, 2), [&](int64_t i, Vu words) WB_INLINE { factors(buffer + 2 * i, words); });
    return buffer + before;
  }

  // The factors of a tile's scores: to[i, j] for `queries` queries, the first a multiple of 16 in its sequence, and `keys`
  // keys from `key`, a multiple of 16 too; written up to the next multiples of 16. `row`: the number of the first query.
  void draw_scores(float* to, int64_t stride, uint64_t row, int64_t heads, int64_t head, int64_t key, int64_t queries, int64_t keys) const {
    for (int64_t i = 0; i < queries; i += 16) {
      const uint64_t tiles = wb_score_tiles((int64_t)row + i, heads, head);
      for (int64_t j = 0; j < keys; j += 16) {
        float corners[4][8][8]; // of the tile: of word k, query i + 8 (k / 2), key j + 8 (k % 2)
        for (int block = 0; block < 32; block += W) {
          Vu words[4];
          draw_blocks(words, seed, step, site, tiles + wb_score_block(0, (int)(key + j)) + (uint64_t)block);
          for (int k = 0; k < 4; ++k) factors(corners[k][0] + 2 * block, words[k]);
        }
        for (int k = 0; k < 4; ++k) {
          for (int r = 0; r < 8; ++r) __builtin_memcpy(to + (i + k / 2 * 8 + r) * stride + j + k % 2 * 8, corners[k][r], sizeof corners[k][r]);
        }
      }
    }
  }
};

// Zero where the factor is, even if v is NaN: the element is gone.
WB_INLINE static inline Vf drop(Vf v, Vf factor) { return select(factor != 0.0f, v * factor, Vf{}); }

// y = dropout(x) for one row of n columns whose number in the batch is `row`; y may be x. On or off is the caller's
// business: p = 0 draws nothing.
static inline void dropout_row(float* y, const float* x, const Dropout& dropout, uint64_t row, int64_t n) {
  float buffer[kDrawBuffer];
  for (int64_t c = 0; c < n; c += kDraw) {
    const int64_t run = minimum(kDraw, n - c);
    const float* factors = dropout.draw(buffer, row * (uint64_t)n + (uint64_t)c, run);
    vectors(run, [&](int64_t i, auto width) WB_INLINE {
      store(y + c + i, drop(load(x + c + i, width), load(factors + i, width)), width);
    });
  }
}

}  // namespace warpbert::WB_ISA
#endif
