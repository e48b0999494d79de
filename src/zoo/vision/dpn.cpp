#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Dual path networks: the first channels are added to, as in a residual network; the others grow,
/// as in DenseNet. Names as in timm.
struct Dpn : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {3, 4, 20, 3};      ///< blocks of each stage
    Ints growth = {16, 32, 24, 128};  ///< channels that each block adds to the dense path
    int64_t stem = 64;                ///< channels of the first convolution
    int64_t inner = 96;               ///< channels of the grouped convolutions of the first stage
    int64_t groups = 32;
    int64_t residual = 256;  ///< channels of the residual path of the first stage
    int64_t kernel = 7;      ///< of the stem
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("growth", growth);
      v("stem", stem);
      v("inner", inner);
      v("groups", groups);
      v("residual", residual);
      v("kernel", kernel);
    }
  };

  /// Normalisation and ReLU before the convolution.
  struct Unit : Module {
    Unit(const Scope& s, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
         int64_t groups = 1)
        : Module(s),
          bn(s / "bn", {in, 1e-3}),
          conv(s / "conv", conv_same(in, out, kernel, stride, groups)) {}
    Tensor forward(const Tensor& x, Context& ctx) override { return conv(relu(bn(x, ctx)), ctx); }
    BatchNorm bn;
    Conv2d conv;
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t k, bool first)
        : Module(s), residual(c.residual << k), widen(s), body(s) {
      const int64_t inner = c.inner << k, growth = c.growth[k], stride = first && k ? 2 : 1;
      if (first)
        widen.add_as<Unit>(stride == 2 ? "c1x1_w_s2" : "c1x1_w_s1", in, residual + 2 * growth, 1,
                           stride);
      body.add_as<Unit>("c1x1_a", in, inner, 1);
      body.add_as<Unit>("c3x3_b", inner, inner, 3, stride, c.groups);
      body.add_as<Unit>("c1x1_c", inner, residual + growth, 1);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const auto added = [&](const Tensor& t) { return slice(t, 1, 0, residual); };
      const auto grown = [&](const Tensor& t) { return slice(t, 1, residual); };
      const Tensor before = widen.forward(x, ctx), y = body.forward(x, ctx);
      return concat({added(before) + added(y), grown(before), grown(y)}, 1);
    }
    int64_t residual;
    Sequential widen, body;
  };

  Dpn(const Scope& s, const Config& c) : Module(s), features(s / "features") {
    const ConvBn::Config stem{.in = c.channels,
                              .out = c.stem,
                              .kernel = c.kernel,
                              .stride = 2,
                              .eps = 1e-3,
                              .conv = "conv",
                              .norm = "bn"};
    features.add_as<ConvBn>("conv1_1", stem);
    features.add([](const Tensor& x) { return max_pool2d(x, 3, {.stride = 2, .padding = 1})[0]; });
    int64_t in = c.stem;
    for (int64_t k = 0; k < c.layers.rank(); ++k)
      for (int64_t i = 0; i < c.layers[k]; ++i) {
        const std::string name = "conv" + std::to_string(k + 2) + "_" + std::to_string(i + 1);
        features.add_as<Block>(name, c, in, k, i == 0);
        in = (i ? in : (c.residual << k) + 2 * c.growth[k]) + c.growth[k];
      }
    features.add_as<BatchNorm>("conv5_bn_ac.bn", BatchNorm::Config{in, 1e-3});
    features.add(relu);
    classifier = std::make_unique<Conv2d>(s / "classifier", ConvConfig{in, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return flatten((*classifier)(mean(features(x, ctx), {2, 3}, true), ctx), 1);
  }
  Sequential features;
  std::unique_ptr<Conv2d> classifier;  // 1x1, as published
};

ModelEntry dpn_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "A residual and a dense path side by side, through shared convolutions.",
          .paper = "Chen, Li, Xiao, Jin, Yan and Feng, Dual path networks, 2017",
          .config = attr_type<Dpn::Config>(),
          .make = construct<Dpn>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=2-1 growth=4-4 stem=8 inner=8 groups=2 residual=16",
          .tiny_input = {3, 24, 24}};
}

}  // namespace

// clang-format off
MODEL(dpn68) = dpn_entry("dpn68", "layers=3-4-12-3 growth=16-32-32-64 stem=10 inner=128 residual=64 kernel=3", 12611602, 2326163456);
MODEL(dpn92) = dpn_entry("dpn92", "", 37668392, 6501684224);
MODEL(dpn98) = dpn_entry("dpn98", "layers=3-6-20-3 growth=16-32-32-128 stem=96 inner=160 groups=40", 61570728, 11671217152);
MODEL(dpn131) = dpn_entry("dpn131", "layers=4-8-28-3 growth=16-32-32-128 stem=128 inner=160 groups=40", 79254504, 16013648896);
// clang-format on

}  // namespace nacre
