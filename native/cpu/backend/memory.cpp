// Memory: allocation, copies, and how much of it this process may still have.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "context.h"

namespace warpbert {
namespace {

constexpr int64_t kHugePage = 2 << 20;
constexpr int64_t kUnlimited = INT64_MAX;

// The number after `key` in a file of "key value" lines (key "": the first number); `otherwise` if there is none.
int64_t read_number(const char* path, const char* key, int64_t otherwise) {
  FILE* file = fopen(path, "r");
  if (!file) return otherwise;
  int64_t found = otherwise;
  char line[512];
  const size_t length = strlen(key);
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, key, length) != 0 || (length && line[length] != ' ' && line[length] != ':')) continue;
    char* end;
    const long long number = strtoll(line + length + (line[length] == ':'), &end, 10);
    if (end != line + length) found = number; // "max" has no number: no limit
    break;
  }
  fclose(file);
  return found;
}

struct Memory { int64_t free, total; };

// Lowers `memory` to what the control group in `folder` allows. Cached file pages count as used there, but give way.
void apply_limit(Memory* memory, const char* folder, const char* limit_file, const char* usage_file) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, limit_file);
  const int64_t limit = read_number(path, "", kUnlimited);
  if (limit < 0 || limit >= memory->total) return;
  snprintf(path, sizeof path, "%s/%s", folder, usage_file);
  int64_t used = read_number(path, "", 0);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  used -= read_number(path, "inactive_file", 0) + read_number(path, "active_file", 0);
  if (used < 0) used = 0;
  memory->total = limit;
  const int64_t left = limit > used ? limit - used : 0;
  if (left < memory->free) memory->free = left;
}

// The group itself and every group above it: each may have a limit.
void apply_limits(Memory* memory, const char* root, char* group, const char* limit_file, const char* usage_file) {
  for (;;) {
    char folder[900];
    snprintf(folder, sizeof folder, "%s%s", root, group);
    apply_limit(memory, folder, limit_file, usage_file);
    char* slash = strrchr(group, '/');
    if (!slash) return;
    *slash = 0; // "/a/b", then "/a", then ""
  }
}

Memory available_memory() {
  const int64_t page = sysconf(_SC_PAGESIZE);
  Memory memory;
  memory.total = sysconf(_SC_PHYS_PAGES) * page;
  const int64_t kilobytes = read_number("/proc/meminfo", "MemAvailable", -1);
  memory.free = kilobytes >= 0 ? kilobytes * 1024 : sysconf(_SC_AVPHYS_PAGES) * page;
  FILE* file = fopen("/proc/self/cgroup", "r");
  if (!file) return memory;
  char line[700];
  while (fgets(line, sizeof line, file)) { // "0::/path" is version 2, "4:memory:/path" is version 1
    line[strcspn(line, "\n")] = 0;
    char* controllers = strchr(line, ':');
    char* group = controllers ? strchr(controllers + 1, ':') : nullptr;
    if (!group) continue;
    *group++ = 0;
    if (controllers[1] == 0) apply_limits(&memory, "/sys/fs/cgroup", group, "memory.max", "memory.current");
    else if (strcmp(controllers + 1, "memory") == 0) {
      apply_limits(&memory, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes");
    }
  }
  fclose(file);
  return memory;
}

// f(first, count) over 0 .. bytes, on all threads where it is much.
template <class F> void in_pieces(const wb_context* ctx, int64_t bytes, const F& f) {
  constexpr int64_t kPiece = 4 << 20;
  if (bytes == 0) return;
  if (bytes <= kPiece / 8) return f(0, bytes);
  const int64_t pieces = (bytes + kPiece - 1) / kPiece < 8 ? 8 : (bytes + kPiece - 1) / kPiece;
  const auto piece = [&](int64_t i) { f(bytes * i / pieces, bytes * (i + 1) / pieces - bytes * i / pieces); };
  const Pool::Piece call = [](const void* job, int64_t i, int) { (*static_cast<decltype(piece)*>(job))(i); };
  static_cast<const CpuContext*>(ctx)->pool->run(pieces, call, &piece);
}

}  // namespace

