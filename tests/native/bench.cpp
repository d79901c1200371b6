// Speed of each CPU op: bytes that it must read and write, per second, beside memcpy's; attention in GFLOP/s.
//   make -C native native-bench        WARPBERT_ISA and WARPBERT_THREADS choose what is measured
// On one thread it is processor time, which other programs on the machine disturb less.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <numeric>
#include <vector>

#include "warpbert.h"

namespace {

wb_context* ctx;
const wb_ops* ops;

bool one_thread;

double seconds() {
  if (one_thread) {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The fastest of the runs that fit in about a third of a second, at least three: machines are shared.
double time_of(const std::function<void()>& f) {
  f();
  double best = 1e30;
  const double start = seconds();
  for (int runs = 0; runs < 3 || seconds() - start < 0.3; ++runs) {
    const double before = seconds();
    f();
    best = std::min(best, seconds() - before);
  }
  return best;
}

void report(const char* name, double bytes, const std::function<void()>& f) {
  const double t = time_of(f);
  printf("%-52s %10.1f us %8.1f GB/s\n", name, t * 1e6, bytes / t * 1e-9);
}

float* floats(int64_t n, float scale = 1.0f) {
  void* block = nullptr;
  if (ops->alloc(ctx, &block, n * 4) != WB_OK) {
    printf("%s\n", ops->last_error());
    exit(1);
  }
  float* x = static_cast<float*>(block);
  uint32_t state = 12345;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    x[i] = scale * ((float)(state >> 8) * (2.0f / 16777216.0f) - 1.0f);
  }
  return x;
}

void rows(int64_t T, int64_t H, int64_t I) {
  printf("T = %lld, H = %lld, I = %lld\n", (long long)T, (long long)H, (long long)I);
  const double th = 4.0 * T * H, ti = 4.0 * T * I;
  float *a = floats(T * I), *b = floats(T * I), *c = floats(T * I), *d = floats(T * I), *workspace = floats(T * H + 3 * 256 * I);
  float *p = floats(I), *q = floats(I), *r = floats(I), *mean = floats(T), *rstd = floats(T);
  const int64_t rng[2] = {1, 2};
  report("copy [T,I]", 2 * ti, [&] { ops->copy(ctx, a, b, T * I * 4); });
  for (int kind : {WB_IDENTITY, WB_GELU, WB_GELU_TANH, WB_RELU, WB_TANH}) {
    const char* names[] = {"identity", "gelu", "gelu_tanh", "relu", "tanh"};
    char name[64];
    snprintf(name, sizeof name, "bias_activation_forward %s [T,I]", names[kind]);
    report(name, 2 * ti, [&] { ops->bias_activation_forward(ctx, WB_F32, a, b, p, (wb_activation)kind, T, I); });
    snprintf(name, sizeof name, "bias_activation_backward %s [T,I]", names[kind]);
    report(name, kind ? 3 * ti : 2 * ti, [&] {
      ops->bias_activation_backward(ctx, WB_F32, a, q, workspace, c, b, p, (wb_activation)kind, T, I);
    });
  }
  for (float drop : {0.0f, 0.1f}) {
    printf("dropout %g\n", drop);
    report("residual_layernorm_forward [T,H]", 4 * th, [&] {
      ops->residual_layernorm_forward(ctx, WB_F32, a, d, mean, rstd, b, p, c, q, r, 1e-12f, drop, 1, rng, nullptr, T, H);
    });
    report("residual_layernorm_backward [T,H]", 4 * th, [&] {
      ops->residual_layernorm_backward(ctx, WB_F32, a, b, p, q, r, workspace, c, d, mean, rstd, r, drop, 1, rng, nullptr, T, H);
    });
    const int64_t V = 30522;
    float *word = floats(V * H), *position = floats(512 * H), *segment = floats(2 * H);
    float *dword = floats(V * H), *dposition = floats(512 * H), *dsegment = floats(2 * H);
    std::vector<int32_t> tokens(T), positions(T), segments(T, 0), word_order(T), position_order(T);
    for (int64_t t = 0; t < T; ++t) tokens[t] = (int32_t)(t * 7919 % V), positions[t] = (int32_t)(t % 12);
    const auto sort = [&](std::vector<int32_t>& order, const std::vector<int32_t>& ids) {
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int32_t x, int32_t y) { return ids[x] < ids[y]; });
    };
    sort(word_order, tokens);
    sort(position_order, positions);
    report("embeddings_forward", 2 * th, [&] {
      ops->embeddings_forward(ctx, WB_F32, a, mean, rstd, word, position, segment, p, q, tokens.data(), positions.data(),
                              segments.data(), 1e-12f, drop, 0, rng, nullptr, T, H, V, 512, 2);
    });
    report("embeddings_backward", 5 * th, [&] {
      ops->embeddings_backward(ctx, WB_F32, dword, dposition, dsegment, p, q, nullptr, workspace, b, mean, rstd, word,
                               position, segment, r, tokens.data(), positions.data(), segments.data(), word_order.data(),
                               position_order.data(), drop, 0, rng, nullptr, T, H, V, 512, 2);
    });
    for (float* x : {word, position, segment, dword, dposition, dsegment}) ops->free(ctx, x);
  }
  report("dropout_forward 0.1 [T,I]", 2 * ti, [&] { ops->dropout_forward(ctx, WB_F32, a, b, 0.1f, 1, rng, nullptr, T, I); });
  std::vector<int32_t> some(T);
  for (int64_t t = 0; t < T; ++t) some[t] = (int32_t)((t * 7) % T);
  report("gather_rows_forward [T,H]", 2 * th, [&] { ops->gather_rows_forward(ctx, WB_F32, a, b, some.data(), T, T, H); });
  report("cast to bfloat16 [T,I]", 1.5 * ti, [&] { ops->cast(ctx, a, WB_BF16, b, WB_F32, T * I); });
  report("cast to float16 [T,I]", 1.5 * ti, [&] { ops->cast(ctx, a, WB_F16, b, WB_F32, T * I); });
  for (float* x : {a, b, c, d, workspace, p, q, r, mean, rstd}) ops->free(ctx, x);
}

