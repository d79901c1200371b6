// Shuffles, tensor-core instructions and asynchronous copies, as the PTX manual defines their fragments.
#include <string.h>

#include "scheduler.h"

namespace simt {

namespace {

void exchange(void* const operands[32], uint32_t mask, Site site) {
  for (int i = 0; i < WARP; ++i) {
    if (!(mask >> i & 1)) continue;
    Shuffle& s = *static_cast<Shuffle*>(operands[i]);
    if (s.source > 31 || !(mask >> s.source & 1)) {
      fault("lane %d shuffles from lane %d, which is not in mask %08x (%s:%d)", i, s.source, mask, site.file, site.line);
    }
    s.result = static_cast<Shuffle*>(operands[s.source])->value;
  }
}

struct Multiply {
  float* c;
  const uint32_t *a, *b;
  MatrixType type;
};

float element(uint32_t pair, int which, MatrixType type) {
  const uint16_t bits = uint16_t(pair >> 16 * which);
  return type == FLOAT16 ? __half2float({bits}) : __bfloat162float({bits});
}

// C[16,8] += A[16,16] B[16,8]; with g = lane / 4, t = lane % 4 a lane holds rows g, g+8 of A and C, column g of B.
void multiply(void* const operands[32], uint32_t, Site) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < WARP; ++lane) {
    const Multiply& m = *static_cast<Multiply*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int which = 0; which < 2; ++which) {
      for (int i = 0; i < 4; ++i) a[g + 8 * (i % 2)][2 * t + which + 8 * (i / 2)] = element(m.a[i], which, m.type);
      for (int i = 0; i < 2; ++i) b[2 * t + which + 8 * i][g] = element(m.b[i], which, m.type);
    }
  }
  float c[16][8] = {};
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) {
      for (int j = 0; j < 8; ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  for (int lane = 0; lane < WARP; ++lane) {
    float* out = static_cast<Multiply*>(operands[lane])->c;
    for (int i = 0; i < 4; ++i) out[i] += c[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
  }
}

struct Load {
  const unsigned char* row;
  uint32_t* fragments;
  bool transposed;
};

// Four 8x8 matrices of 16-bit elements: lane 8m+r brings the address of row r of matrix m.
void load(void* const operands[32], uint32_t, Site) {
  for (int m = 0; m < 4; ++m) {
    uint16_t matrix[8][8];
    for (int r = 0; r < 8; ++r) memcpy(matrix[r], static_cast<Load*>(operands[8 * m + r])->row, 16);
    for (int lane = 0; lane < WARP; ++lane) {
      const Load& l = *static_cast<Load*>(operands[lane]);
      const int g = lane / 4, t = 2 * (lane % 4);
      const uint32_t low = l.transposed ? matrix[t][g] : matrix[g][t];
      const uint32_t high = l.transposed ? matrix[t + 1][g] : matrix[g][t + 1];
      l.fragments[m] = low | high << 16;
    }
  }
}

void check_shared(const void* address, size_t bytes, const char* what) {
  const long offset = static_cast<const unsigned char*>(address) - shared;
  if (offset < 0 || offset + bytes > block.shared_bytes) {
    fault("%s at byte %ld of %zu bytes of shared memory", what, offset, block.shared_bytes);
  }
}

}  // namespace

void shuffle(Shuffle& s, const char* op, uint32_t mask, Site site) { collective(op, mask, &s, exchange, site); }

void mma_16x8x16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], MatrixType type, Site site) {
  Multiply m{c, a, b, type};
  collective("mma", ~0u, &m, multiply, site);
}

void load_matrices(uint32_t (&fragments)[4], const void* row, bool transposed, Site site) {
  check_aligned(row, 16);
  check_shared(row, 16, "ldmatrix");
  race_read(row, 16);
  Load l{static_cast<const unsigned char*>(row), fragments, transposed};
  collective(transposed ? "ldmatrix.trans" : "ldmatrix", ~0u, &l, load, site);
}

void check_aligned(const void* address, size_t bytes) {
  if (uintptr_t(address) % bytes) {
    fault("thread %d accesses %zu bytes at once at an address that is not a multiple of %zu", current->number, bytes, bytes);
  }
}

void copy_async(void* destination, const void* source, bool valid) {
  check_aligned(destination, 16);
  check_shared(destination, 16, "cp.async");
  if (valid) {
    check_aligned(source, 16);
    race_read(source, 16);
  }
  race_write(destination, 16);
  memset(destination, 0xff, 16);  // NaN until it lands
  current->copies.push_back({static_cast<unsigned char*>(destination),
                             valid ? static_cast<const unsigned char*>(source) : nullptr, current->copy_group});
}

void commit_copies() { ++current->copy_group; }

void wait_copies(unsigned in_flight) {
  std::vector<Copy>& copies = current->copies;
  size_t landed = 0;
  for (; landed < copies.size() && copies[landed].group + in_flight < current->copy_group; ++landed) {
    const Copy& c = copies[landed];
    race_write(c.destination, 16);
    if (c.source) {
      memcpy(c.destination, c.source, 16);
    } else {
      memset(c.destination, 0, 16);
    }
  }
  copies.erase(copies.begin(), copies.begin() + landed);
}

}  // namespace simt
