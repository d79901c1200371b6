// Attention in float32, the reference of the other precisions: the same walk over tiles and the same arithmetic as in
// attention_forward.cu and attention_backward.cu, with plain FMAs in place of tensor cores (TF32 would keep 10 bits).
// A block of 128 threads owns 32 rows of a head: thread (y, x) = (tid / 8, tid % 8) computes scores of rows 2y, 2y+1 and of
// columns x, x+8, x+16, x+24 of a tile, and D / 8 columns of the result for its two rows; 8 neighbouring lanes share a row,
// so that its maximum and sum need shuffles only, and its probabilities pass through shared memory inside a warp.
#include "attention.cuh"

namespace {

constexpr int TILE = 32;
constexpr int P_STRIDE = TILE + 4;

template <int D>
constexpr int STRIDE = D + 4;  // keeps float4 reads of 8 rows in different banks

__device__ __forceinline__ int own_y() { return threadIdx.x / 8; }
__device__ __forceinline__ int own_x() { return threadIdx.x % 8; }

template <int D, class V>
__device__ __forceinline__ void load_rows(float* tile, const float* rows, int64_t stride, V valid) {
  for (int i = threadIdx.x; i < TILE * (D / 4); i += ATTENTION_THREADS) {
    const int row = i / (D / 4), c = i % (D / 4) * 4;
    float v[4] = {};
    if (valid(row)) load(v, rows + row * stride + c);
    store(tile + row * STRIDE<D> + c, v);
  }
}

// s[i][j] = left row 2y + i times right row x + 8 j.
template <int D>
__device__ __forceinline__ void dot_rows(float (&s)[2][4], const float* left, const float* right) {
#pragma unroll
  for (int j = 0; j < 4; ++j) s[0][j] = s[1][j] = 0;
#pragma unroll 4
  for (int d = 0; d < D; d += 4) {
    float a[2][4];
    load(a[0], left + 2 * own_y() * STRIDE<D> + d);
    load(a[1], left + (2 * own_y() + 1) * STRIDE<D> + d);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float b[4];
      load(b, right + (own_x() + 8 * j) * STRIDE<D> + d);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s[0][j] += a[0][e] * b[e];
        s[1][j] += a[1][e] * b[e];
      }
    }
  }
}

// o[i] += p row 2y + i times the tile; p is first written by the lanes that read it. Columns 4x + 32c .. + 3.
template <int D>
__device__ __forceinline__ void add_product(float (&o)[2][D / 32][4], const float (&p)[2][4], float* p_tile, const float* tile) {
  __syncwarp();  // the last product has been read
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) p_tile[(2 * own_y() + i) * P_STRIDE + own_x() + 8 * j] = p[i][j];
  }
  __syncwarp();
#pragma unroll 4
  for (int row = 0; row < TILE; ++row) {
    const float low = p_tile[2 * own_y() * P_STRIDE + row], high = p_tile[(2 * own_y() + 1) * P_STRIDE + row];
#pragma unroll
    for (int c = 0; c < D / 32; ++c) {
      float b[4];
      load(b, tile + row * STRIDE<D> + 4 * own_x() + 32 * c);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        o[0][c][e] += low * b[e];
        o[1][c][e] += high * b[e];
      }
    }
  }
}

