// A machine that runs PTX, NVIDIA's assembly language, on the CPU: what nvcc made of the kernels, a warp of 32 lanes at a time.
// simt runs the kernels' source as C++; this runs the compiler's answer to it, with every instruction that is written as
// assembly in ptx.cuh. Meanings are the PTX ISA's (NVIDIA, version 9.0); what it leaves undefined is a fault.
//
// What nvcc emits for our kernels is known, and little more; anything else is refused by name when a kernel is first launched.
#pragma once
#include <stdint.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../simt/launch.h"

namespace ptx {

constexpr int LANES = 32;
using Mask = uint32_t;  // one bit a lane; a predicate register is one

// A register's place among its warp's: an element of 2, 4 or 8 bytes for each lane, or a Mask. Constants and special
// registers have places too.
struct Operand {
  uint32_t place;
  uint8_t bytes;  // of an element; 0: a predicate
};

struct Warp;
struct Instruction;
using Run = void (*)(Warp&, const Instruction&, Mask active);

enum class Kind : uint8_t { PLAIN, BRANCH, EXIT, BARRIER, COLLECTIVE };

struct Instruction {
  Kind kind;
  bool guarded, guard_negated;
  uint8_t count, element, vector;  // operands; bytes of an element in memory, elements of an access
  bool is_signed;
  uint16_t file;     // of the source, by number, and the line there
  int32_t line;
  int32_t ptx_line;
  uint32_t guard;    // place of the predicate
  int32_t target;    // of a branch; the operand that is a collective's member mask, -1: all lanes
  int64_t offset;    // added to an address
  Run run;
  Operand operands[14];
};

struct Parameter {
  uint32_t offset, bytes;
};

struct Kernel {
  std::string name;
  std::vector<Instruction> code;
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  uint32_t register_bytes = 0;           // of a warp
  std::vector<unsigned char> constants;  // the registers, as a warp begins with them
  uint32_t tid[3], ctaid[3], ntid[3], nctaid[3];  // places
  const std::vector<std::string>* files;          // of the source, by number
};

// A translation unit's PTX. Kernels are parsed when they are first asked for.
class Module {
 public:
  explicit Module(std::string_view text);
  const Kernel& kernel(const std::string& name);  // throws Fault

 private:
  std::map<std::string, std::pair<std::string_view, int>, std::less<>> entries_;  // text and first line
  std::map<std::string, std::unique_ptr<Kernel>, std::less<>> parsed_;
  std::vector<std::string> files_;
};

struct Fault {
  std::string text;
};
[[noreturn]] void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

// What an opcode does; kind, run and the sizes of an access are set. Throws Fault where it is not known.
void decode(std::string_view opcode, Instruction& instruction);

// Runs every block. Returns the fault that ended it; empty: none did.
std::string execute(const Kernel& kernel, dim3 grid, dim3 threads, size_t shared_bytes, const std::vector<unsigned char>& parameters,
                    simt::Schedule schedule, uint64_t seed);

// ---- what instructions see of the machine that runs them

struct Copy {  // one cp.async: lands only when its group is waited for
  uint32_t to;
  uint64_t from;  // 0: zeros
  uint32_t group;
};

struct Warp {
  unsigned char* registers;
  int number;
  Mask exited, at_barrier, in_collective;
  int32_t pc[LANES];
  std::vector<Copy> copies[LANES];
  uint32_t copy_group[LANES];

  template <class T>
  T* at(Operand operand) {
    return reinterpret_cast<T*>(registers + operand.place);
  }
  Mask& predicate(Operand operand) { return *at<Mask>(operand); }
};

// With WARPBERT_PTX_PROFILE=FILE each kernel's instructions and traffic are counted, and stand in that file at the end: profile.cpp.
struct Traffic {
  uint64_t launches, instructions, tensor;       // of warps; tensor: mma
  uint64_t shared_turns, shared_least;           // of the 32 banks, 128 bytes a turn; as many as the bytes take at least
  uint64_t sectors, sectors_least;               // of 32 bytes of global memory
};
extern Traffic* traffic;  // of the running kernel; null: nothing is counted
void count(const Kernel& kernel);
// For tests: forgets what was counted, and counts from now on or no more. The sum of the kernels whose names have this in them.
void counting(bool on);
Traffic counted(const char* name);
void count_shared(const uint64_t (&addresses)[LANES], Mask active, size_t bytes);
void count_global(const uint64_t (&addresses)[LANES], Mask active, size_t bytes);

// Faults where an access leaves the launch's memory or is not aligned.
unsigned char* shared_at(uint32_t address, size_t bytes);
const unsigned char* parameter_at(uint32_t address, size_t bytes);
// `read_only`: by ld.global.nc, of memory that the whole launch must not write.
const unsigned char* global_read(uint64_t address, size_t bytes, bool read_only);
unsigned char* global_write(uint64_t address, size_t bytes);

}  // namespace ptx
