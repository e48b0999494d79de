// What each method has to satisfy whatever the network.
#include <algorithm>
#include <numeric>

#include "explain/small.h"

namespace nacre::test {
namespace {

using explain::Classes;

Tensor pictures(const Shape& shape, uint64_t seed) { return uniform(shape, Key(seed), -1, 1); }

TEST(Cam, SumIsTheScoreWithoutBias) {
  const auto net = make_model("cnn", "widths=8-16 classes=5", Scope::init(Key(1)));
  const Tensor x = pictures({3, 1, 16, 16}, 2);
  const Classes classes = {4, 0, 2};
  const Tensor map = explain::cam(*net, x, classes);
  EXPECT_EQ(map.shape(), Shape({3, 1, 4, 4}));
  const Tensor bias = net->state()->find("fc.bias").value();
  const auto score =
      explain::class_scores(explain::scores_of(*net), x, classes).to_vector<double>();
  const auto total = sum(map, {1, 2, 3}).to_vector<double>();
  const auto b = bias.to_vector<double>();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(total[i], score[i] - b[static_cast<size_t>(classes[i])], 1e-5);
}

TEST(Cam, IsTheWeightedSumOfMaps) {  // the published formula, by hand
  const auto net = make_model("cnn", "widths=4-6 classes=3", Scope::init(Key(1)));
  const Tensor x = pictures({1, 1, 12, 12}, 2);
  Context ctx = Context::eval();
  ctx.taps["features"] = {};
  (*net)(x, ctx);
  const Tensor maps = ctx.taps["features"];
  const auto f = maps.to_vector<double>();
  const auto w = net->state()->find("fc.weight").value().to_vector<double>();
  const auto cam = explain::cam(*net, x, {1}).to_vector<double>();
  ASSERT_EQ(cam.size(), 9u);
  for (size_t i = 0; i < 9; ++i) {
    double want = 0;
    for (size_t k = 0; k < 6; ++k) want += w[6 + k] * f[k * 9 + i] / 9;
    EXPECT_NEAR(cam[i], want, 1e-6);
  }
}

TEST(Cam, SaysWhereItDoesNotApply) {
  const auto net = make_model("lenet5", "", Scope::init(Key(1)));
  const Tensor x = pictures({1, 1, 32, 32}, 2);
  try {
    explain::cam(*net, x, {1});
    FAIL() << "LeNet-5 has a ReLU after its maps";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::unsupported);
    EXPECT_NE(std::string(e.what()).find("grad_cam"), std::string::npos) << e.what();
  }
  try {
    explain::grad_cam(*net, x, {1}, "fc1");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("conv1, conv2"), std::string::npos) << e.what();
  }
  EXPECT_EQ(explain::map_layers(*net, x), (std::vector<std::string>{"conv1", "conv2"}));
}

TEST(IntegratedGradients, IsComplete) {
  const auto net = make_model("lenet5", "", Scope::init(Key(3)));
  const auto f = explain::scores_of(*net);
  const Tensor x = pictures({2, 1, 32, 32}, 4);
  const Classes classes = {1, 7};
  const auto r = explain::integrated_gradients(f, x, classes, {.steps = 256});
  const Tensor difference =
      explain::class_scores(f, x, classes) - explain::class_scores(f, zeros_like(x), classes);
  EXPECT_LE(farthest(sum(r.map, {1, 2, 3}), difference), 1e-3 * amax(abs(difference)).item());
  EXPECT_LE(farthest(r.gap, difference - sum(r.map, {1, 2, 3})), 1e-5);
}

TEST(Shapley, ExactValuesAreTheMeanOverAllOrders) {
  // A game of four players with made-up values for each coalition.
  const auto value = [](const std::vector<bool>& in) {
    size_t s = 0;
    for (size_t p = 0; p < in.size(); ++p) s = 2 * s + in[p];
    return std::sin(static_cast<double>(3 * s + 1)) + static_cast<double>(s * s % 7);
  };
  const explain::Game game = [&](const std::vector<std::vector<bool>>& all) {
    std::vector<double> v;
    for (const auto& in : all) v.push_back(value(in));
    return v;
  };
  std::vector<double> want(4);
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    std::vector<bool> in(4, false);
    for (size_t p : order) {
      const double before = value(in);
      in[p] = true;
      want[p] += (value(in) - before) / 24;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  const auto got = explain::shapley(game, 4);
  for (size_t p = 0; p < 4; ++p) EXPECT_NEAR(got[p], want[p], 1e-12);
}

TEST(Shapley, SampledValuesAreEfficientAndClose) {
  // 16 players: pairs that only win together, so the values are known.
  const explain::Game game = [](const std::vector<std::vector<bool>>& all) {
    std::vector<double> v;
    for (const auto& in : all) {
      double won = 0;
      for (size_t p = 0; p < 16; p += 2)
        if (in[p] && in[p + 1]) won += static_cast<double>(p) + 1;
      v.push_back(won);
    }
    return v;
  };
  const auto got = explain::shapley(game, 16, {.samples = 200});
  EXPECT_NEAR(std::accumulate(got.begin(), got.end(), 0.0), 64, 1e-9);
  for (size_t p = 0; p < 16; ++p)  // of a pair one gets all in an order, the other in its reverse
    EXPECT_NEAR(got[p], static_cast<double>(p / 2 * 2 + 1) / 2, 1e-9);
}

TEST(Occlusion, OfALinearModelByHand) {
  const Tensor w = Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3});
  const explain::Scores f = [&](const Tensor& x) {
    return reshape(sum(x * w, {1, 2, 3}), {x.size(0), 1});
  };
  const Tensor x = ones({1, 1, 3, 3});
  const auto map = explain::occlusion(f, x, {0}, {.window = 2, .stride = 1}).to_vector<float>();
  // Windows take 12, 16, 24 and 28; each pixel has the mean of those that cover it.
  const std::vector<float> want = {12, 14, 16, 18, 20, 22, 24, 26, 28};
  for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(map[i], want[i], 1e-4) << i;
}

