// What kernels ask of issue, of shared memory's banks, of memory's sectors and of the tensor cores, by running them: what their design claims.
#include <algorithm>

#include "../../../native/ptx/ptx.h"
#include "simt_harness.h"

namespace {

constexpr int64_t A = 2, D = 64;

wb_context* ctx() { return schedules()[0].ctx; }

// No two lanes want different words of a bank, whatever the tile and wherever it ends; and the products are those that must be.
void test_attention(wb_dtype dtype, int64_t s, const char* backward, double tensor_a_tile) {
  const int64_t B = 2, T = B * s;
  std::vector<int32_t> rows(static_cast<size_t>(T));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = int32_t(i);
  Tensor qkv(ctx(), dtype, Floats(size_t(T * 3 * A * D), 0.5f)), out(ctx(), dtype, T * A * D), dout(ctx(), dtype, Floats(size_t(T * A * D), 0.1f));
  Tensor dqkv(ctx(), dtype, T * 3 * A * D), lse(ctx(), WB_F32, A * T), workspace(ctx(), WB_F32, A * T + 3 * WB_REDUCE_BLOCKS * A * D);
  Tensor dbias(ctx(), WB_F32, Floats(size_t(3 * A * D), 0.0f));
  Elements<int32_t> cu_seqlens(ctx(), {0, int32_t(s), int32_t(2 * s)}), dropout_rows(ctx(), rows);
  Elements<int64_t> rng(ctx(), {7, 3});
  ptx::counting(true);
  OK(ops->attention_forward(ctx(), dtype, out.data(), lse.floats(), qkv.data(), cu_seqlens, nullptr, 0.125f, 0.1f, 1, rng, dropout_rows, T, B, A, D, s, s));
  OK(ops->attention_backward(ctx(), dtype, dqkv.data(), dbias.floats(), workspace.floats(), dout.data(), out.data(), lse.floats(), qkv.data(),
                             cu_seqlens, nullptr, 0.125f, 0.1f, 1, rng, dropout_rows, T, B, A, D, s, s));
  const ptx::Traffic forward = ptx::counted("attention_forward");
  const double tiles = double(B * A) * double((s + 63) / 64) * double((s + 63) / 64);
  CHECK(forward.launches == 1 && double(forward.tensor) <= 256 * tiles, "%lu products, %g tiles of 64 x 64", forward.tensor, tiles);
  for (const char* kernel : {"attention_forward", "key_gradient", backward}) {
    const ptx::Traffic t = ptx::counted(kernel);
    CHECK(t.launches == 1 && t.tensor > 0, "%s: %lu launches", kernel, t.launches);
    CHECK(t.shared_turns == t.shared_least, "%s: %lu turns of the banks, where %lu would do", kernel, t.shared_turns, t.shared_least);
    CHECK(double(t.sectors) < 1.06 * double(t.sectors_least), "%s: %lu sectors, where %lu would do", kernel, t.sectors, t.sectors_least);
  }
  const uint64_t tensor = ptx::counted("key_gradient").tensor + (strcmp(backward, "key_gradient") ? ptx::counted(backward).tensor : 0);
  CHECK(double(tensor) <= tensor_a_tile * tiles, "backward: %lu products, %g tiles of 64 x 64", tensor, tiles);
}

// Each sector once.
void test_streams() {
  constexpr int64_t rows = 40, columns = 1024, n = rows * columns;
  for (wb_dtype dtype : {WB_F16, WB_BF16}) {
    Tensor x(ctx(), dtype, Floats(n, 0.5f)), y(ctx(), dtype, n), wide(ctx(), WB_F32, n);
    ptx::counting(true);
    OK(ops->bias_activation_forward(ctx(), dtype, y.data(), x.data(), nullptr, WB_GELU, rows, columns));
    OK(ops->cast(ctx(), wide.data(), WB_F32, x.data(), dtype, n));
    OK(ops->cast(ctx(), y.data(), dtype, wide.data(), WB_F32, n));
    for (const char* kernel : {"bias_activation_forward", "cast"}) {
      const ptx::Traffic t = ptx::counted(kernel);
      const uint64_t bytes = strcmp(kernel, "cast") ? n * (2 + 2) : 2 * n * (2 + 4);
      CHECK(t.sectors * 32 == bytes, "%s: %lu sectors of 32 bytes for %lu bytes", kernel, t.sectors, bytes);
    }
  }
}

// Of all that was launched since the last call: instructions are issued in so much less time than the bytes, which must come or go, take.
// An H100: 132 multiprocessors issue 4 instructions of a warp a clock, at 1.755 GHz; 3.35 TB/s, of which a copy gets nine tenths. What
// ptxas makes of the PTX is fewer instructions rather than more: three-way logic, conversions folded into others.
void check_issue(const char* name, double bytes) {
  const ptx::Traffic t = ptx::counted("");
  const double issue = double(t.instructions) / (132 * 4 * 1.755e9), memory = bytes / (3.35e12 * 0.9);
  CHECK(t.instructions > 0 && issue < 0.7 * memory, "%s: issue takes %.2f of the memory's time", name, issue / memory);
  CHECK(double(t.shared_turns) / (132 * 1.755e9) < 0.15 * memory, "%s: %lu turns of the banks", name, t.shared_turns);
  ptx::counting(true);
}

std::vector<int32_t> sorted_by(const std::vector<int32_t>& keys) {
  std::vector<int32_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return keys[size_t(a)] < keys[size_t(b)]; });
  return order;
}

