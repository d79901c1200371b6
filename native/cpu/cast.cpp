// float32, float16 and bfloat16 into one another: to nearest, ties to even; NaN stays NaN and becomes quiet.
#include "float_bits.h"
#include "parallel.h"

namespace warpbert::WB_ISA {
namespace {

struct Float32 {
  typedef float Store;
  WB_INLINE static inline float read(float x) { return x; }
  WB_INLINE static inline float write(float x) { return x; }
};

struct Bfloat16 {
  typedef uint16_t Store;
  WB_INLINE static inline float read(uint16_t h) { return widened(h); }
  WB_INLINE static inline uint16_t write(float x) {
    const uint32_t u = bits(x);
    const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 0x40 : rounded);
  }
};

struct Float16 {
  typedef uint16_t Store;
  // Shifted into place, the exponent is 112 too small; the product puts that right, for subnormals too.
  WB_INLINE static inline float read(uint16_t h) {
    const uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t finite = bits(value(magnitude) * 5.192296858534828e33f); // 2^112
    const uint32_t special = magnitude | 0x7f800000;
    return value((magnitude >= 0x0f800000 ? special : finite) | (uint32_t)(h & 0x8000) << 16);
  }
  WB_INLINE static inline uint16_t write(float x) {
    const uint32_t u = bits(x), magnitude = u & 0x7fffffff;
    const uint32_t normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
    const uint32_t subnormal = bits(value(magnitude) + 0.5f) - 0x3f000000; // 0.5 + x rounds at 2^-24
    const uint32_t nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    uint32_t h = magnitude < 0x38800000 ? subnormal : normal;
    h = magnitude >= 0x477ff000 ? 0x7c00 : h;
    h = magnitude > 0x7f800000 ? nan : h;
    return (uint16_t)(h | ((u >> 16) & 0x8000));
  }
};

template <class To, class From> void convert(wb_context* ctx, void* y_, const void* x_, int64_t n) {
  constexpr int64_t kBlock = 16384;
  auto* y = static_cast<typename To::Store*>(y_);
  auto* x = static_cast<const typename From::Store*>(x_);
  parallel_runs(ctx, ceil_div(n, kBlock), n, [=](int64_t task) {
    const int64_t end = minimum(n, (task + 1) * kBlock);
#pragma omp simd
    for (int64_t i = task * kBlock; i < end; ++i) y[i] = To::write(From::read(x[i]));
  });
}

template <class To> wb_status convert_to(wb_context* ctx, void* y, const void* x, wb_dtype x_dtype, int64_t n) {
  switch (x_dtype) {
    case WB_F32: convert<To, Float32>(ctx, y, x, n); return WB_OK;
    case WB_F16: convert<To, Float16>(ctx, y, x, n); return WB_OK;
    case WB_BF16: convert<To, Bfloat16>(ctx, y, x, n); return WB_OK;
  }
  return fail(WB_UNSUPPORTED, "cast: there is no dtype %d", (int)x_dtype);
}

}  // namespace

wb_status cast(wb_context* ctx, void* y, wb_dtype y_dtype, const void* x, wb_dtype x_dtype, int64_t n) {
  if (y == x && y_dtype == x_dtype) return WB_OK;
  if (y_dtype == x_dtype) return host::copy(ctx, y, x, n * (y_dtype == WB_F32 ? 4 : 2));
  switch (y_dtype) {
    case WB_F32: return convert_to<Float32>(ctx, y, x, x_dtype, n);
    case WB_F16: return convert_to<Float16>(ctx, y, x, x_dtype, n);
    case WB_BF16: return convert_to<Bfloat16>(ctx, y, x, x_dtype, n);
  }
  return fail(WB_UNSUPPORTED, "cast: there is no dtype %d", (int)y_dtype);
}

}  // namespace warpbert::WB_ISA
