// Conversions, bias + activation, dropout, rows, casts.
#include "cuda_types.h"
#include "simt_harness.h"

namespace {

uint16_t bits_of(_Float16 h) {
  uint16_t bits;
  memcpy(&bits, &h, 2);
  return bits;
}

bool same(float a, float b) { return memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }

struct Shape {
  int64_t rows, columns;
};
const std::vector<Shape> shapes = {{1, 1}, {3, 2}, {31, 32}, {33, 97}, {5, 768}, {700, 8}, {2, 1040}};

}  // namespace

void test_types() {
  int wrong = 0;
  for (uint32_t u = 0; u < 65536; ++u) {  // every half, and the midpoints between neighbours
    _Float16 h;
    const uint16_t bits = uint16_t(u);
    memcpy(&h, &bits, 2);
    const float x = float(h);
    wrong += !same(__half2float({bits}), x);
    if (std::isnan(x)) {
      wrong += !std::isnan(__half2float(__float2half_rn(x)));
      continue;
    }
    for (int step : {-4097, -4096, -4095, -1, 0, 1, 4095, 4096, 4097}) {
      uint32_t near;
      memcpy(&near, &x, 4);
      near += uint32_t(step);
      float y;
      memcpy(&y, &near, 4);
      if (!std::isnan(y)) wrong += __float2half_rn(y).bits != bits_of(_Float16(y));
    }
  }
  std::mt19937 generator(1);
  for (int i = 0; i < 1000000; ++i) {
    const uint32_t u = generator();
    float x;
    memcpy(&x, &u, 4);
    if (std::isnan(x)) {
      wrong += !std::isnan(__bfloat162float(__float2bfloat16_rn(x)));
      continue;
    }
    wrong += __float2half_rn(x).bits != bits_of(_Float16(x));
    // bfloat16: the nearest of the two neighbours, the even one of two as near
    const uint32_t low = u & 0xffff0000u, high = low + 0x10000u, rest = u & 0xffffu;
    const uint32_t nearest = rest < 0x8000 || (rest == 0x8000 && !(u >> 16 & 1)) ? low : high;
    wrong += __float2bfloat16_rn(x).bits != nearest >> 16;
  }
  CHECK(wrong == 0, "%d conversions", wrong);
}

static void test_bias_activation() {
  for (wb_dtype type : all_types) {
    for (const Shape& s : shapes) {
      for (int kind = WB_IDENTITY; kind <= WB_TANH; ++kind) {
        const auto activation = wb_activation(kind);
        const bool with_bias = kind != WB_RELU, in_place = kind % 2 == 1, misaligned = kind == WB_TANH;
        const int64_t N = s.rows, C = s.columns;
        const Floats x = rounded(type, random_floats(N * C, 1, 2)), dy = rounded(type, random_floats(N * C, 2));
        const Floats bias = with_bias ? random_floats(C, 3) : Floats(C, 0.0f), before = random_floats(C, 4);
        Doubles y(N * C), dx(N * C), dbias = widen(before);
        for (int64_t i = 0; i < N * C; ++i) {
          const double v = double(x[i]) + double(bias[i % C]);
          y[i] = reference::activation(activation, v);
          dx[i] = double(dy[i]) * reference::slope(activation, v);
          dbias[i % C] += dx[i];
        }
        const std::string name = std::string("bias_activation ") + name_of(type) + " " + std::to_string(N) + "x" +
                                 std::to_string(C) + " kind " + std::to_string(kind);
        const double t = tolerance(type);
        check_schedules(
            name,
            [&](wb_context* ctx) {
              Tensor tx(ctx, type, x, misaligned), tb(ctx, WB_F32, bias), other(ctx, type, N * C, misaligned);
              Tensor& ty = in_place ? tx : other;
              OK(ops->bias_activation_forward(ctx, type, ty.data(), tx.data(), with_bias ? tb.floats() : nullptr, activation,
                                              N, C));
              const Floats forward = ty.values();
              tx.set(x);
              Tensor tdy(ctx, type, dy, misaligned), tdx(ctx, type, N * C, misaligned), tdb(ctx, WB_F32, before);
              Tensor workspace(ctx, WB_F32, WB_REDUCE_BLOCKS * C);
              Tensor& out = in_place ? tdy : tdx;
              OK(ops->bias_activation_backward(ctx, type, out.data(), tdb.floats(), workspace.floats(), tdy.data(),
                                               kind == WB_IDENTITY ? nullptr : tx.data(), with_bias ? tb.floats() : nullptr,
                                               activation, N, C));
              const Floats backward = out.values();
              tdy.set(dy);
              OK(ops->bias_activation_backward(ctx, type, tdx.data(), nullptr, nullptr, tdy.data(), tx.data(),
                                               with_bias ? tb.floats() : nullptr, activation, N, C));
              return Outputs{forward, backward, tdb.values(), tdx.values()};
            },
            {y, dx, dbias, dx}, {t, t, 4e-6, t}, 1e-6);
      }
    }
  }
}

