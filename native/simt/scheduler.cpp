// The simt runtime: CUDA's execution model on one CPU thread. Each CUDA thread is a fiber that runs until it has to wait:
// at __syncthreads, or at a collective of its warp, which is a rendezvous. Whoever arrives last wakes the others.
// Blocks run one after another. What a GPU leaves undefined is a fault here, with the places in the source.
#include "scheduler.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace simt {

Block block;
Thread* current = nullptr;
dim3 grid_dim, block_dim;
uint3 block_index, thread_index;
unsigned char* shared = nullptr;

namespace {

Fiber host;
Schedule schedule;
Random chance;
std::string fault_text;
struct Abandoned {};  // thrown on the host's own stack once a fault has been told
const std::function<void()>* body;

int random_bit(uint32_t set) {
  for (uint32_t skip = chance.below(__builtin_popcount(set)); skip; --skip) set &= set - 1;
  return __builtin_ctz(set);
}

void make_ready(const Thread& thread) {
  block.warps[thread.number / WARP].ready |= 1u << thread.number % WARP;
  block.ready_warps |= 1u << thread.number / WARP;
}

// The next thread to run, no longer marked ready; null where all have to wait.
Thread* choose(int after) {
  if (!block.ready_warps) return nullptr;
  int w, lane;
  if (schedule == Schedule::PRIORITY) {
    w = 31 - __builtin_clz(block.ready_warps);
    lane = 31 - __builtin_clz(block.warps[w].ready);
  } else if (schedule == Schedule::RANDOM) {
    w = random_bit(block.ready_warps);
    lane = random_bit(block.warps[w].ready);
  } else {
    w = after / WARP;
    const uint32_t later = w < 32 ? block.warps[w].ready & (~0u << after % WARP) : 0;
    if (later) {
      lane = __builtin_ctz(later);
    } else {
      const uint32_t beyond = w < 31 ? block.ready_warps & (~0u << (w + 1)) : 0;
      w = __builtin_ctz(beyond ? beyond : block.ready_warps);
      lane = __builtin_ctz(block.warps[w].ready);
    }
  }
  Warp& warp = block.warps[w];
  warp.ready &= ~(1u << lane);
  if (!warp.ready) block.ready_warps &= ~(1u << w);
  return &block.threads[w * WARP + lane];
}

const char* name_of(Site site) {
  const char* slash = strrchr(site.file, '/');
  return slash ? slash + 1 : site.file;
}

// "threads 0-31 at __syncthreads (a.cu:12), threads 32-63 ..."
const char* who_waits() {
  static std::string text;  // outlives the fiber that asks
  text.clear();
  for (int i = 0, next; i < block.size; i = next) {
    const Thread& t = block.threads[i];
    next = i + 1;
    if (!t.waits_for) continue;
    while (next < block.size && block.threads[next].waits_for && !strcmp(block.threads[next].waits_for, t.waits_for) &&
           block.threads[next].site.line == t.site.line) {
      ++next;
    }
    char line[200];
    snprintf(line, sizeof line, "%sthreads %d-%d at %s (%s:%d)", text.empty() ? "" : ", ", i, next - 1, t.waits_for,
             name_of(t.site), t.site.line);
    text += line;
  }
  return text.c_str();
}

void run_next(bool ends = false) {
  Thread* self = current;
  Thread* next = choose(self->number + 1);
  if (next == self) return;
  if (!next) {
    if (block.live) fault("deadlock: nothing can run; %s", who_waits());
    switch_to(*self, host, true);
  }
  current = next;
  thread_index = next->index;
  switch_to(*self, *next, ends);
}

void release_barrier() {
  ++block.epoch;
  block.at_barrier = 0;
  for (int i = 0; i < block.size; ++i) {
    Thread& t = block.threads[i];
    if (t.waits_for && !t.mask) {
      t.waits_for = nullptr;
      make_ready(t);
    }
  }
}

void thread_main() {
  arrived();
  (*body)();
  Thread& self = *current;
  if (!self.copies.empty()) fault("thread %d exits with %zu cp.async never waited for", self.number, self.copies.size());
  Warp& warp = block.warps[self.number / WARP];
  const uint32_t bit = 1u << self.number % WARP;
  warp.exited |= bit;
  --block.live;
  for (uint32_t waiting = warp.in_collective; waiting; waiting &= waiting - 1) {
    const Thread& t = block.threads[self.number / WARP * WARP + __builtin_ctz(waiting)];
    if (t.mask & bit) {
      fault("thread %d exited, and thread %d waits for it at %s (%s:%d)", self.number, t.number, t.waits_for,
            name_of(t.site), t.site.line);
    }
  }
  if (block.live && block.at_barrier == block.live) release_barrier();
  run_next(true);
  __builtin_unreachable();
}

constexpr size_t GUARD = 1024;
const unsigned char GUARD_BYTES[2] = {0xff, 0x7f};  // a NaN in every type, told from the poison inside

struct Shared {  // a block's dynamic shared memory at its exact size, between guards
  std::vector<unsigned char> raw;
  explicit Shared(size_t bytes) : raw(GUARD + bytes + GUARD + 128) {
    shared = reinterpret_cast<unsigned char*>((uintptr_t(raw.data()) + GUARD + 127) / 128 * 128);
    block.shared_bytes = bytes;
    for (size_t i = 0; i < GUARD; ++i) {
      (shared - GUARD)[i] = GUARD_BYTES[i % 2];
      (shared + bytes)[i] = GUARD_BYTES[i % 2];
    }
    guard(true);
  }
  ~Shared() {
    guard(false);
    shared = nullptr;
  }
  void guard([[maybe_unused]] bool on) {
#if defined(__SANITIZE_ADDRESS__)
    if (on) {
      ASAN_POISON_MEMORY_REGION(shared + block.shared_bytes, GUARD);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(shared + block.shared_bytes, GUARD);
    }
#endif
  }
  void check() {
    guard(false);
    for (size_t i = 0; i < GUARD; ++i) {
      const long offset = (shared - GUARD)[i] != GUARD_BYTES[i % 2]                 ? long(i) - long(GUARD)
                          : (shared + block.shared_bytes)[i] != GUARD_BYTES[i % 2] ? long(block.shared_bytes + i)
                                                                                    : 0;
      if (offset) {
        fault("shared memory was written at byte %ld, outside of its %zu bytes", offset, block.shared_bytes);
      }
    }
    guard(true);
  }
};

void run_block() {
  memset(shared, 0xff, block.shared_bytes);  // NaN: whoever reads before writing is seen
  for (int i = 0; i < block.size; ++i) {
    Thread& t = block.threads[i];
    t.number = i;
    t.index = {i % block_dim.x, i / block_dim.x % block_dim.y, i / (block_dim.x * block_dim.y)};
    t.waits_for = nullptr;
    t.copies.clear();
    t.copy_group = 0;
    prepare(t, i, thread_main);
  }
  block.live = block.size;
  block.at_barrier = 0;
  block.first_at_barrier = nullptr;
  block.ready_warps = 0;
  for (Warp& warp : block.warps) warp = {0, 0, ~0u, 0};  // also those that only an earlier, abandoned block had
  for (int w = 0; w * WARP < block.size; ++w) {
    const int lanes = block.size - w * WARP;
    const uint32_t all = lanes >= WARP ? ~0u : (1u << lanes) - 1;
    block.warps[w] = {all, 0, ~all, 0};
    block.ready_warps |= 1u << w;
  }
  current = choose(0);
  thread_index = current->index;
  switch_to(host, *current);
}

}  // namespace

