// What the tests of the CUDA kernels, under simt or as PTX, share: tensors of any type in the backend's memory, and the run of one case
// in every schedule.
#pragma once
#include "../reference.h"

extern const wb_ops* const ops;  // of the backend under test

// n elements in memory of wb_alloc, which poisons it with NaN and guards its ends; freed, and the guards checked, at the end.
// `misaligned`: at an address that is a multiple of the element's size only.
class Tensor {
 public:
  Tensor(wb_context* ctx, wb_dtype dtype, int64_t n, bool misaligned = false);
  Tensor(wb_context* ctx, wb_dtype dtype, const Floats& from, bool misaligned = false);
  Tensor(const Tensor&) = delete;
  ~Tensor();
  void* data() { return data_; }
  float* floats() { return static_cast<float*>(data_); }
  Floats values() const;
  void set(const Floats& from);

 private:
  wb_context* ctx_;
  wb_dtype dtype_;
  int64_t n_;
  void *base_ = nullptr, *data_ = nullptr;
};

// Plain elements in the backend's memory.
template <class E>
class Elements {
 public:
  Elements(wb_context* ctx, const std::vector<E>& from) : ctx_(ctx) {
    OK(ops->alloc(ctx, &data_, int64_t(from.size() * sizeof(E))));
    OK(ops->upload(ctx, data_, from.data(), int64_t(from.size() * sizeof(E))));
  }
  Elements(const Elements&) = delete;
  ~Elements() { OK(ops->free(ctx_, data_)); }
  operator E*() { return static_cast<E*>(data_); }

 private:
  wb_context* ctx_;
  void* data_;
};

extern const std::vector<wb_dtype> all_types;
const char* name_of(wb_dtype dtype);
// As the type would hold it.
Floats rounded(wb_dtype dtype, Floats x);
// Of an output in that type: what rounding to it costs, in the l2 norm, with room.
double tolerance(wb_dtype dtype);

typedef std::vector<double> Tolerances;  // one an output

// Runs in every schedule: outputs must agree with the reference, and between schedules bit by bit.
void check_schedules(const std::string& name, const Run& run, const Reference& expected, const Tolerances& tolerances,
                     double floor = 0);
struct ScheduledContext {
  std::string schedule;
  wb_context* ctx;
};
const std::vector<ScheduledContext>& schedules();
void close_schedules();

// Before any other context is opened: the settings of some last as long as one is.
void test_runtime();
void test_types();
void test_elementwise();
void test_layernorm();
void test_embeddings();
void test_attention_kernels();
void test_optimizer();
void test_graphs();
void test_faults();
void test_traffic();
