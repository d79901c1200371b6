// The race check: clang's -fsanitize=thread calls a hook at every access to memory of a kernel, and the hooks are ours.
// Two accesses to the same place are a race if at least one is a write and nothing orders them: threads of different blocks
// always; threads of a block, unless a __syncthreads stands between; threads of a warp, unless a __syncwarp of the whole
// warp does. Order is what the program promises, not what this schedule did, so one run is enough for the paths it took.
#include <unordered_map>

#include "scheduler.h"

namespace simt {

namespace {

struct Access {
  uint32_t launch, block, block_epoch, warp_epoch;
  int thread;
};

struct Cell {  // of a byte, the smallest thing that kernels write
  Access write, read;
  bool many_readers;  // several threads since the last barrier; `read` is the latest
};

std::unordered_map<uintptr_t, Cell> cells;
uint32_t launch = 0;

uint32_t block_number() { return 1 + block_index.x + grid_dim.x * (block_index.y + grid_dim.y * block_index.z); }

bool ordered(const Access& before, const Access& now) {
  if (before.launch != now.launch) return true;
  if (before.block != now.block) return false;
  if (before.thread == now.thread || before.block_epoch != now.block_epoch) return true;
  return before.thread / WARP == now.thread / WARP && before.warp_epoch != now.warp_epoch;
}

[[noreturn]] void report(uintptr_t place, const char* how, const Access& before, const char* did) {
  const intptr_t offset = intptr_t(place) - intptr_t(shared);
  const bool in_shared = offset >= 0 && size_t(offset) < block.shared_bytes;
  fault("race: thread %d %s %s memory at %s%lx, which thread %d of %s block %s, and nothing orders the two", current->number,
        how, in_shared ? "shared" : "global", in_shared ? "byte 0x" : "0x", in_shared ? (unsigned long)offset : (unsigned long)place,
        before.thread, before.block == block_number() ? "its" : "another", did);
}

void access(const void* address, size_t bytes, bool writes) {
  if (!current || on_fiber_stack(address)) return;
  const Warp& warp = block.warps[current->number / WARP];
  const Access now = {launch, block_number(), block.epoch, warp.epoch, current->number};
  const uintptr_t begin = uintptr_t(address);
  for (uintptr_t place = begin; place < begin + bytes; ++place) {
    const intptr_t offset = intptr_t(place) - intptr_t(shared);
    const bool in_shared = offset >= 0 && size_t(offset) < block.shared_bytes;
    Cell& cell = cells[place];
    // Shared memory begins anew with every block.
    const bool known_write = !in_shared || cell.write.block == now.block, known_read = !in_shared || cell.read.block == now.block;
    if (known_write && !ordered(cell.write, now)) report(place, writes ? "writes" : "reads", cell.write, "wrote");
    const bool fresh = cell.read.launch == now.launch && cell.read.block == now.block && cell.read.block_epoch == now.block_epoch &&
                       (cell.read.thread / WARP != now.thread / WARP || cell.read.warp_epoch == now.warp_epoch);
    if (writes) {
      const bool others = cell.many_readers && fresh;
      if (known_read && (!ordered(cell.read, now) || others)) report(place, "writes", cell.read, "read");
      cell.write = now;
    } else {
      cell.many_readers = fresh && (cell.many_readers || cell.read.thread != now.thread);
      // Of readers in different blocks, any is enough to find a writer by; but it must not be the writer's own block.
      if (in_shared || cell.read.launch != now.launch || cell.read.block == now.block) cell.read = now;
    }
  }
}

}  // namespace

void race_read(const void* address, size_t bytes) { access(address, bytes, false); }
void race_write(const void* address, size_t bytes) { access(address, bytes, true); }
void race_launch() {
  cells.clear();
  ++launch;
}

}  // namespace simt

// What the compiler calls. Atomics and virtual tables have hooks too; kernels use neither.
extern "C" {
#define HOOKS(N)                                                                        \
  void __tsan_read##N(void* p) { simt::race_read(p, N); }                               \
  void __tsan_write##N(void* p) { simt::race_write(p, N); }                             \
  void __tsan_unaligned_read##N(void* p) { simt::race_read(p, N); }                     \
  void __tsan_unaligned_write##N(void* p) { simt::race_write(p, N); }                   \
  void __tsan_read_write##N(void* p) { simt::race_read(p, N), simt::race_write(p, N); } \
  void __tsan_unaligned_read_write##N(void* p) { simt::race_read(p, N), simt::race_write(p, N); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
}
