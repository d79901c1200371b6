// Sigmoid cross-entropy of each element and its gradient.
#include <cmath>

#include "elementwise_loss.h"
#include "simd_math.h"

namespace warpbert::WB_ISA {
namespace {

struct SigmoidEntropy {
  static LossAndSlope WB_INLINE of(Vf x, Vf target) {
    const Vf t = select((target >= 0.0f) & (target <= 1.0f), target, splat(NAN)); // another cannot pass unseen
    const Vf e = exp(-absolute(x));
    const Vf tail = e / (1.0f + e); // sigmoid(-|x|): sigmoid(x) near 1 would lose its distance from it
    return {max(x, Vf{}) - x * t + log1p(e), select(x >= 0.0f, (1.0f - t) - tail, tail - t)};
  }
};

}  // namespace

wb_status binary_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
                               const float* target, const float* class_weights, float gradient_scale, int64_t N,
                               int64_t C) {
  if (wb_status status = require_float32(dtype, "binary_cross_entropy")) return status;
  elementwise_loss<SigmoidEntropy>(ctx, loss, dlogits, logits, target, class_weights, gradient_scale, N, C);
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
