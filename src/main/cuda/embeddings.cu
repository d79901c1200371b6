// y = dropout(layernorm(word[tokens] + position[positions] + segment[segments])) and the gradients of the three tables.
// Forward: gathers 3 T*H floats (the tables of position and segment stay in L2), writes T*H elements; the row stays in
// registers. The sum is not kept: the backward gathers it again, which costs as much as reading it would.
// Backward: reads T*H of dy and gathers 3 T*H floats, writes dz as T*H floats; then each table adds up the rows of dz:
//   word, position: the rows of one entry are neighbours in the sorted order, so the block of the run's first row owns the
//     entry: a fixed order, no atomics. T*H floats read, and as many entries read and written as are in use.
//   segment: S is 2 and each has half of all rows, too many for one owner: two stages as for gamma and beta, two segments
//     to a pass.
// A number outside of its table gives a row of NaN forward, and is passed over backward.
#include "layernorm.cuh"

namespace {

struct Tables {
  const float *word, *position, *segment;
  const int32_t *tokens, *positions, *segments;
  int64_t V, P, S;
};

__device__ __forceinline__ bool within(int64_t i, int64_t n) { return i >= 0 && i < n; }

template <int N, int G>
__device__ __forceinline__ void load_sum(Row<N>& row, const Tables& tables, int64_t t, int64_t H) {
  const int64_t token = tables.tokens[t], position = tables.positions[t], segment = tables.segments[t];
  const bool valid = within(token, tables.V) && within(position, tables.P) && within(segment, tables.S);
  for_chunks<N, G>(H, [&](int chunk, int c) {
    float(&v)[N] = row.value[chunk];
    if (!valid) {
#pragma unroll
      for (int i = 0; i < N; ++i) v[i] = NAN;
      return;
    }
    float p[N], s[N];
    load(v, tables.word + token * H + c);
    load(p, tables.position + position * H + c);
    load(s, tables.segment + segment * H + c);
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] += p[i] + s[i];
  });
}

template <class T, int N, int G>
__global__ void __launch_bounds__(ROW_THREADS<G>, FORWARD_BLOCKS<G>)
    embeddings_forward(T* __restrict__ y, float* __restrict__ mean, float* __restrict__ rstd, Tables tables,
                       const float* __restrict__ gamma, const float* __restrict__ beta, float eps, Dropout dropout,
                       int64_t rows, int64_t H) {
  DYN_SMEM(float, scratch);
  const int64_t t = int64_t(blockIdx.x) * ROWS_PER_BLOCK<G> + threadIdx.x / G;
  if (t >= rows) return;
  const int64_t mask_row = dropout_row(dropout, t) * H;
  Row<N> row;
  load_sum<N, G>(row, tables, t, H);
  const Moments m = moments<N, G>(row, H, eps, scratch);
  if (threadIdx.x % G == 0) {
    mean[t] = m.mean;
    rstd[t] = m.rstd;
  }
  for_chunks<N, G>(H, [&](int chunk, int c) {
    float scale[N], shift[N], out[N];
    load(scale, gamma + c);
    load(shift, beta + c);
#pragma unroll
    for (int i = 0; i < N; ++i) out[i] = (row.value[chunk][i] - m.mean) * m.rstd * scale[i] + shift[i];
    apply_dropout(out, dropout, uint64_t(mask_row + c));
    store(y + t * H + c, out);
  });
}

