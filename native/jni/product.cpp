// Goto and van de Geijn 2008: blocks of both operands are packed into panels, in the order in which a kernel that holds a
// tile of C in registers reads them. All threads pack, then all multiply, from the same panels. OpenBLAS keeps its packing
// to one thread's part of a product, and packs the other operand once for each of them.
//
// This file is compiled for AVX-512: nothing here may be inlined elsewhere, so it uses no templates of the library.
#include "product.h"

#include <string.h>

#include "panels.h"

namespace warpbert {
namespace {

constexpr int64_t kDepth = 384;                // of a block: 8 rows of it are 12 KB, which stay in L1
constexpr int64_t kTileRows = 8, kTileColumns = 4; // panels of one piece of work: 98 and 295 KB, which stay in L2
constexpr int64_t kHeight = 192 * kRows, kWidth = 64 * kColumns; // of blocks: 2.4 and 4.7 MB, which stay in L3

// c[8,48] = (add ? c : 0) + a b over one block's depth. Meanwhile the lines of c are fetched, which are wanted at the end, and
// `stride` floats for each step of depth from `next` on, which another tile will want.
void multiply_tile(float* c, int64_t c_row, const float* a, const float* b, int64_t depth, bool add, const float* next, int64_t stride) {
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) __builtin_prefetch(c + i * c_row + j * kLanes, 1);
  }
  V sums[kRows][kVectors] = {};
  for (int64_t d = 0; d < depth; ++d, a += kRows, b += kColumns, next += stride) {
    __builtin_prefetch(next, 0, 2);
    V right[kVectors];
#pragma GCC unroll 3
    for (int j = 0; j < kVectors; ++j) right[j] = load(b + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const V left = a[i] - V{};
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j) sums[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 3
    for (int j = 0; j < kVectors; ++j) {
      float* to = c + i * c_row + j * kLanes;
      store(to, add ? load(to) + sums[i][j] : sums[i][j]);
    }
  }
}

// One block of the product: rows and columns of C, one range of depth.
struct Block {
  Matrix a, b; // b from its first column on that has no panel yet
  float* c;
  int64_t c_row, rows, columns, depth;
  bool add;
  bool pack_b; // else the panels of the last block of rows are these
  float *a_panels, *b_panels;
  const float* ready; // panels that were packed before, `ready_panels` of them, the first columns'
  int64_t ready_row, ready_panels;

  int64_t row_panels() const { return pieces_of(rows, kRows); }
  int64_t column_panels() const { return pieces_of(columns, kColumns); }
  const float* column_panel(int64_t j) const {
    return j < ready_panels ? ready + j * ready_row : b_panels + (j - ready_panels) * kColumns * depth;
  }
};

constexpr int64_t kRowPanelsAtOnce = 6; // of A; as many lines as a panel of B has

void pack_piece(const void* argument, int64_t piece) {
  const Block& block = *(const Block*)argument;
  const int64_t b_pieces = block.pack_b ? block.column_panels() - block.ready_panels : 0;
  if (piece < b_pieces) {
    const int64_t first = piece * kColumns, columns = block.columns - block.ready_panels * kColumns;
    pack(block.b_panels + first * block.depth, kColumns, block.b.at + first * (block.b.transposed ? block.b.row : 1), block.b.row,
         block.b.transposed, least(kColumns, columns - first), block.depth);
    return;
  }
  const int64_t from = (piece - b_pieces) * kRowPanelsAtOnce, end = least(from + kRowPanelsAtOnce, block.row_panels());
  for (int64_t panel = from; panel < end; ++panel) {
    const int64_t first = panel * kRows;
    pack(block.a_panels + first * block.depth, kRows, block.a.at + first * (block.a.transposed ? 1 : block.a.row), block.a.row,
         !block.a.transposed, least(kRows, block.rows - first), block.depth);
  }
}

void multiply_piece(const void* argument, int64_t piece) {
  const Block& block = *(const Block*)argument;
  const int64_t high = pieces_of(block.row_panels(), kTileRows); // neighbours share columns
  const int64_t row_from = piece % high * kTileRows, row_end = least(row_from + kTileRows, block.row_panels());
  const int64_t column_from = piece / high * kTileColumns, column_end = least(column_from + kTileColumns, block.column_panels());
  const int64_t share = kColumns / (row_end - row_from); // of each step of depth of the panels to the right, fetched while this row is computed
  for (int64_t i = row_from; i < row_end; ++i) {
    const float* a = block.a_panels + i * kRows * block.depth;
    const int64_t rows = least(kRows, block.rows - i * kRows);
    for (int64_t j = column_from; j < column_end; ++j) {
      const float* b = block.column_panel(j);
      const float* next = block.column_panel(j + kTileColumns) + (i - row_from) * share * block.depth;
      const int64_t columns = least(kColumns, block.columns - j * kColumns);
      float* c = block.c + i * kRows * block.c_row + j * kColumns;
      if (rows == kRows && columns == kColumns) {
        multiply_tile(c, block.c_row, a, b, block.depth, block.add, next, share);
        continue;
      }
      alignas(64) float edge[kRows * kColumns];
      multiply_tile(edge, kColumns, a, b, block.depth, false, next, share);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t s = 0; s < columns; ++s) {
          c[r * block.c_row + s] = block.add ? c[r * block.c_row + s] + edge[r * kColumns + s] : edge[r * kColumns + s];
        }
      }
    }
  }
}

