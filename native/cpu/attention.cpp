// out = dropout(softmax(scale q k^T)) v per sequence and head, and its gradients, tile by tile as in FlashAttention-2
// (Dao 2023): the scores of 64 queries and 64 keys at a time. One owner per sequence and head, so nothing is shared.
#include <cmath>

#include "cu_seqlens.h"
#include "dropout.h"
#include "parallel.h"
#include "simd_math.h"
#include "tile.h"

namespace warpbert::WB_ISA {
namespace {

constexpr int64_t kTile = 64; // queries, and keys, of a tile
static_assert(kTile % 16 == 0 && kTile % W == 0);

// What both directions know of a call, and one (sequence, head) of it.
struct Attention {
  const float* qkv;
  const int32_t* cu_seqlens;
  const uint8_t* key_mask;
  float scale;
  Dropout dropout;
  int64_t T, A, D;

  int64_t row() const { return 3 * A * D; } // of qkv, in floats
  const float* query(int64_t t, int64_t head) const { return qkv + t * row() + head * D; }
  const float* key(int64_t t, int64_t head) const { return query(t, head) + A * D; }
  const float* value(int64_t t, int64_t head) const { return query(t, head) + 2 * A * D; }

  // live[0..pad(keys)): 1 where a query may look at key first + i, else 0, also in the padding.
  void mark_live(float* live, int64_t first, int64_t keys) const {
    for (int64_t i = 0; i < pad(keys); ++i) live[i] = i < keys && (!key_mask || key_mask[first + i]) ? 1.0f : 0.0f;
  }

