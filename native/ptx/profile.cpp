// What kernels ask of a multiprocessor's issue, of shared memory's banks and of the memory's sectors, counted as they run.
#include <cxxabi.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>

#include "ptx.h"

namespace ptx {

Traffic* traffic = nullptr;

namespace {

constexpr size_t BANKS = 32, BANK = 4, SECTOR = 32;

struct Profile {
  const char* path = getenv("WARPBERT_PTX_PROFILE");
  bool on = path != nullptr;
  std::map<std::string, Traffic> kernels;

  ~Profile() {
    FILE* file = path ? fopen(path, "w") : nullptr;
    if (!file) return;
    fprintf(file, "launches\tinstructions\ttensor\tshared_turns\tshared_least\tsectors\tsectors_least\tkernel\n");
    for (const auto& [name, t] : kernels) {
      const std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr), free);
      fprintf(file, "%lu\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\t%s\n", t.launches, t.instructions, t.tensor, t.shared_turns, t.shared_least, t.sectors,
              t.sectors_least, plain ? plain.get() : name.c_str());
    }
    fclose(file);
  }
};
Profile profile;

}  // namespace

void count(const Kernel& kernel) {
  traffic = profile.on ? &profile.kernels[kernel.name] : nullptr;
  if (traffic) ++traffic->launches;
}
void counting(bool on) {
  profile.kernels.clear();
  profile.on = on;
}
Traffic counted(const char* part) {
  Traffic sum = {};
  for (const auto& [name, t] : profile.kernels) {
    if (name.find(part) == name.npos) continue;
    sum.launches += t.launches, sum.instructions += t.instructions, sum.tensor += t.tensor;
    sum.shared_turns += t.shared_turns, sum.shared_least += t.shared_least, sum.sectors += t.sectors, sum.sectors_least += t.sectors_least;
  }
  return sum;
}

// 128 bytes go at a time: 8 lanes' 16 bytes, 16 lanes' 8, 32 lanes' 4 or less. A bank gives one word a turn, to whoever wants it.
void count_shared(const uint64_t (&addresses)[LANES], Mask active, size_t bytes) {
  const int together = int(std::min<size_t>(LANES, BANKS * BANK / std::max(bytes, BANK)));
  for (int first = 0; first < LANES; first += together) {
    std::vector<uint64_t> words[BANKS];
    size_t turns = 0, wanted = 0;
    for (int i = first; i < first + together; ++i) {
      if (!(active >> i & 1)) continue;
      for (uint64_t word = addresses[i] / BANK; word <= (addresses[i] + bytes - 1) / BANK; ++word) {
        std::vector<uint64_t>& bank = words[word % BANKS];
        if (std::find(bank.begin(), bank.end(), word) != bank.end()) continue;
        bank.push_back(word);
        turns = std::max(turns, bank.size());
        ++wanted;
      }
    }
    traffic->shared_turns += turns;
    traffic->shared_least += (wanted + BANKS - 1) / BANKS;
  }
}

void count_global(const uint64_t (&addresses)[LANES], Mask active, size_t bytes) {
  std::vector<uint64_t> sectors, words;
  for (int i = 0; i < LANES; ++i) {
    if (!(active >> i & 1)) continue;
    for (uint64_t at = addresses[i] / SECTOR; at <= (addresses[i] + bytes - 1) / SECTOR; ++at) sectors.push_back(at);
    words.push_back(addresses[i]);
  }
  const auto distinct = [](std::vector<uint64_t>& all) {
    std::sort(all.begin(), all.end());
    return size_t(std::unique(all.begin(), all.end()) - all.begin());
  };
  traffic->sectors += distinct(sectors);
  traffic->sectors_least += (distinct(words) * bytes + SECTOR - 1) / SECTOR;
}

}  // namespace ptx
