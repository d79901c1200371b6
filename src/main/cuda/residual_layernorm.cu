// z = dropout(x + bias) + residual; y = layernorm(z), and the gradient.
// Forward: reads 2 T*H, writes 2 T*H elements (z and y), nothing twice: the row stays in registers between its three uses.
// Backward: reads 2 T*H (dy, z), writes 2 T*H (dx, dresidual); the sums for dgamma, dbeta and dbias stay in registers over
// all rows of a group: at most WB_REDUCE_BLOCKS partial rows each, then add_column_sums. About 15 flops an element: memory
// is the limit. A warp to a row up to 1,024 columns, so that no barrier is needed; beyond, a block of 256.
#include "layernorm.cuh"

namespace {

// Rounded as the tensor that holds it, so that the statistics are those of what the backward reads.
template <class T>
__device__ __forceinline__ float rounded(float x) {
  return to_float(from_float<T>(x));
}

template <class T, int N, int G>
__global__ void __launch_bounds__(ROW_THREADS<G>, FORWARD_BLOCKS<G>)
    residual_layernorm_forward(T* y, T* z, float* __restrict__ mean, float* __restrict__ rstd, const T* x,
                               const float* __restrict__ bias, const T* residual, const float* __restrict__ gamma,
                               const float* __restrict__ beta, float eps, Dropout dropout, int64_t rows, int64_t H) {
  DYN_SMEM(float, scratch);
  const int64_t t = int64_t(blockIdx.x) * ROWS_PER_BLOCK<G> + threadIdx.x / G;
  if (t >= rows) return;  // a whole group at once
  const int64_t mask_row = dropout_row(dropout, t) * H;

  Row<N> row;
  for_chunks<N, G>(H, [&](int chunk, int c) {
    float(&v)[N] = row.value[chunk];
    load(v, x + t * H + c);
    if (bias) {
      float b[N];
      load(b, bias + c);
#pragma unroll
      for (int i = 0; i < N; ++i) v[i] += b[i];
    }
    apply_dropout(v, dropout, uint64_t(mask_row + c));
    if (residual) {
      float r[N];
      load(r, residual + t * H + c);
#pragma unroll
      for (int i = 0; i < N; ++i) v[i] += r[i];
    }
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = rounded<T>(v[i]);
    if (z) store(z + t * H + c, v);
  });

  const Moments m = moments<N, G>(row, H, eps, scratch);
  if (mean && threadIdx.x % G == 0) {
    mean[t] = m.mean;
    rstd[t] = m.rstd;
  }
  for_chunks<N, G>(H, [&](int chunk, int c) {
    float scale[N], shift[N], out[N];
    load(scale, gamma + c);
    load(shift, beta + c);
#pragma unroll
    for (int i = 0; i < N; ++i) out[i] = (row.value[chunk][i] - m.mean) * m.rstd * scale[i] + shift[i];
    store(y + t * H + c, out);
  });
}

template <class T, int N, int G>
__global__ void __launch_bounds__(ROW_THREADS<G>, BACKWARD_BLOCKS<G>)
    residual_layernorm_backward(T* dx, T* dresidual, float* __restrict__ partial, bool sum_bias, const T* dy,
                                const T* __restrict__ z, const float* __restrict__ mean, const float* __restrict__ rstd,
                                const float* __restrict__ gamma, Dropout dropout, int64_t rows, int64_t H) {
  DYN_SMEM(float, scratch);
  Row<N> dgamma = {}, dbeta = {}, dbias = {};
  const int64_t step = int64_t(gridDim.x) * ROWS_PER_BLOCK<G>;
  for (int64_t t = int64_t(blockIdx.x) * ROWS_PER_BLOCK<G> + threadIdx.x / G; t < rows; t += step) {
    const float m = mean[t], r = rstd[t];
    const int64_t mask_row = dropout_row(dropout, t) * H;
    Row<N> row, xhat;
    for_chunks<N, G>(H, [&](int chunk, int c) {
      float scale[N];
      load(row.value[chunk], dy + t * H + c);
      load(xhat.value[chunk], z + t * H + c);
      load(scale, gamma + c);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float gradient = row.value[chunk][i], normal = (xhat.value[chunk][i] - m) * r;
        dgamma.value[chunk][i] += gradient * normal;
        dbeta.value[chunk][i] += gradient;
        xhat.value[chunk][i] = normal;
        row.value[chunk][i] = gradient * scale[i];
      }
    });
    layernorm_gradient<N, G>(row, xhat, r, H, scratch);
    for_chunks<N, G>(H, [&](int chunk, int c) {
      float(&v)[N] = row.value[chunk];
      if (dresidual) store(dresidual + t * H + c, v);
      apply_dropout(v, dropout, uint64_t(mask_row + c));
      store(dx + t * H + c, v);
#pragma unroll
      for (int i = 0; i < N; ++i) dbias.value[chunk][i] += v[i];
    });
  }
  const int64_t array = int64_t(gridDim.x) * H;
  store_partial<N, G>(partial, dgamma, H, scratch);
  store_partial<N, G>(partial + array, dbeta, H, scratch);
  if (sum_bias) store_partial<N, G>(partial + 2 * array, dbias, H, scratch);
}

}  // namespace

