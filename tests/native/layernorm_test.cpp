// Embeddings and residual LayerNorm.
#include <algorithm>
#include <numeric>

#include "reference.h"

namespace {

const int64_t kSizes[] = {1, 31, 32, 33, 97, 768, 1025};
const float kEps = 1e-12f; // BERT's

std::vector<int32_t> sorted_order(const std::vector<int32_t>& ids) {
  std::vector<int32_t> order(ids.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return ids[a] < ids[b]; });
  return order;
}

struct Shape { int64_t T, H; bool dropout, optional; };

void residual_case(Shape s, int alias) {
  const int64_t T = s.T, H = s.H;
  const float eps = H == 1 ? 1.0f : kEps; // one column is its own mean: the result is 0 times rstd
  const double floor = H == 1 ? 1e-6 : 0;
  const std::string name = "residual_layernorm " + std::to_string(T) + "x" + std::to_string(H)
      + (s.dropout ? " dropout" : "") + (s.optional ? "" : " bare") + " alias " + std::to_string(alias);
  std::vector<int32_t> batch_rows(T);
  for (int64_t t = 0; t < T; ++t) batch_rows[t] = (int32_t)(3 * t + 1);
  const reference::Dropout drop{s.dropout ? 0.2f : 0.0f, 3, {77, 5}, batch_rows.data()};
  const Floats x = random_floats(T * H, 11), bias = random_floats(H, 12), residual = random_floats(T * H, 13);
  const Floats gamma = random_floats(H, 14), beta = random_floats(H, 15), dy = random_floats(T * H, 16);
  const Floats old = random_floats(3 * H, 17); // what dbias, dgamma and dbeta hold before
  Doubles z(T * H);
  for (int64_t i = 0; i < T * H; ++i) {
    const double v = s.optional ? (double)x[i] + (double)bias[i % H] : x[i];
    z[i] = v * drop.factor(i / H, i % H, H) + (s.optional ? residual[i] : 0.0f);
  }
  const reference::Norm norm = reference::layernorm(z, widen(gamma), widen(beta), eps, T, H);
  Input<int32_t> rows(batch_rows);
  Input<int64_t> rng({drop.rng[0], drop.rng[1]});
  check_case(name + " forward", [&](wb_context* ctx) -> Outputs {
    Buffer<float> in(x), y(T * H), kept(T * H), mean(T), rstd(T);
    Input<float> b(bias), r(residual), g(gamma), e(beta);
    float* z_to = alias ? in.data() : kept.data();
    OK(ctx->ops->residual_layernorm_forward(ctx, WB_F32, y, z_to, mean, rstd, in, s.optional ? b.data() : nullptr,
        s.optional ? r.data() : nullptr, g, e, eps, drop.p, drop.site, s.dropout ? rng.data() : nullptr,
        s.dropout ? rows.data() : nullptr, T, H));
    // Inference: no z, and y in x's place.
    Buffer<float> again(x), other(T * H);
    float* y_to = alias ? again.data() : other.data();
    OK(ctx->ops->residual_layernorm_forward(ctx, WB_F32, y_to, nullptr, nullptr, nullptr, again,
        s.optional ? b.data() : nullptr, s.optional ? r.data() : nullptr, g, e, eps, drop.p, drop.site,
        s.dropout ? rng.data() : nullptr, s.dropout ? rows.data() : nullptr, T, H));
    return {y.values(), (alias ? in : kept).values(), mean.values(), rstd.values(), (alias ? again : other).values()};
  }, {norm.y, z, norm.mean, norm.rstd, norm.y}, 4e-6, floor);

  Floats z32(T * H), mean32(T), rstd32(T);
  for (int64_t i = 0; i < T * H; ++i) z32[i] = (float)z[i];
  const reference::Norm norm32 = reference::layernorm(widen(z32), widen(gamma), widen(beta), eps, T, H);
  for (int64_t t = 0; t < T; ++t) mean32[t] = (float)norm32.mean[t], rstd32[t] = (float)norm32.rstd[t];
  const reference::NormGradient gradient = reference::layernorm_backward(widen(dy), widen(z32), widen(gamma), eps, T, H);
  Doubles dx(T * H), sums = widen(old);
  for (int64_t i = 0; i < T * H; ++i) {
    dx[i] = gradient.dz[i] * drop.factor(i / H, i % H, H);
    sums[i % H] += dx[i];
  }
  for (int64_t i = 0; i < H; ++i) sums[H + i] += gradient.dgamma[i], sums[2 * H + i] += gradient.dbeta[i];
  if (!s.optional) std::copy(old.begin(), old.begin() + H, sums.begin());
  const bool both = alias == 3 && !s.dropout; // dx and dresidual in one
  check_case(name + " backward", [&](wb_context* ctx) -> Outputs {
    Buffer<float> d(dy), to(T * H), through(T * H), sum(old), workspace(3 * WB_REDUCE_BLOCKS * H);
    Input<float> in(z32), mean(mean32), rstd(rstd32), g(gamma);
    Buffer<float>& dx_to = alias == 1 ? d : to;
    Buffer<float>& dresidual_to = alias == 2 ? d : both ? to : through;
    OK(ctx->ops->residual_layernorm_backward(ctx, WB_F32, dx_to, s.optional ? dresidual_to.data() : nullptr,
        s.optional ? sum.data() : nullptr, sum + H, sum + 2 * H, workspace, d, in, mean, rstd, g, drop.p, drop.site,
        s.dropout ? rng.data() : nullptr, s.dropout ? rows.data() : nullptr, T, H));
    return {dx_to.values(), s.optional ? dresidual_to.values() : Floats(), sum.values()};
  }, {dx, s.optional ? gradient.dz : Doubles(), sums}, 4e-6, floor);
}