void fault(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fault_text = text;
  if (current) {
    switch_to(*current, host, true);  // and never back: the block's fibers are abandoned
    __builtin_unreachable();
  }
  throw Abandoned();
}

void barrier(Site site) {
  Thread& self = *current;
  if (block.at_barrier == 0) {
    block.first_at_barrier = &self;
  } else {
    const Site other = block.first_at_barrier->site;
    if (other.line != site.line || strcmp(name_of(other), name_of(site))) {
      fault("divergent barrier: thread %d waits at %s:%d, thread %d arrives at %s:%d", block.first_at_barrier->number,
            name_of(other), other.line, self.number, name_of(site), site.line);
    }
  }
  self.waits_for = "__syncthreads";
  self.site = site;
  self.mask = 0;
  if (++block.at_barrier == block.live) release_barrier();
  run_next();
}

void collective(const char* op, uint32_t mask, void* operand, Combine combine, Site site) {
  Thread& self = *current;
  const int first = self.number / WARP * WARP;
  Warp& warp = block.warps[first / WARP];
  const uint32_t bit = 1u << self.number % WARP;
  if (!(mask & bit)) {
    fault("thread %d calls %s (%s:%d) with mask %08x, which leaves it out", self.number, op, name_of(site), site.line, mask);
  }
  if (mask & warp.exited) {
    fault("thread %d calls %s (%s:%d) with mask %08x, but lanes %08x have exited", self.number, op, name_of(site),
          site.line, mask, mask & warp.exited);
  }
  self.waits_for = op;
  self.site = site;
  self.mask = mask;
  self.operand = operand;
  warp.in_collective |= bit;
  if ((warp.in_collective & mask) != mask) return run_next();

  void* operands[WARP] = {};
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    Thread& t = block.threads[first + __builtin_ctz(rest)];
    if (t.mask != mask || t.site.line != site.line || strcmp(t.waits_for, op)) {
      fault("divergent warp: thread %d is at %s (%s:%d) with mask %08x, thread %d at %s (%s:%d) with mask %08x", t.number,
            t.waits_for, name_of(t.site), t.site.line, t.mask, self.number, op, name_of(site), site.line, mask);
    }
    operands[t.number - first] = t.operand;
  }
  if (combine) {
    combine(operands, mask, site);
  } else if (mask == ~0u) {
    ++warp.epoch;
  }
  warp.in_collective &= ~mask;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    Thread& t = block.threads[first + __builtin_ctz(rest)];
    t.waits_for = nullptr;
    make_ready(t);
  }
  run_next();
}

