#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Blocks that widen, filter each channel for itself, and narrow without activation.
struct MobileNetV2 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    double width = 1;  ///< multiplies all channels
    // Of each stage: widening, channels, blocks, stride of the first.
    Ints expand = {1, 6, 6, 6, 6, 6, 6}, widths = {16, 24, 32, 64, 96, 160, 320};
    Ints layers = {1, 2, 3, 4, 3, 3, 1}, strides = {1, 2, 2, 2, 1, 2, 1};
    double dropout = 0.2;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("expand", expand);
      v("widths", widths);
      v("layers", layers);
      v("strides", strides);
      v("dropout", dropout);
    }
  };

  struct InvertedResidual : Module {
    InvertedResidual(const Scope& s, int64_t in, int64_t out, int64_t stride, int64_t expand)
        : Module(s), conv(s / "conv"), adds(in == out && stride == 1) {
      const int64_t inner = in * expand;
      if (expand > 1) conv.add<ConvBn>(ConvBn::Config{.in = in, .out = inner, .act = relu6});
      conv.add<ConvBn>(ConvBn::Config{inner, inner, 3, stride, inner, relu6});
      conv.add<Conv2d>(conv_same(inner, out, 1));
      conv.add<BatchNorm>(BatchNorm::Config{out});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return adds ? x + conv(x, ctx) : conv(x, ctx);
    }
    Sequential conv;
    bool adds;
  };

  MobileNetV2(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    int64_t in = round_channels(32 * c.width);
    features.add<ConvBn>(ConvBn::Config{c.channels, in, 3, 2, 1, relu6});
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      const int64_t out = round_channels(static_cast<double>(c.widths[k]) * c.width);
      for (int64_t i = 0; i < c.layers[k]; ++i, in = out)
        features.add<InvertedResidual>(in, out, i ? 1 : c.strides[k], c.expand[k]);
    }
    const int64_t last = round_channels(1280 * std::max(1.0, c.width));
    features.add<ConvBn>(ConvBn::Config{.in = in, .out = last, .act = relu6});
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{last, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(features(x, ctx), {2, 3}), ctx);
  }
  Sequential features, classifier;
};

}  // namespace

MODEL(mobilenet_v2) = {
    .name = "mobilenet_v2",
    .summary = "Inverted residuals with linear bottlenecks: 72 % of ImageNet on a telephone.",
    .paper = "Sandler, Howard, Zhu, Zhmoginov and Chen, MobileNetV2, 2018",
    .config = attr_type<MobileNetV2::Config>(),
    .make = construct<MobileNetV2>,
    .input = {3, 224, 224},
    .parameters = 3504872,
    .macs = 300774272,
    .tiny = "width=0.25 expand=1-6-6 widths=16-24-32 layers=1-2-1 strides=1-2-2 dropout=0",
    .tiny_input = {3, 16, 16},
};

}  // namespace nacre
