// Threads. An op is cut into tasks that do not depend on the number of threads, and a task's result does not depend on
// who runs it: so every op gives the same bits on any number of threads.
#ifndef WARPBERT_CPU_PARALLEL_H
#define WARPBERT_CPU_PARALLEL_H

#include <omp.h>

#include "ops.h"

namespace warpbert::WB_ISA {

// Below this many elements in all, waking a second thread costs more than it saves.
constexpr int64_t kSerialElements = 8192;

static inline int threads_for(const wb_context* ctx, int64_t tasks, int64_t elements) {
  const int threads = static_cast<const CpuContext*>(ctx)->threads;
  if (elements < kSerialElements || tasks <= 1) return 1;
  return (int)minimum(threads, tasks);
}

// f(task) for 0 <= task < tasks, in one contiguous run per thread: for streams through memory.
template <class F> static inline void parallel_runs(const wb_context* ctx, int64_t tasks, int64_t elements, F f) {
  const int threads = threads_for(ctx, tasks, elements);
  if (threads == 1) {
    for (int64_t task = 0; task < tasks; ++task) f(task);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t task = 0; task < tasks; ++task) f(task);
}

// f(task) for 0 <= task < tasks, each taken by the next idle thread: for tasks of unequal size.
template <class F> static inline void parallel_tasks(const wb_context* ctx, int64_t tasks, int64_t elements, F f) {
  const int threads = threads_for(ctx, tasks, elements);
  if (threads == 1) {
    for (int64_t task = 0; task < tasks; ++task) f(task);
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t task = 0; task < tasks; ++task) f(task);
}

static inline float* thread_scratch(const wb_context* ctx) {
  return static_cast<const CpuContext*>(ctx)->scratch + omp_get_thread_num() * kScratchFloats;
}

// The same cut into row blocks on every machine: at most WB_REDUCE_BLOCKS of them, of at least 8 rows.
static inline int64_t reduce_rows(int64_t rows) { return maximum(8, ceil_div(rows, WB_REDUCE_BLOCKS)); }

}  // namespace warpbert::WB_ISA
#endif
