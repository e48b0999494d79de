#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Depthwise convolutions filter each channel, 1x1 convolutions mix them. Names as in timm.
struct MobileNetV1 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    double width = 1;                                                   ///< multiplies all channels
    Ints widths = {64, 128, 256, 512, 1024}, layers = {1, 2, 2, 6, 2};  ///< of each stage
    double dropout = 0;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("widths", widths);
      v("layers", layers);
      v("dropout", dropout);
    }
    int64_t scaled(int64_t w) const { return round_channels(static_cast<double>(w) * width); }
  };

  struct Block : Module {
    Block(const Scope& s, int64_t in, int64_t out, int64_t stride)
        : Module(s),
          conv_dw(s / "conv_dw", conv_same(in, in, 3, stride, in)),
          bn1(s / "bn1", {in}),
          conv_pw(s / "conv_pw", conv_same(in, out, 1)),
          bn2(s / "bn2", {out}) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu6(bn2(conv_pw(relu6(bn1(conv_dw(x, ctx), ctx)), ctx), ctx));
    }
    Conv2d conv_dw;
    BatchNorm bn1;
    Conv2d conv_pw;
    BatchNorm bn2;
  };

  MobileNetV1(const Scope& s, const Config& c)
      : Module(s),
        conv_stem(s / "conv_stem", conv_same(c.channels, c.scaled(32), 3, 2)),
        bn1(s / "bn1", {c.scaled(32)}),
        blocks(s / "blocks"),
        drop(s / "drop", c.dropout),
        classifier(s / "classifier", {c.scaled(c.widths[-1]), c.classes}) {
    int64_t in = c.scaled(32);
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      auto& stage = blocks.add<Sequential>();
      for (int64_t i = 0; i < c.layers[k]; ++i, in = c.scaled(c.widths[k]))
        stage.add<Block>(in, c.scaled(c.widths[k]), k && i == 0 ? 2 : 1);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = blocks(relu6(bn1(conv_stem(x, ctx), ctx)), ctx);
    return classifier(drop(mean(y, {2, 3}), ctx), ctx);
  }
  Conv2d conv_stem;
  BatchNorm bn1;
  Sequential blocks;
  Dropout drop;
  Linear classifier;
};

}  // namespace

MODEL(mobilenet_v1) = {
    .name = "mobilenet_v1",
    .summary = "Each convolution split in two: one filters channels, one mixes them.",
    .paper = "Howard, Zhu, Chen, Kalenichenko and others, MobileNets, 2017",
    .config = attr_type<MobileNetV1::Config>(),
    .make = construct<MobileNetV1>,
    .input = {3, 224, 224},
    .parameters = 4231976,
    .macs = 568740352,
    .tiny = "width=0.25 widths=64-128-256 layers=1-1-2",
    .tiny_input = {3, 32, 32},
};

}  // namespace nacre
