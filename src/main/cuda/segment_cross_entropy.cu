// Softmax cross-entropy over the rows of each segment, column by column, with its gradient. A block to a column of a
// segment; its T*C logits are read three times, twice from cache: a batch of spans is a few tens of KB, so that what is
// spent is the launch.
#include "reduce.cuh"

namespace {

constexpr int SEGMENT_THREADS = 128;

template <class T>
__global__ void __launch_bounds__(SEGMENT_THREADS, 4)
    segment_cross_entropy(float* __restrict__ loss, T* dlogits, const T* logits, const int32_t* __restrict__ cu_seqlens,
                          const int32_t* __restrict__ labels, int32_t ignore_label, float gradient_scale, int64_t rows,
                          int64_t C) {
  DYN_SMEM(float, scratch);
  const int64_t b = blockIdx.x / C, begin = cu_seqlens[b], end = cu_seqlens[b + 1];
  const int64_t length = begin >= 0 && end <= rows ? end - begin : 0;
  const int64_t first = begin * C + blockIdx.x % C;  // element of the column's first row; the next is C further
  const int64_t label = labels[blockIdx.x];
  T* out = dlogits ? dlogits + first : nullptr;
  if (label == ignore_label || label < 0 || label >= length) {
    const float value = label == ignore_label ? 0.0f : NAN;
    if (threadIdx.x == 0) loss[blockIdx.x] = value;
    for (int64_t r = threadIdx.x; out && r < length; r += SEGMENT_THREADS) out[r * C] = from_float<T>(value);
    return;
  }

  const T* x = logits + first;
  float maximum = -INFINITY;
  for (int64_t r = threadIdx.x; r < length; r += SEGMENT_THREADS) maximum = fmaxf(maximum, to_float(x[r * C]));
  maximum = group_reduce<Max, SEGMENT_THREADS>(maximum, scratch);
  float sum = 0;
  for (int64_t r = threadIdx.x; r < length; r += SEGMENT_THREADS) sum += expf(to_float(x[r * C]) - maximum);
  const float label_logit = to_float(x[label * C]) - maximum;
  sum = group_reduce<Sum, SEGMENT_THREADS>(sum, scratch);  // dlogits may be logits: all have read the label's by now
  if (threadIdx.x == 0) loss[blockIdx.x] = logf(sum) - label_logit;
  const float factor = 1.0f / sum;
  for (int64_t r = threadIdx.x; out && r < length; r += SEGMENT_THREADS) {
    const float onehot = r == label ? 1.0f : 0.0f;
    out[r * C] = from_float<T>((expf(to_float(x[r * C]) - maximum) * factor - onehot) * gradient_scale);
  }
}

}  // namespace

extern "C" wb_status wb_segment_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits,
                                              const void* logits, const int32_t* cu_seqlens, const int32_t* labels,
                                              int32_t ignore_label, float gradient_scale, int64_t T, int64_t B, int64_t C) {
  if (B == 0) return WB_OK;
  return by_type(dtype, [&](auto type) {
    using E = decltype(type);
    return LAUNCH(segment_cross_entropy<E>, dim3(unsigned(B * C)), SEGMENT_THREADS, SEGMENT_THREADS / 32 * sizeof(float), ctx,
                  loss, static_cast<E*>(dlogits), static_cast<const E*>(logits), cu_seqlens, labels, ignore_label,
                  gradient_scale, T, C);
  });
}
