// Inside of the simt runtime: threads, warps and the block being run.
#pragma once
#include <string>
#include <vector>

#include "fiber.h"
#include "launch.h"
#include "simt.h"

namespace simt {

constexpr int WARP = 32;

struct Copy {  // one cp.async: 16 bytes, which land only when its group is waited for
  unsigned char* destination;
  const unsigned char* source;  // null: zeros
  unsigned group;
};

struct Thread : Fiber {
  uint3 index;
  int number;
  const char* waits_for;  // null: for nothing
  Site site;              // where it waits
  uint32_t mask;          // of its rendezvous
  void* operand;
  std::vector<Copy> copies;  // in flight
  unsigned copy_group;       // the group that is being filled
};

struct Warp {
  uint32_t ready, in_collective, exited;  // one bit a lane
  unsigned epoch;                         // counts __syncwarps of the whole warp, for the race check
};

struct Block {
  Thread threads[MAX_THREADS];
  Warp warps[MAX_THREADS / WARP];
  uint32_t ready_warps;  // one bit a warp that has a ready lane
  int size, live, at_barrier;
  unsigned epoch;  // counts __syncthreads, for the race check
  Thread* first_at_barrier;
  size_t shared_bytes;
};

extern Block block;
extern Thread* current;

}  // namespace simt
