// The gradients of keys and values; and, WHOLE, that of queries in the same pass. A block has 16 keys a warp and walks over the
// queries in tiles of 32. It computes the transposed scores s^T = k q^T, so that p^T and ds^T lie in registers as the left operands
// of dv = p^T dout and dk = ds^T q.
//   WHOLE: the block owns all keys of a head of a sequence, 16 WARPS at a time. The warps leave ds^T in shared memory, and behind the
//     next barrier, beside the next tile's products, each adds its share of ds k to 16 columns of dq, which lies in shared memory as
//     the accumulators lie in lanes: what a lane adds to is its own. Keys come in order, so the sum is one sequence of additions.
//     The block also computes delta, since it has all its rows, and the sums of dq, dk and dv over them, for the gradient of their
//     bias. 10 n^2 D flops a head.
//   Else it owns 16 WARPS keys, and finds delta there.
#pragma once
#include "attention.cuh"

constexpr int KEY_GRADIENT_QUERIES = 32;  // of a tile

// Shared memory of a block: k and v, two stages of q and dout, of lse and delta; WHOLE: two stages of ds^T, and dq where keys come in
// several turns.
template <class T, int D, int WARPS, bool WHOLE>
constexpr size_t key_gradient_bytes(int64_t max_seqlen) {
  constexpr size_t KEYS = 16 * WARPS, QUERIES = KEY_GRADIENT_QUERIES;
  const size_t staged = (2 * KEYS + 4 * QUERIES) * D * sizeof(T) + 4 * QUERIES * sizeof(float);
  if (!WHOLE) return staged;
  const size_t tiles = max_seqlen > int64_t(KEYS) ? size_t(max_seqlen + QUERIES - 1) / QUERIES : 0;
  return staged + 2 * KEYS * QUERIES * sizeof(T) + tiles * QUERIES * D * sizeof(float);
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

// The sum of dout * out over a row of a head, of which every lane brings 16 bytes; 0 where not valid.
template <class T, int D>
__device__ __forceinline__ float row_product(const T* dout, const T* out, bool valid) {
  float sum = 0;
  if (valid) {
    float x[WIDTH<T>], y[WIDTH<T>];
    load(x, dout);
    load(y, out);
#pragma unroll
    for (int j = 0; j < WIDTH<T>; ++j) sum += x[j] * y[j];
  }
  return warp_reduce<Sum, D / WIDTH<T>>(sum);
}

// Sums over the rows of accumulators whose lane has, of piece j of N, columns 8 j + 2t and the next: lane i is left with columns
// 2 (i % 4N) and the next, in sums[0]. At every step a lane gives half of its pieces away, so N = 8 takes 14 shuffles, not 48.
template <int N, int DISTANCE = 4>
__device__ __forceinline__ void sum_rows(float (&sums)[N][2]) {
  constexpr int STEP = DISTANCE / 4;  // of pieces: those that are left are its multiples
  const bool odd = threadIdx.x & DISTANCE;
#pragma unroll
  for (int j = 0; j < N; j += 2 * STEP) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if constexpr (STEP < N) {
        const float kept = odd ? sums[j + STEP][i] : sums[j][i], given = odd ? sums[j][i] : sums[j + STEP][i];
        sums[j][i] = kept + __shfl_xor_sync(0xffffffffu, given, DISTANCE);
      } else {
        sums[j][i] += __shfl_xor_sync(0xffffffffu, sums[j][i], DISTANCE);
      }
    }
  }
  if constexpr (DISTANCE < 16) sum_rows<N, 2 * DISTANCE>(sums);
}

// total += the column sums of a warp's 16 rows of accumulators, as sum_rows leaves them.
template <int N>
__device__ __forceinline__ void add_rows(float (&total)[2], const float (&o)[N][4]) {
  float sums[N][2];
#pragma unroll
  for (int i = 0; i < 2 * N; ++i) sums[i / 2][i % 2] = o[i / 2][i % 2] + o[i / 2][i % 2 + 2];
  sum_rows(sums);
  total[0] += sums[0][0];
  total[1] += sums[0][1];
}

