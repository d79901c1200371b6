// The ops once more, in float64 and as plain as possible: what warpbert.h says, and nothing for speed. Where an op has
// a backward, it is held against finite differences of its forward by the tests.
#ifndef WARPBERT_TESTS_REFERENCE_H
#define WARPBERT_TESTS_REFERENCE_H

#include "harness.h"

namespace reference {

struct Dropout {
  float p = 0;
  int32_t site = 0;
  int64_t rng[2] = {0, 0};
  const int32_t* rows = nullptr;
  double factor(uint64_t block, int number) const; // 0 or 65536 / (65536 - q)
  double factor(uint64_t element) const;
  double factor(int64_t row, int64_t column, int64_t columns) const {
    return factor((uint64_t)(rows ? rows[row] : row) * (uint64_t)columns + (uint64_t)column);
  }
};

double activation(wb_activation kind, double x);
double slope(wb_activation kind, double x);

struct Norm { Doubles y, mean, rstd; };
Norm layernorm(const Doubles& z, const Doubles& gamma, const Doubles& beta, double eps, int64_t T, int64_t H);
struct NormGradient { Doubles dz, dgamma, dbeta; };
NormGradient layernorm_backward(const Doubles& dy, const Doubles& z, const Doubles& gamma, double eps, int64_t T,
                                int64_t H);

struct Attention { Doubles out, lse; };
Attention attention(const Doubles& qkv, const std::vector<int32_t>& cu_seqlens, const std::vector<uint8_t>& mask,
                    double scale, const Dropout& dropout, int64_t A, int64_t D);
Doubles attention_backward(const Doubles& dout, const Doubles& qkv, const std::vector<int32_t>& cu_seqlens,
                           const std::vector<uint8_t>& mask, double scale, const Dropout& dropout, int64_t A, int64_t D);

struct CrossEntropy { Doubles loss, dlogits; };
// Rows of C values as rows of `stride`, filled up.
template <class T>
std::vector<T> spaced(const std::vector<T>& values, int64_t C, int64_t stride, T filler) {
  std::vector<T> result;
  for (size_t at = 0; at < values.size(); at += C) {
    result.insert(result.end(), values.begin() + at, values.begin() + at + C);
    result.insert(result.end(), stride - C, filler);
  }
  return result;
}
CrossEntropy cross_entropy(const Doubles& logits, const std::vector<int32_t>& labels, const Doubles& weights,
                           double smoothing, int32_t ignore_label, double gradient_scale, int64_t N, int64_t C);

// An element without label (NaN) has loss and gradient 0. Without weights: an empty vector.
struct Loss { Doubles loss, gradient; };
Loss mean_squared_error(const Doubles& prediction, const Doubles& target, double gradient_scale);
Loss binary_cross_entropy(const Doubles& logits, const Doubles& target, const Doubles& weights, double gradient_scale,
                          int64_t C);
Loss segment_cross_entropy(const Doubles& logits, const std::vector<int32_t>& cu_seqlens,
                           const std::vector<int32_t>& labels, int32_t ignore_label, double gradient_scale, int64_t C);

}  // namespace reference
#endif
