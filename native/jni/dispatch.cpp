// Implements warpbert.h for Java: loads backend libraries, checks every argument once, and forwards to the table of
// the context's backend. Backends therefore trust what they are given.
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>

#include "warpbert.h"

namespace {

thread_local std::string g_error;

wb_status fail(wb_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));
wb_status fail(wb_status status, const char* format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  g_error = text;
  return status;
}

// A backend's text lives in its own library's thread-local; bring it here so that wb_last_error() has one answer.
wb_status pass(const wb_ops* ops, wb_status status) {
  if (status != WB_OK) g_error = ops->last_error();
  return status;
}

// ---- what a call's arguments must satisfy; `op` and `argument` are the words of the header

struct Argument { const char* name; const void* address; };
#define ARG(pointer) Argument{#pointer, pointer}

// No output may be the buffer of another output, nor of one of these inputs.
wb_status distinct(const char* op, std::initializer_list<Argument> outputs, std::initializer_list<Argument> inputs) {
  for (const Argument& output : outputs) {
    if (!output.address) continue;
    for (auto list : {outputs, inputs}) {
      for (const Argument& other : list) {
        if (&other == &output || other.address != output.address) continue;
        return fail(WB_INVALID_ARGUMENT, "%s: %s must not be %s", op, output.name, other.name);
      }
    }
  }
  return WB_OK;
}

bool fits(int64_t a, int64_t b) { return b == 0 || a <= INT64_MAX / 8 / b; }  // bytes of a*b elements fit int64

#define CHECK_CONTEXT(op) \
  if (!ctx || !ctx->ops) return fail(WB_INVALID_ARGUMENT, "%s: the context is NULL or closed", op)
// What does not wait for its turn on the stream cannot be part of a graph.
#define CHECK_NO_CAPTURE(op) \
  CHECK_CONTEXT(op); \
  if (ctx->capturing) return fail(WB_INVALID_ARGUMENT, "%s: not while a graph is captured", op)
