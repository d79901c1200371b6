#include "fiber.h"

#include <stdint.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves what the System V ABI says a callee keeps, and changes stacks: rdi = where to save the old one, rsi = the new.
asm(R"(
.text
.type wb_simt_switch, @function
wb_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size wb_simt_switch, .-wb_simt_switch
)");
extern "C" __attribute__((visibility("hidden"))) void wb_simt_switch(void** save, void* load);

namespace simt {

namespace {
constexpr size_t PAGE = 4096, STACK = 128 << 10;
unsigned char* first = nullptr;
size_t mapped = 0;
#if defined(__SANITIZE_ADDRESS__)
Fiber* previous = nullptr;  // whose stack bounds finish_switch tells us: the caller's own are known only so
#endif
}  // namespace

bool map_stacks(int count) {
  if (first) return true;
  void* memory = mmap(nullptr, count * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  first = static_cast<unsigned char*>(memory);
  mapped = count * STACK;
  for (int i = 0; i < count; ++i) mprotect(first + i * STACK, PAGE, PROT_NONE);
  return true;
}

bool on_fiber_stack(const void* address) {
  return uintptr_t(address) - uintptr_t(first) < mapped;
}

void prepare(Fiber& fiber, int number, void (*entry)()) {
  fiber.stack = first + number * STACK + PAGE;
  fiber.stack_bytes = STACK - PAGE;
#if defined(__SANITIZE_ADDRESS__)
  // The stack's last user never returned from its outer frames, whose surroundings are still poisoned.
  ASAN_UNPOISON_MEMORY_REGION(fiber.stack, fiber.stack_bytes);
#endif
  void** top = reinterpret_cast<void**>(fiber.stack + fiber.stack_bytes);
  *--top = nullptr;  // as if called from nowhere: keeps the stack aligned as the ABI wants at entry
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.fake_stack = nullptr;
}

#if defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize_address)) void arrived() {
  const void* bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (!previous->stack) {
    previous->stack = static_cast<unsigned char*>(const_cast<void*>(bottom));
    previous->stack_bytes = bytes;
  }
}

__attribute__((no_sanitize_address)) void switch_to(Fiber& from, Fiber& to, bool from_ends) {
  previous = &from;
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
  wb_simt_switch(&from.stack_pointer, to.stack_pointer);
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
}
#else
void arrived() {}
void switch_to(Fiber& from, Fiber& to, bool) { wb_simt_switch(&from.stack_pointer, to.stack_pointer); }
#endif

}  // namespace simt
