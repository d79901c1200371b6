// out = dropout(softmax(scale q k^T)) v per sequence and head, and its gradients, tile by tile as in FlashAttention-2
// (Dao 2023): the scores of 64 queries and 64 keys at a time. One owner per sequence and head, so nothing is shared.
#include <cmath>
#include <cstring>

#include "attention_softmax.h"
#include "cu_seqlens.h"
#include "parallel.h"
#include "tile.h"

namespace warpbert::WB_ISA {
namespace {

struct Task { int64_t begin, end, head; }; // a sequence's rows, and a head

// What both directions know of a call.
struct Attention {
  const float* qkv;
  const int32_t* cu_seqlens;
  const uint8_t* key_mask;
  float scale;
  Dropout dropout;
  int64_t T, A, D;
  int64_t queries; // of a sequence, the first

  Task task(int64_t number) const {
    const int32_t* sequence = cu_seqlens + number / A;
    return {sequence[0], sequence[1], number % A};
  }
  int64_t asking(Task task) const { return minimum(task.end, task.begin + queries); } // where the rows end that do
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

void forward_head(const Attention& at, float* out, float* lse, float* scratch, Task task, Task next) {
  Scratch memory{scratch};
  const int64_t D = at.D, width = pad(D), out_row = at.A * D, begin = task.begin, end = task.end, stop = at.asking(task), head = task.head;
  float* qt = memory.take(kTile * width); // [width, queries]
  float* k = memory.take(kTile * width);  // keys, then values
  float* sums = memory.take(kTile * width);
  float* scores = memory.take(kTile * kTile);  // [keys, queries]
  float* drawn = memory.take(kTile * kTile);   // dropout's factors, [queries, keys]
  float* factors = memory.take(kTile * kTile); // [keys, queries]
  float live[kTile];
  Softmax state;
  for (int64_t query = begin; query < stop; query += kTile) {
    const int64_t rows = minimum(kTile, stop - query), columns = pad(rows);
    float* to = out + query * out_row + head * D;
    pack_transposed(qt, at.query(query, head), at.row(), rows, D, at.scale * kLog2e, nullptr);
    for (int64_t i = 0; i < columns; ++i) state.maximum[i] = -INFINITY, state.sum[i] = 0.0f;
    for (int64_t key = begin; key < end; key += kTile) {
      const int64_t keys = minimum(kTile, end - key);
      const bool last = key + kTile >= end;
      at.mark_live(live, key, keys);
      pack(k, at.key(key, head), at.row(), keys, D, 1.0f, nullptr);
      prefetch(at.value(key, head), at.row(), keys, D);
      if (last) prefetch(to, out_row, rows, D);
      product(scores, columns, k, width, 1, qt, columns, keys, columns, D, false);
      const float* of_queries = at.factors(drawn, begin, head, query, key, rows, keys);
      if (of_queries) pack_transposed(factors, of_queries, kTile, rows, keys, 1.0f, nullptr);
      softmax(scores, live, of_queries ? factors : nullptr, keys, columns, &state);
      for (int64_t i = 0; key != begin && i < rows; ++i) {
        if (state.factor[i] == 1.0f) continue;
        float* row = sums + i * width;
        for (int64_t d = 0; d < width; d += W) store(row + d, load(row + d) * state.factor[i]);
      }
      pack(k, at.value(key, head), at.row(), keys, D, 1.0f, live);
      const Task then = !last ? Task{key + kTile, end, head} : query + kTile < stop ? task : next;
      prefetch(at.key(then.begin, then.head), at.row(), minimum(kTile, then.end - then.begin), D);
      if (last) {
        const Task queries = query + kTile < stop ? Task{query + kTile, stop, head} : Task{next.begin, at.asking(next), next.head};
        prefetch(at.query(queries.begin, queries.head), at.row(), minimum(kTile, queries.end - queries.begin), D);
      }
      product(sums, width, scores, 1, columns, k, width, rows, width, keys, key != begin);
    }
    for (int64_t i = 0; i < columns; i += W) {
      const Vf sum = load(state.sum + i);
      store(state.factor + i, select(sum == 0.0f, Vf{}, 1.0f / sum));
    }
    for (int64_t i = 0; i < rows; ++i) {
      vectors(D, [&](int64_t d, auto count) WB_INLINE {
        store(to + i * out_row + d, load(sums + i * width + d, count) * state.factor[i], count);
      });
      if (!lse) continue;
      const float sum = state.sum[i];
      lse[head * at.T + query + i] = sum == 0.0f ? -INFINITY : state.maximum[i] / kLog2e + logf(sum);
    }
  }
}

void backward_head(const Attention& at, float* dqkv, float* delta, const float* dout, const float* out,
                   const float* lse, float* scratch, Task task) {
  Scratch memory{scratch};
  const int64_t D = at.D, width = pad(D), begin = task.begin, end = task.end, stop = at.asking(task), head = task.head;
  float* q = memory.take(kTile * width);
  float* d = memory.take(kTile * width); // dout
  float* k = memory.take(kTile * width);
  float* kt = memory.take(kTile * width);
  float* vt = memory.take(kTile * width);
  float* dq = memory.take(kTile * width);
  float* dk = memory.take(kTile * width);
  float* dv = memory.take(kTile * width);
  float* scores = memory.take(kTile * kTile);
  float* gradient = memory.take(kTile * kTile); // of dropped-out weights, then of scores
  float* drawn = memory.take(kTile * kTile);
  float live[kTile];
  const auto slot = [&](int64_t t, int64_t which) { return dqkv + t * at.row() + which * at.A * D + head * D; };
  for (int64_t t = begin; t < stop; ++t) {
    Vf dot{};
    vectors(D, [&](int64_t i, auto count) WB_INLINE {
      dot += load(dout + t * at.A * D + head * D + i, count) * load(out + t * at.A * D + head * D + i, count);
    });
    delta[t] = sum(dot);
  }
  for (int64_t t = stop; t < end; ++t) memset(slot(t, 0), 0, D * sizeof(float));
  for (int64_t key = begin; key < end; key += kTile) {
    const int64_t keys = minimum(kTile, end - key), columns = pad(keys);
    at.mark_live(live, key, keys);
    pack(k, at.key(key, head), at.row(), keys, D, 1.0f, live);
    pack_transposed(kt, at.key(key, head), at.row(), keys, D, 1.0f, live);
    pack_transposed(vt, at.value(key, head), at.row(), keys, D, 1.0f, live);
    for (int64_t query = begin; query < stop; query += kTile) {
      const int64_t rows = minimum(kTile, stop - query);
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
                            int64_t /*max_seqlen*/, int64_t queries) {
  if (T == 0) return require_float32(dtype, "attention_forward");
  if (wb_status status = check("attention_forward", dtype, scale, cu_seqlens, T, B, D)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  const Attention at{static_cast<const float*>(qkv), cu_seqlens, key_mask, scale, dropout, T, A, D, minimum(queries, T)};
  const auto next = [&](int64_t task) { // others take those between
    return minimum(B * A - 1, task + static_cast<const CpuContext*>(ctx)->threads);
  };
  parallel(ctx, B * A, T * A * D, [&](int64_t task, int thread) {
    forward_head(at, static_cast<float*>(out), lse, thread_scratch(ctx, thread), at.task(task), at.task(next(task)));
  });
  return WB_OK;
}

wb_status attention_backward(wb_context* ctx, wb_dtype dtype, void* dqkv, float* dbias, float* workspace,
                             const void* dout, const void* out, const float* lse, const void* qkv,
                             const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float p, int32_t site,
                             const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t B, int64_t A, int64_t D,
                             int64_t /*max_seqlen*/, int64_t queries) {
  if (T == 0) return require_float32(dtype, "attention_backward");
  if (wb_status status = check("attention_backward", dtype, scale, cu_seqlens, T, B, D)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  const Attention at{static_cast<const float*>(qkv), cu_seqlens, key_mask, scale, dropout, T, A, D, minimum(queries, T)};
  parallel(ctx, B * A, T * A * D, [&](int64_t task, int thread) {
    const int64_t head = task % A;
    backward_head(at, static_cast<float*>(dqkv), workspace + head * T, static_cast<const float*>(dout),
                  static_cast<const float*>(out), lse + head * T, thread_scratch(ctx, thread), at.task(task));
  });
  if (!dbias) return WB_OK;
  return bias_activation_backward(ctx, WB_F32, dqkv, dbias, workspace, dqkv, nullptr, nullptr, WB_IDENTITY, T, 3 * A * D);
}

}  // namespace warpbert::WB_ISA
