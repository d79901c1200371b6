// Softmax cross-entropy, loss and gradient in one kernel. Reads N*C logits twice (the second time mostly from L2: a row of
// 30,522 is 60 KB in 16 bits) and writes N*C gradients; the probabilities are never in memory. In 16 bits memory leaves time for some 35
// instructions an element: so the exponent is the GPU's own, columns are 32-bit numbers, and the label is looked for once a vector.
// A warp to a row of up to 1,024 classes, four rows a block; beyond, a block of 256 to a row.
#include "ptx.cuh"
#include "reduce.cuh"

namespace {

constexpr int SMALL_BLOCK = 128;

struct Loss {
  const float* class_weights;
  float smoothing;
  int32_t ignore_label;
  float gradient_scale;
};

// exp(x). Of 16-bit logits within 2 ulp, and 0 where it would be below float32's normal numbers.
template <class T>
__device__ __forceinline__ float exponential(float x) {
  return std::is_same<T, float>::value ? expf(x) : fast_exp2(x * 1.44269504f);
}

// f(first column, N logits) over this thread's share of a row. Steps are of N * G columns. Behind the row's C columns logits are -inf.
template <int N, int G, class T, class F>
__device__ __forceinline__ void for_logits(const T* row, int C, F f) {
  for (int c = int(threadIdx.x % G) * N; c < C; c += G * N) {
    float x[N];
    load(x, row + c);
    if (c + N > C) {
#pragma unroll
      for (int i = 0; i < N; ++i) x[i] = c + i < C ? x[i] : -INFINITY;
    }
    f(c, x);
  }
}

// N elements of a row at column c, of which those behind its C columns become 0.
template <int N, class T>
__device__ __forceinline__ void store_row(T* row, int c, int C, float (&x)[N]) {
  if (c + N > C) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = c + i < C ? x[i] : 0.0f;
  }
  store(row + c, x);
}

// Columns first .. C - 1 become `value`, and 0 those from C to stride. `first` is a multiple of N.
template <int N, int G, class T>
__device__ __forceinline__ void fill(T* row, float value, int first, int C, int stride) {
  for (int c = first + int(threadIdx.x % G) * N; c < stride; c += G * N) {
    float x[N];
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = value;
    store_row(row, c, C, x);
  }
}

