// Sums and maxima over the threads of a group (a warp, or a block of whole warps), always in the same order.
#pragma once
#include "device.cuh"

struct Sum {
  template <class T>
  __device__ static __forceinline__ T of(T a, T b) {
    return a + b;
  }
};
struct Max {
  __device__ static __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
};

// The result in every lane of `width` neighbours.
template <class Op, int width = 32>
__device__ __forceinline__ float warp_reduce(float x) {
#pragma unroll
  for (int distance = width / 2; distance > 0; distance /= 2) x = Op::of(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}

// The result in every thread of a group of G threads that begins at a multiple of G: G is 32, or the block's size.
// scratch: G / 32 floats of shared memory, free again after the call.
template <class Op, int G>
__device__ __forceinline__ float group_reduce(float x, float* scratch) {
  static_assert(G % 32 == 0 && G <= 1024, "whole warps");
  x = warp_reduce<Op>(x);
  if constexpr (G > 32) {
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    x = scratch[0];
#pragma unroll
    for (int w = 1; w < G / 32; ++w) x = Op::of(x, scratch[w]);
    __syncthreads();
  }
  return x;
}

// Second stage of a column sum, after a kernel has left one partial row a block:
//   out[k][c] += sum over rows r of partial[(k * rows + r) * C + c], k = 0 .. 2; a null out[k] is passed over.
struct ColumnSums {
  float* out[3];
};
wb_status add_column_sums(wb_context* ctx, ColumnSums sums, int count, const float* partial, int rows, int64_t C);