// ---- relevance

/// score - sum(map) - bias, with biases and constants counted.
double lost(Module& net, const Tensor& x, const Classes& classes,
            const explain::LrpOptions& options, double* score = nullptr) {
  const auto f = explain::scores_of(net);
  const auto r = explain::lrp(f, x, classes, options);
  const double s = sum(explain::class_scores(f, x, classes)).item();
  if (score) *score = s;
  return std::fabs(s - sum(r.map).item() - r.bias.item());
}

TEST(Lrp, RelevanceIsConserved) {
  const Tensor x = pictures({2, 1, 32, 32}, 5);
  for (const char* model : {"lenet5", "cnn"}) {
    const auto net = make_model(model, "", Scope::init(Key(6)));
    for (const char* rule : {"epsilon", "gamma", "zplus", "composite", "composite_flat"}) {
      auto o = explain::LrpOptions::named(rule);
      o.epsilon = 1e-9;
      EXPECT_LE(lost(*net, x, {3, 8}, o), 1e-4) << model << " " << rule;
    }
  }
}

TEST(Lrp, BiasesMayBeLeftOut) {
  const auto net = make_model("cnn", "widths=4-6", Scope::init(Key(6)));
  const Tensor x = pictures({1, 1, 12, 12}, 7);
  auto o = explain::LrpOptions::named("zplus");
  o.epsilon = 1e-9;
  o.bias = false;
  const auto f = explain::scores_of(*net);
  const auto r = explain::lrp(f, x, {2}, o);
  EXPECT_EQ(r.bias.item(), 0);
  EXPECT_NEAR(sum(r.map).item(), explain::class_scores(f, x, {2}).item(), 1e-4);
}

/// A network of f64, whose batch norms are not those of a fresh one.
std::unique_ptr<Module> in_double(const std::string& name, const std::string& options) {
  auto net = make_model(name, options, Scope::init(Key(8), DType::f64));
  for (Variable v : net->variables())
    if (!v.is_parameter() && v.name().ends_with("running_mean"))
      v.set(uniform(v.value().shape(), Key(9).fold_in(v.name()), -0.2, 0.2, DType::f64));
    else if (!v.is_parameter() && v.name().ends_with("running_var"))
      v.set(uniform(v.value().shape(), Key(9).fold_in(v.name()), 0.5, 2, DType::f64));
  net->state()->commit();
  return net;
}

TEST(Lrp, ConservesInEveryKindOfNetwork) {
  // Depthwise, squeeze and excitation, residual, concatenated, pre-activation, transformer, mixer.
  for (const char* name : {"mobilenet_v2", "mobilenet_v3_small", "resnet18_v2", "densenet121",
                           "shufflenet_v2_x0_5", "vit_b_16", "mixer_s32"}) {
    const ModelEntry& e = find_model(name);
    const auto net = in_double(name, e.tiny);
    Shape shape = {1};
    for (int64_t d : e.tiny_input.rank() ? e.tiny_input : e.input) shape.push_back(d);
    const Tensor x = uniform(shape, Key(10), -1, 1, DType::f64);
    for (const char* rule : {"epsilon", "composite"}) {
      auto o = explain::LrpOptions::named(rule);
      o.epsilon = 1e-12;
      double score = 0;
      const double gap = lost(*net, x, {1}, o, &score);
      EXPECT_LE(gap, 1e-4 * std::max(1.0, std::fabs(score))) << name << " " << rule;
    }
  }
}

TEST(Lrp, EpsilonOfALinearModelIsInputTimesWeight) {
  const auto net = make_model("logistic_regression", "in=6 classes=3", Scope::init(Key(2)));
  const Tensor x = uniform({1, 6}, Key(3), -1, 1);
  auto o = explain::LrpOptions::named("epsilon");
  o.epsilon = 1e-9;
  const auto r = explain::lrp(explain::scores_of(*net), x, {1}, o);
  for (const Variable& v : net->parameters()) {
    if (v.value().rank() == 2)
      EXPECT_LE(farthest(r.map, x * slice(v.value(), 0, 1, 2)), 1e-6);
    else
      EXPECT_NEAR(r.bias.item(), slice(v.value(), 0, 1, 2).item(), 1e-6);
  }
}

TEST(Lrp, NamesAllOperatorsWithoutARule) {
  const explain::Scores f = [](const Tensor& x) { return cumprod(pow(x, x * 2), 1); };
  try {
    explain::lrp(f, ones({1, 3}) * 2, {1});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::unsupported);
    EXPECT_NE(std::string(e.what()).find("cumprod"), std::string::npos) << e.what();
  }
}

TEST(Explain, WrongClassesAndShapesAreNamed) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const auto f = explain::scores_of(*net);
  const Tensor x = pictures({2, 1, 32, 32}, 1);
  const auto text = [&](const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(text([&] { explain::saliency(f, x, {10}); }).find("there is no class 10"),
            std::string::npos);
  EXPECT_NE(text([&] {
              explain::saliency(f, x, {1, 2, 3});
            }).find("3 classes for 2 samples"),
            std::string::npos);
  EXPECT_NE(text([&] {
              explain::occlusion(f, x, {1}, {.window = 2, .stride = 5});
            }).find("stride at most the window"),
            std::string::npos);
  EXPECT_NE(text([&] { explain::LrpOptions::named("best"); }).find("composite_flat"),
            std::string::npos);
}

}  // namespace
}  // namespace nacre::test
