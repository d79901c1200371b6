// Context and memory of the CUDA backend, and what surrounds every launch. cudart is linked statically and looks for the
// driver only when first called, so a machine without one gets a status, not a library that doesn't load.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "device.cuh"

namespace {

struct Context : wb_context {
  cudaStream_t stream;
  cudaEvent_t uploaded;  // the last upload from page-locked memory
  int device, processors;
  size_t shared_memory;
};

// What this thread launched last: an asynchronous failure is reported by a later call, which has nothing to do with it.
struct Launched {
  const char* kernel;
  dim3 grid;
  unsigned block;
};
thread_local Launched launched;

// Has code wherever this library's kernels have.
__global__ void probe() {}

Context* of(wb_context* ctx) { return static_cast<Context*>(ctx); }

// Errors that a kernel leaves behind and that every call after it returns.
bool sticky(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorLaunchTimeout ||
         error == cudaErrorMisalignedAddress || error == cudaErrorIllegalInstruction || error == cudaErrorInvalidAddressSpace ||
         error == cudaErrorInvalidPc || error == cudaErrorHardwareStackError || error == cudaErrorAssert ||
         error == cudaErrorECCUncorrectable;
}

// `what` is a text, or a call as it stands in the source, of which the name is told.
wb_status check(cudaError_t error, const char* what, bool call = false) {
  if (error == cudaSuccess) return WB_OK;
  const int length = int(call ? strcspn(what, "(") : strlen(what));
  if (sticky(error)) {
    return fail(WB_DEVICE_ERROR, "%.*s: %s (%s); the last kernel launched was %s, grid (%u,%u,%u), block %u: it or one before "
                "it failed, and the device must be opened anew. With CUDA_LAUNCH_BLOCKING=1 the op that fails is the one named",
                length, what, cudaGetErrorString(error), cudaGetErrorName(error), launched.kernel ? launched.kernel : "none",
                launched.grid.x, launched.grid.y, launched.grid.z, launched.block);
  }
  const bool memory = error == cudaErrorMemoryAllocation;
  const bool load = error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice || error == cudaErrorInvalidDevice ||
                    error == cudaErrorNoKernelImageForDevice || error == cudaErrorSystemDriverMismatch ||
                    error == cudaErrorCompatNotSupportedOnDevice || error == cudaErrorInitializationError;
  cudaGetLastError();  // an error that isn't sticky is over once told
  return fail(memory ? WB_OUT_OF_MEMORY : load ? WB_LOAD_FAILED : WB_DEVICE_ERROR, "%.*s: %s (%s)", length, what,
              cudaGetErrorString(error), cudaGetErrorName(error));
}

}  // namespace

#define CHECK(call)                                                       \
  do {                                                                    \
    if (const wb_status status = check(call, #call, true)) return status; \
  } while (0)

int processors(wb_context* ctx) { return of(ctx)->processors; }
size_t shared_memory(wb_context* ctx) { return of(ctx)->shared_memory; }
cudaStream_t stream_of(wb_context* ctx) { return of(ctx)->stream; }

wb_status before_launch(wb_context* ctx, const void* kernel, size_t shared_bytes) {
  CHECK(cudaSetDevice(of(ctx)->device));
  if (shared_bytes > 48 << 10) {  // all that there is: a graph that was captured with more is launched after others with less
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(of(ctx)->shared_memory)));
  }
  return WB_OK;
}

wb_status after_launch(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  launched = {kernel, grid, block.x * block.y * block.z};
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return WB_OK;
  char text[256];
  snprintf(text, sizeof text, "launch of %s, grid (%u,%u,%u), block %u, %zu bytes of shared memory", kernel, grid.x, grid.y,
           grid.z, launched.block, shared_bytes);
  return check(error, text);
}

