// Goto and van de Geijn 2008: blocks of both operands are packed into panels, in the order in which a kernel that holds a
// tile of C in registers reads them. All threads pack A, once. Then each takes pieces of C: it packs the panels of B that
// its piece needs into its own cache and multiplies, while the memory, which has little to do meanwhile, brings what its next
// piece will pack. In training B is mostly a layer's weights, which no cache kept since they were used last.
//
// This file is compiled for AVX2, for AVX-512 and for AVX512-BF16 (element.h), each time into a namespace of its own: nothing here
// may be inlined elsewhere, so it uses no templates of the library.
#include "product.h"

#include <string.h>

#include "panels.h"

namespace warpbert::WB_ELEMENT {
namespace {

constexpr int64_t kDepth = 384;         // words of a block: 8 rows of it are 12 KB, which stay in L1
constexpr int64_t kHeight = 192 * kRows; // of a block: 2.4 MB of A, which stay in L3
constexpr int64_t kTileColumns = 192 / kColumns; // panels of B used together: 295 KB, which stay in L2
constexpr int64_t kHighest = 64;         // panels of A in a piece: to pack B for each so many costs next to nothing
constexpr int64_t kLowest = 16;          // and for each so many is still better than threads that wait
constexpr int64_t kPieces = 6;           // for each thread, so that none waits long for the last
constexpr int64_t kStride = kLanes == 8 ? 96 : 16; // steps of depth between fetches
// What stays in L1 while the other operand's panels pass by: a panel of B where it is small (AVX2: 25 KB), else one of A.
constexpr bool kColumnsFirst = kLanes == 8;

// Cache lines that will be wanted, rows of them, fetched some at a time.
struct Lines {
  const char* at;
  int64_t row, in_row, line, left; // bytes from row to row; lines in each; the next line of this row; lines in all

