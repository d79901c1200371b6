// y = dropout(x); the backward is the same function.
#include "dropout.h"

#include <cstring>

#include "parallel.h"

namespace warpbert::WB_ISA {

wb_status dropout_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, float p, int32_t site,
                          const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  if (wb_status status = require_float32(dtype, "dropout")) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  parallel_runs(ctx, N, N * C, [=](int64_t n) {
    float* out = static_cast<float*>(y) + n * C;
    const float* in = static_cast<const float*>(x) + n * C;
    if (dropout.on) dropout_row(out, in, dropout, dropout.row(n), C);
    else if (out != in) memcpy(out, in, C * sizeof(float));
  });
  return WB_OK;
}

wb_status dropout_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, float p, int32_t site,
                           const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  return dropout_forward(ctx, dtype, dx, dy, p, site, rng, dropout_rows, N, C);
}

}  // namespace warpbert::WB_ISA
