#include "simt_harness.h"

#include "cuda_types.h"

const wb_ops* const ops = wb_backend();
const std::vector<wb_dtype> all_types = {WB_F32, WB_F16, WB_BF16};

const char* name_of(wb_dtype dtype) { return dtype == WB_F32 ? "float32" : dtype == WB_F16 ? "float16" : "bfloat16"; }
double tolerance(wb_dtype dtype) { return dtype == WB_F32 ? 2e-6 : dtype == WB_F16 ? 6e-4 : 5e-3; }

namespace {

int64_t size_of(wb_dtype dtype) { return dtype == WB_F32 ? 4 : 2; }

std::vector<unsigned char> encode(wb_dtype dtype, const Floats& x) {
  std::vector<unsigned char> bytes(x.size() * size_of(dtype));
  for (size_t i = 0; i < x.size(); ++i) {
    const uint16_t bits = dtype == WB_F16 ? __float2half_rn(x[i]).bits : __float2bfloat16_rn(x[i]).bits;
    if (dtype == WB_F32) {
      memcpy(&bytes[i * 4], &x[i], 4);
    } else {
      memcpy(&bytes[i * 2], &bits, 2);
    }
  }
  return bytes;
}

Floats decode(wb_dtype dtype, const std::vector<unsigned char>& bytes) {
  Floats x(bytes.size() / size_of(dtype));
  for (size_t i = 0; i < x.size(); ++i) {
    uint16_t bits;
    memcpy(&bits, &bytes[i * size_of(dtype)], 2);
    if (dtype == WB_F32) {
      memcpy(&x[i], &bytes[i * 4], 4);
    } else {
      x[i] = dtype == WB_F16 ? __half2float({bits}) : __bfloat162float({bits});
    }
  }
  return x;
}

}  // namespace

Floats rounded(wb_dtype dtype, Floats x) { return decode(dtype, encode(dtype, x)); }

Tensor::Tensor(wb_context* ctx, wb_dtype dtype, int64_t n, bool misaligned) : ctx_(ctx), dtype_(dtype), n_(n) {
  const int64_t offset = misaligned ? size_of(dtype) : 0;
  OK(ops->alloc(ctx, &base_, offset + n * size_of(dtype)));
  data_ = static_cast<unsigned char*>(base_) + offset;
}
Tensor::Tensor(wb_context* ctx, wb_dtype dtype, const Floats& from, bool misaligned)
    : Tensor(ctx, dtype, int64_t(from.size()), misaligned) {
  set(from);
}
Tensor::~Tensor() { OK(ops->free(ctx_, base_)); }
void Tensor::set(const Floats& from) { OK(ops->upload(ctx_, data_, encode(dtype_, from).data(), n_ * size_of(dtype_))); }
Floats Tensor::values() const {
  std::vector<unsigned char> bytes(n_ * size_of(dtype_));
  OK(ops->download(ctx_, bytes.data(), data_, int64_t(bytes.size())));
  return decode(dtype_, bytes);
}

const std::vector<ScheduledContext>& schedules() {
  static std::vector<ScheduledContext> all;
  if (!all.empty()) return all;
  for (const char* schedule : {"ordered", "random:7", "priority"}) {
    setenv("WARPBERT_SIMT_SCHEDULE", schedule, 1);
    wb_context* ctx = nullptr;
    CHECK(ops->create(&ctx, 0, 0) == WB_OK, "%s", ops->last_error());
    all.push_back({schedule, ctx});
  }
  unsetenv("WARPBERT_SIMT_SCHEDULE");
  return all;
}

void close_schedules() {
  for (const ScheduledContext& s : schedules()) OK(ops->destroy(s.ctx));
}

void check_schedules(const std::string& name, const Run& run, const Reference& expected, const Tolerances& tolerances,
                     double floor) {
  Outputs first;
  for (const ScheduledContext& s : schedules()) {
    current = name + ", " + s.schedule;
    const Outputs outputs = run(s.ctx);
    CHECK(outputs.size() == expected.size() && outputs.size() == tolerances.size(), "%zu outputs", outputs.size());
    if (first.empty()) {
      first = outputs;
      for (size_t i = 0; i < expected.size(); ++i) {
        compare(("output " + std::to_string(i)).c_str(), outputs[i], expected[i], tolerances[i], floor);
      }
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      CHECK(outputs[i].size() == first[i].size() &&
                (outputs[i].empty() || memcmp(outputs[i].data(), first[i].data(), outputs[i].size() * sizeof(float)) == 0),
            "output %zu differs in bits from that of the first schedule", i);
    }
  }
  current.clear();
}
