// Threads. An op is cut into tasks that do not depend on the number of threads, and a task's result does not depend on
// who runs it: so every op gives the same bits on any number of threads.
#ifndef WARPBERT_CPU_PARALLEL_H
#define WARPBERT_CPU_PARALLEL_H

#include "ops.h"

namespace warpbert::WB_ISA {

// Below this many elements in all, waking a second thread costs more than it saves.
constexpr int64_t kSerialElements = 8192;

// f(piece, thread) for 0 <= piece < pieces, each taken by the next idle thread.
template <class F> static inline void parallel(const wb_context* ctx, int64_t pieces, int64_t elements, const F& f) {
  if (elements < kSerialElements || pieces <= 1) {
    for (int64_t piece = 0; piece < pieces; ++piece) f(piece, 0);
    return;
  }
  const Pool::Piece call = [](const void* job, int64_t piece, int thread) {
    (*static_cast<const F*>(job))(piece, thread);
  };
  static_cast<const CpuContext*>(ctx)->pool->run(pieces, call, &f);
}

// f(task) for 0 <= task < tasks, for tasks worth handing out one by one.
template <class F> static inline void parallel_tasks(const wb_context* ctx, int64_t tasks, int64_t elements, F f) {
  parallel(ctx, tasks, elements, [&](int64_t task, int) { f(task); });
}

// f(task) for 0 <= task < tasks, many and small ones: they are handed out in runs of neighbours.
template <class F> static inline void parallel_runs(const wb_context* ctx, int64_t tasks, int64_t elements, F f) {
  const int64_t pieces = minimum(tasks, 8 * static_cast<const CpuContext*>(ctx)->threads);
  parallel(ctx, pieces, elements, [&](int64_t piece, int) {
    for (int64_t task = tasks * piece / pieces; task < tasks * (piece + 1) / pieces; ++task) f(task);
  });
}

static inline float* thread_scratch(const wb_context* ctx, int thread) {
  return static_cast<const CpuContext*>(ctx)->scratch + thread * kScratchFloats;
}

// The same cut into row blocks on every machine: at most WB_REDUCE_BLOCKS of them, of at least 8 rows.
static inline int64_t reduce_rows(int64_t rows) { return maximum(8, ceil_div(rows, WB_REDUCE_BLOCKS)); }

}  // namespace warpbert::WB_ISA
#endif