#define CHECK_SIZE(op, size, least) \
  if ((size) < (least)) \
  return fail(WB_INVALID_ARGUMENT, "%s: %s is %lld, it must be at least %d", op, #size, (long long)(size), (int)(least))
#define CHECK_SHAPE(op, rows, columns) \
  CHECK_SIZE(op, rows, 0); \
  CHECK_SIZE(op, columns, 1); \
  if (!fits(rows, columns)) \
  return fail(WB_INVALID_ARGUMENT, "%s: %s x %s = %lld x %lld overflows", op, #rows, #columns, (long long)(rows), (long long)(columns))
#define CHECK_POINTER(op, pointer) \
  if (!(pointer)) return fail(WB_INVALID_ARGUMENT, "%s: %s is NULL", op, #pointer)
#define CHECK_TYPE(op, type) \
  if ((int)(type) < WB_F32 || (int)(type) > WB_BF16) return fail(WB_INVALID_ARGUMENT, "%s: no dtype has number %d", op, (int)(type))
#define CHECK_DISTINCT(op, ...) \
  if (wb_status status = distinct(op, __VA_ARGS__)) return status
#define CHECK_DROPOUT(op) \
  if (!(dropout >= 0 && dropout < 1)) return fail(WB_INVALID_ARGUMENT, "%s: dropout is %g, it must be in [0, 1)", op, dropout); \
  if (dropout > 0) CHECK_POINTER(op, rng)
#define CHECK_ACTIVATION(op) \
  if ((int)activation < WB_IDENTITY || (int)activation > WB_TANH) \
  return fail(WB_INVALID_ARGUMENT, "%s: no activation has number %d", op, (int)activation)

std::mutex g_libraries_lock;
std::map<std::string, const wb_ops*> g_libraries;  // by path; never unloaded: their thread-locals outlive contexts

wb_status library(const char* path, const wb_ops** ops) {
  std::lock_guard<std::mutex> hold(g_libraries_lock);
  auto known = g_libraries.find(path);
  if (known != g_libraries.end()) {
    *ops = known->second;
    return WB_OK;
  }
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) return fail(WB_LOAD_FAILED, "%s", dlerror());
  auto entry = (const wb_ops* (*)())dlsym(handle, "wb_backend");
  if (!entry) {
    wb_status status = fail(WB_LOAD_FAILED, "%s is not a WarpBERT backend: %s", path, dlerror());
    dlclose(handle);
    return status;
  }
  *ops = entry();
  if ((*ops)->abi != WB_ABI) {
    wb_status status = fail(WB_LOAD_FAILED, "%s was built for contract %d, this library speaks %d: rebuild both", path, (*ops)->abi, WB_ABI);
    dlclose(handle);
    return status;
  }
  g_libraries[path] = *ops;
  return WB_OK;
}

}  // namespace

const char* wb_last_error(void) { return g_error.c_str(); }

wb_status wb_open(wb_context** ctx, const char* path, int32_t device, int32_t threads) {
  const char* op = "open";
  CHECK_POINTER(op, ctx);
  CHECK_POINTER(op, path);
  CHECK_SIZE(op, device, 0);
  CHECK_SIZE(op, threads, 0);
  *ctx = nullptr;
  const wb_ops* ops = nullptr;
  wb_status status = library(path, &ops);
  if (status != WB_OK) return status;
  status = ops->create(ctx, device, threads);
  if (status == WB_OK) (*ctx)->capturing = 0;
  return pass(ops, status);
}

wb_status wb_close(wb_context* ctx) {
  CHECK_CONTEXT("close");
  const wb_ops* ops = ctx->ops;
  return pass(ops, ops->destroy(ctx));
}

wb_status wb_describe(wb_context* ctx, char* text, int64_t capacity) {
  CHECK_CONTEXT("describe");
  CHECK_POINTER("describe", text);
  CHECK_SIZE("describe", capacity, 1);
  return pass(ctx->ops, ctx->ops->describe(ctx, text, capacity));
}

wb_status wb_memory_info(wb_context* ctx, int64_t* free_bytes, int64_t* total_bytes) {
  CHECK_CONTEXT("memory_info");
  CHECK_POINTER("memory_info", free_bytes);
  CHECK_POINTER("memory_info", total_bytes);
  return pass(ctx->ops, ctx->ops->memory_info(ctx, free_bytes, total_bytes));
}

wb_status wb_alloc(wb_context* ctx, void** address, int64_t bytes) {
  CHECK_NO_CAPTURE("alloc");
  CHECK_POINTER("alloc", address);
  *address = nullptr;
  CHECK_SIZE("alloc", bytes, 1);
  return pass(ctx->ops, ctx->ops->alloc(ctx, address, bytes));
}

wb_status wb_free(wb_context* ctx, void* address) {
  CHECK_NO_CAPTURE("free");
  return pass(ctx->ops, ctx->ops->free(ctx, address));
}

wb_status wb_alloc_host(wb_context* ctx, void** address, int64_t bytes) {
  CHECK_NO_CAPTURE("alloc_host");
  CHECK_POINTER("alloc_host", address);
  *address = nullptr;
  CHECK_SIZE("alloc_host", bytes, 1);
  return pass(ctx->ops, ctx->ops->alloc_host(ctx, address, bytes));
}

wb_status wb_free_host(wb_context* ctx, void* address) {
  CHECK_NO_CAPTURE("free_host");
  return pass(ctx->ops, ctx->ops->free_host(ctx, address));
}

#define CHECK_COPY(op) \
  CHECK_CONTEXT(op); \
  CHECK_SIZE(op, bytes, 0); \
  if (bytes == 0) return WB_OK; \
  CHECK_POINTER(op, destination)

wb_status wb_upload(wb_context* ctx, void* destination, const void* host_source, int64_t bytes) {
  CHECK_NO_CAPTURE("upload");
  CHECK_COPY("upload");
  CHECK_POINTER("upload", host_source);
  return pass(ctx->ops, ctx->ops->upload(ctx, destination, host_source, bytes));
}

wb_status wb_download(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  CHECK_NO_CAPTURE("download");
  CHECK_COPY("download");
  CHECK_POINTER("download", source);
  return pass(ctx->ops, ctx->ops->download(ctx, destination, source, bytes));
}

wb_status wb_copy(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  CHECK_COPY("copy");
  CHECK_POINTER("copy", source);
  return pass(ctx->ops, ctx->ops->copy(ctx, destination, source, bytes));
}

wb_status wb_zero(wb_context* ctx, void* destination, int64_t bytes) {
  CHECK_COPY("zero");
  return pass(ctx->ops, ctx->ops->zero(ctx, destination, bytes));
}

wb_status wb_synchronize(wb_context* ctx) {
  CHECK_NO_CAPTURE("synchronize");
  return pass(ctx->ops, ctx->ops->synchronize(ctx));
}

wb_status wb_download_async(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  CHECK_NO_CAPTURE("download_async");
  CHECK_COPY("download_async");
  CHECK_POINTER("download_async", source);
  return pass(ctx->ops, ctx->ops->download_async(ctx, destination, source, bytes));
}

wb_status wb_event_create(wb_context* ctx, wb_event** event, int32_t timed) {
  CHECK_NO_CAPTURE("event_create");
  CHECK_POINTER("event_create", event);
  return pass(ctx->ops, ctx->ops->event_create(ctx, event, timed));
}

// NULL is the event of a backend whose ops have run when they return.
#define CHECK_EVENT(op) \
  CHECK_NO_CAPTURE(op); \
  if (!event) return WB_OK

wb_status wb_event_destroy(wb_context* ctx, wb_event* event) {
  CHECK_EVENT("event_destroy");
  return pass(ctx->ops, ctx->ops->event_destroy(ctx, event));
}

wb_status wb_event_record(wb_context* ctx, wb_event* event) {
  CHECK_EVENT("event_record");
  return pass(ctx->ops, ctx->ops->event_record(ctx, event));
}

wb_status wb_event_wait(wb_context* ctx, wb_event* event) {
  CHECK_EVENT("event_wait");
  return pass(ctx->ops, ctx->ops->event_wait(ctx, event));
}

wb_status wb_event_elapsed(wb_context* ctx, double* seconds, wb_event* begin, wb_event* end) {
  CHECK_NO_CAPTURE("event_elapsed");
  CHECK_POINTER("event_elapsed", seconds);
  if (!begin || !end) return fail(WB_UNSUPPORTED, "event_elapsed: where ops have run when they return, no time is between events");
  return pass(ctx->ops, ctx->ops->event_elapsed(ctx, seconds, begin, end));
}

wb_status wb_stream(wb_context* ctx, void** stream) {
  CHECK_CONTEXT("stream");
  CHECK_POINTER("stream", stream);
  return pass(ctx->ops, ctx->ops->stream(ctx, stream));
}

wb_status wb_parallel(wb_context* ctx, void (*function)(const void*, int64_t), const void* argument, int64_t pieces) {
  CHECK_CONTEXT("parallel");
  CHECK_POINTER("parallel", function);
  CHECK_SIZE("parallel", pieces, 0);
  if (pieces == 0) return WB_OK;
  return pass(ctx->ops, ctx->ops->parallel(ctx, function, argument, pieces));
}

wb_status wb_host_call(wb_context* ctx, wb_status (*function)(const void*), const void* argument, int64_t bytes) {
  CHECK_CONTEXT("host_call");
  CHECK_POINTER("host_call", function);
  CHECK_POINTER("host_call", argument);
  CHECK_SIZE("host_call", bytes, 1);
  return pass(ctx->ops, ctx->ops->host_call(ctx, function, argument, bytes));
}

wb_status wb_capture_begin(wb_context* ctx) {
  CHECK_NO_CAPTURE("capture_begin");
  const wb_status status = ctx->ops->capture_begin(ctx);
  ctx->capturing = status == WB_OK;
  return pass(ctx->ops, status);
}

wb_status wb_capture_end(wb_context* ctx, wb_graph** graph) {
  CHECK_CONTEXT("capture_end");
  if (graph) *graph = nullptr;
  if (!ctx->capturing) return fail(WB_INVALID_ARGUMENT, "capture_end: no graph is being captured");
  ctx->capturing = 0;
  return pass(ctx->ops, ctx->ops->capture_end(ctx, graph));
}

wb_status wb_graph_launch(wb_context* ctx, wb_graph* graph) {
  CHECK_NO_CAPTURE("graph_launch");
  CHECK_POINTER("graph_launch", graph);
  return pass(ctx->ops, ctx->ops->graph_launch(ctx, graph));
}

wb_status wb_graph_destroy(wb_context* ctx, wb_graph* graph) {
  CHECK_NO_CAPTURE("graph_destroy");
  CHECK_POINTER("graph_destroy", graph);
  return pass(ctx->ops, ctx->ops->graph_destroy(ctx, graph));
}

wb_status wb_embeddings_forward(wb_context* ctx, wb_dtype dtype, void* y, float* mean, float* rstd, const float* word,
    const float* position, const float* segment, const float* gamma, const float* beta, const int32_t* tokens,
    const int32_t* positions, const int32_t* segments, float eps, float dropout, int32_t site, const int64_t* rng,
    const int32_t* dropout_rows, int64_t T, int64_t H, int64_t V, int64_t P, int64_t S) {
  const char* op = "embeddings_forward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, T, H);
  CHECK_SHAPE(op, V, H);
  CHECK_SIZE(op, P, 1);
  CHECK_SIZE(op, S, 1);
  CHECK_DROPOUT(op);
  if (T == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, mean);
  CHECK_POINTER(op, rstd);
  CHECK_POINTER(op, word);
  CHECK_POINTER(op, position);
  CHECK_POINTER(op, segment);
  CHECK_POINTER(op, gamma);
  CHECK_POINTER(op, beta);
  CHECK_POINTER(op, tokens);
  CHECK_POINTER(op, positions);
  CHECK_POINTER(op, segments);
  CHECK_DISTINCT(op, {ARG(y), ARG(mean), ARG(rstd)}, {ARG(word), ARG(position), ARG(segment), ARG(gamma), ARG(beta)});
  return pass(ctx->ops, ctx->ops->embeddings_forward(ctx, dtype, y, mean, rstd, word, position, segment, gamma, beta,
      tokens, positions, segments, eps, dropout, site, rng, dropout_rows, T, H, V, P, S));
}

wb_status wb_embeddings_backward(wb_context* ctx, wb_dtype dtype, float* dword, float* dposition, float* dsegment,
    float* dgamma, float* dbeta, uint8_t* touched, float* workspace, const void* dy, const float* mean, const float* rstd,
    const float* word, const float* position, const float* segment, const float* gamma, const int32_t* tokens,
    const int32_t* positions, const int32_t* segments, const int32_t* word_order, const int32_t* position_order,
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t H, int64_t V,
    int64_t P, int64_t S) {
  const char* op = "embeddings_backward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, T, H);
  CHECK_SHAPE(op, V, H);
  CHECK_SIZE(op, P, 1);
  CHECK_SIZE(op, S, 1);
  CHECK_DROPOUT(op);
  if (T == 0) return WB_OK;
  CHECK_POINTER(op, dword);
  CHECK_POINTER(op, dposition);
  CHECK_POINTER(op, dsegment);
  CHECK_POINTER(op, dgamma);
  CHECK_POINTER(op, dbeta);
  CHECK_POINTER(op, workspace);
  CHECK_POINTER(op, dy);
  CHECK_POINTER(op, mean);
  CHECK_POINTER(op, rstd);
  CHECK_POINTER(op, word);
  CHECK_POINTER(op, position);
  CHECK_POINTER(op, segment);
  CHECK_POINTER(op, gamma);
  CHECK_POINTER(op, tokens);
  CHECK_POINTER(op, positions);
  CHECK_POINTER(op, segments);
  CHECK_POINTER(op, word_order);
  CHECK_POINTER(op, position_order);
  CHECK_DISTINCT(op, {ARG(dword), ARG(dposition), ARG(dsegment), ARG(dgamma), ARG(dbeta), ARG(workspace)},
      {ARG(dy), ARG(mean), ARG(rstd), ARG(word), ARG(position), ARG(segment), ARG(gamma)});
  return pass(ctx->ops, ctx->ops->embeddings_backward(ctx, dtype, dword, dposition, dsegment, dgamma, dbeta, touched,
      workspace, dy, mean, rstd, word, position, segment, gamma, tokens, positions, segments, word_order, position_order, dropout,
      site, rng, dropout_rows, T, H, V, P, S));
}

wb_status wb_bias_activation_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const float* bias,
    wb_activation activation, int64_t N, int64_t C) {
  const char* op = "bias_activation_forward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_ACTIVATION(op);
  CHECK_SHAPE(op, N, C);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, x);
  CHECK_DISTINCT(op, {ARG(y)}, {ARG(bias)});
  return pass(ctx->ops, ctx->ops->bias_activation_forward(ctx, dtype, y, x, bias, activation, N, C));
}

