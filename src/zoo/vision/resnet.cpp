#include <optional>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Residual networks in the form of torchvision (the stride is in the 3x3 convolution: "v1.5"),
/// with groups (ResNeXt), other widths (Wide ResNet), and squeeze and excitation (SE-ResNet).
struct ResNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {2, 2, 2, 2};  ///< blocks of each stage
    bool bottleneck = false;     ///< blocks of 1x1, 3x3 and 1x1 convolutions
    bool stride_first = false;   ///< the stride in the first convolution, as published: "v1"
    int64_t width = 64;          ///< channels of the first stage
    int64_t groups = 1;          ///< of the 3x3 convolutions
    int64_t group_width = 64;    ///< channels of a group where width is 64
    int64_t se = 0;              ///< squeeze and excitation with this reduction; 0: none
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("bottleneck", bottleneck);
      v("stride_first", stride_first);
      v("width", width);
      v("groups", groups);
      v("group_width", group_width);
      v("se", se);
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t width, int64_t stride)
        : Module(s), body(s), downsample(s / "downsample") {
      const int64_t inner = c.bottleneck ? width * c.group_width / 64 * c.groups : width;
      const int64_t out = c.bottleneck ? 4 * width : width;
      const auto add = [&](int k, int64_t from, int64_t to, int64_t kernel, int64_t step,
                           int64_t groups) {
        const std::string name = std::to_string(k);
        body.add_as<Conv2d>("conv" + name, conv_same(from, to, kernel, step, groups));
        body.add_as<BatchNorm>("bn" + name, BatchNorm::Config{to});
      };
      if (c.bottleneck) {
        add(1, in, inner, 1, c.stride_first ? stride : 1, 1);
        body.add(relu);
        add(2, inner, inner, 3, c.stride_first ? 1 : stride, c.groups);
        body.add(relu);
        add(3, inner, out, 1, 1, 1);
      } else {
        add(1, in, inner, 3, stride, 1);
        body.add(relu);
        add(2, inner, out, 3, 1, 1);
      }
      if (c.se)
        body.add_as<SqueezeExcite>("se",
                                   SqueezeExcite::Config{out, round_channels(1.0 * out / c.se)});
      if (in == out && stride == 1) return;
      downsample.add<Conv2d>(conv_same(in, out, 1, stride));
      downsample.add<BatchNorm>(BatchNorm::Config{out});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu(body.forward(x, ctx) + downsample(x, ctx));
    }
    Sequential body, downsample;
  };

  ResNet(const Scope& s, const Config& c)
      : Module(s),
        conv1(s / "conv1", conv_same(c.channels, c.width, 7, 2)),
        bn1(s / "bn1", {c.width}),
        stages(s),
        fc(s / "fc", {c.width * (c.bottleneck ? 32 : 8), c.classes}) {
    int64_t in = c.width;
    for (int64_t k = 0, width = c.width; k < 4; ++k, width *= 2) {
      auto& stage = stages.add_as<Sequential>("layer" + std::to_string(k + 1));
      for (int64_t i = 0; i < c.layers[k]; ++i) {
        stage.add<Block>(c, in, width, i == 0 && k > 0 ? 2 : 1);
        in = c.bottleneck ? 4 * width : width;
      }
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = relu(bn1(conv1(x, ctx), ctx));
    const Tensor z = max_pool2d(y, 3, {.stride = 2, .padding = 1})[0];
    return fc(mean(stages.forward(z, ctx), {2, 3}), ctx);
  }
  Conv2d conv1;
  BatchNorm bn1;
  Sequential stages;
  Linear fc;
};

ModelEntry resnet_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "Each block adds to its input: the way to hundreds of layers.",
          .paper = "He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016",
          .config = attr_type<ResNet::Config>(),
          .make = construct<ResNet>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=1-1-1-1 width=8",
          .tiny_input = {3, 32, 32}};
}

ModelEntry resnext(const char* name, const char* options, int64_t parameters, int64_t macs) {
  ModelEntry e = resnet_entry(name, options, parameters, macs);
  e.summary = "A residual network whose 3x3 convolutions are split into groups.";
  e.paper = "Xie, Girshick, Dollar, Tu and He, Aggregated residual transformations, 2017";
  e.tiny = "layers=1-1-1-1 width=8 groups=2 group_width=32";
  return e;
}

ModelEntry wide(const char* name, const char* options, int64_t parameters, int64_t macs) {
  ModelEntry e = resnet_entry(name, options, parameters, macs);
  e.summary = "A residual network with twice the channels inside its blocks.";
  e.paper = "Zagoruyko and Komodakis, Wide residual networks, 2016";
  return e;
}

ModelEntry se(const char* name, const char* options, int64_t parameters, int64_t macs) {
  ModelEntry e = resnet_entry(name, options, parameters, macs);
  e.summary =
      "A residual network that weighs the channels of each block by what the picture shows.";
  e.paper = "Hu, Shen and Sun, Squeeze-and-excitation networks, 2018";
  e.tiny = "layers=1-1-1-1 width=8 groups=1 group_width=64 se=4";
  return e;
}

}  // namespace

// clang-format off
MODEL(resnet18) = resnet_entry("resnet18", "", 11689512, 1814073344);
MODEL(resnet34) = resnet_entry("resnet34", "layers=3-4-6-3", 21797672, 3663761408);
MODEL(resnet50) = resnet_entry("resnet50", "layers=3-4-6-3 bottleneck=true", 25557032, 4089184256);
MODEL(resnet101) = resnet_entry("resnet101", "layers=3-4-23-3 bottleneck=true", 44549160, 7801405440);
MODEL(resnet152) = resnet_entry("resnet152", "layers=3-8-36-3 bottleneck=true", 60192808, 11513626624);
MODEL(resnet50_v1) = resnet_entry("resnet50_v1", "layers=3-4-6-3 bottleneck=true stride_first=true", 25557032, 3857973248);
MODEL(resnext50_32x4d) = resnext("resnext50_32x4d", "layers=3-4-6-3 bottleneck=true groups=32 group_width=4", 25028904, 4230479872);
MODEL(resnext101_32x8d) = resnext("resnext101_32x8d", "layers=3-4-23-3 bottleneck=true groups=32 group_width=8", 88791336, 16414015488);
MODEL(resnext101_64x4d) = resnext("resnext101_64x4d", "layers=3-4-23-3 bottleneck=true groups=64 group_width=4", 83455272, 15460270080);
MODEL(wide_resnet50_2) = wide("wide_resnet50_2", "layers=3-4-6-3 bottleneck=true group_width=128", 68883240, 11398021120);
MODEL(wide_resnet101_2) = wide("wide_resnet101_2", "layers=3-4-23-3 bottleneck=true group_width=128", 126886696, 22753050624);
MODEL(seresnet18) = se("seresnet18", "se=16", 11779624, 1814161408);
MODEL(seresnet34) = se("seresnet34", "layers=3-4-6-3 se=16", 21960416, 3663920128);
MODEL(seresnet50) = se("seresnet50", "layers=3-4-6-3 bottleneck=true se=16", 28088024, 4091699200);
MODEL(seresnet101) = se("seresnet101", "layers=3-4-23-3 bottleneck=true se=16", 49326872, 7806148608);
MODEL(seresnet152) = se("seresnet152", "layers=3-8-36-3 bottleneck=true se=16", 66821848, 11520204800);
MODEL(seresnext50_32x4d) = se("seresnext50_32x4d", "layers=3-4-6-3 bottleneck=true groups=32 group_width=4 se=16", 27559896, 4232994816);
// clang-format on

}  // namespace nacre
