// Planted faults: each kind of mistake in a kernel must be caught, told, and leave the context usable.
#include <sys/wait.h>
#include <unistd.h>

#include "ptx.cuh"
#include "simt_harness.h"

namespace {

// Passes values to the next warp; the barrier between writing and reading is left out unless `sane`.
__global__ void pass_on(float* out, bool sane) {
  DYN_SMEM(float, values);
  values[threadIdx.x] = float(threadIdx.x);
  if (sane) __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + 32) % blockDim.x];
}

// A double-buffered pipeline whose second barrier is left out unless `sane`: a buffer is filled while others read it.
__global__ void pipeline(float* out, bool sane) {
  DYN_SMEM(float, buffers);
  float sum = 0;
  for (int step = 0; step < 6; ++step) {
    float* buffer = buffers + step % 2 * blockDim.x;
    buffer[threadIdx.x] = float(step);
    if (sane || step % 2 == 0) __syncthreads();
    sum += buffer[(threadIdx.x + 40) % blockDim.x];
  }
  out[threadIdx.x] = sum;
}

__global__ void blocks_collide(float* out, int distance) { out[blockIdx.x * distance + threadIdx.x] = 1; }

__global__ void lanes_collide(float* out, bool sane) {
  DYN_SMEM(float, values);
  values[threadIdx.x] = 1;
  if (sane) __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}

__global__ void write_at(int index, unsigned char value) {
  DYN_SMEM(unsigned char, bytes);
  if (threadIdx.x == 3) bytes[index] = value;
}

__global__ void diverge_at_barrier(int) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void wait_for_ever(int) {
  if (threadIdx.x < 48) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}

__global__ void diverge_in_warp(float* out) {
  float x = 1;
  if (threadIdx.x % 2 == 0) {
    x = __shfl_xor_sync(0xffffffffu, x, 1);
  } else {
    x = __shfl_xor_sync(0xffffffffu, x, 1);
  }
  out[threadIdx.x] = x;
}

__global__ void shuffle_without_all(float* out) {
  if (threadIdx.x < 20) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}

__global__ void shuffle_out_of_mask(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 16);
}

__global__ void load_misaligned(float* out, const float* in, int offset) {
  float v[4];
  load(v, in + offset);
  out[threadIdx.x] = v[0];
}

enum { WAIT, READ_BEFORE_WAIT, NEVER_WAIT, NEVER_COMMIT };
__global__ void copy_async(float* out, const float* in, int mode) {
  DYN_SMEM(float, tile);
  cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x, true);
  if (mode == READ_BEFORE_WAIT) out[threadIdx.x] = tile[4 * threadIdx.x];
  if (mode != NEVER_COMMIT) cp_async_commit();
  if (mode != NEVER_WAIT) cp_async_wait<0>();
  if (mode == WAIT) out[threadIdx.x] = tile[4 * threadIdx.x];
}

__global__ void sixteen_sums(float* out) {  // partial masks: two halves of a warp apart
  const uint32_t mask = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
  float x = float(threadIdx.x);
  for (int d = 8; d > 0; d /= 2) x += __shfl_xor_sync(mask, x, d);
  out[threadIdx.x] = x;
}

bool is_nan(float x) { return x != x; }

// The launch must fail with a text that has all of `words`.
void expect_fault(wb_status status, std::initializer_list<const char*> words) {
  CHECK(status == WB_DEVICE_ERROR, "status %d", int(status));
  for (const char* word : words) CHECK(strstr(ops->last_error(), word), "'%s' is not in: %s", word, ops->last_error());
}

// What a sanitizer ends the process for, in a process of its own.
template <class F>
bool dies(F f) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    fclose(stderr);
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

