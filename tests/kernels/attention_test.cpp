// Attention against the formula in double with all scores; gradients against central differences.
#include "backends/cpu/attention/attention.h"

#include <gtest/gtest.h>

#include "arrays.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

using nacre::test::Array;
using nacre::test::random_array;
using nacre::test::Values;
using nacre::test::values;

struct AttentionCase {
  int64_t b, h, l, s, d, e;
  bool causal;
  int mask;  // 0 none, 1 bool [L, S], 2 added [B, 1, 1, S], 3 bool that hides all keys from query 0
};

const AttentionCase kAttentionCases[] = {
    {1, 1, 1, 1, 1, 1, false, 0},     {2, 3, 5, 7, 4, 6, false, 0},
    {2, 2, 9, 9, 8, 8, true, 0},      {1, 2, 7, 11, 5, 3, false, 1},
    {2, 2, 6, 10, 4, 4, false, 2},    {1, 1, 4, 6, 3, 2, false, 3},
    {1, 2, 70, 300, 16, 8, false, 0}, {1, 1, 300, 300, 8, 16, true, 1},
    {1, 1, 5, 3, 4, 4, true, 0},
};

Array mask_of(const AttentionCase& c, DType t) {
  if (c.mask == 2) return random_array(t, {c.b, 1, 1, c.s}, 9);
  Array m(DType::boolean, {c.l, c.s});
  for (int64_t i = 0; i < m.numel(); ++i) m.set(i, c.mask == 3 ? i >= c.s : i % 3 != 1);
  return m;
}

struct Result {
  Values out, lse;
};

Result formula(const AttentionCase& c, const Values& q, const Values& k, const Values& v,
               const Array* mask, double scale) {
  Result r;
  for (int64_t head = 0; head < c.b * c.h; ++head)
    for (int64_t i = 0; i < c.l; ++i) {
      Values score;
      double m = -INFINITY, sum = 0;
      for (int64_t j = 0; j < c.s; ++j) {
        double x = 0;
        for (int64_t p = 0; p < c.d; ++p)
          x += q[static_cast<size_t>((head * c.l + i) * c.d + p)] *
               k[static_cast<size_t>((head * c.s + j) * c.d + p)];
        x *= scale;
        if (c.mask == 2) x += mask->at(head / c.h * c.s + j);
        if ((c.mask == 1 || c.mask == 3) && mask->at(i * c.s + j) == 0) x = -INFINITY;
        if (c.causal && j > i) x = -INFINITY;
        score.push_back(x);
        m = std::max(m, x);
      }
      for (double& x : score) sum += x = m == -INFINITY ? 0 : std::exp(x - m);
      r.lse.push_back(m == -INFINITY ? m : m + std::log(sum));
      for (int64_t p = 0; p < c.e; ++p) {
        double y = 0;
        for (int64_t j = 0; j < c.s; ++j)
          y += score[static_cast<size_t>(j)] * v[static_cast<size_t>((head * c.s + j) * c.e + p)];
        r.out.push_back(sum > 0 ? y / sum : 0);
      }
    }
  return r;
}

/// The array with dimensions 1 and 2 of its memory exchanged, as a view of the same shape.
std::pair<Array, Operand> heads_inside(const Array& a) {
  const Shape& s = a.shape;
  Operand o{a.dtype, s, {s[1] * s[2] * s[3], s[3], s[1] * s[3], 1}};
  Array m(a.dtype, s);
  for (int64_t b = 0, i = 0; b < s[0]; ++b)
    for (int64_t h = 0; h < s[1]; ++h)
      for (int64_t l = 0; l < s[2]; ++l)
        for (int64_t d = 0; d < s[3]; ++d)
          m.set(b * o.strides[0] + h * o.strides[1] + l * o.strides[2] + d, a.at(i++));
  return {m, o};
}

