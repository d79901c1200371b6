// What a kernel source sees of the simt runtime: CUDA's qualifiers, built-in variables, barriers, shuffles and the
// tensor-core instructions, as ordinary C++ run by one fiber per CUDA thread. How: scheduler.cpp.
#pragma once
#include <math.h>
#include <stddef.h>

#include <algorithm>
#include <functional>

#include "cuda_types.h"
#include "runtime.h"
#include "warpbert.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __align__(n) __attribute__((aligned(n)))

namespace simt {

struct Site {  // where in the source a thread waits
  const char* file;
  int line;
};

extern dim3 grid_dim, block_dim;
extern uint3 block_index, thread_index;  // of the running thread
extern unsigned char* shared;            // of the running block

// Every misuse ends here: the launch is abandoned, and returns WB_DEVICE_ERROR with this text.
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

void barrier(Site site);

// A rendezvous of the lanes in `mask`: the last to arrive checks that all agree and runs `combine` on everyone's operand.
using Combine = void (*)(void* const operands[32], uint32_t mask, Site site);
void collective(const char* op, uint32_t mask, void* operand, Combine combine, Site site);

// A fault if `address` isn't a multiple of `bytes`: a vector access that traps on a GPU.
void check_aligned(const void* address, size_t bytes);

void copy_async(void* destination, const void* source, bool valid);
void commit_copies();
void wait_copies(unsigned groups_left_in_flight);

enum MatrixType { FLOAT16, BFLOAT16 };
void mma_16x8x16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], MatrixType type, Site site);
void load_matrices(uint32_t (&fragments)[4], const void* row, bool transposed, Site site);

// The race check (race.cpp) is told of accesses made on a kernel's behalf; empty in other builds.
#ifdef WB_SIMT_RACE
void race_read(const void* address, size_t bytes);
void race_write(const void* address, size_t bytes);
void race_launch();
#else
inline void race_read(const void*, size_t) {}
inline void race_write(const void*, size_t) {}
inline void race_launch() {}
#endif

inline void vector_read(const void* address, size_t bytes) {
  check_aligned(address, bytes);
  race_read(address, bytes);
}
inline void vector_write(const void* address, size_t bytes) {
  check_aligned(address, bytes);
  race_write(address, bytes);
}

// A launch of the kernel at `address`, `body` being a thread of it; what is wrong with it cudaGetLastError() tells.
void run(const char* kernel, const void* address, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
         const std::function<void()>& body);

struct Shuffle {
  uint32_t value, result;
  int source;
};
void shuffle(Shuffle& s, const char* op, uint32_t mask, Site site);

template <class T>
T shuffle_value(const char* op, uint32_t mask, T value, int source, Site site) {
  static_assert(sizeof(T) == 4, "shuffles move 32 bits");
  Shuffle s{0, 0, source};
  memcpy(&s.value, &value, 4);
  shuffle(s, op, mask, site);
  memcpy(&value, &s.result, 4);
  return value;
}
int lane();

}  // namespace simt

#define threadIdx (simt::thread_index)
#define blockIdx (simt::block_index)
#define blockDim (simt::block_dim)
#define gridDim (simt::grid_dim)

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::barrier({file, line});
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::collective("__syncwarp", mask, nullptr, nullptr, {file, line});
}
// Byte i of the result is the one of x (0 to 3) and y (4 to 7) that hexadecimal digit i of `selector` names.
inline uint32_t __byte_perm(uint32_t x, uint32_t y, uint32_t selector) {
  const uint64_t both = uint64_t(y) << 32 | x;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) result |= uint32_t(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return result;
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lane_mask, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return simt::shuffle_value("__shfl_xor_sync", mask, value, simt::lane() ^ lane_mask, {file, line});
}
template <class T>
T __shfl_sync(uint32_t mask, T value, int source, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return simt::shuffle_value("__shfl_sync", mask, value, source & 31, {file, line});
}

using std::min;
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline uint32_t __float_as_uint(float x) { return simt::bits_of(x); }
inline float __uint_as_float(uint32_t bits) { return simt::float_of(bits); }
