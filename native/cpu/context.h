// What every op needs of the backend: the context, and how a failure is reported. Nothing here has code, so that it may
// be included by files compiled for different instruction sets.
#ifndef WARPBERT_CPU_CONTEXT_H
#define WARPBERT_CPU_CONTEXT_H

#include "pool.h"
#include "warpbert.h"

namespace warpbert {

// Scratch of one thread, for the tiles of attention; see attention.cpp.
constexpr int64_t kMaxHeadSize = 256;
constexpr int64_t kScratchFloats = 12 * 64 * kMaxHeadSize + 4 * 64 * 64;

struct CpuContext : wb_context {
  int32_t threads;   // one caller at a time: pool and scratch are the context's
  Pool* pool;
  const char* isa;   // "baseline", "avx2" or "avx512"
  float* scratch;    // [threads, kScratchFloats], 256-byte aligned
};

// Keeps the text for wb_last_error of this thread and returns the status.
wb_status fail(wb_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// WB_FUNCTIONS in two, in its order: what does not depend on the instruction set, and the ops.
#define WB_HOST_FUNCTIONS(F) \
  F(create) F(destroy) F(describe) F(memory_info) F(alloc) F(free) F(alloc_host) F(free_host) F(upload) F(download) \
  F(copy) F(zero) F(synchronize) F(download_async) F(event_create) F(event_destroy) F(event_record) F(event_wait) \
  F(event_elapsed) F(stream) F(parallel) F(host_call) F(capture_begin) F(capture_end) F(graph_launch) F(graph_destroy)
#define WB_OP_FUNCTIONS(F) \
  F(embeddings_forward) F(embeddings_backward) \
  F(bias_activation_forward) F(bias_activation_backward) \
  F(residual_layernorm_forward) F(residual_layernorm_backward) \
  F(attention_forward) F(attention_backward) \
  F(gather_rows_forward) F(gather_rows_backward) \
  F(dropout_forward) F(dropout_backward) \
  F(cross_entropy) F(mean_squared_error) F(binary_cross_entropy) F(segment_cross_entropy) \
  F(zero_rows) F(gradient_norm) F(adamw) F(cast)
#define WB_DECLARE(name) decltype(::wb_##name) name;

namespace host {
WB_HOST_FUNCTIONS(WB_DECLARE)
const char* last_error();
}

// The three tables; wb_create picks one.
namespace baseline { extern const wb_ops table; }
namespace avx2 { extern const wb_ops table; }
namespace avx512 { extern const wb_ops table; }

}  // namespace warpbert
#endif
