// Fibers: many call stacks on one operating-system thread, with a switch of ten nanoseconds.
#pragma once
#include <stddef.h>

namespace simt {

struct Fiber {
  void* stack_pointer;
  unsigned char* stack;  // lowest usable byte
  size_t stack_bytes;
  void* fake_stack;  // AddressSanitizer's
};

// Maps `count` stacks, once, each with a page below it that traps on overflow. False where memory is lacking.
bool map_stacks(int count);
bool on_fiber_stack(const void* address);

// Gives `fiber` the stack of that number; the next switch to it calls entry(), which must never return.
void prepare(Fiber& fiber, int number, void (*entry)());
// To be called first thing in entry().
void arrived();
void switch_to(Fiber& from, Fiber& to, bool from_ends = false);

}  // namespace simt
