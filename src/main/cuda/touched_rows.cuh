// The table at the front of a flat buffer, of whose rows some have had no gradient yet: "Touched rows" in warpbert.h.
#pragma once
#include "device.cuh"

struct TouchedRows {
  const uint8_t* touched;  // [R], null: every element counts
  int64_t elements;        // of the table, fewer than 2^32
  uint32_t width;

  // Whether elements i .. i+N-1 count, i being a multiple of N: they are of one touched row, or behind the table.
  template <int N>
  __device__ __forceinline__ bool has(int64_t i) const {
    return !touched || i >= elements || touched[uint32_t(i) / N / (width / N)] != 0;
  }
};

inline TouchedRows touched_rows(const uint8_t* touched, int64_t R, int64_t width) { return {touched, R * width, uint32_t(width)}; }

// Whether no N neighbours, the first a multiple of N, are of two rows.
inline bool whole_vectors(const TouchedRows& rows, int N) { return !rows.touched || rows.width % N == 0; }
