// Planted faults, as nvcc compiled them: the machine that runs PTX must catch and tell each, and leave the context usable.
#include "ptx.cuh"
#include "simt_harness.h"

namespace {

// nvcc reads `in` by ld.global.nc: nothing may write it meanwhile. No other test of ours would see that it does.
__global__ void restricted(float* __restrict__ out, const float* __restrict__ in) { out[threadIdx.x] = 2 * in[(threadIdx.x + 1) % 64]; }
__global__ void unrestricted(float* out, const float* in) { out[threadIdx.x] = 2 * in[threadIdx.x]; }

__global__ void write_global(float* out, int64_t at) { out[at] = 1; }
__global__ void write_shared(float* out, int at) {
  DYN_SMEM(float, values);
  values[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 3) values[at] = 2;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void read_unwritten(float* out) {
  DYN_SMEM(float, values);
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void load_misaligned(float* out, const float* in, int offset) {
  float v[4];
  load(v, in + offset);
  out[threadIdx.x] = v[0] + v[3];
}
__global__ void wait_for_ever(float* out) {
  if (threadIdx.x < 48) {
    __syncthreads();
  } else {
    __syncwarp();
  }
  out[threadIdx.x] = 1;
}
__global__ void shuffle_without_all(float* out) {
  if (threadIdx.x < 20) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, float(threadIdx.x), 1);
}
__global__ void sixteen_sums(float* out) {  // partial masks: two halves of a warp apart
  const uint32_t mask = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
  float x = float(threadIdx.x);
  for (int d = 8; d > 0; d /= 2) x += __shfl_xor_sync(mask, x, d);
  out[threadIdx.x] = x;
}
// Lanes part for as many turns as their number, and meet again.
__global__ void part_and_meet(float* out) {
  float x = 0;
  for (unsigned i = 0; i <= threadIdx.x; ++i) x += float(i % 4 == 0 ? i : 1);
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x, 31);
}
enum { WAIT, READ_BEFORE_WAIT, NEVER_WAIT };
__global__ void copy_async(float* out, const float* in, int mode) {
  DYN_SMEM(float, tile);
  cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x, true);
  cp_async_commit();
  if (mode == READ_BEFORE_WAIT) out[threadIdx.x] = tile[4 * threadIdx.x];
  if (mode != NEVER_WAIT) cp_async_wait<0>();
  if (mode == WAIT) out[threadIdx.x] = tile[4 * threadIdx.x];
}

bool is_nan(float x) { return x != x; }

// The launch must fail with a text that has all of `words`.
void expect_fault(wb_status status, std::initializer_list<const char*> words) {
  CHECK(status == WB_DEVICE_ERROR, "status %d", int(status));
  for (const char* word : words) CHECK(strstr(ops->last_error(), word), "'%s' is not in: %s", word, ops->last_error());
}

void test_on(wb_context* ctx) {
  Tensor out(ctx, WB_F32, 128), in(ctx, WB_F32, Floats(520, 2.0f));
  OK(LAUNCH(restricted, dim3(1), 64, 0, ctx, out.floats(), in.floats()));
  CHECK(out.values()[7] == 4, "%g", double(out.values()[7]));
  expect_fault(LAUNCH(restricted, dim3(2), 64, 0, ctx, in.floats(), in.floats()), {"restricted", "ld.global.nc", "faults_ptx_test.cu:8"});
  OK(LAUNCH(unrestricted, dim3(1), 64, 0, ctx, in.floats(), in.floats()));

  OK(LAUNCH(write_global, dim3(1), 1, 0, ctx, out.floats(), int64_t(127)));
  expect_fault(LAUNCH(write_global, dim3(1), 1, 0, ctx, out.floats(), int64_t(128)), {"no allocation"});
  expect_fault(LAUNCH(write_global, dim3(1), 1, 0, ctx, out.floats(), int64_t(-1)), {"no allocation"});
  OK(LAUNCH(write_shared, dim3(1), 64, 64 * 4, ctx, out.floats(), 5));
  CHECK(out.values()[5] == 2 && out.values()[6] == 1, "%g %g", double(out.values()[5]), double(out.values()[6]));
  expect_fault(LAUNCH(write_shared, dim3(1), 64, 64 * 4, ctx, out.floats(), 64), {"shared memory", "has 256"});
  OK(LAUNCH(read_unwritten, dim3(1), 64, 64 * 4, ctx, out.floats()));
  CHECK(is_nan(out.values()[5]), "%g: shared memory begins with something", double(out.values()[5]));

  OK(LAUNCH(load_misaligned, dim3(1), 32, 0, ctx, out.floats(), in.floats(), 4));
  expect_fault(LAUNCH(load_misaligned, dim3(1), 32, 0, ctx, out.floats(), in.floats(), 1), {"misaligned", "16 bytes"});
  expect_fault(LAUNCH(wait_for_ever, dim3(1), 64, 0, ctx, out.floats()), {"deadlock"});
  expect_fault(LAUNCH(shuffle_without_all, dim3(1), 32, 0, ctx, out.floats()), {"exited"});

  OK(LAUNCH(sixteen_sums, dim3(1), 128, 0, ctx, out.floats()));
  const Floats sums = out.values();
  CHECK(sums[0] == 120 && sums[31] == 376 && sums[127] == 1912, "%g %g %g", double(sums[0]), double(sums[31]), double(sums[127]));
  OK(LAUNCH(part_and_meet, dim3(1), 32, 0, ctx, out.floats()));
  const Floats met = out.values();
  CHECK(met[31] == 0 && met[30] == 1 && met[25] == 9, "%g %g %g", double(met[31]), double(met[30]), double(met[25]));

  OK(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), int(WAIT)));
  CHECK(out.values()[100] == 2, "%g", double(out.values()[100]));
  OK(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), int(READ_BEFORE_WAIT)));
  CHECK(is_nan(out.values()[100]), "a copy was read before it was waited for");
  expect_fault(LAUNCH(copy_async, dim3(1), 128, 128 * 16, ctx, out.floats(), in.floats(), int(NEVER_WAIT)), {"never waited for"});
  expect_fault(LAUNCH(copy_async, dim3(1), 128, 128 * 16 - 16, ctx, out.floats(), in.floats(), int(WAIT)), {"shared memory"});
}

}  // namespace

void test_faults() {
  for (const ScheduledContext& s : schedules()) {
    current = "faults, " + s.schedule;
    test_on(s.ctx);
  }
}
