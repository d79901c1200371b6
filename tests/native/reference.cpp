#include "reference.h"

#include "philox.h"

namespace reference {

double Dropout::factor(uint64_t block, int number) const {
  if (p == 0) return 1;
  const wb_philox_words words =
      wb_dropout_words((uint32_t)block, (uint32_t)(block >> 32), (uint64_t)rng[0], (uint32_t)rng[1], (uint32_t)site);
  const uint32_t drawn = words.w[number / 2] >> (number % 2 ? 16 : 0) & 0xffff, q = (uint32_t)std::lround(p * 65536.0);
  return drawn < q ? 0.0 : 65536.0 / (65536.0 - q);
}

double Dropout::factor(uint64_t element) const { return factor(element / 8, (int)(element % 8)); }

static const double kRootTwo = 1.4142135623730951, kPi = 3.141592653589793;

double activation(wb_activation kind, double x) {
  switch (kind) {
    case WB_IDENTITY: return x;
    case WB_GELU: return x * 0.5 * std::erfc(-x / kRootTwo);
    case WB_GELU_TANH: return x / (1 + std::exp(-2 * std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x)));
    case WB_RELU: return x < 0 ? 0 : x;
    case WB_TANH: return std::tanh(x);
  }
  return 0;
}

double slope(wb_activation kind, double x) {
  switch (kind) {
    case WB_IDENTITY: return 1;
    case WB_GELU:
      if (std::isinf(x)) return x > 0;
      return 0.5 * std::erfc(-x / kRootTwo) + x * std::exp(-x * x / 2) / std::sqrt(2 * kPi);
    case WB_GELU_TANH: {
      if (std::fabs(x) > 20) return x > 0;
      const double root = std::sqrt(2 / kPi), t = std::tanh(root * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
    }
    case WB_RELU: return std::isnan(x) ? x : x > 0;
    case WB_TANH: return 1 - std::tanh(x) * std::tanh(x);
  }
  return 0;
}

Norm layernorm(const Doubles& z, const Doubles& gamma, const Doubles& beta, double eps, int64_t T, int64_t H) {
  Norm out{Doubles(T * H), Doubles(T), Doubles(T)};
  for (int64_t t = 0; t < T; ++t) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < H; ++i) mean += z[t * H + i] / H;
    for (int64_t i = 0; i < H; ++i) variance += (z[t * H + i] - mean) * (z[t * H + i] - mean) / H;
    out.mean[t] = mean;
    out.rstd[t] = 1 / std::sqrt(variance + eps);
    for (int64_t i = 0; i < H; ++i) out.y[t * H + i] = (z[t * H + i] - mean) * out.rstd[t] * gamma[i] + beta[i];
  }
  return out;
}

NormGradient layernorm_backward(const Doubles& dy, const Doubles& z, const Doubles& gamma, double eps, int64_t T,
                                int64_t H) {
  NormGradient out{Doubles(T * H), Doubles(H), Doubles(H)};
  const Norm norm = layernorm(z, Doubles(H, 1.0), Doubles(H, 0.0), eps, T, H); // norm.y is the normalised row
  for (int64_t t = 0; t < T; ++t) {
    double mean_g = 0, mean_gn = 0;
    for (int64_t i = 0; i < H; ++i) {
      const double d = dy[t * H + i], n = norm.y[t * H + i];
      mean_g += d * gamma[i] / H;
      mean_gn += d * gamma[i] * n / H;
      out.dgamma[i] += d * n;
      out.dbeta[i] += d;
    }
    for (int64_t i = 0; i < H; ++i) {
      out.dz[t * H + i] = norm.rstd[t] * (dy[t * H + i] * gamma[i] - mean_g - norm.y[t * H + i] * mean_gn);
    }
  }
  return out;
}

