// Our own matrix products, and weights packed for them. They are the JNI library's, not the backends': so here they are linked in.
#include "../../native/jni/product.h"

#include "harness.h"

// The dispatcher's.
wb_status wb_parallel(wb_context* ctx, void (*function)(const void*, int64_t), const void* argument, int64_t pieces) {
  return ctx->ops->parallel(ctx, function, argument, pieces);
}

namespace {

// Products of one kind, and what they make of an operand before it is multiplied.
struct Kind {
  std::string name;
  const warpbert::Products& products;
  float (*rounded)(float);
};

float as_it_is(float x) { return x; }

// To bfloat16, to nearest, ties to even.
float rounded_to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (std::isnan(x)) return x;
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  memcpy(&x, &bits, 4);
  return x;
}

const Kind kNarrow = {"AVX2 product ", warpbert::f32_avx2::products, as_it_is};
const Kind kFloats = {"product ", warpbert::f32::products, as_it_is};
const Kind kPairs = {"bf16 product ", warpbert::bf16::products, rounded_to_bf16};

struct Sizes { int64_t m, n, k; };
// less than a tile; one more and one less than tiles, panels, pieces; beyond a block's height and depth
const Sizes kSizes[] = {{1, 1, 1}, {7, 47, 5}, {9, 49, 17}, {33, 97, 31}, {64, 192, 383}, {65, 193, 385}, {1537, 50, 9}, {1153, 15, 9}, {13, 193, 33}, {300, 721, 400}, {3, 3121, 770}, {17, 51, 771}};
const int64_t kGap = 3;
const int kThreads = 5; // pieces are handed to as many threads as a context has

Doubles multiplied(const Kind& kind, Sizes s, const Floats& a, const Floats& b, const Floats& before) { // a [m,k], b [k,n]
  Doubles c = widen(before);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t d = 0; d < s.k; ++d) {
      for (int64_t j = 0; j < s.n; ++j) c[i * s.n + j] += (double)kind.rounded(a[i * s.k + d]) * kind.rounded(b[d * s.n + j]);
    }
  }
  return c;
}

Floats transposed(const Floats& x, int64_t rows, int64_t columns) {
  Floats y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) y[j * rows + i] = x[i * columns + j];
  }
  return y;
}

// Rows with a gap of NaN behind each: what is no part of a matrix is not read.
Floats spread(const Floats& x, int64_t rows, int64_t columns) {
  Floats y(rows * (columns + kGap), NAN);
  for (int64_t i = 0; i < rows; ++i) std::copy_n(&x[i * columns], columns, &y[i * (columns + kGap)]);
  return y;
}

void product_case(const Kind& kind, Sizes s, bool add, bool finite) {
  Floats a = random_floats(s.m * s.k, 1), b = random_floats(s.k * s.n, 2);
  if (!finite) {
    for (int64_t i = 0; i < s.m; ++i) a[i * s.k + s.k / 2] = 0.25f;
    b[s.k / 2 * s.n] = 3.4e38f; // finite, and beyond bfloat16
    a[s.k - 1] = NAN; // of the first row
    a[s.m * s.k - 1] = INFINITY;
    b[s.k * s.n - 1] = -INFINITY;
  }
  const Floats before = add ? random_floats(s.m * s.n, 3) : Floats(s.m * s.n, 0.0f);
  const Floats b_columns = transposed(b, s.k, s.n);
  const Floats lefts[] = {spread(a, s.m, s.k), spread(transposed(a, s.m, s.k), s.k, s.m)};
  const Floats rights[] = {spread(b, s.k, s.n), spread(b_columns, s.n, s.k)};
  const Doubles expected = multiplied(kind, s, a, b, before);
  const std::string name = kind.name + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k)
      + (add ? " added" : "") + (finite ? "" : " not finite");
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Outputs outputs;
    Floats plain; // of operands as a forward has them
    for (bool left : {false, true}) {
      for (bool right : {true, false}) {
        Input<float> x(lefts[left]), w(rights[right]);
        Buffer<float> written(s.m * s.n), added(before);
        float* c = add ? added.data() : written.data();
        OK(kind.products.product(ctx, kThreads, s.m, s.n, s.k, {x.data(), (left ? s.m : s.k) + kGap, left, false},
            {w.data(), (right ? s.k : s.n) + kGap, right, false}, add, c, s.n));
        outputs.push_back((add ? added : written).values());
        if (plain.empty()) plain = outputs.back();
      }
    }
    Input<float> x(a);
    Buffer<float> w(b_columns), written(s.m * s.n), added(before);
    OK(kind.products.pack_weights(ctx, kThreads, s.n, s.k, w));
    OK(kind.products.product(ctx, kThreads, s.m, s.n, s.k, {x.data(), s.k, false, false}, {w.data(), s.k, true, true}, add,
        add ? added.data() : written.data(), s.n));
    const Floats packed = (add ? added : written).values();
    CHECK(memcmp(packed.data(), plain.data(), plain.size() * sizeof(float)) == 0, "packed weights give other bits");
    return outputs;
  }, Reference(4, expected));
}

}  // namespace

void test_products() {
  for (const Kind* kind : {&kNarrow, &kFloats, &kPairs}) {
    if (!kind->products.had()) {
      printf("  no %s: this processor lacks %s\n", kind->name.c_str(), kind == &kNarrow ? "AVX2" : kind == &kFloats ? "AVX-512" : "AVX512-BF16");
      continue;
    }
    for (Sizes s : kSizes) {
      for (bool add : {false, true}) {
        for (bool finite : {true, false}) product_case(*kind, s, add, finite);
      }
    }
  }
}
