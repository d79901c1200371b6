// CUDA's runtime on the CPU, as far as context.cu needs it: memory, streams, events and graphs on host memory.
//   WARPBERT_SIMT_SCHEDULE  ordered (the default), random:SEED, priority: who takes turns in a kernel, see scheduler.h
//   WARPBERT_SIMT_STREAM    eager (the default): work is done when it is asked for, so that a fault is that call's
//                           late: work is done when something waits for it, as late as CUDA allows. Page-locked memory is read and
//                           written then, and a fault is told by whoever waits, and from then on by every call
//   WARPBERT_SIMT_MEMORY    shared (the default): the host may read the device's memory
//                           apart: it may not; the process gets SIGSEGV where it does
// In both kinds of stream what is copied to page-locked memory is not there before it was waited for: until then it is NaN.
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "backend.h"
#include "launch.h"

using Work = std::function<cudaError_t()>;

struct CUgraph_st {
  std::shared_ptr<std::vector<Work>> nodes;  // launches that wait for their turn hold them too
};
struct CUgraphExec_st : CUgraph_st {};

using Stream = struct CUstream_st;
struct CUstream_st {
  void (*submit)(Stream*, void (*function)(void*), void* argument, size_t bytes);  // first, for libraries that have but the address
  simt::Schedule schedule;
  uint64_t seed;
  bool late;
  std::unique_ptr<CUgraph_st> captured;  // null: what is asked for is done
  bool invalidated;                 // the capture
  std::deque<Work> queue;           // not done yet
  uint64_t issued;                  // works that were ever in the queue
};

using Event = struct CUevent_st;
struct CUevent_st {
  bool timed, captured;
  Stream* stream;   // null: never recorded
  uint64_t issued;  // works of the stream's queue before it
  std::chrono::steady_clock::time_point time;
};

