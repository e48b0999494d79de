#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Inverted residuals whose kernels and widths were searched with measured time as a goal.
struct MnasNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    double width = 1;  ///< multiplies all channels but the last
    // Of each stage: widening, kernel, channels, blocks, stride of the first.
    Ints expand = {3, 3, 6, 6, 6, 6}, kernels = {3, 5, 5, 3, 5, 3};
    Ints widths = {24, 40, 80, 96, 192, 320}, layers = {3, 3, 3, 2, 4, 1};
    Ints strides = {2, 2, 2, 1, 2, 1};
    double dropout = 0.2, momentum = 3e-4;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("expand", expand);
      v("kernels", kernels);
      v("widths", widths);
      v("layers", layers);
      v("strides", strides);
      v("dropout", dropout);
      v("momentum", momentum);
    }
    int64_t scaled(int64_t w) const { return round_channels(static_cast<double>(w) * width); }
  };

  static void add(Sequential& to, const Config& c, const ConvConfig& conv, bool active = true) {
    to.add<Conv2d>(conv);
    to.add<BatchNorm>(BatchNorm::Config{.channels = conv.out, .momentum = c.momentum});
    if (active) to.add(relu);
  }

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t out, int64_t kernel, int64_t stride,
          int64_t expand, bool adds)
        : Module(s), layers(s / "layers"), adds(adds) {
      const int64_t inner = in * expand;
      add(layers, c, conv_same(in, inner, 1));
      add(layers, c, conv_same(inner, inner, kernel, stride, inner));
      add(layers, c, conv_same(inner, out, 1), false);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return adds ? x + layers(x, ctx) : layers(x, ctx);
    }
    Sequential layers;
    bool adds;
  };

  MnasNet(const Scope& s, const Config& c)
      : Module(s), layers(s / "layers"), classifier(s / "classifier") {
    const int64_t stem = c.scaled(32);
    int64_t in = c.scaled(16);
    add(layers, c, conv_same(c.channels, stem, 3, 2));
    add(layers, c, conv_same(stem, stem, 3, 1, stem));
    add(layers, c, conv_same(stem, in, 1), false);
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      auto& stage = layers.add<Sequential>();
      const int64_t out = c.scaled(c.widths[k]);
      for (int64_t i = 0; i < c.layers[k]; ++i, in = out)
        stage.add<Block>(c, in, out, c.kernels[k], i ? 1 : c.strides[k], c.expand[k],
                         in == out && (i > 0 || c.strides[k] == 1));
    }
    add(layers, c, conv_same(in, 1280, 1));
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{1280, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(layers(x, ctx), {2, 3}), ctx);
  }
  Sequential layers, classifier;
};

ModelEntry mnasnet_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "A mobile network searched with time on a telephone as part of the goal.",
          .paper = "Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le, MnasNet, 2019",
          .config = attr_type<MnasNet::Config>(),
          .make = construct<MnasNet>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "width=0.25 layers=1-2 dropout=0 momentum=0.1",
          .tiny_input = {3, 16, 16}};
}

}  // namespace

MODEL(mnasnet0_5) = mnasnet_entry("mnasnet0_5", "width=0.5", 2218512, 104455968);
MODEL(mnasnet0_75) = mnasnet_entry("mnasnet0_75", "width=0.75", 3170208, 215493104);
MODEL(mnasnet1_0) = mnasnet_entry("mnasnet1_0", "", 4383312, 314415872);
MODEL(mnasnet1_3) = mnasnet_entry("mnasnet1_3", "width=1.3", 6282256, 526362432);

}  // namespace nacre
