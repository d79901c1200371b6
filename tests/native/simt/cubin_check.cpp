// Reads a cubin (an ELF file) and fails unless every kernel whose name contains one of the given words has tensor-core
// multiplications, matrix loads and asynchronous copies in its machine code. Prints what a pass of its loop over tiles takes:
// of a warp that is issued one instruction a clock, that is the least number of clocks.
//   cubin_check file.cubin attention_forward ...
#include <elf.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

enum Opcode { HMMA = 0x23c, LDSM = 0x83b, LDGSTS = 0xfae, BRA = 0x947 };

// An instruction is 128 bits; the low 12 are its opcode.
struct Code {
  const char* bytes;
  int64_t length;

  uint64_t word(int64_t i, int half) const {
    uint64_t w;
    memcpy(&w, bytes + 16 * i + 8 * half, sizeof w);
    return w;
  }
  int opcode(int64_t i) const { return int(word(i, 0) & 0xfff); }
  int count(int wanted, int64_t from, int64_t to) const {
    int n = 0;
    for (int64_t i = from; i < to; ++i) n += opcode(i) == wanted;
    return n;
  }
  // Where a branch goes: its offset stands in bits 16 to 23 and 34 to 81, in quarters of an instruction.
  int64_t target(int64_t i) const {
    const uint64_t upper = word(i, 0) >> 34 | (word(i, 1) & 0x3ffff) << 30;
    const int64_t offset = int64_t(upper << 16) >> 8 | int64_t(word(i, 0) >> 16 & 0xff);
    return i + 1 + offset / 4;
  }
};

}  // namespace

int main(int count, char** words) {
  if (count < 3) return fprintf(stderr, "usage: cubin_check file.cubin kernel...\n"), 2;
  std::ifstream file(words[1], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() < sizeof(Elf64_Ehdr) || memcmp(bytes.data(), ELFMAG, SELFMAG)) {
    return fprintf(stderr, "%s is not an ELF file\n", words[1]), 2;
  }
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header->e_shoff);
  const char* names = bytes.data() + sections[header->e_shstrndx].sh_offset;
  int failed = 0;
  for (int w = 2; w < count; ++w) {
    int kernels = 0;
    for (int s = 0; s < header->e_shnum; ++s) {
      const char* name = names + sections[s].sh_name;
      if (strncmp(name, ".text.", 6) || !strstr(name, words[w])) continue;
      ++kernels;
      const Code code = {bytes.data() + sections[s].sh_offset, int64_t(sections[s].sh_size / 16)};
      const int hmma = code.count(HMMA, 0, code.length), ldsm = code.count(LDSM, 0, code.length), ldgsts = code.count(LDGSTS, 0, code.length);
      printf("%s: %d HMMA, %d LDSM, %d LDGSTS", name + 6, hmma, ldsm, ldgsts);
      for (int64_t i = 0; i < code.length; ++i) {
        const int64_t to = code.opcode(i) == BRA ? code.target(i) : i;
        if (to < i && to >= 0 && code.count(HMMA, to, i)) printf("; a loop of %lld with %d HMMA", (long long)(i + 1 - to), code.count(HMMA, to, i));
      }
      printf("\n");
      failed += !hmma || !ldsm || !ldgsts;
    }
    if (!kernels) printf("no kernel is named %s\n", words[w]), ++failed;
  }
  return failed != 0;
}
