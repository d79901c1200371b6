// What kernels ask of shared memory's banks, of memory's sectors and of the tensor cores, by running them: what their design claims.
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

}  // namespace

void test_traffic() {
  current = "traffic";
  for (wb_dtype dtype : {WB_F16, WB_BF16}) {
    test_attention(dtype, 128, "key_gradient", 640);
    test_attention(dtype, 100, "key_gradient", 640);
    test_attention(dtype, 500, "query_gradient", 896);  // too long for one pass
  }
  test_streams();
  ptx::counting(false);
}