void embeddings_case(int64_t T, int64_t H, bool dropped) {
  const int64_t V = 29, P = 40, S = 2;
  const float eps = H == 1 ? 1.0f : kEps;
  const double floor = H == 1 ? 1e-6 : 0;
  const std::string name = "embeddings " + std::to_string(T) + "x" + std::to_string(H) + (dropped ? " dropout" : "");
  const reference::Dropout drop{dropped ? 0.1f : 0.0f, 0, {1, 2}, nullptr};
  const Floats word = random_floats(V * H, 21), position = random_floats(P * H, 22), segment = random_floats(S * H, 23);
  const Floats gamma = random_floats(H, 24), beta = random_floats(H, 25), dy = random_floats(T * H, 26);
  const std::vector<int32_t> tokens = random_ints(T, 27, (int32_t)V), positions = random_ints(T, 28, (int32_t)P);
  const std::vector<int32_t> segments = random_ints(T, 29, (int32_t)S);
  const std::vector<int32_t> word_order = sorted_order(tokens), position_order = sorted_order(positions);
  Doubles z(T * H), g(T * H);
  for (int64_t i = 0; i < T * H; ++i) {
    const int64_t t = i / H, h = i % H;
    z[i] = (double)word[tokens[t] * H + h] + position[positions[t] * H + h] + segment[segments[t] * H + h];
    g[i] = dy[i] * drop.factor(t, h, H);
  }
  const reference::Norm norm = reference::layernorm(z, widen(gamma), widen(beta), eps, T, H);
  Doubles y = norm.y;
  for (int64_t i = 0; i < T * H; ++i) y[i] *= drop.factor(i / H, i % H, H);
  Input<int32_t> w_ids(tokens), p_ids(positions), s_ids(segments), w_order(word_order), p_order(position_order);
  Input<int64_t> rng({drop.rng[0], drop.rng[1]});
  check_case(name + " forward", [&](wb_context* ctx) -> Outputs {
    Buffer<float> out(T * H), mean(T), rstd(T);
    Input<float> w(word), p(position), s(segment), ga(gamma), be(beta);
    OK(ctx->ops->embeddings_forward(ctx, WB_F32, out, mean, rstd, w, p, s, ga, be, w_ids, p_ids, s_ids, eps, drop.p,
                                    drop.site, rng, nullptr, T, H, V, P, S));
    return {out.values(), mean.values(), rstd.values()};
  }, {y, norm.mean, norm.rstd}, 4e-6, floor);

  const reference::NormGradient gradient = reference::layernorm_backward(g, z, widen(gamma), eps, T, H);
  const Floats old_word = random_floats(V * H, 31), old_position = random_floats(P * H, 32);
  const Floats old_segment = random_floats(S * H, 33), old = random_floats(2 * H, 34);
  Doubles dword = widen(old_word), dposition = widen(old_position), dsegment = widen(old_segment), sums = widen(old);
  for (int64_t i = 0; i < T * H; ++i) {
    dword[tokens[i / H] * H + i % H] += gradient.dz[i];
    dposition[positions[i / H] * H + i % H] += gradient.dz[i];
    dsegment[segments[i / H] * H + i % H] += gradient.dz[i];
  }
  for (int64_t i = 0; i < H; ++i) sums[i] += gradient.dgamma[i], sums[H + i] += gradient.dbeta[i];
  Floats mean32(T), rstd32(T);
  for (int64_t t = 0; t < T; ++t) mean32[t] = (float)norm.mean[t], rstd32[t] = (float)norm.rstd[t];
  check_case(name + " backward", [&](wb_context* ctx) -> Outputs {
    std::vector<uint8_t> before(V), after(V);
    for (int64_t word = 0; word < V; ++word) before[word] = after[word] = word % 3 == 0; // touched by an earlier batch
    for (int32_t token : tokens) after[token] = 1;
    Buffer<uint8_t> touched(before);
    Buffer<float> dw(old_word), dp(old_position), ds(old_segment), sum(old), workspace(T * H + 2 * WB_REDUCE_BLOCKS * H);
    Input<float> d(dy), mean(mean32), rstd(rstd32), w(word), p(position), s(segment), ga(gamma);
    OK(ctx->ops->embeddings_backward(ctx, WB_F32, dw, dp, ds, sum, sum + H, touched, workspace, d, mean, rstd, w, p, s, ga,
        w_ids, p_ids, s_ids, w_order, p_order, drop.p, drop.site, rng, nullptr, T, H, V, P, S));
    CHECK(touched.values() == after, "other words were marked");
    return {dw.values(), dp.values(), ds.values(), sum.values()};
  }, {dword, dposition, dsegment, sums}, 4e-6, floor);
}

