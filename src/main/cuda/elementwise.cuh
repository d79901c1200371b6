// The shape of the element-wise kernels on [rows, columns]. A thread owns N neighbouring columns and walks down the rows,
// so that what belongs to a column (bias, its gradient's sum) stays in registers and no index is divided. Blocks are
// blockDim.x vectors wide and blockDim.y rows high; narrow tensors get high blocks.
#pragma once
#include "device.cuh"

struct ElementwiseGrid {
  dim3 grid, block;
};

constexpr int ELEMENTWISE_THREADS = 128;
// Blocks that a multiprocessor holds at the least, the kernels' launch bounds; of those that sum columns, which have no more.
constexpr int ELEMENTWISE_BLOCKS = 4, SUMMING_BLOCKS = 6;

// max_rows: at most so many blocks down the rows, and no more than the device holds at once, as each leaves a row of sums;
// 0: as many as keep the device busy.
inline ElementwiseGrid elementwise_grid(wb_context* ctx, int64_t rows, int64_t columns, int N, int max_rows = 0) {
  const int64_t vectors = columns / N;
  unsigned x = 1;
  while (x < vectors && x < ELEMENTWISE_THREADS) x *= 2;
  const unsigned y = ELEMENTWISE_THREADS / x;
  const int64_t across = ceil_div(vectors, x);
  int64_t down = ceil_div(int64_t(processors(ctx)) * 32, across);
  if (max_rows) {
    const int64_t at_once = int64_t(processors(ctx)) * SUMMING_BLOCKS / across;
    down = at_once < 1 ? 1 : at_once > max_rows ? max_rows : at_once;
  }
  if (down > ceil_div(rows, y)) down = ceil_div(rows, y);
  if (down > 65535) down = 65535;
  return {dim3(unsigned(across), unsigned(down)), dim3(x, y)};
}

template <int N>
__device__ __forceinline__ int64_t first_column() {
  return (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * N;
}
__device__ __forceinline__ int64_t first_row() { return int64_t(blockIdx.y) * blockDim.y + threadIdx.y; }
__device__ __forceinline__ int64_t row_step() { return int64_t(gridDim.y) * blockDim.y; }