template <int D>
__device__ __forceinline__ void store_result(float* row, const float (&o)[D / 32][4], float factor) {
#pragma unroll
  for (int c = 0; c < D / 32; ++c) {
    float v[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = o[c][e] * factor;
    store(row + 4 * own_x() + 32 * c, v);
  }
}

// Numbers 0 and 1: of a query's scores with an even key and with the next.
__device__ __forceinline__ wb_philox_words draw_scores(const Attention& a, const Masks& masks, int64_t mask_row, int query, int key) {
  const uint64_t tiles = wb_score_tiles(mask_row + query / 16 * 16, a.A, blockIdx.y);
  return to_front<2>(masks.draw(tiles | wb_score_block(query, key)), wb_score_number(query, key));
}

__device__ __forceinline__ bool stays(const Attention& a, const Masks& masks, int64_t mask_row, int query, int key) {
  return a.dropout.probability == 0 || masks.stays(draw_scores(a, masks, mask_row, query, key & ~1), key & 1);
}

template <int D>
__global__ void __launch_bounds__(ATTENTION_THREADS, 3)
    attention_forward(float* __restrict__ out, float* __restrict__ lse, const float* __restrict__ qkv, Attention a) {
  DYN_SMEM(float, q_tile);
  float* const k_tile = q_tile + TILE * STRIDE<D>;
  float* const v_tile = k_tile + TILE * STRIDE<D>;
  float* const p_tile = v_tile + TILE * STRIDE<D>;
  const int head = blockIdx.y, first = blockIdx.x * TILE;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.queries) return;
  const int64_t stride = 3 * a.A * D;
  const float* const q = qkv + sequence.begin * stride + head * D;
  const float* const k = q + a.A * D;
  const float* const v = k + a.A * D;

  load_rows<D>(q_tile, q + first * stride, stride, [&](int row) { return first + row < sequence.queries; });
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);
  float o[2][D / 32][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  for (int key = 0; key < sequence.length; key += TILE) {
    auto visible = [&](int row) { return key_visible(a, sequence, key + row); };
    __syncthreads();  // the last tile is no longer read
    load_rows<D>(k_tile, k + key * stride, stride, visible);
    load_rows<D>(v_tile, v + key * stride, stride, visible);
    __syncthreads();
    float s[2][4];
    dot_rows<D>(s, q_tile, k_tile);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float top = maximum[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = visible(own_x() + 8 * j) ? s[i][j] * a.scale : -INFINITY;
        top = fmaxf(top, s[i][j]);
      }
      top = warp_reduce<Max, 8>(top);
      const float origin = top == -INFINITY ? 0.0f : top;
      const float shrink = expf(maximum[i] - origin);
      maximum[i] = top;
      sum[i] *= shrink;
#pragma unroll
      for (int c = 0; c < D / 32; ++c) {
#pragma unroll
        for (int e = 0; e < 4; ++e) o[i][c][e] *= shrink;
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = expf(s[i][j] - origin);
        sum[i] += s[i][j];
        if (!stays(a, masks, mask_row, first + 2 * own_y() + i, key + own_x() + 8 * j)) s[i][j] = 0;
      }
    }
    add_product<D>(o, s, p_tile, v_tile);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float total = warp_reduce<Sum, 8>(sum[i]);
    const int query = first + 2 * own_y() + i;
    if (query >= sequence.queries) continue;
    store_result<D>(out + (sequence.begin + query) * a.A * D + head * D, o[i], total == 0 ? 0.0f : a.dropout.scale / total);
    if (lse && own_x() == 0) lse[head * a.T + sequence.begin + query] = total == 0 ? -INFINITY : maximum[i] + logf(total);
  }
}

// dk and dv of 32 keys: scores are transposed, rows are keys and columns queries.
template <int D>
__global__ void __launch_bounds__(ATTENTION_THREADS, 3)
    key_gradient(float* __restrict__ dqkv, const float* __restrict__ delta, const float* __restrict__ dout,
                 const float* __restrict__ lse, const float* __restrict__ qkv, Attention a) {
  DYN_SMEM(float, k_tile);
  float* const v_tile = k_tile + TILE * STRIDE<D>;
  float* const q_tile = v_tile + TILE * STRIDE<D>;
  float* const dout_tile = q_tile + TILE * STRIDE<D>;
  float* const p_tile = dout_tile + TILE * STRIDE<D>;
  const int head = blockIdx.y, first = blockIdx.x * TILE;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.length) return;
  const int64_t stride = 3 * a.A * D, out_stride = a.A * D;
  const float* const q = qkv + sequence.begin * stride + head * D;
  const float* const k = q + a.A * D;
  const float* const v = k + a.A * D;
  const int64_t at = head * a.T + sequence.begin;
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);

  auto visible = [&](int row) { return key_visible(a, sequence, first + row); };
  load_rows<D>(k_tile, k + first * stride, stride, visible);
  load_rows<D>(v_tile, v + first * stride, stride, visible);
  float dk[2][D / 32][4] = {}, dv[2][D / 32][4] = {};
  for (int query = 0; query < sequence.queries; query += TILE) {
    auto valid = [&](int row) { return query + row < sequence.queries; };
    __syncthreads();
    load_rows<D>(q_tile, q + query * stride, stride, valid);
    load_rows<D>(dout_tile, dout + (sequence.begin + query) * out_stride + head * D, out_stride, valid);
    __syncthreads();
    float p[2][4], ds[2][4];
    dot_rows<D>(p, k_tile, q_tile);
    dot_rows<D>(ds, v_tile, dout_tile);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = own_x() + 8 * j;
      const float row_lse = valid(row) ? lse[at + query + row] : INFINITY, row_delta = valid(row) ? delta[at + query + row] : 0.0f;
      wb_philox_words words = {{~0u, ~0u, ~0u, ~0u}};
      if (a.dropout.probability > 0) words = draw_scores(a, masks, mask_row, query + row, first + 2 * own_y());
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int key = 2 * own_y() + i;
        const bool kept = masks.stays(words, i);
        const float probability = visible(key) ? expf(p[i][j] * a.scale - row_lse) : 0.0f;
        ds[i][j] = probability * ((kept ? ds[i][j] * a.dropout.scale : 0.0f) - row_delta);
        p[i][j] = kept ? probability : 0.0f;
      }
    }
    add_product<D>(dv, p, p_tile, dout_tile);
    add_product<D>(dk, ds, p_tile, q_tile);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int key = first + 2 * own_y() + i;
    if (key >= sequence.length) continue;
    float* const row = dqkv + (sequence.begin + key) * stride + (a.A + head) * D;
    store_result<D>(row, dk[i], a.scale);
    store_result<D>(row + a.A * D, dv[i], a.dropout.scale);
  }
}

