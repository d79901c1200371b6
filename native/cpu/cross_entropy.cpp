// Softmax cross-entropy: the loss of each row and, in the same pass over it, its gradient.
#include <cmath>
#include <cstring>

#include "parallel.h"
#include "simd_math.h"

namespace warpbert::WB_ISA {
namespace {

constexpr int64_t kRun = 1024; // columns summed in float32, before float64 takes over: vocabularies are long

struct Row {
  const float* weights; // [C], nullable
  float spread;         // smoothing / C: q of every class but the label
  float peak;           // what the label's q has on top
};

// The largest logit, NaN ignored: it reaches the sum of exponentials all the same.
float largest(const float* x, int64_t C) {
  Vf top = splat(-INFINITY);
  float rest = -INFINITY;
  vectors(C, [&](int64_t i, auto width) WB_INLINE {
    if constexpr (__is_same(decltype(width), Full)) top = max(load(x + i), top);
    else for (int k = 0; k < width.count; ++k) rest = x[i + k] > rest ? x[i + k] : rest;
  });
  const float most = max(top);
  return most > rest ? most : rest;
}

// loss = sum_c w_c q_c (log(sum of e) - (x_c - top)), e_c = exp(x_c - top).
void cross_entropy_row(float* loss, float* dlogits, const float* x, int32_t label, const Row& row, float scale,
                       int64_t C) {
  const float top = largest(x, C);
  const float label_logit = x[label] - top;
  const float label_weight = row.weights ? row.weights[label] : 1.0f;
  double exponentials = 0, mass = (double)label_weight * row.peak; // mass: the sum of w_c q_c
  double loss_terms = 0;                                           // the sum of w_c (x_c - top)
  for (int64_t c = 0; c < C; c += kRun) {
    Vf run{}, run_mass{}, run_terms{};
    vectors(minimum(kRun, C - c), [&](int64_t i, auto width) WB_INLINE {
      const Vf shifted = load(x + c + i, width) - top;
      const Vf e = exp(shifted);
      run += keep(e, width);
      if (row.spread != 0.0f) {
        const Vf w = row.weights ? load(row.weights + c + i, width) : splat(1.0f);
        run_mass += keep(w, width);
        run_terms += keep(w * shifted, width);
      }
      if (dlogits) store(dlogits + c + i, e, width);
    });
    exponentials += sum(run);
    mass += (double)row.spread * sum(run_mass);
    loss_terms += sum(run_terms);
  }
  double total = mass * log(exponentials) - (double)label_weight * row.peak * label_logit;
  if (row.spread != 0.0f) total -= row.spread * loss_terms;
  *loss = (float)total;
  if (!dlogits) return;
  const float factor = (float)(scale * mass / exponentials);
  vectors(C, [&](int64_t i, auto width) WB_INLINE {
    Vf d = load(dlogits + i, width) * factor;
    if (row.spread != 0.0f) {
      const float share = scale * row.spread;
      d -= row.weights ? load(row.weights + i, width) * share : splat(share);
    }
    store(dlogits + i, d, width);
  });
  dlogits[label] -= scale * label_weight * row.peak;
}

}  // namespace

wb_status cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
                        const int32_t* labels, const float* class_weights, float smoothing, int32_t ignore_label,
                        float gradient_scale, int64_t N, int64_t C, int64_t stride) {
  if (wb_status status = require_float32(dtype, "cross_entropy")) return status;
  const Row row = {class_weights, smoothing / (float)C, 1.0f - smoothing};
  parallel_tasks(ctx, N, N * C, [=](int64_t n) {
    float* d = dlogits ? static_cast<float*>(dlogits) + n * stride : nullptr;
    if (d) memset(d + C, 0, (stride - C) * sizeof(float));
    const int32_t label = labels[n];
    if (label != ignore_label && label >= 0 && label < C) {
      cross_entropy_row(loss + n, d, static_cast<const float*>(logits) + n * stride, label, row, gradient_scale, C);
      return;
    }
    const float value = label == ignore_label ? 0.0f : NAN;
    loss[n] = value;
    for (int64_t c = 0; d && c < C; ++c) d[c] = value;
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
