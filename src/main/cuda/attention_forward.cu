// out = dropout(softmax(scale q k^T)) v, fused: the scores live in registers, tile by tile, with a running maximum and sum
// (Milakov & Gimelshein 2018; Dao 2023). 4 n^2 D flops a head and sequence of n tokens, on tensor cores with float32 sums;
// reads q once and k, v once per 64 queries (from L2 but for the first block), writes out and lse once.
// A block owns 64 queries of a head, a warp 16 of them with all keys, so that a row's maximum and sum are a matter of 4
// lanes. The next tile of 64 keys travels by cp.async while this one is multiplied, with one barrier a tile. 41 KB of shared
// memory and under 168 registers: three blocks or more a multiprocessor. Dropout: one Philox block a lane for 8 scores.
#include "attention.cuh"

namespace {

constexpr int KEYS = 64;  // a tile

template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_forward(T* __restrict__ out, float* __restrict__ lse, const T* __restrict__ qkv, Attention a) {
  DYN_SMEM(T, tiles);  // q, then two stages of k and v; behind them 2 x KEYS floats, 0 or -inf
  constexpr int TILE = KEYS * D;
  T* const q_tile = tiles;
  float* const key_bias = reinterpret_cast<float*>(tiles + 5 * TILE);
  const int head = blockIdx.y, first = blockIdx.x * OWN_ROWS;
  const Sequence sequence = sequence_of(a, blockIdx.z);
  if (first >= sequence.queries) return;

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int stride = 3 * int(a.A) * D;
  const T* const q = qkv + sequence.begin * stride + head * D;
  const T* const k = q + a.A * D;
  const T* const v = k + a.A * D;
  auto load_keys = [&](int key, int stage) {
    auto visible = [&](int row) { return key_visible(a, sequence, key + row); };
    load_tile<D, KEYS>(tiles + (1 + 2 * stage) * TILE, k + int64_t(key) * stride, stride, visible);
    load_tile<D, KEYS>(tiles + (2 + 2 * stage) * TILE, v + int64_t(key) * stride, stride, visible);
    if (threadIdx.x < KEYS) key_bias[stage * KEYS + threadIdx.x] = visible(threadIdx.x) ? 0.0f : -INFINITY;
    cp_async_commit();
  };

  const Masks masks(a.dropout);
  const int64_t mask_row = dropout_row(a.dropout, sequence.begin);
  const bool dropping = a.dropout.probability > 0;
  const uint64_t tiles_drawn = wb_score_tiles(mask_row + first + warp_row, a.A, head) | lane;

  load_tile<D, OWN_ROWS>(q_tile, q + int64_t(first) * stride, stride, [&](int row) { return first + row < sequence.queries; });
  load_keys(0, 0);
  uint32_t q_left[D / 16][4];
  float o[D / 8][4] = {}, maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};  // rows g and g + 8
  const float scale = a.scale * LOG2E;

  for (int key = 0, stage = 0; key < sequence.length; key += KEYS, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // this tile is here, and the other stage is no longer read
    if (key == 0) load_left<D>(q_left, q_tile, warp_row);
    if (key + KEYS < sequence.length) load_keys(key + KEYS, stage ^ 1);

    float s[KEYS / 8][4];
    multiply_transposed<D, KEYS>(s, q_left, tiles + (1 + 2 * stage) * TILE);
    if (a.key_mask || key + KEYS > sequence.length) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j) {
        float bias[2];
        load(bias, key_bias + stage * KEYS + 8 * j + 2 * t);
#pragma unroll
        for (int i = 0; i < 4; ++i) s[j][i] += bias[i % 2];
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = maximum[r];
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j) top = fmaxf(top, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
      top = warp_reduce<Max, 4>(top);
      const float origin = top == -INFINITY ? 0.0f : top * scale;  // no visible key yet: no NaN from inf - inf
      const float shrink = fast_exp2(maximum[r] * scale - origin);
      maximum[r] = top;
      sum[r] *= shrink;
#pragma unroll
      for (int j = 0; j < D / 8; ++j) {
        o[j][2 * r] *= shrink;
        o[j][2 * r + 1] *= shrink;
      }
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          s[j][i] = fast_exp2(s[j][i] * scale - origin);
          sum[r] += s[j][i];
        }
      }
    }
    if (dropping) {
#pragma unroll
      for (int k = 0; k < KEYS / 16; ++k) {
        const wb_philox_words words = masks.draw(tiles_drawn | (key / 16 + k) * 32);
#pragma unroll
        for (int n = 0; n < 8; ++n) {  // n: row (g, g + 8), keys (the lower 8, the upper), key of two
          float& score = s[2 * k + n / 2 % 2][n / 4 * 2 + n % 2];
          if (!masks.stays(words, n)) score = 0;
        }
      }
    }
    uint32_t p[KEYS / 16][4];
    to_left<T, KEYS>(p, s);
    multiply_add<D, KEYS>(o, p, tiles + (2 + 2 * stage) * TILE);
  }

  float factor[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = warp_reduce<Sum, 4>(sum[r]);
    factor[r] = total == 0 ? 0.0f : a.dropout.scale / total;
    const int row = first + warp_row + g + 8 * r;
    if (lse && t == 0 && row < sequence.queries) {
      lse[head * a.T + sequence.begin + row] = total == 0 ? -INFINITY : (maximum[r] * scale + log2f(total)) * LN2;
    }
  }
  const int row = first + warp_row;
  store_rows(out + (sequence.begin + row) * a.A * D + head * D, a.A * D, sequence.queries - row, o, factor[0], factor[1]);
}

