// AdamW (Loshchilov & Hutter 2019, algorithm 2), in PyTorch's order of operations: one pass over the flat buffers.
#include <cmath>

#include "dropout.h"
#include "float_bits.h"
#include "parallel.h"
#include "touched_rows.h"

namespace warpbert::WB_ISA {
namespace {

struct Step { float keep, beta1, beta2, step_size, sqrt_c2, eps, factor; };

struct Moments { float m, v; };

// The moments that follow and the parameter that they make.
WB_INLINE static inline Moments advance(float& p, Moments old, float gradient, const Step& s) {
  const float g = gradient * s.factor;
  const Moments now = {old.m + (1.0f - s.beta1) * (g - old.m), s.beta2 * old.v + (1.0f - s.beta2) * g * g};
  p = p * s.keep - s.step_size * now.m / (sqrtf(now.v) / s.sqrt_c2 + s.eps);
  return now;
}

void update(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict gradient, Step s,
            int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const Moments now = advance(p[i], {m[i], v[i]}, gradient[i], s);
    m[i] = now.m;
    v[i] = now.v;
  }
}

WB_INLINE static inline uint16_t rounded(float x, uint32_t random16) {
  return (uint16_t)(wb_round_by_chance(bits(x), random16) >> 16);
}

// The same with bfloat16 moments; `element` is the number of the first.
void update(float* __restrict p, uint16_t* __restrict m, uint16_t* __restrict v, const float* __restrict gradient, Step s,
            const int64_t* rng, int64_t element, int64_t n) {
  float buffer[kDrawBuffer];
  for (int64_t done = 0; done < n; done += kDraw) {
    const int64_t count = minimum(kDraw, n - done), before = (element + done) % 4;
    each_words((uint64_t)rng[0], (uint32_t)rng[1], WB_MOMENT_SITE, (uint64_t)(element + done) / 4, count + before,
               [&](int64_t i, Vu drawn) WB_INLINE { store(buffer + i, (Vf)drawn); });
    const float* words = buffer + before;
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) {
      const int64_t i = done + j;
      const uint32_t word = bits(words[j]);
      const Moments now = advance(p[i], {widened(m[i]), widened(v[i])}, gradient[i], s);
      m[i] = rounded(now.m, word & 0xffff);
      v[i] = rounded(now.v, word >> 16);
    }
  }
}

// What is left of it where gradient and moments are 0.
void shrink(float* p, float keep, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] *= keep;
}

}  // namespace

wb_status adamw(wb_context* ctx, wb_dtype copy_dtype, wb_dtype moment_dtype, float* parameter, void* m, void* v,
                void* parameter_copy, const float* gradient, const uint8_t* touched, const float* stats, const float* hyper,
                const int64_t* rng, const int64_t* ends, const float* decay, const float* lr_scale, float beta1, float beta2,
                float eps, int64_t n, int64_t K, int64_t R, int64_t width) {
  if (parameter_copy) {
    if (wb_status status = require_float32(copy_dtype, "adamw")) return status;
  }
  if (stats[2] == 0.0f) return WB_OK;
  const float lr = hyper[0], c1 = hyper[1], sqrt_c2 = sqrtf(hyper[2]), factor = stats[1];
  const TouchedRows rows = {touched, R, width};
  constexpr int64_t kBlock = 16384;
  parallel_runs(ctx, ceil_div(n, kBlock), n, [=](int64_t task) {
    const int64_t begin = task * kBlock, end = minimum(n, begin + kBlock);
    int64_t low = 0, high = K; // the first segment that ends after `begin`
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (ends[middle] > begin) high = middle;
      else low = middle + 1;
    }
    for (int64_t k = low, i = begin; k < K && i < end; i = minimum(ends[k++], end)) {
      const int64_t count = minimum(ends[k], end) - i;
      if (lr_scale[k] == 0.0f || count == 0) continue;
      const float rate = lr * lr_scale[k];
      const Step step = {1.0f - rate * decay[k], beta1, beta2, rate / c1, sqrt_c2, eps, factor};
      for (int64_t j = i, stop; j < i + count; j = stop) {
        stop = rows.run_end(j, i + count);
        if (!rows.has(j)) {
          if (rate * decay[k] == 0.0f) continue;
          shrink(parameter + j, step.keep, stop - j);
        } else if (moment_dtype == WB_BF16) {
          update(parameter + j, static_cast<uint16_t*>(m) + j, static_cast<uint16_t*>(v) + j, gradient + j, step, rng, rng[2] + j,
                 stop - j);
        } else {
          update(parameter + j, static_cast<float*>(m) + j, static_cast<float*>(v) + j, gradient + j, step, stop - j);
        }
        float* copy = static_cast<float*>(parameter_copy);
        for (int64_t c = j; copy && c < stop; ++c) copy[c] = parameter[c];
      }
    }
  });
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