namespace {

// Runs a kernel, a thread of which is `kernel_body`. Returns the fault that ended it; empty: none did.
std::string execute(const char* kernel, dim3 grid, dim3 threads, size_t shared_bytes, Schedule turns, uint64_t seed,
                    const std::function<void()>& kernel_body) try {
  current = nullptr;
  schedule = turns;
  chance.start(seed);
  host = Fiber();
  grid_dim = grid;
  block_dim = threads;
  block.size = int(threads.x * threads.y * threads.z);
  block.epoch = 0;
  body = &kernel_body;
  if (!map_stacks(MAX_THREADS)) fault("no memory for %d stacks", MAX_THREADS);

  race_launch();
  Shared memory(shared_bytes);
  const size_t blocks = size_t(grid.x) * grid.y * grid.z;
  // The order of blocks is nobody's promise either: it follows the schedule.
  const size_t shift = schedule == Schedule::RANDOM ? chance.below(uint32_t(blocks)) : 0;
  for (size_t i = 0; i < blocks; ++i) {
    const size_t b = schedule == Schedule::PRIORITY ? blocks - 1 - i : (i + shift) % blocks;
    block_index = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y)};
    fault_text.clear();
    run_block();
    current = nullptr;
    if (!fault_text.empty()) throw Abandoned();
    memory.check();
  }
  return "";
} catch (const Abandoned&) {
  char place[200];
  snprintf(place, sizeof place, "simt: %s, block (%u,%u,%u): ", kernel, block_index.x, block_index.y, block_index.z);
  return place + fault_text;
}

}  // namespace

void run(const char* kernel, const void* address, dim3 grid, dim3 threads, size_t shared_bytes, cudaStream_t stream,
         const std::function<void()>& body) {
  submit_launch(address, grid, threads, shared_bytes, stream,
                [=](Schedule turns, uint64_t seed) { return execute(kernel, grid, threads, shared_bytes, turns, seed, body); });
}

int lane() { return current->number % WARP; }

}  // namespace simt
