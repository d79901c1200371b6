// AdamW over the flat buffer of all parameters: unscale, clip, decay, both moments, the update and the copy in the type of
// the activations, in one kernel. Reads 16 bytes and writes 12 (14 with a 16-bit copy) an element, 15 flops: memory only.
// A thread takes 4 neighbours at a time (16-byte accesses) and finds their segment by bisection once, then by walking on.
#include "device.cuh"

namespace {

constexpr int THREADS = 256, VECTORS = 4;  // vectors a thread

struct Adam {
  float *parameter, *m, *v;
  const float* gradient;
  const int64_t* ends;
  const float *decay, *lr_scale;
  float beta1, beta2, eps;
  int64_t n, K;
};

struct Step {
  float factor, lr, c1, c2;
};

template <class C, int N>
__device__ __forceinline__ void update(const Adam& a, const Step& step, C* copy, int64_t i, float lr, float decay) {
  float p[N], m[N], v[N], g[N];
  load(p, a.parameter + i);
  load(m, a.m + i);
  load(v, a.v + i);
  load(g, a.gradient + i);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    g[j] *= step.factor;
    p[j] -= lr * decay * p[j];
    m[j] = a.beta1 * m[j] + (1.0f - a.beta1) * g[j];
    v[j] = a.beta2 * v[j] + (1.0f - a.beta2) * g[j] * g[j];
    p[j] -= lr * (m[j] / step.c1) / (sqrtf(v[j] / step.c2) + a.eps);
  }
  store(a.parameter + i, p);
  store(a.m + i, m);
  store(a.v + i, v);
  if (copy) store(copy + i, p);
}

template <class C, int N>
__global__ void __launch_bounds__(THREADS, 4)
    adamw(Adam a, C* __restrict__ copy, const float* __restrict__ stats, const float* __restrict__ hyper) {
  if (stats[2] == 0) return;
  const Step step = {stats[1], hyper[0], hyper[1], hyper[2]};
  const int64_t block_begin = int64_t(blockIdx.x) * THREADS * VECTORS * N;
  int64_t i = block_begin + int64_t(threadIdx.x) * N;
  if (i >= a.n) return;
  int64_t k = 0;  // the first segment that ends behind i
  for (int64_t high = a.K - 1; k < high;) {
    const int64_t middle = (k + high) / 2;
    if (a.ends[middle] > i) {
      high = middle;
    } else {
      k = middle + 1;
    }
  }
  for (int vector = 0; vector < VECTORS && i < a.n; ++vector, i += THREADS * N) {
    while (k < a.K - 1 && a.ends[k] <= i) ++k;
    if (N > 1 && i + N <= a.ends[k]) {
      const float scale = a.lr_scale[k];
      if (scale != 0) update<C, N>(a, step, copy, i, step.lr * scale, a.decay[k]);
      continue;
    }
    for (int64_t j = i, s = k; j < i + N && j < a.n; ++j) {  // a segment or the buffer ends inside of the vector
      while (s < a.K - 1 && a.ends[s] <= j) ++s;
      const float scale = a.lr_scale[s];
      if (scale != 0) update<C, 1>(a, step, copy, j, step.lr * scale, a.decay[s]);
    }
  }
}

}  // namespace

extern "C" wb_status wb_adamw(wb_context* ctx, wb_dtype copy_dtype, float* parameter, float* m, float* v, void* parameter_copy,
                              const float* gradient, const float* stats, const float* hyper, const int64_t* ends,
                              const float* decay, const float* lr_scale, float beta1, float beta2, float eps, int64_t n,
                              int64_t K) {
  if (n == 0) return WB_OK;
  if (K < 1) return fail(WB_INVALID_ARGUMENT, "adamw: %lld elements in no segment", (long long)n);
  const Adam a = {parameter, m, v, gradient, ends, decay, lr_scale, beta1, beta2, eps, n, K};
  return by_type(copy_dtype, [&](auto type) {
    using C = decltype(type);
    C* const copy = static_cast<C*>(parameter_copy);
    const bool vectors = aligned16(parameter) && aligned16(m) && aligned16(v) && aligned16(gradient) && aligned16(copy);
    if (vectors) {
      return LAUNCH((adamw<C, 4>), dim3(unsigned(ceil_div(n, THREADS * VECTORS * 4))), THREADS, 0, ctx, a, copy, stats, hyper);
    }
    return LAUNCH((adamw<C, 1>), dim3(unsigned(ceil_div(n, THREADS * VECTORS))), THREADS, 0, ctx, a, copy, stats, hyper);
  });
}
