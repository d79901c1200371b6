// The panels that a product reads: both operands in the order in which its kernel, which holds a tile of C in registers,
// goes through them.
//
// For product.cpp alone, which is compiled for AVX-512: nothing here may be inlined elsewhere.
#ifndef WARPBERT_PANELS_H
#define WARPBERT_PANELS_H

#include <stdint.h>
#include <stdlib.h>

namespace warpbert {
namespace {

typedef float V __attribute__((vector_size(64)));
typedef float Unaligned __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t Lanes __attribute__((vector_size(64)));

constexpr int kLanes = 16;
constexpr int kRows = 8, kVectors = 3, kColumns = kVectors * kLanes; // the tile: 24 of 32 registers, every BERT size a multiple

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t pieces_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

V load(const float* p) { return *(const Unaligned*)p; }
void store(float* p, V v) { *(Unaligned*)p = v; }

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
  constexpr Lanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
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

// to[d][0..width) = line 0..width-1 at depth d; lines from `lines` on are 0. A line is a row of A or a column of B: its
// elements are neighbours (`along`), or the lines' elements of one depth are. What will be read soon is fetched meanwhile: a
// row is too short, and the next too far, for the processor to foresee it.
void pack(float* to, int width, const float* from, int64_t row, bool along, int64_t lines, int64_t depth) {
  if (!along) {
    constexpr int64_t ahead = 8;
    for (int64_t d = 0; d < depth; ++d) {
      const float* in = from + d * row;
      float* out = to + d * width;
      if (lines == kColumns) {
        for (int v = 0; v < kVectors; ++v) {
          __builtin_prefetch(in + ahead * row + v * kLanes);
          store(out + v * kLanes, load(in + v * kLanes));
        }
      } else if (lines == kRows && width == kRows) {
        __builtin_memcpy(out, in, kRows * sizeof(float));
      } else {
        for (int64_t i = 0; i < width; ++i) out[i] = i < lines ? in[i] : 0.0f;
      }
    }
    return;
  }
  for (int first = 0; first < width; first += kLanes) {
    const int stored = width - first < kLanes ? width - first : kLanes; // 16 of B's panels, 8 of A's
    for (int64_t d = 0; d < depth; d += kLanes) {
      const int deep = (int)least(kLanes, depth - d);
      V block[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        V line{};
        const float* in = from + (first + i) * row + d;
        if (i < stored && first + i < lines) {
          __builtin_prefetch(in + kLanes * row);
          if (deep == kLanes) line = load(in);
          else __builtin_memcpy(&line, in, deep * sizeof(float));
        }
        block[i] = line;
      }
      transpose(block);
      for (int i = 0; i < deep; ++i) {
        float* out = to + (d + i) * width + first;
        if (stored == kLanes) store(out, block[i]);
        else __builtin_memcpy(out, &block[i], kRows * sizeof(float));
      }
    }
  }
}

}  // namespace
}  // namespace warpbert
#endif