  Lines(const float* first, int64_t floats, int64_t rows, int64_t width)
      : at((const char*)first), row(floats * (int64_t)sizeof(float)), in_row(pieces_of(width, kLine)), line(0), left(rows * in_row) {}
  void fetch(int64_t lines) {
    for (lines = least(lines, left), left -= lines; lines > 0; --lines) {
      __builtin_prefetch(at + line * 64, 0, 2);
      if (++line == in_row) line = 0, at += row;
    }
  }
};

// c[kRows,kColumns] = (add ? c : 0) + a b over a depth of so many words. Meanwhile the lines of c are fetched, which are wanted at the end, and
// `share` of the `ahead` now and then. A function of its own, and four steps at once: else GCC 12 keeps some of `right` in memory and
// counts three pointers up at each step.
__attribute__((noinline, noclone)) void multiply_tile(float* c, int64_t c_row, const float* a, const float* b, int64_t words, bool add,
    Lines& ahead, int64_t share) {
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kColumns; j += kLine) __builtin_prefetch(c + i * c_row + j, 1);
  }
  V sums[kRows][kVectors] = {};
  for (int64_t deep = 0; deep < words; deep += kStride) {
    ahead.fetch(share);
#pragma GCC unroll 4
    for (int64_t d = deep, end = least(deep + kStride, words); d < end; ++d, a += kRows, b += kColumns) {
      V right[kVectors];
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j) right[j] = load(b + j * kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const V left = splat(a[i]);
#pragma GCC unroll 3
        for (int j = 0; j < kVectors; ++j) sums[i][j] = add_product(sums[i][j], left, right[j]);
      }
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

// One block of the product: rows of C, one range of depth. A piece of it is `group` panels of columns by `high` panels of rows.
struct Block {
  Matrix a, b;
  float* c;
  int64_t c_row, rows, columns, depth;
  int64_t words; // of that depth
  bool add;
  float* a_panels;
  const float* ready; // panels that were packed before, `ready_panels` of them, the first columns'
  int64_t ready_row, ready_panels;
  bool last; // no block is deeper
  int64_t group, high, threads;
  bool* failed; // a thread has no memory for its panels

  int64_t row_panels() const { return pieces_of(rows, kRows); }
  int64_t column_panels() const { return pieces_of(columns, kColumns); }
  int64_t ranges() const { return pieces_of(row_panels(), high); }
  int64_t pieces() const { return pieces_of(column_panels(), group) * ranges(); }
  const float* column(int64_t j) const { return b.at + j * (b.transposed ? b.row : 1); }

  // Wide pieces read A less often, high ones pack B less often; small ones are shared out evenly.
  void cut() {
    group = kTileColumns;
    high = row_panels();
    while (high > kHighest && pieces() < kPieces * threads) high = pieces_of(high, 2);
    while (group > 1 && pieces() < kPieces * threads) group /= 2;
    while (high > kLowest && pieces() < kPieces * threads) high = pieces_of(high, 2);
  }
};

constexpr int64_t kRowPanelsAtOnce = 6;

void pack_piece(const void* argument, int64_t piece) {
  const Block& block = *(const Block*)argument;
  const int64_t from = piece * kRowPanelsAtOnce, end = least(from + kRowPanelsAtOnce, block.row_panels());
  float* to = block.a_panels + from * kRows * block.words;
  const float* first = block.a.at + from * kRows * (block.a.transposed ? 1 : block.a.row);
  if (block.a.transposed) return pack_across<kRows>(to, first, block.a.row, least(end * kRows, block.rows) - from * kRows, block.depth);
  for (int64_t panel = from; panel < end; ++panel) {
    pack_along<kRows>(to, first, block.a.row, least(kRows, block.rows - panel * kRows), block.depth);
    to += kRows * block.words;
    first += kRows * block.a.row;
  }
}

// What `piece` will pack of B, as it is stored. Behind a block's last piece come the first pieces of the block that is deeper.
Lines wanted(const Block& block, int64_t piece) {
  const bool deeper = piece >= block.pieces();
  const int64_t from = (deeper ? piece - block.pieces() : piece) / block.ranges() * block.group;
  const int64_t end = least(from + block.group, block.column_panels());
  if ((deeper && block.last) || from >= end) return {nullptr, 0, 0, 0};
  if (from < block.ready_panels) {
    const float* first = block.ready + from * block.ready_row + (deeper ? block.words * kColumns : 0);
    return {first, block.ready_row, least(end, block.ready_panels) - from, kColumns * block.words};
  }
  const int64_t below = deeper ? block.depth : 0;
  const int64_t columns = least(end * kColumns, block.columns) - from * kColumns;
  const float* first = block.column(from * kColumns);
  if (block.b.transposed) return {first + below, block.b.row, columns, block.depth};
  return {first + below * block.b.row, block.b.row, block.depth, columns};
}

void multiply_piece(const void* argument, int64_t piece) {
  const Block& block = *(const Block*)argument;
  const int64_t row_from = piece % block.ranges() * block.high, row_end = least(row_from + block.high, block.row_panels());
  const int64_t from = piece / block.ranges() * block.group, end = least(from + block.group, block.column_panels());
  const float* right[kTileColumns]; // panels of B
  float* own = end > block.ready_panels ? b_panels.of(kTileColumns * kColumns * kDepth) : nullptr;
  if (end > block.ready_panels && !own) {
    __atomic_store_n(block.failed, true, __ATOMIC_RELAXED);
    return;
  }
  for (int64_t j = from; j < end; ++j) {
    if (j < block.ready_panels) {
      right[j - from] = block.ready + j * block.ready_row;
      continue;
    }
    float* to = own + (j - from) * kColumns * block.words;
    const float* first = block.column(j * kColumns);
    if (block.b.transposed) pack_along<kColumns>(to, first, block.b.row, least(kColumns, block.columns - j * kColumns), block.depth);
    else if (j == from) pack_across<kColumns>(to, first, block.b.row, least(end * kColumns, block.columns) - j * kColumns, block.depth); // all
    right[j - from] = to;
  }
  Lines ahead = wanted(block, piece + block.threads); // others take the pieces between
  const int64_t share = pieces_of(ahead.left, (row_end - row_from) * (end - from) * pieces_of(block.words, kStride));
  const int64_t high = row_end - row_from, wide = end - from;
  for (int64_t tile = 0; tile < high * wide; ++tile) {
    const int64_t i = row_from + (kColumnsFirst ? tile % high : tile / wide), j = from + (kColumnsFirst ? tile / high : tile % wide);
    const float* a = block.a_panels + i * kRows * block.words;
    const int64_t rows = least(kRows, block.rows - i * kRows), columns = least(kColumns, block.columns - j * kColumns);
    float* c = block.c + i * kRows * block.c_row + j * kColumns;
    if (rows == kRows && columns == kColumns) {
      multiply_tile(c, block.c_row, a, right[j - from], block.words, block.add, ahead, share);
      continue;
    }
    alignas(64) float edge[kRows * kColumns];
    multiply_tile(edge, kColumns, a, right[j - from], block.words, false, ahead, share);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t s = 0; s < columns; ++s) {
        c[r * block.c_row + s] = block.add ? c[r * block.c_row + s] + edge[r * kColumns + s] : edge[r * kColumns + s];
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
  const int64_t floats = kColumns * weights.k, words = kColumns * pieces_of(weights.k, kDeep);
  float* scratch = weights.scratch + piece * words;
  for (int64_t panel = weights.panels * piece / weights.pieces; panel < weights.panels * (piece + 1) / weights.pieces; ++panel) {
    pack_along<kColumns>(scratch, weights.w + panel * floats, weights.k, kColumns, weights.k);
    memcpy(weights.w + panel * floats, scratch, words * sizeof(float));
  }
}

// Element (i, j) of the operand is its first.
Matrix from(Matrix x, int64_t i, int64_t j) {
  x.at += x.transposed ? j * x.row + i : i * x.row + j;
  return x;
}

bool had() {
  if (kLanes == 8) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512vl") && (kDeep == 1 || __builtin_cpu_supports("avx512bf16"));
}

wb_status product(wb_context* ctx, int32_t threads, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool add, float* c,
    int64_t c_row) {
  if (k == 0) { // a sum of nothing: the weights' gradient of a layer that got no row
    for (int64_t row = 0; row < m && !add; ++row) memset(c + row * c_row, 0, n * sizeof(float));
    return WB_OK;
  }
  const int64_t blocks = pieces_of(pieces_of(k, kDeep), kDepth), words = pieces_of(pieces_of(k, kDeep), blocks), depth = words * kDeep;
  float* space = a_panels.of(pieces_of(least(m, kHeight), kRows) * kRows * words);
  if (!space) return WB_OUT_OF_MEMORY;
  const int64_t ready = b.packed ? n / kColumns : 0;
  bool failed = false;
  for (int64_t deep = 0; deep < k; deep += depth) {
    const int64_t left = least(depth, k - deep);
    for (int64_t row = 0; row < m; row += kHeight) {
      Block block = {from(a, row, deep), from(b, deep, 0), c + row * c_row, c_row, least(kHeight, m - row), n, left, pieces_of(left, kDeep),
                     add || deep > 0, space, b.at + deep / kDeep * kColumns, kColumns * k, ready, deep + depth >= k, 0, 0, threads, &failed};
      block.cut();
      if (wb_status status = on_threads(ctx, threads, pack_piece, &block, pieces_of(block.row_panels(), kRowPanelsAtOnce))) return status;
      if (wb_status status = on_threads(ctx, threads, multiply_piece, &block, block.pieces())) return status;
      if (failed) return WB_OUT_OF_MEMORY;
    }
  }
  return WB_OK;
}

wb_status pack_weights(wb_context* ctx, int32_t threads, int64_t n, int64_t k, float* w) {
  const Weights weights = {w, a_panels.of(threads * kColumns * pieces_of(k, kDeep)), k, n / kColumns, threads};
  if (!weights.scratch) return WB_OUT_OF_MEMORY;
  return on_threads(ctx, threads, pack_weights_piece, &weights, threads);
}

}  // namespace

const Products products = {had, product, pack_weights};

}  // namespace warpbert::WB_ELEMENT
