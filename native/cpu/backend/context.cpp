// Opening a context: the instruction set, the threads, and their scratch.
#include "context.h"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace warpbert {
namespace {

struct InstructionSet {
  const char* name;
  const wb_ops* table;
  bool supported;
};

// The best that this processor has, or the one that WARPBERT_ISA names.
wb_status choose(InstructionSet* chosen) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  const InstructionSet sets[] = {
      {"avx512", &avx512::table, avx512}, {"avx2", &avx2::table, avx2}, {"baseline", &baseline::table, true}};
  const char* wanted = getenv("WARPBERT_ISA");
  if (wanted && !*wanted) wanted = nullptr;
  for (const InstructionSet& set : sets) {
    if (wanted ? strcmp(wanted, set.name) != 0 : !set.supported) continue;
    if (!set.supported) {
      return fail(WB_UNSUPPORTED, "WARPBERT_ISA=%s, but this processor lacks it; unset it to use the best there is",
                  wanted);
    }
    *chosen = set;
    return WB_OK;
  }
  return fail(WB_INVALID_ARGUMENT, "WARPBERT_ISA=%s is none of baseline, avx2, avx512", wanted);
}

// "AMD EPYC 9B45", as the kernel knows it.
void processor_name(char* name, size_t capacity) {
  snprintf(name, capacity, "x86-64");
  FILE* file = fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[256];
  while (fgets(line, sizeof line, file)) {
    const char* colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    snprintf(name, capacity, "%s", colon + 1 + (colon[1] == ' '));
    name[strcspn(name, "\n")] = 0;
    break;
  }
  fclose(file);
}

// As many as this process may run on.
int processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

wb_status host::create(wb_context** ctx, int32_t device, int32_t threads) {
  *ctx = nullptr;
  if (device != 0) return fail(WB_INVALID_ARGUMENT, "the CPU backend has device 0 only, not %d", device);
  if (threads < 0) return fail(WB_INVALID_ARGUMENT, "%d threads: give 0 for one per core, or more", threads);
  InstructionSet set{};
  if (wb_status status = choose(&set)) return status;
  if (threads == 0) threads = processors();
  void* scratch = nullptr;
  if (posix_memalign(&scratch, 256, threads * kScratchFloats * sizeof(float)) != 0) {
    return fail(WB_OUT_OF_MEMORY, "no memory for the scratch of %d threads", threads);
  }
  CpuContext* made = new (std::nothrow) CpuContext;
  Pool* pool = Pool::create(threads);
  if (!made || !pool) {
    ::free(scratch);
    Pool::destroy(pool);
    delete made;
    return fail(WB_OUT_OF_MEMORY, "no memory for a context");
  }
  made->ops = set.table;
  made->threads = threads;
  made->pool = pool;
  made->isa = set.name;
  made->scratch = static_cast<float*>(scratch);
  *ctx = made;
  return WB_OK;
}

wb_status host::destroy(wb_context* ctx) {
  CpuContext* context = static_cast<CpuContext*>(ctx);
  if (!context) return WB_OK;
  Pool::destroy(context->pool);
  ::free(context->scratch);
  delete context;
  return WB_OK;
}

wb_status host::describe(wb_context* ctx, char* text, int64_t capacity) {
  const CpuContext* context = static_cast<CpuContext*>(ctx);
  char name[128];
  processor_name(name, sizeof name);
  snprintf(text, (size_t)capacity, "CPU: %s, %s, %d thread%s", name, context->isa, context->threads,
           context->threads == 1 ? "" : "s");
  return WB_OK;
}

}  // namespace warpbert

extern "C" const wb_ops* wb_backend(void) {
  // Baseline's table serves to create a context; the context then carries the table of its instruction set.
  return &warpbert::baseline::table;
}
