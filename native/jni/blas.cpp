// OpenBLAS starts threads of its own, which wait for each other inside a product by spinning. The ops between the
// products have threads too, so the cores would have two sets of them; and where another process takes a core, every
// one of those waits lasts until the scheduler comes round. So OpenBLAS is kept to one thread, and a product is cut
// into parts that need nothing of each other, one for each of the ops' threads.
#include "blas.h"
#include "product.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace {

// cblas.h's numbers
constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;
typedef void (*Sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a,
    int lda, const float* b, int ldb, float beta, float* c, int ldc);

void* symbol(const char* name) {
  void* handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return nullptr;
  void* found = dlsym(handle, name);
  dlclose(handle);  // it stays loaded: JavaCPP holds it
  return found;
}

struct Product {
  Sgemm sgemm;
  bool transpose_a, transpose_b;
  int m, n, k;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float beta;
  float* c;
  int ldc;
  int parts;
};

// Parts start at multiples of this, a multiple of the micro-kernels' tiles on every core type.
constexpr int kGrain = 48;
constexpr double kAlone = 64.0 * 64 * 64; // multiplications; for fewer, waking a thread would take longer

// Every part packs the whole of the operand that is not cut: so the longer side is cut.
void multiply_part(const void* job, int64_t part) {
  const Product& p = *static_cast<const Product*>(job);
  const bool cut_rows = p.m >= p.n;
  const int64_t grains = ((cut_rows ? p.m : p.n) + kGrain - 1) / kGrain;
  const int from = (int)(grains * part / p.parts) * kGrain;
  const int to = std::min((int)(grains * (part + 1) / p.parts) * kGrain, cut_rows ? p.m : p.n);
  if (from >= to) return;
  const float* a = p.a + (cut_rows ? (int64_t)from * (p.transpose_a ? 1 : p.lda) : 0);
  const float* b = p.b + (cut_rows ? 0 : (int64_t)from * (p.transpose_b ? p.ldb : 1));
  float* c = p.c + (cut_rows ? (int64_t)from * p.ldc : from);
  p.sgemm(kRowMajor, p.transpose_a ? kTrans : kNoTrans, p.transpose_b ? kTrans : kNoTrans, cut_rows ? to - from : p.m,
      cut_rows ? p.n : to - from, p.k, 1, a, p.lda, b, p.ldb, p.beta, c, p.ldc);
}

bool asked_for(const char* name) {
  const char* asked = getenv("WARPBERT_GEMM");
  return asked && strcmp(asked, name) == 0;
}

// Whether our own products are those for AVX-512; WARPBERT_GEMM=avx2 for the narrower.
bool wide() {
  static const bool is = warpbert::f32::products.had() && !asked_for("avx2");
  return is;
}

const warpbert::Products& own(int32_t bf16) {
  return !wide() ? warpbert::f32_avx2::products : bf16 ? warpbert::bf16::products : warpbert::f32::products;
}

// Our own products where the CPU has AVX2 (shares of OpenBLAS's time: docs/performance.md); WARPBERT_GEMM=openblas for the other.
bool use_own() {
  static const bool used = own(0).had() && !asked_for("openblas");
  return used;
}

// One call of wb_blas_sgemm, as an op of the context's stream.
struct Call {
  wb_context* ctx;
  int32_t threads, bf16, transpose_a, transpose_b, m, n, k;
  const float* a;
  int32_t lda;
  const float* b;
  int32_t ldb;
  float beta;
  float* c;
  int32_t ldc;
};

wb_status multiply(const void* call) {
  const auto [ctx, threads, bf16, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc] = *static_cast<const Call*>(call);
  if (use_own()) {
    return own(bf16).product(ctx, (double)m * n * k < kAlone ? 1 : threads, m, n, k, {a, lda, transpose_a != 0, false},
        {b, ldb, transpose_b != 0, false}, beta != 0, c, ldc);
  }
  static const Sgemm sgemm = (Sgemm)symbol("cblas_sgemm");
  static const bool one_thread = [] {
    auto set = (void (*)(int))symbol("openblas_set_num_threads");
    if (set) set(1);
    return set != nullptr;
  }();
  if (!sgemm || !one_thread) return WB_LOAD_FAILED;
  Product product = {sgemm, transpose_a != 0, transpose_b != 0, m, n, k, a, lda, b, ldb, beta, c, ldc, threads};
  if ((double)m * n * k < kAlone) product.parts = 1;
  if (product.parts == 1) {
    multiply_part(&product, 0);
    return WB_OK;
  }
  return wb_parallel(ctx, multiply_part, &product, product.parts);
}

// One call of wb_blas_sgemm_packed.
struct PackedCall {
  wb_context* ctx;
  int32_t threads, bf16, m, n, k;
  const float *a, *w;
  float* c;
};

wb_status multiply_packed(const void* call) {
  const auto [ctx, threads, bf16, m, n, k, a, w, c] = *static_cast<const PackedCall*>(call);
  return own(bf16).product(ctx, (double)m * n * k < kAlone ? 1 : threads, m, n, k, {a, k, false, false}, {w, k, true, true}, false, c, n);
}

}  // namespace

int32_t wb_blas_needed(void) { return !use_own(); }

int32_t wb_blas_has_bf16(void) { return use_own() && wide() && own(1).had(); }

const char* wb_blas_core(void) {
  if (use_own()) return wide() ? "own AVX-512" : "own AVX2";
  auto get = (const char* (*)())symbol("openblas_get_corename");
  return get ? get() : nullptr;
}

wb_status wb_blas_sgemm(wb_context* ctx, int32_t threads, int32_t bf16, int32_t transpose_a, int32_t transpose_b, int32_t m, int32_t n,
    int32_t k, const float* a, int32_t lda, const float* b, int32_t ldb, float beta, float* c, int32_t ldc) {
  const Call call = {ctx, threads, bf16, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc};
  return wb_host_call(ctx, multiply, &call, sizeof call);
}

wb_status wb_blas_pack(wb_context* ctx, int32_t threads, int32_t bf16, int32_t n, int32_t k, float* w) {
  return use_own() ? own(bf16).pack_weights(ctx, threads, n, k, w) : WB_UNSUPPORTED;
}

wb_status wb_blas_sgemm_packed(wb_context* ctx, int32_t threads, int32_t bf16, int32_t m, int32_t n, int32_t k, const float* a,
    const float* w, float* c) {
  const PackedCall call = {ctx, threads, bf16, m, n, k, a, w, c};
  return wb_host_call(ctx, multiply_packed, &call, sizeof call);
}
