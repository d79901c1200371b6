// z = dropout(x + bias) + residual; y = layernorm(z); and the gradients.
#include "column_sums.h"
#include "dropout.h"
#include "layernorm.h"
#include "parallel.h"

namespace warpbert::WB_ISA {
namespace {

// z = dropout(x + bias) + residual for one row; returns the sum of z. z may be x.
float add_row(float* z, const float* x, const float* bias, const float* residual, const Dropout& dropout, uint64_t row,
              int64_t H) {
  float total = 0.0f;
  float buffer[kDrawBuffer];
  const int64_t step = dropout.on ? kDraw : H;
  for (int64_t c = 0; c < H; c += step) {
    const int64_t run = minimum(step, H - c);
    const float* factors = dropout.on ? dropout.draw(buffer, row * (uint64_t)H + (uint64_t)c, run) : nullptr;
    total += sum_vectors(run, [&](int64_t i, auto width) WB_INLINE {
      Vf v = load(x + c + i, width);
      if (bias) v += load(bias + c + i, width);
      if (factors) v = drop(v, load(factors + i, width));
      if (residual) v += load(residual + c + i, width);
      store(z + c + i, v, width);
      return v;
    });
  }
  return total;
}

}  // namespace

wb_status residual_layernorm_forward(wb_context* ctx, wb_dtype dtype, void* y_, void* z_, float* mean, float* rstd,
                                     const void* x_, const float* bias, const void* residual_, const float* gamma,
                                     const float* beta, float eps, float p, int32_t site, const int64_t* rng,
                                     const int32_t* dropout_rows, int64_t T, int64_t H) {
  if (wb_status status = require_float32(dtype, "residual_layernorm_forward")) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  float* y = static_cast<float*>(y_);
  float* kept = static_cast<float*>(z_);
  const float* x = static_cast<const float*>(x_);
  const float* residual = static_cast<const float*>(residual_);
  parallel_runs(ctx, T, T * H, [=](int64_t t) {
    float* z = (kept ? kept : y) + t * H;
    const float total = add_row(z, x + t * H, bias, residual ? residual + t * H : nullptr, dropout,
                                dropout.on ? dropout.row(t) : 0, H);
    const Statistics s = statistics(z, total, eps, H);
    normalise(y + t * H, z, s, gamma, beta, H);
    if (mean) mean[t] = s.mean;
    if (rstd) rstd[t] = s.rstd;
  });
  return WB_OK;
}

wb_status residual_layernorm_backward(wb_context* ctx, wb_dtype dtype, void* dx_, void* dresidual_, float* dbias,
                                      float* dgamma, float* dbeta, float* workspace, const void* dy_, const void* z_,
                                      const float* mean, const float* rstd, const float* gamma, float p, int32_t site,
                                      const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t H) {
  if (wb_status status = require_float32(dtype, "residual_layernorm_backward")) return status;
  const Dropout dropout(p, site, rng, dropout_rows);
  float* dx = static_cast<float*>(dx_);
  float* dresidual = static_cast<float*>(dresidual_);
  const float* dy = static_cast<const float*>(dy_);
  const float* z = static_cast<const float*>(z_);
  const int64_t rows = reduce_rows(T), blocks = ceil_div(T, rows);
  parallel_tasks(ctx, blocks, T * H, [=](int64_t block) {
    float* gamma_sums = workspace + block * 3 * H; // [3,H] of this block's rows: dgamma, dbeta, dbias
    float* beta_sums = gamma_sums + H;
    float* bias_sums = beta_sums + H;
    const int64_t begin = block * rows, end = minimum(T, begin + rows);
    for (int64_t t = begin; t < end; ++t) {
      const bool first = t == begin;
      float* out = dx + t * H;
      float* dz = (dresidual ? dresidual : dx) + t * H;
      const auto add_bias = [&](int64_t i, Vf d, auto width) WB_INLINE {
        if (dbias) store(bias_sums + i, first ? d : d + load(bias_sums + i, width), width);
      };
      const auto normalised = [&](int64_t i, auto width) WB_INLINE {
        return (load(z + t * H + i, width) - mean[t]) * rstd[t];
      };
      const auto put = [&](int64_t i, Vf d, auto width) WB_INLINE {
        store(dz + i, d, width);
        if (dropout.on) return;
        if (out != dz) store(out + i, d, width);
        add_bias(i, d, width);
      };
      layernorm_backward_row(gamma_sums, beta_sums, first, dy + t * H, gamma, rstd[t], H, normalised, put);
      if (dropout.on) {
        dropout_row(out, dz, dropout, dropout.row(t), H);
        vectors(H, [&](int64_t i, auto width) WB_INLINE { add_bias(i, load(out + i, width), width); });
      }
    }
  });
  add_column_sums(ctx, dgamma, workspace, 3 * H, blocks, H);
  add_column_sums(ctx, dbeta, workspace + H, 3 * H, blocks, H);
  if (dbias) add_column_sums(ctx, dbias, workspace + 2 * H, 3 * H, blocks, H);
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
