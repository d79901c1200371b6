// Matrix products of our own, for CPUs with AVX-512: of float32, and of operands rounded to bfloat16 where the CPU has AVX512-BF16.
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

  // c[m,n] = a[m,k] b[k,n], added to what c holds where `add`. The same bits on any number of threads.
  wb_status (*product)(wb_context* ctx, int32_t threads, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool add, float* c,
      int64_t c_row);

  // Rearranges w[n,k] in place: 48 rows at a time become the panel that product() would make of them at each call. Rows that are
  // left over stay as they are.
  wb_status (*pack_weights)(wb_context* ctx, int32_t threads, int64_t n, int64_t k, float* w);
};

// Of float32; a panel is [k][48].
namespace f32 { extern const Products products; }

// Of operands that are rounded to bfloat16 as they are packed; c and sums are float32. A panel is [k / 2][48] pairs, so that packed
// weights take the first half of the room they had.
namespace bf16 { extern const Products products; }

}  // namespace warpbert
#endif
