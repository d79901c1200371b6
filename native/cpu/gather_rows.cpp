// y[n] = x[rows[n]], and back; row -1 is none: zeros forward, passed over backward.
#include <cstring>

#include "parallel.h"

namespace warpbert::WB_ISA {

static wb_status check_rows(const int32_t* rows, int64_t N, int64_t T) {
  for (int64_t n = 0; n < N; ++n) {
    if (rows[n] < -1 || rows[n] >= T) {
      return fail(WB_INVALID_ARGUMENT, "gather_rows: rows[%lld] = %d is not a row of [%lld]", (long long)n, rows[n],
                  (long long)T);
    }
  }
  return WB_OK;
}

wb_status gather_rows_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const int32_t* rows, int64_t N,
                              int64_t T, int64_t H) {
  if (wb_status status = require_float32(dtype, "gather_rows_forward")) return status;
  if (wb_status status = check_rows(rows, N, T)) return status;
  parallel_runs(ctx, N, N * H, [=](int64_t n) {
    float* row = static_cast<float*>(y) + n * H;
    if (rows[n] < 0) {
      memset(row, 0, H * sizeof(float));
    } else {
      memcpy(row, static_cast<const float*>(x) + rows[n] * H, H * sizeof(float));
    }
  });
  return WB_OK;
}

wb_status gather_rows_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, const int32_t* rows,
                               int64_t N, int64_t T, int64_t H) {
  if (wb_status status = require_float32(dtype, "gather_rows_backward")) return status;
  if (wb_status status = check_rows(rows, N, T)) return status;
  parallel_runs(ctx, T, T * H, [=](int64_t t) { memset(static_cast<float*>(dx) + t * H, 0, H * sizeof(float)); });
  parallel_runs(ctx, N, N * H, [=](int64_t n) {
    if (rows[n] < 0) return;
    memcpy(static_cast<float*>(dx) + rows[n] * H, static_cast<const float*>(dy) + n * H, H * sizeof(float));
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
