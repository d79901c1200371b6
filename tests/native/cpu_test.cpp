// Every op of libwarpbert_cpu on every instruction set that this processor has, and our matrix products, against float64. See harness.h.
//   make -C native native-test      the same under AddressSanitizer and UBSan: native-asan
#include "harness.h"

void test_context() {
  const wb_ops* ops = wb_backend();
  current = "context";
  CHECK(ops->abi == WB_ABI && strcmp(ops->backend, "cpu") == 0, "%d %s", ops->abi, ops->backend);
  wb_context* ctx = nullptr;
  setenv("WARPBERT_ISA", "sse9", 1);
  CHECK(ops->create(&ctx, 0, 1) == WB_INVALID_ARGUMENT && !ctx && strstr(ops->last_error(), "sse9"), "%s", ops->last_error());
  unsetenv("WARPBERT_ISA");
  CHECK(ops->create(&ctx, 1, 1) == WB_INVALID_ARGUMENT && !ctx, "device 1");
  CHECK(ops->create(&ctx, 0, -1) == WB_INVALID_ARGUMENT && !ctx, "-1 threads");
  OK(ops->create(&ctx, 0, 0));
  char text[128] = "", tiny[4];
  OK(ops->describe(ctx, text, sizeof text));
  OK(ops->describe(ctx, tiny, sizeof tiny));
  printf("  %s\n", text);
  CHECK(strncmp(text, "CPU: ", 5) == 0 && strcmp(tiny, "CPU") == 0, "%s, %s", text, tiny);

  int64_t free_bytes = 0, total = 0;
  OK(ops->memory_info(ctx, &free_bytes, &total));
  printf("  %.1f GiB free of %.1f\n", (double)free_bytes / (1 << 30), (double)total / (1 << 30));
  CHECK(free_bytes > 0 && free_bytes <= total, "%lld of %lld", (long long)free_bytes, (long long)total);
  for (int64_t bytes : {(int64_t)0, (int64_t)1, (int64_t)1000003, (int64_t)5 << 20}) {
    void* block = nullptr;
    OK(ops->alloc(ctx, &block, bytes));
    CHECK(block && reinterpret_cast<uintptr_t>(block) % 256 == 0, "%p", block);
    if (bytes) memset(block, 1, bytes);
    OK(ops->free(ctx, block));
  }
  void* block = &ctx;
  CHECK(ops->alloc(ctx, &block, total * 2) == WB_OUT_OF_MEMORY && !block, "twice the memory given");
  CHECK(ops->alloc(ctx, &block, (int64_t)1 << 62) == WB_OUT_OF_MEMORY && !block, "2^62 bytes given");
  OK(ops->free(ctx, nullptr));

  std::vector<unsigned char> from(7 << 20), to(7 << 20, 9), back(7 << 20);
  for (size_t i = 0; i < from.size(); ++i) from[i] = (unsigned char)(i * 31 + i / 255);
  OK(ops->upload(ctx, to.data(), from.data(), (int64_t)from.size() - 1));
  CHECK(to.back() == 9 && memcmp(to.data(), from.data(), from.size() - 1) == 0, "upload");
  OK(ops->copy(ctx, back.data(), from.data(), (int64_t)from.size()));
  CHECK(back == from, "copy");
  OK(ops->zero(ctx, to.data(), (int64_t)to.size() - 1));
  CHECK(to.back() == 9 && std::count(to.begin(), to.end(), 0) == (int64_t)to.size() - 1, "zero");
  OK(ops->download(ctx, back.data(), to.data(), 0));
  OK(ops->zero(ctx, nullptr, 0));
  OK(ops->synchronize(ctx));
  OK(ops->destroy(ctx));
  OK(ops->destroy(nullptr));
}

int main() {
  test_context();
  test_math();
  test_rows();
  test_layernorms();
  test_losses();
  test_optimizer();
  test_attention();
  test_products();
  close_contexts();
  printf("%d checks, %d failures\n", checks, failures);
  return failures ? 1 : 0;
}
