// CUDA's runtime as context.cu uses it: contexts and memory; a stream that does its work as late as it may; captures.
#include <sys/wait.h>
#include <unistd.h>

#include "device.cuh"
#include "simt_harness.h"

namespace {

__global__ void add(float* x, float addend) { x[threadIdx.x] += addend; }
__global__ void write_shared(float value) {
  DYN_SMEM(float, values);
  values[threadIdx.x] = value;
}
__global__ void diverge(int) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

// A context under settings of the environment.
class Opened {
 public:
  Opened(const char* stream, const char* memory = "shared") {
    setenv("WARPBERT_SIMT_STREAM", stream, 1);
    setenv("WARPBERT_SIMT_MEMORY", memory, 1);
    OK(ops->create(&ctx_, 0, 0));
    unsetenv("WARPBERT_SIMT_STREAM");
    unsetenv("WARPBERT_SIMT_MEMORY");
  }
  Opened(const Opened&) = delete;
  ~Opened() { ops->destroy(ctx_); }
  operator wb_context*() { return ctx_; }

 private:
  wb_context* ctx_ = nullptr;
};

void refused(wb_status status, const char* word) { CHECK(status == WB_DEVICE_ERROR && strstr(ops->last_error(), word), "%d, %s", int(status), ops->last_error()); }

// What is asked for is done when something waits, and page-locked memory is read then.
void test_late() {
  current = "late stream";
  Opened ctx("late");
  Tensor x(ctx, WB_F32, Floats(64, 1.0f));
  OK(ops->synchronize(ctx));
  OK(LAUNCH(add, dim3(1), 64, 0, ctx, x.floats(), 2.0f));
  CHECK(x.floats()[5] == 1, "%g: done before anything waited", double(x.floats()[5]));
  OK(ops->synchronize(ctx));
  CHECK(x.floats()[5] == 3, "%g", double(x.floats()[5]));

  void* host = nullptr;
  wb_event* event = nullptr;
  OK(ops->alloc_host(ctx, &host, 600));
  OK(ops->event_create(ctx, &event, 1));
  float* locked = static_cast<float*>(host);
  Tensor y(ctx, WB_F32, 150);
  for (int i = 0; i < 150; ++i) locked[i] = 1;
  OK(ops->upload(ctx, y.data(), locked, 600));
  OK(ops->event_record(ctx, event));
  locked[0] = 7;  // too early: what a user of HostMemory must not do
  OK(LAUNCH(add, dim3(1), 64, 0, ctx, y.floats(), 2.0f));
  OK(ops->event_wait(ctx, event));
  CHECK(y.floats()[0] == 7 && y.floats()[1] == 1, "%g %g: up to the event, and no further", double(y.floats()[0]), double(y.floats()[1]));
  OK(ops->download_async(ctx, locked, y.data(), 600));
  CHECK(locked[1] != locked[1], "%g: there before it was waited for", double(locked[1]));
  OK(ops->event_record(ctx, event));
  OK(ops->event_wait(ctx, event));
  CHECK(locked[0] == 9 && locked[1] == 3, "%g %g", double(locked[0]), double(locked[1]));
  for (int i = 0; i < 150; ++i) locked[i] = 4;
  OK(ops->upload(ctx, y.data(), locked, 600));
  OK(ops->upload(ctx, y.data(), locked, 600));  // a second one waits for the first
  CHECK(y.floats()[0] == 4, "%g", double(y.floats()[0]));

  wb_event* end = nullptr;
  double seconds = -1;
  OK(ops->event_create(ctx, &end, 1));
  OK(LAUNCH(add, dim3(1), 64, 0, ctx, y.floats(), 2.0f));
  OK(ops->event_record(ctx, end));
  OK(ops->event_elapsed(ctx, &seconds, event, end));
  CHECK(seconds >= 0 && seconds < 60, "%g s", seconds);
  OK(ops->event_destroy(ctx, event));
  OK(ops->event_destroy(ctx, end));
  OK(ops->free_host(ctx, host));
}

// Who waits is told, and everyone after: the device must be opened anew.
void test_late_fault() {
  current = "fault of a late stream";
  void* p = nullptr;
  {
    Opened ctx("late");
    OK(ops->alloc(ctx, &p, 64));
    OK(LAUNCH(diverge, dim3(1), 64, 0, ctx, 0));
    refused(ops->synchronize(ctx), "simt: diverge, block (0,0,0)");
    CHECK(strstr(ops->last_error(), "divergent barrier") && strstr(ops->last_error(), "opened anew"), "%s", ops->last_error());
    refused(LAUNCH(write_shared, dim3(1), 4, 16, ctx, 1.0f), "opened anew");
    refused(ops->zero(ctx, p, 64), "opened anew");
    void* other = nullptr;
    refused(ops->alloc(ctx, &other, 64), "opened anew");
  }
  Opened ctx("late");
  OK(LAUNCH(write_shared, dim3(1), 4, 16, ctx, 1.0f));
  OK(ops->synchronize(ctx));
  OK(ops->free(ctx, p));
}

void test_captures() {
  current = "captures";
  for (const char* stream : {"eager", "late"}) {
    Opened ctx(stream);
    wb_graph* graph = nullptr;
    void* p = nullptr;
    char few[8] = {};
    Tensor x(ctx, WB_F32, Floats(64, 1.0f));
    const struct {
      const char* name;
      std::function<wb_status()> call;
    } forbidden[] = {{"cudaMalloc", [&] { return ops->alloc(ctx, &p, 4); }},
                     {"cudaFree", [&] { return ops->free(ctx, x.data()); }},
                     {"cudaStreamSynchronize", [&] { return ops->synchronize(ctx); }},
                     {"pageable", [&] { return ops->upload(ctx, x.data(), few, 8); }},
                     {"pageable", [&] { return ops->download(ctx, few, x.data(), 8); }}};
    for (const auto& f : forbidden) {
      OK(ops->capture_begin(ctx));
      OK(LAUNCH(add, dim3(1), 64, 0, ctx, x.floats(), 1.0f));
      refused(f.call(), f.name);
      refused(ops->capture_end(ctx, &graph), "cudaErrorStreamCaptureInvalidated");
      CHECK(!graph && x.values()[0] == 1, "%s", f.name);
    }
    OK(ops->capture_begin(ctx));
    refused(ops->capture_begin(ctx), "a capture is under way");
    OK(LAUNCH(add, dim3(1), 64, 0, ctx, x.floats(), 1.0f));
    OK(ops->capture_end(ctx, &graph));
    refused(ops->capture_end(ctx, &graph), "no capture");
    for (int i = 0; i < 3; ++i) OK(ops->graph_launch(ctx, graph));
    OK(ops->graph_destroy(ctx, graph));  // waits for its launches
    CHECK(x.values()[0] == 4, "%g", double(x.values()[0]));
  }
}

void test_misuse() {
  current = "misuse";
  Opened ctx("eager");
  Tensor x(ctx, WB_F32, 64);
  std::vector<char> host(512);
  refused(ops->copy(ctx, x.data(), host.data(), 8), "leaves the device's memory");
  refused(ops->upload(ctx, static_cast<char*>(x.data()) + 252, host.data(), 8), "leaves the device's memory");
  refused(ops->zero(ctx, host.data(), 8), "leave the device's memory");
  refused(ops->free(ctx, host.data()), "no allocation");
  OK(LAUNCH(write_shared, dim3(1), 4, 60 << 10, ctx, 1.0f));
  simt::run("never told", reinterpret_cast<const void*>(&host), dim3(1), dim3(4), 60 << 10, stream_of(ctx), [] {});
  CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess, "more than 48 KiB of shared memory, never asked for");
  setenv("WARPBERT_SIMT_STREAM", "early", 1);
  wb_context* none = nullptr;
  CHECK(ops->create(&none, 0, 0) != WB_OK && !none && strstr(ops->last_error(), "eager or late"), "%s", ops->last_error());
  unsetenv("WARPBERT_SIMT_STREAM");
}

