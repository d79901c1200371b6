// Softmax cross-entropy over the rows of each segment, column by column, with its gradient. Scalar, and in float64: there
// are one or two columns, so that the op is nothing beside the model.
#include <cmath>

#include "cu_seqlens.h"
#include "parallel.h"

namespace warpbert::WB_ISA {
namespace {

// One column of one segment: element r of the L is x[r * C], and so in d (null: no gradient).
void segment_column(float* loss, float* d, const float* x, int32_t label, float scale, int64_t L, int64_t C) {
  float top = -INFINITY; // NaN ignored: it reaches the sum all the same
  for (int64_t r = 0; r < L; ++r) top = x[r * C] > top ? x[r * C] : top;
  const double label_logit = (double)x[label * C] - top;
  double total = 0;
  for (int64_t r = 0; r < L; ++r) {
    const double e = exp((double)x[r * C] - top);
    total += e;
    if (d) d[r * C] = (float)e;
  }
  *loss = (float)(log(total) - label_logit);
  if (!d) return;
  const float factor = (float)(scale / total);
  for (int64_t r = 0; r < L; ++r) d[r * C] *= factor;
  d[label * C] -= scale;
}

}  // namespace

wb_status segment_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
                                const int32_t* cu_seqlens, const int32_t* labels, int32_t ignore_label,
                                float gradient_scale, int64_t T, int64_t B, int64_t C) {
  if (wb_status status = require_float32(dtype, "segment_cross_entropy")) return status;
  if (wb_status status = check_cu_seqlens("segment_cross_entropy", cu_seqlens, T, B, T)) return status;
  parallel_runs(ctx, B, T * C, [=](int64_t b) {
    const int64_t first = cu_seqlens[b] * C, L = cu_seqlens[b + 1] - cu_seqlens[b];
    for (int64_t c = 0; c < C; ++c) {
      const int32_t label = labels[b * C + c];
      float* d = dlogits ? static_cast<float*>(dlogits) + first + c : nullptr;
      if (label != ignore_label && label >= 0 && label < L) {
        segment_column(loss + b * C + c, d, static_cast<const float*>(logits) + first + c, label, gradient_scale, L, C);
        continue;
      }
      const float value = label == ignore_label ? 0.0f : NAN;
      loss[b * C + c] = value;
      for (int64_t r = 0; d && r < L; ++r) d[r * C] = value;
    }
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