// The ops that memory should bind, in bfloat16, at bert-base's widths.
void test_issue() {
  constexpr wb_dtype type = WB_BF16;
  constexpr int64_t T = 4096, H = 768, I = 3072, R = 512, V = 1000, P = 128;
  constexpr double cells = T * H, wide = R * I;
  const float p = 0.1f, eps = 1e-12f;
  std::vector<int32_t> rows(T), tokens(T), positions(T);
  for (int32_t i = 0; i < T; ++i) rows[size_t(i)] = i, tokens[size_t(i)] = i * 7919 % V, positions[size_t(i)] = i % P;
  Elements<int32_t> drows(ctx(), rows), dtokens(ctx(), tokens), dpositions(ctx(), positions), segments(ctx(), std::vector<int32_t>(T, 0));
  Elements<int32_t> word_order(ctx(), sorted_by(tokens)), position_order(ctx(), sorted_by(positions));
  Elements<int64_t> rng(ctx(), {7, 3, 0});
  Tensor x(ctx(), type, Floats(T * H, 0.5f)), y(ctx(), type, T * H), z(ctx(), type, T * H), residual(ctx(), type, Floats(T * H, 0.25f));
  Tensor bias(ctx(), WB_F32, Floats(I, 0.1f)), gamma(ctx(), WB_F32, Floats(I, 1.0f)), sums(ctx(), WB_F32, Floats(3 * I, 0.0f));
  Tensor mean(ctx(), WB_F32, Floats(T, 0.1f)), rstd(ctx(), WB_F32, Floats(T, 1.0f)), workspace(ctx(), WB_F32, T * H + 3 * WB_REDUCE_BLOCKS * I);
  Tensor word(ctx(), WB_F32, Floats(V * H, 0.3f)), position(ctx(), WB_F32, Floats(P * H, 0.3f)), segment(ctx(), WB_F32, Floats(2 * H, 0.3f));
  Tensor dword(ctx(), WB_F32, Floats(V * H, 0.0f)), dposition(ctx(), WB_F32, Floats(P * H, 0.0f)), dsegment(ctx(), WB_F32, Floats(2 * H, 0.0f));
  float *dbias = sums.floats(), *dgamma = dbias + I, *dbeta = dgamma + I;

  ptx::counting(true);
  for (wb_activation activation : {WB_GELU, WB_GELU_TANH, WB_IDENTITY}) {
    OK(ops->bias_activation_forward(ctx(), type, y.data(), x.data(), bias.floats(), activation, R, I));
    check_issue("bias_activation_forward", 4 * wide);
    OK(ops->bias_activation_backward(ctx(), type, z.data(), dbias, workspace.floats(), y.data(), x.data(), bias.floats(), activation, R, I));
    check_issue("bias_activation_backward", (activation == WB_IDENTITY ? 4 : 6) * wide);
  }
  OK(ops->residual_layernorm_forward(ctx(), type, y.data(), z.data(), mean.floats(), rstd.floats(), x.data(), bias.floats(), residual.data(),
                                     gamma.floats(), bias.floats(), eps, p, 1, rng, drows, T, H));
  check_issue("residual_layernorm_forward", 8 * cells);
  OK(ops->residual_layernorm_backward(ctx(), type, y.data(), x.data(), dbias, dgamma, dbeta, workspace.floats(), residual.data(), z.data(),
                                      mean.floats(), rstd.floats(), gamma.floats(), p, 1, rng, drows, T, H));
  check_issue("residual_layernorm_backward", 8 * cells);
  OK(ops->embeddings_forward(ctx(), type, y.data(), mean.floats(), rstd.floats(), word.floats(), position.floats(), segment.floats(), gamma.floats(),
                             bias.floats(), dtokens, dpositions, segments, eps, p, 1, rng, drows, T, H, V, P, 2));
  check_issue("embeddings_forward", 6 * cells);
  OK(ops->embeddings_backward(ctx(), type, dword.floats(), dposition.floats(), dsegment.floats(), dgamma, dbeta, nullptr, workspace.floats(),
                              residual.data(), mean.floats(), rstd.floats(), word.floats(), position.floats(), segment.floats(), gamma.floats(),
                              dtokens, dpositions, segments, word_order, position_order, p, 1, rng, drows, T, H, V, P, 2));
  check_issue("embeddings_backward", 20 * cells);
  OK(ops->dropout_forward(ctx(), type, y.data(), x.data(), p, 1, rng, drows, T, H));
  check_issue("dropout_forward", 4 * cells);

  constexpr int64_t N = 16, C = 30522, stride = 30528, n = 1 << 19;
  Tensor logits(ctx(), type, Floats(N * stride, 0.1f)), loss(ctx(), WB_F32, N);
  Elements<int32_t> labels(ctx(), std::vector<int32_t>(N, 17));
  ptx::counting(true);
  OK(ops->cross_entropy(ctx(), type, loss.floats(), logits.data(), logits.data(), labels, nullptr, 0, -100, 1, N, C, stride));
  check_issue("cross_entropy", 4 * double(N * C));

  Tensor parameter(ctx(), WB_F32, Floats(n, 0.1f)), gradient(ctx(), WB_F32, Floats(n, 0.1f)), copy(ctx(), type, n), stats(ctx(), WB_F32, Floats{1, 1, 1});
  Tensor hyper(ctx(), WB_F32, Floats{1e-3f, 0.1f, 0.1f}), decay(ctx(), WB_F32, Floats{0.01f}), lr_scale(ctx(), WB_F32, Floats{1});
  Elements<int64_t> ends(ctx(), {n});
  for (wb_dtype moments : {WB_F32, WB_BF16}) {
    Tensor m(ctx(), moments, Floats(n, 0.0f)), v(ctx(), moments, Floats(n, 0.0f));
    ptx::counting(true);
    OK(ops->adamw(ctx(), type, moments, parameter.floats(), m.data(), v.data(), copy.data(), gradient.floats(), nullptr, stats.floats(), hyper.floats(),
                  rng, ends, decay.floats(), lr_scale.floats(), 0.9f, 0.999f, 1e-8f, n, 1, 0, 1));
    check_issue("adamw", (moments == WB_F32 ? 30 : 22) * double(n));
  }
  OK(ops->gradient_norm(ctx(), stats.floats(), workspace.floats(), gradient.floats(), nullptr, nullptr, 1, n, 0, 1));
  check_issue("gradient_norm", 4 * double(n));
  OK(ops->cast(ctx(), copy.data(), type, gradient.data(), WB_F32, n));
  check_issue("cast", 6 * double(n));
}

}  // namespace

void test_traffic() {
  current = "traffic";
  for (wb_dtype dtype : {WB_F16, WB_BF16}) {
    test_attention(dtype, 128, "key_gradient", 640);
    test_attention(dtype, 100, "key_gradient", 640);
    test_attention(dtype, 500, "query_gradient", 896);  // too long for one pass
  }
  test_streams();
  test_issue();
  ptx::counting(false);
}
