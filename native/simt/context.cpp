// Context and memory of the simt backend: host memory stands for the device's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <new>

#include "backend.h"
#include "scheduler.h"

namespace {

// Guards round every allocation, checked when it is freed.
constexpr int64_t GUARD = 256;
constexpr unsigned char GUARD_BYTE = 0xcb;

struct Header {
  int64_t bytes;
};

bool parse_schedule(const char* text, simt::Context& context) {
  char* end;
  if (!text || !*text || !strcmp(text, "ordered")) {
    context.schedule = simt::Schedule::ORDERED;
  } else if (!strcmp(text, "priority")) {
    context.schedule = simt::Schedule::PRIORITY;
  } else if (!strncmp(text, "random:", 7) && text[7]) {
    context.schedule = simt::Schedule::RANDOM;
    context.seed = strtoull(text + 7, &end, 10);
    return !*end;
  } else {
    return false;
  }
  return true;
}

// Downloads up to the nth are there.
void land(wb_context* ctx, uint64_t number) {
  std::vector<simt::Download>& downloads = static_cast<simt::Context*>(ctx)->downloads;
  size_t done = 0;
  for (; done < downloads.size() && downloads[done].number <= number; ++done) {
    memcpy(downloads[done].destination, downloads[done].bytes.data(), downloads[done].bytes.size());
  }
  downloads.erase(downloads.begin(), downloads.begin() + long(done));
}

}  // namespace

struct wb_event {
  bool timed, recorded;
  uint64_t downloads;  // issued when it was recorded
  std::chrono::steady_clock::time_point time;
};
struct wb_graph {
  simt::Work work;
};

bool simt::keep(wb_context* ctx, const std::function<wb_status()>& work) {
  Work* captured = static_cast<Context*>(ctx)->captured;
  if (captured) captured->push_back(work);
  return captured;
}

int processors(wb_context*) { return 2; }  // few, so that grids loop
size_t shared_memory(wb_context*) { return simt::MAX_SHARED_BYTES; }