extern "C" {

wb_status wb_create(wb_context** ctx, int32_t device, int32_t) {
  *ctx = nullptr;
  int devices = 0, driver = 0;
  CHECK(cudaDriverGetVersion(&driver));
  if (!driver) return fail(WB_LOAD_FAILED, "no NVIDIA driver (libcuda.so.1) was found");
  if (driver / 1000 < CUDART_VERSION / 1000) {
    return fail(WB_LOAD_FAILED, "the NVIDIA driver is too old: it is for CUDA %d.%d, and these kernels need one for CUDA %d.0 or newer",
                driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000);
  }
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted != cudaErrorNoDevice) CHECK(counted);
  cudaGetLastError();  // or the next launch, on another device, would be taken to have failed
  if (device < 0 || device >= devices) {
    const char* visible = getenv("CUDA_VISIBLE_DEVICES");
    return fail(WB_LOAD_FAILED, "there is no CUDA device %d: %d found%s%s", device, devices,
                visible ? ", CUDA_VISIBLE_DEVICES=" : "", visible ? visible : "");
  }
  CHECK(cudaSetDevice(device));
  int major = 0, minor = 0, count = 0, shared = 0;
  CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
  CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  CHECK(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  if (major < 8) return fail(WB_UNSUPPORTED, "device %d is sm_%d%d; WarpBERT needs sm_80 or newer", device, major, minor);
  cudaFuncAttributes code;
  const cudaError_t loaded = cudaFuncGetAttributes(&code, probe);
  if (loaded == cudaErrorNoKernelImageForDevice || loaded == cudaErrorInvalidDeviceFunction) {
    cudaGetLastError();
    return fail(WB_LOAD_FAILED, "libwarpbert_cuda.so has no code for device %d, which is sm_%d%d (%s): build it with "
                "make -C native cuda CUDA_ARCHS=%d%d", device, major, minor, cudaGetErrorName(loaded), major, minor);
  }
  CHECK(loaded);
  Context* c = new (std::nothrow) Context();
  if (!c) return fail(WB_OUT_OF_MEMORY, "no memory for a context");
  // Non-blocking: a library that uses the device's legacy stream beside us would else wait for us, and end our captures.
  if (const wb_status status = check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags")) {
    delete c;
    return status;
  }
  if (const wb_status status = check(cudaEventCreateWithFlags(&c->uploaded, cudaEventDisableTiming), "cudaEventCreate")) {
    cudaStreamDestroy(c->stream);
    delete c;
    return status;
  }
  c->ops = wb_backend();
  c->device = device;
  c->processors = count;
  c->shared_memory = size_t(shared);
  *ctx = c;
  return WB_OK;
}

wb_status wb_destroy(wb_context* ctx) {
  if (!ctx) return WB_OK;
  const Context c = *of(ctx);
  delete of(ctx);
  CHECK(cudaSetDevice(c.device));
  const cudaError_t event = cudaEventDestroy(c.uploaded);  // one that fails leaves the other to be done
  const cudaError_t stream = cudaStreamDestroy(c.stream);
  return check(event ? event : stream, event ? "cudaEventDestroy" : "cudaStreamDestroy");
}

wb_status wb_describe(wb_context* ctx, char* text, int64_t capacity) {
  cudaDeviceProp p;
  int driver = 0;
  CHECK(cudaGetDeviceProperties(&p, of(ctx)->device));
  CHECK(cudaDriverGetVersion(&driver));
  snprintf(text, size_t(capacity), "%s: %s, sm_%d%d, %d multiprocessors, %.1f GiB, driver for CUDA %d.%d", wb_backend()->backend, p.name,
           p.major, p.minor, p.multiProcessorCount, double(p.totalGlobalMem) / (1 << 30), driver / 1000, driver % 1000 / 10);
  return WB_OK;
}

wb_status wb_memory_info(wb_context* ctx, int64_t* free_bytes, int64_t* total_bytes) {
  size_t free_size, total_size;
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMemGetInfo(&free_size, &total_size));
  *free_bytes = int64_t(free_size);
  *total_bytes = int64_t(total_size);
  return WB_OK;
}

