// The gradient of attention, from lse and delta = sum(dout * out) of each row and head (Dao 2023, algorithm 2), in three
// kernels, without atomics, so that the same inputs give the same bits:
//   delta:  reads out and dout once.
//   key_gradient: a block owns 64 keys of a head and walks over its queries. It computes the transposed scores
//           s^T = k q^T, so that p^T and ds^T lie in registers as the left operands of dv = p^T dout and dk = ds^T q.
//   query_gradient: a block owns 64 queries and walks over the keys: dq = ds k.
// The scores are computed twice: 14 n^2 D flops a head in place of 10, but dq needs neither float32 memory nor an order
// between blocks. Staging as in the forward, 33 KB, but tiles of 32 rows: the accumulators of 64 would not fit beside the
// fragments. key_gradient at D = 64 takes over 168 registers (two blocks a multiprocessor); held to 168 it spills 32 bytes.
#include "attention.cuh"

namespace {

constexpr int ROWS = 32;  // of a tile of the other side

// delta[head, t]; a lane takes 16 bytes of both, D / WIDTH neighbours make a row of a head.
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    sum_products(float* __restrict__ delta, const T* __restrict__ dout, const T* __restrict__ out, int64_t T_, int64_t A) {
  constexpr int LANES = D / WIDTH<T>;
  const int64_t i = int64_t(blockIdx.x) * ATTENTION_THREADS + threadIdx.x, row = i / LANES;
  float sum = 0;
  if (row < T_ * A) {
    float x[WIDTH<T>], y[WIDTH<T>];
    load(x, dout + i * WIDTH<T>);
    load(y, out + i * WIDTH<T>);
#pragma unroll
    for (int j = 0; j < WIDTH<T>; ++j) sum += x[j] * y[j];
  }
  sum = warp_reduce<Sum, LANES>(sum);
  if (row < T_ * A && i % LANES == 0) delta[row % A * T_ + row / A] = sum;
}

// The numbers of transposed scores: word w's lower half for key g and its upper for key g + 8, of query 2t, 2t + 1, 2t + 8 and
// 2t + 9. Both keys of a pair, four lanes apart, need halves of the same two blocks: one draws query 2t's, one 2t + 1's.
__device__ __forceinline__ wb_philox_words draw_transposed(const Masks& masks, uint64_t tiles) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const bool odd = g % 2;
  const wb_philox_words drawn = masks.draw(tiles | (4 * (2 * t + odd) + g / 2));
  const uint32_t own = odd ? 0x7632 : 0x5410, others = odd ? 0x5410 : 0x7632;  // upper halves of two words, or lower ones
  wb_philox_words words;
#pragma unroll
  for (int w = 0; w < 4; w += 2) {
    const uint32_t mine = __byte_perm(drawn.w[w], drawn.w[w + 1], own);
    const uint32_t received = __shfl_xor_sync(0xffffffffu, __byte_perm(drawn.w[w], drawn.w[w + 1], others), 4);
    words.w[w] = odd ? received : mine;
    words.w[w + 1] = odd ? mine : received;
  }
  return words;
}