void attention(int64_t B, int64_t S, int64_t A, int64_t D, float drop) {
  const int64_t T = B * S;
  float *qkv = floats(T * 3 * A * D), *dqkv = floats(T * 3 * A * D), *out = floats(T * A * D), *dout = floats(T * A * D);
  float *lse = floats(A * T), *dbias = floats(3 * A * D), *workspace = floats(A * T + 3 * WB_REDUCE_BLOCKS * A * D);
  std::vector<int32_t> cu(B + 1);
  for (int64_t b = 0; b <= B; ++b) cu[b] = (int32_t)(b * S);
  const int64_t rng[2] = {1, 2};
  const double forward = time_of([&] {
    ops->attention_forward(ctx, WB_F32, out, lse, qkv, cu.data(), nullptr, 0.125f, drop, 1, rng, nullptr, T, B, A, D, S, S);
  });
  const double backward = time_of([&] {
    ops->attention_backward(ctx, WB_F32, dqkv, dbias, workspace, dout, out, lse, qkv, cu.data(), nullptr, 0.125f, drop, 1,
                            rng, nullptr, T, B, A, D, S, S);
  });
  const double flops = 2.0 * B * A * S * S * D; // of one product; 2 forward, 5 backward
  printf("attention B=%-3lld S=%-4lld A=%lld D=%lld p=%.1f  forward %8.1f us %6.1f GFLOP/s   backward %8.1f us %6.1f GFLOP/s\n",
         (long long)B, (long long)S, (long long)A, (long long)D, drop, forward * 1e6, 2 * flops / forward * 1e-9,
         backward * 1e6, 5 * flops / backward * 1e-9);
  for (float* x : {qkv, dqkv, out, dout, lse, dbias, workspace}) ops->free(ctx, x);
}

void whole_model() {
  const int64_t n = 110000000;
  float *p = floats(n), *m = floats(n, 0), *v = floats(n, 0), *g = floats(n);
  float stats[3] = {1, 1, 1}, hyper[3] = {1e-5f, 0.1f, 0.001f};
  double workspace[256];
  std::vector<int64_t> ends;
  std::vector<float> decay, scale;
  for (int k = 1; k <= 200; ++k) ends.push_back(n * k / 200), decay.push_back(k % 2 ? 0.01f : 0.0f), scale.push_back(1);
  printf("110 million parameters\n");
  report("copy", 8.0 * n, [&] { ops->copy(ctx, m, v, n * 4); });
  report("zero", 4.0 * n, [&] { ops->zero(ctx, m, n * 4); });
  ops->zero(ctx, v, n * 4);
  report("gradient_norm", 4.0 * n, [&] { ops->gradient_norm(ctx, stats, (float*)workspace, g, nullptr, nullptr, 1, n, 0, 1); });
  const auto adamw = [&](const uint8_t* touched, int64_t rows) {
    ops->adamw(ctx, WB_F32, WB_F32, p, m, v, nullptr, g, touched, stats, hyper, nullptr, ends.data(), decay.data(), scale.data(), 0.9f,
               0.999f, 1e-8f, n, (int64_t)ends.size(), rows, 768);
  };
  report("adamw", 28.0 * n, [&] { adamw(nullptr, 0); });
  // a first step, of 250 of bert-base's 30,522 words
  const int64_t R = 30522, idle = (R - 250) * 768;
  std::vector<uint8_t> touched(R, 0);
  for (int64_t i = 0; i < 250; ++i) touched[i * 7919 % R] = 1;
  report("zero_rows of 250 words", 4.0 * 250 * 768, [&] { ops->zero_rows(ctx, g, touched.data(), R, 768); });
  report("gradient_norm of 250 words", 4.0 * (n - idle), [&] {
    ops->gradient_norm(ctx, stats, (float*)workspace, g, touched.data(), nullptr, 1, n, R, 768);
  });
  report("adamw of 250 words", 28.0 * (n - idle) + 4.0 * idle, [&] { adamw(touched.data(), R); }); // half of the segments decay
  const int64_t C = 30522, N = 64;
  std::vector<int32_t> labels(N, 5);
  report("cross_entropy [64,30522]", 8.0 * N * C, [&] {
    float loss[64];
    ops->cross_entropy(ctx, WB_F32, loss, p, g, labels.data(), nullptr, 0, -100, 1, N, C, C);
  });
  for (float* x : {p, m, v, g}) ops->free(ctx, x);
}

}  // namespace

int main() {
  ops = wb_backend();
  const char* threads = getenv("WARPBERT_THREADS");
  if (ops->create(&ctx, 0, threads ? atoi(threads) : 0) != WB_OK) {
    printf("%s\n", ops->last_error());
    return 1;
  }
  ops = ctx->ops;
  one_thread = threads && atoi(threads) == 1;
  char text[128];
  ops->describe(ctx, text, sizeof text);
  printf("%s\n", text);
  rows(360, 768, 3072);
  rows(4096, 768, 3072);
  for (float drop : {0.0f, 0.1f}) {
    attention(32, 11, 12, 64, drop);
    attention(12, 30, 12, 64, drop);
    attention(6, 60, 12, 64, drop);
    attention(6, 60, 12, 32, drop);
    attention(4, 128, 12, 64, drop);
    attention(2, 512, 12, 64, drop);
    attention(1, 4096, 12, 64, drop);
  }
  whole_model();
  ops->destroy(ctx);
  return 0;
}
