// The table at the front of a flat buffer, of whose rows some have had no gradient yet: "Touched rows" in warpbert.h.
#ifndef WARPBERT_CPU_TOUCHED_ROWS_H
#define WARPBERT_CPU_TOUCHED_ROWS_H

#include "ops.h"

namespace warpbert::WB_ISA {

struct TouchedRows {
  const uint8_t* touched; // [R], NULL: every element counts
  int64_t R, width;

  // Whether element i counts: it is of a touched row, or behind the table.
  bool has(int64_t i) const { return !touched || i >= R * width || touched[i / width]; }

  // Elements i .. run_end - 1 count all or none; at most `end`, and i < end.
  int64_t run_end(int64_t i, int64_t end) const {
    if (!touched || i >= R * width) return end;
    const bool counts = has(i);
    int64_t row = i / width + 1;
    while (row < R && row * width < end && (touched[row] != 0) == counts) ++row;
    return minimum(row * width, end);
  }
};

}  // namespace warpbert::WB_ISA
#endif
