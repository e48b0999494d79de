#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// SENet-154: the network that won ILSVRC 2017. Grouped residual blocks whose first convolution is
/// half as wide, 3x3 convolutions where the size changes, and squeeze and excitation. Names as in
/// timm's legacy_senet154.
struct SENet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {3, 8, 36, 3};  ///< blocks of each stage
    int64_t width = 64;           ///< channels of the stem; blocks of stage k give 4 * width << k
    int64_t groups = 64;          ///< of the 3x3 convolutions
    int64_t reduction = 16;       ///< of squeeze and excitation
    double dropout = 0.2;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("width", width);
      v("groups", groups);
      v("reduction", reduction);
      v("dropout", dropout);
    }
    int64_t last() const { return 4 * width << (layers.rank() - 1); }
    const Config& checked() const {
      if (layers.rank() < 1 || layers.rank() > 8)
        fail(Error::Kind::usage, {"layers should be of 1 to 8 stages, got ", layers.rank()});
      if (width < 1 || groups < 1 || 4 * width % groups)
        fail(Error::Kind::usage,
             {"four times the width ", width, " should be a multiple of the groups, ", groups});
      if (reduction < 1 || reduction > 4 * width)
        fail(Error::Kind::usage,
             {"reduction should be from 1 to four times the width, got ", reduction});
      return *this;
    }
  };

  static void add(Sequential& to, int k, const ConvConfig& conv, bool activated) {
    const std::string name = std::to_string(k);
    to.add_as<Conv2d>("conv" + name, conv);
    to.add_as<BatchNorm>("bn" + name, BatchNorm::Config{conv.out});
    if (activated) to.add(relu);
  }

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t width, int64_t stride)
        : Module(s), body(s), downsample(s / "downsample") {
      const int64_t out = 4 * width;
      add(body, 1, conv_same(in, 2 * width, 1), true);
      add(body, 2, conv_same(2 * width, out, 3, stride, c.groups), true);
      add(body, 3, conv_same(out, out, 1), false);
      body.add_as<SqueezeExcite>("se_module", SqueezeExcite::Config{out, out / c.reduction});
      if (in == out && stride == 1) return;
      downsample.add<Conv2d>(conv_same(in, out, stride == 1 ? 1 : 3, stride));
      downsample.add<BatchNorm>(BatchNorm::Config{out});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu(body.forward(x, ctx) + downsample(x, ctx));
    }
    Sequential body, downsample;
  };

  SENet(const Scope& s, const Config& config)
      : Module(s),
        stages(s),
        drop(s / "dropout", config.dropout),
        last_linear(s / "last_linear", {config.checked().last(), config.classes}) {
    const Config& c = config;
    auto& stem = stages.add_as<Sequential>("layer0");
    add(stem, 1, conv_same(c.channels, c.width, 3, 2), true);
    add(stem, 2, conv_same(c.width, c.width, 3), true);
    add(stem, 3, conv_same(c.width, 2 * c.width, 3), true);
    stem.add([](const Tensor& x) { return max_pool2d(x, 3, {.stride = 2, .ceil_mode = true})[0]; });
    for (int64_t k = 0, in = 2 * c.width; k < c.layers.rank(); ++k) {
      auto& stage = stages.add_as<Sequential>("layer" + std::to_string(k + 1));
      for (int64_t i = 0; i < c.layers[k]; ++i, in = 4 * c.width << k)
        stage.add<Block>(c, in, c.width << k, i == 0 && k > 0 ? 2 : 1);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return last_linear(drop(mean(stages.forward(x, ctx), {2, 3}), ctx), ctx);
  }
  Sequential stages;
  Dropout drop;
  Linear last_linear;
};

}  // namespace

MODEL(senet154) = {
    .name = "senet154",
    .summary = "Squeeze and excitation in grouped residual blocks: the winner of ILSVRC 2017.",
    .paper = "Hu, Shen and Sun, Squeeze-and-excitation networks, 2018",
    .config = attr_type<SENet::Config>(),
    .make = construct<SENet>,
    .input = {3, 224, 224},
    .parameters = 115088984,
    .macs = 20688363520,
    .tiny = "layers=1-1 width=8 groups=4 reduction=4 dropout=0",
    .tiny_input = {3, 32, 32},
};

}  // namespace nacre