  // Dropout factors of a tile, factors[rows, kTile]; null if there is no dropout.
  const float* factors(float* tile, int64_t begin, int64_t head, int64_t query, int64_t key, int64_t rows, int64_t keys) const {
    if (!dropout.on) return nullptr;
    dropout.draw_scores(tile, kTile, dropout.row(begin) + (uint64_t)(query - begin), A, head, key - begin, rows, keys);
    return tile;
  }
};

// Hands out a thread's scratch.
struct Scratch {
  float* next;
  float* take(int64_t floats) {
    float* taken = next;
    next += floats;
    return taken;
  }
};

struct Softmax { float maximum, sum; }; // of one query's scores, over the keys seen so far

// Turns one row of scores into exp(score - maximum), dropout applied; returns the factor for what was summed before.
float softmax_row(float* scores, const float* live, const float* factors, int64_t keys, Softmax* state) {
  Vf top = splat(state->maximum);
  for (int64_t i = 0; i < keys; i += W) {
    const Vf s = select(load(live + i) != 0.0f, load(scores + i), splat(-INFINITY));
    store(scores + i, s);
    top = max(s, top);
  }
  const float maximum = max(top);
  const float base = maximum == -INFINITY ? 0.0f : maximum; // no key yet: every weight is 0, not NaN
  Vf total{};
  for (int64_t i = 0; i < keys; i += W) {
    Vf p = exp(load(scores + i) - base);
    total += p;
    if (factors) p = drop(p, load(factors + i));
    store(scores + i, p);
  }
  const float before = state->sum == 0.0f ? 0.0f : exp(splat(state->maximum - base))[0];
  state->sum = state->sum * before + sum(total);
  state->maximum = maximum;
  return before;
}

void forward_head(const Attention& at, float* out, float* lse, float* scratch, int64_t begin, int64_t end,
                  int64_t head) {
  Scratch memory{scratch};
  const int64_t D = at.D, width = pad(D);
  float* q = memory.take(kTile * width);
  float* k = memory.take(kTile * width);  // keys, then values
  float* kt = memory.take(kTile * width); // [width, keys]
  float* sums = memory.take(kTile * width);
  float* scores = memory.take(kTile * kTile);
  float* drawn = memory.take(kTile * kTile);
  float live[kTile];
  Softmax state[kTile];
  for (int64_t query = begin; query < end; query += kTile) {
    const int64_t rows = minimum(kTile, end - query);
    pack(q, at.query(query, head), at.row(), rows, D, at.scale, nullptr);
    for (int64_t i = 0; i < rows; ++i) state[i] = {-INFINITY, 0.0f};
    for (int64_t key = begin; key < end; key += kTile) {
      const int64_t keys = minimum(kTile, end - key), columns = pad(keys);
      at.mark_live(live, key, keys);
      pack(k, at.key(key, head), at.row(), keys, D, 1.0f, live);
      transpose(kt, k, columns, width);
      product(scores, columns, q, width, 1, kt, columns, rows, columns, D, false);
      const float* factors = at.factors(drawn, begin, head, query, key, rows, keys);
      for (int64_t i = 0; i < rows; ++i) {
        const float before = softmax_row(scores + i * columns, live, factors ? factors + i * kTile : nullptr, columns, state + i);
        if (key == begin || before == 1.0f) continue;
        for (int64_t d = 0; d < width; d += W) store(sums + i * width + d, load(sums + i * width + d) * before);
      }
      pack(k, at.value(key, head), at.row(), keys, D, 1.0f, live);
      product(sums, width, scores, columns, 1, k, width, rows, width, keys, key != begin);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const Softmax s = state[i];
      const float factor = s.sum == 0.0f ? 0.0f : 1.0f / s.sum;
      float* to = out + (query + i) * at.A * D + head * D;
      vectors(D, [&](int64_t d, auto count) WB_INLINE {
        store(to + d, load(sums + i * width + d, count) * factor, count);
      });
      if (lse) lse[head * at.T + query + i] = s.sum == 0.0f ? -INFINITY : s.maximum + logf(s.sum);
    }
  }
}

// From a row of scores and of dout v^T: the dropped-out weights, and the gradient of the scores.
void softmax_backward_row(float* scores, float* gradient, const float* live, const float* factors, float lse,
                          float delta, int64_t keys) {
  const float base = lse == -INFINITY ? INFINITY : lse; // no key at all: every weight is 0, not NaN
  for (int64_t i = 0; i < keys; i += W) {
    const Vi on = load(live + i) != 0.0f;
    const Vf p = select(on, exp(load(scores + i) - base), Vf{});
    Vf dp = load(gradient + i), dropped = p;
    if (factors) {
      const Vf factor = load(factors + i);
      dropped = drop(p, factor);
      dp = drop(dp, factor);
    }
    store(scores + i, dropped);
    store(gradient + i, select(on, p * (dp - delta), Vf{}));
  }
}

void backward_head(const Attention& at, float* dqkv, float* delta, const float* dout, const float* out,
                   const float* lse, float* scratch, int64_t begin, int64_t end, int64_t head) {
  Scratch memory{scratch};
  const int64_t D = at.D, width = pad(D);
  float* q = memory.take(kTile * width);
  float* d = memory.take(kTile * width); // dout
  float* k = memory.take(kTile * width);
  float* kt = memory.take(kTile * width);
  float* v = memory.take(kTile * width);
  float* vt = memory.take(kTile * width);
  float* dq = memory.take(kTile * width);
  float* dk = memory.take(kTile * width);
  float* dv = memory.take(kTile * width);
  float* scores = memory.take(kTile * kTile);
  float* gradient = memory.take(kTile * kTile); // of dropped-out weights, then of scores
  float* drawn = memory.take(kTile * kTile);
  float live[kTile];
  const auto slot = [&](int64_t t, int64_t which) { return dqkv + t * at.row() + which * at.A * D + head * D; };
  for (int64_t t = begin; t < end; ++t) {
    Vf dot{};
    vectors(D, [&](int64_t i, auto count) WB_INLINE {
      dot += load(dout + t * at.A * D + head * D + i, count) * load(out + t * at.A * D + head * D + i, count);
    });
    delta[t] = sum(dot);
  }
  for (int64_t key = begin; key < end; key += kTile) {
    const int64_t keys = minimum(kTile, end - key), columns = pad(keys);
    at.mark_live(live, key, keys);
    pack(k, at.key(key, head), at.row(), keys, D, 1.0f, live);
    transpose(kt, k, columns, width);
    pack(v, at.value(key, head), at.row(), keys, D, 1.0f, live);
    transpose(vt, v, columns, width);
    for (int64_t query = begin; query < end; query += kTile) {
      const int64_t rows = minimum(kTile, end - query);
      pack(q, at.query(query, head), at.row(), rows, D, at.scale, nullptr);
      pack(d, dout + query * at.A * D + head * D, at.A * D, rows, D, 1.0f, nullptr);
      product(scores, columns, q, width, 1, kt, columns, rows, columns, D, false);
      product(gradient, columns, d, width, 1, vt, columns, rows, columns, D, false);
      const float* factors = at.factors(drawn, begin, head, query, key, rows, keys);
      for (int64_t i = 0; i < rows; ++i) {
        softmax_backward_row(scores + i * columns, gradient + i * columns, live, factors ? factors + i * kTile : nullptr,
                             lse[query + i], delta[query + i], columns);
      }
      product(dv, width, scores, 1, columns, d, width, keys, width, rows, query != begin);
      product(dk, width, gradient, 1, columns, q, width, keys, width, rows, query != begin); // q holds the scale
      product(dq, width, gradient, columns, 1, k, width, rows, width, keys, false);
      for (int64_t i = 0; i < rows; ++i) {
        float* to = slot(query + i, 0);
        vectors(D, [&](int64_t j, auto count) WB_INLINE {
          const Vf add = load(dq + i * width + j, count) * at.scale;
          store(to + j, key == begin ? add : add + load(to + j, count), count);
        });
      }
    }
    for (int64_t i = 0; i < keys; ++i) {
      vectors(D, [&](int64_t j, auto count) WB_INLINE {
        store(slot(key + i, 1) + j, load(dk + i * width + j, count), count);
        store(slot(key + i, 2) + j, load(dv + i * width + j, count), count);
      });
    }
  }
}

wb_status check(const char* op, wb_dtype dtype, float scale, const int32_t* cu_seqlens, int64_t T, int64_t B, int64_t D) {
  if (wb_status status = require_float32(dtype, op)) return status;
  if (!(scale > 0)) return fail(WB_INVALID_ARGUMENT, "%s: scale %g is not above 0", op, (double)scale);
  if (D > kMaxHeadSize) {
    return fail(WB_UNSUPPORTED, "%s: head size %lld is over %lld", op, (long long)D, (long long)kMaxHeadSize);
  }
  return check_cu_seqlens(op, cu_seqlens, T, B, 65536);
}

}  // namespace

wb_status attention_forward(wb_context* ctx, wb_dtype dtype, void* out, float* lse, const void* qkv,
                            const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float p, int32_t site,
                            const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t B, int64_t A, int64_t D,
                            int64_t /*max_seqlen*/) {
  if (T == 0) return require_float32(dtype, "attention_forward");
  if (wb_status status = check("attention_forward", dtype, scale, cu_seqlens, T, B, D)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  const Attention at{static_cast<const float*>(qkv), cu_seqlens, key_mask, scale, dropout, T, A, D};
  parallel(ctx, B * A, T * A * D, [&](int64_t task, int thread) {
    const int64_t b = task / A;
    forward_head(at, static_cast<float*>(out), lse, thread_scratch(ctx, thread), cu_seqlens[b], cu_seqlens[b + 1],
                 task % A);
  });
  return WB_OK;
}

wb_status attention_backward(wb_context* ctx, wb_dtype dtype, void* dqkv, float* workspace, const void* dout,
                             const void* out, const float* lse, const void* qkv, const int32_t* cu_seqlens,
                             const uint8_t* key_mask, float scale, float p, int32_t site, const int64_t* rng,
                             const int32_t* dropout_rows, int64_t T, int64_t B, int64_t A, int64_t D,
                             int64_t /*max_seqlen*/) {
  if (T == 0) return require_float32(dtype, "attention_backward");
  if (wb_status status = check("attention_backward", dtype, scale, cu_seqlens, T, B, D)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  const Attention at{static_cast<const float*>(qkv), cu_seqlens, key_mask, scale, dropout, T, A, D};
  parallel(ctx, B * A, T * A * D, [&](int64_t task, int thread) {
    const int64_t b = task / A, head = task % A;
    backward_head(at, static_cast<float*>(dqkv), workspace + head * T, static_cast<const float*>(dout),
                  static_cast<const float*>(out), lse + head * T, thread_scratch(ctx, thread), cu_seqlens[b],
                  cu_seqlens[b + 1], head);
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
