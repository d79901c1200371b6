// (prediction - target)^2 and its gradient.
#include "elementwise_loss.h"

namespace warpbert::WB_ISA {
namespace {

struct Square {
  static LossAndSlope WB_INLINE of(Vf x, Vf t) {
    const Vf difference = x - t;
    return {difference * difference, difference + difference};
  }
};

}  // namespace

wb_status mean_squared_error(wb_context* ctx, wb_dtype dtype, float* loss, void* dprediction, const void* prediction,
                             const float* target, float gradient_scale, int64_t N, int64_t C) {
  if (wb_status status = require_float32(dtype, "mean_squared_error")) return status;
  elementwise_loss<Square>(ctx, loss, dprediction, prediction, target, nullptr, gradient_scale, N, C);
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
