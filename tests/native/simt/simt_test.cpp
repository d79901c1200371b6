// The CUDA kernels, run thread by thread on the CPU, against float64.
#include <ctime>

#include "simt_harness.h"

int main() {
  const struct {
    const char* name;
    void (*run)();
  } groups[] = {{"types", test_types},           {"elementwise", test_elementwise},
                {"layernorm", test_layernorm},   {"embeddings", test_embeddings},
                {"attention", test_attention_kernels}, {"losses", test_losses},
                {"optimizer", test_optimizer},   {"contexts", test_contexts},
                {"graphs", test_graphs},         {"faults", test_faults}};
  for (const auto& group : groups) {
    const int before = checks;
    const clock_t start = clock();
    group.run();
    printf("%-14s %6d checks, %.2f s\n", group.name, checks - before, double(clock() - start) / CLOCKS_PER_SEC);
  }
  close_schedules();
  printf("%d passed, %d failed\n", checks - failures, failures);
  return failures != 0;
}
