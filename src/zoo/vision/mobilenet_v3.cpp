#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Inverted residuals found by search, some with squeeze and excitation, and a cheap activation.
struct MobileNetV3 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    double width = 1;  ///< multiplies all channels
    // Of each block: channels, inner channels, kernel and stride; 1 for squeeze and excitation.
    Ints widths = {16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160};
    Ints inner = {16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960};
    Ints kernels = {3, 3, 3, 5, 5, 5, 3, 3, 3, 3, 3, 3, 5, 5, 5};
    Ints strides = {1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1};
    Ints se = {0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    int64_t relu_blocks = 6;  ///< the first blocks have ReLU, the others hard swish
    int64_t hidden = 1280;    ///< size of the full layer before the last
    double dropout = 0.2;
    double momentum = 0.01;  ///< of running statistics, which then need some hundred steps
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("widths", widths);
      v("inner", inner);
      v("kernels", kernels);
      v("strides", strides);
      v("se", se);
      v("relu_blocks", relu_blocks);
      v("hidden", hidden);
      v("dropout", dropout);
      v("momentum", momentum);
    }
    int64_t scaled(int64_t w) const { return round_channels(static_cast<double>(w) * width); }
    ConvBn::Config conv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups,
                        Activation act) const {
      return {in, out, kernel, stride, groups, act, 1e-3, momentum};
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t k, int64_t in) : Module(s), block(s / "block") {
      const int64_t inner = c.scaled(c.inner[k]), out = c.scaled(c.widths[k]);
      const Activation act = k < c.relu_blocks ? relu : hard_swish;
      if (inner != in) block.add<ConvBn>(c.conv(in, inner, 1, 1, 1, act));
      block.add<ConvBn>(c.conv(inner, inner, c.kernels[k], c.strides[k], inner, act));
      if (c.se[k])
        block.add<SqueezeExcite>(
            SqueezeExcite::Config{inner, round_channels(static_cast<double>(inner / 4)), relu,
                                  [](In x) { return hard_sigmoid(x); }});
      block.add<ConvBn>(c.conv(inner, out, 1, 1, 1, nullptr));
      adds = in == out && c.strides[k] == 1;
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return adds ? x + block(x, ctx) : block(x, ctx);
    }
    Sequential block;
    bool adds;
  };

  MobileNetV3(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    int64_t in = c.scaled(16);
    features.add<ConvBn>(c.conv(c.channels, in, 3, 2, 1, hard_swish));
    for (int64_t k = 0; k < c.widths.rank(); in = c.scaled(c.widths[k++]))
      features.add<Block>(c, k, in);
    features.add<ConvBn>(c.conv(in, 6 * in, 1, 1, 1, hard_swish));
    classifier.add<Linear>(Linear::Config{6 * in, c.scaled(c.hidden)});
    classifier.add(hard_swish);
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{c.scaled(c.hidden), c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(features(x, ctx), {2, 3}), ctx);
  }
  Sequential features, classifier;
};

ModelEntry mobilenet_v3_entry(const char* name, const char* options, int64_t parameters,
                              int64_t macs) {
  return {.name = name,
          .summary = "Inverted residuals arranged by search for the processors of telephones.",
          .paper = "Howard, Sandler, Chu, Chen and others, Searching for MobileNetV3, 2019",
          .config = attr_type<MobileNetV3::Config>(),
          .make = construct<MobileNetV3>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny =
              "widths=16-24-24 inner=16-64-72 kernels=3-5-3 strides=1-2-1 se=0-1-1 "
              "relu_blocks=1 hidden=32 dropout=0 momentum=0.1",
          .tiny_input = {3, 16, 16}};
}

}  // namespace

MODEL(mobilenet_v3_large) = mobilenet_v3_entry("mobilenet_v3_large", "", 5483032, 216589760);
MODEL(mobilenet_v3_small) = mobilenet_v3_entry(
    "mobilenet_v3_small",
    "widths=16-24-24-40-40-40-48-48-96-96-96 inner=16-72-88-96-240-240-120-144-288-576-576 "
    "kernels=3-3-3-5-5-5-5-5-5-5-5 strides=2-2-1-2-1-1-1-1-2-1-1 se=1-0-0-1-1-1-1-1-1-1-1 "
    "relu_blocks=3 hidden=1024",
    2542856, 56510400);

}  // namespace nacre
