// y = activation(x + bias) and its gradient.
// Forward: reads N*C, writes N*C elements. GELU by erf takes some 50 instructions an element, more than an H100's memory
// leaves time for in 16 bits: there a fit of a third of them, and one branch on the activation for 8 elements. Backward: reads 2 N*C, writes N*C (without an
// activation and in place it reads N*C and writes nothing); the bias gradient rides along in registers, so that dx is not
// read again: at most WB_REDUCE_BLOCKS partial rows, then add_column_sums.
#include "elementwise.cuh"
#include "ptx.cuh"
#include "reduce.cuh"

namespace {

// The normal distribution: what lies below x, and exp(-x^2 / 2).
struct Normal {
  float below, bell;
};

template <class T>
__device__ __forceinline__ Normal normal(float x) {
  if constexpr (std::is_same<T, float>::value) {
    return {0.5f * erfcf(x * -0.70710678f), expf(-0.5f * x * x)};  // by erfc: 1 + erf cancels in the lower tail
  } else {
    // below(-|x|) = bell * t * P(t) with t = 1 / (1 + 0.64 |x| / sqrt(2)), the form of Abramowitz & Stegun 7.1.26. P is a fit
    // to the least relative error, 7.9e-6 in the whole tail: a sixtieth of what rounding a result to float16 costs.
    const float bell = fast_exp2(x * x * -0.72134752f), t = fast_reciprocal(1.0f + 0.45254833f * fabsf(x));
    float fit = 0.06892072f;
    fit = fit * t - 0.23507392f;
    fit = fit * t + 0.19077854f;
    fit = fit * t + 0.10999495f;
    fit = fit * t + 0.18507195f;
    fit = fit * t + 0.18030614f;
    const float tail = bell * t * fit;
    return {x < 0 ? tail : 1.0f - tail, bell};
  }
}

template <class T>
__device__ __forceinline__ float gelu(float x) {
  return x * normal<T>(x).below;
}

template <class T>
__device__ __forceinline__ float gelu_slope(float x) {
  const Normal at = normal<T>(x);
  return at.below + x * 0.39894228f * at.bell;
}

constexpr float TANH_SCALE = 0.79788456f, TANH_CUBE = 0.044715f;  // sqrt(2/pi), and Hendrycks & Gimpel's fit

// (1 + tanh(u)) / 2 of x's u: in 16 bits as the logistic function of 2 u, which loses nothing in the lower tail.
template <class T>
__device__ __forceinline__ float half_and_tanh(float x) {
  const float u = TANH_SCALE * (x + TANH_CUBE * x * x * x);
  if constexpr (std::is_same<T, float>::value) return 0.5f + 0.5f * tanhf(u);
  return fast_reciprocal(1.0f + fast_exp2(u * -2.8853901f));
}

template <class T>
__device__ __forceinline__ float gelu_tanh(float x) {
  return x * half_and_tanh<T>(x);
}

template <class T>
__device__ __forceinline__ float gelu_tanh_slope(float x) {
  const float share = half_and_tanh<T>(x);
  return share + x * 2.0f * share * (1.0f - share) * TANH_SCALE * (1.0f + 3.0f * TANH_CUBE * x * x);
}

#define EACH                 \
  _Pragma("unroll") for (int i = 0; i < N; ++i)

template <class T, int N>
__device__ __forceinline__ void activate(float (&x)[N], int activation) {
  switch (activation) {
    case WB_GELU: EACH x[i] = gelu<T>(x[i]); break;
    case WB_GELU_TANH: EACH x[i] = gelu_tanh<T>(x[i]); break;
    case WB_RELU: EACH x[i] = x[i] < 0 ? 0.0f : x[i]; break;  // a NaN stays one
    case WB_TANH: EACH x[i] = tanhf(x[i]); break;
    default: break;
  }
}

// gradient *= activation'(x)
template <class T, int N>
__device__ __forceinline__ void multiply_slope(float (&gradient)[N], const float (&x)[N], int activation) {
  switch (activation) {
    case WB_GELU: EACH gradient[i] *= gelu_slope<T>(x[i]); break;
    case WB_GELU_TANH: EACH gradient[i] *= gelu_tanh_slope<T>(x[i]); break;
    case WB_RELU: EACH gradient[i] = x[i] <= 0 ? 0.0f : x[i] > 0 ? gradient[i] : gradient[i] * x[i]; break;
    case WB_TANH:
      EACH {
        const float t = tanhf(x[i]);
        gradient[i] *= 1.0f - t * t;
      }
      break;
    default: break;
  }
}

template <class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, ELEMENTWISE_BLOCKS)
    bias_activation_forward(T* y, const T* x, const float* __restrict__ bias, int activation, int64_t rows, int64_t C) {
  const int64_t c = first_column<N>();
  if (c >= C) return;
  float b[N] = {};
  if (bias) load(b, bias + c);
  for (int64_t r = first_row(); r < rows; r += row_step()) {
    float v[N];
    load(v, x + r * C + c);
    EACH v[i] += b[i];
    activate<T>(v, activation);
    store(y + r * C + c, v);
  }
}

