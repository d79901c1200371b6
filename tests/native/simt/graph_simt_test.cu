// Graphs: what is captured is not done, and done at each launch; what a kernel was given by value stays as it was.
#include "device.cuh"
#include "simt_harness.h"

namespace {

__global__ void multiply(float* out, const float* in, const float* factor, float addend) {
  out[threadIdx.x] = in[threadIdx.x] * *factor + addend;
}

struct Sum {
  float* out;
  const float* in;
};
wb_status add(const void* argument) {
  const Sum& sum = *static_cast<const Sum*>(argument);
  *sum.out += *sum.in;
  return WB_OK;
}

void test_on(wb_context* ctx) {
  constexpr int N = 64;
  Tensor in(ctx, WB_F32, Floats(N, 2.0f)), factor(ctx, WB_F32, Floats(1, 3.0f)), out(ctx, WB_F32, N), copy(ctx, WB_F32, N), sum(ctx, WB_F32, Floats(1, 1.0f));
  float host_value = 1;
  wb_graph* graph = nullptr;
  OK(ops->capture_begin(ctx));
  OK(ops->zero(ctx, copy.data(), N * 4));
  OK(LAUNCH(multiply, dim3(1), N, 0, ctx, out.floats(), in.floats(), factor.floats(), host_value));
  OK(ops->copy(ctx, copy.floats() + 1, out.data(), 4));
  {
    const Sum arguments = {sum.floats(), out.floats()};  // gone before the launch
    OK(ops->host_call(ctx, add, &arguments, sizeof arguments));
  }
  OK(ops->capture_end(ctx, &graph));
  CHECK(std::isnan(out.values()[0]) && std::isnan(copy.values()[0]) && sum.values()[0] == 1, "a capture did the work");

  OK(ops->graph_launch(ctx, graph));
  CHECK(out.values()[N - 1] == 7 && copy.values()[0] == 0 && copy.values()[1] == 7 && sum.values()[0] == 8, "%g %g %g", double(out.values()[N - 1]),
        double(copy.values()[1]), double(sum.values()[0]));
  in.set(Floats(N, 5.0f));
  factor.set(Floats(1, 10.0f));
  host_value = 100;  // was read at the capture
  OK(ops->graph_launch(ctx, graph));
  CHECK(out.values()[0] == 51 && copy.values()[1] == 51 && sum.values()[0] == 59, "%g %g", double(out.values()[0]), double(sum.values()[0]));
  OK(LAUNCH(multiply, dim3(1), N, 0, ctx, out.floats(), in.floats(), factor.floats(), host_value));
  CHECK(out.values()[0] == 150, "%g: after a launch work is done at once again", double(out.values()[0]));
  OK(ops->graph_destroy(ctx, graph));

  OK(ops->capture_begin(ctx));
  OK(ops->zero(ctx, out.data(), 4));
  OK(ops->capture_end(ctx, nullptr));
  CHECK(out.values()[0] == 150, "what was thrown away was done");
}

}  // namespace

void test_graphs() {
  for (const ScheduledContext& s : schedules()) {
    current = "graphs, " + s.schedule;
    test_on(s.ctx);
  }
}
