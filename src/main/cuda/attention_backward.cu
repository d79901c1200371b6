// The gradient of attention, from lse and delta = sum(dout * out) of each row and head (Dao 2023, algorithm 2), without atomics, so
// that the same inputs give the same bits. Scores are computed anew, tile by tile, and never lie in memory.
//   In one kernel (key_gradient, WHOLE), where a head's dq fits into shared memory and there is a head for every multiprocessor.
//   Else in three, of which the last computes the scores a second time, 14 n^2 D flops a head in place of 10: sum_products,
//   key_gradient, query_gradient; their blocks are many also where sequences are few, and sequences may have any length.
// dbias: the one kernel leaves a row of sums of each sequence, where they are few enough; else dqkv is read once more.
// A block of 8 warps keeps a multiprocessor busy, of 4 it takes two.
#include "attention_key_gradient.cuh"
#include "attention_query_gradient.cuh"

namespace {

// delta[head, t]; a lane takes 16 bytes of both, D / WIDTH neighbours make a row of a head.
template <class T, int D>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    sum_products(float* __restrict__ delta, const T* __restrict__ dout, const T* __restrict__ out, int64_t T_, int64_t A) {
  constexpr int LANES = D / WIDTH<T>;
  const int64_t i = int64_t(blockIdx.x) * ATTENTION_THREADS + threadIdx.x, row = i / LANES;
  const float sum = row_product<T, D>(dout + i * WIDTH<T>, out + i * WIDTH<T>, row < T_ * A);
  if (row < T_ * A && i % LANES == 0) delta[row % A * T_ + row / A] = sum;
}

template <class T, int D>
wb_status sum_delta(wb_context* ctx, float* delta, const void* dout, const void* out, const Attention& a) {
  const int64_t threads = a.T * a.A * (D / WIDTH<T>);
  return LAUNCH((sum_products<T, D>), dim3(unsigned(ceil_div(threads, ATTENTION_THREADS))), ATTENTION_THREADS, 0, ctx, delta,
                static_cast<const T*>(dout), static_cast<const T*>(out), a.T, a.A);
}

template <class T, int D, int WARPS, bool WHOLE>
wb_status launch_key_gradient(wb_context* ctx, void* dqkv, float* partial, float* delta, const void* dout, const void* out,
                              const float* lse, const void* qkv, const Attention& a, int64_t B) {
  const dim3 grid(WHOLE ? 1 : unsigned(ceil_div(a.max_seqlen, 16 * WARPS)), unsigned(a.A), unsigned(B));
  return LAUNCH((key_gradient<T, D, WARPS, WHOLE>), grid, 32 * WARPS, (key_gradient_bytes<T, D, WARPS, WHOLE>(a.max_seqlen)), ctx,
                static_cast<T*>(dqkv), partial, delta, static_cast<const T*>(dout), static_cast<const T*>(out), lse,
                static_cast<const T*>(qkv), a);
}

// partial: nullable; set to NULL where the kernels leave no column sums there.
template <class T, int D>
wb_status backward(wb_context* ctx, void* dqkv, float*& partial, float* delta, const void* dout, const void* out, const float* lse,
                   const void* qkv, const Attention& a, int64_t B) {
  if (a.A * B >= processors(ctx)) {
    const size_t shared = shared_memory(ctx), reserved = 1024;  // the driver's share of a block's
    if (2 * (key_gradient_bytes<T, D, 4, true>(a.max_seqlen) + reserved) <= shared + reserved) {
      return launch_key_gradient<T, D, 4, true>(ctx, dqkv, partial, delta, dout, out, lse, qkv, a, B);
    }
    if constexpr (D == 64) {
      if (key_gradient_bytes<T, D, 8, true>(a.max_seqlen) <= shared) {
        return launch_key_gradient<T, D, 8, true>(ctx, dqkv, partial, delta, dout, out, lse, qkv, a, B);
      }
    }
  }
  partial = nullptr;
  RETURN_IF_FAILED(sum_delta<T, D>(ctx, delta, dout, out, a));
  RETURN_IF_FAILED(launch_key_gradient<T, D, 4, false>(ctx, dqkv, partial, delta, dout, out, lse, qkv, a, B));
  const dim3 grid(unsigned(ceil_div(a.max_seqlen, OWN_ROWS)), unsigned(a.A), unsigned(B));
  return LAUNCH((query_gradient<T, D>), grid, ATTENTION_THREADS, (query_gradient_bytes<T, D>), ctx, static_cast<T*>(dqkv), delta,
                static_cast<const T*>(dout), lse, static_cast<const T*>(qkv), a);
}

}  // namespace

extern "C" wb_status wb_attention_backward(wb_context* ctx, wb_dtype dtype, void* dqkv, float* dbias, float* workspace,
                                           const void* dout, const void* out, const float* lse, const void* qkv,
                                           const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float dropout,
                                           int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t B,
                                           int64_t A, int64_t D, int64_t max_seqlen, int64_t queries) {
  RETURN_IF_FAILED(check_attention("attention_backward", scale, B, A, D, max_seqlen));
  if (T == 0 || B == 0 || A == 0 || max_seqlen == 0) return WB_OK;
  if (!aligned16(dqkv) || !aligned16(dout) || !aligned16(out) || !aligned16(qkv)) {
    return fail(WB_INVALID_ARGUMENT, "attention_backward: dqkv, dout, out and qkv must be 16-byte aligned");
  }
  const Attention a = {cu_seqlens, key_mask, scale, make_dropout(dropout, site, rng, dropout_rows), T, A, int(max_seqlen),
                       int(std::min(max_seqlen, queries))};
  float* partial = dbias && dtype != WB_F32 && B <= WB_REDUCE_BLOCKS ? workspace + A * T : nullptr;  // [B,3,A,D], behind delta
  const auto compute = [&]() -> wb_status {
    switch (dtype) {
      case WB_F32:
        RETURN_IF_FAILED(D == 64 ? sum_delta<float, 64>(ctx, workspace, dout, out, a)
                                 : sum_delta<float, 32>(ctx, workspace, dout, out, a));
        return attention_backward_f32(ctx, static_cast<float*>(dqkv), workspace, static_cast<const float*>(dout), lse,
                                      static_cast<const float*>(qkv), a, B, D);
      case WB_F16:
        return D == 64 ? backward<half, 64>(ctx, dqkv, partial, workspace, dout, out, lse, qkv, a, B)
                       : backward<half, 32>(ctx, dqkv, partial, workspace, dout, out, lse, qkv, a, B);
      case WB_BF16:
        return D == 64 ? backward<bfloat16, 64>(ctx, dqkv, partial, workspace, dout, out, lse, qkv, a, B)
                       : backward<bfloat16, 32>(ctx, dqkv, partial, workspace, dout, out, lse, qkv, a, B);
    }
    return fail(WB_UNSUPPORTED, "attention_backward: there is no type number %d", int(dtype));
  };
  RETURN_IF_FAILED(compute());
  if (!dbias) return WB_OK;
  if (partial) return add_column_sums(ctx, {{dbias, nullptr, nullptr}}, 1, partial, int(B), 3 * A * D);
  return wb_bias_activation_backward(ctx, dtype, dqkv, dbias, workspace, dqkv, nullptr, nullptr, WB_IDENTITY, T, 3 * A * D);
}
