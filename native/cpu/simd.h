// A vector of floats as wide as the instruction set's registers, in GCC's vector extensions, so that one source gives
// SSE2, AVX2 and AVX-512 code.
#ifndef WARPBERT_CPU_SIMD_H
#define WARPBERT_CPU_SIMD_H

#include <immintrin.h>
#include <stdint.h>

#include "ops.h"

#define WB_INLINE __attribute__((always_inline))

namespace warpbert::WB_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int W = kVectorBytes / 4; // lanes

typedef float Vf __attribute__((vector_size(kVectorBytes)));
typedef int32_t Vi __attribute__((vector_size(kVectorBytes)));
typedef float VfUnaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));

// How many lanes an access touches: all, or the first `count` of a row's tail.
struct Full {};
struct Tail { int count; };

WB_INLINE static inline Vf splat(float x) { return x - Vf{}; }
WB_INLINE static inline Vf load(const float* p) { return *reinterpret_cast<const VfUnaligned*>(p); }
WB_INLINE static inline void store(float* p, Vf v) { *reinterpret_cast<VfUnaligned*>(p) = v; }

WB_INLINE static inline Vf load(const float* p, Full) { return load(p); }
WB_INLINE static inline Vf load(const float* p, Tail tail) { // lanes beyond are 0
  Vf v{};
  __builtin_memcpy(&v, p, tail.count * sizeof(float));
  return v;
}
WB_INLINE static inline void store(float* p, Vf v, Full) { store(p, v); }
WB_INLINE static inline void store(float* p, Vf v, Tail tail) { __builtin_memcpy(p, &v, tail.count * sizeof(float)); }

WB_INLINE static inline Vf select(Vi mask, Vf yes, Vf no) { return mask ? yes : no; }
WB_INLINE static inline Vi select_index(Vi mask, Vi yes, Vi no) { return mask ? yes : no; }

// One instruction each, which GCC does not find by itself for masked AVX-512; b where either is NaN.
#if defined(__AVX512F__)
WB_INLINE static inline Vf max(Vf a, Vf b) { return (Vf)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
WB_INLINE static inline Vf min(Vf a, Vf b) { return (Vf)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
#elif defined(__AVX2__)
WB_INLINE static inline Vf max(Vf a, Vf b) { return (Vf)_mm256_max_ps((__m256)a, (__m256)b); }
WB_INLINE static inline Vf min(Vf a, Vf b) { return (Vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
WB_INLINE static inline Vf max(Vf a, Vf b) { return (Vf)_mm_max_ps((__m128)a, (__m128)b); }
WB_INLINE static inline Vf min(Vf a, Vf b) { return (Vf)_mm_min_ps((__m128)a, (__m128)b); }
#endif

WB_INLINE static inline Vi lanes() {
  Vi v{};
  for (int i = 0; i < W; ++i) v[i] = i;
  return v;
}
// Zeroes the lanes beyond a tail, so that a sum does not see them.
WB_INLINE static inline Vf keep(Vf v, Full) { return v; }
WB_INLINE static inline Vf keep(Vf v, Tail tail) { return select(lanes() < tail.count, v, Vf{}); }

// Reductions over lanes, always in the same tree.
WB_INLINE static inline float sum(Vf v) {
  for (int step = W / 2; step > 0; step /= 2) v += __builtin_shuffle(v, lanes() ^ step);
  return v[0];
}
WB_INLINE static inline float max(Vf v) {
  for (int step = W / 2; step > 0; step /= 2) v = max(v, __builtin_shuffle(v, lanes() ^ step));
  return v[0];
}

// f(offset, Full or Tail) over 0 .. n.
template <class F> WB_INLINE static inline void vectors(int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) f(i, Full{});
  if (i < n) f(i, Tail{(int)(n - i)});
}

// The sum of f(offset, Full or Tail) over 0 .. n, in four sums: in one, each addition would wait for the last.
template <class F> WB_INLINE static inline float sum_vectors(int64_t n, F f) {
  Vf sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] += f(i + j * W, Full{});
  }
  vectors(n - i, [&](int64_t rest, auto width) WB_INLINE { sums[0] += f(i + rest, width); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace warpbert::WB_ISA
#endif