// partial, of WHOLE: [B,3,A,D] =, the column sums of each sequence's dqkv before they are rounded; nullable.
template <class T, int D, int WARPS, bool WHOLE>
__global__ void __launch_bounds__(32 * WARPS, WARPS == 4 ? 2 : 1)
    key_gradient(T* __restrict__ dqkv, float* __restrict__ partial, float* delta, const T* __restrict__ dout,
                 const T* __restrict__ out, const float* __restrict__ lse, const T* __restrict__ qkv, Attention a) {
  constexpr int KEYS = 16 * WARPS, QUERIES = KEY_GRADIENT_QUERIES, THREADS = 32 * WARPS;
  constexpr int OWN = KEYS * D, TILE = QUERIES * D, SCORES = KEYS * QUERIES;
  DYN_SMEM(T, tiles);
  T* const staged = tiles + 2 * OWN;  // [stage][q, dout]
  T* const scores = staged + 4 * TILE;  // [stage], ds^T
  float* const row_values = reinterpret_cast<float*>(scores + (WHOLE ? 2 * SCORES : 0));  // [stage][lse, delta]
  float* const dq = row_values + 4 * QUERIES;
  const int head = blockIdx.y, begin = WHOLE ? 0 : blockIdx.x * KEYS;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  auto bias_sum = [&](int i) -> float& { return partial[((int64_t(blockIdx.z) * 3 + i / D) * a.A + blockIdx.y) * D + i % D]; };
  if (begin >= sequence.length) {
    for (int i = threadIdx.x; WHOLE && partial && i < 3 * D; i += THREADS) bias_sum(i) = 0;
    return;
  }
  const int end = WHOLE ? sequence.length : min(begin + KEYS, sequence.length);

  const int warp = threadIdx.x / 32, warp_row = warp * 16, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int stride = 3 * int(a.A) * D, out_stride = int(a.A) * D;
  const int64_t first_row = sequence.begin * stride + head * D, first_out = sequence.begin * out_stride + head * D;
  const T* const q = qkv + first_row;
  const T* const k = q + a.A * D;
  const T* const v = k + a.A * D;
  const float* const lse_head = lse + head * a.T + sequence.begin;
  float* const delta_head = delta + head * a.T + sequence.begin;
  const bool dropping = a.dropout.probability > 0;
  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);

  auto load_keys = [&](int first) {
    auto visible = [&](int row) { return key_visible(a, sequence, first + row); };
    load_tile<D, KEYS, THREADS>(tiles, k + int64_t(first) * stride, stride, visible);
    load_tile<D, KEYS, THREADS>(tiles + OWN, v + int64_t(first) * stride, stride, visible);
  };
  auto load_queries = [&](int query, int stage) {
    auto valid = [&](int row) { return query + row < sequence.queries; };
    load_tile<D, QUERIES, THREADS>(staged + 2 * stage * TILE, q + int64_t(query) * stride, stride, valid);
    load_tile<D, QUERIES, THREADS>(staged + (2 * stage + 1) * TILE, dout + first_out + int64_t(query) * out_stride, out_stride,
                                   valid);
    if (threadIdx.x < QUERIES) {
      const bool ok = valid(threadIdx.x);
      const int row = ok ? query + threadIdx.x : 0;
      float* const values = row_values + stage * 2 * QUERIES + threadIdx.x;
      values[0] = ok ? lse_head[row] * LOG2E : INFINITY;  // a query that isn't there: probability exp2(-inf)
      values[QUERIES] = ok ? delta_head[row] : 0.0f;
    }
    cp_async_commit();
  };

  load_keys(begin);
  if constexpr (WHOLE) {
    constexpr int LANES = D / WIDTH<T>, STEP = THREADS / LANES;
    const int64_t at = first_out + threadIdx.x % LANES * WIDTH<T>;
    for (int rows = 0; rows < sequence.queries; rows += STEP) {
      const int row = rows + threadIdx.x / LANES;
      const int64_t i = at + int64_t(row) * out_stride;
      const float sum = row_product<T, D>(dout + i, out + i, row < sequence.queries);
      if (row < sequence.queries && threadIdx.x % LANES == 0) delta_head[row] = sum;
    }
    __syncthreads();
  }
  load_queries(0, 0);

  // A warp's share of a tile of dq: QUERY_TILES times 16 queries, 16 columns.
  constexpr int QUERY_TILES = QUERIES / 16 * (D / 16) / WARPS;
  static_assert(!WHOLE || QUERY_TILES > 0, "a share for every warp");
  const int dq_column = warp % (D / 16) * 16, dq_row = warp / (D / 16) * QUERY_TILES * 16;
  uint32_t k_left[D / 16][4], v_left[D / 16][4], k_right[WHOLE ? KEYS / 16 : 1][4];
  const float scale = a.scale * LOG2E;
  // Column sums, yet without the factors that gradients are stored with. Rows that aren't there add 0: their probabilities are 0.
  float q_sums[2][2] = {}, k_sums[2] = {}, v_sums[2] = {};

  // dq of the tile at `query` += ds k, of the keys that are in k_right.
  auto add_query_gradient = [&](int query, int stage, bool first_keys, bool last_keys) {
#pragma unroll
    for (int m = 0; m < QUERY_TILES; ++m) {
      float* const kept = dq + ((query / QUERIES * QUERY_TILES + m) * 2 * THREADS + threadIdx.x) * 4;
      float o[2][4] = {};
      if (!first_keys) {
        load(o[0], kept);
        load(o[1], kept + 4 * THREADS);
      }
#pragma unroll
      for (int n = 0; n < KEYS / 16; ++n) {
        uint32_t left[4];
        ldmatrix_trans(left, scores + stage * SCORES + tile_offset<QUERIES>(16 * n + lane / 16 * 8 + lane % 8,
                                                                            dq_row / 8 + 2 * m + lane / 8 % 2));
        mma_16x8x16<T>(o[0], left, {k_right[n][0], k_right[n][1]});
        mma_16x8x16<T>(o[1], left, {k_right[n][2], k_right[n][3]});
      }
      if (last_keys) {
        const int row = query + dq_row + 16 * m;
        store_rows(dqkv + first_row + int64_t(row) * stride + dq_column, stride, sequence.length - row, o, a.scale, a.scale);
#pragma unroll
        for (int i = 0; i < 4; ++i) q_sums[i / 2][i % 2] += o[i / 2][i % 2] + o[i / 2][i % 2 + 2];
      } else {
        store(kept, o[0]);
        store(kept + 4 * THREADS, o[1]);
      }
    }
  };

  int stage = 0;
  for (int first = begin; first < end; first += KEYS) {
    const bool seen[2] = {key_visible(a, sequence, first + warp_row + g), key_visible(a, sequence, first + warp_row + g + 8)};
    const uint32_t key_blocks = (first + warp_row) / 16 * 32;
    const bool last_keys = first + KEYS >= end;
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};

    int query = 0;
    for (; query < sequence.queries; query += QUERIES, stage ^= 1) {
      cp_async_wait<0>();
      __syncthreads();  // this tile is here, and ds^T of the last one; the other stage of q and dout is no longer read
      if (query == 0) {
        load_left<D>(k_left, tiles, warp_row);
        load_left<D>(v_left, tiles + OWN, warp_row);
#pragma unroll
        for (int n = 0; WHOLE && n < KEYS / 16; ++n) {
          ldmatrix_trans(k_right[n], tiles + tile_offset<D>(16 * n + lane % 16, dq_column / 8 + lane / 16));
        }
      }
      if (query + QUERIES < sequence.queries) load_queries(query + QUERIES, stage ^ 1);
      if (WHOLE && query > 0) add_query_gradient(query - QUERIES, stage ^ 1, first == 0, last_keys);
      const T* const q_tile = staged + 2 * stage * TILE;
      const T* const dout_tile = q_tile + TILE;
      const float* const values = row_values + stage * 2 * QUERIES;

      float p[QUERIES / 8][4], ds[QUERIES / 8][4];
      multiply_transposed<D, QUERIES>(p, k_left, q_tile);
      multiply_transposed<D, QUERIES>(ds, v_left, dout_tile);
      wb_philox_words words[QUERIES / 16];
#pragma unroll
      for (int n = 0; n < QUERIES / 16; ++n) {
        words[n] = {{~0u, ~0u, ~0u, ~0u}};
        if (dropping) words[n] = draw_transposed(masks, wb_score_tiles(mask_row + query + 16 * n, a.A, head) | key_blocks);
      }
#pragma unroll
      for (int j = 0; j < QUERIES / 8; ++j) {
        float row_lse[2], row_delta[2];
        load(row_lse, values + 8 * j + 2 * t);
        load(row_delta, values + QUERIES + 8 * j + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const bool stays = masks.stays(words[j / 2], j % 2 * 4 + i % 2 * 2 + i / 2);
          const float probability = seen[i / 2] ? fast_exp2(p[j][i] * scale - row_lse[i % 2]) : 0.0f;
          ds[j][i] = probability * ((stays ? ds[j][i] * a.dropout.scale : 0.0f) - row_delta[i % 2]);
          p[j][i] = stays ? probability : 0.0f;
        }
      }
      uint32_t left[QUERIES / 16][4];
      to_left<T, QUERIES>(left, p);
      multiply_add<D, QUERIES>(dv, left, dout_tile);
      to_left<T, QUERIES>(left, ds);
      multiply_add<D, QUERIES>(dk, left, q_tile);
#pragma unroll
      for (int i = 0; WHOLE && i < QUERIES / 4; ++i) {  // register i % 4 of block i / 4: key g + 8 (i % 2), queries 16 (i / 4) + 8 (i / 2 % 2) + 2t
        store_words(scores + stage * SCORES + tile_offset<QUERIES>(warp_row + g + i % 2 * 8, i / 2) + 2 * t, left[i / 4][i % 4]);
      }
    }

    if constexpr (WHOLE) {
      __syncthreads();  // the last ds^T is here; k and v have been read, by the first tile
      if (!last_keys) {
        load_keys(first + KEYS);
        load_queries(0, stage);
      }
      add_query_gradient(query - QUERIES, stage ^ 1, first == 0, last_keys);
    }
    const int row = first + warp_row;
    T* const dk_rows = dqkv + first_row + int64_t(row) * stride + a.A * D;
    store_rows(dk_rows, stride, sequence.length - row, dk, a.scale, a.scale);
    store_rows(dk_rows + a.A * D, stride, sequence.length - row, dv, a.dropout.scale, a.dropout.scale);
    if (!WHOLE) break;
    if (partial) {
      add_rows(k_sums, dk);
      add_rows(v_sums, dv);
    }
  }

  // those of the last tile that did not ask have come out as 0
  if (WHOLE) clear_rows<D, THREADS>(dqkv + first_row, stride, (sequence.queries + QUERIES - 1) / QUERIES * QUERIES, sequence.length);
  if constexpr (WHOLE) {
    if (!partial) return;
    // The warps' shares lie where k and v were, last read before the last barrier. Rows of D: those of dq, of which a warp has 16
    // columns, then a row a warp of dk, and of dv. They are added in this order.
    constexpr int Q_SHARES = WARPS * 16 / D;
    float* const shares = reinterpret_cast<float*>(tiles);
    sum_rows(q_sums);
    if (lane < 8) store(shares + 16 * warp + 2 * lane, q_sums[0]);
    if (2 * lane < D) {
      store(shares + (Q_SHARES + warp) * D + 2 * lane, k_sums);
      store(shares + (Q_SHARES + WARPS + warp) * D + 2 * lane, v_sums);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 3 * D; i += THREADS) {
      const int which = i / D, past = Q_SHARES + which * WARPS;
      float sum = 0;
      for (int share = which == 0 ? 0 : past - WARPS; share < past; ++share) sum += shares[share * D + i % D];
      bias_sum(i) = sum * (which == 2 ? a.dropout.scale : a.scale);
    }
  }
}