namespace simt {
namespace {

// Guards round every allocation, checked when it is freed.
constexpr size_t GUARD = 256, PAGE = 4096;
constexpr unsigned char GUARD_BYTE = 0xcb, POISON = 0xff;  // NaN in every type
constexpr size_t SHARED_UNASKED = 48 << 10;                // bytes that a kernel may have without cudaFuncSetAttribute

struct Memory {
  size_t bytes, padded;
  unsigned char* raw;
  bool host;  // page-locked
  uint32_t* marks = nullptr;
};

std::recursive_mutex one_call;
std::map<uintptr_t, Memory> memories;  // by the address that was given out
std::set<Stream*> streams;
std::map<const void*, size_t> shared_limits;  // of kernels that asked for more
cudaError_t broken = cudaSuccess;             // a late stream's fault, which every call returns from then on
std::string fault_text;
bool apart = false;
thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string error_text;  // of last_error, where there is more to say than its name
thread_local Stream* capturing = nullptr;

using Call = std::lock_guard<std::recursive_mutex>;

cudaError_t refuse(cudaError_t error, const char* format, ...) __attribute__((format(printf, 2, 3)));
cudaError_t refuse(cudaError_t error, const char* format, ...) {
  char text[500];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  error_text = text;
  return last_error = error;
}

// A call that CUDA allows in no capture of the calling thread, and that ends it.
cudaError_t refuse_in_capture(const char* call) {
  capturing->invalidated = true;
  return refuse(cudaErrorStreamCaptureUnsupported, "%s while a stream is being captured", call);
}

#define ONE_CALL \
  const Call hold(one_call); \
  if (broken) return last_error = broken
#define NOT_IN_CAPTURE(call) \
  ONE_CALL; \
  if (capturing) return refuse_in_capture(#call)

void open(const Memory& memory, bool accessible) { mprotect(memory.raw, memory.padded, accessible ? PROT_READ | PROT_WRITE : PROT_NONE); }

// While it is alive the device's memory can be used.
struct DeviceRuns {
  DeviceRuns() { open_all(true); }
  ~DeviceRuns() { open_all(false); }
  static void open_all(bool accessible) {
    if (!apart) return;
    for (const auto& [address, memory] : memories) {
      if (!memory.host) open(memory, accessible);
    }
  }
};

// What holds all of these bytes; null: nothing of ours.
Memory* holder(const void* address, size_t bytes) {
  auto behind = memories.upper_bound(uintptr_t(address));
  if (behind == memories.begin()) return nullptr;
  auto& [begin, memory] = *--behind;
  return uintptr_t(address) + bytes <= begin + memory.bytes ? &memory : nullptr;
}

bool on_device(const void* address, size_t bytes) {
  const Memory* memory = holder(address, bytes);
  return memory && !memory->host;
}

cudaError_t allocate(void** address, size_t bytes, bool host) {
  const size_t padded = (GUARD + bytes + GUARD + PAGE - 1) / PAGE * PAGE;
  unsigned char* raw = padded < bytes ? nullptr : static_cast<unsigned char*>(aligned_alloc(PAGE, padded));
  if (!raw) return refuse(cudaErrorMemoryAllocation, "no memory for %zu bytes", bytes);
  memset(raw, GUARD_BYTE, GUARD);
  memset(raw + GUARD, POISON, bytes);
  memset(raw + GUARD + bytes, GUARD_BYTE, GUARD);
  *address = raw + GUARD;
  memories[uintptr_t(*address)] = {bytes, padded, raw, host, nullptr};
  if (apart && !host) open(memories[uintptr_t(*address)], false);
  return cudaSuccess;
}

cudaError_t release(void* address, bool host) {
  const auto found = memories.find(uintptr_t(address));
  if (found == memories.end() || found->second.host != host) return refuse(cudaErrorInvalidValue, "%p is no allocation", address);
  const Memory memory = found->second;
  if (apart && !host) open(memory, true);
  for (size_t i = 0; i < GUARD; ++i) {
    const bool before = memory.raw[i] != GUARD_BYTE;
    if (before || memory.raw[GUARD + memory.bytes + i] != GUARD_BYTE) {
      return refuse(cudaErrorInvalidValue, "memory was written %s an allocation of %zu bytes, at %lld", before ? "before" : "behind",
                    memory.bytes, before ? (long long)i - (long long)GUARD : (long long)(memory.bytes + i));
    }
  }
  memories.erase(found);
  free(memory.marks);
  free(memory.raw);
  return cudaSuccess;
}

// Does what is in the stream's queue, up to the work that was issued as number `last`.
cudaError_t drain(Stream* stream, uint64_t last) {
  const DeviceRuns running;
  while (!stream->queue.empty() && stream->issued - stream->queue.size() < last) {
    const Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    const cudaError_t error = broken ? cudaSuccess : work();
    if (!error) continue;
    fault_text = error_text;
    broken = error;
  }
  return broken ? last_error = broken : cudaSuccess;
}

cudaError_t drain_all() {
  for (Stream* stream : streams) drain(stream, stream->issued);
  return broken ? last_error = broken : cudaSuccess;
}

void enqueue(Stream* stream, Work work) {
  stream->queue.push_back(std::move(work));
  ++stream->issued;
}

cudaError_t submit(Stream* stream, Work work) {
  if (stream->captured) {
    stream->captured->nodes->push_back(std::move(work));
    return cudaSuccess;
  }
  if (stream->late) {
    enqueue(stream, std::move(work));
    return cudaSuccess;
  }
  const DeviceRuns running;
  return work();
}

// What these bytes are now, for a work that comes later.
std::shared_ptr<std::vector<char>> copy_of(const void* from, size_t bytes) {
  const char* begin = static_cast<const char*>(from);
  return std::make_shared<std::vector<char>>(begin, begin + bytes);
}

Work bring_copy(void* to, const void* from, size_t bytes) {
  return [to, copy = copy_of(from, bytes)] {
    memcpy(to, copy->data(), copy->size());
    return cudaSuccess;
  };
}

void submit_for_library(Stream* stream, void (*function)(void*), void* argument, size_t bytes) {
  const Call hold(one_call);
  submit(stream, [function, copy = copy_of(argument, bytes)] {
    function(copy->data());
    return cudaSuccess;
  });
}

// Whether an environment variable has the other of two words; false: it has neither.
bool choice(const char* variable, const char* usual, const char* other, bool& is_other) {
  const char* text = getenv(variable);
  is_other = text && !strcmp(text, other);
  if (!text || !*text || is_other || !strcmp(text, usual)) return true;
  refuse(cudaErrorInvalidValue, "%s is '%s'; it may be %s or %s", variable, text, usual, other);
  return false;
}

bool parse_schedule(Stream& stream) {
  const char* text = getenv("WARPBERT_SIMT_SCHEDULE");
  char* end = nullptr;
  if (!text || !*text || !strcmp(text, "ordered")) {
    stream.schedule = Schedule::ORDERED;
  } else if (!strcmp(text, "priority")) {
    stream.schedule = Schedule::PRIORITY;
  } else {
    stream.schedule = Schedule::RANDOM;
    if (!strncmp(text, "random:", 7) && text[7]) stream.seed = strtoull(text + 7, &end, 10);
    if (!end || *end) {
      refuse(cudaErrorInvalidValue, "WARPBERT_SIMT_SCHEDULE is '%s'; it may be ordered, random:SEED or priority", text);
      return false;
    }
  }
  return true;
}

const char* name_of(Schedule schedule) {
  return schedule == Schedule::ORDERED ? "ordered" : schedule == Schedule::RANDOM ? "random" : "priority";
}

}  // namespace

void submit_launch(const void* kernel, dim3 grid, dim3 threads, size_t shared_bytes, cudaStream_t stream,
                   std::function<std::string(Schedule, uint64_t)> execute) {
  const Call hold(one_call);
  if (broken) {
    last_error = broken;
    return;
  }
  const auto limit = shared_limits.find(kernel);
  const size_t most = limit == shared_limits.end() ? SHARED_UNASKED : limit->second;
  const size_t size = size_t(threads.x) * threads.y * threads.z;
  if (size < 1 || size > MAX_THREADS) {
    refuse(cudaErrorInvalidConfiguration, "a block of %zu threads", size);
  } else if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    refuse(cudaErrorInvalidConfiguration, "a grid of %u x %u x %u", grid.x, grid.y, grid.z);
  } else if (shared_bytes > most) {
    refuse(cudaErrorInvalidValue, "%zu bytes of shared memory a block, where the kernel has at most %zu", shared_bytes, most);
  } else {
    submit(stream, [stream, execute = std::move(execute)] {
      const std::string fault = execute(stream->schedule, stream->seed);
      return fault.empty() ? cudaSuccess : refuse(cudaErrorLaunchFailure, "%s", fault.c_str());
    });
  }
}

Region region_of(const void* address) {
  Memory* memory = holder(address, 1);
  if (!memory || memory->host) return {};
  if (!memory->marks) memory->marks = static_cast<uint32_t*>(calloc(memory->bytes / 2 + 1, sizeof(uint32_t)));
  const uintptr_t begin = uintptr_t(memory->raw + GUARD);
  return memory->marks ? Region{begin, begin + memory->bytes, memory->marks} : Region();
}

}  // namespace simt

