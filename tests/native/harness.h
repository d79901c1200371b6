// What the native tests share: guarded buffers, seeded data, comparison, and a run of one case on every instruction
// set and on 1, 2 and 5 threads.
#ifndef WARPBERT_TESTS_HARNESS_H
#define WARPBERT_TESTS_HARNESS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "warpbert.h"

typedef std::vector<float> Floats;
typedef std::vector<double> Doubles;

extern int checks, failures;
extern std::string current; // the case, instruction set and threads that run now

#define CHECK(condition, ...)                                  \
  do {                                                         \
    ++checks;                                                  \
    if (!(condition)) {                                        \
      ++failures;                                              \
      printf("FAILED %s: %s: ", current.c_str(), #condition);  \
      printf(__VA_ARGS__);                                     \
      printf("\n");                                            \
    }                                                          \
  } while (0)

// n elements between two poisoned zones that nobody may touch, and at an address that is float-aligned only. An output
// starts as NaN (all bits set), or as what it adds to.
template <class T> class Buffer {
 public:
  explicit Buffer(int64_t n) : n_(n) { make(); memset(data(), 0xff, n * sizeof(T)); }
  explicit Buffer(const std::vector<T>& from) : n_((int64_t)from.size()) {
    make();
    if (n_) memcpy(data(), from.data(), n_ * sizeof(T));
  }
  Buffer(const Buffer&) = delete;
  ~Buffer() {
    bool before = true, after = true;
    for (size_t i = 0; i < kGuard; ++i) {
      before &= bytes_[i] == kPoison;
      after &= bytes_[kGuard + n_ * sizeof(T) + i] == kPoison;
    }
    CHECK(before, "written before a buffer of %lld", (long long)n_);
    CHECK(after, "written after a buffer of %lld", (long long)n_);
    free(block_);
  }
  T* data() { return reinterpret_cast<T*>(bytes_ + kGuard); }
  operator T*() { return data(); }
  std::vector<T> values() { return std::vector<T>(data(), data() + n_); }

 private:
  static constexpr size_t kGuard = 256;
  static constexpr unsigned char kPoison = 0xA5;
  void make() {
    block_ = static_cast<unsigned char*>(aligned_alloc(64, (n_ * sizeof(T) + 2 * kGuard + 128) / 64 * 64));
    bytes_ = block_ + (sizeof(T) <= 4 ? 4 : 8);
    memset(bytes_, kPoison, kGuard);
    memset(bytes_ + kGuard + n_ * sizeof(T), kPoison, kGuard);
  }
  int64_t n_;
  unsigned char *block_, *bytes_;
};

// A buffer that must stay as it was.
template <class T> class Input : public Buffer<T> {
 public:
  explicit Input(const std::vector<T>& from) : Buffer<T>(from), original_(from) {}
  ~Input() {
    CHECK(original_.empty() || memcmp(this->data(), original_.data(), original_.size() * sizeof(T)) == 0,
          "an input was written");
  }

 private:
  const std::vector<T> original_;
};

// Seeded normal numbers.
Floats random_floats(int64_t n, uint32_t seed, float scale = 1.0f);
std::vector<int32_t> random_ints(int64_t n, uint32_t seed, int32_t below);

// The outputs of a case, one vector per tensor.
typedef std::vector<Floats> Outputs;
typedef std::function<Outputs(wb_context*)> Run;
typedef std::vector<Doubles> Reference;

inline Doubles widen(const Floats& x) { return Doubles(x.begin(), x.end()); }

// |actual - expected| <= tolerance * |expected| in the l2 norm; not-finite elements must agree element by element. An
// elementwise bound of 64 tolerances of the largest element finds the single wrong one. `floor` is an absolute error that
// is always allowed: for what is exactly 0 because equal things are subtracted.
void compare(const char* what, const Floats& actual, const Doubles& expected, double tolerance, double floor = 0);

// Runs on baseline, avx2 and avx512 (where the processor has them) with 1, 2 and 5 threads: every run must agree with
// the reference, and those of one instruction set with each other bit by bit.
void check_case(const std::string& name, const Run& run, const Reference& expected, double tolerance = 2e-6,
                double floor = 0);

// gradient must be the derivative of loss at x, by central differences in float64.
void check_derivative(const std::string& name, const std::function<double(const Doubles&)>& loss, const Doubles& x,
                      const Doubles& gradient);

// One context per instruction set that the processor has, with the given threads; the caller does not own them.
struct NamedContext { std::string isa; int threads; wb_context* ctx; };
const std::vector<NamedContext>& contexts();
void close_contexts();

#define OK(call) CHECK((call) == WB_OK, "%s", wb_backend()->last_error())

// The groups of cases, one file each.
void test_rows();
void test_layernorms();
void test_attention();
void test_losses();
void test_optimizer();
void test_math();
void test_products();
void test_context();

#endif