// Where memory is apart a host that reads it ends; kernels and copies do not.
void test_apart() {
  current = "memory apart";
  Opened ctx("late", "apart");
  Tensor x(ctx, WB_F32, Floats(64, 1.0f));
  OK(LAUNCH(add, dim3(1), 64, 0, ctx, x.floats(), 2.0f));
  CHECK(x.values()[3] == 3, "%g", double(x.values()[3]));
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    fclose(stderr);
    const volatile float read = x.floats()[3];
    (void)read;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "the host read the device's memory");
}

void test_memory() {
  current = "memory";
  wb_context* ctx = nullptr;
  CHECK(ops->abi == WB_ABI && !strcmp(ops->backend, "simt"), "abi %d, backend %s", ops->abi, ops->backend);
  CHECK(ops->create(&ctx, 1, 0) == WB_LOAD_FAILED && !ctx && strstr(ops->last_error(), "device 1: 1 found"), "%s", ops->last_error());
  setenv("WARPBERT_SIMT_SCHEDULE", "sideways", 1);
  CHECK(ops->create(&ctx, 0, 0) != WB_OK && !ctx && strstr(ops->last_error(), "sideways"), "%s", ops->last_error());
  unsetenv("WARPBERT_SIMT_SCHEDULE");
  OK(ops->create(&ctx, 0, 0));
  char text[200] = "";
  OK(ops->describe(ctx, text, sizeof text));
  CHECK(!strncmp(text, "simt: ", 6) && strstr(text, "ordered") && strstr(text, "sm_80"), "%s", text);
  int64_t free_bytes = 0, total_bytes = 0;
  OK(ops->memory_info(ctx, &free_bytes, &total_bytes));
  CHECK(free_bytes > 0 && total_bytes >= free_bytes, "%lld of %lld", (long long)free_bytes, (long long)total_bytes);
  void* p = &p;
  CHECK(ops->alloc(ctx, &p, int64_t(1) << 60) == WB_OUT_OF_MEMORY && !p, "an exabyte was found");
  OK(ops->alloc(ctx, &p, 100));
  CHECK(reinterpret_cast<uintptr_t>(p) % 256 == 0, "%p", p);
  const char hello[6] = "hello";
  char back[6];
  OK(ops->upload(ctx, p, hello, 6));
  OK(ops->copy(ctx, static_cast<char*>(p) + 50, p, 6));
  OK(ops->zero(ctx, p, 1));
  OK(ops->download(ctx, back, static_cast<char*>(p) + 50, 6));
  CHECK(!strcmp(back, "hello") && *static_cast<char*>(p) == 0, "%s", back);
  OK(ops->synchronize(ctx));

  void* host = nullptr;
  wb_event *early = nullptr, *late = nullptr;
  OK(ops->alloc_host(ctx, &host, 8));
  OK(ops->event_create(ctx, &early, 0));
  OK(ops->event_create(ctx, &late, 0));
  unsigned char* landed = static_cast<unsigned char*>(host);
  OK(ops->download_async(ctx, landed, static_cast<char*>(p) + 51, 2));
  OK(ops->event_record(ctx, early));
  OK(ops->zero(ctx, static_cast<char*>(p) + 51, 1));
  OK(ops->download_async(ctx, landed + 2, static_cast<char*>(p) + 51, 2));
  OK(ops->event_record(ctx, late));
  CHECK(landed[0] == 0xff && landed[3] == 0xff, "a download landed before it was waited for");
  OK(ops->event_wait(ctx, early));
  CHECK(landed[0] == 'e' && landed[1] == 'l' && landed[2] == 0xff, "%02x %02x %02x", landed[0], landed[1], landed[2]);
  OK(ops->event_wait(ctx, late));
  CHECK(landed[0] == 'e' && landed[2] == 0 && landed[3] == 'l', "%02x %02x %02x", landed[0], landed[2], landed[3]);
  OK(ops->event_destroy(ctx, early));
  OK(ops->event_destroy(ctx, late));
  OK(ops->download_async(ctx, landed + 4, p, 4));
  OK(ops->free_host(ctx, host));  // no copy lands there later
  OK(ops->synchronize(ctx));

  static_cast<char*>(p)[100] = 1;  // one byte too far
  CHECK(ops->free(ctx, p) == WB_DEVICE_ERROR && strstr(ops->last_error(), "100"), "%s", ops->last_error());
  static_cast<unsigned char*>(p)[100] = 0xcb;
  OK(ops->free(ctx, p));
  OK(ops->free(ctx, nullptr));
  OK(ops->destroy(ctx));
}

}  // namespace

void test_runtime() {
  test_memory();
  test_late();
  test_late_fault();
  test_captures();
  test_misuse();
  test_apart();
}
