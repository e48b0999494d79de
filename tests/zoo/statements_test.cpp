// What single models promise of their parts, beside what vision_test.cpp holds them to.
#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/bench.h"
#include "nacre/blocks.h"
#include "nacre/error.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre {
namespace {

/// Values that depend on the name alone; those of offsets are `offset`.
Scope by_name(float offset = 0) {
  return Scope::load([offset](const std::string& name, const Shape& shape, DType dtype) {
    if (name.find("offset.") != std::string::npos) return full(shape, offset);
    if (name.ends_with("running_var") || (shape.rank() == 1 && name.ends_with("weight")))
      return ones(shape, dtype);
    const double fan_in = shape.rank() > 1 ? static_cast<double>(shape.numel() / shape[0]) : 100;
    return normal(shape, Key(1).fold_in(name), 0.0, 1 / std::sqrt(fan_in), dtype);
  });
}

Tensor answer(Module& net, const Tensor& x) {
  NoGrad guard;
  Context ctx = Context::eval();
  return net(x, ctx);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return amax(abs(a - b)).item() / amax(abs(a)).item();
}

TEST(Deformable, ConvolutionsOfAnyBackboneBeginAsTheyWere) {
  for (const auto& [model, pattern] :
       {std::pair{"resnet18", "layer[34].*conv"}, std::pair{"vgg11", "features"},
        std::pair{"densenet121", "conv2"}, std::pair{"dpn68", "c3x3_b|conv1_1"},
        std::pair{"efficientnet_b0", "features.0"}}) {
    const ModelEntry& e = find_model(model);
    const std::string options = std::string(e.tiny) + " classes=5";
    const auto plain = make_model(model, options, by_name());
    const std::string with = options + " deform=" + pattern;
    const auto deformed = make_model(model, with, by_name());
    EXPECT_GT(deformed->parameter_count(), plain->parameter_count()) << model;
    const Shape& one = e.tiny_input.empty() ? e.input : e.tiny_input;
    const Tensor input = normal({2, one[0], one[1], one[2]}, Key(3));
    const Tensor want = answer(*plain, input);
    EXPECT_LE(largest_difference(want, answer(*deformed, input)), 1e-5) << model;
    const auto moved = make_model(model, with, by_name(0.3f));
    EXPECT_GT(largest_difference(want, answer(*moved, input)), 1e-4) << model;
  }
}

TEST(Deformable, OptionIsPartOfTheModelFileAndTrains) {
  const std::string options = "blocks=1 width=4 deform=layer3";
  EXPECT_NE(model_options("resnet20", options).find("deform=layer3"), std::string::npos);
  EXPECT_EQ(model_options("resnet20", "").find("deform"), std::string::npos);
  const auto net = make_model("resnet20", options, by_name(0.1f));
  const test::TempFolder folder;
  ModelInfo info;
  info.model = "resnet20";
  info.options = options;
  info.transform = "normalize(mean=0,std=1)";
  info.classes = {"a", "b"};
  info.input = {3, 8, 8};
  save_model(folder / "m.safetensors", *net, info);
  const Tensor x = normal({2, 3, 8, 8}, Key(3));
  const Model again = load_model(folder / "m.safetensors");
  EXPECT_EQ(answer(*again.net, x).to_vector<float>(), answer(*net, x).to_vector<float>());
  Context ctx = Context::train(Key(1));
  const Tensor loss = sum(square((*net)(x, ctx)));
  const Variable offset = net->state()->find("layer3.0.conv2.offset.weight");
  ASSERT_TRUE(offset.defined());
  EXPECT_GT(amax(abs(grad(loss, {offset})[0])).item(), 0);
}

TEST(Deformable, PatternThatFitsNothingIsRefused) {
  for (const char* pattern : {"deform=fc", "deform=(", "deform=downsample"})
    EXPECT_THROW(
        make_model("resnet18", std::string("layers=1-1-1-1 width=8 ") + pattern, by_name()), Error)
        << pattern;
  EXPECT_THROW(make_model("mlp", "deform=.", by_name()), Error);
}

/// The residual block that a dual path block is without its dense path.
struct Residual : Module {
  Residual(const Scope& s, int64_t in, int64_t inner, int64_t out, int64_t groups)
      : Module(s),
        bn_w(s / "c1x1_w_s1" / "bn", {in, 1e-3}),
        conv_w(s / "c1x1_w_s1" / "conv", conv_same(in, out, 1)),
        bn_a(s / "c1x1_a" / "bn", {in, 1e-3}),
        conv_a(s / "c1x1_a" / "conv", conv_same(in, inner, 1)),
        bn_b(s / "c3x3_b" / "bn", {inner, 1e-3}),
        conv_b(s / "c3x3_b" / "conv", conv_same(inner, inner, 3, 1, groups)),
        bn_c(s / "c1x1_c" / "bn", {inner, 1e-3}),
        conv_c(s / "c1x1_c" / "conv", conv_same(inner, out, 1)) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = conv_b(relu(bn_b(conv_a(relu(bn_a(x, ctx)), ctx), ctx)), ctx);
    return conv_w(relu(bn_w(x, ctx)), ctx) + conv_c(relu(bn_c(y, ctx)), ctx);
  }
  BatchNorm bn_w;
  Conv2d conv_w;
  BatchNorm bn_a;
  Conv2d conv_a;
  BatchNorm bn_b;
  Conv2d conv_b;
  BatchNorm bn_c;
  Conv2d conv_c;
};

