// out = dropout(softmax(scale q k^T)) v, fused: the scores live in registers, tile by tile, with a running maximum and sum
// (Milakov & Gimelshein 2018; Dao 2023). 4 n^2 D flops a head and sequence of n tokens, on tensor cores with float32 sums;
// reads q once and k, v once per 64 queries (from L2 but for the first block), writes out and lse once.
// A block owns 64 queries of a head, a warp 16 of them with all keys, so that a row's maximum and sum are a matter of 4
// lanes. The next tile of 64 keys travels by cp.async while this one is multiplied, with one barrier a tile. 41 KB of shared
// memory and under 168 registers: three blocks or more a multiprocessor. Dropout: one Philox block a lane for 4 scores.
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
  if (first >= sequence.length) return;

  const int warp_row = threadIdx.x / 32 * 16, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int64_t stride = 3 * a.A * D;
  const T* const q = qkv + sequence.begin * stride + head * D;
  const T* const k = q + a.A * D;
  const T* const v = k + a.A * D;
  auto load_keys = [&](int key, int stage) {
    auto visible = [&](int row) { return key_visible(a, sequence, key + row); };
    load_tile<D, KEYS>(tiles + (1 + 2 * stage) * TILE, k + key * stride, stride, visible);
    load_tile<D, KEYS>(tiles + (2 + 2 * stage) * TILE, v + key * stride, stride, visible);
    if (threadIdx.x < KEYS) key_bias[stage * KEYS + threadIdx.x] = visible(threadIdx.x) ? 0.0f : -INFINITY;
    cp_async_commit();
  };

  const KeepBits keep = keep_bits(a.dropout);
  const bool dropping = a.dropout.probability > 0;
  uint64_t own_quad = 0;
  if (dropping) {
    const int row = last_of(sequence, first + warp_row + g + 8 * (t % 2));
    own_quad = first_quad(a, dropout_row(a.dropout, sequence.begin + row), head) + t / 2;
  }

  load_tile<D, OWN_ROWS>(q_tile, q + first * stride, stride, [&](int row) { return first + row < sequence.length; });
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
    const bool masked = a.key_mask || key + KEYS > sequence.length;
    float top[2] = {maximum[0], maximum[1]};
#pragma unroll
    for (int j = 0; j < KEYS / 8; ++j) {
      float bias[2] = {0, 0};
      if (masked) load(bias, key_bias + stage * KEYS + 8 * j + 2 * t);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[j][i] = s[j][i] * scale + bias[i % 2];
        top[i / 2] = fmaxf(top[i / 2], s[j][i]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      top[r] = warp_reduce<Max, 4>(top[r]);
      const float origin = top[r] == -INFINITY ? 0.0f : top[r];  // no visible key yet: no NaN from inf - inf
      const float shrink = fast_exp2(maximum[r] - origin);
      maximum[r] = top[r];
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
          s[j][i] = fast_exp2(s[j][i] - origin);
          sum[r] += s[j][i];
        }
      }
    }
    if (dropping) {
#pragma unroll
      for (int j = 0; j < KEYS / 8; ++j) {
        const uint32_t bits = keep_scores(keep, own_quad + (key + 8 * j) / 4);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (!(bits >> i & 1)) s[j][i] = 0;
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
    if (lse && t == 0 && row < sequence.length) {
      lse[head * a.T + sequence.begin + row] = total == 0 ? -INFINITY : (maximum[r] + log2f(total)) * LN2;
    }
  }
  const int row = first + warp_row;
  store_rows<D>(out + (sequence.begin + row) * a.A * D + head * D, a.A * D, sequence.length - row, o, factor[0], factor[1],
                q_tile + warp_row * D);
}

template <class T, int D>
wb_status forward(wb_context* ctx, void* out, float* lse, const void* qkv, const Attention& a, int64_t B, int64_t max_seqlen) {
  const dim3 grid(unsigned(ceil_div(max_seqlen, OWN_ROWS)), unsigned(a.A), unsigned(B));
  const size_t shared_bytes = 5 * KEYS * D * sizeof(T) + 2 * KEYS * sizeof(float);
  return LAUNCH((attention_forward<T, D>), grid, ATTENTION_THREADS, shared_bytes, ctx, static_cast<T*>(out), lse,
                static_cast<const T*>(qkv), a);
}

}  // namespace

wb_status check_attention(const char* op, int64_t B, int64_t A, int64_t D, int64_t max_seqlen) {
  if (D != 32 && D != 64) return fail(WB_UNSUPPORTED, "%s: head size %lld; the kernels are made for 32 and 64", op, (long long)D);
  if (B > 65535 || A > 65535) return fail(WB_UNSUPPORTED, "%s: %lld sequences of %lld heads; a grid has 65,535 of each", op, (long long)B, (long long)A);
  if (max_seqlen > 65536) return fail(WB_UNSUPPORTED, "%s: a sequence of %lld tokens; 65,536 at most", op, (long long)max_seqlen);
  return WB_OK;
}

extern "C" wb_status wb_attention_forward(wb_context* ctx, wb_dtype dtype, void* out, float* lse, const void* qkv,
                                          const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float dropout,
                                          int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
                                          int64_t B, int64_t A, int64_t D, int64_t max_seqlen) {
  RETURN_IF_FAILED(check_attention("attention_forward", B, A, D, max_seqlen));
  if (T == 0 || B == 0 || A == 0 || max_seqlen == 0) return WB_OK;
  if (!aligned16(out) || !aligned16(qkv)) return fail(WB_INVALID_ARGUMENT, "attention_forward: out and qkv must be 16-byte aligned");
  const Attention a = {cu_seqlens, key_mask, scale, make_dropout(dropout, site, rng, dropout_rows), T, A};
  switch (dtype) {
    case WB_F32:
      return attention_forward_f32(ctx, static_cast<float*>(out), lse, static_cast<const float*>(qkv), a, B, D, max_seqlen);
    case WB_F16:
      return D == 64 ? forward<half, 64>(ctx, out, lse, qkv, a, B, max_seqlen)
                     : forward<half, 32>(ctx, out, lse, qkv, a, B, max_seqlen);
    case WB_BF16:
      return D == 64 ? forward<bfloat16, 64>(ctx, out, lse, qkv, a, B, max_seqlen)
                     : forward<bfloat16, 32>(ctx, out, lse, qkv, a, B, max_seqlen);
  }
  return fail(WB_UNSUPPORTED, "attention_forward: there is no type number %d", int(dtype));
}
