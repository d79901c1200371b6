// The check that attention and segment losses share: cu_seqlens[B+1] ascends from 0 to T.
#ifndef WARPBERT_CPU_CU_SEQLENS_H
#define WARPBERT_CPU_CU_SEQLENS_H

#include "ops.h"

namespace warpbert::WB_ISA {

static inline wb_status check_cu_seqlens(const char* op, const int32_t* cu_seqlens, int64_t T, int64_t B,
                                         int64_t longest) {
  if (cu_seqlens[0] != 0 || cu_seqlens[B] != T) {
    return fail(WB_INVALID_ARGUMENT, "%s: cu_seqlens runs from %d to %d, not from 0 to %lld", op, cu_seqlens[0],
                cu_seqlens[B], (long long)T);
  }
  for (int64_t b = 0; b < B; ++b) {
    const int64_t length = (int64_t)cu_seqlens[b + 1] - cu_seqlens[b];
    if (length < 0 || length > longest) {
      return fail(WB_INVALID_ARGUMENT, "%s: sequence %lld has %lld tokens", op, (long long)b, (long long)length);
    }
  }
  return WB_OK;
}

}  // namespace warpbert::WB_ISA
#endif