using namespace simt;

// ---- errors, devices

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = broken;
  return error;
}

const char* cudaGetErrorString(cudaError_t error) {
  const Call hold(one_call);
  if (broken) error_text = fault_text;
  return error ? error_text.c_str() : "no error";
}

const char* cudaGetErrorName(cudaError_t error) {
#define NAME(error) case error: return #error;
  switch (error) {
    NAME(cudaErrorInvalidValue) NAME(cudaErrorMemoryAllocation) NAME(cudaErrorInvalidConfiguration) NAME(cudaErrorInvalidDevice)
    NAME(cudaErrorInvalidResourceHandle) NAME(cudaErrorIllegalState) NAME(cudaErrorLaunchFailure) NAME(cudaErrorStreamCaptureUnsupported)
    NAME(cudaErrorStreamCaptureInvalidated) NAME(cudaErrorCapturedEvent)
    default: return "cudaErrorUnknown";
  }
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return device ? refuse(cudaErrorInvalidDevice, "there is device 0 only, not %d", device) : cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 2; break;  // few, so that grids loop
    case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = int(MAX_SHARED_BYTES); break;
    default: return refuse(cudaErrorInvalidValue, "attribute %d of a device", int(attribute));
  }
  return cudaSetDevice(device);
}

// The name tells of one of the streams that are open.
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const Call hold(one_call);
  size_t free_bytes;
  *properties = {};
  const Stream* stream = streams.empty() ? nullptr : *streams.begin();
