// Clears the rows that a gradient was added to.
#include <cstring>

#include "parallel.h"

namespace warpbert::WB_ISA {

wb_status zero_rows(wb_context* ctx, float* x, const uint8_t* touched, int64_t R, int64_t width) {
  parallel_runs(ctx, R, R * width, [=](int64_t row) {
    if (touched[row]) memset(x + row * width, 0, width * sizeof(float));
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