template <class T, int N, int G>
__global__ void __launch_bounds__(ROW_THREADS<G>, BACKWARD_BLOCKS<G>)
    embeddings_backward(float* __restrict__ dz, float* __restrict__ partial, const T* __restrict__ dy,
                        const float* __restrict__ mean, const float* __restrict__ rstd, Tables tables,
                        const float* __restrict__ gamma, Dropout dropout, int64_t rows, int64_t H) {
  DYN_SMEM(float, scratch);
  Row<N> dgamma = {}, dbeta = {};
  const int64_t step = int64_t(gridDim.x) * ROWS_PER_BLOCK<G>;
  for (int64_t t = int64_t(blockIdx.x) * ROWS_PER_BLOCK<G> + threadIdx.x / G; t < rows; t += step) {
    const float m = mean[t], r = rstd[t];
    const int64_t mask_row = dropout_row(dropout, t) * H;
    Row<N> row, xhat;
    load_sum<N, G>(xhat, tables, t, H);
    for_chunks<N, G>(H, [&](int chunk, int c) {
      float(&g)[N] = row.value[chunk];
      float scale[N];
      load(g, dy + t * H + c);
      apply_dropout(g, dropout, uint64_t(mask_row + c));
      load(scale, gamma + c);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float normal = (xhat.value[chunk][i] - m) * r;
        dgamma.value[chunk][i] += g[i] * normal;
        dbeta.value[chunk][i] += g[i];
        xhat.value[chunk][i] = normal;
        g[i] *= scale[i];
      }
    });
    layernorm_gradient<N, G>(row, xhat, r, H, scratch);
    for_chunks<N, G>(H, [&](int chunk, int c) { store(dz + t * H + c, row.value[chunk]); });
  }
  store_partial<N, G>(partial, dgamma, H, scratch);
  store_partial<N, G>(partial + int64_t(gridDim.x) * H, dbeta, H, scratch);
}

constexpr int TABLE_THREADS = 128, RUN_THREADS = 256;

// Where the run of `entry` ends that holds order[first], rows being sorted: steps double until one leaves it, then halve. A
// run of thousands, such as that of [MASK], is not walked through.
__device__ __forceinline__ int64_t end_of_run(const int32_t* __restrict__ entries, const int32_t* __restrict__ order,
                                              int32_t entry, int64_t first, int64_t rows) {
  auto inside = [&](int64_t i) { return i < rows && entries[order[i]] == entry; };
  int64_t last = first, step = 1;
  for (; inside(last + step); step *= 2) last += step;
  for (step /= 2; step > 0; step /= 2) {
    if (inside(last + step)) last += step;
  }
  return last + 1;
}

// table[entry] += sum of dz over the run of rows of `entry` that begins at order[blockIdx.x]; other blocks leave. touched: null, or
// a byte for each entry, 1 = for those of the rows.
template <int N>
__global__ void __launch_bounds__(RUN_THREADS)
    add_runs(float* __restrict__ table, uint8_t* __restrict__ touched, const float* __restrict__ dz, const int32_t* __restrict__ entries,
             const int32_t* __restrict__ order, int64_t rows, int64_t H, int64_t size) {
  const int64_t first = blockIdx.x;
  const int32_t entry = entries[order[first]];
  if (!within(entry, size) || (first > 0 && entries[order[first - 1]] == entry)) return;
  if (touched && threadIdx.x == 0) touched[entry] = 1;
  const int64_t end = end_of_run(entries, order, entry, first, rows);
  for (int64_t c = int64_t(threadIdx.x) * N; c < H; c += RUN_THREADS * N) {
    float sum[N] = {}, sums[N];
#pragma unroll 8
    for (int64_t i = first; i < end; ++i) {
      float x[N];
      load(x, dz + int64_t(order[i]) * H + c);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += x[j];
    }
    float* const to = table + int64_t(entry) * H + c;
    load(sums, to);
#pragma unroll
    for (int j = 0; j < N; ++j) sums[j] += sum[j];
    store(to, sums);
  }
}

// partial[k][blockIdx.y][c] = sum of dz over rows blockIdx.y, + gridDim.y, ... of segment first + k, for k = 0, 1.
__global__ void __launch_bounds__(TABLE_THREADS)
    sum_two_segments(float* __restrict__ partial, const float* __restrict__ dz, const int32_t* __restrict__ segments,
                     int32_t first, int64_t rows, int64_t H) {
  const int64_t c = int64_t(blockIdx.x) * TABLE_THREADS + threadIdx.x;
  if (c >= H) return;
  float low = 0, high = 0;
#pragma unroll 4
  for (int64_t t = blockIdx.y; t < rows; t += gridDim.y) {
    const int32_t segment = segments[t];
    const float x = dz[t * H + c];  // of any segment: the load waits for nothing
    low += segment == first ? x : 0.0f;
    high += segment == first + 1 ? x : 0.0f;
  }
  partial[int64_t(blockIdx.y) * H + c] = low;
  partial[int64_t(gridDim.y + blockIdx.y) * H + c] = high;
}

}  // namespace

