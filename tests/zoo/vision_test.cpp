// What single image classifiers promise beyond what holds for every model.
#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

Tensor picture(const Shape& shape) {
  const Tensor x = normal(shape, Key(7));
  eval(x);
  return x;
}

/// Values that depend on the name alone, so that two models can share them.
Scope special_by_name(std::function<Tensor(const std::string&, const Shape&)> special = nullptr) {
  return Scope::load([special](const std::string& name, const Shape& shape, DType dtype) {
    if (special)
      if (const Tensor t = special(name, shape); t.defined()) return t;
    if (name.ends_with("running_var") || (shape.rank() == 1 && name.ends_with("weight")))
      return ones(shape, dtype);
    const double fan_in = shape.rank() > 1 ? static_cast<double>(shape.numel() / shape[0]) : 100;
    return normal(shape, Key(1).fold_in(name), 0.0, 1 / std::sqrt(fan_in), dtype);
  });
}

TEST(SqueezeAndExcitation, WithOpenGatesIsThePlainNetwork) {
  const char* options = "layers=1-1-1-1 width=8 classes=5";
  const auto plain = make_model("resnet50", options, special_by_name());
  const auto open = make_model("seresnet50", options,
                               special_by_name([](const std::string& name, const Shape& shape) {
                                 if (name.ends_with("se.fc2.weight")) return zeros(shape);
                                 if (name.ends_with("se.fc2.bias"))
                                   return full(shape, 100);  // sigmoid gives 1
                                 return Tensor();
                               }));
  const auto gated = make_model("seresnet50", options, special_by_name());
  const Tensor x = picture({2, 3, 64, 64});
  Context ctx = Context::eval();
  const auto want = (*plain)(x, ctx).to_vector<float>();
  EXPECT_EQ((*open)(x, ctx).to_vector<float>(), want);
  EXPECT_NE((*gated)(x, ctx).to_vector<float>(), want);
}

TEST(DenseNet, SavingMemoryGivesTheSameGradients) {
  const std::string options = "layers=3-2 growth=4 stem=8 classes=5";
  std::vector<std::vector<float>> of_mode[2];
  for (int mode : {0, 1}) {
    const auto net = make_model("densenet121", options + (mode ? " memory_efficient=true" : ""),
                                special_by_name());
    Context ctx = Context::train(Key(3));
    const Tensor loss = sum(square((*net)(picture({4, 3, 32, 32}), ctx)));
    Tensors all = grad(loss, values(net->trainable()));
    ctx.commit();
    for (const Variable& v : net->variables())
      if (!v.is_parameter()) all.push_back(v.value());
    for (const Tensor& t : all) of_mode[mode].push_back(t.to_vector<float>());
  }
  ASSERT_EQ(of_mode[0].size(), of_mode[1].size());
  for (size_t k = 0; k < of_mode[0].size(); ++k) {
    double largest = 0, worst = 0;
    for (size_t i = 0; i < of_mode[0][k].size(); ++i) {
      largest = std::max<double>(largest, std::fabs(of_mode[0][k][i]));
      worst = std::max<double>(worst, std::fabs(of_mode[0][k][i] - of_mode[1][k][i]));
    }
    // Channels lie in blocks in other places, so that sums have another order.
    EXPECT_LE(worst, 1e-4 * largest) << k;
  }
}

TEST(CapsNet, CouplingsOfACapsuleSumToOneAndTheDecoderDraws) {
  const auto net = make_model("capsnet", "", special_by_name());
  Context ctx = Context::eval();
  ctx.taps["digits.couplings"] = {};
  ctx.taps["decoder"] = {};
  const Tensor scores = (*net)(picture({2, 1, 28, 28}), ctx);
  EXPECT_EQ(scores.shape(), (Shape{2, 10}));
  const Tensor& couplings = ctx.taps["digits.couplings"];
  ASSERT_EQ(couplings.shape(), (Shape{2, 1152, 10}));
  double least = 1, most = 0;
  for (float s : sum(couplings, {2}).to_vector<float>()) EXPECT_NEAR(s, 1, 1e-5);
  for (float s : couplings.to_vector<float>()) {
    least = std::min<double>(least, s);
    most = std::max<double>(most, s);
  }
  EXPECT_LT(least, most);  // routing has chosen
  EXPECT_EQ(ctx.taps["decoder"].shape(), (Shape{2, 784}));
}