wb_status wb_bias_activation_backward(wb_context* ctx, wb_dtype dtype, void* dx, float* dbias, float* workspace,
    const void* dy, const void* x, const float* bias, wb_activation activation, int64_t N, int64_t C) {
  const char* op = "bias_activation_backward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_ACTIVATION(op);
  CHECK_SHAPE(op, N, C);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, dx);
  CHECK_POINTER(op, dy);
  if (activation != WB_IDENTITY) CHECK_POINTER(op, x);
  if (dbias) CHECK_POINTER(op, workspace);
  CHECK_DISTINCT(op, {ARG(dx), ARG(dbias), ARG(workspace)}, {ARG(x), ARG(bias)});
  CHECK_DISTINCT(op, {ARG(dbias), ARG(workspace)}, {ARG(dy)});
  return pass(ctx->ops, ctx->ops->bias_activation_backward(ctx, dtype, dx, dbias, workspace, dy, x, bias, activation, N, C));
}

wb_status wb_residual_layernorm_forward(wb_context* ctx, wb_dtype dtype, void* y, void* z, float* mean, float* rstd,
    const void* x, const float* bias, const void* residual, const float* gamma, const float* beta, float eps,
    float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T, int64_t H) {
  const char* op = "residual_layernorm_forward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, T, H);
  CHECK_DROPOUT(op);
  if (T == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, x);
  CHECK_POINTER(op, gamma);
  CHECK_POINTER(op, beta);
  if (z) {
    CHECK_POINTER(op, mean);
    CHECK_POINTER(op, rstd);
  }
  CHECK_DISTINCT(op, {ARG(y), ARG(z), ARG(mean), ARG(rstd)}, {ARG(bias), ARG(residual), ARG(gamma), ARG(beta)});
  CHECK_DISTINCT(op, {ARG(mean), ARG(rstd)}, {ARG(x)});
  if (z) CHECK_DISTINCT(op, {ARG(y)}, {ARG(x)});
  return pass(ctx->ops, ctx->ops->residual_layernorm_forward(ctx, dtype, y, z, mean, rstd, x, bias, residual, gamma,
      beta, eps, dropout, site, rng, dropout_rows, T, H));
}

