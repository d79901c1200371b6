// exp, exp2, log1p, tanh and the normal distribution on vectors, branch-free. Coefficients are our own minimax fits. Errors
// against float64, as tests/native/simd_math_test.cpp checks them: exp 2 ulp, exp2 1.5 ulp, log1p 3 ulp, tanh 3 ulp,
// normal_cdf 8 ulp relative also in the lower tail, down to the smallest normal number; below that an absolute error of a
// few denormals. NaN gives NaN.
#ifndef WARPBERT_CPU_SIMD_MATH_H
#define WARPBERT_CPU_SIMD_MATH_H

#include <immintrin.h>

#include "simd.h"

namespace warpbert::WB_ISA {

WB_INLINE static inline Vf clamp(Vf x, float low, float high) { return min(splat(high), max(splat(low), x)); } // keeps NaN
WB_INLINE static inline Vf absolute(Vf x) { return (Vf)((Vi)x & 0x7fffffff); }

// p * 2^n, right also where 2^n alone is no float. `shifted` is n + kRound: n is its low bits.
constexpr float kRound = 12582912.0f; // 1.5 * 2^23: adding it to a float leaves the nearest integer in the low bits
WB_INLINE static inline Vf scale_by_power(Vf p, Vf shifted) {
#if defined(__AVX512F__)
  return (Vf)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)(shifted - kRound));
#else
  const Vi n = (Vi)shifted - (Vi)splat(kRound), half = n >> 1;
  return p * (Vf)((half + 127) << 23) * (Vf)((n - half + 127) << 23);
#endif
}

// x = n ln 2 + r, |r| <= ln 2 / 2, for -105 <= x <= 89.
struct Reduced { Vf r, shifted; }; // shifted is n + kRound
WB_INLINE static inline Reduced reduce(Vf x) {
  const Vf shifted = x * 1.44269504f + kRound;
  const Vf n = shifted - kRound;
  // ln 2 in two parts, the first with few enough bits that n times it is exact.
  return {(x - n * 0.693359375f) - n * -2.12194440e-4f, shifted};
}
WB_INLINE static inline Vf exp_reduced(Vf r, Vf shifted) {
  Vf p = 0.0013808848f * r + 0.008371496f;
  p = p * r + 0.04166867f;
  p = p * r + 0.16666497f;
  p = p * r + 0.4999999f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return scale_by_power(p, shifted);
}
WB_INLINE static inline Vf exp_bounded(Vf x) {
  const Reduced of = reduce(x);
  return exp_reduced(of.r, of.shifted);
}

WB_INLINE static inline Vf exp(Vf x) { return exp_bounded(clamp(x, -105.0f, 89.0f)); }

// 2^x for x <= 127 and any lower, also -inf; x = n + r, |r| <= 1/2.
WB_INLINE static inline Vf exp2(Vf x) {
#if defined(__AVX512F__)
  const Vf n = (Vf)_mm512_maskz_roundscale_ps(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vf r = (Vf)_mm512_maskz_reduce_ps(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); // 0 of -inf
#else
  x = max(splat(-150.0f), x);
  const Vf shifted = x + kRound;
  const Vf r = x - (shifted - kRound);
#endif
  Vf p = 0.00015353361959569156f * r + 0.0013398875016719103f;
  p = p * r + 0.00961843691766262f;
  p = p * r + 0.055503323674201965f;
  p = p * r + 0.24022647738456726f;
  p = p * r + 0.6931471824645996f;
  p = p * r + 1.0f;
#if defined(__AVX512F__)
  return (Vf)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);
#else
  return scale_by_power(p, shifted);
#endif
}

// log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x / (2 + x) <= 1/3, an odd function of s.
WB_INLINE static inline Vf log1p(Vf x) {
  const Vf s = x / (2.0f + x);
  const Vf z = s * s;
  Vf p = 0.140059935f * z + 0.140009026f;
  p = p * z + 0.200107636f;
  p = p * z + 0.333332081f;
  return (s + s) + (s + s) * (z * p);
}

WB_INLINE static inline Vf tanh(Vf x) {
  const Vf a = absolute(x);
  const Vf s = x * x;
  Vf p = -0.0056483154f * s + 0.020589825f;
  p = p * s - 0.053725127f;
  p = p * s + 0.13331275f;
  p = p * s - 0.33333275f;
  const Vf small = a + a * s * p;
  const Vf large = 1.0f - 2.0f / (exp_bounded(min(splat(40.0f), a + a)) + 1.0f);
  return (Vf)((Vi)select(a < 0.6f, small, large) | ((Vi)x & (int32_t)0x80000000)); // odd, also at -0
}

// -t^2 / 2 = high + low exactly, or nearly: a rounded t^2 / 2 would be an error of many ulp of its exponential.
struct HalfSquare { Vf high, low; };
WB_INLINE static inline HalfSquare half_square(Vf t) {
  const Vf half = -0.5f * t, high = half * t;
#if defined(__AVX512F__)
  return {high, (Vf)_mm512_fmsub_ps((__m512)half, (__m512)t, (__m512)high)};
#elif defined(__FMA__)
  return {high, (Vf)_mm256_fmsub_ps((__m256)half, (__m256)t, (__m256)high)};
#else
  const Vf head = (Vf)((Vi)t & (int32_t)0xfffff000), rest = t - head; // whose products are exact
  return {high, ((-0.5f * (head * head) - high) - head * rest) - 0.5f * (rest * rest)};
#endif
}

// Of the standard normal distribution at t = -|x|, or -14.5 where that is more: Phi(t), and e^(-t^2/2). Phi(t) is
// e^(-t^2/2) times a smooth function of 1/(1 - 0.26 t), so that it keeps its relative accuracy.
struct LowerTail { Vf t, cdf, e; };
WB_INLINE static inline LowerTail lower_tail(Vf x) {
  const Vf t = max(splat(-14.5f), (Vf)((Vi)x | (int32_t)0x80000000));
  const HalfSquare exponent = half_square(t);
  const Reduced of = reduce(exponent.high);
  const Vf e = exp_reduced(of.r + exponent.low, of.shifted);
  const Vf u = 1.0f / (1.0f - 0.26f * t);
  const Vf v = 2.0f * u - 1.0f;
  Vf p = 0.000118086464f * v - 0.00023885263f;
  p = p * v - 0.0010919562f;
  p = p * v + 0.0004586428f;
  p = p * v + 0.011969021f;
  p = p * v + 0.04291887f;
  p = p * v + 0.09528307f;
  p = p * v + 0.15498282f;
  p = p * v + 0.19560029f;
  return {t, e * (u * p), e};
}

// cdf = Phi(x) and density = phi(x).
struct Normal { Vf cdf, density; };
WB_INLINE static inline Normal normal(Vf x) {
  const LowerTail at = lower_tail(x);
  return {select(x > 0.0f, 1.0f - at.cdf, at.cdf), 0.398942280f * at.e};
}

}  // namespace warpbert::WB_ISA
#endif
