// The gradient of queries in a pass of its own, where key_gradient cannot keep it: a block owns 64 queries of a head and walks
// over the keys, dq = ds k. Staging as in the forward, 33 KB, but tiles of 32 keys: the accumulators of 64 would not fit beside
// the fragments.
#pragma once
#include "attention.cuh"

constexpr int QUERY_GRADIENT_KEYS = 32;  // of a tile

template <class T, int D>
constexpr size_t query_gradient_bytes = (2 * OWN_ROWS + 4 * QUERY_GRADIENT_KEYS) * D * sizeof(T) + 2 * QUERY_GRADIENT_KEYS * sizeof(float);

template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    query_gradient(T* __restrict__ dqkv, const float* __restrict__ delta, const T* __restrict__ dout,
                   const float* __restrict__ lse, const T* __restrict__ qkv, Attention a) {
  DYN_SMEM(T, tiles);  // q and dout, then two stages of k and v; behind them 2 x KEYS floats: 1 where a key is visible
  constexpr int KEYS = QUERY_GRADIENT_KEYS, OWN = OWN_ROWS * D, TILE = KEYS * D;
  float* const key_seen = reinterpret_cast<float*>(tiles + 2 * OWN + 4 * TILE);
  const int head = blockIdx.y, first = blockIdx.x * OWN_ROWS;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.length) return;
  if (first >= sequence.queries) return clear_rows<D>(dqkv + sequence.begin * 3 * a.A * D + head * D, 3 * a.A * D, first, min(first + OWN_ROWS, sequence.length));

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
    load_tile<D, KEYS>(tiles + 2 * OWN + 2 * stage * TILE, k + int64_t(key) * stride, stride, visible);
    load_tile<D, KEYS>(tiles + 2 * OWN + (2 * stage + 1) * TILE, v + int64_t(key) * stride, stride, visible);
    if (threadIdx.x < KEYS) key_seen[stage * KEYS + threadIdx.x] = visible(threadIdx.x) ? 1.0f : 0.0f;
    cp_async_commit();
  };

  auto valid = [&](int row) { return first + row < sequence.queries; };
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

  for (int key = 0, stage = 0; key < sequence.length; key += KEYS, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // this tile is here, and the other stage is no longer read
    if (key == 0) {
      load_left<D>(q_left, tiles, warp_row);
      load_left<D>(dout_left, tiles + OWN, warp_row);
    }
    if (key + KEYS < sequence.length) load_keys(key + KEYS, stage ^ 1);
    const T* const k_tile = tiles + 2 * OWN + 2 * stage * TILE;

    float p[KEYS / 8][4], ds[KEYS / 8][4];
    multiply_transposed<D, KEYS>(p, q_left, k_tile);
    multiply_transposed<D, KEYS>(ds, dout_left, k_tile + TILE);
    wb_philox_words words[KEYS / 16];
#pragma unroll
    for (int k = 0; k < KEYS / 16; ++k) {
      words[k] = {{~0u, ~0u, ~0u, ~0u}};
      if (dropping) words[k] = masks.draw(tiles_drawn | (key / 16 + k) * 32);
    }
#pragma unroll
    for (int j = 0; j < KEYS / 8; ++j) {
      float seen[2];
      load(seen, key_seen + stage * KEYS + 8 * j + 2 * t);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float probability = seen[i % 2] != 0 ? fast_exp2(p[j][i] * scale - row_lse[i / 2]) : 0.0f;
        const bool stays = masks.stays(words[j / 2], i / 2 * 4 + j % 2 * 2 + i % 2);
        ds[j][i] = probability * ((stays ? ds[j][i] * a.dropout.scale : 0.0f) - row_delta[i / 2]);
      }
    }
    uint32_t left[KEYS / 16][4];
    to_left<T, KEYS>(left, ds);
    multiply_add<D, KEYS>(dq, left, k_tile);
  }

  const int row = first + warp_row;
  store_rows(dqkv + (sequence.begin + row) * stride + head * D, stride, sequence.length - row, dq, a.scale, a.scale);
}
