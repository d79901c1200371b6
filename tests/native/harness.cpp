#include "harness.h"

int checks = 0, failures = 0;
std::string current;

Floats random_floats(int64_t n, uint32_t seed, float scale) {
  std::mt19937 generator(seed * 2654435761u + 12345);
  std::normal_distribution<float> normal(0.0f, scale);
  Floats x(n);
  for (float& v : x) v = normal(generator);
  return x;
}

std::vector<int32_t> random_ints(int64_t n, uint32_t seed, int32_t below) {
  std::mt19937 generator(seed * 2654435761u + 54321);
  std::vector<int32_t> x(n);
  for (int32_t& v : x) v = (int32_t)(generator() % (uint32_t)below);
  return x;
}

void compare(const char* what, const Floats& actual, const Doubles& expected, double tolerance, double floor) {
  CHECK(actual.size() == expected.size(), "%s: %zu for %zu elements", what, actual.size(), expected.size());
  double error = 0, norm = 0, worst = 0, largest = 0;
  size_t where = 0, strange = 0;
  for (size_t i = 0; i < expected.size() && i < actual.size(); ++i) {
    const double a = actual[i], e = expected[i];
    if (!std::isfinite(e) || !std::isfinite(a)) {
      if (std::isnan(e) ? !std::isnan(a) : a != e) {
        if (!strange++) where = i;
      }
      continue;
    }
    error += (a - e) * (a - e);
    norm += e * e;
    largest = std::fmax(largest, std::fabs(e));
    if (std::fabs(a - e) > worst) {
      worst = std::fabs(a - e);
      if (!strange) where = i;
    }
  }
  CHECK(strange == 0, "%s: %zu elements, first [%zu]: %g for %g", what, strange, where, (double)actual[where],
        expected[where]);
  if (strange) return;
  CHECK(std::sqrt(error) <= tolerance * std::sqrt(norm) + floor, "%s: relative error %.3g over %.3g; [%zu]: %.9g for %.9g",
        what, std::sqrt(error / norm), tolerance, where, (double)actual[where], expected[where]);
  CHECK(worst <= 64 * tolerance * largest + floor, "%s: [%zu]: %.9g for %.9g", what, where, (double)actual[where],
        expected[where]);
}

const std::vector<NamedContext>& contexts() {
  static std::vector<NamedContext> all;
  if (!all.empty()) return all;
  for (const char* isa : {"baseline", "avx2", "avx512"}) {
    for (int threads : {1, 2, 5}) {
      setenv("WARPBERT_ISA", isa, 1);
      wb_context* ctx = nullptr;
      const wb_status status = wb_backend()->create(&ctx, 0, threads);
      if (status == WB_UNSUPPORTED) {
        if (threads == 1) printf("skipped: %s\n", wb_backend()->last_error());
        continue;
      }
      CHECK(status == WB_OK, "%s", wb_backend()->last_error());
      all.push_back({isa, threads, ctx});
    }
  }
  unsetenv("WARPBERT_ISA");
  return all;
}

void close_contexts() {
  for (const NamedContext& c : contexts()) wb_backend()->destroy(c.ctx);
}

void check_case(const std::string& name, const Run& run, const Reference& expected, double tolerance,
                double floor) {
  Outputs first;
  for (const NamedContext& c : contexts()) {
    current = name + " on " + c.isa + ", " + std::to_string(c.threads) + " threads";
    const Outputs outputs = run(c.ctx);
    CHECK(outputs.size() == expected.size(), "%zu outputs for %zu", outputs.size(), expected.size());
    for (size_t i = 0; i < outputs.size() && i < expected.size(); ++i) {
      compare(("output " + std::to_string(i)).c_str(), outputs[i], expected[i], tolerance, floor);
    }
    if (c.threads == 1) first = outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const size_t bytes = outputs[i].size() * sizeof(float);
      CHECK(bytes == 0 || memcmp(outputs[i].data(), first[i].data(), bytes) == 0,
            "output %zu differs in bits from that on 1 thread", i);
    }
  }
  current.clear();
}

void check_derivative(const std::string& name, const std::function<double(const Doubles&)>& loss, const Doubles& x,
                      const Doubles& gradient) {
  current = name;
  CHECK(x.size() == gradient.size(), "%zu gradients for %zu", gradient.size(), x.size());
  double largest = 1e-3;
  for (double g : gradient) largest = std::fmax(largest, std::fabs(g));
  Doubles at = x;
  for (size_t i = 0; i < x.size(); ++i) {
    const double step = 1e-5;
    at[i] = x[i] + step;
    const double above = loss(at);
    at[i] = x[i] - step;
    const double below = loss(at);
    at[i] = x[i];
    const double difference = (above - below) / (2 * step);
    CHECK(std::fabs(difference - gradient[i]) <= 1e-6 * largest, "[%zu]: %.9g for %.9g by differences", i, gradient[i],
          difference);
  }
  current.clear();
}
