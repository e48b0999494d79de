#include <cmath>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// MobileNet's blocks with squeeze and excitation, scaled in width, depth and picture size
/// together; in version 2 the first stages have full convolutions.
struct EfficientNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    double width = 1, depth = 1;  ///< multiply channels and blocks
    int64_t stem = 32;            ///< channels of the first convolution
    int64_t head = 0;             ///< of the last; 0: four times those of the last stage
    // Of each stage: widening, kernel, stride of the first block, channels, blocks.
    Ints expand = {1, 6, 6, 6, 6, 6, 6}, kernels = {3, 3, 5, 3, 5, 5, 3};
    Ints strides = {1, 2, 2, 2, 1, 2, 1}, widths = {16, 24, 40, 80, 112, 192, 320};
    Ints layers = {1, 2, 2, 3, 3, 4, 1};
    int64_t fused = 0;  ///< this many first stages have full convolutions
    double dropout = 0.2, drop_path = 0.2, eps = 1e-5, momentum = 0.1;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("depth", depth);
      v("stem", stem);
      v("head", head);
      v("expand", expand);
      v("kernels", kernels);
      v("strides", strides);
      v("widths", widths);
      v("layers", layers);
      v("fused", fused);
      v("dropout", dropout);
      v("drop_path", drop_path);
      v("eps", eps);
      v("momentum", momentum);
    }
    int64_t scaled(int64_t w) const { return round_channels(static_cast<double>(w) * width); }
    ConvBn::Config conv(int64_t in, int64_t out, int64_t kernel = 1, int64_t stride = 1,
                        int64_t groups = 1, Activation act = silu) const {
      return {in, out, kernel, stride, groups, act, eps, momentum};
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, bool fused, int64_t in, int64_t out, int64_t kernel,
          int64_t stride, int64_t expand, double drop)
        : Module(s),
          block(s / "block"),
          path(s / "stochastic_depth", drop),
          adds(in == out && stride == 1) {
      const int64_t inner = in * expand;
      if (fused) {
        block.add<ConvBn>(c.conv(in, inner == in ? out : inner, kernel, stride));
        if (inner == in) return;
      } else {
        if (inner != in) block.add<ConvBn>(c.conv(in, inner));
        block.add<ConvBn>(c.conv(inner, inner, kernel, stride, inner));
        block.add<SqueezeExcite>(
            SqueezeExcite::Config{inner, std::max<int64_t>(1, in / 4), silu, sigmoid});
      }
      block.add<ConvBn>(c.conv(inner, out, 1, 1, 1, nullptr));
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = block(x, ctx);
      return adds ? x + path(y, ctx) : y;
    }
    Sequential block;
    DropPath path;
    bool adds;
  };

  EfficientNet(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    if (!(c.depth > 0 && c.depth < 100))
      fail(Error::Kind::usage, {"depth should be above 0 and below 100, got ", c.depth});
    const auto blocks = [&](int64_t stage) {
      return static_cast<int64_t>(std::ceil(static_cast<double>(c.layers[stage]) * c.depth));
    };
    int64_t in = c.scaled(c.stem);
    features.add<ConvBn>(c.conv(c.channels, in, 3, 2));
    double all = 0, done = 0;
    for (int64_t k = 0; k < c.layers.rank(); ++k) all += static_cast<double>(blocks(k));
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      auto& stage = features.add<Sequential>();
      const int64_t out = c.scaled(c.widths[k]);
      for (int64_t i = 0; i < blocks(k); ++i, in = out)
        stage.add<Block>(c, k < c.fused, in, out, c.kernels[k], i ? 1 : c.strides[k], c.expand[k],
                         c.drop_path * done++ / all);
    }
    const int64_t last = c.head ? c.head : 4 * in;
    features.add<ConvBn>(c.conv(in, last));
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{last, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(features(x, ctx), {2, 3}), ctx);
  }
  Sequential features, classifier;
};

ModelEntry efficientnet_entry(const char* name, int64_t side, const char* options,
                              int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "Width, depth and picture size scaled together from a searched small network.",
          .paper = "Tan and Le, EfficientNet, 2019, and EfficientNetV2, 2021",
          .config = attr_type<EfficientNet::Config>(),
          .make = construct<EfficientNet>,
          .options = options,
          .input = {3, side, side},
          .parameters = parameters,
          .macs = macs,
          .tiny =
              "width=0.25 depth=1 stem=32 expand=1-6-6 kernels=3-3-5 strides=1-2-2 widths=16-24-40 "
              "layers=1-1-2 head=64 dropout=0 drop_path=0 eps=0.001 momentum=0.1",
          .tiny_input = {3, 32, 32}};
}

}  // namespace

// clang-format off
MODEL(efficientnet_b0) = efficientnet_entry("efficientnet_b0", 224, "", 5288548, 385814752);
MODEL(efficientnet_b1) = efficientnet_entry("efficientnet_b1", 240, "depth=1.1", 7794184, 686802832);
MODEL(efficientnet_b2) = efficientnet_entry("efficientnet_b2", 288, "width=1.1 depth=1.2 dropout=0.3", 9109994, 1087529456);
MODEL(efficientnet_b3) = efficientnet_entry("efficientnet_b3", 300, "width=1.2 depth=1.4 dropout=0.3", 12233232, 1827141392);
MODEL(efficientnet_b4) = efficientnet_entry("efficientnet_b4", 380, "width=1.4 depth=1.8 dropout=0.4", 19341616, 4393771024);
MODEL(efficientnet_b5) = efficientnet_entry("efficientnet_b5", 456, "width=1.6 depth=2.2 dropout=0.4 eps=0.001 momentum=0.01", 30389784, 10266384752);
MODEL(efficientnet_b6) = efficientnet_entry("efficientnet_b6", 528, "width=1.8 depth=2.6 dropout=0.5 eps=0.001 momentum=0.01", 43040704, 19067593536);
MODEL(efficientnet_b7) = efficientnet_entry("efficientnet_b7", 600, "width=2 depth=3.1 dropout=0.5 eps=0.001 momentum=0.01", 66347960, 37745884192);
MODEL(efficientnet_v2_s) = efficientnet_entry("efficientnet_v2_s", 384, "fused=3 stem=24 head=1280 expand=1-4-4-4-6-6 kernels=3-3-3-3-3-3 strides=1-2-2-2-1-2 widths=24-48-64-128-160-256 layers=2-4-4-6-9-15 eps=0.001", 21458488, 8365617152);
MODEL(efficientnet_v2_m) = efficientnet_entry("efficientnet_v2_m", 480, "fused=3 stem=24 head=1280 expand=1-4-4-4-6-6-6 kernels=3-3-3-3-3-3-3 strides=1-2-2-2-1-2-1 widths=24-48-80-160-176-304-512 layers=3-5-5-7-14-18-5 dropout=0.3 eps=0.001", 54139356, 24582460384);
MODEL(efficientnet_v2_l) = efficientnet_entry("efficientnet_v2_l", 480, "fused=3 stem=32 head=1280 expand=1-4-4-4-6-6-6 kernels=3-3-3-3-3-3-3 strides=1-2-2-2-1-2-1 widths=32-64-96-192-224-384-640 layers=4-7-7-10-19-25-7 dropout=0.4 eps=0.001", 118515272, 56079699008);
// clang-format on

}  // namespace nacre
