// Sigmoid cross-entropy of each element and its gradient. Bandwidth, and about 30 flops an element.
#include "elementwise_loss.cuh"

namespace {

struct SigmoidEntropy {
  static constexpr const char* op = "binary_cross_entropy";
  __device__ static __forceinline__ LossAndSlope of(float x, float target) {
    const float t = target >= 0.0f && target <= 1.0f ? target : NAN;  // another cannot pass unseen
    const float e = expf(-fabsf(x));
    const float tail = e / (1.0f + e);  // sigmoid(-|x|): sigmoid(x) near 1 would lose its distance from it
    return {fmaxf(x, 0.0f) - x * t + log1pf(e), x >= 0.0f ? (1.0f - t) - tail : tail - t};
  }
};

}  // namespace

extern "C" wb_status wb_binary_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits,
                                             const void* logits, const float* target, const float* class_weights,
                                             float gradient_scale, int64_t N, int64_t C) {
  return launch_elementwise_loss<SigmoidEntropy>(ctx, dtype, loss, dlogits, logits, target, class_weights, gradient_scale,
                                                 N, C);
}