wb_status wb_residual_layernorm_backward(wb_context* ctx, wb_dtype dtype, void* dx, void* dresidual, float* dbias,
    float* dgamma, float* dbeta, float* workspace, const void* dy, const void* z, const float* mean, const float* rstd,
    const float* gamma, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows, int64_t T,
    int64_t H) {
  const char* op = "residual_layernorm_backward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, T, H);
  CHECK_DROPOUT(op);
  if (T == 0) return WB_OK;
  CHECK_POINTER(op, dx);
  CHECK_POINTER(op, dgamma);
  CHECK_POINTER(op, dbeta);
  CHECK_POINTER(op, workspace);
  CHECK_POINTER(op, dy);
  CHECK_POINTER(op, z);
  CHECK_POINTER(op, mean);
  CHECK_POINTER(op, rstd);
  CHECK_POINTER(op, gamma);
  CHECK_DISTINCT(op, {ARG(dx), ARG(dbias), ARG(dgamma), ARG(dbeta), ARG(workspace)},
      {ARG(z), ARG(mean), ARG(rstd), ARG(gamma)});
  CHECK_DISTINCT(op, {ARG(dresidual), ARG(dbias), ARG(dgamma), ARG(dbeta), ARG(workspace)},
      {ARG(z), ARG(mean), ARG(rstd), ARG(gamma)});
  CHECK_DISTINCT(op, {ARG(dbias), ARG(dgamma), ARG(dbeta), ARG(workspace)}, {ARG(dy)});
  if (dropout > 0) CHECK_DISTINCT(op, {ARG(dx)}, {ARG(dresidual)});
  return pass(ctx->ops, ctx->ops->residual_layernorm_backward(ctx, dtype, dx, dresidual, dbias, dgamma, dbeta, workspace,
      dy, z, mean, rstd, gamma, dropout, site, rng, dropout_rows, T, H));
}

