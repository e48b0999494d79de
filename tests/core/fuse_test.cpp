// What units of elementwise work compute again instead of storing it.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

using Function = std::function<Tensors(const Tensors&)>;

Graph compiled(const Graph& graph, bool fuse) {
  std::vector<Pass> list;
  for (const Pass& p : passes())
    if (fuse || std::string_view(p.name) != "fuse") list.push_back(p);
  return run_passes(graph, {}, list);
}

/// The fused nodes, in their order.
std::vector<const Node*> fused(const Graph& graph) {
  std::vector<const Node*> list;
  for (const Node* n : graph.nodes())
    if (is_op(n, "fused")) list.push_back(n);
  return list;
}

int64_t large_inputs(const Node& n) {
  return std::count_if(n.inputs.begin(), n.inputs.end(),
                       [](const Tensor& t) { return t.numel() > 1; });
}

Tensors operands() {
  Tensors in = {normal({256, 160}, Key(1)), normal({160, 160}, Key(2)) * 0.1,
                normal({256, 160}, Key(3))};
  eval(in);
  return in;
}

/// Both ways of running it give the same bits.
Graph checked(const Function& f) {
  const Tensors in = operands();
  const Graph graph = Graph::trace(f, in), with = compiled(graph, true);
  const Tensors got = with.call(in), want = compiled(graph, false).call(in);
  eval(got);
  eval(want);
  for (size_t k = 0; k < got.size(); ++k) {
    const auto a = got[k].to_vector<float>(), b = want[k].to_vector<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0) << k;
  }
  return with;
}

TEST(Fuse, TheGradientOfSiluComputesTheSigmoidAgain) {
  const Graph g = checked([](const Tensors& in) {
    const Tensor x = matmul(in[0], in[1]), s = sigmoid(x), y = x * s;
    const Tensor dy = matmul(matmul(y, in[1]), in[1]);
    return Tensors{dy * s + (dy * x) * (s * (1.0 - s))};
  });
  const auto list = fused(g);
  ASSERT_EQ(list.size(), 2u);
  for (const Node* n : list) EXPECT_EQ(n->outputs.size(), 1u);
  EXPECT_EQ(large_inputs(*list[0]), 1);  // x
  EXPECT_EQ(large_inputs(*list[1]), 2);  // x and dy
}

TEST(Fuse, OneInputStandsForSeveralResults) {
  // The second unit reads three results of the first, and not what they are made of.
  const Graph g = checked([](const Tensors& in) {
    const Tensor x = matmul(in[0], in[1]), e = erfc(x), h = x * 0.5, y = h * e;
    const Tensor dy = matmul(matmul(y, in[1]), in[1]);
    return Tensors{dy * e - dy * h * exp(neg(square(x)))};
  });
  const auto list = fused(g);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]->outputs.size(), 1u);
  EXPECT_EQ(large_inputs(*list[1]), 2);
}

TEST(Fuse, WhatIsInMemoryAnywayOrCostsMuchIsRead) {
  const auto outputs_of_first = [](const Function& f) {
    const Graph g = checked(f);
    return fused(g).at(0)->outputs.size();
  };
  const auto step = [](Tensor (*f)(In), bool result) {
    return [=](const Tensors& in) {
      const Tensor x = matmul(in[0], in[1]), s = f(x), y = x * s;
      const Tensor dy = matmul(matmul(y, in[1]), in[1]);
      Tensors out = {dy * s + x};
      if (result) out.push_back(s);
      return out;
    };
  };
  EXPECT_EQ(outputs_of_first(step(sigmoid, false)), 1u);
  EXPECT_EQ(outputs_of_first(step(sigmoid, true)), 2u);
  EXPECT_EQ(outputs_of_first(step(lgamma, false)), 2u);
}

TEST(Fuse, RandomGraphsKeepTheirBits) {
  size_t groups = 0;
  for (unsigned seed = 0; seed < 25; ++seed) {
    const Graph g = checked([seed](const Tensors& in) {
      std::mt19937 r(seed);
      Tensors values = {in[0], in[2]};
      const auto any = [&] { return values[r() % values.size()]; };
      for (int i = 0; i < 24; ++i) {
        const Tensor a = any(), b = any();
        switch (r() % 8) {
          case 0:
            values.push_back(a + b);
            break;
          case 1:
            values.push_back(a * tanh(b));
            break;
          case 2:
            values.push_back(sigmoid(a));
            break;
          case 3:
            values.push_back(exp(neg(abs(a))));
            break;
          case 4:
            values.push_back(erfc(a) * 0.5);
            break;
          case 5:
            values.push_back(where(a > b, a, b * 0.25));
            break;
          default:
            values.push_back(tanh(matmul(a, in[1])));
        }
      }
      return Tensors{values[values.size() - 1], values[values.size() - 5], any()};
    });
    groups += fused(g).size();
  }
  EXPECT_GT(groups, 50u);
}

}  // namespace
}  // namespace nacre