namespace {

// Calls f(query, key, head, weight, dropout factor) for every pair that may look; lse too where it is wanted.
template <class F>
void weights(const Doubles& qkv, const std::vector<int32_t>& cu, const std::vector<uint8_t>& mask, double scale,
             const Dropout& dropout, int64_t A, int64_t D, Doubles* lse, F f) {
  const int64_t T = cu.back();
  for (size_t b = 0; b + 1 < cu.size(); ++b) {
    for (int64_t h = 0; h < A; ++h) {
      for (int64_t q = cu[b]; q < cu[b + 1]; ++q) {
        Doubles s(cu[b + 1] - cu[b], -INFINITY);
        double top = -INFINITY, total = 0;
        for (int64_t k = cu[b]; k < cu[b + 1]; ++k) {
          if (!mask.empty() && !mask[k]) continue;
          double dot = 0;
          for (int64_t d = 0; d < D; ++d) dot += qkv[(q * 3 * A + h) * D + d] * qkv[(k * 3 * A + A + h) * D + d];
          s[k - cu[b]] = scale * dot;
          top = std::isnan(dot) || std::isnan(top) ? NAN : std::fmax(top, scale * dot);
        }
        for (double v : s) total += v == -INFINITY ? 0 : std::exp(v - top);
        if (lse) (*lse)[h * T + q] = total == 0 ? -INFINITY : top + std::log(total);
        for (int64_t k = cu[b]; k < cu[b + 1]; ++k) {
          if (!mask.empty() && !mask[k]) continue;
          const int64_t i = q - cu[b], j = k - cu[b], row = dropout.rows ? dropout.rows[cu[b]] : cu[b];
          const int64_t block = ((row + i / 16 * 16) * A + h) * 131072 + j / 16 * 32 + i % 8 * 4 + j % 8 / 2;
          f(q, k, h, std::exp(s[k - cu[b]] - top) / total, dropout.factor((uint64_t)block, (int)(i % 16 / 8 * 4 + j % 16 / 8 * 2 + j % 2)));
        }
      }
    }
  }
}

}  // namespace

Attention attention(const Doubles& qkv, const std::vector<int32_t>& cu, const std::vector<uint8_t>& mask, double scale,
                    const Dropout& dropout, int64_t A, int64_t D) {
  const int64_t T = cu.back();
  Attention out{Doubles(T * A * D), Doubles(A * T)};
  weights(qkv, cu, mask, scale, dropout, A, D, &out.lse, [&](int64_t q, int64_t k, int64_t h, double p, double f) {
    for (int64_t d = 0; d < D && f != 0; ++d) out.out[(q * A + h) * D + d] += p * f * qkv[(k * 3 * A + 2 * A + h) * D + d];
  });
  return out;
}

Doubles attention_backward(const Doubles& dout, const Doubles& qkv, const std::vector<int32_t>& cu,
                           const std::vector<uint8_t>& mask, double scale, const Dropout& dropout, int64_t A,
                           int64_t D) {
  const int64_t T = cu.back();
  Doubles dqkv(T * 3 * A * D), mean(T * A); // mean[q,h]: the weighted mean of the weights' gradients
  const auto gradient = [&](int64_t q, int64_t k, int64_t h, double f) {
    double dot = 0;
    for (int64_t d = 0; d < D && f != 0; ++d) dot += dout[(q * A + h) * D + d] * qkv[(k * 3 * A + 2 * A + h) * D + d];
    return dot * f;
  };
  weights(qkv, cu, mask, scale, dropout, A, D, nullptr, [&](int64_t q, int64_t k, int64_t h, double p, double f) {
    mean[q * A + h] += p * gradient(q, k, h, f);
  });
  weights(qkv, cu, mask, scale, dropout, A, D, nullptr, [&](int64_t q, int64_t k, int64_t h, double p, double f) {
    const double ds = scale * p * (gradient(q, k, h, f) - mean[q * A + h]);
    for (int64_t d = 0; d < D; ++d) {
      dqkv[(q * 3 * A + h) * D + d] += ds * qkv[(k * 3 * A + A + h) * D + d];
      dqkv[(k * 3 * A + A + h) * D + d] += ds * qkv[(q * 3 * A + h) * D + d];
      if (f != 0) dqkv[(k * 3 * A + 2 * A + h) * D + d] += p * f * dout[(q * A + h) * D + d];
    }
  });
  return dqkv;
}