extern "C" wb_status wb_residual_layernorm_forward(wb_context* ctx, wb_dtype dtype, void* y, void* z, float* mean,
                                                   float* rstd, const void* x, const float* bias, const void* residual,
                                                   const float* gamma, const float* beta, float eps, float dropout,
                                                   int32_t site, const int64_t* rng, const int32_t* dropout_rows,
                                                   int64_t T, int64_t H) {
  if (T == 0 || H == 0) return WB_OK;
  const Dropout d = make_dropout(dropout, site, rng, dropout_rows);
  return by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return by_row<E>(
        H,
        [&](auto width, auto group) {
          constexpr int N = decltype(width)::value, G = decltype(group)::value;
          return LAUNCH((residual_layernorm_forward<E, N, G>), dim3(unsigned(ceil_div(T, ROWS_PER_BLOCK<G>))), ROW_THREADS<G>,
                        row_scratch<G>(H, false), ctx, static_cast<E*>(y), static_cast<E*>(z), mean, rstd,
                        static_cast<const E*>(x), bias, static_cast<const E*>(residual), gamma, beta, eps, d, T, H);
        },
        static_cast<const E*>(y), static_cast<const E*>(z), static_cast<const E*>(x), static_cast<const E*>(residual), bias,
        gamma, beta);
  });
}

extern "C" wb_status wb_residual_layernorm_backward(wb_context* ctx, wb_dtype dtype, void* dx, void* dresidual, float* dbias,
                                                    float* dgamma, float* dbeta, float* workspace, const void* dy,
                                                    const void* z, const float* mean, const float* rstd,
                                                    const float* gamma, float dropout, int32_t site, const int64_t* rng,
                                                    const int32_t* dropout_rows, int64_t T, int64_t H) {
  if (T == 0 || H == 0) return WB_OK;
  const Dropout d = make_dropout(dropout, site, rng, dropout_rows);
  int blocks = 0;
  RETURN_IF_FAILED(by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return by_row<E>(
        H,
        [&](auto width, auto group) {
          constexpr int N = decltype(width)::value, G = decltype(group)::value;
          const int64_t wanted = ceil_div(T, ROWS_PER_BLOCK<G>);
          blocks = int(wanted < WB_REDUCE_BLOCKS ? wanted : WB_REDUCE_BLOCKS);
          return LAUNCH((residual_layernorm_backward<E, N, G>), dim3(blocks), ROW_THREADS<G>, row_scratch<G>(H, true), ctx,
                        static_cast<E*>(dx), static_cast<E*>(dresidual), workspace, dbias != nullptr,
                        static_cast<const E*>(dy), static_cast<const E*>(z), mean, rstd, gamma, d, T, H);
        },
        static_cast<const E*>(dx), static_cast<const E*>(dresidual), static_cast<const E*>(dy), static_cast<const E*>(z),
        gamma, workspace);
  }));
  return add_column_sums(ctx, {{dgamma, dbeta, dbias}}, 3, workspace, blocks, H);
}
