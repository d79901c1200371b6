// Our own matrix products, and weights packed for them. They are the JNI library's, not the backends': so here they are linked in.
#include "../../native/jni/product.h"

#include "harness.h"

// The dispatcher's.
wb_status wb_parallel(wb_context* ctx, void (*function)(const void*, int64_t), const void* argument, int64_t pieces) {
  return ctx->ops->parallel(ctx, function, argument, pieces);
}

namespace {

struct Sizes { int64_t m, n, k; };
// less than a tile; one more and one less than tiles, panels, pieces; beyond a block's height and depth
const Sizes kSizes[] = {{1, 1, 1}, {7, 47, 5}, {9, 49, 17}, {33, 97, 31}, {64, 192, 383}, {65, 193, 385}, {1537, 50, 9}, {300, 721, 400}, {3, 3121, 770}};
const int kThreads = 5; // pieces are handed to as many threads as a context has

Doubles multiplied(Sizes s, const Floats& a, const Floats& b, const Floats& before) { // a [m,k], b [k,n]
  Doubles c = widen(before);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t d = 0; d < s.k; ++d) {
      for (int64_t j = 0; j < s.n; ++j) c[i * s.n + j] += (double)a[i * s.k + d] * b[d * s.n + j];
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

void product_case(Sizes s, bool add) {
  const Floats a = random_floats(s.m * s.k, 1), b = random_floats(s.k * s.n, 2);
  const Floats before = add ? random_floats(s.m * s.n, 3) : Floats(s.m * s.n, 0.0f);
  const Floats a_columns = transposed(a, s.m, s.k), b_columns = transposed(b, s.k, s.n);
  const Doubles expected = multiplied(s, a, b, before);
  const std::string name = "product " + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) + (add ? " added" : "");
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Outputs outputs;
    Floats plain; // of operands as a forward has them
    for (bool left : {false, true}) {
      for (bool right : {true, false}) {
        Input<float> x(left ? a_columns : a), w(right ? b_columns : b);
        Buffer<float> written(s.m * s.n), added(before);
        float* c = add ? added.data() : written.data();
        OK(warpbert::product(ctx, kThreads, s.m, s.n, s.k, {x.data(), left ? s.m : s.k, left, false},
            {w.data(), right ? s.k : s.n, right, false}, add, c, s.n));
        outputs.push_back((add ? added : written).values());
        if (plain.empty()) plain = outputs.back();
      }
    }
    Input<float> x(a);
    Buffer<float> w(b_columns), written(s.m * s.n), added(before);
    OK(warpbert::pack_weights(ctx, kThreads, s.n, s.k, w));
    OK(warpbert::product(ctx, kThreads, s.m, s.n, s.k, {x.data(), s.k, false, false}, {w.data(), s.k, true, true}, add,
        add ? added.data() : written.data(), s.n));
    CHECK((add ? added : written).values() == plain, "packed weights give other bits");
    return outputs;
  }, Reference(4, expected));
}

}  // namespace

void test_products() {
  if (!warpbert::has_product()) {
    printf("  no products of our own: this processor lacks AVX-512\n");
    return;
  }
  for (Sizes s : kSizes) {
    for (bool add : {false, true}) product_case(s, add);
  }
}