#define CHECK_ATTENTION(op) \
  CHECK_CONTEXT(op); \
  CHECK_TYPE(op, dtype); \
  CHECK_SIZE(op, B, 0); \
  CHECK_SIZE(op, A, 1); \
  CHECK_SIZE(op, D, 1); \
  CHECK_SHAPE(op, T, 3 * A * D); \
  CHECK_SIZE(op, max_seqlen, 0); \
  CHECK_SIZE(op, queries, 1); \
  if (max_seqlen > 65536) \
    return fail(WB_INVALID_ARGUMENT, "%s: max_seqlen is %lld, sequences hold at most 65536 tokens", op, (long long)max_seqlen); \
  CHECK_DROPOUT(op); \
  if (T == 0 || B == 0) return WB_OK; \
  CHECK_POINTER(op, out); \
  CHECK_POINTER(op, qkv); \
  CHECK_POINTER(op, cu_seqlens)

wb_status wb_attention_forward(wb_context* ctx, wb_dtype dtype, void* out, float* lse, const void* qkv,
    const int32_t* cu_seqlens, const uint8_t* key_mask, float scale, float dropout, int32_t site, const int64_t* rng,
    const int32_t* dropout_rows, int64_t T, int64_t B, int64_t A, int64_t D, int64_t max_seqlen, int64_t queries) {
  const char* op = "attention_forward";
  CHECK_ATTENTION(op);
  CHECK_DISTINCT(op, {ARG(out), ARG(lse)}, {ARG(qkv)});
  return pass(ctx->ops, ctx->ops->attention_forward(ctx, dtype, out, lse, qkv, cu_seqlens, key_mask, scale, dropout,
      site, rng, dropout_rows, T, B, A, D, max_seqlen, queries));
}

