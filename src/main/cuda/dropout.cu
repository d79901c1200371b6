// y = dropout(x); its gradient is the same function of dy. N*C elements read and written, and one Philox block (about 60
// integer instructions) for every 4 elements, which hides behind the memory at 16 bits too.
#include "dropout.cuh"

#include "elementwise.cuh"

namespace {

template <class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, ELEMENTWISE_BLOCKS) dropout(T* y, const T* x, Dropout d, int64_t rows, int64_t C) {
  const int64_t c = first_column<N>();
  if (c >= C) return;
  for (int64_t r = first_row(); r < rows; r += row_step()) {
    float v[N];
    load(v, x + r * C + c);
    apply_dropout(v, d, uint64_t(dropout_row(d, r) * C + c));
    store(y + r * C + c, v);
  }
}

}  // namespace

extern "C" wb_status wb_dropout_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, float p, int32_t site,
                                        const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  if (N == 0 || C == 0) return WB_OK;
  const Dropout d = make_dropout(p, site, rng, dropout_rows);
  return by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return by_width<T>(
        C,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, C, width);
          return LAUNCH((dropout<T, decltype(width)::value>), g.grid, g.block, 0, ctx, static_cast<T*>(y),
                        static_cast<const T*>(x), d, N, C);
        },
        static_cast<const T*>(y), static_cast<const T*>(x));
  });
}

extern "C" wb_status wb_dropout_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, float p, int32_t site,
                                         const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  return wb_dropout_forward(ctx, dtype, dx, dy, p, site, rng, dropout_rows, N, C);
}
