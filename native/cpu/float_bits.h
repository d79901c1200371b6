// Floats as bits, and bfloat16, which is their upper half.
#ifndef WARPBERT_CPU_FLOAT_BITS_H
#define WARPBERT_CPU_FLOAT_BITS_H

#include <stdint.h>
#include <string.h>

#include "simd.h"

namespace warpbert::WB_ISA {

WB_INLINE static inline uint32_t bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}
WB_INLINE static inline float value(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
WB_INLINE static inline float widened(uint16_t bfloat16) { return value((uint32_t)bfloat16 << 16); }

}  // namespace warpbert::WB_ISA
#endif