wb_status wb_attention_backward(wb_context* ctx, wb_dtype dtype, void* dqkv, float* dbias, float* workspace,
    const void* dout, const void* out, const float* lse, const void* qkv, const int32_t* cu_seqlens,
    const uint8_t* key_mask, float scale, float dropout, int32_t site, const int64_t* rng, const int32_t* dropout_rows,
    int64_t T, int64_t B, int64_t A, int64_t D, int64_t max_seqlen, int64_t queries) {
  const char* op = "attention_backward";
  CHECK_ATTENTION(op);
  CHECK_POINTER(op, dqkv);
  CHECK_POINTER(op, workspace);
  CHECK_POINTER(op, dout);
  CHECK_POINTER(op, lse);
  CHECK_DISTINCT(op, {ARG(dqkv), ARG(dbias), ARG(workspace)}, {ARG(dout), ARG(out), ARG(lse), ARG(qkv)});
  return pass(ctx->ops, ctx->ops->attention_backward(ctx, dtype, dqkv, dbias, workspace, dout, out, lse, qkv, cu_seqlens,
      key_mask, scale, dropout, site, rng, dropout_rows, T, B, A, D, max_seqlen, queries));
}

wb_status wb_gather_rows_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, const int32_t* rows,
    int64_t N, int64_t T, int64_t H) {
  const char* op = "gather_rows_forward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, H);
  CHECK_SHAPE(op, T, H);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, x);
  CHECK_POINTER(op, rows);
  CHECK_DISTINCT(op, {ARG(y)}, {ARG(x)});
  return pass(ctx->ops, ctx->ops->gather_rows_forward(ctx, dtype, y, x, rows, N, T, H));
}

wb_status wb_gather_rows_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, const int32_t* rows,
    int64_t N, int64_t T, int64_t H) {
  const char* op = "gather_rows_backward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, H);
  CHECK_SHAPE(op, T, H);
  if (T == 0) return WB_OK;
  CHECK_POINTER(op, dx);
  if (N > 0) {
    CHECK_POINTER(op, dy);
    CHECK_POINTER(op, rows);
  }
  CHECK_DISTINCT(op, {ARG(dx)}, {ARG(dy)});
  return pass(ctx->ops, ctx->ops->gather_rows_backward(ctx, dtype, dx, dy, rows, N, T, H));
}

wb_status wb_dropout_forward(wb_context* ctx, wb_dtype dtype, void* y, const void* x, float dropout, int32_t site,
    const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  const char* op = "dropout_forward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, C);
  CHECK_DROPOUT(op);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, x);
  return pass(ctx->ops, ctx->ops->dropout_forward(ctx, dtype, y, x, dropout, site, rng, dropout_rows, N, C));
}

wb_status wb_dropout_backward(wb_context* ctx, wb_dtype dtype, void* dx, const void* dy, float dropout, int32_t site,
    const int64_t* rng, const int32_t* dropout_rows, int64_t N, int64_t C) {
  const char* op = "dropout_backward";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, C);
  CHECK_DROPOUT(op);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, dx);
  CHECK_POINTER(op, dy);
  return pass(ctx->ops, ctx->ops->dropout_backward(ctx, dtype, dx, dy, dropout, site, rng, dropout_rows, N, C));
}

