// Attention: forward and backward, ragged sequences, key masks, dropout.
#include "simt_harness.h"

void test_attention_kernels() {
  struct Case {
    std::vector<int32_t> lengths;
    int64_t A, D;
    int mask;  // 0: none, 1: some keys, 2: also all keys of the first sequence
    float p;
  };
  // The backward in 16 bits takes one pass where there are as many heads as processors, here 2, and dq fits into shared memory,
  // here 163 KB: of head size 64 in blocks of 4 warps up to 160 tokens, of 8 up to 384; of head size 32 up to 448. It sums dbias
  // too, of no more than 256 sequences.
  std::vector<int32_t> many(300, 1);
  for (size_t b = 0; b < many.size(); b += 7) many[b] = int32_t(b) % 3 * 9;
  const Case cases[] = {{{1}, 1, 64, 0, 0},         {{64}, 1, 64, 0, 0},           {{33, 0, 1, 31, 65}, 2, 64, 0, 0},
                        {{97, 0, 32}, 2, 32, 0, 0}, {{40, 70}, 2, 64, 1, 0},       {{17, 130}, 1, 32, 2, 0.2f},
                        {{66, 5}, 3, 64, 0, 0.1f},  {{129, 64}, 1, 64, 2, 0.3f},   {{130}, 1, 64, 1, 0.1f},
                        {{97}, 1, 32, 2, 0},        {{161, 0, 270}, 1, 64, 1, 0.1f}, {{385, 7}, 1, 64, 0, 0},
                        {{449, 3}, 1, 32, 1, 0.2f}, {many, 1, 32, 1, 0.1f}};
  for (wb_dtype type : all_types) {
    for (const Case& c : cases) {
      std::vector<int32_t> cu = {0};
      int32_t longest = 0;
      for (int32_t n : c.lengths) {
        cu.push_back(cu.back() + n);
        longest = std::max(longest, n);
      }
      const int64_t T = cu.back(), B = int64_t(c.lengths.size()), A = c.A, D = c.D;
      const float scale = 1.0f / std::sqrt(float(D));
      Floats qkv = random_floats(T * 3 * A * D, 1);
      std::vector<uint8_t> mask;
      if (c.mask) {
        const std::vector<int32_t> random = random_ints(T, 2, 3);
        for (int64_t t = 0; t < T; ++t) mask.push_back(random[t] > 0 && (c.mask == 1 || t >= cu[1]));
      }
      qkv = rounded(type, qkv);
      const Floats dout = rounded(type, random_floats(T * A * D, 3));
      const std::vector<int32_t> rows = random_ints(T, 4, 1 << 20);
      reference::Dropout d;
      d.p = c.p;
      d.site = 5;
      d.rng[0] = -12345;
      d.rng[1] = 3;
      d.rows = rows.data();
      const reference::Attention forward = reference::attention(widen(qkv), cu, mask, scale, d, A, D);
      const Doubles dqkv = reference::attention_backward(widen(dout), widen(qkv), cu, mask, scale, d, A, D);
      const Floats before = random_floats(3 * A * D, 4);
      Doubles dbias = widen(before);
      for (size_t i = 0; i < dqkv.size(); ++i) dbias[i % dbias.size()] += dqkv[i];
      const std::string name = std::string("attention ") + name_of(type) + " T " + std::to_string(T) + " A " +
                               std::to_string(A) + " D " + std::to_string(D) + " mask " + std::to_string(c.mask) +
                               (c.p > 0 ? " dropout" : "");
      Floats poisoned = qkv;  // what no query may look at must not be looked at
      for (int64_t t = 0; t < T && c.mask; ++t) {
        for (int64_t i = A * D; i < 3 * A * D && !mask[t]; ++i) poisoned[t * 3 * A * D + i] = NAN;
      }
      const double t = tolerance(type);
      check_schedules(
          name,
          [&](wb_context* ctx) {
            Tensor in(ctx, type, poisoned), out(ctx, type, T * A * D), alone(ctx, type, T * A * D), lse(ctx, WB_F32, A * T);
            Tensor tdout(ctx, type, dout), gradient(ctx, type, T * 3 * A * D), sums(ctx, WB_F32, before);
            Tensor without(ctx, type, T * 3 * A * D), workspace(ctx, WB_F32, A * T);
            Tensor workspace_of_sums(ctx, WB_F32, A * T + 3 * WB_REDUCE_BLOCKS * A * D);
            Elements<int32_t> tcu(ctx, cu), trows(ctx, rows);
            Elements<uint8_t> tmask(ctx, mask);
            Elements<int64_t> rng(ctx, {d.rng[0], d.rng[1]});
            uint8_t* const m = c.mask ? (uint8_t*)tmask : nullptr;
            OK(ops->attention_forward(ctx, type, out.data(), lse.floats(), in.data(), tcu, m, scale, c.p, d.site, rng, trows,
                                      T, B, A, D, longest, longest));
            OK(ops->attention_forward(ctx, type, alone.data(), nullptr, in.data(), tcu, m, scale, c.p, d.site, rng, trows, T,
                                      B, A, D, longest, longest));
            const auto backward = [&](Tensor& to, float* to_bias, Tensor& scratch) {
              return ops->attention_backward(ctx, type, to.data(), to_bias, scratch.floats(), tdout.data(), out.data(),
                                             lse.floats(), in.data(), tcu, m, scale, c.p, d.site, rng, trows, T, B, A, D, longest,
                                             longest);
            };
            OK(backward(gradient, sums.floats(), workspace_of_sums));
            OK(backward(without, nullptr, workspace));
            CHECK(gradient.values() == without.values(), "with dbias another dqkv");
            return Outputs{out.values(), lse.values(), alone.values(), gradient.values(), sums.values()};
          },
          {forward.out, forward.lse, forward.out, dqkv, dbias}, {1.5 * t, 4e-6, 1.5 * t, 2 * t, 2 * t}, 1e-6 + (type == WB_F32 ? 0 : t / 10));

      // Only the first tokens of each sequence ask: the others' rows stay as they are, nothing of their dout is used, and their dq is 0.
      for (const int64_t queries : {1, 33}) {
        std::vector<bool> asks(T);
        for (int64_t b = 0; b < B; ++b) {
          for (int32_t i = cu[b]; i < cu[b + 1]; ++i) asks[i] = i - cu[b] < queries;
        }
        Floats asked = dout;
        Doubles out = forward.out, lse = forward.lse;
        for (int64_t i = 0; i < T * A * D; ++i) asked[i] = asks[i / (A * D)] ? asked[i] : 0;
        const Doubles gradients = reference::attention_backward(widen(asked), widen(qkv), cu, mask, scale, d, A, D);
        Doubles bias_gradient(3 * A * D);
        for (size_t i = 0; i < gradients.size(); ++i) bias_gradient[i % bias_gradient.size()] += gradients[i];
        for (int64_t i = 0; i < T * A * D; ++i) {
          if (!asks[i / (A * D)]) out[i] = asked[i] = NAN;
        }
        for (int64_t i = 0; i < A * T; ++i) lse[i] = asks[i % T] ? lse[i] : NAN;
        check_schedules(
            name + ", " + std::to_string(queries) + " queries",
            [&](wb_context* ctx) {
              Tensor in(ctx, type, poisoned), kept(ctx, type, T * A * D), exponents(ctx, WB_F32, A * T), given(ctx, type, asked);
              Tensor gradient(ctx, type, T * 3 * A * D), sums(ctx, WB_F32, Floats(3 * A * D, 0.0f));
              Tensor workspace(ctx, WB_F32, A * T + 3 * WB_REDUCE_BLOCKS * A * D);
              Elements<int32_t> tcu(ctx, cu), trows(ctx, rows);
              Elements<uint8_t> tmask(ctx, mask);
              Elements<int64_t> rng(ctx, {d.rng[0], d.rng[1]});
              uint8_t* const m = c.mask ? (uint8_t*)tmask : nullptr;
              OK(ops->attention_forward(ctx, type, kept.data(), exponents.floats(), in.data(), tcu, m, scale, c.p, d.site, rng, trows, T, B, A,
                                        D, longest, queries));
              OK(ops->attention_backward(ctx, type, gradient.data(), sums.floats(), workspace.floats(), given.data(), kept.data(),
                                         exponents.floats(), in.data(), tcu, m, scale, c.p, d.site, rng, trows, T, B, A, D, longest, queries));
              return Outputs{kept.values(), exponents.values(), gradient.values(), sums.values()};
            },
            {out, lse, gradients, bias_gradient}, {1.5 * t, 4e-6, 2 * t, 2 * t}, 1e-6 + (type == WB_F32 ? 0 : t / 10));
      }
    }
  }

  for (const ScheduledContext& s : schedules()) {
    current = "attention, head size 48";
    CHECK(ops->attention_forward(s.ctx, WB_BF16, nullptr, nullptr, nullptr, nullptr, nullptr, 1, 0, 0, nullptr, nullptr, 4, 1,
                                 1, 48, 4, 4) == WB_UNSUPPORTED && strstr(ops->last_error(), "48"),
          "%s", ops->last_error());
    current = "attention, scale 0";
    CHECK(ops->attention_forward(s.ctx, WB_BF16, nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0, 0, nullptr, nullptr, 4, 1,
                                 1, 64, 4, 4) == WB_INVALID_ARGUMENT && strstr(ops->last_error(), "scale"),
          "%s", ops->last_error());
    current = "attention with a NaN in one query";
    Floats qkv = random_floats(70 * 3 * 64, 6);
    qkv[3 * 3 * 64] = NAN;
    Tensor in(s.ctx, WB_F16, qkv), out(s.ctx, WB_F16, 70 * 64);
    Elements<int32_t> cu(s.ctx, {0, 70});
    OK(ops->attention_forward(s.ctx, WB_F16, out.data(), nullptr, in.data(), cu, nullptr, 0.125f, 0, 0, nullptr, nullptr, 70,
                              1, 1, 64, 70, 70));
    const Floats values = out.values();
    for (int64_t i = 0; i < 70 * 64; ++i) {
      if (std::isnan(values[i]) != (i / 64 == 3)) {
        CHECK(false, "row %lld", (long long)(i / 64));
        break;
      }
    }
  }
}
