// (prediction - target)^2 and its gradient. Bandwidth only.
#include "elementwise_loss.cuh"

namespace {

struct Square {
  static constexpr const char* op = "mean_squared_error";
  __device__ static __forceinline__ LossAndSlope of(float x, float t) {
    const float difference = x - t;
    return {difference * difference, difference + difference};
  }
};

}  // namespace

extern "C" wb_status wb_mean_squared_error(wb_context* ctx, wb_dtype dtype, float* loss, void* dprediction,
                                           const void* prediction, const float* target, float gradient_scale, int64_t N,
                                           int64_t C) {
  return launch_elementwise_loss<Square>(ctx, dtype, loss, dprediction, prediction, target, nullptr, gradient_scale, N, C);
}
