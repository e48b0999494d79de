#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Residual networks that normalise and activate before each convolution, so that the sum passes
/// from block to block untouched. Names as in timm.
struct ResNetV2 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {3, 4, 6, 3};  ///< blocks of each stage
    bool bottleneck = true;      ///< blocks of 1x1, 3x3 and 1x1 convolutions
    int64_t width = 64;          ///< channels of the first convolution
    bool small = false;          ///< for small pictures: a 3x3 stem and no pooling
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("bottleneck", bottleneck);
      v("width", width);
      v("small", small);
    }
    /// Channels of the last stage.
    int64_t last() const {
      if (layers.rank() < 1 || layers.rank() > 8)
        fail(Error::Kind::usage, {"layers should be of 1 to 8 stages, got ", layers.rank()});
      return (bottleneck ? 4 : 1) * width << (layers.rank() - 1);
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t width, int64_t stride)
        : Module(s), first(s / "norm1", {in}), body(s), downsample(s / "downsample") {
      const int64_t out = c.bottleneck ? 4 * width : width;
      const auto norm = [&](const char* name) {
        body.add_as<BatchNorm>(name, BatchNorm::Config{width});
        body.add(relu);
      };
      if (in != out || stride != 1)
        downsample.add_as<Conv2d>("conv", conv_same(in, out, 1, stride));
      body.add_as<Conv2d>("conv1",
                          c.bottleneck ? conv_same(in, width, 1) : conv_same(in, width, 3, stride));
      norm("norm2");
      body.add_as<Conv2d>("conv2", conv_same(width, width, 3, c.bottleneck ? stride : 1));
      if (!c.bottleneck) return;
      norm("norm3");
      body.add_as<Conv2d>("conv3", conv_same(width, out, 1));
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = relu(first(x, ctx));
      return body.forward(y, ctx) + (downsample.size() ? downsample(y, ctx) : x);
    }
    BatchNorm first;
    Sequential body, downsample;
  };

  ResNetV2(const Scope& s, const Config& c)
      : Module(s),
        small(c.small),
        stem(s / "stem" / "conv", conv_same(c.channels, c.width, c.small ? 3 : 7, c.small ? 1 : 2)),
        stages(s / "stages"),
        norm(s / "norm", {c.last()}),
        fc(s / "head" / "fc", {c.last(), c.classes}) {
    int64_t in = c.width;
    for (int64_t k = 0, width = c.width; k < c.layers.rank(); ++k, width *= 2) {
      auto& blocks = stages.add<Sequential>().add_as<Sequential>("blocks");
      for (int64_t i = 0; i < c.layers[k]; ++i) {
        blocks.add<Block>(c, in, width, i == 0 && k > 0 ? 2 : 1);
        in = c.bottleneck ? 4 * width : width;
      }
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = stem(x, ctx);
    if (!small) y = max_pool2d(y, 3, {.stride = 2, .padding = 1})[0];
    const Tensor z = relu(norm(stages(y, ctx), ctx));
    return flatten(fc(mean(z, {2, 3}, true), ctx), 1);
  }
  bool small;
  Conv2d stem;
  Sequential stages;
  BatchNorm norm;
  Conv2d fc;  // 1x1, as published
};

ModelEntry resnet_v2_entry(const char* name, const char* options, int64_t parameters,
                           int64_t macs) {
  return {.name = name,
          .summary = "Residual blocks that normalise first, so that sums pass untouched.",
          .paper = "He, Zhang, Ren and Sun, Identity mappings in deep residual networks, 2016",
          .config = attr_type<ResNetV2::Config>(),
          .make = construct<ResNetV2>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=1-1-1-1 width=8",
          .tiny_input = {3, 32, 32}};
}

ModelEntry small(const char* name, const char* options, int64_t parameters, int64_t macs) {
  ModelEntry e = resnet_v2_entry(name, options, parameters, macs);
  e.input = {3, 32, 32};
  e.tiny = "layers=1-1-1 width=8";
  e.tiny_input = {3, 12, 12};
  return e;
}

}  // namespace

// clang-format off
MODEL(resnet18_v2) = resnet_v2_entry("resnet18_v2", "layers=2-2-2-2 bottleneck=false", 11687720, 1814073344);
MODEL(resnet50_v2) = resnet_v2_entry("resnet50_v2", "", 25549352, 4089184256);
MODEL(resnet101_v2) = resnet_v2_entry("resnet101_v2", "layers=3-4-23-3", 44541480, 7801405440);
MODEL(resnet152_v2) = resnet_v2_entry("resnet152_v2", "layers=3-8-36-3", 60185128, 11513626624);
MODEL(resnet164_v2) = small("resnet164_v2", "layers=18-18-18 width=16 small=true classes=10", 1703258, 247646720);
MODEL(resnet1001) = small("resnet1001", "layers=111-111-111 width=16 small=true classes=10", 10327706, 1490995712);
// clang-format on

}  // namespace nacre