wb_status host::memory_info(wb_context*, int64_t* free_bytes, int64_t* total_bytes) {
  const Memory memory = available_memory();
  *free_bytes = memory.free;
  *total_bytes = memory.total;
  return WB_OK;
}

// Large blocks get their pages here, so that a step meets no page fault, and a block that does not fit is refused: the
// kernel would otherwise promise it and kill the process later.
wb_status host::alloc(wb_context*, void** address, int64_t bytes) {
  *address = nullptr;
  if (bytes < 0) return fail(WB_INVALID_ARGUMENT, "alloc: %lld bytes", (long long)bytes);
  const bool large = bytes >= kHugePage;
  if (large) {
    const Memory memory = available_memory();
    if (bytes > memory.free) {
      return fail(WB_OUT_OF_MEMORY, "alloc: %lld bytes wanted, %lld of %lld free", (long long)bytes,
                  (long long)memory.free, (long long)memory.total);
    }
  }
  void* block = nullptr;
  if (posix_memalign(&block, large ? kHugePage : 256, bytes ? (size_t)bytes : 1) != 0) {
    return fail(WB_OUT_OF_MEMORY, "alloc: %lld bytes refused by the system", (long long)bytes);
  }
  if (large) {
    madvise(block, (size_t)bytes, MADV_HUGEPAGE); // advice: it is no matter if it is not taken
    const int64_t page = sysconf(_SC_PAGESIZE);
    volatile char* touched = static_cast<volatile char*>(block);
    for (int64_t i = 0; i < bytes; i += page) touched[i] = 0;
  }
  *address = block;
  return WB_OK;
}

wb_status host::free(wb_context*, void* address) {
  ::free(address);
  return WB_OK;
}

wb_status host::alloc_host(wb_context* ctx, void** address, int64_t bytes) { return alloc(ctx, address, bytes); }

wb_status host::free_host(wb_context* ctx, void* address) { return free(ctx, address); }

wb_status host::copy(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  in_pieces(ctx, bytes, [=](int64_t first, int64_t count) {
    memcpy(static_cast<char*>(destination) + first, static_cast<const char*>(source) + first, (size_t)count);
  });
  return WB_OK;
}

wb_status host::upload(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  return copy(ctx, destination, source, bytes);
}

wb_status host::download(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  return copy(ctx, destination, source, bytes);
}

wb_status host::zero(wb_context* ctx, void* destination, int64_t bytes) {
  in_pieces(ctx, bytes, [=](int64_t first, int64_t count) {
    memset(static_cast<char*>(destination) + first, 0, (size_t)count);
  });
  return WB_OK;
}

wb_status host::synchronize(wb_context*) { return WB_OK; }

wb_status host::download_async(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  return copy(ctx, destination, source, bytes);
}

wb_status host::event_create(wb_context*, wb_event** event, int32_t) {
  *event = nullptr;
  return WB_OK;
}
wb_status host::event_destroy(wb_context*, wb_event*) { return WB_OK; }
wb_status host::event_record(wb_context*, wb_event*) { return WB_OK; }
wb_status host::event_wait(wb_context*, wb_event*) { return WB_OK; }
wb_status host::event_elapsed(wb_context*, double*, wb_event*, wb_event*) {
  return fail(WB_UNSUPPORTED, "the CPU backend has no clock of its own: its ops have run when they return");
}

wb_status host::stream(wb_context*, void** stream) {
  *stream = nullptr;
  return WB_OK;
}

wb_status host::host_call(wb_context*, wb_status (*function)(const void*), const void* argument, int64_t) {
  return function(argument);
}

namespace {
wb_status no_graphs() { return fail(WB_UNSUPPORTED, "the CPU backend has no graphs: its ops have run when they return"); }
}  // namespace

wb_status host::capture_begin(wb_context*) { return no_graphs(); }
wb_status host::capture_end(wb_context*, wb_graph**) { return no_graphs(); }
wb_status host::graph_launch(wb_context*, wb_graph*) { return no_graphs(); }
wb_status host::graph_destroy(wb_context*, wb_graph*) { return no_graphs(); }

}  // namespace warpbert
