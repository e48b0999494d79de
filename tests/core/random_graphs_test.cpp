// Random graphs that are valid: with every pass, with each pass alone left out, without any,
// eagerly and on reference kernels they give the same values and gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "compile/pass_stats.h"
#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

/// Draws a graph node by node from those that are there. Values stay between about -10 and 10.
class Drawing {
 public:
  explicit Drawing(uint64_t seed) : rng_(Key(seed)), key_(Key(seed).fold_in("values")) {}

  /// The outputs for inputs whose values are drawn too, and the gradient of the first two.
  Tensors draw(int nodes) {
    const Tensor x = values({2, 4, 6, 6}).as_leaf(), m = values({3, 8}).as_leaf();
    pool_ = {x, m, values({2, 4, 6, 6}), values({4, 1, 1})};
    for (int k = 0; k < nodes; ++k) pool_.push_back(next());
    Tensors outputs = {pool_.back(), pick(), pick()};
    Tensor loss = sum(square(outputs[0])) + 0.5 * sum(outputs[1]) + mean(outputs[2] * outputs[2]);
    for (const Tensor& g : grad(loss, {x, m})) outputs.push_back(g);
    return outputs;
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(rng_.below(n)); }
  Tensor values(const Shape& shape) {
    return normal(shape, key_.fold_in(std::to_string(drawn_++)));
  }
  const Tensor& pick() { return pool_[below(pool_.size())]; }
  int64_t dim(const Tensor& t) {
    return static_cast<int64_t>(below(static_cast<size_t>(t.rank())));
  }

  Tensor next() {
    const Tensor& t = pick();
    if (t.rank() == 4 && t.shape()[2] >= 3 && t.shape()[3] >= 3 && below(2)) return picture(t);
    switch (below(5)) {
      case 0:
        return one(t);
      case 1:
        return two(t);
      case 2:
        return t.rank() ? moved(t) : exp(-abs(t));
      case 3:
        return t.rank() ? reduced(t) : t * 1.0 + 0.0;
      default:
        return t.rank() == 2 ? product(t) : one(t);
    }
  }

  Tensor one(const Tensor& t) {
    switch (below(9)) {
      case 0:
        return relu(t);
      case 1:
        return tanh(t);
      case 2:
        return sigmoid(t) * 2.0;
      case 3:
        return clip(t, -1.5, 2.5);
      case 4:
        return exp(-square(t));
      case 5:
        return gelu(t);
      case 6:
        return t / (1.0 + abs(t));
      case 7:
        return -(-t) + 0.0;
      default:
        return sqrt(square(t) + 1.0) * 1.0;
    }
  }

  Tensor two(const Tensor& t) {
    Tensor other = values(t.shape());
    for (int k = 0; k < 4; ++k)
      if (const Tensor& o = pick(); o.shape() == t.shape()) other = o;
    if (t.rank() == 4 && below(3) == 0) other = values({t.shape()[1], 1, 1});
    switch (below(5)) {
      case 0:
        return tanh(t + other);
      case 1:
        return t - 0.5 * other;
      case 2:
        return tanh(t) * other;
      case 3:
        return where(t > 0.25, t, other);
      default:
        return maximum(t, other);
    }
  }

  Tensor moved(const Tensor& t) {
    const int64_t d = dim(t), n = t.shape()[d];
    switch (below(6)) {
      case 0:
        return reshape(t, {t.shape()[0], t.numel() / t.shape()[0]});
      case 1:
        return transpose(t, d, dim(t));
      case 2:
        return n > 1 ? slice(t, d, 1, n) : t;
      case 3:
        return n < 8 ? concat({t, values(t.shape())}, d) : slice(t, d, 0, n, 2);
      case 4:
        return permute(transpose(t, 0, t.rank() - 1), reversed(t.rank()));
      default:
        return flip(t, {d});
    }
  }
  static Ints reversed(int64_t rank) {
    Ints dims;
    for (int64_t k = rank; k-- > 0;) dims.push_back(k);
    return dims;
  }

