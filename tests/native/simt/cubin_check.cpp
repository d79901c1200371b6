// Reads a cubin (an ELF file) and fails unless every kernel whose name contains one of the given words has tensor-core
// multiplications, matrix loads and asynchronous copies in its machine code.
//   cubin_check file.cubin attention_forward ...
#include <elf.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

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
      int hmma = 0, ldsm = 0, ldgsts = 0;
      for (uint64_t i = 0; i + 16 <= sections[s].sh_size; i += 16) {  // an instruction; its opcode is the low 12 bits
        uint16_t low;
        memcpy(&low, bytes.data() + sections[s].sh_offset + i, 2);
        hmma += (low & 0xfff) == 0x23c;
        ldsm += (low & 0xfff) == 0x83b;
        ldgsts += (low & 0xfff) == 0xfae;
      }
      printf("%s: %d HMMA, %d LDSM, %d LDGSTS\n", name + 6, hmma, ldsm, ldgsts);
      failed += !hmma || !ldsm || !ldgsts;
    }
    if (!kernels) printf("no kernel is named %s\n", words[w]), ++failed;
  }
  return failed != 0;
}
