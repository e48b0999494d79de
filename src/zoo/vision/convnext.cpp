#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// A convolutional network with the proportions of a transformer.
struct ConvNeXt : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints widths = {96, 192, 384, 768}, layers = {3, 3, 9, 3};  ///< of each stage
    double drop_path = 0.1;
    double layer_scale = 1e-6;  ///< initial factor of each block's output
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("widths", widths);
      v("layers", layers);
      v("drop_path", drop_path);
      v("layer_scale", layer_scale);
    }
  };
  static constexpr double kEps = 1e-6;
  static ConvConfig conv(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding,
                         int64_t groups = 1) {
    return {in, out, kernel, stride, padding, 1, groups, true, init::truncated_normal(0, 0.02)};
  }

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t width, double drop)
        : Module(s),
          scale(s.parameter("layer_scale", {width, 1, 1}, init::constant(c.layer_scale))),
          block(s / "block"),
          path(s / "stochastic_depth", drop) {
      const Init init = init::truncated_normal(0, 0.02);
      block.add<Conv2d>(conv(width, width, 7, 1, 3, width));
      block.add([](const Tensor& x) { return permute(x, {0, 2, 3, 1}); });
      block.add<LayerNorm>(LayerNorm::Config{{width}, kEps});
      block.add<Linear>(Linear::Config{width, 4 * width, true, init});
      block.add([](const Tensor& x) { return gelu(x); });
      block.add<Linear>(Linear::Config{4 * width, width, true, init});
      block.add([](const Tensor& x) { return permute(x, {0, 3, 1, 2}); });
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return x + path(block(x, ctx) * scale.value(), ctx);
    }
    Variable scale;
    Sequential block;
    DropPath path;
  };

  ConvNeXt(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    double all = 0, done = 0;
    for (int64_t n : c.layers) all += static_cast<double>(n);
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      const int64_t width = c.widths[k];
      auto& reduce = features.add<Sequential>();
      if (k == 0) reduce.add<Conv2d>(conv(c.channels, width, 4, 4, 0));
      reduce.add<LayerNorm2d>(LayerNorm::Config{{k ? c.widths[k - 1] : width}, kEps});
      if (k) reduce.add<Conv2d>(conv(c.widths[k - 1], width, 2, 2, 0));
      auto& stage = features.add<Sequential>();
      for (int64_t i = 0; i < c.layers[k]; ++i)
        stage.add<Block>(c, width, c.drop_path * done++ / (all - 1));
    }
    classifier.add<LayerNorm2d>(LayerNorm::Config{{c.widths[-1]}, kEps});
    classifier.add([](const Tensor& x) { return flatten(x, 1); });
    const Init init = init::truncated_normal(0, 0.02);
    classifier.add<Linear>(Linear::Config{c.widths[-1], c.classes, true, init});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(features(x, ctx), {2, 3}, true), ctx);
  }
  Sequential features, classifier;
};

ModelEntry convnext_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "A plain convolutional network brought up to the ways of transformers.",
          .paper = "Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, A ConvNet for the 2020s, 2022",
          .config = attr_type<ConvNeXt::Config>(),
          .make = construct<ConvNeXt>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "widths=16-32 layers=1-1 drop_path=0 layer_scale=1",
          .tiny_input = {3, 16, 16}};
}

}  // namespace

// clang-format off
MODEL(convnext_tiny) = convnext_entry("convnext_tiny", "", 28589128, 4455531264);
MODEL(convnext_small) = convnext_entry("convnext_small", "layers=3-3-27-3 drop_path=0.4", 50223688, 8683712256);
MODEL(convnext_base) = convnext_entry("convnext_base", "widths=128-256-512-1024 layers=3-3-27-3 drop_path=0.5", 88591464, 15354729472);
MODEL(convnext_large) = convnext_entry("convnext_large", "widths=192-384-768-1536 layers=3-3-27-3 drop_path=0.5", 197767336, 34361433600);
// clang-format on

}  // namespace nacre