wb_status on_threads(wb_context* ctx, int32_t threads, void (*function)(const void*, int64_t), const void* argument, int64_t pieces) {
  if (threads > 1 && pieces > 1) return wb_parallel(ctx, function, argument, pieces);
  for (int64_t piece = 0; piece < pieces; ++piece) function(argument, piece);
  return WB_OK;
}

// Each piece rearranges its share of the panels, by way of its own of `scratch`.
struct Weights {
  float *w, *scratch;
  int64_t k, panels, pieces;
};

void pack_weights_piece(const void* argument, int64_t piece) {
  const Weights& weights = *(const Weights*)argument;
  const int64_t floats = kColumns * weights.k;
  float* scratch = weights.scratch + piece * floats;
  for (int64_t panel = weights.panels * piece / weights.pieces; panel < weights.panels * (piece + 1) / weights.pieces; ++panel) {
    pack(scratch, kColumns, weights.w + panel * floats, weights.k, true, kColumns, weights.k);
    memcpy(weights.w + panel * floats, scratch, floats * sizeof(float));
  }
}

// Element (i, j) of the operand is its first.
Matrix from(Matrix x, int64_t i, int64_t j) {
  x.at += x.transposed ? j * x.row + i : i * x.row + j;
  return x;
}

}  // namespace

bool has_product() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512vl");
  return has;
}

wb_status product(wb_context* ctx, int32_t threads, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool add, float* c,
    int64_t c_row) {
  if (k == 0) { // a sum of nothing: the weights' gradient of a layer that got no row
    for (int64_t row = 0; row < m && !add; ++row) memset(c + row * c_row, 0, n * sizeof(float));
    return WB_OK;
  }
  const int64_t blocks = pieces_of(k, kDepth), depth = pieces_of(k, blocks);
  const int64_t a_floats = pieces_of(least(m, kHeight), kRows) * kRows * depth;
  const int64_t b_floats = pieces_of(least(b.packed ? n % kColumns : n, kWidth), kColumns) * kColumns * depth;
  float* space = panels.of(b_floats + a_floats);
  if (!space) return WB_OUT_OF_MEMORY;
  for (int64_t column = 0; column < n; column += kWidth) {
    const int64_t columns = least(kWidth, n - column), ready = b.packed ? columns / kColumns : 0;
    for (int64_t deep = 0; deep < k; deep += depth) {
      for (int64_t row = 0; row < m; row += kHeight) {
        const Block block = {from(a, row, deep), from(b, deep, column + ready * kColumns), c + row * c_row + column, c_row,
                             least(kHeight, m - row), columns, least(depth, k - deep), add || deep > 0, row == 0, space + b_floats, space,
                             b.at + column * k + deep * kColumns, kColumns * k, ready};
        const int64_t packing = (block.pack_b ? block.column_panels() - ready : 0) + pieces_of(block.row_panels(), kRowPanelsAtOnce);
        if (wb_status status = on_threads(ctx, threads, pack_piece, &block, packing)) return status;
        const int64_t tiles = pieces_of(block.row_panels(), kTileRows) * pieces_of(block.column_panels(), kTileColumns);
        if (wb_status status = on_threads(ctx, threads, multiply_piece, &block, tiles)) return status;
      }
    }
  }
  return WB_OK;
}

wb_status pack_weights(wb_context* ctx, int32_t threads, int64_t n, int64_t k, float* w) {
  const Weights weights = {w, panels.of(threads * kColumns * k), k, n / kColumns, threads};
  if (!weights.scratch) return WB_OUT_OF_MEMORY;
  return on_threads(ctx, threads, pack_weights_piece, &weights, threads);
}

}  // namespace warpbert
