// Residual + LayerNorm and embeddings.
#include <numeric>

#include "simt_harness.h"

namespace {

Doubles sum_columns(const Doubles& x, const Floats& before) {
  Doubles sum = widen(before);
  for (size_t i = 0; i < x.size(); ++i) sum[i % before.size()] += x[i];
  return sum;
}

reference::Dropout make_dropout(float p, const std::vector<int32_t>& rows) {
  reference::Dropout d;
  d.p = p;
  d.site = 3;
  d.rng[0] = 99;
  d.rng[1] = 7;
  d.rows = rows.data();
  return d;
}

}  // namespace

void test_layernorm() {
  struct Case {
    int64_t T, H;
    float p;
    bool bias, residual, misaligned;
  };
  const Case cases[] = {{1, 1, 0, true, true, false},      {5, 32, 0.1f, true, true, false}, {3, 33, 0.2f, true, true, false},
                        {9, 768, 0.1f, true, true, false}, {6, 768, 0, false, false, true},  {2, 1025, 0.1f, true, true, false},
                        {3, 1032, 0.5f, true, false, false}, {1100, 8, 0, false, true, false}, {2, 8192, 0, true, true, false},
                        {4, 1024, 0.1f, true, true, true}};
  const double eps = 1e-12f;
  for (wb_dtype type : all_types) {
    for (const Case& c : cases) {
      const int64_t T = c.T, H = c.H;
      const Floats x = rounded(type, random_floats(T * H, 1)), residual = rounded(type, random_floats(T * H, 2));
      const Floats dy = rounded(type, random_floats(T * H, 3));
      Floats bias = random_floats(H, 4), gamma = random_floats(H, 5), beta = random_floats(H, 6);
      const std::vector<int32_t> rows = random_ints(T, 7, 100000);
      const reference::Dropout d = make_dropout(c.p, rows);
      Floats z(T * H);
      for (int64_t i = 0; i < T * H; ++i) {
        const float biased = x[i] + (c.bias ? bias[i % H] : 0.0f);
        const float dropped = biased * float(d.factor(i / H, i % H, H));
        z[i] = dropped + (c.residual ? residual[i] : 0.0f);
      }
      z = rounded(type, z);  // the statistics are those of the stored z
      const reference::Norm norm = reference::layernorm(widen(z), widen(gamma), widen(beta), eps, T, H);
      const reference::NormGradient g = reference::layernorm_backward(widen(dy), widen(z), widen(gamma), eps, T, H);
      Doubles dx = g.dz;
      for (int64_t i = 0; i < T * H; ++i) dx[i] *= d.factor(i / H, i % H, H);
      const Floats before = random_floats(H, 8);
      Doubles dgamma = g.dgamma, dbeta = g.dbeta;
      for (int64_t i = 0; i < H; ++i) {
        dgamma[i] += before[i];
        dbeta[i] += before[i];
      }
      const double t = tolerance(type);
      check_schedules(
          std::string("residual_layernorm ") + name_of(type) + " " + std::to_string(T) + "x" + std::to_string(H),
          [&](wb_context* ctx) {
            Tensor tx(ctx, type, x, c.misaligned), tr(ctx, type, residual, c.misaligned), tb(ctx, WB_F32, bias);
            Tensor tg(ctx, WB_F32, gamma), tbeta(ctx, WB_F32, beta), ty(ctx, type, T * H), tz(ctx, type, T * H);
            Tensor mean(ctx, WB_F32, T), rstd(ctx, WB_F32, T);
            Elements<int32_t> trows(ctx, rows);
            Elements<int64_t> rng(ctx, {d.rng[0], d.rng[1]});
            float* const b = c.bias ? tb.floats() : nullptr;
            void* const r = c.residual ? tr.data() : nullptr;
            OK(ops->residual_layernorm_forward(ctx, type, ty.data(), tz.data(), mean.floats(), rstd.floats(), tx.data(), b, r,
                                               tg.floats(), tbeta.floats(), float(eps), c.p, d.site, rng, trows, T, H));
            Tensor alone(ctx, type, x);  // inference, in place
            OK(ops->residual_layernorm_forward(ctx, type, alone.data(), nullptr, nullptr, nullptr, alone.data(), b, r,
                                               tg.floats(), tbeta.floats(), float(eps), c.p, d.site, rng, trows, T, H));
            Tensor tdy(ctx, type, dy), tdx(ctx, type, T * H), dres(ctx, type, T * H);
            Tensor db(ctx, WB_F32, before), dg(ctx, WB_F32, before), dbt(ctx, WB_F32, before);
            Tensor workspace(ctx, WB_F32, 3 * WB_REDUCE_BLOCKS * H);
            OK(ops->residual_layernorm_backward(ctx, type, tdx.data(), dres.data(), db.floats(), dg.floats(), dbt.floats(),
                                                workspace.floats(), tdy.data(), tz.data(), mean.floats(), rstd.floats(),
                                                tg.floats(), c.p, d.site, rng, trows, T, H));
            Tensor ignored(ctx, WB_F32, Floats(H, 0.0f)), too(ctx, WB_F32, Floats(H, 0.0f));  // dx over dy, and nothing that may be left out
            OK(ops->residual_layernorm_backward(ctx, type, tdy.data(), nullptr, nullptr, ignored.floats(), too.floats(),
                                                workspace.floats(), tdy.data(), tz.data(), mean.floats(), rstd.floats(),
                                                tg.floats(), c.p, d.site, rng, trows, T, H));
            return Outputs{ty.values(),  tz.values(),   alone.values(), mean.values(), rstd.values(), tdx.values(),
                           dres.values(), db.values(), dg.values(),    dbt.values(),  tdy.values()};
          },
          {norm.y, widen(z), norm.y, norm.mean, norm.rstd, dx, g.dz, sum_columns(dx, before), dgamma, dbeta, dx},
          {t, type == WB_F32 ? t : t / 10, t, 4e-6, 4e-6, t * 2, t * 2, 6e-6, 6e-6, 6e-6, t * 2}, H == 1 ? 1e-5 : 2e-6);
    }
  }
  for (const ScheduledContext& s : schedules()) {
    current = "rows too long";
    CHECK(ops->residual_layernorm_forward(s.ctx, WB_F32, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                          nullptr, nullptr, 0, 0, 0, nullptr, nullptr, 1, 8200) == WB_UNSUPPORTED &&
              strstr(ops->last_error(), "8200"),
          "%s", ops->last_error());
  }
}

