// What Java needs of the OpenBLAS that JavaCPP has loaded into this process, beyond cblas_sgemm.
#ifndef WARPBERT_BLAS_H
#define WARPBERT_BLAS_H

#ifdef __cplusplus
extern "C" {
#endif

// The name of the kernels that OpenBLAS chose, or NULL where it is not loaded.
const char* wb_blas_core(void);

// Has OpenBLAS run its jobs on this process's OpenMP team. 1: done; 0: that OpenBLAS cannot.
int wb_blas_share_threads(void);

#ifdef __cplusplus
}
#endif
#endif