wb_status wb_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
    const int32_t* labels, const float* class_weights, float smoothing, int32_t ignore_label, float gradient_scale,
    int64_t N, int64_t C, int64_t stride) {
  const char* op = "cross_entropy";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, C);
  if (stride < C) return fail(WB_INVALID_ARGUMENT, "%s: rows of C = %lld are %lld elements apart", op, (long long)C, (long long)stride);
  CHECK_SHAPE(op, N, stride);
  if (!(smoothing >= 0 && smoothing <= 1)) return fail(WB_INVALID_ARGUMENT, "%s: smoothing is %g, it must be in [0, 1]", op, smoothing);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, loss);
  CHECK_POINTER(op, logits);
  CHECK_POINTER(op, labels);
  CHECK_DISTINCT(op, {ARG(loss), ARG(dlogits)}, {ARG(class_weights)});
  CHECK_DISTINCT(op, {ARG(loss)}, {ARG(logits)});
  return pass(ctx->ops, ctx->ops->cross_entropy(ctx, dtype, loss, dlogits, logits, labels, class_weights, smoothing,
      ignore_label, gradient_scale, N, C, stride));
}

wb_status wb_mean_squared_error(wb_context* ctx, wb_dtype dtype, float* loss, void* dprediction, const void* prediction,
    const float* target, float gradient_scale, int64_t N, int64_t C) {
  const char* op = "mean_squared_error";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, C);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, loss);
  CHECK_POINTER(op, prediction);
  CHECK_POINTER(op, target);
  CHECK_DISTINCT(op, {ARG(loss), ARG(dprediction)}, {ARG(target)});
  CHECK_DISTINCT(op, {ARG(loss)}, {ARG(prediction)});
  return pass(ctx->ops, ctx->ops->mean_squared_error(ctx, dtype, loss, dprediction, prediction, target, gradient_scale,
      N, C));
}

wb_status wb_binary_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
    const float* target, const float* class_weights, float gradient_scale, int64_t N, int64_t C) {
  const char* op = "binary_cross_entropy";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, N, C);
  if (N == 0) return WB_OK;
  CHECK_POINTER(op, loss);
  CHECK_POINTER(op, logits);
  CHECK_POINTER(op, target);
  CHECK_DISTINCT(op, {ARG(loss), ARG(dlogits)}, {ARG(target), ARG(class_weights)});
  CHECK_DISTINCT(op, {ARG(loss)}, {ARG(logits)});
  return pass(ctx->ops, ctx->ops->binary_cross_entropy(ctx, dtype, loss, dlogits, logits, target, class_weights,
      gradient_scale, N, C));
}

wb_status wb_segment_cross_entropy(wb_context* ctx, wb_dtype dtype, float* loss, void* dlogits, const void* logits,
    const int32_t* cu_seqlens, const int32_t* labels, int32_t ignore_label, float gradient_scale, int64_t T, int64_t B,
    int64_t C) {
  const char* op = "segment_cross_entropy";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, dtype);
  CHECK_SHAPE(op, T, C);
  CHECK_SHAPE(op, B, C);
  if (B == 0) return WB_OK;
  CHECK_POINTER(op, loss);
  if (T > 0) CHECK_POINTER(op, logits);
  CHECK_POINTER(op, cu_seqlens);
  CHECK_POINTER(op, labels);
  CHECK_DISTINCT(op, {ARG(loss), ARG(dlogits)}, {});
  CHECK_DISTINCT(op, {ARG(loss)}, {ARG(logits)});
  return pass(ctx->ops, ctx->ops->segment_cross_entropy(ctx, dtype, loss, dlogits, logits, cu_seqlens, labels,
      ignore_label, gradient_scale, T, B, C));
}

#define CHECK_TABLE(op, rows, columns) \
  CHECK_SHAPE(op, rows, columns); \
  if ((rows) * (columns) > (int64_t)UINT32_MAX) \
  return fail(WB_INVALID_ARGUMENT, "%s: a table of %s x %s = %lld x %lld has more than 2^32 - 1 elements", op, #rows, #columns, \
              (long long)(rows), (long long)(columns))
// The table is the first of n elements.
#define CHECK_TOUCHED(op) \
  CHECK_TABLE(op, R, width); \
  if (touched && R * width > n) \
  return fail(WB_INVALID_ARGUMENT, "%s: R x width = %lld x %lld is more than n = %lld", op, (long long)R, (long long)width, (long long)n)