wb_status wb_alloc(wb_context* ctx, void** address, int64_t bytes) {
  *address = nullptr;
  if (bytes < 0) return fail(WB_INVALID_ARGUMENT, "an allocation of %lld bytes", (long long)bytes);
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMalloc(address, bytes ? size_t(bytes) : 1));  // aligned to 256 bytes by CUDA's promise
  return WB_OK;
}

wb_status wb_free(wb_context* ctx, void* address) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaFree(address));
  return WB_OK;
}

wb_status wb_alloc_host(wb_context* ctx, void** address, int64_t bytes) {
  *address = nullptr;
  if (bytes < 0) return fail(WB_INVALID_ARGUMENT, "a host allocation of %lld bytes", (long long)bytes);
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMallocHost(address, bytes ? size_t(bytes) : 1));  // whole pages
  return WB_OK;
}

wb_status wb_free_host(wb_context* ctx, void* address) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaStreamSynchronize(of(ctx)->stream));  // a copy from it or to it may wait for its turn
  CHECK(cudaFreeHost(address));
  return WB_OK;
}

// CUDA copies pageable memory to a buffer of its own before the call returns; page-locked memory it reads when the stream
// comes to it. The wait for the copy before keeps two buffers in turn safe. A few bytes, such as the optimizer's, always go
// the first way, along with their command: the next batch's copy would wait for theirs, and with it for the step.
wb_status wb_upload(wb_context* ctx, void* destination, const void* host_source, int64_t bytes) {
  constexpr int64_t FEW = 256;
  cudaPointerAttributes source;
  if (!bytes) return WB_OK;  // of no address
  CHECK(cudaSetDevice(of(ctx)->device));
  if (bytes <= FEW) {
    char copy[FEW];
    memcpy(copy, host_source, size_t(bytes));
    CHECK(cudaMemcpyAsync(destination, copy, size_t(bytes), cudaMemcpyHostToDevice, of(ctx)->stream));
    return WB_OK;
  }
  CHECK(cudaPointerGetAttributes(&source, host_source));
  const bool locked = source.type == cudaMemoryTypeHost;
  if (locked) CHECK(cudaEventSynchronize(of(ctx)->uploaded));  // of an event never recorded it returns at once
  CHECK(cudaMemcpyAsync(destination, host_source, size_t(bytes), cudaMemcpyHostToDevice, of(ctx)->stream));
  if (locked) CHECK(cudaEventRecord(of(ctx)->uploaded, of(ctx)->stream));
  return WB_OK;
}

wb_status wb_download(wb_context* ctx, void* host_destination, const void* source, int64_t bytes) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMemcpyAsync(host_destination, source, size_t(bytes), cudaMemcpyDeviceToHost, of(ctx)->stream));
  return wb_synchronize(ctx);
}

wb_status wb_copy(wb_context* ctx, void* destination, const void* source, int64_t bytes) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMemcpyAsync(destination, source, size_t(bytes), cudaMemcpyDeviceToDevice, of(ctx)->stream));
  return WB_OK;
}

wb_status wb_zero(wb_context* ctx, void* destination, int64_t bytes) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMemsetAsync(destination, 0, size_t(bytes), of(ctx)->stream));
  return WB_OK;
}

wb_status wb_synchronize(wb_context* ctx) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaStreamSynchronize(of(ctx)->stream));
  return WB_OK;
}

wb_status wb_download_async(wb_context* ctx, void* host_destination, const void* source, int64_t bytes) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaMemcpyAsync(host_destination, source, size_t(bytes), cudaMemcpyDeviceToHost, of(ctx)->stream));
  return WB_OK;
}

wb_status wb_event_create(wb_context* ctx, wb_event** event, int32_t timed) {
  *event = nullptr;
  cudaEvent_t made;
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaEventCreateWithFlags(&made, timed ? cudaEventDefault : cudaEventDisableTiming));
  *event = reinterpret_cast<wb_event*>(made);
  return WB_OK;
}

