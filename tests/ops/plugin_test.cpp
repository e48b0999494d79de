// An op compiled apart from the library and loaded at run time is an op like any other.
#include "nacre/plugin.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "graph/attrs.h"
#include "nacre/autograd.h"
#include "nacre/gradient_check.h"
#include "nacre/graph.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"
#include "ops/mill.h"
#include "tools/shell.h"

namespace nacre::testing {
namespace {

std::string built(const std::string& name) { return NACRE_BUILD_DIR "/plugins/" + name + ".so"; }

/// The op by its name and attributes alone.
Tensor bell(const Tensor& x, double width) {
  const OpDef* op = find_op("bell");
  return make(*op, attrs_from_fields(*op, {{"width", width}}), std::span(&x, 1));
}

std::string error_of(const std::string& path) {
  try {
    load_plugin(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Plugin : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { load_plugin(built("bell")); }
};

TEST_F(Plugin, PassesTheTestsOfEveryOp) {
  const OpDef* op = find_op("bell");
  ASSERT_NE(op, nullptr);
  for (const Aspect& aspect : aspects()) {
    const std::string name = aspect.name;
    if (name == "Golden") continue;  // values that were made with PyTorch
    for (const std::string& text : mill(*op, name).failures) ADD_FAILURE() << name << ": " << text;
  }
}

TEST_F(Plugin, GradientsOfBothOrdersAreRight) {
  const Tensor x = Tensor::from<double>({-1.5, -0.2, 0, 0.7, 2}, {5});
  const auto f = [](const Tensors& in) { return sum(square(bell(in[0], 1.5))); };
  EXPECT_LE(gradient_error(f, {x}), 1e-8);
  const auto penalty = [&](const Tensors& in) { return sum(square(grad(f(in), in)[0])); };
  EXPECT_LE(gradient_error(penalty, {x}), 1e-7);
  const auto wrong = [&](const Tensors& in) { return f({stop_gradient(in[0]) + 0.5 * in[0]}); };
  EXPECT_GT(gradient_error(wrong, {x}), 0.1);
  EXPECT_THROW(gradient_error(f, {cast(x, DType::f32)}), Error);
}

TEST_F(Plugin, GraphsWithItAreSavedLoadedAndDumped) {
  const test::TempFolder folder;
  const Tensor x = Tensor::from<float>({-1, 0, 3}, {3});
  const Graph graph =
      Graph::trace([](const Tensors& in) { return Tensors{bell(in[0], 2.5) + 1}; }, {x});
  EXPECT_NE(graph.str().find("bell(%0) width=2.5"), std::string::npos) << graph.str();
  EXPECT_NE(graph.json().find("\"bell\""), std::string::npos);
  graph.save(folder / "g.graph");
  const Graph again = Graph::load(folder / "g.graph");
  EXPECT_EQ(again.hash(), graph.hash());
  const auto y = again.call({x})[0].to_vector<float>();
  EXPECT_FLOAT_EQ(y[0], 1 + std::exp(-1 / 6.25f));
  EXPECT_FLOAT_EQ(y[1], 2);
}

TEST_F(Plugin, AModelOfItTrainsAndSurvivesAFile) {
  const auto net = make_model("bell_net", "in=2 hidden=16 classes=2", Scope::init(Key(1)));
  const Tensor x = Tensor::from<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const Tensor labels = Tensor::from<int64_t>({0, 1, 1, 0}, {4});
  const auto adam = make_optimizer("adam", net->trainable(), 5e-2);
  double loss = 0;
  for (uint64_t step = 0; step < 100; ++step) {
    Context ctx = Context::train(Key(step));
    const Tensor l = cross_entropy((*net)(x, ctx), labels);
    adam->step(grad(l, values(net->trainable())));
    State* states[] = {net->state().get(), adam->state().get()};
    State::commit(states, {l});
    loss = l.item();
  }
  EXPECT_LT(loss, 0.05);  // 0.0006
  const test::TempFolder folder;
  ModelInfo info;
  info.model = "bell_net";
  info.options = "in=2 hidden=16 classes=2";
  save_model(folder / "m.safetensors", *net, info);
  const Model read = load_model(folder / "m.safetensors");
  Context eval = Context::eval();
  const Tensor y = (*read.net)(x, eval);
  EXPECT_EQ(argmax(y, 1).to_vector<int64_t>(), labels.to_vector<int64_t>());
  EXPECT_EQ(y.to_vector<float>(), (*net)(x, eval).to_vector<float>());
}

TEST_F(Plugin, LoadingItAgainDoesNothing) {
  const size_t before = all_ops().size();
  EXPECT_EQ(error_of(built("bell")), "");
  EXPECT_EQ(all_ops().size(), before);
}

TEST(PluginErrors, SayWhatIsWrong) {
  const test::TempFolder folder;
  folder.write("text.so", "not a library");
  const auto expect = [](const std::string& path, const std::string& part) {
    const std::string error = error_of(path);
    EXPECT_NE(error.find(part), std::string::npos) << error;
    EXPECT_NE(error.find(path), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  };
  expect("/nowhere/x.so", "there is no such file");
  expect("libm.so.6", "there is no such file");  // found by dlopen, not by us
  expect(folder.str(), "there is no such file");
  expect(folder / "text.so", "is not a plug-in");
  expect(built("no_plugin"), "it has no NACRE_PLUGIN");
  expect(built("other_version"), "was compiled for another version of nacre");
  expect(built("missing_symbol"), "nobody_defines_this");
}

TEST(PluginErrors, AFailureLeavesNothingRegistered) {
  const size_t before = all_ops().size();
  const std::string error = error_of(built("taken_name"));
  EXPECT_NE(error.find("an op named 'exp' exists already"), std::string::npos) << error;
  EXPECT_EQ(find_op("taken_name_first"), nullptr);
  EXPECT_EQ(all_ops().size(), before);
}

// docs/add-an-op.md shows the example as it is compiled.
TEST(PluginDocumentation, QuotesTheExample) {
  EXPECT_NE(text_of(NACRE_SOURCE_DIR "/docs/add-an-op.md")
                .find("```cpp\n" + text_of(NACRE_SOURCE_DIR "/examples/plugin/bell.cpp") + "```\n"),
            std::string::npos)
      << "copy examples/plugin/bell.cpp into docs/add-an-op.md";
}

}  // namespace
}  // namespace nacre::testing
