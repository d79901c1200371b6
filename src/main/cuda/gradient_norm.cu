// The l2 norm of all gradients and the factor for AdamW, left on the device. Reads n floats once: squares are added in
// float64, which neither overflows nor loses anything for 2^31 elements, and which is one DFMA an element: still bound by
// memory where float64 is 1/64 rate (110M elements: 0.4 ms of DFMA, 0.6 ms of memory on an RTX 3080). The sum is finite
// exactly where every gradient is. WB_REDUCE_BLOCKS partial sums, then one block adds them in a fixed order.
// A vector of a row that is not touched is left out of its thread's sum, which adding its 0 would not change.
#include "touched_rows.cuh"

namespace {

constexpr int THREADS = 256;
constexpr int VECTORS = 4;  // loads in flight a thread: with two blocks a multiprocessor, one would leave half of the bandwidth

template <int N>
__device__ __forceinline__ void add_squares(double& sum, const float (&x)[N]) {
#pragma unroll
  for (int j = 0; j < N; ++j) sum += double(x[j]) * double(x[j]);
}

// The vector at i, or 0 where it does not count.
template <int N>
__device__ __forceinline__ void load_counting(float (&x)[N], const float* g, int64_t i, const TouchedRows& rows) {
  if (rows.has<N>(i)) {
    load(x, g + i);
    return;
  }
#pragma unroll
  for (int j = 0; j < N; ++j) x[j] = 0;
}

// The block's sum in thread 0, by a tree over shared memory. scratch: THREADS doubles.
__device__ __forceinline__ double block_sum(double x, double* scratch) {
  scratch[threadIdx.x] = x;
  __syncthreads();
  for (int half_width = THREADS / 2; half_width > 0; half_width /= 2) {
    if (int(threadIdx.x) < half_width) scratch[threadIdx.x] += scratch[threadIdx.x + half_width];
    __syncthreads();
  }
  return scratch[0];
}

template <int N>
__global__ void __launch_bounds__(THREADS, 4)
    sum_squares(double* __restrict__ partial, const float* __restrict__ g, TouchedRows rows, int64_t n) {
  DYN_SMEM(double, scratch);
  double sum = 0;
  const int64_t step = int64_t(gridDim.x) * THREADS * N;
  int64_t i = (int64_t(blockIdx.x) * THREADS + threadIdx.x) * N;
  for (; i + (VECTORS - 1) * step + N <= n; i += VECTORS * step) {
    float x[VECTORS][N];
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) load_counting(x[v], g, i + v * step, rows);
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) add_squares(sum, x[v]);
  }
  for (; i < n; i += step) {
    if (i + N <= n) {
      float x[N];
      load_counting(x, g, i, rows);
      add_squares(sum, x);
    } else {  // behind the table, of whose rows vectors are whole
      for (int64_t j = i; j < n; ++j) sum += double(g[j]) * double(g[j]);
    }
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(THREADS, 4)
    finish_norm(float* __restrict__ stats, const double* __restrict__ partial, int blocks, const float* __restrict__ loss_scale,
                float max_norm) {
  DYN_SMEM(double, scratch);
  const double sum = block_sum(int(threadIdx.x) < blocks ? partial[threadIdx.x] : 0.0, scratch);
  if (threadIdx.x != 0) return;
  const float scale = loss_scale ? loss_scale[0] : 1.0f;
  const float norm = float(sqrt(sum) / double(scale));
  const float clip = max_norm > 0 ? fminf(1.0f, max_norm / (norm + 1e-6f)) : 1.0f;
  stats[0] = norm;
  stats[1] = clip / scale;
  stats[2] = sum <= 1.7976931348623157e308 ? 1.0f : 0.0f;  // false for a NaN
}

static_assert(WB_REDUCE_BLOCKS <= THREADS, "a thread to a partial sum");

}  // namespace

extern "C" wb_status wb_gradient_norm(wb_context* ctx, float* stats, float* workspace, const float* gradient,
                                      const uint8_t* touched, const float* loss_scale, float max_norm, int64_t n, int64_t R,
                                      int64_t width) {
  if (reinterpret_cast<uintptr_t>(workspace) % 8) return fail(WB_INVALID_ARGUMENT, "gradient_norm: workspace is not 8-byte aligned");
  double* const partial = reinterpret_cast<double*>(workspace);
  const int64_t wanted = ceil_div(n, THREADS * 4);
  const int blocks = int(wanted < WB_REDUCE_BLOCKS ? wanted : WB_REDUCE_BLOCKS);
  const size_t scratch = THREADS * sizeof(double);
  const TouchedRows rows = touched_rows(touched, R, width);
  if (blocks && aligned16(gradient) && whole_vectors(rows, 4)) {
    RETURN_IF_FAILED(LAUNCH((sum_squares<4>), dim3(blocks), THREADS, scratch, ctx, partial, gradient, rows, n));
  } else if (blocks) {
    RETURN_IF_FAILED(LAUNCH((sum_squares<1>), dim3(blocks), THREADS, scratch, ctx, partial, gradient, rows, n));
  }
  return LAUNCH(finish_norm, dim3(1), THREADS, scratch, ctx, stats, partial, blocks, loss_scale, max_norm);
}
