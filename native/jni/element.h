// What panels are made of: words of 32 bits, 16 to a vector, 8 with AVX2. A word is a float, or, where this is compiled for
// AVX512-BF16, two neighbours in depth, rounded to bfloat16. Everything else of a product is the same for all.
//
// For product.cpp alone, which is compiled once for each: nothing here may be inlined elsewhere.
#ifndef WARPBERT_ELEMENT_H
#define WARPBERT_ELEMENT_H

#include <immintrin.h>
#include <stdint.h>

#ifdef __AVX512BF16__
#define WB_ELEMENT bf16
#elif defined(__AVX512F__)
#define WB_ELEMENT f32
#else
#define WB_ELEMENT f32_avx2
#endif

namespace warpbert::WB_ELEMENT {
namespace {

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t pieces_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

#ifdef __AVX512F__

typedef __m512 V; // 16 words, whatever they are

V load(const float* p) { return _mm512_loadu_ps(p); }
void store(float* p, V v) { _mm512_storeu_ps(p, v); }
V splat(float x) { return _mm512_set1_ps(x); }
V load_first(const float* p, int64_t count) { return _mm512_maskz_loadu_ps((__mmask16)((1 << count) - 1), p); }

constexpr int kRows = 8; // of a tile
void store_rows(float* p, V v) { __builtin_memcpy(p, &v, sizeof v / 2); } // the first kRows

#else

typedef __m256 V;

V load(const float* p) { return _mm256_loadu_ps(p); }
void store(float* p, V v) { _mm256_storeu_ps(p, v); }
V splat(float x) { return _mm256_set1_ps(x); }
V load_first(const float* p, int64_t count) {
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
}

constexpr int kRows = 6;
void store_rows(float* p, V v) {
  _mm_storeu_ps(p, _mm256_castps256_ps128(v));
  _mm_storel_pi((__m64*)(p + 4), _mm256_extractf128_ps(v, 1));
}

#endif

constexpr int kLanes = sizeof(V) / 4;

// The first `count` of a vector's floats, then zeros; what is behind them is not touched.
V load_some(const float* p, int64_t count) { return count >= kLanes ? load(p) : count <= 0 ? V{} : load_first(p, count); }

#ifdef __AVX512BF16__

constexpr int kDeep = 2; // numbers in a word, neighbours in depth

// Rounded to nearest, ties to even; below float32's normal numbers is 0, NaN stays NaN.
__m512i rounded(V low, V high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

// Words of one line: `count` of its numbers from here, then zeros.
V along(const float* in, int64_t count) { return (V)rounded(load_some(in, count), load_some(in + kLanes, count - kLanes)); }

// Words of 16 lines at one depth: `lines` numbers from here and, where `second`, so many a row on, then zeros.
V across(const float* in, int64_t row, int64_t lines, bool second) {
  const __m512i halves = rounded(load_some(in, lines), second ? load_some(in + row, lines) : V{});
  const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (V)_mm512_permutexvar_epi16(pairs, halves);
}

V add_product(V sum, V a, V b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

#else

constexpr int kDeep = 1;

V along(const float* in, int64_t count) { return load_some(in, count); }
V across(const float* in, int64_t, int64_t lines, bool) { return load_some(in, lines); }
V add_product(V sum, V a, V b) { return sum + a * b; }

#endif

}  // namespace
}  // namespace warpbert::WB_ELEMENT
#endif
