// A launch, as the runtime knows it, whoever runs its threads: scheduler.cpp here, or ../ptx.
#pragma once
#include <functional>
#include <string>

#ifndef WB_PTX
#include "cuda_types.h"
#endif
#include "runtime.h"

namespace simt {

constexpr int MAX_THREADS = 1024;
constexpr size_t MAX_SHARED_BYTES = 163 << 10;  // what a block may have on sm_80; others differ, and kernels ask shared_memory()

// ORDERED: threads take turns by number. RANDOM: any ready one. PRIORITY: the last warp runs as far ahead as it can.
enum class Schedule { ORDERED, RANDOM, PRIORITY };

struct Random {  // xorshift64*
  uint64_t state = 1;
  void start(uint64_t seed) { state = seed * 2 + 1; }
  uint32_t below(uint32_t n) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return uint32_t((state * 2685821657736338717ull >> 32) * n >> 32);
  }
};

// What is wrong with a launch cudaGetLastError() tells. `execute` runs it in the stream's turn, one at a time, and returns the
// fault that ended it; empty: none did.
void submit_launch(const void* kernel, dim3 grid, dim3 threads, size_t shared_bytes, cudaStream_t stream,
                   std::function<std::string(Schedule, uint64_t seed)> execute);

// The device's memory that an address lies in, and a mark for each 2 bytes of it, 0 at first; of no size where it lies in none.
struct Region {
  uintptr_t begin = 0, end = 0;
  uint32_t* marks = nullptr;
};
Region region_of(const void* address);

}  // namespace simt