template <class T, int N>
__global__ void __launch_bounds__(ELEMENTWISE_THREADS, SUMMING_BLOCKS)
    bias_activation_backward(T* dx, float* __restrict__ partial, const T* dy, const T* __restrict__ x,
                             const float* __restrict__ bias, int activation, int64_t rows, int64_t C) {
  DYN_SMEM(float, scratch);  // [blockDim.y, blockDim.x * N]
  const int64_t c = first_column<N>();
  float sum[N] = {};
  if (c < C) {
    float b[N] = {};
    if (bias) load(b, bias + c);
    for (int64_t r = first_row(); r < rows; r += row_step()) {
      float g[N];
      load(g, dy + r * C + c);
      if (activation != WB_IDENTITY) {
        float v[N];
        load(v, x + r * C + c);
        EACH v[i] += b[i];
        multiply_slope<T>(g, v, activation);
      }
      if (activation != WB_IDENTITY || dx != dy) store(dx + r * C + c, g);
      EACH sum[i] += g[i];
    }
  }
  if (!partial) return;
  // By way of shared memory neighbours in a warp write neighbours in memory.
  const int width = blockDim.x * N, thread = threadIdx.y * blockDim.x + threadIdx.x;
  const int64_t first = int64_t(blockIdx.x) * width;
  store(scratch + thread * N, sum);
  __syncthreads();
  for (int j = thread; j < width && first + j < C; j += ELEMENTWISE_THREADS) {
    float total = scratch[j];
    for (int y = 1; y < int(blockDim.y); ++y) total += scratch[y * width + j];
    partial[int64_t(blockIdx.y) * C + first + j] = total;
  }
}

wb_status check_activation(wb_activation activation) {
  if (activation >= WB_IDENTITY && activation <= WB_TANH) return WB_OK;
  return fail(WB_UNSUPPORTED, "there is no activation number %d", int(activation));
}

}  // namespace

extern "C" wb_status wb_bias_activation_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const float* bias,
                                                wb_activation activation, int64_t N, int64_t C) {
  RETURN_IF_FAILED(check_activation(activation));
  if (N == 0 || C == 0) return WB_OK;
  return by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return by_width<T>(
        C,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, C, width);
          return LAUNCH((bias_activation_forward<T, decltype(width)::value>), g.grid, g.block, 0, ctx, static_cast<T*>(y),
                        static_cast<const T*>(x), bias, int(activation), N, C);
        },
        static_cast<const T*>(y), static_cast<const T*>(x), bias);
  });
}

extern "C" wb_status wb_bias_activation_backward(wb_context* ctx, wb_dtype dtype, void* dx, float* dbias, float* workspace,
                                                 const void* dy, const void* x, const float* bias,
                                                 wb_activation activation, int64_t N, int64_t C) {
  RETURN_IF_FAILED(check_activation(activation));
  if (N == 0 || C == 0) return WB_OK;
  int partial_rows = 0;
  RETURN_IF_FAILED(by_type(dtype, [&](auto type) {
    using T = decltype(type);
    return by_width<T>(
        C,
        [&](auto width) {
          const ElementwiseGrid g = elementwise_grid(ctx, N, C, width, WB_REDUCE_BLOCKS);
          partial_rows = int(g.grid.y);
          const size_t scratch = dbias ? ELEMENTWISE_THREADS * sizeof(float) * width : 0;
          return LAUNCH((bias_activation_backward<T, decltype(width)::value>), g.grid, g.block, scratch, ctx,
                        static_cast<T*>(dx), dbias ? workspace : nullptr, static_cast<const T*>(dy),
                        static_cast<const T*>(x), bias, int(activation), N, C);
        },
        static_cast<const T*>(dx), static_cast<const T*>(dy), static_cast<const T*>(x), bias);
  }));
  if (!dbias) return WB_OK;
  return add_column_sums(ctx, {{dbias, nullptr, nullptr}}, 1, workspace, partial_rows, C);
}
