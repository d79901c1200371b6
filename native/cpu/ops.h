// Declares the ops of the instruction set that this file is compiled for: namespace warpbert::WB_ISA. Everything with
// code, also in headers, must stand inside that namespace: the linker keeps one copy of an inline function of a shared
// name, and a machine without AVX-512 must never be handed that copy.
#ifndef WARPBERT_CPU_OPS_H
#define WARPBERT_CPU_OPS_H

#include "context.h"

namespace warpbert::WB_ISA {

WB_OP_FUNCTIONS(WB_DECLARE)

static inline wb_status require_float32(wb_dtype dtype, const char* op) {
  return dtype == WB_F32 ? WB_OK
      : fail(WB_UNSUPPORTED, "%s: the CPU backend computes in float32 only, not in dtype %d", op, (int)dtype);
}

static inline int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t maximum(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace warpbert::WB_ISA
#endif
