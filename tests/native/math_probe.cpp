// Compiled once per instruction set: hands simd_math.h to simd_math_test.cpp.
#include "dropout.h"
#include "simd_math.h"

namespace warpbert::WB_ISA {

void probe_exp(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, exp(load(x + i, width)), width); });
}
void probe_exp2(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, exp2(load(x + i, width)), width); });
}
void probe_log1p(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, log1p(load(x + i, width)), width); });
}
void probe_tanh(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, tanh(load(x + i, width)), width); });
}
void probe_cdf(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, normal(load(x + i, width)).cdf, width); });
}
void probe_density(float* y, const float* x, int64_t n) {
  vectors(n, [&](int64_t i, auto width) WB_INLINE { store(y + i, normal(load(x + i, width)).density, width); });
}

}  // namespace warpbert::WB_ISA