void test_embeddings() {
  struct Case {
    int64_t T, H, V, P, S;
    float p;
  };
  for (wb_dtype type : all_types) {
    for (const Case& c : {Case{1, 8, 3, 2, 1, 0}, Case{67, 33, 50, 20, 2, 0.1f}, Case{130, 64, 20, 70, 3, 0.1f},
                          Case{1030, 8, 30, 512, 2, 0}, Case{5, 1040, 9, 5, 2, 0.1f}}) {
      const int64_t T = c.T, H = c.H;
      const Floats word = random_floats(c.V * H, 1), position = random_floats(c.P * H, 2), segment = random_floats(c.S * H, 3);
      const Floats gamma = random_floats(H, 4), beta = random_floats(H, 5), dy = rounded(type, random_floats(T * H, 6));
      const std::vector<int32_t> tokens = random_ints(T, 7, int32_t(c.V)), positions = random_ints(T, 8, int32_t(c.P));
      const std::vector<int32_t> segments = random_ints(T, 9, int32_t(c.S)), rows = random_ints(T, 10, 1000);
      const reference::Dropout d = make_dropout(c.p, rows);
      auto order_of = [&](const std::vector<int32_t>& entries) {
        std::vector<int32_t> order(T);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return entries[a] < entries[b]; });
        return order;
      };
      Doubles z(T * H), dropped = widen(dy);
      for (int64_t i = 0; i < T * H; ++i) {
        const int64_t t = i / H, h = i % H;
        z[i] = double(word[tokens[t] * H + h]) + position[positions[t] * H + h] + segment[segments[t] * H + h];
        dropped[i] *= d.factor(t, h, H);
      }
      reference::Norm norm = reference::layernorm(z, widen(gamma), widen(beta), 1e-12f, T, H);
      for (int64_t i = 0; i < T * H; ++i) norm.y[i] *= d.factor(i / H, i % H, H);
      const reference::NormGradient g = reference::layernorm_backward(dropped, z, widen(gamma), 1e-12f, T, H);
      const Floats before_word = random_floats(c.V * H, 11), before_position = random_floats(c.P * H, 12);
      const Floats before_segment = random_floats(c.S * H, 13), before = random_floats(H, 14);
      Doubles dword = widen(before_word), dposition = widen(before_position), dsegment = widen(before_segment);
      for (int64_t i = 0; i < T * H; ++i) {
        dword[tokens[i / H] * H + i % H] += g.dz[i];
        dposition[positions[i / H] * H + i % H] += g.dz[i];
        dsegment[segments[i / H] * H + i % H] += g.dz[i];
      }
      Doubles dgamma = g.dgamma, dbeta = g.dbeta;
      for (int64_t i = 0; i < H; ++i) {
        dgamma[i] += before[i];
        dbeta[i] += before[i];
      }
      check_schedules(
          std::string("embeddings ") + name_of(type) + " " + std::to_string(T) + "x" + std::to_string(H),
          [&](wb_context* ctx) {
            Tensor tw(ctx, WB_F32, word), tp(ctx, WB_F32, position), ts(ctx, WB_F32, segment), tg(ctx, WB_F32, gamma);
            Tensor tb(ctx, WB_F32, beta), y(ctx, type, T * H), mean(ctx, WB_F32, T), rstd(ctx, WB_F32, T);
            Elements<int32_t> tok(ctx, tokens), pos(ctx, positions), seg(ctx, segments), trows(ctx, rows);
            Elements<int32_t> word_order(ctx, order_of(tokens)), position_order(ctx, order_of(positions));
            Elements<int64_t> rng(ctx, {d.rng[0], d.rng[1]});
            OK(ops->embeddings_forward(ctx, type, y.data(), mean.floats(), rstd.floats(), tw.floats(), tp.floats(),
                                       ts.floats(), tg.floats(), tb.floats(), tok, pos, seg, 1e-12f, c.p, d.site, rng, trows,
                                       T, H, c.V, c.P, c.S));
            Tensor dw(ctx, WB_F32, before_word), dp(ctx, WB_F32, before_position), ds(ctx, WB_F32, before_segment);
            Tensor dg(ctx, WB_F32, before), db(ctx, WB_F32, before), tdy(ctx, type, dy);
            Tensor workspace(ctx, WB_F32, T * H + 2 * WB_REDUCE_BLOCKS * H);
            std::vector<uint8_t> before(c.V), after(c.V);
            for (int64_t word = 0; word < c.V; ++word) before[word] = after[word] = word % 3 == 0;  // touched by an earlier batch
            for (int32_t token : tokens) after[token] = 1;
            Elements<uint8_t> touched(ctx, before);
            OK(ops->embeddings_backward(ctx, type, dw.floats(), dp.floats(), ds.floats(), dg.floats(), db.floats(),
                                        touched, workspace.floats(), tdy.data(), mean.floats(), rstd.floats(), tw.floats(), tp.floats(),
                                        ts.floats(), tg.floats(), tok, pos, seg, word_order, position_order, c.p, d.site, rng,
                                        trows, T, H, c.V, c.P, c.S));
            std::vector<uint8_t> marks(c.V);
            OK(ops->download(ctx, marks.data(), touched, c.V));
            CHECK(marks == after, "other words were marked");
            return Outputs{y.values(),  mean.values(), rstd.values(), dw.values(),
                           dp.values(), ds.values(),   dg.values(),   db.values()};
          },
          {norm.y, norm.mean, norm.rstd, dword, dposition, dsegment, dgamma, dbeta},
          {tolerance(type), 4e-6, 4e-6, 4e-6, 4e-6, 4e-6, 4e-6, 4e-6}, 1e-6);

      current = "embeddings, a token outside of the table";
      for (const ScheduledContext& s : schedules()) {
        std::vector<int32_t> bad = tokens;
        bad[0] = int32_t(c.V);
        Tensor tw(s.ctx, WB_F32, word), tp(s.ctx, WB_F32, position), ts(s.ctx, WB_F32, segment), tg(s.ctx, WB_F32, gamma);
        Tensor y(s.ctx, type, T * H), mean(s.ctx, WB_F32, T), rstd(s.ctx, WB_F32, T);
        Elements<int32_t> tok(s.ctx, bad), pos(s.ctx, positions), seg(s.ctx, segments);
        OK(ops->embeddings_forward(s.ctx, type, y.data(), mean.floats(), rstd.floats(), tw.floats(), tp.floats(), ts.floats(),
                                   tg.floats(), tg.floats(), tok, pos, seg, 1e-12f, 0, 0, nullptr, nullptr, T, H, c.V, c.P,
                                   c.S));
        const Floats out = y.values();
        int nans = 0;
        for (float v : out) nans += std::isnan(v);
        CHECK(nans == H && std::isnan(out[0]), "%d NaN", nans);
      }
    }
  }
}
