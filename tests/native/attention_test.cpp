// Attention over packed sequences.
#include <algorithm>
#include <numeric>

#include "reference.h"

namespace {

struct Case {
  std::vector<int32_t> lengths;
  int64_t A, D;
  float dropout;
  bool masked;
};

std::vector<int32_t> cumulate(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> cu = {0};
  for (int32_t length : lengths) cu.push_back(cu.back() + length);
  return cu;
}

void attention_case(const Case& c) {
  const std::vector<int32_t> cu = cumulate(c.lengths);
  const int64_t T = cu.back(), A = c.A, D = c.D, B = (int64_t)c.lengths.size();
  const std::string name = "attention T=" + std::to_string(T) + " A=" + std::to_string(A) + " D=" + std::to_string(D)
      + (c.dropout > 0 ? " dropout" : "") + (c.masked ? " masked" : "");
  const float scale = 1 / std::sqrt((float)D);
  std::vector<int32_t> batch_rows(T);
  for (int64_t t = 0; t < T; ++t) batch_rows[t] = (int32_t)(t * 5 + 1);
  const reference::Dropout drop{c.dropout, 9, {123, 45}, batch_rows.data()};
  const Floats qkv = random_floats(T * 3 * A * D, 61), dout = random_floats(T * A * D, 62);
  std::vector<uint8_t> mask;
  if (c.masked) { // a third of the keys, and all keys of the last sequence
    for (int64_t t = 0; t < T; ++t) mask.push_back(t % 3 != 1 && t < cu[B - 1]);
  }
  const reference::Attention expected = reference::attention(widen(qkv), cu, mask, scale, drop, A, D);
  const Doubles gradient = reference::attention_backward(widen(dout), widen(qkv), cu, mask, scale, drop, A, D);
  const Floats before = random_floats(3 * A * D, 63);
  Doubles dbias = widen(before);
  for (size_t i = 0; i < gradient.size(); ++i) dbias[i % dbias.size()] += gradient[i];
  Floats out32(T * A * D), lse32(A * T);
  for (size_t i = 0; i < out32.size(); ++i) out32[i] = (float)expected.out[i];
  for (size_t i = 0; i < lse32.size(); ++i) lse32[i] = (float)expected.lse[i];
  Floats poisoned = qkv; // what a masked key holds must not matter
  for (int64_t t = 0; t < T && c.masked; ++t) {
    if (!mask[t]) std::fill_n(poisoned.begin() + (t * 3 + 1) * A * D, 2 * A * D, NAN);
  }
  Input<int32_t> lengths(cu), rows(batch_rows);
  Input<uint8_t> keys(mask);
  Input<int64_t> rng({drop.rng[0], drop.rng[1]});
  const int64_t longest = B ? *std::max_element(c.lengths.begin(), c.lengths.end()) : 0;
  check_case(name, [&](wb_context* ctx) -> Outputs {
    Buffer<float> out(T * A * D), plain(T * A * D), lse(A * T), dqkv(T * 3 * A * D), without(T * 3 * A * D);
    Buffer<float> sums(before), workspace(A * T), workspace_of_sums(A * T + 3 * WB_REDUCE_BLOCKS * A * D);
    Input<float> in(poisoned), d(dout), o(out32), l(lse32);
    uint8_t* m = c.masked ? keys.data() : nullptr;
    OK(ctx->ops->attention_forward(ctx, WB_F32, out, lse, in, lengths, m, scale, drop.p, drop.site, rng, rows, T, B, A,
                                   D, longest, longest));
    OK(ctx->ops->attention_forward(ctx, WB_F32, plain, nullptr, in, lengths, m, scale, drop.p, drop.site, rng, rows, T,
                                   B, A, D, longest, longest));
    CHECK(out.values() == plain.values(), "without lse another result");
    OK(ctx->ops->attention_backward(ctx, WB_F32, dqkv, sums, workspace_of_sums, d, o, l, in, lengths, m, scale, drop.p,
                                    drop.site, rng, rows, T, B, A, D, longest, longest));
    OK(ctx->ops->attention_backward(ctx, WB_F32, without, nullptr, workspace, d, o, l, in, lengths, m, scale, drop.p,
                                    drop.site, rng, rows, T, B, A, D, longest, longest));
    CHECK(dqkv.values() == without.values(), "with dbias another dqkv");
    return {out.values(), lse.values(), dqkv.values(), sums.values()};
  }, {expected.out, expected.lse, gradient, dbias}, 4e-6);
}

// Where only the first tokens of each sequence ask, the others' rows of out and lse stay as they are, what they hold of dout does not
// matter, and their dq is 0.
void asking_case(const Case& c, int64_t queries) {
  const std::vector<int32_t> cu = cumulate(c.lengths);
  const int64_t T = cu.back(), A = c.A, D = c.D, B = (int64_t)c.lengths.size();
  const reference::Dropout drop{c.dropout, 9, {123, 45}, nullptr};
  const Floats qkv = random_floats(T * 3 * A * D, 63);
  Floats dout = random_floats(T * A * D, 64);
  std::vector<bool> asks(T);
  for (int64_t b = 0; b < B; ++b) {
    for (int32_t t = cu[b]; t < cu[b + 1]; ++t) asks[t] = t - cu[b] < queries;
  }
  for (int64_t i = 0; i < T * A * D; ++i) dout[i] = asks[i / (A * D)] ? dout[i] : 0;
  reference::Attention expected = reference::attention(widen(qkv), cu, {}, 0.3f, drop, A, D);
  const Doubles gradient = reference::attention_backward(widen(dout), widen(qkv), cu, {}, 0.3f, drop, A, D);
  Floats out32(T * A * D), lse32(A * T);
  for (int64_t i = 0; i < T * A * D; ++i) out32[i] = asks[i / (A * D)] ? (float)expected.out[i] : NAN;
  for (int64_t i = 0; i < A * T; ++i) lse32[i] = asks[i % T] ? (float)expected.lse[i] : NAN;
  for (int64_t i = 0; i < T * A * D; ++i) {
    if (!asks[i / (A * D)]) expected.out[i] = dout[i] = NAN; // as a buffer begins
  }
  for (int64_t i = 0; i < A * T; ++i) expected.lse[i] = asks[i % T] ? expected.lse[i] : NAN;
  Input<int32_t> lengths(cu);
  Input<int64_t> rng({drop.rng[0], drop.rng[1]});
  const int64_t longest = *std::max_element(c.lengths.begin(), c.lengths.end());
  check_case("attention of " + std::to_string(queries) + " queries, T=" + std::to_string(T), [&](wb_context* ctx) -> Outputs {
    Buffer<float> out(T * A * D), lse(A * T), dqkv(T * 3 * A * D), workspace(A * T);
    Input<float> in(qkv), d(dout), o(out32), l(lse32);
    OK(ctx->ops->attention_forward(ctx, WB_F32, out, lse, in, lengths, nullptr, 0.3f, drop.p, drop.site, rng, nullptr, T, B, A, D, longest,
                                   queries));
    OK(ctx->ops->attention_backward(ctx, WB_F32, dqkv, nullptr, workspace, d, o, l, in, lengths, nullptr, 0.3f, drop.p, drop.site, rng, nullptr, T, B, A,
                                    D, longest, queries));
    return {out.values(), lse.values(), dqkv.values()};
  }, {expected.out, expected.lse, gradient}, 4e-6);
}

void derivatives() {
  const std::vector<int32_t> cu = {0, 3, 3, 8};
  const int64_t T = 8, A = 2, D = 3;
  const Doubles qkv = widen(random_floats(T * 3 * A * D, 71)), dout = widen(random_floats(T * A * D, 72));
  const std::vector<uint8_t> mask = {1, 0, 1, 1, 1, 0, 1, 1};
  for (float p : {0.0f, 0.3f}) {
    const reference::Dropout drop{p, 9, {5, 6}, nullptr};
    check_derivative("derivative of attention", [&](const Doubles& at) {
      const Doubles out = reference::attention(at, cu, mask, 0.7, drop, A, D).out;
      return std::inner_product(out.begin(), out.end(), dout.begin(), 0.0);
    }, qkv, reference::attention_backward(dout, qkv, cu, mask, 0.7, drop, A, D));
  }
}

// One value of q, k or v that is not finite: it must show in what it reaches, and nowhere else.
void strange_values() {
  for (const NamedContext& c : contexts()) {
    if (c.threads != 2) continue;
    current = "attention of strange values on " + c.isa;
    const int64_t A = 2, D = 32, T = 30;
    for (int64_t which = 0; which < 3; ++which) {
      Floats x = random_floats(T * 3 * A * D, 81);
      x[((2 * 3 + which) * A + 1) * D + 7] = NAN; // token 2, head 1, in the first of two sequences
      Input<float> qkv(x);
      Input<int32_t> cu(std::vector<int32_t>{0, 11, 30});
      Buffer<float> out(T * A * D), lse(A * T);
      OK(c.ctx->ops->attention_forward(c.ctx, WB_F32, out, lse, qkv, cu, nullptr, 0.2f, 0, 0, nullptr, nullptr, T, 2, A,
                                       D, 19, 19));
      for (int64_t i = 0; i < T * A * D; ++i) {
        const int64_t t = i / (A * D), head = i / D % A, d = i % D;
        const bool reached = head == 1 && t < 11 && (which == 0 ? t == 2 : which == 1 || d == 7);
        CHECK(std::isnan(out[i]) == reached, "NaN in %lld: out[%lld] = %g", (long long)which, (long long)i, out[i]);
      }
    }
    // Scores far apart and far from 0 must neither overflow nor divide by 0.
    Floats x = random_floats(T * 3 * A * D, 82, 60.0f);
    Input<float> qkv(x);
    Input<int32_t> cu(std::vector<int32_t>{0, 30});
    Buffer<float> out(T * A * D), lse(A * T);
    OK(c.ctx->ops->attention_forward(c.ctx, WB_F32, out, lse, qkv, cu, nullptr, 1.0f, 0, 0, nullptr, nullptr, T, 1, A, D,
                                     T, T));
    const reference::Dropout none;
    compare("large scores", out.values(), reference::attention(widen(x), {0, 30}, {}, 1.0, none, A, D).out, 1e-2);
  }
}

// Nothing in the op may depend on a sequence fitting anywhere: 65,536 tokens, with equal keys and values, average to
// the value. (Few heads and columns, and one instruction set: it is 4 * 10^9 scores.)
void longest_sequence() {
  current = "attention of 65,536 tokens";
  const int64_t T = 65536, A = 1, D = 4;
  std::vector<float> qkv(T * 3 * D, 0.5f), out(T * D, NAN), lse(T, NAN);
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t d = 0; d < D; ++d) qkv[(t * 3 + 2) * D + d] = t % 2 ? 1.0f : 3.0f;
  }
  const int32_t cu[] = {0, (int32_t)T};
  wb_context* ctx = contexts().back().ctx;
  OK(ctx->ops->attention_forward(ctx, WB_F32, out.data(), lse.data(), qkv.data(), cu, nullptr, 1, 0, 0, nullptr, nullptr,
                                 T, 1, A, D, T, T));
  for (int64_t i = 0; i < T * D; ++i) CHECK(std::fabs(out[i] - 2) < 1e-4, "[%lld] = %g", (long long)i, out[i]);
  for (int64_t t = 0; t < T; ++t) CHECK(std::fabs(lse[t] - (1 + std::log(65536.0))) < 1e-4, "lse %g", lse[t]);
}