template <class T, int N, int G>
__global__ void __launch_bounds__(G == 32 ? SMALL_BLOCK : G, 4)
    cross_entropy(float* __restrict__ loss, T* dlogits, const T* logits, const int32_t* __restrict__ labels, Loss how,
                  int64_t rows, int C, int stride) {
  DYN_SMEM(float, scratch);
  const int64_t n = G == 32 ? int64_t(blockIdx.x) * (SMALL_BLOCK / 32) + threadIdx.x / 32 : int64_t(blockIdx.x);
  if (n >= rows) return;  // a whole group at once
  const bool first = threadIdx.x % G == 0;
  const int label = labels[n];
  const T* row = logits + n * stride;
  T* out = dlogits ? dlogits + n * stride : nullptr;
  if (label == how.ignore_label || label < 0 || label >= C) {
    const float value = label == how.ignore_label ? 0.0f : NAN;
    if (first) loss[n] = value;
    if (out) fill<N, G>(out, value, 0, C, stride);
    return;
  }

  // The maximum and sum(exp(x - maximum)) in one reading: the sum is rescaled whenever the maximum grows.
  const float spread = how.smoothing / float(C);
  float maximum = -INFINITY, sum = 0, weight = 0;
  for_logits<N, G>(row, C, [&](int c, const float(&x)[N]) {
    float top = x[0];
#pragma unroll
    for (int i = 1; i < N; ++i) top = fmaxf(top, x[i]);
    if (top > maximum) {
      sum *= exponential<T>(maximum - top);
      maximum = top;
    }
    const float origin = maximum == -INFINITY ? 0.0f : maximum;
#pragma unroll
    for (int i = 0; i < N; ++i) sum += exponential<T>(x[i] - origin);
    if (how.smoothing != 0 && how.class_weights) {
#pragma unroll
      for (int i = 0; i < N; ++i) weight += c + i < C ? how.class_weights[c + i] * spread : 0.0f;
    }
  });
  const float label_weight = (how.class_weights ? how.class_weights[label] : 1.0f) * (1.0f - how.smoothing);
  const float label_logit = to_float(row[label]);
  __syncwarp();  // dlogits may be logits: nobody overwrites it before all have read it (larger groups meet in reductions)
  const float row_maximum = group_reduce<Max, G>(maximum, scratch);
  const float row_sum = group_reduce<Sum, G>(maximum == row_maximum ? sum : sum * exponential<T>(maximum - row_maximum), scratch);
  // sum of w[c] q[c]: what the log-sum-exp is weighted by
  const float smooth_weight = how.smoothing == 0 ? 0.0f : how.class_weights ? group_reduce<Sum, G>(weight, scratch) : how.smoothing;
  const float total = label_weight + smooth_weight;

  const float log_sum = logf(row_sum);
  float spread_loss = 0;
  if (out || how.smoothing != 0) {
    const float factor = total / row_sum * how.gradient_scale;
    for_logits<N, G>(row, C, [&](int c, float(&x)[N]) {
      float target[N] = {};
      if (how.smoothing != 0) {
#pragma unroll
        for (int i = 0; i < N; ++i) {
          if (c + i < C) target[i] = (how.class_weights ? how.class_weights[c + i] : 1.0f) * spread;
          if (target[i] != 0) spread_loss += target[i] * (log_sum - (x[i] - row_maximum));
        }
      }
      if (!out) return;
      if (label >= c && label < c + N) {
#pragma unroll
        for (int i = 0; i < N; ++i) target[i] += c + i == label ? label_weight : 0.0f;
      }
#pragma unroll
      for (int i = 0; i < N; ++i) x[i] = exponential<T>(x[i] - row_maximum) * factor - target[i] * how.gradient_scale;
      store_row(out, c, C, x);
    });
    if (out) fill<N, G>(out, 0.0f, (C + N - 1) / N * N, C, stride);
  }
  if (how.smoothing != 0) spread_loss = group_reduce<Sum, G>(spread_loss, scratch);
  const float label_loss = label_weight == 0 ? 0.0f : label_weight * (log_sum - (label_logit - row_maximum));
  if (first) loss[n] = label_loss + spread_loss;
}

}  // namespace

extern "C" wb_status wb_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
                                      const int32_t* labels, const float* class_weights, float smoothing,
                                      int32_t ignore_label, float gradient_scale, int64_t N, int64_t C,
                                      int64_t stride) {
  if (N == 0) return WB_OK;
  if (stride > INT32_MAX / 2) return fail(WB_UNSUPPORTED, "rows of %lld logits; cross_entropy holds up to %d", (long long)stride, INT32_MAX / 2);
  const Loss how = {class_weights, smoothing, ignore_label, gradient_scale};
  return by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return by_width<T>(
        stride,
        [&](auto width) {
          constexpr int W = decltype(width)::value;
          T* const out = static_cast<T*>(dlogits);
          const T* const in = static_cast<const T*>(logits);
          if (C <= 1024) {
            return LAUNCH((cross_entropy<T, W, 32>), dim3(unsigned(ceil_div(N, SMALL_BLOCK / 32))), SMALL_BLOCK, 0, ctx, loss,
                          out, in, labels, how, N, int(C), int(stride));
          }
          return LAUNCH((cross_entropy<T, W, 256>), dim3(unsigned(N)), 256, 256 / 32 * sizeof(float), ctx, loss, out, in,
                        labels, how, N, int(C), int(stride));
        },
        static_cast<const T*>(dlogits), static_cast<const T*>(logits));
  });
}