  Tensor reduced(const Tensor& t) {
    const int64_t d = dim(t);
    switch (below(5)) {
      case 0:
        return t - mean(t, {d}, true);
      case 1:
        return softmax(t, d);
      case 2:
        return layer_norm(t);
      case 3:
        return tanh(sum(t, {d}));
      default:
        return amax(t, {d}, true) * 0.5;
    }
  }

  Tensor product(const Tensor& t) {
    const int64_t k = t.shape()[1], n = 1 + static_cast<int64_t>(below(9));
    const Tensor w = values({k, n}) / std::sqrt(static_cast<double>(k));
    return below(2) ? matmul(t, w) : relu(matmul(t, w) + values({n}));
  }

  Tensor picture(const Tensor& t) {
    const int64_t c = t.shape()[1];
    const auto near = [](double v) { return 1.0 / std::sqrt(v); };
    switch (below(5)) {
      case 0: {
        const Tensor y =
            conv2d(t, values({5, c, 3, 3}) * near(9.0 * c), values({5}), {.padding = {1}});
        return batch_norm_infer(y, values({5}), values({5}), values({5}),
                                square(values({5})) + 0.5);
      }
      case 1:
        return relu(conv2d(t, values({4, c, 1, 1}) * near(c)) + values({4, 1, 1}));
      case 2:
        return conv2d(t, values({c, 1, 3, 3}) * near(9), {}, {.padding = {1}, .groups = c});
      case 3:
        return avg_pool2d(t, {2, 2});
      default:
        return max_pool2d(t, {3, 3}, {.stride = {1}})[0];
    }
  }

  Rng rng_;
  Key key_;
  int drawn_ = 0;
  Tensors pool_;
};

constexpr int kGraphs = 200;

std::vector<std::vector<double>> values_of(int graph) {
  clear_plans();  // a structure's first shape is compiled at once
  const Tensors all = Drawing(static_cast<uint64_t>(graph)).draw(4 + graph % 22);
  eval(all);
  std::vector<std::vector<double>> values;
  for (const Tensor& t : all) values.push_back(t.to_vector<double>());
  return values;
}

void expect_same(const std::vector<std::vector<double>>& got,
                 const std::vector<std::vector<double>>& want, int graph, const std::string& how,
                 double tolerance = 2e-5) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < want.size(); ++k) {
    ASSERT_EQ(got[k].size(), want[k].size()) << how << ", graph " << graph << ", output " << k;
    double scale = 1e-3, largest = 0;
    for (size_t i = 0; i < want[k].size(); ++i) {
      ASSERT_TRUE(std::isfinite(want[k][i])) << "graph " << graph;
      scale = std::max(scale, std::fabs(want[k][i]));
      largest = std::max(largest, std::fabs(got[k][i] - want[k][i]));
    }
    EXPECT_LE(largest / scale, tolerance) << how << ", graph " << graph << ", output " << k;
  }
}

TEST(RandomGraphs, EveryPassKeepsValuesAndGradients) {
  const char* const passes[] = {"expand", "norm", "fold", "algebra",
                                "cse",    "rows", "fuse", "layout"};
  for (int graph = 0; graph < kGraphs; ++graph) {
    set_eager(true);
    const auto eager = values_of(graph);
    set_eager(false);
    expect_same(values_of(graph), eager, graph, "all passes");
    // Other kernels add in another order: most 2.2e-4, of a gradient whose terms cancel.
    set_reference_backend(true);
    expect_same(values_of(graph), eager, graph, "reference kernels", 1e-3);
    set_reference_backend(false);
    const char* without = passes[graph % std::size(passes)];
    setenv("NACRE_DISABLE_PASSES", without, 1);
    expect_same(values_of(graph), eager, graph, std::string("without ") + without);
    unsetenv("NACRE_DISABLE_PASSES");
    set_passes(false);
    expect_same(values_of(graph), eager, graph, "no passes");
    set_passes(true);
  }
  for (const PassStats& s : pass_stats())
    if (std::any_of(nacre::passes().begin(), nacre::passes().end(),
                    [&](const Pass& p) { return p.name == s.name; })) {
      EXPECT_GT(s.runs, 0u) << s.name;
      EXPECT_EQ(s.failures, 0u) << s.name;
    }
}

}  // namespace
}  // namespace nacre
