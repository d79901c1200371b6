// y = dropout(layernorm(word[tokens] + position[positions] + segment[segments])), and the gradients of the tables.
#include "column_sums.h"
#include "dropout.h"
#include "layernorm.h"
#include "parallel.h"

namespace warpbert::WB_ISA {
namespace {

wb_status check_index(const char* name, const int32_t* index, int64_t T, int64_t rows) {
  for (int64_t t = 0; t < T; ++t) {
    if (index[t] < 0 || index[t] >= rows) {
      return fail(WB_INVALID_ARGUMENT, "embeddings: %s[%lld] = %d is not in [0, %lld)", name, (long long)t, index[t],
                  (long long)rows);
    }
  }
  return WB_OK;
}

wb_status check_indices(const int32_t* tokens, const int32_t* positions, const int32_t* segments, int64_t T, int64_t V,
                        int64_t P, int64_t S) {
  if (wb_status status = check_index("tokens", tokens, T, V)) return status;
  if (wb_status status = check_index("positions", positions, T, P)) return status;
  return check_index("segments", segments, T, S);
}

// table[ids[t]] += x[t] for every t of `order` (NULL: 0 .. T-1). Each owner has some columns of the table, all of its
// rows, and adds in the given order; neighbours of the same row are summed before they are added.
void add_rows(const wb_context* ctx, float* table, const float* x, const int32_t* ids, const int32_t* order, int64_t T,
              int64_t H) {
  if (T == 0) return;
  parallel_tasks(ctx, ceil_div(H, kColumns), T * H, [=](int64_t task) {
    const int64_t column = task * kColumns, count = minimum(kColumns, H - column);
    float total[kColumns] = {};
    for (int64_t k = 0; k < T; ++k) {
      const int64_t t = order ? order[k] : k;
      vectors(count, [&](int64_t i, auto width) WB_INLINE {
        store(total + i, load(total + i) + load(x + t * H + column + i, width));
      });
      if (k + 1 < T && ids[order ? order[k + 1] : k + 1] == ids[t]) continue;
      float* row = table + ids[t] * H + column;
      vectors(count, [&](int64_t i, auto width) WB_INLINE {
        store(row + i, load(row + i, width) + load(total + i, width), width);
        store(total + i, Vf{});
      });
    }
  });
}

}  // namespace

wb_status embeddings_forward(wb_context* ctx, wb_dtype dtype, void* y_, float* mean, float* rstd, const float* word,
                             const float* position, const float* segment, const float* gamma, const float* beta,
                             const int32_t* tokens, const int32_t* positions, const int32_t* segments, float eps,
                             float p, int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
                             int64_t H, int64_t V, int64_t P, int64_t S) {
  if (wb_status status = require_float32(dtype, "embeddings_forward")) return status;
  if (wb_status status = check_indices(tokens, positions, segments, T, V, P, S)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  parallel_runs(ctx, T, T * H, [=](int64_t t) {
    const float* w = word + tokens[t] * H;
    const float* q = position + positions[t] * H;
    const float* s = segment + segments[t] * H;
    float* y = static_cast<float*>(y_) + t * H;
    const float total = sum_vectors(H, [&](int64_t i, auto width) WB_INLINE {
      const Vf v = load(w + i, width) + load(q + i, width) + load(s + i, width);
      store(y + i, v, width);
      return v;
    });
    const Statistics stats = statistics(y, total, eps, H);
    normalise(y, y, stats, gamma, beta, H);
    if (dropout.on) dropout_row(y, y, dropout, dropout.row(t), H);
    mean[t] = stats.mean;
    rstd[t] = stats.rstd;
  });
  return WB_OK;
}

wb_status embeddings_backward(wb_context* ctx, wb_dtype dtype, float* dword, float* dposition, float* dsegment,
                              float* dgamma, float* dbeta, uint8_t* touched, float* workspace, const void* dy_,
                              const float* mean, const float* rstd, const float* word, const float* position, const float* segment,
                              const float* gamma, const int32_t* tokens, const int32_t* positions,
                              const int32_t* segments, const int32_t* word_order, const int32_t* position_order,
                              float p, int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
                              int64_t H, int64_t V, int64_t P, int64_t S) {
  if (wb_status status = require_float32(dtype, "embeddings_backward")) return status;
  if (wb_status status = check_indices(tokens, positions, segments, T, V, P, S)) return status;
  if (wb_status status = check_index("word_order", word_order, T, T)) return status;
  if (wb_status status = check_index("position_order", position_order, T, T)) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  const float* dy = static_cast<const float*>(dy_);
  float* dz = workspace;               // [T,H] gradient of the sum of the three tables' rows
  float* partial = workspace + T * H;  // [blocks,2,H] dgamma and dbeta of a block of rows
  const int64_t rows = reduce_rows(T), blocks = ceil_div(T, rows);
  parallel_tasks(ctx, blocks, T * H, [=](int64_t block) {
    float* gamma_sums = partial + block * 2 * H;
    const int64_t begin = block * rows, end = minimum(T, begin + rows);
    for (int64_t t = begin; t < end; ++t) {
      const float* w = word + tokens[t] * H;
      const float* q = position + positions[t] * H;
      const float* s = segment + segments[t] * H;
      float* out = dz + t * H;
      const float* d = dy + t * H;
      if (dropout.on) {
        dropout_row(out, d, dropout, dropout.row(t), H);
        d = out;
      }
      const auto normalised = [&](int64_t i, auto width) WB_INLINE {
        return (load(w + i, width) + load(q + i, width) + load(s + i, width) - mean[t]) * rstd[t];
      };
      const auto put = [&](int64_t i, Vf v, auto width) WB_INLINE { store(out + i, v, width); };
      layernorm_backward_row(gamma_sums, gamma_sums + H, t == begin, d, gamma, rstd[t], H, normalised, put);
    }
  });
  add_column_sums(ctx, dgamma, partial, 2 * H, blocks, H);
  add_column_sums(ctx, dbeta, partial + H, 2 * H, blocks, H);
  add_rows(ctx, dword, dz, tokens, word_order, T, H);
  for (int64_t t = 0; touched && t < T; ++t) touched[tokens[t]] = 1;
  add_rows(ctx, dposition, dz, positions, position_order, T, H);
  add_rows(ctx, dsegment, dz, segments, nullptr, T, H);
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
