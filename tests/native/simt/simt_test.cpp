// The CUDA kernels, run on the CPU, against float64: their source thread by thread, or (WB_PTX_TEST) what nvcc made of it.
#include <ctime>

#include "simt_harness.h"

// An argument runs the group of that name alone.
int main(int count, char** arguments) {
  const struct {
    const char* name;
    void (*run)();
  } groups[] = {
#ifdef WB_PTX_TEST
      {"traffic", test_traffic},
#else
      {"runtime", test_runtime}, {"graphs", test_graphs},
#endif
      {"types", test_types}, {"elementwise", test_elementwise}, {"layernorm", test_layernorm}, {"embeddings", test_embeddings},
      {"attention", test_attention_kernels}, {"losses", test_losses}, {"optimizer", test_optimizer}, {"faults", test_faults}};
  for (const auto& group : groups) {
    if (count > 1 && strcmp(arguments[1], group.name)) continue;
    const int before = checks;
    const clock_t start = clock();
    group.run();
    printf("%-14s %6d checks, %.2f s\n", group.name, checks - before, double(clock() - start) / CLOCKS_PER_SEC);
  }
  close_schedules();
  printf("%d passed, %d failed\n", checks - failures, failures);
  return failures != 0;
}
