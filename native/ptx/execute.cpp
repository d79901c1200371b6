// How a launch runs: block after block, its warps in turns that the schedule gives, a warp's lanes together as long as they
// are at the same instruction. Lanes that parted meet again by their order: those that are behind go first.
#include <cxxabi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx.h"

namespace ptx {
namespace {

struct Launch {
  const Kernel* kernel;
  const std::vector<unsigned char>* parameters;
  dim3 grid, threads;
  std::vector<unsigned char> shared;     // the block's
  std::vector<unsigned char> registers;  // of all its warps
  std::vector<Warp> warps;
  const Instruction* running;  // which a fault names
  simt::Schedule schedule;
  simt::Random random;
  uint32_t number;  // of launches, for marks on memory
  int block_warps, lanes_of_last;
  simt::Region region;  // that was accessed last
  int32_t barrier_pc;  // where lanes wait; -1: none does
};
Launch launch;

Mask lanes_of(const Warp& warp) { return warp.number + 1 < launch.block_warps ? ~0u : ~0u >> (LANES - launch.lanes_of_last); }

void check_aligned(uint64_t address, size_t bytes) {
  if (address % bytes) fault("misaligned access: %zu bytes at %#llx", bytes, (unsigned long long)address);
}

unsigned char* global_at(uint64_t address, size_t bytes, uint32_t mark, uint32_t forbidden) {
  simt::Region& region = launch.region;
  check_aligned(address, bytes);
  if (address < region.begin || address + bytes > region.end) {
    region = simt::region_of(reinterpret_cast<void*>(address));
    if (address < region.begin || address + bytes > region.end) {
      fault("%zu bytes at %#llx are in no allocation", bytes, (unsigned long long)address);
    }
  }
  // Of each 2 bytes: the launch that touched them last, and how.
  for (uint32_t *at = region.marks + (address - region.begin) / 2, *end = at + (bytes + 1) / 2; at < end; ++at) {
    if (*at >> 2 != launch.number) *at = launch.number << 2;
    if (*at & forbidden) {
      fault("memory at %#llx is read by ld.global.nc, for which the whole kernel must not write it, and is written by this kernel",
            (unsigned long long)address);
    }
    *at |= mark;
  }
  return reinterpret_cast<unsigned char*>(address);
}
constexpr uint32_t READ_ONLY = 1, WRITTEN = 2;

void start_block(unsigned x, unsigned y, unsigned z) {
  const Kernel& kernel = *launch.kernel;
  memset(launch.shared.data(), 0xff, launch.shared.size());  // NaN: whoever reads before writing is seen
  launch.barrier_pc = -1;
  for (Warp& warp : launch.warps) {
    warp.exited = ~lanes_of(warp);
    warp.at_barrier = warp.in_collective = 0;
    for (int i = 0; i < LANES; ++i) {
      warp.pc[i] = 0;
      warp.copies[i].clear();
      warp.copy_group[i] = 0;
      const unsigned t = unsigned(warp.number * LANES + i);
      const unsigned tid[3] = {t % launch.threads.x, t / launch.threads.x % launch.threads.y, t / (launch.threads.x * launch.threads.y)};
      const unsigned ctaid[3] = {x, y, z};
      const unsigned ntid[3] = {launch.threads.x, launch.threads.y, launch.threads.z};
      const unsigned nctaid[3] = {launch.grid.x, launch.grid.y, launch.grid.z};
      for (int d = 0; d < 3; ++d) {
        warp.at<uint32_t>({kernel.tid[d], 4})[i] = tid[d];
        warp.at<uint32_t>({kernel.ctaid[d], 4})[i] = ctaid[d];
        warp.at<uint32_t>({kernel.ntid[d], 4})[i] = ntid[d];
        warp.at<uint32_t>({kernel.nctaid[d], 4})[i] = nctaid[d];
      }
    }
  }
}

Mask at_pc(const Warp& warp, Mask among, int32_t pc) {
  Mask found = 0;
  for (; among; among &= among - 1) {
    const int i = __builtin_ctz(among);
    if (warp.pc[i] == pc) found |= 1u << i;
  }
  return found;
}

void leave(Warp& warp, Mask lanes) {
  for (Mask rest = lanes; rest; rest &= rest - 1) {
    const int i = __builtin_ctz(rest);
    if (!warp.copies[i].empty()) fault("a thread exits with %zu cp.async never waited for", warp.copies[i].size());
  }
  warp.exited |= lanes;
}

void wait_at_barrier(Warp& warp, Mask lanes, int32_t pc) {
  if (launch.barrier_pc >= 0 && launch.barrier_pc != pc) {
    fault("divergent barrier: others wait at the one in line %d of the PTX", launch.kernel->code[size_t(launch.barrier_pc)].ptx_line);
  }
  launch.barrier_pc = pc;
  warp.at_barrier |= lanes;
}

// Runs a collective for each set of lanes at it, `here`, that is whole: lanes may bring several masks. Returns those it ran for.
Mask run_collective(Warp& warp, const Instruction& in, Mask here) {
  Mask ran = 0;
  for (Mask rest = here; rest;) {
    const int first = __builtin_ctz(rest);
    Mask mask = lanes_of(warp), same = here;
    if (in.target >= 0) {
      const uint32_t* masks = warp.at<uint32_t>(in.operands[in.target]);
      mask = masks[first];
      same = 0;
      for (Mask lanes = here; lanes; lanes &= lanes - 1) same |= Mask(masks[__builtin_ctz(lanes)] == mask) << __builtin_ctz(lanes);
    }
    if (same & ~mask) fault("lanes %08x take part with mask %08x, which leaves some out", same, mask);
    if (mask & warp.exited) fault("mask %08x, but lanes %08x have exited", mask, mask & warp.exited);
    rest &= ~same;
    if (same != mask) continue;  // others are still to come
    in.run(warp, in, same);
    ran |= same;
  }
  return ran;
}

// Runs a warp until all its lanes wait or have left, or so many instructions were run. Returns whether any was.
bool run_warp(Warp& warp, long budget) {
  const Instruction* code = launch.kernel->code.data();
  bool ran = false;
  while (budget > 0) {
    const Mask runnable = ~(warp.exited | warp.at_barrier | warp.in_collective);
    if (!runnable) break;
    int32_t pc = INT32_MAX, next = INT32_MAX;  // of those that are behind; of those who come after
    for (Mask rest = runnable; rest; rest &= rest - 1) {
      const int32_t at = warp.pc[__builtin_ctz(rest)];
      if (at < pc) next = pc, pc = at;
      else if (at > pc && at < next) next = at;
    }
    Mask group = at_pc(warp, runnable, pc);
    const auto park = [&](Mask lanes, int32_t at) {
      for (; lanes; lanes &= lanes - 1) warp.pc[__builtin_ctz(lanes)] = at;
    };
    ran = true;
    while (group) {
      const Instruction& in = code[pc];
      launch.running = &in;
      --budget;
      if (traffic) ++traffic->instructions;
      Mask active = group;
      if (in.guarded) {
        const Mask guard = *reinterpret_cast<const Mask*>(warp.registers + in.guard);
        active &= in.guard_negated ? ~guard : guard;
      }
      if (in.kind == Kind::PLAIN) {
        if (active) in.run(warp, in, active);
        ++pc;
      } else if (in.kind == Kind::BRANCH) {
        if (active == group) {
          pc = in.target;
        } else if (active) {
          park(active, in.target);
          park(group & ~active, pc + 1);
          break;
        } else {
          ++pc;
        }
      } else if (in.kind == Kind::EXIT) {
        leave(warp, active);
        group &= ~active;
        ++pc;
      } else if (in.kind == Kind::BARRIER) {
        wait_at_barrier(warp, active, pc);
        park(group, pc + 1);
        break;
      } else {
        const Mask here = group | at_pc(warp, warp.in_collective, pc), done = run_collective(warp, in, here);
        warp.in_collective = (warp.in_collective & ~done) | (here & ~done);
        park(done, pc + 1);
        if (done != group) {
          park(group & ~done, pc);
          break;
        }
        ++pc;
      }
      if (pc >= next || budget <= 0) {
        park(group, pc);
        break;
      }
    }
  }
  return ran;
}

void run_block() {
  const int warps = launch.block_warps;
  for (;;) {
    bool ran = false, all_wait = true, any_live = false;
    if (launch.schedule == simt::Schedule::RANDOM) {
      for (int turn = 0; turn < 2 * warps; ++turn) ran |= run_warp(launch.warps[launch.random.below(uint32_t(warps))], 1 + launch.random.below(64));
    }
    for (int i = 0; i < warps; ++i) {
      ran |= run_warp(launch.warps[launch.schedule == simt::Schedule::PRIORITY ? warps - 1 - i : i],
                      launch.schedule == simt::Schedule::RANDOM ? 1 + launch.random.below(64) : INT64_MAX);
    }
    for (const Warp& warp : launch.warps) {
      any_live |= warp.exited != ~0u;
      all_wait &= (warp.exited | warp.at_barrier) == ~0u;
    }
    if (!any_live) return;
    if (all_wait) {
      for (Warp& warp : launch.warps) warp.at_barrier = 0;
      launch.barrier_pc = -1;
    } else if (!ran) {
      for (const Warp& warp : launch.warps) {
        if (!warp.in_collective) continue;
        fault("deadlock: lanes %08x of warp %d wait for others of it, of which %08x have exited", warp.in_collective, warp.number, warp.exited);
      }
      fault("deadlock: some threads wait at a barrier, others do not come");
    }
  }
}

}  // namespace

void fault(const char* format, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Fault{text};
}

unsigned char* shared_at(uint32_t address, size_t bytes) {
  check_aligned(address, bytes);
  if (address + bytes > launch.shared.size()) {
    fault("%zu bytes at %u of shared memory, of which the block has %zu", bytes, address, launch.shared.size());
  }
  return launch.shared.data() + address;
}
const unsigned char* parameter_at(uint32_t address, size_t bytes) {
  if (address + bytes > launch.parameters->size()) fault("%zu bytes at %u of %zu of parameters", bytes, address, launch.parameters->size());
  return launch.parameters->data() + address;
}
const unsigned char* global_read(uint64_t address, size_t bytes, bool read_only) {
  return global_at(address, bytes, read_only ? READ_ONLY : 0, read_only ? WRITTEN : 0);
}
unsigned char* global_write(uint64_t address, size_t bytes) { return global_at(address, bytes, WRITTEN, READ_ONLY); }

std::string execute(const Kernel& kernel, dim3 grid, dim3 threads, size_t shared_bytes, const std::vector<unsigned char>& parameters,
                    simt::Schedule schedule, uint64_t seed) {
  const size_t size = size_t(threads.x) * threads.y * threads.z;
  launch.kernel = &kernel;
  launch.parameters = &parameters;
  launch.grid = grid;
  launch.threads = threads;
  launch.schedule = schedule;
  launch.random.start(seed);
  launch.running = nullptr;
  launch.region = {};
  count(kernel);
  launch.number = (launch.number + 1) & 0x3fffffff;
  launch.shared.resize(shared_bytes);
  launch.block_warps = int((size + LANES - 1) / LANES);
  launch.lanes_of_last = int(size - size_t(launch.block_warps - 1) * LANES);
  const size_t bytes = (kernel.register_bytes + 63) / 64 * 64;
  launch.registers.resize(bytes * size_t(launch.block_warps) + 64);
  launch.warps.resize(size_t(launch.block_warps));
  unsigned char* first = launch.registers.data() + (64 - uintptr_t(launch.registers.data()) % 64) % 64;
  for (int i = 0; i < launch.block_warps; ++i) {
    launch.warps[size_t(i)].number = i;
    launch.warps[size_t(i)].registers = first + bytes * size_t(i);
    memcpy(launch.warps[size_t(i)].registers, kernel.constants.data(), kernel.constants.size());
  }
  unsigned x = 0, y = 0, z = 0;
  try {
    const size_t blocks = size_t(grid.x) * grid.y * grid.z;
    const size_t shift = schedule == simt::Schedule::RANDOM ? launch.random.below(uint32_t(blocks)) : 0;
    for (size_t i = 0; i < blocks; ++i) {  // their order is nobody's promise either: it follows the schedule
      const size_t b = schedule == simt::Schedule::PRIORITY ? blocks - 1 - i : (i + shift) % blocks;
      x = unsigned(b % grid.x), y = unsigned(b / grid.x % grid.y), z = unsigned(b / grid.x / grid.y);
      start_block(x, y, z);
      run_block();
    }
    return "";
  } catch (const Fault& problem) {
    char place[900];
    const Instruction* in = launch.running;
    const bool known = in && in->file < kernel.files->size();
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(kernel.name.c_str(), nullptr, nullptr, nullptr), free);
    snprintf(place, sizeof place, "ptx: %.200s, block (%u,%u,%u), %s:%d, line %d of the PTX: %s", name ? name.get() : kernel.name.c_str(), x, y, z,
             known ? (*kernel.files)[in->file].c_str() : "?", in ? in->line : 0, in ? in->ptx_line : 0, problem.text.c_str());
    return place;
  }
}

}  // namespace ptx
