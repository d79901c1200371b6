// The second stage of a column sum: the first leaves one row of sums per block of rows in the workspace.
#ifndef WARPBERT_CPU_COLUMN_SUMS_H
#define WARPBERT_CPU_COLUMN_SUMS_H

#include "parallel.h"
#include "simd.h"

namespace warpbert::WB_ISA {

constexpr int64_t kColumns = 64; // columns that one owner sums

// sums[c] += sum over 0 <= r < rows of x[r * stride + c], 0 <= c < columns.
static inline void add_column_sums(const wb_context* ctx, float* sums, const float* x, int64_t stride, int64_t rows,
                                   int64_t columns) {
  if (rows == 0) return;
  parallel_tasks(ctx, ceil_div(columns, kColumns), rows * columns, [=](int64_t task) {
    const int64_t first = task * kColumns;
    float total[kColumns] = {};
    const int64_t count = minimum(kColumns, columns - first);
    for (int64_t r = 0; r < rows; ++r) {
      vectors(count, [&](int64_t i, auto width) WB_INLINE {
        store(total + i, load(total + i) + load(x + r * stride + first + i, width));
      });
    }
    vectors(count, [&](int64_t i, auto width) WB_INLINE {
      store(sums + first + i, load(sums + first + i, width) + load(total + i, width), width);
    });
  });
}

}  // namespace warpbert::WB_ISA
#endif
