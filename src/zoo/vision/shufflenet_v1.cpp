#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Grouped 1x1 convolutions, and a shuffle that lets the groups exchange channels. Names as in the
/// authors' code.
struct ShuffleNetV1 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints widths = {24, 240, 480, 960};  ///< stem and stages
    Ints layers = {4, 8, 4};            ///< blocks of each stage
    int64_t groups = 3;
    bool bias = true;  ///< of the full layer; the authors' code has none
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("widths", widths);
      v("layers", layers);
      v("groups", groups);
      v("bias", bias);
    }
  };

  struct Block : Module {
    Block(const Scope& s, int64_t in, int64_t out, int64_t n, bool first, bool reduces)
        : Module(s),
          groups(n),
          halves(reduces),
          branch_main_1(s / "branch_main_1"),
          branch_main_2(s / "branch_main_2") {
      const int64_t inner = out / 4, result = halves ? out - in : out;
      branch_main_1.add<Conv2d>(conv_same(in, inner, 1, 1, first ? 1 : groups));
      branch_main_1.add<BatchNorm>(BatchNorm::Config{inner});
      branch_main_1.add(relu);
      branch_main_1.add<Conv2d>(conv_same(inner, inner, 3, halves ? 2 : 1, inner));
      branch_main_1.add<BatchNorm>(BatchNorm::Config{inner});
      branch_main_2.add<Conv2d>(conv_same(inner, result, 1, 1, groups));
      branch_main_2.add<BatchNorm>(BatchNorm::Config{result});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = branch_main_1(x, ctx);
      const Tensor z = branch_main_2(channel_shuffle(y, y.size(1) / groups), ctx);
      if (!halves) return relu(z + x);
      return concat({avg_pool2d(x, 3, {.stride = 2, .padding = 1}), relu(z)}, 1);
    }
    int64_t groups;
    bool halves;
    Sequential branch_main_1, branch_main_2;
  };

  ShuffleNetV1(const Scope& s, const Config& c)
      : Module(s),
        first_conv(s / "first_conv", {c.channels, c.widths[0], 3, 2}),
        features(s / "features"),
        classifier(s / "classifier" / 0, {c.widths[-1], c.classes, c.bias}) {
    for (int64_t k = 0; k < c.layers.rank(); ++k)
      for (int64_t i = 0; i < c.layers[k]; ++i)
        features.add<Block>(c.widths[i ? k + 1 : k], c.widths[k + 1], c.groups, k == 0 && i == 0,
                            i == 0);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = max_pool2d(first_conv(x, ctx), 3, {.stride = 2, .padding = 1})[0];
    return classifier(mean(features(y, ctx), {2, 3}), ctx);
  }
  ConvBn first_conv;
  Sequential features;
  Linear classifier;
};

}  // namespace

MODEL(shufflenet_v1) = {
    .name = "shufflenet_v1",
    .summary = "Grouped 1x1 convolutions whose groups exchange channels by a shuffle.",
    .paper = "Zhang, Zhou, Lin and Sun, ShuffleNet, 2018",
    .config = attr_type<ShuffleNetV1::Config>(),
    .make = construct<ShuffleNetV1>,
    .input = {3, 224, 224},
    .parameters = 1865728,
    .macs = 137460672,
    .tiny = "widths=12-24-48 layers=2-2",
    .tiny_input = {3, 32, 32},
};

}  // namespace nacre