#ifdef WB_PTX
  const char* who = "nvcc's PTX, run on the CPU";
#else
  const char* who = "CUDA kernels run thread by thread on the CPU";
#endif
  snprintf(properties->name, sizeof properties->name, "%s, schedule %s%s", who, stream ? name_of(stream->schedule) : "none", stream && stream->late ? ", late" : "");
  cudaDeviceGetAttribute(&properties->major, cudaDevAttrComputeCapabilityMajor, device);
  cudaDeviceGetAttribute(&properties->minor, cudaDevAttrComputeCapabilityMinor, device);
  cudaDeviceGetAttribute(&properties->multiProcessorCount, cudaDevAttrMultiProcessorCount, device);
  return cudaMemGetInfo(&free_bytes, &properties->totalGlobalMem);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) { return cudaSuccess; }

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  const Call hold(one_call);
  if (value < 0 || size_t(value) > MAX_SHARED_BYTES) return refuse(cudaErrorInvalidValue, "%d bytes of shared memory", value);
  shared_limits[kernel] = size_t(value);
  return cudaSuccess;
}

// ---- memory

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  *total_bytes = size_t(sysconf(_SC_PHYS_PAGES)) * page;
  *free_bytes = size_t(sysconf(_SC_AVPHYS_PAGES)) * page;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, size_t bytes) {
  NOT_IN_CAPTURE(cudaMalloc);
  return allocate(address, bytes, false);
}
cudaError_t cudaMallocHost(void** address, size_t bytes) {
  NOT_IN_CAPTURE(cudaMallocHost);
  return allocate(address, bytes, true);
}
cudaError_t cudaFree(void* address) {  // waits for the device
  NOT_IN_CAPTURE(cudaFree);
  if (!address) return cudaSuccess;
  if (const cudaError_t error = drain_all()) return error;
  return release(address, false);
}
cudaError_t cudaFreeHost(void* address) {
  NOT_IN_CAPTURE(cudaFreeHost);
  return address ? release(address, true) : cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  const Call hold(one_call);
  const Memory* memory = holder(address, 1);
  attributes->type = !memory ? cudaMemoryTypeUnregistered : memory->host ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
  return cudaSuccess;
}

// Pageable memory is read before this returns, and written too: in a capture neither can be. Page-locked memory is read and
// written in the stream's turn.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  ONE_CALL;
  if (!bytes) return cudaSuccess;
  const bool up = kind == cudaMemcpyHostToDevice, down = kind == cudaMemcpyDeviceToHost;
  if ((!down && !on_device(to, bytes)) || (!up && !on_device(from, bytes))) {
    return refuse(cudaErrorInvalidValue, "a copy of %zu bytes from %p to %p leaves the device's memory", bytes, from, to);
  }
  const Memory* host = up ? holder(from, bytes) : down ? holder(to, bytes) : nullptr;
  const auto copy = [=] {
    memmove(to, from, bytes);
    return cudaSuccess;
  };
  if ((!up && !down) || (host && (up || stream->captured))) return submit(stream, copy);
  if (stream->captured) {
    stream->invalidated = true;
    return refuse(cudaErrorStreamCaptureUnsupported, "a copy of pageable memory while its stream is being captured");
  }
  if (up) return submit(stream, bring_copy(to, from, bytes));
  if (!host) {
    submit(stream, copy);
    return drain(stream, stream->issued);
  }
  if (stream->late) {
    enqueue(stream, copy);
  } else {  // as it is now, but there only when it is waited for
    const DeviceRuns running;
    enqueue(stream, bring_copy(to, from, bytes));
  }
  memset(to, POISON, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  ONE_CALL;
  if (!bytes) return cudaSuccess;
  if (!on_device(to, bytes)) return refuse(cudaErrorInvalidValue, "%zu bytes at %p leave the device's memory", bytes, to);
  return submit(stream, [=] {
    memset(to, value, bytes);
    return cudaSuccess;
  });
}