template <class T, int D>
wb_status forward(wb_context* ctx, void* out, float* lse, const void* qkv, const Attention& a, int64_t B) {
  const dim3 grid(unsigned(ceil_div(a.queries, OWN_ROWS)), unsigned(a.A), unsigned(B));
  const size_t shared_bytes = 5 * KEYS * D * sizeof(T) + 2 * KEYS * sizeof(float);
  return LAUNCH((attention_forward<T, D>), grid, ATTENTION_THREADS, shared_bytes, ctx, static_cast<T*>(out), lse,
                static_cast<const T*>(qkv), a);
}

}  // namespace

wb_status check_attention(const char* op, float scale, int64_t B, int64_t A, int64_t D, int64_t max_seqlen) {
  if (D != 32 && D != 64) return fail(WB_UNSUPPORTED, "%s: head size %lld; the kernels are made for 32 and 64", op, (long long)D);
  if (!(scale > 0)) return fail(WB_INVALID_ARGUMENT, "%s: scale %g is not above 0", op, double(scale));
  if (B > 65535 || A > 65535) return fail(WB_UNSUPPORTED, "%s: %lld sequences of %lld heads; a grid has 65,535 of each", op, (long long)B, (long long)A);
  if (max_seqlen > 65536) return fail(WB_UNSUPPORTED, "%s: a sequence of %lld tokens; 65,536 at most", op, (long long)max_seqlen);
  return WB_OK;
}

extern "C" wb_status wb_attention_forward(wb_context* ctx, wb_dtype dtype, void* out, float* lse, const void* qkv,
                                          const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float dropout,
                                          int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
                                          int64_t B, int64_t A, int64_t D, int64_t max_seqlen, int64_t queries) {
  RETURN_IF_FAILED(check_attention("attention_forward", scale, B, A, D, max_seqlen));
  if (T == 0 || B == 0 || A == 0 || max_seqlen == 0) return WB_OK;
  if (!aligned16(out) || !aligned16(qkv)) return fail(WB_INVALID_ARGUMENT, "attention_forward: out and qkv must be 16-byte aligned");
  const Attention a = {cu_seqlens, key_mask, scale, make_dropout(dropout, site, rng, dropout_rows), T, A, int(max_seqlen), int(std::min(max_seqlen, queries))};
  switch (dtype) {
    case WB_F32:
      return attention_forward_f32(ctx, static_cast<float*>(out), lse, static_cast<const float*>(qkv), a, B, D);
    case WB_F16:
      return D == 64 ? forward<half, 64>(ctx, out, lse, qkv, a, B)
                     : forward<half, 32>(ctx, out, lse, qkv, a, B);
    case WB_BF16:
      return D == 64 ? forward<bfloat16, 64>(ctx, out, lse, qkv, a, B)
                     : forward<bfloat16, 32>(ctx, out, lse, qkv, a, B);
  }
  return fail(WB_UNSUPPORTED, "attention_forward: there is no type number %d", int(dtype));
}
