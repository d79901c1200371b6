// What every kernel source begins with. Compiled by nvcc, or by g++ as plain C++ with -DWB_SIMT to be run thread by thread.
//   LAUNCH(kernel, grid, block, shared bytes, ctx, arguments...) -> wb_status
//   DYN_SMEM(T, name): the block's dynamic shared memory. All shared memory is dynamic, so that simt knows its exact size.
// Vector accesses go through load and store below, never through casts of pointers.
#pragma once
#include <stdint.h>

#include <type_traits>

#include "backend.h"
#include "warpbert.h"

#ifdef WB_SIMT
#include "simt.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#ifdef WB_SIMT
#define DYN_SMEM(T, name) T* name = reinterpret_cast<T*>(simt::shared)
#else
#define DYN_SMEM(T, name)                                        \
  extern __shared__ __align__(128) unsigned char wb_shared[]; \
  T* name = reinterpret_cast<T*>(wb_shared)
#endif

cudaStream_t stream_of(wb_context* ctx);
wb_status before_launch(wb_context* ctx, const void* kernel, size_t shared_bytes);
wb_status after_launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes);

template <class... P, class... A>
wb_status launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, wb_context* ctx,
                 A... arguments) {
  if (const wb_status status = before_launch(ctx, reinterpret_cast<const void*>(kernel), shared_bytes)) return status;
#ifdef WB_SIMT
  simt::run(name, reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream_of(ctx), [=] { kernel(static_cast<P>(arguments)...); });
#else
  kernel<<<grid, block, shared_bytes, stream_of(ctx)>>>(static_cast<P>(arguments)...);
#endif
  return after_launch(name, grid, block, shared_bytes);
}
// A kernel with template arguments stands in brackets: LAUNCH((copy<float, 4>), ...).
#define LAUNCH(kernel, grid, block, shared_bytes, ctx, ...) \
  launch(#kernel, kernel, grid, block, shared_bytes, ctx, __VA_ARGS__)

using half = __half;
using bfloat16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ __forceinline__ T from_float(float x) {
  if constexpr (std::is_same<T, float>::value) return x;
  if constexpr (std::is_same<T, half>::value) return __float2half_rn(x);
  if constexpr (std::is_same<T, bfloat16>::value) return __float2bfloat16_rn(x);
}

template <class T>
constexpr int WIDTH = 16 / int(sizeof(T));  // elements of a 16-byte access

template <class T, int N>
struct alignas(sizeof(T) * N) Packed {
  T element[N];
};

// N consecutive elements at p, as floats, in accesses of up to 16 bytes.
template <int N, class T>
__device__ __forceinline__ void load(float (&values)[N], const T* p) {
  constexpr int M = N < WIDTH<T> ? N : WIDTH<T>;
#pragma unroll
  for (int i = 0; i < N; i += M) {
#ifdef WB_SIMT
    simt::vector_read(p + i, M * sizeof(T));
#endif
    const Packed<T, M> packed = *reinterpret_cast<const Packed<T, M>*>(p + i);
#pragma unroll
    for (int j = 0; j < M; ++j) values[i + j] = to_float(packed.element[j]);
  }
}

template <int N, class T>
__device__ __forceinline__ void store(T* p, const float (&values)[N]) {
  constexpr int M = N < WIDTH<T> ? N : WIDTH<T>;
#pragma unroll
  for (int i = 0; i < N; i += M) {
#ifdef WB_SIMT
    simt::vector_write(p + i, M * sizeof(T));
#endif
    Packed<T, M> packed;
#pragma unroll
    for (int j = 0; j < M; ++j) packed.element[j] = from_float<T>(values[i + j]);
    *reinterpret_cast<Packed<T, M>*>(p + i) = packed;
  }
}

// 4 N bytes, as they are.
template <class T, class... W>
__device__ __forceinline__ void store_words(T* p, W... words) {
  constexpr int N = sizeof...(words);
#ifdef WB_SIMT
  simt::vector_write(p, 4 * N);
#endif
  *reinterpret_cast<Packed<uint32_t, N>*>(p) = {{words...}};
}

// ---- host side: from run-time values to templates

// f(T()) for the type that `dtype` names.
template <class F>
wb_status by_type(wb_dtype dtype, F f) {
  switch (dtype) {
    case WB_F32: return f(float());
    case WB_F16: return f(half());
    case WB_BF16: return f(bfloat16());
  }
  return fail(WB_UNSUPPORTED, "there is no type number %d", int(dtype));
}

inline bool aligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// f(integral_constant N): N = WIDTH<T> where rows of `columns` elements at all `pointers` can be read 16 bytes at a time,
// else 1.
template <class T, class F, class... P>
wb_status by_width(int64_t columns, F f, const P*... pointers) {
  if (columns % WIDTH<T> == 0 && (aligned16(pointers) && ...)) return f(std::integral_constant<int, WIDTH<T>>());
  return f(std::integral_constant<int, 1>());
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

#define RETURN_IF_FAILED(...)                                    \
  do {                                                           \
    if (const wb_status status = (__VA_ARGS__)) return status; \
  } while (0)
