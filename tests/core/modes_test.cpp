// One source, two modes; control flow of plain C++; versions of a graph; the executor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/parallel.h"
#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "nacre/op.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre {
namespace {

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::fabs(b[i]))) << "at " << i;
}

/// A network with an if and a while that depend on data.
Tensors with_control_flow(const Tensor& x, const Tensor& w) {
  const Tensor h = tanh(matmul(x, w));
  const Tensor g = cond(
      sum(h) > 0.0, [](const Tensors& t) { return Tensors{t[0] * 2.0}; },
      [](const Tensors& t) { return Tensors{square(t[0])}; }, {h})[0];
  return while_loop([](const Tensors& t) { return sum(square(t[0])) < 50.0; },
                    [&](const Tensors& t) { return Tensors{t[0] * 1.5 + 0.1 * h}; }, {g});
}

TEST(Modes, OutputsAndGradientsAreThoseOfEagerMode) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    const auto run = [&](bool eager) {
      set_eager(eager);
      const Tensor x = normal({4, 6}, Key(seed)), w = normal({6, 5}, Key(seed + 9)).as_leaf();
      const Tensor y = with_control_flow(x, w)[0];
      std::vector<double> all = y.to_vector<double>();
      for (const double v : grad(mean(y * y), {w})[0].to_vector<double>()) all.push_back(v);
      set_eager(false);
      return all;
    };
    expect_near(run(false), run(true), 1e-6);
  }
}

/// A binary tree; leaves hold vectors.
struct Tree {
  std::unique_ptr<Tree> left, right;
  Tensor leaf;
};
std::unique_ptr<Tree> grow(Rng& rng, int depth) {
  auto t = std::make_unique<Tree>();
  if (depth == 0 || rng.bernoulli(0.3)) {
    t->leaf = Tensor::from({rng.normal(), rng.normal(), rng.normal()}, {1, 3});
  } else {
    t->left = grow(rng, depth - 1);
    t->right = grow(rng, depth - 1);
  }
  return t;
}

Tensor encode(const Tree& t, const Tensor& w, std::ostream* trace) {
  if (t.leaf.defined()) return t.leaf;
  const Tensor pair = concat({encode(*t.left, w, trace), encode(*t.right, w, trace)}, 1);
  const Tensor h = tanh(matmul(pair, w));
  if (trace) *trace << h << "\n";  // an intermediate value, at any line
  return h;
}

/// The same as a static list of nodes in post-order, without recursion.
Tensor unrolled(const Tree& root, const Tensors& in) {
  std::vector<std::pair<const Tree*, bool>> todo = {{&root, false}};
  Tensors stack;
  while (!todo.empty()) {
    const auto [t, visited] = todo.back();
    todo.pop_back();
    if (t->leaf.defined()) {
      stack.push_back(t->leaf);
    } else if (!visited) {
      todo.push_back({t, true});
      todo.push_back({t->right.get(), false});
      todo.push_back({t->left.get(), false});
    } else {
      const Tensor right = stack.back(), left = stack[stack.size() - 2];
      stack.resize(stack.size() - 2);
      stack.push_back(tanh(matmul(concat({left, right}, 1), in[0])));
    }
  }
  return stack.back();
}

TEST(Dynamic, RecursionOverATreeHasTheGradientOfTheStaticGraph) {
  Rng rng(Key(3));
  for (int k = 0; k < 5; ++k) {
    const auto tree = grow(rng, 4);
    const Tensor w = (normal({6, 3}, Key(7), 0.0, 0.7, DType::f64)).as_leaf();
    eval(w);
    std::ostringstream trace;
    const Tensor y = encode(*tree, w, &trace), z = encode(*tree, w, nullptr);
    const Graph fixed =
        Graph::trace([&](const Tensors& in) { return Tensors{unrolled(*tree, in)}; }, {w});
    const Tensor want = fixed.call({w})[0];
    expect_near(y.to_vector<double>(), want.to_vector<double>(), 1e-12);
    const auto gradient = [&](const Tensor& t) {
      return grad(sum(square(t)), {w})[0].to_vector<double>();
    };
    expect_near(gradient(z), gradient(want), 1e-6);
    EXPECT_EQ(trace.str().empty(), tree->leaf.defined());
  }
}

TEST(Dynamic, ALoopAsLongAsItsInputSaysTrains) {
  // y = w^n x for n from the data; learns w from sequences of different lengths.
  const Scope s = Scope::init(Key(1), DType::f64);
  Variable w = s.parameter("w", {1}, init::constant(0.7));
  SGD optimizer({w}, {.lr = 0.02});
  for (int i = 0; i < 200; ++i) {
    const int64_t n = Tensor(int64_t{1 + i % 4}).item_int();
    Tensor h = Tensor::from({1.0}, {1});
    for (int64_t k = 0; k < n; ++k) h = h * w.value();
    const double want = std::pow(0.9, static_cast<double>(n));
    const Tensor loss = sum(square(h - want));
    const Tensors g = grad(loss, {w.value()});
    const double at = w.value().item();
    const double formula = 2 * (std::pow(at, n) - want) * static_cast<double>(n) *
                           std::pow(at, static_cast<double>(n - 1));
    ASSERT_NEAR(g[0].item(), formula, 1e-6);
    optimizer.step(g);
    s.state()->commit({loss});
  }
  EXPECT_NEAR(w.value().item(), 0.9, 1e-3);
}

