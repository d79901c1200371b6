// The accuracy that simd_math.h states, in units in the last place of float32 against float64; and Philox.
#include "harness.h"
#include "philox.h"

#define PROBES(isa)                                      \
  namespace warpbert::isa {                              \
  void probe_exp(float*, const float*, int64_t);         \
  void probe_log1p(float*, const float*, int64_t);       \
  void probe_tanh(float*, const float*, int64_t);        \
  void probe_cdf(float*, const float*, int64_t);         \
  void probe_density(float*, const float*, int64_t);     \
  }
PROBES(baseline)
PROBES(avx2)
PROBES(avx512)

namespace {

typedef void (*Probe)(float*, const float*, int64_t);

double exact_exp(double x) { return std::exp(x); }
double exact_log1p(double x) { return std::log1p(x); }
double exact_tanh(double x) { return std::tanh(x); }
double exact_cdf(double x) { return 0.5 * std::erfc(-x / 1.4142135623730950488); }
double exact_density(double x) { return std::exp(-x * x / 2) / 2.5066282746310005024; }

void check(const char* name, const std::string& isa, Probe probe, double (*exact)(double), float low, float high,
           double bound) {
  current = name;
  current += " on " + isa;
  const int64_t n = 1 << 20;
  Floats x, y;
  for (int64_t i = 0; i <= n; ++i) x.push_back((float)(low + (double)(high - low) * (double)i / n)); // evenly
  for (float v = 1e-30f; v < high; v *= 1.0001f) { // and by orders of magnitude
    x.push_back(v);
    if (-v > low) x.push_back(-v);
  }
  y.resize(x.size());
  probe(y.data(), x.data(), (int64_t)x.size());
  double worst = 0;
  float where = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double e = exact(x[i]);
    // Below the smallest normal number the unit is that of the smallest denormal.
    const double unit = std::ldexp(1.0, e < 0x1p-126 && e > -0x1p-126 ? -149 : std::ilogb(e) - 23);
    const double error = std::fabs(y[i] - e) / unit;
    if (!(error <= worst)) worst = error, where = x[i];
  }
  printf("  %-22s %-9s [%g, %g]: at most %.2f ulp, at %.9g\n", name, isa.c_str(), low, high, worst, where);
  CHECK(worst <= bound, "%.2f ulp at %.9g", worst, where);
}

void check_all(const std::string& isa, Probe exp, Probe log1p, Probe tanh, Probe cdf, Probe density) {
  check("exp", isa, exp, exact_exp, -103.9f, 88.72f, 2);
  check("log1p", isa, log1p, exact_log1p, 0.0f, 1.0f, 3);
  check("tanh", isa, tanh, exact_tanh, -20.0f, 20.0f, 3);
  check("normal cdf", isa, cdf, exact_cdf, -14.0f, 14.0f, 8);
  check("normal density", isa, density, exact_density, -13.0f, 13.0f, 4);
  current = "edges on " + isa;
  const float x[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 100.0f, -200.0f};
  float e[7], l[7], t[7], c[7];
  exp(e, x, 7), log1p(l, x, 7), tanh(t, x, 7), cdf(c, x, 7);
  CHECK(std::isnan(e[0]) && std::isnan(l[0]) && std::isnan(t[0]) && std::isnan(c[0]), "NaN: %g %g %g %g", e[0], l[0], t[0], c[0]);
  CHECK(l[3] == 0, "log1p's end");
  CHECK(e[1] == INFINITY && e[2] == 0 && e[3] == 1 && e[4] == 1 && e[5] == INFINITY && e[6] == 0, "exp's ends");
  CHECK(t[1] == 1 && t[2] == -1 && t[3] == 0 && std::signbit(t[4]) && t[5] == 1 && t[6] == -1, "tanh's ends");
  CHECK(c[1] == 1 && c[2] == 0 && c[3] == 0.5f && c[5] == 1 && c[6] == 0, "cdf's ends");
}

void philox() {
  current = "Philox4x32-7";
  // From Random123's file of known answers.
  const uint32_t known[3][10] = {
      {0, 0, 0, 0, 0, 0, 0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48},
      {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662},
      {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x4dfccaba, 0x190a87f0, 0xc47362ba,
       0xb6b5242a}};
  for (const uint32_t* k : known) {
    const wb_philox_words words = wb_philox(k[0], k[1], k[2], k[3], k[4], k[5]);
    for (int i = 0; i < 4; ++i) CHECK(words.w[i] == k[6 + i], "word %d: %08x for %08x", i, words.w[i], k[6 + i]);
  }
}

}  // namespace

void test_math() {
  philox();
  using namespace warpbert;
  for (const NamedContext& c : contexts()) {
    if (c.threads != 1) continue;
#define CHECK_ISA(name) \
    if (c.isa == #name) check_all(c.isa, name::probe_exp, name::probe_log1p, name::probe_tanh, name::probe_cdf, name::probe_density)
    CHECK_ISA(baseline);
    CHECK_ISA(avx2);
    CHECK_ISA(avx512);
  }
}
