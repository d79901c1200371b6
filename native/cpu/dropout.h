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
  for (int round = 0; round < 10; ++round) {
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
constexpr int kDrawBuffer = kDraw + 4 * W; // floats that drawing them needs

// f(word) of elements first .. first+n-1, n <= kDraw, in buffer[kDrawBuffer].
template <class F>
WB_INLINE static inline const float* draw_words(float* buffer, uint64_t seed, uint32_t step, uint32_t site, uint64_t first,
                                                int64_t n, F f) {
  const uint32_t offset = first & 3;
  const uint64_t group = first >> 2;
  for (int64_t i = 0; i < n + offset; i += 4 * W) {
    const uint64_t start = group + (uint64_t)i / 4;
    const Vu low = (Vu)lanes() + (uint32_t)start;
    const Vu carry = (Vu)(low < (uint32_t)start) & 1;
    Vu words[4] = {low, carry + (uint32_t)(start >> 32), Vu{} + step, Vu{} + site};
    philox(words, (uint32_t)seed, (uint32_t)(seed >> 32));
    Vf value[4];
    for (int k = 0; k < 4; ++k) value[k] = f(words[k]);
    for (int half = 0; half < 2; ++half) { // element 4 * group + k is word k
      const Vf even = interleave(value[0], value[2], half), odd = interleave(value[1], value[3], half);
      store(buffer + i + 2 * half * W, interleave(even, odd, 0));
      store(buffer + i + (2 * half + 1) * W, interleave(even, odd, 1));
    }
  }
  return buffer + offset;
}

struct Dropout {

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

  // The factors (0 or 1/(1-p)) of elements first .. first+n-1, n <= kDraw, in buffer[kDrawBuffer].
  const float* draw(float* buffer, uint64_t first, int64_t n) const {
    return draw_words(buffer, seed, step, site, first, n, [=](Vu word) { return select(word < threshold, Vf{}, splat(scale)); });
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