TEST(DualPath, WithoutItsDensePathIsAResidualBlock) {
  const auto net = make_model(
      "dpn92", "layers=1 growth=0 stem=8 inner=8 groups=2 residual=16 classes=3", by_name());
  Residual block(by_name() / "features" / "conv2_1", 8, 8, 16, 2);
  NoGrad guard;
  Context ctx = Context::eval();
  ctx.taps["features.conv1_1"] = ctx.taps["features.conv2_1"] = {};
  (*net)(normal({2, 3, 32, 32}, Key(2)), ctx);
  const Tensor in = max_pool2d(ctx.taps["features.conv1_1"], 3, {.stride = 2, .padding = 1})[0];
  Context again = Context::eval();
  EXPECT_LE(largest_difference(ctx.taps["features.conv2_1"], block(in, again)), 1e-6);
}

TEST(MobileNetV1, MultipliersScaleParametersAndArithmeticAsPublished) {
  struct Case {
    const char* width;
    int64_t side, parameters;
    double million_macs;  // Howard et al. 2017, tables 6 and 7
  };
  for (const Case& c : {Case{"0.75", 224, 2585560, 325}, Case{"0.5", 224, 1331592, 149},
                        Case{"0.25", 224, 470072, 41}, Case{"1", 192, 4231976, 418},
                        Case{"1", 160, 4231976, 290}, Case{"1", 128, 4231976, 186}}) {
    const auto net = make_model("mobilenet_v1", std::string("width=") + c.width, by_name());
    EXPECT_EQ(net->parameter_count(), c.parameters);
    EXPECT_NEAR(static_cast<double>(count_macs(*net, {1, 3, c.side, c.side})) / 1e6, c.million_macs,
                0.8);
  }
}

TEST(ShuffleNet, ShuffleAndItsInverseAreNothing) {
  const Tensor x = normal({2, 12, 3, 3}, Key(1));
  EXPECT_NE(channel_shuffle(x, 3).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(channel_shuffle(channel_shuffle(x, 3), 4).to_vector<float>(), x.to_vector<float>());
}

TEST(DenseNet, SavingMemoryTakesLess) {
  size_t bytes[2];
  for (const int saving : {0, 1}) {
    const auto net = make_model(
        "densenet_bc_100",
        std::string("layers=12-12 memory_efficient=") + (saving ? "true" : "false"), by_name());
    bytes[saving] =
        bench(*net, {8, 3, 32, 32}, {.train = true, .seconds = 0, .least_runs = 2}).peak_bytes;
  }
  std::printf("a step takes %.1f MB, %.1f MB where concatenations are made again\n",
              static_cast<double>(bytes[0]) / 1e6, static_cast<double>(bytes[1]) / 1e6);
  EXPECT_LT(static_cast<double>(bytes[1]), 0.8 * static_cast<double>(bytes[0]));
}

}  // namespace
}  // namespace nacre