template <int D>
__global__ void __launch_bounds__(ATTENTION_THREADS, 3)
    query_gradient(float* __restrict__ dqkv, const float* __restrict__ delta, const float* __restrict__ dout,
                   const float* __restrict__ lse, const float* __restrict__ qkv, Attention a) {
  DYN_SMEM(float, q_tile);
  float* const dout_tile = q_tile + TILE * STRIDE<D>;
  float* const k_tile = dout_tile + TILE * STRIDE<D>;
  float* const v_tile = k_tile + TILE * STRIDE<D>;
  float* const p_tile = v_tile + TILE * STRIDE<D>;
  const int head = blockIdx.y, first = blockIdx.x * TILE;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.length) return;
  const int64_t stride = 3 * a.A * D, out_stride = a.A * D;
  if (first >= sequence.queries) return clear_rows<D>(dqkv + sequence.begin * stride + head * D, stride, first, min(first + TILE, sequence.length));
  const float* const q = qkv + sequence.begin * stride + head * D;
  const float* const k = q + a.A * D;
  const float* const v = k + a.A * D;

  auto valid = [&](int row) { return first + row < sequence.queries; };
  load_rows<D>(q_tile, q + first * stride, stride, valid);
  load_rows<D>(dout_tile, dout + (sequence.begin + first) * out_stride + head * D, out_stride, valid);
  float row_lse[2], row_delta[2];
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = 2 * own_y() + i;
    const int64_t at = head * a.T + sequence.begin + first + row;
    row_lse[i] = valid(row) ? lse[at] : INFINITY;
    row_delta[i] = valid(row) ? delta[at] : 0.0f;
  }
  float dq[2][D / 32][4] = {};
  for (int key = 0; key < sequence.length; key += TILE) {
    auto visible = [&](int row) { return key_visible(a, sequence, key + row); };
    __syncthreads();
    load_rows<D>(k_tile, k + key * stride, stride, visible);
    load_rows<D>(v_tile, v + key * stride, stride, visible);
    __syncthreads();
    float p[2][4], ds[2][4];
    dot_rows<D>(p, q_tile, k_tile);
    dot_rows<D>(ds, dout_tile, v_tile);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int column = own_x() + 8 * j;
      const bool seen = visible(column);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const bool kept = stays(a, masks, mask_row, first + 2 * own_y() + i, key + column);
        const float probability = seen ? expf(p[i][j] * a.scale - row_lse[i]) : 0.0f;
        ds[i][j] = probability * ((kept ? ds[i][j] * a.dropout.scale : 0.0f) - row_delta[i]);
      }
    }
    add_product<D>(dq, ds, p_tile, k_tile);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = first + 2 * own_y() + i;
    if (query < sequence.length) store_result<D>(dqkv + (sequence.begin + query) * stride + head * D, dq[i], a.scale);
  }
}

template <int D>
constexpr size_t shared_bytes(int tiles) {
  return (tiles * TILE * STRIDE<D> + TILE * P_STRIDE) * sizeof(float);
}

template <int D>
wb_status backward(wb_context* ctx, float* dqkv, const float* delta, const float* dout, const float* lse, const float* qkv,
                   const Attention& a, dim3 grid) {
  RETURN_IF_FAILED(LAUNCH((key_gradient<D>), grid, ATTENTION_THREADS, shared_bytes<D>(4), ctx, dqkv, delta, dout, lse, qkv, a));
  return LAUNCH((query_gradient<D>), grid, ATTENTION_THREADS, shared_bytes<D>(4), ctx, dqkv, delta, dout, lse, qkv, a);
}

dim3 grid_of(const Attention& a, int rows, int64_t B) {
  return dim3(unsigned(ceil_div(rows, TILE)), unsigned(a.A), unsigned(B));
}

}  // namespace

wb_status attention_forward_f32(wb_context* ctx, float* out, float* lse, const float* qkv, const Attention& a, int64_t B,
                                int64_t D) {
  const dim3 grid = grid_of(a, a.queries, B);
  if (D == 64) return LAUNCH((attention_forward<64>), grid, ATTENTION_THREADS, shared_bytes<64>(3), ctx, out, lse, qkv, a);
  return LAUNCH((attention_forward<32>), grid, ATTENTION_THREADS, shared_bytes<32>(3), ctx, out, lse, qkv, a);
}

wb_status attention_backward_f32(wb_context* ctx, float* dqkv, const float* delta, const float* dout, const float* lse,
                                 const float* qkv, const Attention& a, int64_t B, int64_t D) {
  const dim3 grid = grid_of(a, a.max_seqlen, B);
  return D == 64 ? backward<64>(ctx, dqkv, delta, dout, lse, qkv, a, grid) : backward<32>(ctx, dqkv, delta, dout, lse, qkv, a, grid);
}