template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    key_gradient(T* __restrict__ dqkv, const float* __restrict__ delta, const T* __restrict__ dout,
                 const float* __restrict__ lse, const T* __restrict__ qkv, Attention a) {
  DYN_SMEM(T, tiles);  // k and v, then two stages of q and dout; behind them of each stage lse and delta
  constexpr int OWN = OWN_ROWS * D, TILE = ROWS * D;
  float* const row_values = reinterpret_cast<float*>(tiles + 2 * OWN + 4 * TILE);
  const int head = blockIdx.y, first = blockIdx.x * OWN_ROWS;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.length) return;

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int stride = 3 * int(a.A) * D, out_stride = int(a.A) * D;
  const T* const q = qkv + sequence.begin * stride + head * D;
  const T* const k = q + a.A * D;
  const T* const v = k + a.A * D;
  const T* const dout_head = dout + sequence.begin * out_stride + head * D;
  const float* const lse_head = lse + head * a.T + sequence.begin;
  const float* const delta_head = delta + head * a.T + sequence.begin;
  const bool dropping = a.dropout.probability > 0;
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);

  auto load_queries = [&](int query, int stage) {
    auto valid = [&](int row) { return query + row < sequence.length; };
    load_tile<D, ROWS>(tiles + 2 * OWN + 2 * stage * TILE, q + int64_t(query) * stride, stride, valid);
    load_tile<D, ROWS>(tiles + 2 * OWN + (2 * stage + 1) * TILE, dout_head + int64_t(query) * out_stride, out_stride, valid);
    if (threadIdx.x < ROWS) {
      const bool ok = valid(threadIdx.x);
      const int row = ok ? query + threadIdx.x : 0;
      float* const values = row_values + stage * 2 * ROWS + threadIdx.x;
      values[0] = ok ? lse_head[row] * LOG2E : INFINITY;  // a query that isn't there: probability exp2(-inf)
      values[ROWS] = ok ? delta_head[row] : 0.0f;
    }
    cp_async_commit();
  };

  auto visible = [&](int row) { return key_visible(a, sequence, first + row); };
  load_tile<D, OWN_ROWS>(tiles, k + int64_t(first) * stride, stride, visible);
  load_tile<D, OWN_ROWS>(tiles + OWN, v + int64_t(first) * stride, stride, visible);
  load_queries(0, 0);
  const bool seen[2] = {visible(warp_row + g), visible(warp_row + g + 8)};
  const uint32_t key_blocks = (first + warp_row) / 16 * 32;

  uint32_t k_left[D / 16][4], v_left[D / 16][4];
  float dk[D / 8][4] = {}, dv[D / 8][4] = {};
  const float scale = a.scale * LOG2E;

  for (int query = 0, stage = 0; query < sequence.length; query += ROWS, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // this tile is here, and the other stage is no longer read
    if (query == 0) {
      load_left<D>(k_left, tiles, warp_row);
      load_left<D>(v_left, tiles + OWN, warp_row);
    }
    if (query + ROWS < sequence.length) load_queries(query + ROWS, stage ^ 1);
    const T* const q_tile = tiles + 2 * OWN + 2 * stage * TILE;
    const T* const dout_tile = q_tile + TILE;
    const float* const values = row_values + stage * 2 * ROWS;

    float p[ROWS / 8][4], dp[ROWS / 8][4];
    multiply_transposed<D, ROWS>(p, k_left, q_tile);
    multiply_transposed<D, ROWS>(dp, v_left, dout_tile);
    wb_philox_words words[ROWS / 16];
#pragma unroll
    for (int k = 0; k < ROWS / 16; ++k) {
      words[k] = {{~0u, ~0u, ~0u, ~0u}};
      if (dropping) words[k] = draw_transposed(masks, wb_score_tiles(mask_row + query + 16 * k, a.A, head) | key_blocks);
    }
#pragma unroll
    for (int j = 0; j < ROWS / 8; ++j) {
      float row_lse[2], row_delta[2];
      load(row_lse, values + 8 * j + 2 * t);
      load(row_delta, values + ROWS + 8 * j + 2 * t);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool stays = masks.stays(words[j / 2], j % 2 * 4 + i % 2 * 2 + i / 2);
        const float probability = seen[i / 2] ? fast_exp2(p[j][i] * scale - row_lse[i % 2]) : 0.0f;
        dp[j][i] = probability * ((stays ? dp[j][i] * a.dropout.scale : 0.0f) - row_delta[i % 2]);
        p[j][i] = stays ? probability : 0.0f;
      }
    }
    uint32_t left[ROWS / 16][4];
    to_left<T, ROWS>(left, p);
    multiply_add<D, ROWS>(dv, left, dout_tile);
    to_left<T, ROWS>(left, dp);
    multiply_add<D, ROWS>(dk, left, q_tile);
  }

  const int row = first + warp_row;
  T* const dk_rows = dqkv + (sequence.begin + row) * stride + (a.A + head) * D;
  store_rows<D>(dk_rows, stride, sequence.length - row, dk, a.scale, a.scale, tiles + warp_row * D);
  store_rows<D>(dk_rows + a.A * D, stride, sequence.length - row, dv, a.dropout.scale, a.dropout.scale,
                tiles + OWN + warp_row * D);
}