TEST(History, DiffOfSavedModelsIsExactAndAnyVersionComesBack) {
  test::TempFolder folder;
  const auto net = make_model("mlp", "in=6 hidden=5 classes=3", Scope::init(Key(1)));
  net->freeze("^layers.0");
  const Tensor x = normal({4, 6}, Key(2));
  SGD optimizer(net->trainable(), {.lr = 0.1});
  std::vector<std::vector<float>> outputs;
  const auto path = [&](size_t k) { return folder / ("v" + std::to_string(k) + ".graph"); };
  const auto record = [&](bool extra) {
    const Graph g = Graph::trace(
        [&](const Tensors& in) {
          Context ctx = Context::eval();
          const Tensor y = (*net)(in[0], ctx);
          return Tensors{extra ? softmax(y) : y};
        },
        {x});
    outputs.push_back(g.call({x})[0].to_vector<float>());
    g.save(path(outputs.size() - 1));
  };
  record(false);
  Context ctx = Context::train(Key(3));
  const Tensor loss = sum(square((*net)(x, ctx)));
  optimizer.step(grad(loss, values(net->trainable())));
  net->state()->commit({loss});
  record(false);
  record(true);

  std::vector<Graph> versions;
  for (size_t k = 0; k < 3; ++k) versions.push_back(Graph::load(path(k)));
  EXPECT_TRUE(diff(versions[0], Graph::load(path(0))).empty());
  // One step changed the weight and the bias that were not frozen, and nothing else.
  const auto step = diff(versions[0], versions[1]);
  ASSERT_EQ(step.size(), 2u);
  for (const auto& change : step) {
    EXPECT_EQ(change.kind, GraphChange::Kind::changed);
    EXPECT_NE(change.text.find("constant"), std::string::npos) << change.text;
  }
  const auto added = diff(versions[1], versions[2]), removed = diff(versions[2], versions[1]);
  ASSERT_EQ(added.size(), 1u);
  EXPECT_EQ(added[0].kind, GraphChange::Kind::added);
  EXPECT_NE(added[0].text.find("softmax"), std::string::npos);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].kind, GraphChange::Kind::removed);
  for (size_t k = 0; k < 3; ++k)
    EXPECT_EQ(versions[k].call({x})[0].to_vector<float>(), outputs[k]) << "version " << k;
}

/// Outputs and gradients of a small network in training mode.
std::vector<double> outputs_and_gradients() {
  const auto net = make_model("cnn", "widths=8-16 dropout=0", Scope::init(Key(1)));
  const Tensor x = normal({16, 1, 16, 16}, Key(2));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 16; ++i) labels.push_back(i % 10);
  Context ctx = Context::train(Key(3));
  const Tensor y = (*net)(x, ctx);
  std::vector<double> all = y.to_vector<double>();
  const Tensor loss = cross_entropy(y, Tensor::from(labels, {16}));
  for (const Tensor& g : grad(loss, values(net->trainable())))
    for (const double v : g.to_vector<double>()) all.push_back(v);
  return all;
}

TEST(Executor, ThreadsDoNotChangeResults) {
  const int before = num_threads();
  std::vector<double> want;
  for (const int threads : {1, 2, 8}) {
    set_num_threads(threads);
    const auto all = outputs_and_gradients();
    if (want.empty()) want = all;
    expect_near(all, want, 1e-6);
  }
  set_num_threads(before);
}

TEST(Executor, TwoProcessesAgree) {
  // The other process is this program again, told by a variable where to write.
  const char* variable = "NACRE_TEST_RESULTS";
  const auto mine = outputs_and_gradients();
  if (const char* path = std::getenv(variable)) {
    std::ofstream file(path);
    file.precision(17);
    for (const double v : mine) file << v << "\n";
    return;
  }
  test::TempFolder folder;
  const std::string path = folder / "results.txt";
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = std::string(variable) + "='" + path + "' '" + program +
                              "' --gtest_filter=Executor.TwoProcessesAgree --gtest_output= >" +
                              (folder / "log.txt").string() + " 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(path);
  std::vector<double> other;
  for (double v; file >> v;) other.push_back(v);
  expect_near(other, mine, 1e-6);
}

TEST(Executor, NamesNoOp) {
  // Ops that hold graphs are the executor's own business: it calls their bodies.
  const std::set<std::string> control = {"cond", "while_loop", "scan"};
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(NACRE_SOURCE_DIR) + "/src/runtime")) {
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    ASSERT_FALSE(text.empty());
    ++files;
    const bool of_control = entry.path().stem() == "control";
    for (const OpDef* op : all_ops()) {
      const std::string name = op->name;
      if (of_control && control.count(name)) continue;
      EXPECT_EQ(text.find('"' + name + '"'), std::string::npos)
          << entry.path() << " names " << name;
      EXPECT_EQ(text.find("op_" + name + ")"), std::string::npos) << entry.path();
    }
  }
  EXPECT_GE(files, 3);
}

}  // namespace
}  // namespace nacre
