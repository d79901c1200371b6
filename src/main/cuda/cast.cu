// y = x in another type, to nearest even. Bandwidth only; a thread takes 4 neighbours, 16 bytes of the wider type:
// with 8 a warp's access would touch each sector of that type by half, and so twice.
#include "device.cuh"

namespace {

constexpr int THREADS = 256;

template <class Y, class X, int N>
__global__ void __launch_bounds__(THREADS, 4) cast(Y* __restrict__ y, const X* __restrict__ x, int64_t n) {
  const int64_t i = (int64_t(blockIdx.x) * THREADS + threadIdx.x) * N;
  if (i + N <= n) {
    float v[N];
    load(v, x + i);
    store(y + i, v);
  } else {
    for (int64_t j = i; j < n; ++j) y[j] = from_float<Y>(to_float(x[j]));
  }
}

}  // namespace

extern "C" wb_status wb_cast(wb_context* ctx, void* y, wb_dtype y_dtype, const void* x, wb_dtype x_dtype, int64_t n) {
  if (n == 0) return WB_OK;
  return by_type(y_dtype, [&](auto y_type) {
    using Y = decltype(y_type);
    return by_type(x_dtype, [&](auto x_type) {
      using X = decltype(x_type);
      if constexpr (std::is_same<X, Y>::value) {
        return x == y ? WB_OK : wb_copy(ctx, y, x, n * int64_t(sizeof(X)));
      } else {
        Y* const out = static_cast<Y*>(y);
        const X* const in = static_cast<const X*>(x);
        if (aligned16(y) && aligned16(x)) {
          return LAUNCH((cast<Y, X, 4>), dim3(unsigned(ceil_div(n, THREADS * 4))), THREADS, 0, ctx, out, in, n);
        }
        return LAUNCH((cast<Y, X, 1>), dim3(unsigned(ceil_div(n, THREADS))), THREADS, 0, ctx, out, in, n);
      }
    });
  });
}
