// Every PTX instruction that C++ has no word for, as small device functions: here for the GPU, and for simt.
#pragma once
#include "device.cuh"

#ifdef WB_SIMT

template <class T>
inline void mma_16x8x16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* file = __builtin_FILE(),
                        int line = __builtin_LINE()) {
  simt::mma_16x8x16(c, a, b, std::is_same<T, half>::value ? simt::FLOAT16 : simt::BFLOAT16, {file, line});
}
inline void ldmatrix(uint32_t (&r)[4], const void* row, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::load_matrices(r, row, false, {file, line});
}
inline void ldmatrix_trans(uint32_t (&r)[4], const void* row, const char* file = __builtin_FILE(),
                           int line = __builtin_LINE()) {
  simt::load_matrices(r, row, true, {file, line});
}
inline void cp_async_16(void* shared, const void* global, bool valid) { simt::copy_async(shared, global, valid); }
inline void cp_async_commit() { simt::commit_copies(); }
template <int IN_FLIGHT>
inline void cp_async_wait() {
  simt::wait_copies(IN_FLIGHT);
}
inline float fast_exp2(float x) { return exp2f(x); }
inline float fast_reciprocal(float x) { return 1.0f / x; }
template <class T>
inline uint32_t pack(float low, float high) {
  return from_float<T>(low).bits | uint32_t(from_float<T>(high).bits) << 16;
}

#else

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// c[16,8] += a[16,16] b[16,8]. With g = lane / 4, t = lane % 4, a lane holds
//   a: rows g, g+8, g, g+8; columns 2t, 2t, 2t+8, 2t+8 and their right neighbours, two to a register
//   b: rows 2t, 2t+1 and 2t+8, 2t+9 of column g;   c: row g columns 2t, 2t+1, then row g+8
template <class T>
__device__ __forceinline__ void mma_16x8x16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same<T, half>::value) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

// Four 8x8 matrices of 16-bit elements; lane 8m+r brings the address of row r of matrix m. A lane gets of matrix m row
// lane/4, columns 2(lane%4) and the next (transposed: that column's rows).
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// 16 bytes from global to shared memory, past the registers and L1; zeros where not valid (nothing is read then).
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int IN_FLIGHT>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(IN_FLIGHT) : "memory");
}

__device__ __forceinline__ float fast_exp2(float x) {  // 2 ulp, subnormal results are 0
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float fast_reciprocal(float x) {  // 1 ulp, subnormals are 0
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Two floats, rounded to T, in one register; `low` in the low half.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  uint32_t pair;
  if constexpr (std::is_same<T, half>::value) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  }
  return pair;
}

#endif