wb_status wb_event_destroy(wb_context* ctx, wb_event* event) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaEventDestroy(reinterpret_cast<cudaEvent_t>(event)));
  return WB_OK;
}

wb_status wb_event_record(wb_context* ctx, wb_event* event) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaEventRecord(reinterpret_cast<cudaEvent_t>(event), of(ctx)->stream));
  return WB_OK;
}

wb_status wb_event_wait(wb_context* ctx, wb_event* event) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaEventSynchronize(reinterpret_cast<cudaEvent_t>(event)));
  return WB_OK;
}

wb_status wb_event_elapsed(wb_context* ctx, double* seconds, wb_event* begin, wb_event* end) {
  float milliseconds = 0;
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaEventSynchronize(reinterpret_cast<cudaEvent_t>(end)));
  CHECK(cudaEventElapsedTime(&milliseconds, reinterpret_cast<cudaEvent_t>(begin), reinterpret_cast<cudaEvent_t>(end)));
  *seconds = 1e-3 * double(milliseconds);
  return WB_OK;
}

wb_status wb_stream(wb_context* ctx, void** stream) {
  CHECK(cudaSetDevice(of(ctx)->device));
  *stream = of(ctx)->stream;
  return WB_OK;
}

#ifndef WB_SIMT
wb_status wb_host_call(wb_context*, wb_status (*)(const void*), const void*, int64_t) {
  return fail(WB_UNSUPPORTED, "the CUDA backend's stream is not run by the host");
}
#endif

// Of this thread's calls alone: what others do with the device meanwhile is theirs.
wb_status wb_capture_begin(wb_context* ctx) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaStreamBeginCapture(of(ctx)->stream, cudaStreamCaptureModeThreadLocal));
  return WB_OK;
}

wb_status wb_capture_end(wb_context* ctx, wb_graph** graph) {
  cudaGraph_t captured = nullptr;
  cudaGraphExec_t made = nullptr;
  CHECK(cudaSetDevice(of(ctx)->device));
  const cudaError_t ended = cudaStreamEndCapture(of(ctx)->stream, &captured);  // also where an op before it failed
  if (!graph) {
    if (captured) cudaGraphDestroy(captured);
    cudaGetLastError();
    return WB_OK;
  }
  CHECK(ended);
  const cudaError_t instantiated = cudaGraphInstantiate(&made, captured, 0);
  cudaGraphDestroy(captured);
  if (const wb_status status = check(instantiated, "cudaGraphInstantiate")) return status;
  // Now, when one that has no room is done without; the first launch would take it, and fail.
  if (const wb_status status = check(cudaGraphUpload(made, of(ctx)->stream), "cudaGraphUpload")) {
    cudaGraphExecDestroy(made);
    return status;
  }
  *graph = reinterpret_cast<wb_graph*>(made);
  return WB_OK;
}

wb_status wb_graph_launch(wb_context* ctx, wb_graph* graph) {
  CHECK(cudaSetDevice(of(ctx)->device));
  launched = {"one of a graph (-Dwarpbert.graphs=false launches them one by one)", dim3(0), 0};
  CHECK(cudaGraphLaunch(reinterpret_cast<cudaGraphExec_t>(graph), of(ctx)->stream));
  return WB_OK;
}

wb_status wb_graph_destroy(wb_context* ctx, wb_graph* graph) {
  CHECK(cudaSetDevice(of(ctx)->device));
  CHECK(cudaStreamSynchronize(of(ctx)->stream));
  CHECK(cudaGraphExecDestroy(reinterpret_cast<cudaGraphExec_t>(graph)));
  return WB_OK;
}

wb_status wb_parallel(wb_context*, void (*)(const void*, int64_t), const void*, int64_t) {
  return fail(WB_UNSUPPORTED, "the CUDA backend has no host threads");
}

}  // extern "C"
