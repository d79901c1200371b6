// The second stage of column sums. At most 3 * WB_REDUCE_BLOCKS * C floats are read, once; a block owns 32 columns, so that
// a warp reads 128 bytes of a row, and its 8 warps take every eighth row: enough loads in flight for so small a kernel.
#include "reduce.cuh"

namespace {

constexpr int COLUMNS = 32, WARPS = 8;

__global__ void __launch_bounds__(COLUMNS* WARPS)
    column_sums(ColumnSums sums, const float* __restrict__ partial, int rows, int64_t C) {
  DYN_SMEM(float, scratch);  // [WARPS, COLUMNS]
  const int x = threadIdx.x % COLUMNS, y = threadIdx.x / COLUMNS;
  const int64_t c = int64_t(blockIdx.x) * COLUMNS + x;
  float* const out = blockIdx.y == 0 ? sums.out[0] : blockIdx.y == 1 ? sums.out[1] : sums.out[2];  // no indexing: no stack
  if (!out) return;
  const float* from = partial + int64_t(blockIdx.y) * rows * C;
  float sum = 0;
  if (c < C) {
    for (int r = y; r < rows; r += WARPS) sum += from[r * C + c];
  }
  scratch[y * COLUMNS + x] = sum;
  __syncthreads();
  if (y > 0 || c >= C) return;
  for (int w = 1; w < WARPS; ++w) sum += scratch[w * COLUMNS + x];
  out[c] += sum;
}

}  // namespace

wb_status add_column_sums(wb_context* ctx, ColumnSums sums, int count, const float* partial, int rows, int64_t C) {
  return LAUNCH(column_sums, dim3(unsigned(ceil_div(C, COLUMNS)), count), COLUMNS * WARPS, COLUMNS * WARPS * sizeof(float),
                ctx, sums, partial, rows, C);
}
