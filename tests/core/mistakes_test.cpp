// Typical mistakes: each error names the layer, what was there, what should be, and the line.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre {
namespace {

int line = 0;  // of the mistake

struct Net : Module {
  explicit Net(const Scope& s)
      : Module(s),
        conv1(s / "conv1", {3, 6, 5}),
        bn1(s / "bn1", {6}),
        embed(s / "embed", {10, 4}),
        norm(s / "norm", {{8}}),
        fc(s / "fc", {24, 10}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    line = __LINE__ + 1;
    return fc(flatten(relu(bn1(conv1(x, ctx), ctx)), 1), ctx);
  }
  Conv2d conv1;
  BatchNorm bn1;
  Embedding embed;
  LayerNorm norm;
  Linear fc;
};

struct Mistake {
  const char* name;
  std::function<void()> make;
  std::vector<std::string> parts;  ///< of the text, besides the line
};

std::vector<Mistake> mistakes() {
  const auto net = std::make_shared<Net>(Scope::init(Key(0)));
  const auto ctx = std::make_shared<Context>(Context::eval());
  const auto training = std::make_shared<Context>(Context::train(Key(1)));
  const auto x = [](const Shape& s) { return zeros(s); };
  return {
      {"channels",
       [=] {
         (*net)(x({2, 1, 6, 6}), *ctx);
       },
       {"conv2d", "layer conv1", "1 channel", "3"}},
      {"no batch dimension",
       [=] {
         (*net)(x({3, 6, 6}), *ctx);
       },
       {"conv2d", "layer conv1", "3x6x6", "rank"}},
      {"picture smaller than the kernel",
       [=] {
         (*net)(x({2, 3, 4, 4}), *ctx);
       },
       {"[conv]", "layer conv1", "4", "5"}},
      {"features of a full layer",
       [=] {
         (*net)(x({2, 3, 8, 8}), *ctx);
       },
       {"linear", "layer fc", "96", "24"}},
      {"channels of a normalisation",
       [=] {
         line = __LINE__ + 1;
         net->bn1(x({2, 5, 4, 4}), *training);
       },
       {"layer bn1", "5", "6"}},
      {"width of a layer normalisation",
       [=] {
         line = __LINE__ + 1;
         net->norm(x({2, 7}), *ctx);
       },
       {"layer norm", "7", "8"}},
      {"an index that is no integer",
       [=] {
         line = __LINE__ + 1;
         net->embed(x({3}), *ctx);
       },
       {"embedding", "layer embed", "f32", "i64"}},
      {"inner dimensions",
       [=] {
         line = __LINE__ + 1;
         matmul(x({2, 3}), x({4, 5}));
       },
       {"matmul", "2x3", "4x5"}},
      {"shapes that do not broadcast",
       [=] {
         const Tensor a = x({2, 3}), b = x({2, 4});
         line = __LINE__ + 1;
         a + b;
       },
       {"add", "2x3", "2x4"}},
      {"whole numbers where fractions are needed",
       [=] {
         line = __LINE__ + 1;
         softmax(zeros({2, 3}, DType::i64));
       },
       {"softmax", "i64", "floating"}},
      {"doubles for a net of floats",
       [=] {
         (*net)(zeros({2, 3, 6, 6}, DType::f64), *ctx);
       },
       {"batch_norm", "layer bn1", "f32", "f64"}},
      {"a shape of another size",
       [=] {
         line = __LINE__ + 1;
         reshape(x({2, 3}), {4, 2});
       },
       {"reshape", "2x3", "4x2"}},
      {"pieces of different sizes",
       [=] {
         line = __LINE__ + 1;
         concat({x({2, 3}), x({2, 4})}, 0);
       },
       {"concat", "2x3", "2x4"}},
      {"an index outside a dimension",
       [=] {
         line = __LINE__ + 1;
         select(x({2, 3}), 1, 3);
       },
       {"select", "3"}},
      {"labels of another batch",
       [=] {
         line = __LINE__ + 1;
         cross_entropy(x({4, 10}), zeros({3}, DType::i64));
       },
       {"cross_entropy", "4x10", "3"}},
      {"a gradient of many values",
       [=] {
         const Tensor w = x({3}).as_leaf();
         line = __LINE__ + 1;
         grad(exp(w), {w});
       },
       {"grad", "3"}},
      {"a gradient through what was not recorded",
       [=] {
         const Tensor w = x({3});
         line = __LINE__ + 1;
         const Tensor y = sum(exp(w));
         eval(y);
         grad(y, {w});
       },
       {"grad"}},
      {"gradients that are missing",
       [=] {
         SGD optimizer(net->trainable(), {});
         line = __LINE__ + 1;
         const Tensor g = exp(x({3}));
         optimizer.step({g});
       },
       {"optimizer", "1 gradient", "9 parameters"}},
      {"a parameter of another shape",
       [=] {
         Variable w = net->fc.weight;
         line = __LINE__ + 1;
         w.set(exp(x({10, 25})));
       },
       {"fc.weight", "10x24", "10x25"}},
      {"one value of many",
       [=] {
         line = __LINE__ + 1;
         exp(x({2, 3})).item();
       },
       {"item", "2x3"}},
      {"a tensor that is not there",
       [=] {
         const Tensor nothing;
         line = __LINE__ + 1;
         exp(nothing);
       },
       {"undefined"}},
      {"a probability above one",
       [=] {
         line = __LINE__ + 1;
         dropout(x({3}), 1.5, Key(1));
       },
       {"dropout", "1.5", "1"}},
  };
}

/// Makes the mistake and checks the text: all parts, and the line once.
void expect_named(const Mistake& m) {
  std::string text;
  try {
    m.make();
  } catch (const Error& e) {
    text = e.what();
  }
  EXPECT_NE(text, "") << m.name << " was taken";
  for (const std::string& part : m.parts)
    EXPECT_NE(text.find(part), std::string::npos) << m.name << ": no '" << part << "' in " << text;
  const std::string place = "mistakes_test.cpp:" + std::to_string(line);
  const size_t at = text.find(place);
  EXPECT_NE(at, std::string::npos) << m.name << ": no " << place << " in " << text;
  EXPECT_EQ(text.find("_test.cpp:", text.find("_test.cpp:") + 1), std::string::npos) << text;
}

TEST(Mistakes, AreNamedWithLayerValuesAndLine) {
  int count = 0;
  for (const Mistake& m : mistakes()) {
    expect_named(m);
    ++count;
  }
  EXPECT_GE(count, 20);
}

// ---- mistakes in values, which are seen when the plan runs

struct Words : Module {
  explicit Words(const Scope& s)
      : Module(s), first(s / "first", {10, 4}), second(s / "second", {10, 4}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor a = first(x, ctx);
    line = __LINE__ + 1;
    return a + second(x + shift, ctx);
  }
  int64_t shift = 0;
  Embedding first, second;
};

Tensor indices(const std::vector<int64_t>& v) {
  return Tensor::from(v, {static_cast<int64_t>(v.size())});
}

std::vector<Mistake> mistakes_in_values() {
  const auto net = std::make_shared<Words>(Scope::init(Key(0)));
  const auto ctx = std::make_shared<Context>(Context::eval());
  return {
      {"an index outside the table",
       [=] {
         line = __LINE__ + 1;
         const Tensor y = net->first(indices({1, 12}), *ctx);
         eval(exp(y));
       },
       {"12", "10", " in layer first at "}},
      {"the same in a layer of the same sizes",  // whose plan is that of the layer before
       [=] {
         line = __LINE__ + 1;
         const Tensor y = net->second(indices({1, 12}), *ctx);
         eval(exp(y));
       },
       {"12", "10", " in layer second at "}},
      {"an index outside the table of the second layer",
       [=] {
         net->shift = 5;
         const Tensor y = (*net)(indices({1, 6}), *ctx);
         eval(sum(y));
       },
       {"11", "10", " in layer second at "}},
      {"a label that is no class",
       [=] {
         line = __LINE__ + 1;
         const Tensor loss = cross_entropy(zeros({2, 3}) + 1.0, indices({1, 3}));
         loss.item();
       },
       {" 3 "}},
      {"a label that is no class, while training",
       [=] {
         const Tensor w = zeros({3, 4}).as_leaf();
         const Tensor x = ones({2, 4});
         line = __LINE__ + 1;
         const Tensor loss = cross_entropy(matmul(x, transpose(w, 0, 1)), indices({1, 3}));
         const Tensor g = grad(loss, {w})[0];
         eval({loss, g});
       },
       {" 3 "}},
      {"a singular matrix",
       [=] {
         line = __LINE__ + 1;
         const Tensor y = inverse(zeros({2, 2}));
         sum(y).item();
       },
       {"singular"}},
      {"a matrix that is not positive definite",
       [=] {
         line = __LINE__ + 1;
         const Tensor y = cholesky(Tensor::from<float>({1, 2, 2, 1}, {2, 2}));
         eval(y);
       },
       {"positive definite"}},
      {"an index in a recomputed part",
       [=] {
         const Tensor w = ones({10, 4}).as_leaf();
         const Tensor i = indices({12});
         const auto part = [&](const Tensors& t) {
           line = __LINE__ + 1;
           return Tensors{embedding(t[0], i)};
         };
         const Tensors y = checkpoint(part, {w});
         eval(y);
       },
       {"12", "10"}},
      {"an index in a loop",
       [=] {
         const Tensor table = ones({10, 4});
         const auto body = [&](const Tensors& t) {  // carry, index
           line = __LINE__ + 1;
           return Tensors{t[0] + sum(embedding(table, t[1]))};
         };
         eval(scan(body, {zeros({})}, {indices({1, 12})}));
       },
       {"12", "10"}},
  };
}

TEST(Mistakes, InValuesAreNamedWithLayerAndLine) {
  for (const Mistake& m : mistakes_in_values()) expect_named(m);
  set_passes(false);
  for (const Mistake& m : mistakes_in_values()) expect_named(m);
  set_passes(true);
  set_reference_backend(true);
  for (const Mistake& m : mistakes_in_values()) expect_named(m);
  set_reference_backend(false);
  set_eager(true);
  for (const Mistake& m : mistakes_in_values()) expect_named(m);
  set_eager(false);
}

TEST(Mistakes, ABackendThatIsNotThereIsNamed) {
  // The variable is read once: this program again, told of a graphics card.
  const char* variable = "NACRE_BACKEND";
  if (const char* name = std::getenv(variable); name && std::string(name) == "cuda") {
    try {
      eval(exp(zeros({2})));
      ADD_FAILURE() << "was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::usage);
      for (const char* part : {"NACRE_BACKEND", "'cuda'", "cpu and ref"})
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
    return;
  }
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto r = test::run_command(std::string(variable) + "=cuda '" + program +
                                   "' --gtest_filter=Mistakes.ABackendThatIsNotThereIsNamed");
  EXPECT_EQ(r.code, 0) << r.output;
}

TEST(Mistakes, AGraphBelongsToNoBackend) {
  const test::TempFolder folder;
  const std::string path = folder / "saved.graph";
  const Tensor x = normal({4, 3}, Key(1)), w = normal({3, 2}, Key(2));
  set_reference_backend(true);
  const Graph graph =
      Graph::trace([&](const Tensors& in) { return Tensors{softmax(matmul(in[0], w))}; }, {x});
  const auto want = graph.call({x})[0].to_vector<float>();
  graph.save(path);
  set_reference_backend(false);
  const auto got = Graph::load(path).call({x})[0].to_vector<float>();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
}

TEST(Mistakes, KeepTheirKind) {
  try {
    eval(inverse(zeros({2, 2})));
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::numeric);
  }
}

TEST(Mistakes, DumpsShowTheLayerOfEachNode) {
  Net net(Scope::init(Key(0)));
  const Graph graph = Graph::trace(
      [&](const Tensors& x) {
        Context ctx = Context::eval();
        return Tensors{net(x[0], ctx)};
      },
      {zeros({2, 3, 6, 6})});
  for (const Graph& g : {graph, run_passes(graph, {})}) {
    const std::string json = g.json();
    for (const char* layer : {"\"conv1\"", "\"bn1\"", "\"fc\""})
      EXPECT_NE(json.find(std::string("\"layer\": ") + layer), std::string::npos) << json;
  }
}

}  // namespace
}  // namespace nacre
