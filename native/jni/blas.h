// Float32 matrix products on the threads of a context: our own where the CPU has AVX2 (product.h), else by the OpenBLAS
// that JavaCPP has loaded into this process. With `bf16`, our own round operands to bfloat16; all that is stored is float32.
#ifndef WARPBERT_BLAS_H
#define WARPBERT_BLAS_H

#include "warpbert.h"

#ifdef __cplusplus
extern "C" {
#endif

// 0 where all products are our own, and OpenBLAS need not be loaded.
int32_t wb_blas_needed(void);

// 1 where `bf16` may be asked for: the CPU has AVX512-BF16, and products are our own.
int32_t wb_blas_has_bf16(void);

// The name of the kernels in use: ours, or those that OpenBLAS chose, or NULL where it is not loaded.
const char* wb_blas_core(void);

// c[m,n] = op(a) op(b) + beta * c, row-major; op transposes where told to, beta is 0 or 1; lda, ldb, ldc are the rows' lengths as stored.
wb_status wb_blas_sgemm(wb_context* ctx, int32_t threads, int32_t bf16, int32_t transpose_a, int32_t transpose_b, int32_t m, int32_t n,
    int32_t k, const float* a, int32_t lda, const float* b, int32_t ldb, float beta, float* c, int32_t ldc);

// Rearranges w[n,k] in place into what wb_blas_sgemm_packed with the same `bf16` reads, and nothing else may then. WB_UNSUPPORTED, and
// w as it was, where products are not our own; WB_OUT_OF_MEMORY leaves it so too.
wb_status wb_blas_pack(wb_context* ctx, int32_t threads, int32_t bf16, int32_t n, int32_t k, float* w);

// c[m,n] = a[m,k] w[n,k]^T, w as wb_blas_pack left it: the bits that wb_blas_sgemm gives.
wb_status wb_blas_sgemm_packed(wb_context* ctx, int32_t threads, int32_t bf16, int32_t m, int32_t n, int32_t k, const float* a,
    const float* w, float* c);

#ifdef __cplusplus
}
#endif
#endif
