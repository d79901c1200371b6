// Softmax of attention's tiles, forward (online: Milakov and Gimelshein 2018) and backward.
#ifndef WARPBERT_CPU_ATTENTION_SOFTMAX_H
#define WARPBERT_CPU_ATTENTION_SOFTMAX_H

#include <cmath>

#include "dropout.h"
#include "simd_math.h"

namespace warpbert::WB_ISA {

constexpr int64_t kTile = 64; // queries, and keys, of a tile
constexpr float kLog2e = 1.44269504f;
static_assert(kTile % 16 == 0 && kTile % W == 0);

// Of a tile's queries, over the keys seen so far: the largest score and the sum of 2^(score - largest).
struct Softmax {
  float maximum[kTile], sum[kTile];
  float factor[kTile]; // for the values summed so far: what the last tile of keys asks of them, in the end 1 / sum
};

// Turns scores [keys, queries], in units of ln 2, into 2^(score - maximum), dropout applied. A vector holds one key's
// scores, so that nothing is summed across lanes.
static inline void softmax(float* scores, const float* live, const float* factors, int64_t keys,
                           int64_t queries, Softmax* state) {
  const int64_t padded = ceil_div(keys, 4) * 4; // live is 0 there
  for (int64_t key = 0; key < padded; ++key) {
    for (int64_t i = 0; live[key] == 0.0f && i < queries; i += W) store(scores + key * queries + i, splat(-INFINITY));
  }
  for (int64_t i = 0; i < queries; i += W) {
    const Vf old = load(state->maximum + i);
    Vf top = old;
    for (int64_t key = 0; key < padded; key += 4) {
      const float* s = scores + key * queries + i;
      const Vf first = max(load(s), load(s + queries)), second = max(load(s + 2 * queries), load(s + 3 * queries));
      top = max(max(first, second), top);
    }
    const Vf base = select(top == -INFINITY, Vf{}, top); // no key yet: every weight is 0, not NaN
    Vf total{};
    for (int64_t key = 0; key < keys; ++key) {
      float* s = scores + key * queries + i;
      Vf p = exp2(load(s) - base);
      total += p;
      if (factors) p = drop(p, load(factors + key * queries + i));
      store(s, p);
    }
    const Vf factor = exp2(old - base);
    store(state->factor + i, factor);
    store(state->sum + i, load(state->sum + i) * factor + total);
    store(state->maximum + i, top);
  }
}

// From a row of scores and of dout v^T: the dropped-out weights, and the gradient of the scores.
static inline void softmax_backward_row(float* scores, float* gradient, const float* live, const float* factors,
                                        float lse, float delta, int64_t keys) {
  const float base = lse == -INFINITY ? INFINITY : lse; // no key at all: every weight is 0, not NaN
  for (int64_t i = 0; i < keys; i += W) {
    const Vi on = load(live + i) != 0.0f;
    const Vf p = select(on, exp(load(scores + i) - base), Vf{});
    Vf dp = load(gradient + i), dropped = p;
    if (factors) {
      const Vf factor = load(factors + i);
      dropped = drop(p, factor);
      dp = drop(dp, factor);
    }
    store(scores + i, dropped);
    store(gradient + i, select(on, p * (dp - delta), Vf{}));
  }
}

}  // namespace warpbert::WB_ISA
#endif
