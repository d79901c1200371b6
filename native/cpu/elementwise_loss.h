// Losses of single elements against float targets, each with its gradient in the same pass.
#ifndef WARPBERT_CPU_ELEMENTWISE_LOSS_H
#define WARPBERT_CPU_ELEMENTWISE_LOSS_H

#include "parallel.h"
#include "simd.h"

namespace warpbert::WB_ISA {

struct LossAndSlope { Vf loss, slope; };

// [N,C]: loss = w * Loss::of(x, target).loss and dx = scale * w * slope, both 0 where target is NaN. w, [C], and dx may
// be null; dx may be x.
template <class Loss>
static void elementwise_loss(wb_context* ctx, float* loss, void* dx, const void* x, const float* target, const float* w,
                             float scale, int64_t N, int64_t C) {
  parallel_runs(ctx, N, N * C, [=](int64_t n) {
    const float* in = static_cast<const float*>(x) + n * C;
    float* out = dx ? static_cast<float*>(dx) + n * C : nullptr;
    vectors(C, [&](int64_t c, auto width) WB_INLINE {
      const Vf t = load(target + n * C + c, width);
      LossAndSlope at = Loss::of(load(in + c, width), t);
      if (w) {
        at.loss *= load(w + c, width);
        at.slope *= load(w + c, width);
      }
      const Vi labelled = t == t;
      store(loss + n * C + c, select(labelled, at.loss, Vf{}), width);
      if (out) store(out + c, select(labelled, at.slope * scale, Vf{}), width);
    });
  });
}

}  // namespace warpbert::WB_ISA
#endif