static void test_dropout() {
  for (wb_dtype type : all_types) {
    for (const Shape& s : shapes) {
      for (float p : {0.0f, 0.3f}) {
        const int64_t N = s.rows, C = s.columns;
        Floats x = rounded(type, random_floats(N * C, 5));
        std::vector<int32_t> rows = random_ints(N, 6, 1 << 30);
        reference::Dropout d;
        d.p = p;
        d.site = 17;
        d.rng[0] = 0x123456789abcdefll;
        d.rng[1] = 42;
        d.rows = rows.data();
        Doubles y(N * C);
        for (int64_t i = 0; i < N * C; ++i) y[i] = double(x[i]) * d.factor(i / C, i % C, C);
        check_schedules(
            std::string("dropout ") + name_of(type) + " " + std::to_string(C),
            [&](wb_context* ctx) {
              Tensor tx(ctx, type, x), ty(ctx, type, N * C);
              Elements<int32_t> trows(ctx, rows);
              Elements<int64_t> rng(ctx, {d.rng[0], d.rng[1]});
              OK(ops->dropout_forward(ctx, type, ty.data(), tx.data(), p, d.site, p > 0 ? (int64_t*)rng : nullptr,
                                      p > 0 ? (int32_t*)trows : nullptr, N, C));
              OK(ops->dropout_backward(ctx, type, tx.data(), tx.data(), p, d.site, rng, trows, N, C));
              return Outputs{ty.values(), tx.values()};
            },
            {y, y}, {tolerance(type), tolerance(type)});
      }
    }
  }
}

static void test_gather() {
  for (wb_dtype type : all_types) {
    for (int64_t H : {1, 24, 97, 768}) {
      const int64_t T = 13, N = 6;
      const std::vector<int32_t> rows = {12, 0, 5, 7, 1, 13};  // the last is outside
      const Floats x = rounded(type, random_floats(T * H, 7)), dy = rounded(type, random_floats(N * H, 8));
      Doubles y(N * H, NAN), dx(T * H, 0.0);
      for (int64_t i = 0; i < (N - 1) * H; ++i) {
        y[i] = x[rows[i / H] * H + i % H];
        dx[rows[i / H] * H + i % H] = dy[i];
      }
      check_schedules(
          std::string("gather_rows ") + name_of(type),
          [&](wb_context* ctx) {
            Tensor tx(ctx, type, x), ty(ctx, type, N * H), tdy(ctx, type, dy), tdx(ctx, type, T * H);
            Elements<int32_t> trows(ctx, rows);
            OK(ops->gather_rows_forward(ctx, type, ty.data(), tx.data(), trows, N, T, H));
            OK(ops->gather_rows_backward(ctx, type, tdx.data(), tdy.data(), trows, N, T, H));
            return Outputs{ty.values(), tdx.values()};
          },
          {y, dx}, {0, 0});
    }
  }
}

static void test_cast() {
  for (wb_dtype from : all_types) {
    for (wb_dtype to : all_types) {
      for (int64_t n : {1, 7, 8, 9, 5000}) {
        Floats x = rounded(from, random_floats(n, 9));
        const Floats special = {INFINITY, -INFINITY, NAN, -0.0f, 1e-7f, 65519.0f, 65520.0f};
        for (size_t i = 0; i < special.size() && int64_t(i) + 1 < n; ++i) x[i] = special[i];
        x = rounded(from, x);
        for (bool misaligned : {false, true}) {
          check_schedules(
              std::string("cast ") + name_of(from) + " to " + name_of(to) + " " + std::to_string(n),
              [&](wb_context* ctx) {
                Tensor tx(ctx, from, x, misaligned), ty(ctx, to, n);
                OK(ops->cast(ctx, ty.data(), to, tx.data(), from, n));
                return Outputs{ty.values()};
              },
              {widen(rounded(to, x))}, {0});
        }
      }
    }
  }
}

void test_elementwise() {
  test_bias_activation();
  test_dropout();
  test_gather();
  test_cast();
}