CrossEntropy cross_entropy(const Doubles& logits, const std::vector<int32_t>& labels, const Doubles& class_weights,
                           double smoothing, int32_t ignore_label, double gradient_scale, int64_t N, int64_t C) {
  CrossEntropy out{Doubles(N), Doubles(N * C)};
  for (int64_t n = 0; n < N; ++n) {
    const double* x = logits.data() + n * C;
    double* d = out.dlogits.data() + n * C;
    if (labels[n] == ignore_label) continue;
    if (labels[n] < 0 || labels[n] >= C) {
      out.loss[n] = NAN;
      for (int64_t c = 0; c < C; ++c) d[c] = NAN;
      continue;
    }
    double top = -INFINITY, total = 0, mass = 0;
    for (int64_t c = 0; c < C; ++c) top = std::fmax(top, x[c]);
    for (int64_t c = 0; c < C; ++c) total += std::exp(x[c] - top);
    Doubles share(C);
    for (int64_t c = 0; c < C; ++c) {
      const double w = class_weights.empty() ? 1 : class_weights[c];
      share[c] = w * ((c == labels[n] ? 1 - smoothing : 0) + smoothing / C);
      mass += share[c];
      if (share[c] != 0) out.loss[n] -= share[c] * (x[c] - top - std::log(total));
    }
    for (int64_t c = 0; c < C; ++c) d[c] = gradient_scale * (std::exp(x[c] - top) / total * mass - share[c]);
  }
  return out;
}

Loss mean_squared_error(const Doubles& prediction, const Doubles& target, double gradient_scale) {
  Loss out{Doubles(target.size()), Doubles(target.size())};
  for (size_t i = 0; i < target.size(); ++i) {
    if (std::isnan(target[i])) continue;
    out.loss[i] = std::pow(prediction[i] - target[i], 2);
    out.gradient[i] = gradient_scale * 2 * (prediction[i] - target[i]);
  }
  return out;
}

Loss binary_cross_entropy(const Doubles& logits, const Doubles& target, const Doubles& weights, double gradient_scale,
                          int64_t C) {
  Loss out{Doubles(target.size()), Doubles(target.size())};
  for (size_t i = 0; i < target.size(); ++i) {
    const double w = weights.empty() ? 1 : weights[i % C], t = target[i] >= 0 && target[i] <= 1 ? target[i] : NAN;
    if (std::isnan(target[i])) continue;
    // -log sigmoid(x) = log(1 + exp(-x)), which float64 holds for every |x| < 700
    out.loss[i] = w * (t * std::log1p(std::exp(-logits[i])) + (1 - t) * std::log1p(std::exp(logits[i])));
    out.gradient[i] = gradient_scale * w * ((1 - t) / (1 + std::exp(-logits[i])) - t / (1 + std::exp(logits[i])));
  }
  return out;
}

Loss segment_cross_entropy(const Doubles& logits, const std::vector<int32_t>& cu_seqlens,
                           const std::vector<int32_t>& labels, int32_t ignore_label, double gradient_scale, int64_t C) {
  Loss out{Doubles(labels.size()), Doubles(logits.size())};
  for (size_t i = 0; i < labels.size(); ++i) { // the column as a row of classes
    const int64_t b = int64_t(i) / C, c = int64_t(i) % C, first = cu_seqlens[b], L = cu_seqlens[b + 1] - first;
    Doubles x(L);
    for (int64_t r = 0; r < L; ++r) x[r] = logits[(first + r) * C + c];
    const CrossEntropy column = cross_entropy(x, {labels[i]}, {}, 0, ignore_label, gradient_scale, 1, L);
    out.loss[i] = column.loss[0];
    for (int64_t r = 0; r < L; ++r) out.gradient[(first + r) * C + c] = column.dlogits[r];
  }
  return out;
}

}  // namespace reference
