// y[n] = x[rows[n]], and back. Bandwidth only: N*H elements read and written; the backward also clears T*H.
// Row -1 is none: zeros forward. Another outside of [0,T) gives NaN. Both are passed over backward.
#include "elementwise.cuh"

namespace {

template <class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, ELEMENTWISE_BLOCKS)
    gather_rows(T* __restrict__ y, const T* __restrict__ x, const int32_t* __restrict__ rows, int64_t count, int64_t T_,
                int64_t H) {
  const int64_t c = first_column<N>();
  if (c >= H) return;
  for (int64_t n = first_row(); n < count; n += row_step()) {
    const int64_t row = rows[n];
    float v[N];
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = row == -1 ? 0 : NAN;
    if (row >= 0 && row < T_) load(v, x + row * H + c);
    store(y + n * H + c, v);
  }
}

template <class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, ELEMENTWISE_BLOCKS)
    scatter_rows(T* __restrict__ dx, const T* __restrict__ dy, const int32_t* __restrict__ rows, int64_t count, int64_t T_,
                 int64_t H) {
  const int64_t c = first_column<N>();
  if (c >= H) return;
  for (int64_t n = first_row(); n < count; n += row_step()) {
    const int64_t row = rows[n];
    if (row < 0 || row >= T_) continue;
    float v[N];
    load(v, dy + n * H + c);
    store(dx + row * H + c, v);
  }
}

}  // namespace

extern "C" wb_status wb_gather_rows_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const int32_t* rows,
                                            int64_t N, int64_t T, int64_t H) {
  if (N == 0 || H == 0) return WB_OK;
  return by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return by_width<E>(
        H,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, H, width);
          return LAUNCH((gather_rows<E, decltype(width)::value>), g.grid, g.block, 0, ctx, static_cast<E*>(y),
                        static_cast<const E*>(x), rows, N, T, H);
        },
        static_cast<const E*>(y), static_cast<const E*>(x));
  });
}

extern "C" wb_status wb_gather_rows_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, const int32_t* rows,
                                             int64_t N, int64_t T, int64_t H) {
  return by_type(dtype, [&](auto type) {
    using E = decltype(type);
    RETURN_IF_FAILED(wb_zero(ctx, dx, T * H * int64_t(sizeof(E))));
    if (N == 0 || H == 0) return WB_OK;
    return by_width<E>(
        H,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, H, width);
          return LAUNCH((scatter_rows<E, decltype(width)::value>), g.grid, g.block, 0, ctx, static_cast<E*>(dx),
                        static_cast<const E*>(dy), rows, N, T, H);
        },
        static_cast<const E*>(dx), static_cast<const E*>(dy));
  });
}
