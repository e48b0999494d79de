// Messages along the edges of a graph: what the pass "edges" makes of them against the plain ops.
#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

constexpr int64_t kNodes = 30, kEdges = 200, kWidth = 7;

struct Edges {
  Tensor x = normal({kNodes, kWidth}, Key(1)), from = randint({kEdges}, Key(2), 0, kNodes),
         to = randint({kEdges}, Key(3), 0, kNodes), weight = uniform({kEdges, 1}, Key(4), 0.0, 1.0);
};

struct Run {
  std::vector<float> values;
  int64_t sums = 0, adds = 0;  // steps of edge_sum and of index_add
};

/// The results of f, one after the other, and what ran.
Run edges_run(const std::function<Tensors()>& f, bool passes) {
  clear_plans();
  set_passes(passes);
  set_profiling(true);
  const Tensors results = f();
  eval(results);
  Run r;
  for (const ProfileLine& l : profile()) {
    if (l.label.starts_with("edge_sum")) r.sums += static_cast<int64_t>(l.calls);
    if (l.label.starts_with("index_add")) r.adds += static_cast<int64_t>(l.calls);
  }
  set_profiling(false);
  set_passes(true);
  for (const Tensor& t : results)
    for (const float v : t.to_vector<float>()) r.values.push_back(v);
  return r;
}

void expect_same(const std::function<Tensors()>& f, int64_t sums, int64_t adds,
                 const std::string& what) {
  const Run plain = edges_run(f, false), fast = edges_run(f, true);
  EXPECT_EQ(plain.sums, 0) << what;
  EXPECT_EQ(fast.sums, sums) << what;
  EXPECT_EQ(fast.adds, adds) << what;
  ASSERT_EQ(fast.values.size(), plain.values.size());
  for (size_t i = 0; i < plain.values.size(); ++i)
    ASSERT_NEAR(fast.values[i], plain.values[i], 1e-4) << what << ", value " << i;
}

TEST(EdgesPass, SumsAndTheirGradients) {
  const Edges e;
  eval({e.x, e.from, e.to, e.weight});
  const auto step = [&](const std::function<Tensor(const Tensor&)>& sent) {
    return [=, &e] {
      const Tensor x = e.x.as_leaf();
      const Tensor y = index_add(ones({kNodes, kWidth}), 0, e.to, sent(x));
      return Tensors{y, grad(sum(tanh(y)), {x})[0]};
    };
  };
  expect_same(step([&](const Tensor& x) { return index_select(x, 0, e.from) * e.weight; }), 2, 0,
              "weights on the right");
  expect_same(step([&](const Tensor& x) { return e.weight * index_select(x, 0, e.from); }), 2, 0,
              "weights on the left");
  expect_same(step([&](const Tensor& x) { return index_select(x, 0, e.from); }), 2, 0,
              "no weights");
  expect_same(step([&](const Tensor& x) { return tanh(index_select(x, 0, e.from)); }), 0, 2,
              "something else along the edges");
  const Tensor wide = uniform({kEdges, kWidth}, Key(5), 0.0, 1.0);
  expect_same(step([&](const Tensor& x) { return index_select(x, 0, e.from) * wide; }), 0, 2,
              "a weight for each number");
}

TEST(EdgesPass, WeightsHaveGradientsToo) {
  const Edges e;
  eval({e.x, e.from, e.to, e.weight});
  expect_same(
      [&] {
        const Tensor x = e.x.as_leaf(), w = e.weight.as_leaf();
        const Tensor y =
            index_add(zeros({kNodes, kWidth}), 0, e.to, index_select(x, 0, e.from) * w);
        const Tensors g = grad(sum(tanh(y)), {x, w});
        return Tensors{y, g[0], g[1]};
      },
      2, 0, "gradients of both");
}

TEST(EdgesPass, OneRowOfNumbers) {
  const Edges e;
  const Tensor x = normal({kNodes}, Key(6)), w = uniform({kEdges}, Key(7), 0.0, 1.0);
  eval({x, w, e.from, e.to});
  expect_same([&] { return Tensors{index_add(x, 0, e.to, w * index_select(x, 0, e.from))}; }, 1, 0,
              "numbers");
}

}  // namespace
}  // namespace nacre
