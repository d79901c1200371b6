// Clears the rows that a gradient was added to, a warp to a row: as many bytes written as they have, and R read.
#include "device.cuh"

namespace {

constexpr int THREADS = 256, WARP = 32;

template <int N>
__global__ void __launch_bounds__(THREADS)
    zero_rows(float* __restrict__ x, const uint8_t* __restrict__ touched, int64_t R, int64_t width) {
  const int64_t row = int64_t(blockIdx.x) * (THREADS / WARP) + threadIdx.x / WARP;
  if (row >= R || !touched[row]) return;
  const float zeros[N] = {};
  for (int64_t c = int64_t(threadIdx.x % WARP) * N; c < width; c += WARP * N) store(x + row * width + c, zeros);
}

}  // namespace

extern "C" wb_status wb_zero_rows(wb_context* ctx, float* x, const uint8_t* touched, int64_t R, int64_t width) {
  if (R == 0) return WB_OK;
  return by_width<float>(
      width,
      [&](auto vector) {
        return LAUNCH(zero_rows<decltype(vector)::value>, dim3(unsigned(ceil_div(R, THREADS / WARP))), THREADS, 0, ctx, x, touched, R, width);
      },
      static_cast<const float*>(x));
}
