// The panels that a product reads: both operands in the order in which its kernel, which holds a tile of C in registers,
// goes through them, as words (element.h).
//
// For product.cpp alone, which is compiled once for each kind: nothing here may be inlined elsewhere.
#ifndef WARPBERT_PANELS_H
#define WARPBERT_PANELS_H

#include <stdint.h>
#include <stdlib.h>

#include "element.h"

namespace warpbert::WB_ELEMENT {
namespace {

typedef int32_t Lanes __attribute__((vector_size(sizeof(V))));

// The tile, whose sums take 24 of 32 registers with AVX-512, 12 of 16 with AVX2; every BERT size is a multiple of its columns.
constexpr int kVectors = kLanes == 16 ? 3 : 2, kColumns = kVectors * kLanes;

constexpr int64_t kLine = 16; // floats of a cache line

// Memory for the panels of this thread's products; grown when a larger product comes, so that a step allocates nothing.
struct Panels {
  float* at = nullptr;
  int64_t floats = 0;
  float* of(int64_t count) {
    if (count > floats) {
      free(at);
      floats = count;
      at = (float*)aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
      if (!at) floats = 0;
    }
    return at;
  }
  ~Panels() { free(at); }
};
thread_local Panels a_panels, b_panels;

// block[i][j] becomes block[j][i]: for each power of two, the off-diagonal halves change places.
inline __attribute__((always_inline)) void transpose(V* block) {
  Lanes lane{};
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
#pragma GCC unroll 4
  for (int step = 1; step < kLanes; step *= 2) {
    const Lanes odd = (lane & step) != 0;
    const Lanes low = odd ? lane + (kLanes - step) : lane, high = odd ? lane + kLanes : lane + step;
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (i & step) continue;
      const V a = block[i], b = block[i + step];
      block[i] = __builtin_shuffle(a, b, low);
      block[i + step] = __builtin_shuffle(a, b, high);
    }
  }
}

// The first kWidth words of a vector: a panel of A has fewer lines than a vector.
template <int kWidth>
inline __attribute__((always_inline)) void put(float* to, V words) {
  static_assert(kWidth == kLanes || kWidth == kRows, "a panel of B is made of whole vectors");
  if (kWidth == kLanes) store(to, words);
  else store_rows(to, words);
}

// A panel holds kWidth lines: rows of A, or columns of B. Its [word of depth][line] are words of the numbers of those lines. Where the operand
// ends within a panel, the rest of it is 0, and so is what a last word lacks. What will be read soon is fetched meanwhile: a row is
// too short, and the next too far, for the processor to foresee it.

// One panel of lines whose `depth` numbers are neighbours, line after line a `row` apart.
template <int kWidth>
void pack_along(float* to, const float* from, int64_t row, int64_t lines, int64_t depth) {
  constexpr int kStored = kWidth < kLanes ? kWidth : kLanes; // a vector of B's panels, kRows of A's
  const int64_t words = pieces_of(depth, kDeep);
  for (int first = 0; first < kWidth; first += kLanes) {
    for (int64_t d = 0; d < words; d += kLanes) {
      V block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        const float* in = from + (first + i) * row + d * kDeep;
        const bool there = i < kStored && first + i < lines;
        for (int j = 0; there && j < kDeep; ++j) __builtin_prefetch(in + kLanes * row + j * kLanes);
        block[i] = there ? along(in, depth - d * kDeep) : V{};
      }
      transpose(block);
      float* out = to + d * kWidth + first;
      if (words - d < kLanes) {
        for (int64_t i = 0; i < words - d; ++i) put<kStored>(out + i * kWidth, block[i]);
        continue;
      }
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) put<kStored>(out + i * kWidth, block[i]);
    }
  }
}

// All panels of lines whose numbers at one depth are neighbours, depth after depth a `row` apart. A row is read once for all panels: rows
// that are a power of two apart would push each other out of the caches before the next panel came to them.
template <int kWidth>
void pack_across(float* to, const float* from, int64_t row, int64_t lines, int64_t depth) {
  constexpr int kStored = kWidth < kLanes ? kWidth : kLanes;
  constexpr int64_t kAhead = 8;
  const int64_t words = pieces_of(depth, kDeep);
  for (int64_t d = 0; d < words; ++d) {
    const float* in = from + d * kDeep * row;
    for (int i = 0; i < kDeep; ++i) {
      for (int64_t line = 0; line < lines; line += kLine) __builtin_prefetch(in + (kAhead + i) * row + line);
    }
    float* out = to + d * kWidth;
    for (int64_t panel = 0; panel < lines; panel += kWidth, out += kWidth * words) {
      for (int first = 0; first < kWidth; first += kLanes) {
        put<kStored>(out + first, across(in + panel + first, row, lines - panel - first, d * kDeep + 1 < depth));
      }
    }
  }
}

}  // namespace
}  // namespace warpbert::WB_ELEMENT
#endif