wb_status wb_zero_rows(wb_context* ctx, float* x, const uint8_t* touched, int64_t R, int64_t width) {
  const char* op = "zero_rows";
  CHECK_CONTEXT(op);
  CHECK_TABLE(op, R, width);
  if (R == 0) return WB_OK;
  CHECK_POINTER(op, x);
  CHECK_POINTER(op, touched);
  return pass(ctx->ops, ctx->ops->zero_rows(ctx, x, touched, R, width));
}

wb_status wb_gradient_norm(wb_context* ctx, float* stats, float* workspace, const float* gradient, const uint8_t* touched,
    const float* loss_scale, float max_norm, int64_t n, int64_t R, int64_t width) {
  const char* op = "gradient_norm";
  CHECK_CONTEXT(op);
  CHECK_SIZE(op, n, 0);
  CHECK_POINTER(op, stats);
  CHECK_POINTER(op, workspace);
  if (n > 0) CHECK_POINTER(op, gradient);
  CHECK_TOUCHED(op);
  CHECK_DISTINCT(op, {ARG(stats), ARG(workspace)}, {ARG(gradient), ARG(loss_scale)});
  return pass(ctx->ops, ctx->ops->gradient_norm(ctx, stats, workspace, gradient, touched, loss_scale, max_norm, n,
      R, width));
}

wb_status wb_adamw(wb_context* ctx, wb_dtype copy_dtype, wb_dtype moment_dtype, float* parameter, void* m, void* v,
    void* parameter_copy, const float* gradient, const uint8_t* touched, const float* stats, const float* hyper,
    const int64_t* rng, const int64_t* ends, const float* decay, const float* lr_scale, float beta1, float beta2, float eps,
    int64_t n, int64_t K, int64_t R, int64_t width) {
  const char* op = "adamw";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, copy_dtype);
  if (moment_dtype != WB_F32 && moment_dtype != WB_BF16)
    return fail(WB_INVALID_ARGUMENT, "%s: moments are kept in float32 or bfloat16, not in dtype %d", op, (int)moment_dtype);
  CHECK_SIZE(op, n, 0);
  CHECK_SIZE(op, K, 0);
  if (n == 0) return WB_OK;
  CHECK_SIZE(op, K, 1);
  CHECK_TOUCHED(op);
  if (!(beta1 >= 0 && beta1 < 1) || !(beta2 >= 0 && beta2 < 1) || !(eps >= 0))
    return fail(WB_INVALID_ARGUMENT, "%s: beta1 %g, beta2 %g must be in [0, 1) and eps %g at least 0", op, beta1, beta2, eps);
  CHECK_POINTER(op, parameter);
  CHECK_POINTER(op, m);
  CHECK_POINTER(op, v);
  CHECK_POINTER(op, gradient);
  CHECK_POINTER(op, stats);
  CHECK_POINTER(op, hyper);
  if (moment_dtype == WB_BF16) CHECK_POINTER(op, rng);
  CHECK_POINTER(op, ends);
  CHECK_POINTER(op, decay);
  CHECK_POINTER(op, lr_scale);
  CHECK_DISTINCT(op, {ARG(parameter), ARG(m), ARG(v), ARG(parameter_copy)},
      {ARG(gradient), ARG(stats), ARG(hyper), ARG(decay), ARG(lr_scale)});
  return pass(ctx->ops, ctx->ops->adamw(ctx, copy_dtype, moment_dtype, parameter, m, v, parameter_copy, gradient, touched,
      stats, hyper, rng, ends, decay, lr_scale, beta1, beta2, eps, n, K, R, width));
}

wb_status wb_cast(wb_context* ctx, void* y, wb_dtype y_dtype, const void* x, wb_dtype x_dtype, int64_t n) {
  const char* op = "cast";
  CHECK_CONTEXT(op);
  CHECK_TYPE(op, y_dtype);
  CHECK_TYPE(op, x_dtype);
  CHECK_SIZE(op, n, 0);
  if (n == 0) return WB_OK;
  CHECK_POINTER(op, y);
  CHECK_POINTER(op, x);
  if (y_dtype != x_dtype) CHECK_DISTINCT(op, {ARG(y)}, {ARG(x)});
  return pass(ctx->ops, ctx->ops->cast(ctx, y, y_dtype, x, x_dtype, n));
}
