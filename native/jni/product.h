// Matrix products of our own: of float32, for CPUs with AVX2 or AVX-512, and of operands rounded to bfloat16, for those with AVX512-BF16.
// A row of c has the same bits whatever the other rows are and on any number of threads.
#ifndef WARPBERT_PRODUCT_H
#define WARPBERT_PRODUCT_H

#include "warpbert.h"

namespace warpbert {

// A matrix as it is stored: element (i, j) is at[i * row + j], or at[j * row + i] where it is transposed. `packed`: a right
// operand as pack_weights() of the same kind left it, which is transposed.
struct Matrix {
  const float* at;
  int64_t row;
  bool transposed, packed;
};

// Products of one kind.
struct Products {
  // Whether this CPU can run them.
  bool (*had)();

  // c[m,n] = a[m,k] b[k,n], added to what c holds where `add`.
  wb_status (*product)(wb_context* ctx, int32_t threads, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool add, float* c,
      int64_t c_row);

  // Rearranges w[n,k] in place: as many rows at a time as a panel has columns become the panel that product() would make of them at
  // each call. Rows that are left over stay as they are.
  wb_status (*pack_weights)(wb_context* ctx, int32_t threads, int64_t n, int64_t k, float* w);
};

// Of float32; a panel is [k][48], with AVX2 [k][16].
namespace f32 { extern const Products products; }
namespace f32_avx2 { extern const Products products; }

// Of operands that are rounded to bfloat16 as they are packed; c and sums are float32. A panel is [k / 2][48] pairs, so that packed
// weights take the first half of the room they had.
namespace bf16 { extern const Products products; }

}  // namespace warpbert
#endif
