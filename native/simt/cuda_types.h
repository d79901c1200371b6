// The few CUDA types and conversions that the kernels use, in plain C++, so that they run where no toolkit is.
#pragma once
#include <stdint.h>
#include <string.h>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
  unsigned x, y, z;
};

struct __half {
  uint16_t bits;
};
struct __nv_bfloat16 {
  uint16_t bits;
};

namespace simt {
inline uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
inline float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}
}  // namespace simt

inline float __bfloat162float(__nv_bfloat16 h) { return simt::float_of(uint32_t(h.bits) << 16); }

inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  const uint32_t u = simt::bits_of(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};           // CUDA's canonical NaN
  return {uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};      // to nearest, ties to even
}

inline float __half2float(__half h) {
  const uint32_t sign = uint32_t(h.bits & 0x8000u) << 16, rest = uint32_t(h.bits & 0x7fffu) << 13;
  if (rest >= 0x0f800000u) return simt::float_of(sign | 0x70000000u | rest);  // infinity, NaN
  return simt::float_of(sign | simt::bits_of(simt::float_of(rest) * 0x1p112f));  // also right for subnormals
}

inline __half __float2half_rn(float x) {
  const uint32_t u = simt::bits_of(x), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {0x7fff};
  if (magnitude >= 0x477ff000u) return {uint16_t(sign | 0x7c00u)};  // 65,520 and above round to infinity
  if (magnitude < 0x38800000u)  // below the normals: adding 0.5 lets the FPU round at the subnormals' last bit
    return {uint16_t(sign | (simt::bits_of(simt::float_of(magnitude) + 0.5f) - 0x3f000000u))};
  return {uint16_t(sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13))};
}