extern "C" {

wb_status wb_create(wb_context** ctx, int32_t device, int32_t) {
  *ctx = nullptr;
  if (device != 0) return fail(WB_INVALID_ARGUMENT, "simt has device 0 only, not %d", device);
  simt::Context* c = new (std::nothrow) simt::Context();
  if (!c) return fail(WB_OUT_OF_MEMORY, "no memory for a context");
  const char* schedule = getenv("WARPBERT_SIMT_SCHEDULE");
  if (!parse_schedule(schedule, *c)) {
    delete c;
    return fail(WB_INVALID_ARGUMENT, "WARPBERT_SIMT_SCHEDULE is '%s'; it may be ordered, random:SEED or priority", schedule);
  }
  c->ops = wb_backend();
  *ctx = c;
  return WB_OK;
}

wb_status wb_destroy(wb_context* ctx) {
  if (ctx) delete static_cast<simt::Context*>(ctx)->captured;
  delete static_cast<simt::Context*>(ctx);
  return WB_OK;
}

wb_status wb_describe(wb_context* ctx, char* text, int64_t capacity) {
  static const char* const names[] = {"ordered", "random", "priority"};
  snprintf(text, size_t(capacity), "simt: CUDA kernels run thread by thread on the CPU, schedule %s",
           names[int(static_cast<simt::Context*>(ctx)->schedule)]);
  return WB_OK;
}

wb_status wb_memory_info(wb_context*, int64_t* free_bytes, int64_t* total_bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  *total_bytes = sysconf(_SC_PHYS_PAGES) * page;
  *free_bytes = sysconf(_SC_AVPHYS_PAGES) * page;
  return WB_OK;
}

wb_status wb_alloc(wb_context*, void** address, int64_t bytes) {
  *address = nullptr;
  if (bytes < 0) return fail(WB_INVALID_ARGUMENT, "an allocation of %lld bytes", (long long)bytes);
  const int64_t padded = (GUARD + bytes + GUARD + 255) / 256 * 256;
  unsigned char* raw = padded < bytes ? nullptr : static_cast<unsigned char*>(aligned_alloc(256, size_t(padded)));
  if (!raw) return fail(WB_OUT_OF_MEMORY, "no memory for %lld bytes", (long long)bytes);
  reinterpret_cast<Header*>(raw)->bytes = bytes;
  memset(raw + sizeof(Header), GUARD_BYTE, GUARD - sizeof(Header));
  memset(raw + GUARD, 0xff, size_t(bytes));  // NaN in every type
  memset(raw + GUARD + bytes, GUARD_BYTE, GUARD);
  *address = raw + GUARD;
  return WB_OK;
}

wb_status wb_free(wb_context*, void* address) {
  if (!address) return WB_OK;
  unsigned char* raw = static_cast<unsigned char*>(address) - GUARD;
  const int64_t bytes = reinterpret_cast<Header*>(raw)->bytes;
  for (int64_t i = 0; i < GUARD; ++i) {
    const bool before = i >= int64_t(sizeof(Header)) && raw[i] != GUARD_BYTE, after = raw[GUARD + bytes + i] != GUARD_BYTE;
    if (before || after) {
      return fail(WB_DEVICE_ERROR, "memory was written %s an allocation of %lld bytes, at %lld", before ? "before" : "behind",
                  (long long)bytes, (long long)(before ? i - GUARD : bytes + i));
    }
  }
  free(raw);
  return WB_OK;
}

wb_status wb_alloc_host(wb_context* ctx, void** address, int64_t bytes) { return wb_alloc(ctx, address, bytes); }
wb_status wb_free_host(wb_context* ctx, void* address) {
  wb_synchronize(ctx);
  return wb_free(ctx, address);
}

wb_status wb_copy(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  if (simt::keep(ctx, [=] { return wb_copy(ctx, destination, source, bytes); })) return WB_OK;
  if (bytes) memmove(destination, source, size_t(bytes));
  return WB_OK;
}
wb_status wb_upload(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  return wb_copy(ctx, destination, source, bytes);
}
wb_status wb_download(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  wb_synchronize(ctx);
  return wb_copy(ctx, destination, source, bytes);
}
wb_status wb_zero(wb_context* ctx, void* destination, int64_t bytes) {
  if (simt::keep(ctx, [=] { return wb_zero(ctx, destination, bytes); })) return WB_OK;
  if (bytes) memset(destination, 0, size_t(bytes));
  return WB_OK;
}
wb_status wb_synchronize(wb_context* ctx) {
  land(ctx, UINT64_MAX);
  return WB_OK;
}

// The stream reads the source at once, and the destination is NaN until it is waited for: a host that doesn't wait is seen.
wb_status wb_download_async(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  simt::Context* c = static_cast<simt::Context*>(ctx);
  const unsigned char* from = static_cast<const unsigned char*>(source);
  c->downloads.push_back({destination, std::vector<unsigned char>(from, from + bytes), ++c->downloads_issued});
  memset(destination, 0xff, size_t(bytes));
  return WB_OK;
}

wb_status wb_event_create(wb_context*, wb_event** event, int32_t timed) {
  *event = new (std::nothrow) wb_event{timed != 0, false, 0, {}};
  return *event ? WB_OK : fail(WB_OUT_OF_MEMORY, "no memory for an event");
}
wb_status wb_event_destroy(wb_context*, wb_event* event) {
  delete event;
  return WB_OK;
}
wb_status wb_event_record(wb_context* ctx, wb_event* event) {
  event->downloads = static_cast<simt::Context*>(ctx)->downloads_issued;
  event->recorded = true;
  event->time = std::chrono::steady_clock::now();  // ops have run when they return
  return WB_OK;
}
wb_status wb_event_wait(wb_context* ctx, wb_event* event) {
  land(ctx, event->downloads);
  return WB_OK;
}
wb_status wb_event_elapsed(wb_context* ctx, double* seconds, wb_event* begin, wb_event* end) {
  for (const wb_event* event : {begin, end}) {
    if (!event->timed || !event->recorded) return fail(WB_INVALID_ARGUMENT, "an event is %s", event->timed ? "not recorded" : "not timed");
  }
  *seconds = std::chrono::duration<double>(end->time - begin->time).count();
  return wb_event_wait(ctx, end);
}
wb_status wb_stream(wb_context*, void** stream) {
  *stream = nullptr;
  return WB_OK;
}

wb_status wb_host_call(wb_context* ctx, wb_status (*function)(const void*), const void* argument, int64_t bytes) {
  const unsigned char* from = static_cast<const unsigned char*>(argument);
  const std::vector<unsigned char> copy(from, from + bytes);
  if (simt::keep(ctx, [=] { return function(copy.data()); })) return WB_OK;
  return function(argument);
}

wb_status wb_capture_begin(wb_context* ctx) {
  static_cast<simt::Context*>(ctx)->captured = new simt::Work();
  return WB_OK;
}

wb_status wb_capture_end(wb_context* ctx, wb_graph** graph) {
  simt::Context* c = static_cast<simt::Context*>(ctx);
  if (graph) *graph = new wb_graph{std::move(*c->captured)};
  delete c->captured;
  c->captured = nullptr;
  return WB_OK;
}

wb_status wb_graph_launch(wb_context*, wb_graph* graph) {
  for (const auto& work : graph->work) {
    if (const wb_status status = work()) return status;
  }
  return WB_OK;
}

wb_status wb_graph_destroy(wb_context*, wb_graph* graph) {
  delete graph;
  return WB_OK;
}

wb_status wb_parallel(wb_context*, void (*)(const void*, int64_t), const void*, int64_t) {
  return fail(WB_UNSUPPORTED, "the simt backend has no host threads");
}

}  // extern "C"
