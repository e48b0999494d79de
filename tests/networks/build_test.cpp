// The public interface builds known networks in few lines, and graphs of several inputs and
// outputs.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "../examples/networks/lstm.h"
#include "../examples/networks/resnet18.h"
#include "../examples/networks/transformer_encoder.h"
#include "nacre/autograd.h"
#include "nacre/formats.h"
#include "nacre/graph.h"
#include "nacre/optim.h"
#include "tools/shell.h"

namespace nacre {
namespace {

TEST(Networks, EachHasAtMostSixtyLines) {
  for (const char* name : {"resnet18", "lstm", "transformer_encoder"}) {
    std::ifstream file(std::string(NACRE_SOURCE_DIR) + "/examples/networks/" + name + ".h");
    int lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    EXPECT_GT(lines, 20) << name;
    EXPECT_LE(lines, 60) << name;
  }
}

/// Steps of Adam on one batch; the last loss.
double learn(Module& net, const Tensor& x, const std::function<Tensor(const Tensor&)>& loss_of,
             int steps) {
  Adam optimizer(net.trainable(), {.lr = 3e-3});
  double last = 0;
  for (int i = 0; i < steps; ++i) {
    Context ctx = Context::train(Key(static_cast<uint64_t>(i)));
    const Tensor loss = loss_of(net(x, ctx));
    optimizer.step(grad(loss, values(net.trainable())));
    ctx.commit();
    State* states[] = {net.state().get(), optimizer.state().get()};
    State::commit(states, {loss});
    last = loss.item();
  }
  return last;
}

/// Another network of the same settings takes all values from a file, and then computes the same.
template <class Net, class... Settings>
void expect_reloads(Net& net, const Tensor& x, const Settings&... settings) {
  const test::TempFolder folder;
  std::vector<Tensor> kept;
  std::vector<NamedTensor> tensors;
  for (const Variable& v : net.variables()) {
    kept.push_back(v.value());
    tensors.emplace_back(v.name(), raw_tensor(kept.back()));
  }
  save_safetensors(folder / "weights.safetensors", tensors, {});
  const SafeTensors file = SafeTensors::open(folder / "weights.safetensors");
  Net other(Scope::load([&](const std::string& name, const Shape&, DType) {
              return copied_tensor(file.at(name));
            }),
            settings...);
  NoGrad guard;
  Context ctx = Context::eval();
  EXPECT_EQ(other.variables().size(), net.variables().size());
  EXPECT_EQ(other(x, ctx).template to_vector<float>(), net(x, ctx).template to_vector<float>());
}

TEST(Networks, ResNet18HasThePublishedParametersAndInfersShapes) {
  networks::ResNet18 net(Scope::init(Key(0)));
  EXPECT_EQ(net.parameter_count(), 11689512);  // of torchvision
  Context ctx = Context::eval();
  ctx.taps["layer4.1"] = {};
  const Tensor y = net(zeros({2, 3, 224, 224}), ctx);
  EXPECT_EQ(y.shape(), (Shape{2, 1000}));
  EXPECT_EQ(ctx.taps["layer4.1"].shape(), (Shape{2, 512, 7, 7}));
  EXPECT_FALSE(y.evaluated());  // shapes are known before anything is computed
  expect_reloads(net, normal({1, 3, 64, 64}, Key(1)));
}

TEST(Networks, LstmLearnsWhichSequenceRises) {
  const networks::LstmClassifier::Config c = {.in = 1, .hidden = 16, .classes = 2};
  networks::LstmClassifier net(Scope::init(Key(1)), c);
  std::vector<float> x(8 * 6);
  for (size_t t = 0; t < 8; ++t)
    for (size_t i = 0; i < 6; ++i)
      x[t * 6 + i] = static_cast<float>(i % 2 ? t : 8 - t) / 8 + 0.1f * static_cast<float>(i);
  const Tensor y =
      Tensor::from({int64_t{0}, int64_t{1}, int64_t{0}, int64_t{1}, int64_t{0}, int64_t{1}}, {6});
  const auto loss = [&](const Tensor& out) { return cross_entropy(out, y); };
  EXPECT_LT(learn(net, Tensor::from(x, {8, 6, 1}), loss, 150), 0.1);
  EXPECT_EQ(net.parameter_count(), 4 * 16 * (1 + 16 + 2) + 4 * 16 * (16 + 16 + 2) + 16 * 2 + 2);
  expect_reloads(net, Tensor::from(x, {8, 6, 1}), c);
}

TEST(Networks, TransformerEncoderLearnsToReverse) {
  const networks::TransformerEncoder::Config c = {.words = 8, .steps = 6, .width = 32, .heads = 4};
  networks::TransformerEncoder net(Scope::init(Key(2)), c);
  const Tensor x = randint({16, 6}, Key(3), 0, 8);
  const auto loss = [&](const Tensor& out) {
    return cross_entropy(reshape(matmul(out, transpose(net.embed.weight.value())), {-1, 8}),
                         reshape(flip(x, {1}), {-1}));
  };
  Context ctx = Context::eval();
  const double before = loss(net(x, ctx)).item();
  EXPECT_LT(learn(net, x, loss, 120), before / 3);
  expect_reloads(net, x, c);
}

/// Two inputs, two outputs, and one weight that serves both.
struct TwoTowers {
  explicit TwoTowers(const Scope& s)
      : state(s.state()),
        shared(s / "shared", {5, 8}),
        left(s / "left", {8, 3}),
        both(s / "both", {16, 1}) {}
  Tensors call(const Tensor& a, const Tensor& b, Context& ctx) {
    const Tensor ha = tanh(shared(a, ctx)), hb = tanh(shared(b, ctx));
    return {left(ha, ctx), both(concat({ha, hb}, 1), ctx)};
  }
  std::shared_ptr<State> state;
  Linear shared, left, both;
};

TEST(Networks, AGraphOfTwoInputsTwoOutputsAndASharedWeight) {
  TwoTowers net(Scope::init(Key(4)));
  const Tensor a = normal({12, 5}, Key(5)), b = normal({12, 5}, Key(6));
  eval({a, b});
  const auto loss_of = [&](const Tensors& y) {
    return mean(square(y[0] - slice(a, 1, 0, 3))) + mean(square(y[1] - sum(b, {1}, true)));
  };
  std::vector<Variable> trained = net.state->variables();
  // The shared weight's gradient is the sum over both uses.
  Context ctx = Context::eval();
  const Tensors y = net.call(a, b, ctx);
  EXPECT_EQ(y[0].shape(), (Shape{12, 3}));
  EXPECT_EQ(y[1].shape(), (Shape{12, 1}));
  const Tensor w = net.shared.weight.value();
  const auto whole = grad(loss_of(y), {w})[0].to_vector<double>();
  const auto one_side = [&](bool of_a) {
    const Tensor fixed = stop_gradient(w);
    const auto f = [&](const Tensor& x, bool live) {
      return tanh(matmul(x, transpose(live ? w : fixed)) + net.shared.bias.value());
    };
    const Tensor ha = f(a, of_a), hb = f(b, !of_a);
    Context c = Context::eval();
    return grad(loss_of({net.left(ha, c), net.both(concat({ha, hb}, 1), c)}), {w})[0]
        .to_vector<double>();
  };
  const auto from_a = one_side(true), from_b = one_side(false);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], from_a[i] + from_b[i], 1e-6);

  Adam optimizer(trained, {.lr = 1e-2});
  double first = 0, last = 0;
  for (int i = 0; i < 200; ++i) {
    Context step = Context::train(Key(0));
    const Tensor loss = loss_of(net.call(a, b, step));
    optimizer.step(grad(loss, values(trained)));
    State* states[] = {net.state.get(), optimizer.state().get()};
    State::commit(states, {loss});
    (i ? last : first) = loss.item();
  }
  EXPECT_LT(last, first / 10);

  // As a graph: every node has a shape, and a file gives the same bits.
  const Graph g = Graph::trace(
      [&](const Tensors& in) {
        Context c = Context::eval();
        return net.call(in[0], in[1], c);
      },
      {a, b});
  EXPECT_EQ(g.inputs().size(), 2u);
  EXPECT_EQ(g.outputs().size(), 2u);
  test::TempFolder folder;
  g.save(folder / "towers.graph");
  const Graph loaded = Graph::load(folder / "towers.graph");
  for (size_t k = 0; k < 2; ++k)
    EXPECT_EQ(loaded.call({a, b})[k].to_vector<float>(), g.call({a, b})[k].to_vector<float>());
}

}  // namespace
}  // namespace nacre