template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    query_gradient(T* __restrict__ dqkv, const float* __restrict__ delta, const T* __restrict__ dout,
                   const float* __restrict__ lse, const T* __restrict__ qkv, Attention a) {
  DYN_SMEM(T, tiles);  // q and dout, then two stages of k and v; behind them 2 x ROWS floats: 1 where a key is visible
  constexpr int OWN = OWN_ROWS * D, TILE = ROWS * D;
  float* const key_seen = reinterpret_cast<float*>(tiles + 2 * OWN + 4 * TILE);
  const int head = blockIdx.y, first = blockIdx.x * OWN_ROWS;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.length) return;

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int stride = 3 * int(a.A) * D, out_stride = int(a.A) * D;
  const T* const q = qkv + sequence.begin * stride + head * D;
  const T* const k = q + a.A * D;
  const T* const v = k + a.A * D;
  const bool dropping = a.dropout.probability > 0;
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);

  auto load_keys = [&](int key, int stage) {
    auto visible = [&](int row) { return key_visible(a, sequence, key + row); };
    load_tile<D, ROWS>(tiles + 2 * OWN + 2 * stage * TILE, k + int64_t(key) * stride, stride, visible);
    load_tile<D, ROWS>(tiles + 2 * OWN + (2 * stage + 1) * TILE, v + int64_t(key) * stride, stride, visible);
    if (threadIdx.x < ROWS) key_seen[stage * ROWS + threadIdx.x] = visible(threadIdx.x) ? 1.0f : 0.0f;
    cp_async_commit();
  };

  auto valid = [&](int row) { return first + row < sequence.length; };
  load_tile<D, OWN_ROWS>(tiles, q + int64_t(first) * stride, stride, valid);
  load_tile<D, OWN_ROWS>(tiles + OWN, dout + (sequence.begin + first) * out_stride + head * D, out_stride, valid);
  load_keys(0, 0);
  float row_lse[2], row_delta[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = warp_row + g + 8 * r;
    const int64_t at = head * a.T + sequence.begin + first + row;
    row_lse[r] = valid(row) ? lse[at] * LOG2E : INFINITY;
    row_delta[r] = valid(row) ? delta[at] : 0.0f;
  }
  const uint64_t tiles_drawn = wb_score_tiles(mask_row + first + warp_row, a.A, head) | lane;

  uint32_t q_left[D / 16][4], dout_left[D / 16][4];
  float dq[D / 8][4] = {};
  const float scale = a.scale * LOG2E;

  for (int key = 0, stage = 0; key < sequence.length; key += ROWS, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // this tile is here, and the other stage is no longer read
    if (key == 0) {
      load_left<D>(q_left, tiles, warp_row);
      load_left<D>(dout_left, tiles + OWN, warp_row);
    }
    if (key + ROWS < sequence.length) load_keys(key + ROWS, stage ^ 1);
    const T* const k_tile = tiles + 2 * OWN + 2 * stage * TILE;

    float p[ROWS / 8][4], ds[ROWS / 8][4];
    multiply_transposed<D, ROWS>(p, q_left, k_tile);
    multiply_transposed<D, ROWS>(ds, dout_left, k_tile + TILE);
    wb_philox_words words[ROWS / 16];
#pragma unroll
    for (int k = 0; k < ROWS / 16; ++k) {
      words[k] = {{~0u, ~0u, ~0u, ~0u}};
      if (dropping) words[k] = masks.draw(tiles_drawn | (key / 16 + k) * 32);
    }
#pragma unroll
    for (int j = 0; j < ROWS / 8; ++j) {
      float seen[2];
      load(seen, key_seen + stage * ROWS + 8 * j + 2 * t);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float probability = seen[i % 2] != 0 ? fast_exp2(p[j][i] * scale - row_lse[i / 2]) : 0.0f;
        const bool stays = masks.stays(words[j / 2], i / 2 * 4 + j % 2 * 2 + i % 2);
        ds[j][i] = probability * ((stays ? ds[j][i] * a.dropout.scale : 0.0f) - row_delta[i / 2]);
      }
    }
    uint32_t left[ROWS / 16][4];
    to_left<T, ROWS>(left, ds);
    multiply_add<D, ROWS>(dq, left, k_tile);
  }

  const int row = first + warp_row;
  store_rows<D>(dqkv + (sequence.begin + row) * stride + head * D, stride, sequence.length - row, dq, a.scale, a.scale,
                tiles + warp_row * D);
}