void derivatives() {
  const int64_t T = 3, H = 7;
  const Doubles z = widen(random_floats(T * H, 41)), gamma = widen(random_floats(H, 42)), beta = widen(random_floats(H, 43));
  const Doubles dy = widen(random_floats(T * H, 44));
  const reference::NormGradient gradient = reference::layernorm_backward(dy, z, gamma, kEps, T, H);
  const auto loss = [&](const Doubles& z_at, const Doubles& gamma_at, const Doubles& beta_at) {
    const reference::Norm norm = reference::layernorm(z_at, gamma_at, beta_at, kEps, T, H);
    return std::inner_product(dy.begin(), dy.end(), norm.y.begin(), 0.0);
  };
  check_derivative("dz of LayerNorm", [&](const Doubles& at) { return loss(at, gamma, beta); }, z, gradient.dz);
  check_derivative("dgamma of LayerNorm", [&](const Doubles& at) { return loss(z, at, beta); }, gamma, gradient.dgamma);
  check_derivative("dbeta of LayerNorm", [&](const Doubles& at) { return loss(z, gamma, at); }, beta, gradient.dbeta);
}

void strange_values() {
  wb_context* ctx = contexts().back().ctx;
  current = "LayerNorm of strange rows";
  const int64_t H = 33;
  // A large common offset must not cost the variance its digits.
  Floats far = random_floats(H, 51, 0.01f);
  for (float& v : far) v += 1000.0f;
  Input<float> x(far), gamma(Floats(H, 1.0f)), beta(Floats(H, 0.0f));
  Buffer<float> y(H);
  OK(ctx->ops->residual_layernorm_forward(ctx, WB_F32, y, nullptr, nullptr, nullptr, x, nullptr, nullptr, gamma, beta,
                                          kEps, 0, 0, nullptr, nullptr, 1, H));
  compare("offset", y.values(), reference::layernorm(widen(far), Doubles(H, 1.0), Doubles(H, 0.0), kEps, 1, H).y, 1e-2);
  for (float strange : {NAN, INFINITY, -INFINITY}) { // one of them spoils its row, and no other
    Floats two = random_floats(2 * H, 52);
    two[H - 1] = strange;
    Input<float> in(two);
    Buffer<float> out(2 * H);
    OK(ctx->ops->residual_layernorm_forward(ctx, WB_F32, out, nullptr, nullptr, nullptr, in, nullptr, nullptr, gamma,
                                            beta, kEps, 0, 0, nullptr, nullptr, 2, H));
    for (int64_t i = 0; i < H; ++i) {
      CHECK(std::isnan(out[i]), "[%lld] = %g after %g", (long long)i, out[i], strange);
      CHECK(std::isfinite(out[H + i]), "[%lld] = %g in the other row", (long long)i, out[H + i]);
    }
  }
  Input<int32_t> bad(std::vector<int32_t>{0, 5}), good(std::vector<int32_t>{0, 0});
  Buffer<float> out(2 * H), mean(2), rstd(2);
  Input<float> table(random_floats(5 * H, 53));
  CHECK(ctx->ops->embeddings_forward(ctx, WB_F32, out, mean, rstd, table, table, table, gamma, beta, bad, good, good,
      kEps, 0, 0, nullptr, nullptr, 2, H, 5, 5, 5) == WB_INVALID_ARGUMENT, "token 5 of 5 accepted");
  CHECK(ctx->ops->embeddings_forward(ctx, WB_BF16, out, mean, rstd, table, table, table, gamma, beta, good, good, good,
      kEps, 0, 0, nullptr, nullptr, 2, H, 5, 5, 5) == WB_UNSUPPORTED, "bfloat16 accepted");
}

}  // namespace

void test_layernorms() {
  for (int64_t H : kSizes) {
    for (bool dropout : {false, true}) {
      for (int alias : {0, 1, 2, 3}) residual_case({alias == 0 ? 37 : 5, H, dropout, alias != 2 || H != 97}, alias);
      embeddings_case(H == 768 ? 1 : 61, H, dropout);
    }
  }
  residual_case({0, 8, false, true}, 0);
  residual_case({1, 768, true, true}, 1);
  residual_case({2100, 33, true, true}, 1); // more than 8 rows to a block of sums
  embeddings_case(0, 32, false);
  embeddings_case(2100, 33, true);
  derivatives();
  strange_values();
}
