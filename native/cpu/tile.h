// Small dense products in scratch, for attention: every operand is a tile whose rows are padded to whole vectors.
#ifndef WARPBERT_CPU_TILE_H
#define WARPBERT_CPU_TILE_H

#include "simd.h"

namespace warpbert::WB_ISA {

constexpr int kTileRows = 4;                 // rows of C that a kernel holds in registers
constexpr int kTileVectors = W == 16 ? 4 : 2; // and vectors of each: 16 accumulators of 32 registers, or 8 of 16

static inline int64_t pad(int64_t n) { return ceil_div(n, W) * W; }

// C[4, V*W] = (accumulate ? C : 0) + A[4,K] B[K, V*W]. A's strides are free, so that A^T costs nothing.
template <int V>
static inline void product_kernel(float* c, int64_t c_row, const float* a, int64_t a_row, int64_t a_column,
                                  const float* b, int64_t b_row, int64_t K, bool accumulate) {
  Vf sums[kTileRows][V] = {};
  if (accumulate) {
#pragma GCC unroll 8
    for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) sums[i][j] = load(c + i * c_row + j * W);
    }
  }
  for (int64_t k = 0; k < K; ++k) {
    Vf right[V];
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) right[j] = load(b + k * b_row + j * W);
#pragma GCC unroll 8
    for (int i = 0; i < kTileRows; ++i) {
      const Vf left = splat(a[i * a_row + k * a_column]);
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) sums[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) store(c + i * c_row + j * W, sums[i][j]);
  }
}

// C[M,N] = (accumulate ? C : 0) + A[M,K] B[K,N]. Rows of C and A up to the next multiple of 4, and columns of C and B
// up to the next multiple of W, are read and written too.
static inline void product(float* c, int64_t c_row, const float* a, int64_t a_row, int64_t a_column, const float* b,
                           int64_t b_row, int64_t M, int64_t N, int64_t K, bool accumulate) {
  for (int64_t n = 0; n < N; n += kTileVectors * W) {
    const int64_t left = ceil_div(N - n, W);
    for (int64_t m = 0; m < M; m += kTileRows) {
      float* to = c + m * c_row + n;
      const float* from = a + m * a_row;
      if (left >= kTileVectors) product_kernel<kTileVectors>(to, c_row, from, a_row, a_column, b + n, b_row, K, accumulate);
      else if (left == 3) product_kernel<3>(to, c_row, from, a_row, a_column, b + n, b_row, K, accumulate);
      else if (left == 2) product_kernel<2>(to, c_row, from, a_row, a_column, b + n, b_row, K, accumulate);
      else product_kernel<1>(to, c_row, from, a_row, a_column, b + n, b_row, K, accumulate);
    }
  }
}

// to[r, 0..D) = scale * from[r, 0..D), padded with 0 to whole vectors, and with rows of 0 to a multiple of W rows. Rows
// with live[r] == 0 become 0 too; live may be null.
static inline void pack(float* to, const float* from, int64_t from_row, int64_t rows, int64_t D, float scale,
                        const float* live) {
  const int64_t row = pad(D), padded = pad(rows);
  for (int64_t r = 0; r < padded; ++r) {
    if (r >= rows || (live && live[r] == 0.0f)) {
      for (int64_t i = 0; i < row; i += W) store(to + r * row + i, Vf{});
      continue;
    }
    vectors(D, [&](int64_t i, auto width) WB_INLINE {
      store(to + r * row + i, load(from + r * from_row + i, width) * scale);
    });
  }
}

// to[d, r] = from[r, d] for tiles of whole vectors: from is [rows, columns], to is [columns, rows], both multiples of W.
static inline void transpose(float* to, const float* from, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r += W) {
    for (int64_t c = 0; c < columns; c += W) {
      Vf block[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) block[i] = load(from + (r + i) * columns + c);
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
      for (int i = 0; i < W; ++i) store(to + (c + i) * rows + r, block[i]);
    }
  }
}

}  // namespace warpbert::WB_ISA
#endif
