// LayerNorm's row, held in registers: a group of G threads (a warp, or a block of 256) has a row of up to 32 * G columns,
// 32 a thread, as chunks of N neighbours; thread `lane` of the group owns columns (chunk * G + lane) * N + 0 .. N-1. Where
// no vectors fit (N = 1) it is 16 a thread: 32 single accesses in flight would not leave registers enough.
#pragma once
#include "dropout.cuh"
#include "reduce.cuh"

template <int N>
constexpr int ROW_VALUES = N == 1 ? 16 : 32;
constexpr int ROW_BLOCK = 128;  // threads of a block of warp-sized groups

template <int G>
constexpr int ROWS_PER_BLOCK = G == 32 ? ROW_BLOCK / 32 : 1;
template <int G>
constexpr int ROW_THREADS = G == 32 ? ROW_BLOCK : G;

// Blocks a multiprocessor shall hold: what the compiler may divide its registers by without spilling.
template <int G>
constexpr int FORWARD_BLOCKS = G == 32 ? 4 : 2;
template <int G>
constexpr int BACKWARD_BLOCKS = G == 32 ? 2 : 1;

template <int N>
struct Row {
  static constexpr int CHUNKS = ROW_VALUES<N> / N;
  float value[CHUNKS][N];
};

// f(chunk, first column) for the chunks that this thread has of a row of H columns.
template <int N, int G, class F>
__device__ __forceinline__ void for_chunks(int64_t H, F f) {
  const int lane = threadIdx.x % G;
#pragma unroll
  for (int chunk = 0; chunk < Row<N>::CHUNKS; ++chunk) {
    const int c = (chunk * G + lane) * N;
    if (c < H) f(chunk, c);
  }
}

struct Moments {
  float mean, rstd;
};

// Two passes over registers: the variance of a row far from 0 is as good as any.
template <int N, int G>
__device__ __forceinline__ Moments moments(const Row<N>& row, int64_t H, float eps, float* scratch) {
  float sum = 0;
  for_chunks<N, G>(H, [&](int chunk, int) {
#pragma unroll
    for (int i = 0; i < N; ++i) sum += row.value[chunk][i];
  });
  const float mean = group_reduce<Sum, G>(sum, scratch) / float(H);
  float squares = 0;
  for_chunks<N, G>(H, [&](int chunk, int) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const float centred = row.value[chunk][i] - mean;
      squares += centred * centred;
    }
  });
  return {mean, rsqrtf(group_reduce<Sum, G>(squares, scratch) / float(H) + eps)};
}

// row = its gradient through LayerNorm: given normalised values xhat and row = dy * gamma.
template <int N, int G>
__device__ __forceinline__ void layernorm_gradient(Row<N>& row, const Row<N>& xhat, float rstd, int64_t H, float* scratch) {
  float sum = 0, product = 0;
  for_chunks<N, G>(H, [&](int chunk, int) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      sum += row.value[chunk][i];
      product += row.value[chunk][i] * xhat.value[chunk][i];
    }
  });
  const float mean = group_reduce<Sum, G>(sum, scratch) / float(H);
  const float slope = group_reduce<Sum, G>(product, scratch) / float(H);
  for_chunks<N, G>(H, [&](int chunk, int) {
#pragma unroll
    for (int i = 0; i < N; ++i) row.value[chunk][i] = rstd * (row.value[chunk][i] - mean - xhat.value[chunk][i] * slope);
  });
}

// Sums of columns over the rows that a group has seen: adds the block's groups up and writes partial[blockIdx.x][H].
// scratch: ROWS_PER_BLOCK<G> * H floats where G is 32. All threads of the block must call it.
template <int N, int G>
__device__ __forceinline__ void store_partial(float* __restrict__ partial, const Row<N>& sums, int64_t H, float* scratch) {
  float* out = partial + int64_t(blockIdx.x) * H;
  if constexpr (G > 32) {
    for_chunks<N, G>(H, [&](int chunk, int c) { store(out + c, sums.value[chunk]); });
  } else {
    const int group = threadIdx.x / G;
    for_chunks<N, G>(H, [&](int chunk, int c) { store(scratch + group * H + c, sums.value[chunk]); });
    __syncthreads();
    for (int c = threadIdx.x; c < H; c += ROW_BLOCK) {
      float sum = scratch[c];
      for (int g = 1; g < ROWS_PER_BLOCK<G>; ++g) sum += scratch[g * H + c];
      out[c] = sum;
    }
    __syncthreads();
  }
}

// Shared bytes of a kernel that reduces over groups and, where `partials`, calls store_partial.
template <int G>
size_t row_scratch(int64_t H, bool partials) {
  if (G > 32) return G / 32 * sizeof(float);
  return partials ? ROWS_PER_BLOCK<G> * size_t(H) * sizeof(float) : 0;
}

// f(width, group) for rows of H columns of T.
template <class T, class F, class... P>
wb_status by_row(int64_t H, F f, const P*... pointers) {
  return by_width<T>(
      H,
      [&](auto width) {
        constexpr int64_t VALUES = ROW_VALUES<decltype(width)::value>;
        if (H <= 32 * VALUES) return f(width, std::integral_constant<int, 32>());
        if (H <= 256 * VALUES) return f(width, std::integral_constant<int, 256>());
        return fail(WB_UNSUPPORTED, "rows of %lld columns; LayerNorm holds up to %lld (8192 where rows are whole multiples of "
                    "16 bytes, aligned so)", (long long)H, (long long)(256 * VALUES));
      },
      pointers...);
}