template <class T, int D>
wb_status sum_delta(wb_context* ctx, float* delta, const void* dout, const void* out, const Attention& a) {
  const int64_t threads = a.T * a.A * (D / WIDTH<T>);
  return LAUNCH((sum_products<T, D>), dim3(unsigned(ceil_div(threads, ATTENTION_THREADS))), ATTENTION_THREADS, 0, ctx, delta,
                static_cast<const T*>(dout), static_cast<const T*>(out), a.T, a.A);
}

template <class T, int D>
wb_status backward(wb_context* ctx, void* dqkv, float* delta, const void* dout, const void* out, const float* lse,
                   const void* qkv, const Attention& a, int64_t B, int64_t max_seqlen) {
  RETURN_IF_FAILED(sum_delta<T, D>(ctx, delta, dout, out, a));
  const dim3 grid(unsigned(ceil_div(max_seqlen, OWN_ROWS)), unsigned(a.A), unsigned(B));
  const size_t tiles = (2 * OWN_ROWS + 4 * ROWS) * D * sizeof(T);
  RETURN_IF_FAILED(LAUNCH((key_gradient<T, D>), grid, ATTENTION_THREADS, tiles + 4 * ROWS * sizeof(float), ctx,
                          static_cast<T*>(dqkv), delta, static_cast<const T*>(dout), lse, static_cast<const T*>(qkv), a));
  return LAUNCH((query_gradient<T, D>), grid, ATTENTION_THREADS, tiles + 2 * ROWS * sizeof(float), ctx, static_cast<T*>(dqkv),
                delta, static_cast<const T*>(dout), lse, static_cast<const T*>(qkv), a);
}

}  // namespace

extern "C" wb_status wb_attention_backward(wb_context* ctx, wb_dtype dtype, void* dqkv, float* workspace, const void* dout,
                                           const void* out, const float* lse, const void* qkv, const int32_t* cu_seqlens,
                                           const uint8_t* key_mask, float scale, float dropout, int32_t site,
                                           const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t B, int64_t A,
                                           int64_t D, int64_t max_seqlen) {
  RETURN_IF_FAILED(check_attention("attention_backward", scale, B, A, D, max_seqlen));
  if (T == 0 || B == 0 || A == 0 || max_seqlen == 0) return WB_OK;
  if (!aligned16(dqkv) || !aligned16(dout) || !aligned16(out) || !aligned16(qkv)) {
    return fail(WB_INVALID_ARGUMENT, "attention_backward: dqkv, dout, out and qkv must be 16-byte aligned");
  }
  const Attention a = {cu_seqlens, key_mask, scale, make_dropout(dropout, site, rng, dropout_rows), T, A};
  switch (dtype) {
    case WB_F32:
      RETURN_IF_FAILED(D == 64 ? sum_delta<float, 64>(ctx, workspace, dout, out, a)
                               : sum_delta<float, 32>(ctx, workspace, dout, out, a));
      return attention_backward_f32(ctx, static_cast<float*>(dqkv), workspace, static_cast<const float*>(dout), lse,
                                    static_cast<const float*>(qkv), a, B, D, max_seqlen);
    case WB_F16:
      return D == 64 ? backward<half, 64>(ctx, dqkv, workspace, dout, out, lse, qkv, a, B, max_seqlen)
                     : backward<half, 32>(ctx, dqkv, workspace, dout, out, lse, qkv, a, B, max_seqlen);
    case WB_BF16:
      return D == 64 ? backward<bfloat16, 64>(ctx, dqkv, workspace, dout, out, lse, qkv, a, B, max_seqlen)
                     : backward<bfloat16, 32>(ctx, dqkv, workspace, dout, out, lse, qkv, a, B, max_seqlen);
  }
  return fail(WB_UNSUPPORTED, "attention_backward: there is no type number %d", int(dtype));
}
