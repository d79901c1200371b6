// AdamW over the flat buffer of all parameters: unscale, clip, decay, both moments, the update and the copy in the type of
// the activations, in one kernel. Reads 16 bytes and writes 12 (14 with a 16-bit copy) an element, 15 flops: memory only.
// With bfloat16 moments 12 and 8, and a Philox draw of some 100 integer operations for 4 elements.
// A thread takes 4 neighbours at a time (16-byte accesses) and finds their segment by bisection once, then by walking on.
// Of a row that is not touched, 4 bytes an element are read and written where weights decay, else nothing.
#include "philox.h"
#include "touched_rows.cuh"

namespace {

constexpr int THREADS = 256, VECTORS = 4;  // vectors a thread

template <class M>
struct Adam {
  float* parameter;
  M *m, *v;
  const float* gradient;
  TouchedRows rows;
  const int64_t* rng;
  const int64_t* ends;
  const float *decay, *lr_scale;
  float beta1, beta2, eps;
  int64_t n, K;
};

struct Step {
  float factor, lr, c1, c2;
};

// Elements i .. i+N-1 are kept in bfloat16, rounded by chance; N divides 4, and i is a multiple of it, rng[2] of 4.
template <int N>
__device__ __forceinline__ void round_by_chance(float (&m)[N], float (&v)[N], const int64_t* rng, int64_t i) {
  const uint64_t group = uint64_t(rng[2] + i) >> 2;
  const wb_philox_words words = wb_dropout_words(uint32_t(group), uint32_t(group >> 32), uint64_t(rng[0]), uint32_t(rng[1]),
                                                 WB_MOMENT_SITE);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const int w = N == 4 ? j : int(i & 3);  // by selection: an index that is not constant would need local memory
    const uint32_t word = w == 0 ? words.w[0] : w == 1 ? words.w[1] : w == 2 ? words.w[2] : words.w[3];
    m[j] = __uint_as_float(wb_round_by_chance(__float_as_uint(m[j]), word & 0xffffu));
    v[j] = __uint_as_float(wb_round_by_chance(__float_as_uint(v[j]), word >> 16));
  }
}

template <class C, class M, int N>
__device__ __forceinline__ void update(const Adam<M>& a, const Step& step, C* copy, int64_t i, float lr, float decay,
                                       bool touched) {
  float p[N], m[N], v[N], g[N];
  if (!touched) {
    if (lr * decay == 0) return;
    load(p, a.parameter + i);
#pragma unroll
    for (int j = 0; j < N; ++j) p[j] -= lr * decay * p[j];
    store(a.parameter + i, p);
    if (copy) store(copy + i, p);
    return;
  }
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
  if constexpr (!std::is_same<M, float>::value) round_by_chance(m, v, a.rng, i);
  store(a.parameter + i, p);
  store(a.m + i, m);
  store(a.v + i, v);
  if (copy) store(copy + i, p);
}

template <class C, class M, int N>
__global__ void __launch_bounds__(THREADS, 4)
    adamw(Adam<M> a, C* __restrict__ copy, const float* __restrict__ stats, const float* __restrict__ hyper) {
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
    const bool touched = a.rows.template has<N>(i);
    if (N > 1 && i + N <= a.ends[k]) {
      const float scale = a.lr_scale[k];
      if (scale != 0) update<C, M, N>(a, step, copy, i, step.lr * scale, a.decay[k], touched);
      continue;
    }
    for (int64_t j = i, s = k; j < i + N && j < a.n; ++j) {  // a segment or the buffer ends inside of the vector
      while (s < a.K - 1 && a.ends[s] <= j) ++s;
      const float scale = a.lr_scale[s];
      if (scale != 0) update<C, M, 1>(a, step, copy, j, step.lr * scale, a.decay[s], touched);
    }
  }
}

template <class C, class M>
wb_status run(wb_context* ctx, const Adam<M>& a, C* copy, const float* stats, const float* hyper) {
  const bool vectors = aligned16(a.parameter) && aligned16(a.m) && aligned16(a.v) && aligned16(a.gradient) && aligned16(copy) &&
                       whole_vectors(a.rows, 4);
  if (vectors) {
    return LAUNCH((adamw<C, M, 4>), dim3(unsigned(ceil_div(a.n, THREADS * VECTORS * 4))), THREADS, 0, ctx, a, copy, stats, hyper);
  }
  return LAUNCH((adamw<C, M, 1>), dim3(unsigned(ceil_div(a.n, THREADS * VECTORS))), THREADS, 0, ctx, a, copy, stats, hyper);
}

}  // namespace

extern "C" wb_status wb_adamw(wb_context* ctx, wb_dtype copy_dtype, wb_dtype moment_dtype, float* parameter, void* m, void* v,
                              void* parameter_copy, const float* gradient, const uint8_t* touched, const float* stats,
                              const float* hyper, const int64_t* rng, const int64_t* ends, const float* decay,
                              const float* lr_scale, float beta1, float beta2, float eps, int64_t n, int64_t K, int64_t R,
                              int64_t width) {
  if (n == 0) return WB_OK;
  if (K < 1) return fail(WB_INVALID_ARGUMENT, "adamw: %lld elements in no segment", (long long)n);
  return by_type(copy_dtype, [&](auto type) {
    using C = decltype(type);
    C* const copy = static_cast<C*>(parameter_copy);
    auto run_in = [&](auto moment) {
      using M = decltype(moment);
      return run(ctx, Adam<M>{parameter, static_cast<M*>(m), static_cast<M*>(v), gradient, touched_rows(touched, R, width), rng,
                              ends, decay, lr_scale, beta1, beta2, eps, n, K}, copy, stats, hyper);
    };
    return moment_dtype == WB_BF16 ? run_in(bfloat16()) : run_in(float());
  });
}