void refusals() {
  wb_context* ctx = contexts()[0].ctx;
  current = "attention refused";
  Buffer<float> out(2 * 257), lse(2);
  Input<float> qkv(Floats(2 * 3 * 257, 0.0f));
  Input<int32_t> cu(std::vector<int32_t>{0, 2}), short_cu(std::vector<int32_t>{0, 1}), back(std::vector<int32_t>{0, 3, 2});
  const auto run = [&](wb_dtype dtype, int32_t* lengths, int64_t B, int64_t D, float scale = 1) {
    return ctx->ops->attention_forward(ctx, dtype, out, lse, qkv, lengths, nullptr, scale, 0, 0, nullptr, nullptr, 2, B, 1, D, 2, 2);
  };
  CHECK(run(WB_F32, cu, 1, 257) == WB_UNSUPPORTED, "head size 257");
  CHECK(run(WB_F32, cu, 1, 64, 0) == WB_INVALID_ARGUMENT, "scale 0");
  CHECK(run(WB_F16, cu, 1, 64) == WB_UNSUPPORTED, "float16");
  CHECK(strstr(wb_backend()->last_error(), "attention_forward"), "no text: %s", wb_backend()->last_error());
  CHECK(run(WB_F32, short_cu, 1, 64) == WB_INVALID_ARGUMENT, "cu_seqlens that ends early");
  CHECK(run(WB_F32, back, 2, 64) == WB_INVALID_ARGUMENT, "cu_seqlens that goes back");
}

}  // namespace

void test_attention() {
  for (bool masked : {false, true}) {
    for (float dropout : {0.0f, 0.25f}) {
      attention_case({{1}, 1, 1, dropout, masked});
      attention_case({{11, 1, 0, 64, 7, 33}, 3, 64, dropout, masked});
      attention_case({{5, 65, 128, 31}, 2, 32, dropout, masked});
      attention_case({{200, 3}, 1, 97, dropout, masked});
      attention_case({{31, 32, 33}, 2, 31, dropout, masked});
      attention_case({{70, 9}, 1, 256, dropout, masked});
    }
  }
  attention_case({{1025}, 1, 33, 0.1f, false});
  asking_case({{11, 1, 0, 64, 7, 33}, 3, 64, 0.2f, false}, 1);
  asking_case({{200, 3, 66}, 1, 97, 0.0f, false}, 65);
  attention_case({{}, 2, 32, 0.0f, false});
  attention_case({{0, 0}, 2, 32, 0.0f, false});
  derivatives();
  strange_values();
  if (!getenv("WARPBERT_TEST_QUICK")) longest_sequence(); // minutes under a sanitizer
  refusals();
}