void test_on(wb_context* ctx) {
  Tensor out(ctx, WB_F32, 128), in(ctx, WB_F32, Floats(520, 2.0f));

  OK(LAUNCH(pass_on, dim3(1), 128, 128 * 4, ctx, out.floats(), true));
  const Floats passed = out.values();
  CHECK(passed[0] == 32 && passed[127] == 31, "%g %g", double(passed[0]), double(passed[127]));
  OK(LAUNCH(sixteen_sums, dim3(1), 128, 0, ctx, out.floats()));
  const Floats sums = out.values();
  CHECK(sums[0] == 120 && sums[31] == 376 && sums[127] == 1912, "%g %g %g", double(sums[0]), double(sums[31]), double(sums[127]));

#ifdef WB_SIMT_RACE
  expect_fault(LAUNCH(pass_on, dim3(1), 128, 128 * 4, ctx, out.floats(), false), {"race", "shared memory"});
  expect_fault(LAUNCH(pipeline, dim3(1), 128, 256 * 4, ctx, out.floats(), false), {"race", "shared memory"});
  expect_fault(LAUNCH(blocks_collide, dim3(2), 32, 0, ctx, out.floats(), 0), {"race", "global memory", "another block"});
  expect_fault(LAUNCH(lanes_collide, dim3(1), 32, 32 * 4, ctx, out.floats(), false), {"race", "shared memory"});
#else
  OK(LAUNCH(pass_on, dim3(1), 128, 128 * 4, ctx, out.floats(), false));
  int poisoned = 0;
  for (float x : out.values()) poisoned += is_nan(x);
  CHECK(poisoned > 0, "a missing barrier went unseen");
#endif
  OK(LAUNCH(blocks_collide, dim3(2), 32, 0, ctx, out.floats(), 32));
  OK(LAUNCH(lanes_collide, dim3(1), 32, 32 * 4, ctx, out.floats(), true));
  OK(LAUNCH(pipeline, dim3(1), 128, 256 * 4, ctx, out.floats(), true));
  CHECK(out.values()[5] == 15, "%g", double(out.values()[5]));

#if defined(__SANITIZE_ADDRESS__)
  CHECK(dies([&] { LAUNCH(write_at, dim3(1), 32, 100, ctx, 100, 1); }), "AddressSanitizer saw nothing");
#else
  expect_fault(LAUNCH(write_at, dim3(1), 32, 100, ctx, 100, 1), {"write_at", "byte 100", "100 bytes"});
  expect_fault(LAUNCH(write_at, dim3(1), 32, 100, ctx, -1, 1), {"byte -1"});
#endif
  OK(LAUNCH(write_at, dim3(1), 32, 100, ctx, 99, 1));

  expect_fault(LAUNCH(diverge_at_barrier, dim3(1), 64, 0, ctx, 0), {"divergent barrier", "faults_simt_test.cu"});
  expect_fault(LAUNCH(wait_for_ever, dim3(1), 64, 0, ctx, 0),
               {"deadlock", "threads 0-47 at __syncthreads", "threads 48-63 at __syncwarp"});
  OK(LAUNCH(lanes_collide, dim3(1), 32, 32 * 4, ctx, out.floats(), true));  // no thread of the abandoned 64 is left
  expect_fault(LAUNCH(diverge_in_warp, dim3(1), 32, 0, ctx, out.floats()), {"divergent warp", "__shfl_xor_sync"});
  expect_fault(LAUNCH(shuffle_without_all, dim3(1), 32, 0, ctx, out.floats()), {"exited"});
  expect_fault(LAUNCH(shuffle_out_of_mask, dim3(1), 32, 0, ctx, out.floats()), {"lane 16", "mask 0000ffff"});

  OK(LAUNCH(load_misaligned, dim3(1), 32, 0, ctx, out.floats(), in.floats(), 4));
  expect_fault(LAUNCH(load_misaligned, dim3(1), 32, 0, ctx, out.floats(), in.floats(), 1), {"not a multiple of 16"});

  OK(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), int(WAIT)));
  CHECK(out.values()[100] == 2, "%g", double(out.values()[100]));
  OK(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), int(READ_BEFORE_WAIT)));
  CHECK(is_nan(out.values()[100]), "a copy was read before it was waited for");
  for (int mode : {int(NEVER_WAIT), int(NEVER_COMMIT)}) {
    expect_fault(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), mode), {"never waited for"});
  }
  expect_fault(LAUNCH(copy_async, dim3(1), 128, 128 * 16 - 16, ctx, out.floats(), in.floats(), int(WAIT)), {"cp.async at byte"});
  expect_fault(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats() + 1, int(WAIT)), {"not a multiple"});

  expect_fault(LAUNCH(write_at, dim3(1), 32, 164 << 10, ctx, 0, 1), {"shared memory"});
  expect_fault(LAUNCH(write_at, dim3(1), 2048, 100, ctx, 0, 1), {"2048 threads"});
  expect_fault(LAUNCH(write_at, dim3(1, 65536), 32, 100, ctx, 0, 1), {"grid"});
  OK(LAUNCH(pass_on, dim3(1), 1024, 1024 * 4, ctx, Tensor(ctx, WB_F32, 1024).floats(), true));
}

}  // namespace

void test_faults() {
  for (const ScheduledContext& s : schedules()) {
    current = "faults, " + s.schedule;
    test_on(s.ctx);
  }
}
