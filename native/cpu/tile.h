// Small dense products in scratch, for attention: every operand is a tile whose rows are padded to whole vectors.
#ifndef WARPBERT_CPU_TILE_H
#define WARPBERT_CPU_TILE_H

#include "simd.h"

namespace warpbert::WB_ISA {

constexpr int kTileVectors = W == 16 ? 4 : 2; // of a row of C that a kernel holds in registers, at most

static inline int64_t pad(int64_t n) { return ceil_div(n, W) * W; }

// C[R, V*W] = (accumulate ? C : 0) + A[R,K] B[K, V*W]. A's strides are free, so that A^T costs nothing.
template <int R, int V>
static inline void product_kernel(float* c, int64_t c_row, const float* a, int64_t a_row, int64_t a_column,
                                  const float* b, int64_t b_row, int64_t K, bool accumulate) {
  Vf sums[R][V] = {};
  if (accumulate) {
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) sums[i][j] = load(c + i * c_row + j * W);
    }
  }
  for (int64_t k = 0; k < K; ++k) {
    Vf right[V];
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) right[j] = load(b + k * b_row + j * W);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      const Vf x = splat(a[i * a_row + k * a_column]);
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) sums[i][j] += x * right[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) store(c + i * c_row + j * W, sums[i][j]);
  }
}

// V*W columns of C. Narrow ones are done in 8 rows at once: with 4 there would be too few sums to hide an FMA's latency.
template <int V>
static inline void product_columns(float* c, int64_t c_row, const float* a, int64_t a_row, int64_t a_column,
                                   const float* b, int64_t b_row, int64_t M, int64_t K, bool accumulate) {
  int64_t m = 0;
  if constexpr (2 * V <= kTileVectors) {
    for (; m + 4 < M; m += 8) {
      product_kernel<8, V>(c + m * c_row, c_row, a + m * a_row, a_row, a_column, b, b_row, K, accumulate);
    }
  }
  for (; m < M; m += 4) {
    product_kernel<4, V>(c + m * c_row, c_row, a + m * a_row, a_row, a_column, b, b_row, K, accumulate);
  }
}

// C[M,N] = (accumulate ? C : 0) + A[M,K] B[K,N]. Rows of C and A up to the next multiple of 4, and columns of C and B
// up to the next multiple of W, are read and written too; what C holds there means nothing.
static inline void product(float* c, int64_t c_row, const float* a, int64_t a_row, int64_t a_column, const float* b,
                           int64_t b_row, int64_t M, int64_t N, int64_t K, bool accumulate) {
  for (int64_t n = 0; n < N; n += kTileVectors * W) {
    const int64_t left = ceil_div(N - n, W);
    const auto columns = left >= kTileVectors ? product_columns<kTileVectors>
        : left == 3 ? product_columns<3> : left == 2 ? product_columns<2> : product_columns<1>;
    columns(c + n, c_row, a, a_row, a_column, b + n, b_row, M, K, accumulate);
  }
}

// Asks for rows that will be wanted: far apart, the processor does not foresee them.
static inline void prefetch(const float* from, int64_t from_row, int64_t rows, int64_t D) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < D; i += 16) __builtin_prefetch(from + r * from_row + i, 0, 2); // 64 bytes
  }
}

// to[r, 0..D) = scale * from[r, 0..D), padded with 0 to whole vectors. Rows with live[r] == 0 become 0; live may be null.
static inline void pack(float* to, const float* from, int64_t from_row, int64_t rows, int64_t D, float scale,
                        const float* live) {
  const int64_t row = pad(D);
  for (int64_t r = 0; r < rows; ++r) {
    if (live && live[r] == 0.0f) {
      for (int64_t i = 0; i < row; i += W) store(to + r * row + i, Vf{});
      continue;
    }
    vectors(D, [&](int64_t i, auto width) WB_INLINE {
      store(to + r * row + i, load(from + r * from_row + i, width) * scale);
    });
  }
}

// to[d, r] = scale * from[r, d], 0 <= d < D, rows of `to` padded with 0 to whole vectors; live as above. Rows of `to` up
// to the next multiple of W are written too.
static inline void pack_transposed(float* to, const float* from, int64_t from_row, int64_t rows, int64_t D, float scale,
                                   const float* live) {
  const int64_t columns = pad(rows);
  for (int64_t r = 0; r < columns; r += W) {
    vectors(D, [&](int64_t c, auto width) WB_INLINE {
      Vf block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) {
        const bool there = r + i < rows && !(live && live[r + i] == 0.0f);
        block[i] = there ? load(from + (r + i) * from_row + c, width) * scale : Vf{};
      }
#pragma GCC unroll 4
      for (int step = 1; step < W; step *= 2) { // swap the off-diagonal quarters of every 2 step by 2 step block
        const Vi upper = (lanes() & step) != 0;
        const Vi low = select_index(upper, (lanes() ^ step) + W, lanes());
        const Vi high = select_index(upper, lanes() + W, lanes() ^ step);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          if (i & step) continue;
          const Vf a = block[i], b = block[i | step];
          block[i] = __builtin_shuffle(a, b, low);
          block[i | step] = __builtin_shuffle(a, b, high);
        }
      }
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) store(to + (c + i) * columns + r, block[i]);
    });
  }
}

}  // namespace warpbert::WB_ISA
#endif