TEST(GoogLeNet, AuxiliaryHeadsTrainAndAreLeftOutAfterwards) {
  const auto net =
      make_model("googlenet", "aux=true width=0.0625 classes=5 dropout=0", special_by_name());
  const Tensor x = picture({2, 3, 32, 32});
  const Variable weight = net->state()->find("aux1.fc2.weight");
  ASSERT_TRUE(weight.defined());
  Context train = Context::train(Key(1));
  train.taps["aux1"] = train.taps["aux2"] = {};
  const Tensor y = (*net)(x, train);
  const Tensor target = Tensor::from({int64_t{1}, int64_t{3}}, {2});
  const Tensor loss = cross_entropy(y, target) + 0.3 * cross_entropy(train.taps["aux1"], target) +
                      0.3 * cross_entropy(train.taps["aux2"], target);
  EXPECT_GT(norm(grad(loss, {weight})[0]).item(), 0);
  bool ran = false;
  Context eval = Context::eval();
  eval.hook = [&](const std::string& path, const Tensor&) {
    ran = ran || path.starts_with("aux");
    return Tensor();
  };
  (*net)(x, eval);
  EXPECT_FALSE(ran);
}

/// Features of any stage are asked for by name, so that detectors and segmenters take any backbone.
TEST(Backbones, GiveFeaturesOfEachStageByName) {
  struct Case {
    const char *model, *options;
    std::vector<std::pair<const char*, Shape>> stages;
  };
  const Case cases[] = {
      {"resnet50",
       "width=8",
       {{"layer1", {1, 32, 16, 16}}, {"layer2", {1, 64, 8, 8}}, {"layer4", {1, 256, 2, 2}}}},
      {"vgg16",
       "width=4 hidden=8",
       {{"features.4", {1, 4, 32, 32}}, {"features.30", {1, 32, 2, 2}}}},
      {"densenet121", "", {{"features.denseblock1", {1, 256, 16, 16}}}},
      {"mobilenet_v2", "", {{"features.6", {1, 32, 8, 8}}, {"features.18", {1, 1280, 2, 2}}}},
      {"efficientnet_b0", "", {{"features.3", {1, 40, 8, 8}}, {"features.8", {1, 1280, 2, 2}}}},
      {"shufflenet_v2_x1_0", "", {{"stage3", {1, 232, 4, 4}}}},
      {"regnet_y_400mf", "", {{"trunk_output.block2", {1, 104, 8, 8}}}},
      {"convnext_tiny", "", {{"features.3", {1, 192, 8, 8}}}},
  };
  for (const Case& c : cases) {
    const auto net = make_model(c.model, c.options, special_by_name());
    NoGrad guard;
    Context ctx = Context::eval();
    for (const auto& [name, shape] : c.stages) ctx.taps[name] = {};
    (*net)(zeros({1, 3, 64, 64}), ctx);
    for (const auto& [name, shape] : c.stages) {
      ASSERT_TRUE(ctx.taps[name].defined()) << c.model << " " << name;
      EXPECT_EQ(ctx.taps[name].shape(), shape) << c.model << " " << name;
    }
  }
}

TEST(StochasticDepth, ChangesTrainingAlone) {
  const auto net = make_model("resnet20", "blocks=2 width=4 drop_path=0.9", special_by_name());
  const Tensor x = picture({4, 3, 16, 16});
  const auto run = [&](Context ctx) { return (*net)(x, ctx).to_vector<float>(); };
  EXPECT_EQ(run(Context::eval()), run(Context::eval()));
  EXPECT_EQ(run(Context::train(Key(1))), run(Context::train(Key(1))));
  EXPECT_NE(run(Context::train(Key(1))), run(Context::train(Key(2))));
}

TEST(ImpossibleOptions, AreRefusedInOneSentence) {
  for (const auto& [model, options] : std::initializer_list<std::pair<const char*, const char*>>{
           {"resnet18", "width=0"},
           {"resnet18", "layers=1-1"},
           {"resnext50_32x4d", "groups=0"},
           {"vit_b_16", "patch=0"},
           {"vit_b_16", "side=8"},
           {"mixer_b16", "patch=0"},
           {"mobilenet_v2", "strides=1"},
           {"efficientnet_b0", "width=-1"},
           {"densenet121", "growth=-4"},
           {"capsnet", "side=13"},
           {"swin_t", "window=0"},
           {"regnet_y_400mf", "w0=0"},
           {"shufflenet_v2_x1_0", "widths=24"},
           {"dpn92", "groups=5"}})
    EXPECT_THROW(make_model(model, options, special_by_name()), Error) << model << " " << options;
}

}  // namespace
}  // namespace nacre