// ---- streams, events

// There is no legacy stream to wait for.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  NOT_IN_CAPTURE(cudaStreamCreateWithFlags);
  std::unique_ptr<Stream> made(new (std::nothrow) Stream{submit_for_library, Schedule::ORDERED, 0, false, nullptr, false, {}, 0});
  if (!made) return refuse(cudaErrorMemoryAllocation, "no memory for a stream");
  if (!parse_schedule(*made) || !choice("WARPBERT_SIMT_STREAM", "eager", "late", made->late) ||
      !choice("WARPBERT_SIMT_MEMORY", "shared", "apart", apart)) {
    return last_error;
  }
  streams.insert(*stream = made.release());
  return cudaSuccess;
}

// With the last one the fault of a late stream is over: what is opened then is opened anew.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Call hold(one_call);
  if (stream == capturing) capturing = nullptr;
  const cudaError_t error = drain(stream, stream->issued);
  streams.erase(stream);
  delete stream;
  if (streams.empty()) last_error = broken = cudaSuccess;
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  NOT_IN_CAPTURE(cudaStreamSynchronize);
  return drain(stream, stream->issued);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  ONE_CALL;
  *event = new (std::nothrow) Event{flags != cudaEventDisableTiming, false, nullptr, 0, {}};
  return *event ? cudaSuccess : refuse(cudaErrorMemoryAllocation, "no memory for an event");
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call hold(one_call);
  if (event->stream) drain(event->stream, event->issued);  // which may yet record it
  delete event;
  return broken ? last_error = broken : cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  ONE_CALL;
  event->captured = stream->captured != nullptr;
  if (event->captured) return cudaSuccess;
  const cudaError_t error = submit(stream, [=] {
    event->time = std::chrono::steady_clock::now();
    return cudaSuccess;
  });
  event->stream = stream;
  event->issued = stream->issued;
  return error;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  NOT_IN_CAPTURE(cudaEventSynchronize);
  if (event->captured) return refuse(cudaErrorCapturedEvent, "an event was recorded in a capture");
  return event->stream ? drain(event->stream, event->issued) : cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const Call hold(one_call);
  for (const Event* event : {begin, end}) {
    if (!event->timed || !event->stream) {
      return refuse(cudaErrorInvalidResourceHandle, "an event is %s", event->timed ? "not recorded" : "not timed");
    }
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  ONE_CALL;
  if (stream->captured || capturing) return refuse(cudaErrorIllegalState, "a capture is under way");
  stream->captured = std::make_unique<CUgraph_st>(CUgraph_st{std::make_shared<std::vector<Work>>()});
  stream->invalidated = false;
  capturing = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Call hold(one_call);
  *graph = nullptr;
  if (!stream->captured || capturing != stream) return refuse(cudaErrorIllegalState, "no capture of this thread's is under way");
  capturing = nullptr;
  std::unique_ptr<CUgraph_st> captured = std::move(stream->captured);
  if (stream->invalidated) return refuse(cudaErrorStreamCaptureInvalidated, "%s", std::string(error_text).c_str());
  *graph = captured.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = new CUgraphExec_st{*graph};
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  ONE_CALL;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  ONE_CALL;
  return submit(stream, [nodes = graph->nodes] {
    for (const Work& node : *nodes) {
      if (const cudaError_t error = node()) return error;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}

// ---- what the host computes in the stream's turn, which has no other backend's counterpart: simt's products

#ifndef WB_PTX
cudaStream_t stream_of(wb_context* ctx);
extern "C" wb_status wb_host_call(wb_context* ctx, wb_status (*function)(const void*), const void* argument, int64_t bytes) {
  const Call hold(one_call);
  const cudaError_t error = submit(stream_of(ctx), [function, copy = copy_of(argument, size_t(bytes))] {
    const wb_status status = function(copy->data());
    return status ? refuse(cudaErrorLaunchFailure, "a call of the host returned %d", int(status)) : cudaSuccess;
  });
  cudaGetLastError();
  return error ? fail(WB_DEVICE_ERROR, "%s", cudaGetErrorString(error)) : WB_OK;
}
#endif