TEST(Attention, ForwardAndBackward) {
  for (DType t : {DType::f32, DType::f64, DType::bf16})
    for (const AttentionCase& c : kAttentionCases) {
      const double scale = 0.7;
      const double tolerance = t == DType::f64 ? 1e-12 : t == DType::f32 ? 5e-6 : 3e-2;
      const Array q = random_array(t, {c.b, c.h, c.l, c.d}, 1),
                  k = random_array(t, {c.b, c.h, c.s, c.d}, 2),
                  v = random_array(t, {c.b, c.h, c.s, c.e}, 3),
                  dy = random_array(t, {c.b, c.h, c.l, c.e}, 4), mask = mask_of(c, t);
      const Result want = formula(c, values(q), values(k), values(v), &mask, scale);
      Array y(t, dy.shape), lse(t, {c.b, c.h, c.l});
      for (bool views : {false, true}) {
        std::vector<Operand> in;
        std::vector<Array> memory;
        for (const Array* a : {&q, &k, &v}) {
          auto [m, o] = heads_inside(*a);
          in.push_back(views ? o : a->operand());
          memory.push_back(views ? m : *a);
        }
        if (c.mask) in.push_back(mask.operand()), memory.push_back(mask);
        std::vector<const void*> from;
        for (const Array& a : memory) from.push_back(a.bytes.data());
        const std::vector<Operand> out = {y.operand(), lse.operand()};
        const auto kernel = make_attention(in, out, c.causal, scale);
        ASSERT_TRUE(kernel);
        nacre::test::run(*kernel, from, {y.bytes.data(), lse.bytes.data()});
        for (int64_t i = 0; i < y.numel(); ++i)
          ASSERT_NEAR(y.at(i), want.out[static_cast<size_t>(i)], tolerance * 3)
              << i << " " << name_of(t);
        for (int64_t i = 0; i < lse.numel(); ++i)
          if (std::isinf(want.lse[static_cast<size_t>(i)]))
            ASSERT_EQ(lse.at(i), -INFINITY);
          else
            ASSERT_NEAR(lse.at(i), want.lse[static_cast<size_t>(i)], tolerance * 10);
      }
      if (c.l > 100 || c.s > 100 || t == DType::bf16) continue;
      std::vector<Operand> in;
      std::vector<const void*> from;
      for (const Array* a : std::initializer_list<const Array*>{&q, &k, &v, &y, &lse, &dy})
        in.push_back(a->operand()), from.push_back(a->bytes.data());
      if (c.mask) in.push_back(mask.operand()), from.push_back(mask.bytes.data());
      Array grads[] = {Array(t, q.shape), Array(t, k.shape), Array(t, v.shape)};
      const std::vector<Operand> out = {grads[0].operand(), grads[1].operand(), grads[2].operand()};
      const auto kernel = make_attention_grad(in, out, c.causal, scale);
      ASSERT_TRUE(kernel);
      nacre::test::run(*kernel, from,
                       {grads[0].bytes.data(), grads[1].bytes.data(), grads[2].bytes.data()});
      for (size_t which = 0; which < 3; ++which) {
        Values x[] = {values(q), values(k), values(v)};
        for (size_t i = 0; i < x[which].size(); ++i) {
          const double at = x[which][i], h = 1e-5;
          double slope = 0;
          for (double side : {1.0, -1.0}) {
            x[which][i] = at + side * h;
            const Result r = formula(c, x[0], x[1], x[2], &mask, scale);
            for (int64_t j = 0; j < dy.numel(); ++j)
              slope += side * dy.at(j) * r.out[static_cast<size_t>(j)];
          }
          x[which][i] = at;
          ASSERT_NEAR(grads[which].at(static_cast<int64_t>(i)), slope / (2 * h),
                      t == DType::f64 ? 1e-7 : 1e-4)
              << "gradient " << which << " at " << i;
        }
      }
    }
}

// Longer than a block of queries and of keys: the gradient of f32 against that of f64.
TEST(Attention, GradientOverManyBlocks) {
  const Shape s = {1, 2, 300, 8};
  std::vector<Values> grads;
  for (DType t : {DType::f64, DType::f32}) {
    std::vector<Array> a;
    for (unsigned i = 0; i < 3; ++i) {
      a.push_back(random_array(DType::f32, s, i));
      if (t == DType::f64) a.back() = Array(t, s, values(a.back()));
    }
    Array y(t, s), lse(t, {1, 2, 300}), dy = Array(t, s, values(random_array(DType::f32, s, 7)));
    const std::vector<Operand> in = {a[0].operand(), a[1].operand(), a[2].operand()},
                               out = {y.operand(), lse.operand()};
    nacre::test::run(*make_attention(in, out, true, 0.3),
                     {a[0].bytes.data(), a[1].bytes.data(), a[2].bytes.data()},
                     {y.bytes.data(), lse.bytes.data()});
    Array g[] = {Array(t, s), Array(t, s), Array(t, s)};
    const std::vector<Operand> all = {in[0], in[1], in[2], out[0], out[1], dy.operand()},
                               to = {in[0], in[1], in[2]};
    nacre::test::run(*make_attention_grad(all, to, true, 0.3),
                     {a[0].bytes.data(), a[1].bytes.data(), a[2].bytes.data(), y.bytes.data(),
                      lse.bytes.data(), dy.bytes.data()},
                     {g[0].bytes.data(), g[1].bytes.data(), g[2].bytes.data()});
    Values together;
    for (const Array& x : g)
      for (double v : values(x)) together.push_back(v);
    grads.push_back(together);
    // dq of the first query is 0: it sees one key.
    for (int64_t d = 0; d < 8; ++d) EXPECT_NEAR(g[0].at(d), 0, 1e-6);
  }
  for (size_t i = 0; i < grads[0].size(); ++i) ASSERT_NEAR(grads[0][i], grads[1][i], 2e-5) << i;
}

TEST(Attention, RefusesShapesThatDoNotFit) {
  const auto op = [](Shape s) { return Operand{DType::f32, s, contiguous_strides(s)}; };
  const std::vector<Operand> out = {op({1, 1, 2, 3})};
  EXPECT_FALSE(make_attention(std::vector{op({1, 1, 2, 3}), op({1, 1, 2, 4}), op({1, 1, 2, 3})},
                              out, false, 1));
  EXPECT_FALSE(
      make_attention(std::vector{op({1, 2, 3}), op({1, 2, 3}), op({1, 2, 3})}, out, false, 1));
}

}  // namespace
}  // namespace nacre::cpu