extern "C" wb_status wb_embeddings_forward(wb_context* ctx, wb_dtype dtype, void* y, float* mean, float* rstd,
                                           const float* word, const float* position, const float* segment,
                                           const float* gamma, const float* beta, const int32_t* tokens,
                                           const int32_t* positions, const int32_t* segments, float eps, float dropout,
                                           int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
                                           int64_t H, int64_t V, int64_t P, int64_t S) {
  if (T == 0 || H == 0) return WB_OK;
  const Dropout d = make_dropout(dropout, site, rng, dropout_rows);
  const Tables tables = {word, position, segment, tokens, positions, segments, V, P, S};
  return by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return by_row<E>(
        H,
        [&](auto width, auto group) {
          constexpr int N = decltype(width)::value, G = decltype(group)::value;
          return LAUNCH((embeddings_forward<E, N, G>), dim3(unsigned(ceil_div(T, ROWS_PER_BLOCK<G>))), ROW_THREADS<G>,
                        row_scratch<G>(H, false), ctx, static_cast<E*>(y), mean, rstd, tables, gamma, beta, eps, d, T, H);
        },
        static_cast<const E*>(y), word, position, segment, gamma, beta);
  });
}

extern "C" wb_status wb_embeddings_backward(wb_context* ctx, wb_dtype dtype, float* dword, float* dposition,
                                            float* dsegment, float* dgamma, float* dbeta, uint8_t* touched,
                                            float* workspace, const void* dy, const float* mean, const float* rstd, const float* word, const float* position,
                                            const float* segment, const float* gamma, const int32_t* tokens,
                                            const int32_t* positions, const int32_t* segments, const int32_t* word_order,
                                            const int32_t* position_order, float dropout, int32_t site, const int64_t* rng,
                                            const int32_t* dropout_rows, int64_t T, int64_t H, int64_t V, int64_t P,
                                            int64_t S) {
  if (T == 0 || H == 0) return WB_OK;
  const Dropout d = make_dropout(dropout, site, rng, dropout_rows);
  const Tables tables = {word, position, segment, tokens, positions, segments, V, P, S};
  float* const dz = workspace;
  float* const partial = workspace + T * H;  // [2, blocks, H]
  int blocks = 0;
  RETURN_IF_FAILED(by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return by_row<E>(
        H,
        [&](auto width, auto group) {
          constexpr int N = decltype(width)::value, G = decltype(group)::value;
          const int64_t wanted = ceil_div(T, ROWS_PER_BLOCK<G>);
          blocks = int(wanted < WB_REDUCE_BLOCKS ? wanted : WB_REDUCE_BLOCKS);
          return LAUNCH((embeddings_backward<E, N, G>), dim3(blocks), ROW_THREADS<G>, row_scratch<G>(H, true), ctx, dz,
                        partial, static_cast<const E*>(dy), mean, rstd, tables, gamma, d, T, H);
        },
        static_cast<const E*>(dy), word, position, segment, gamma, workspace);
  }));
  RETURN_IF_FAILED(add_column_sums(ctx, {{dgamma, dbeta, nullptr}}, 2, partial, blocks, H));

  auto add_to_table = [&](float* table, uint8_t* marks, const int32_t* entries, const int32_t* order, int64_t size) {
    return by_width<float>(
        H,
        [&](auto width) {
          return LAUNCH(add_runs<decltype(width)::value>, dim3(unsigned(T)), RUN_THREADS, 0, ctx, table, marks, dz, entries, order, T, H, size);
        },
        static_cast<const float*>(table), static_cast<const float*>(dz));
  };
  RETURN_IF_FAILED(add_to_table(dword, touched, tokens, word_order, V));
  RETURN_IF_FAILED(add_to_table(dposition, nullptr, positions, position_order, P));
  const int rows = int(T < WB_REDUCE_BLOCKS ? T : WB_REDUCE_BLOCKS);
  for (int64_t s = 0; s < S; s += 2) {
    RETURN_IF_FAILED(LAUNCH(sum_two_segments, dim3(unsigned(ceil_div(H, TABLE_THREADS)), rows), TABLE_THREADS, 0, ctx,
                            partial, dz, segments, int32_t(s), T, H));
    float* const second = s + 1 < S ? dsegment + (s + 1) * H : nullptr;
    RETURN_IF_FAILED(add_column_sums(ctx, {{dsegment + s * H, second, nullptr}}, 2, partial, rows, H));
  }
  return WB_OK;
}
