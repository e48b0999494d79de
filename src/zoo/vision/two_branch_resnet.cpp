#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Two residual networks side by side for a scene seen by two sensors: a panchromatic one of one
/// channel in high resolution, and a multispectral one of several in low resolution. A picture has
/// the panchromatic channel first, then the multispectral ones, brought to its size by repeating
/// or resampling pixels; their branch takes them back to their own resolution.
struct TwoBranchResNet : Module {
  struct Config {
    int64_t channels = 5, classes = 10;
    int64_t ratio = 4;              ///< of the resolutions; a power of two
    int64_t width = 16;             ///< channels of the first stage
    int64_t blocks = 2;             ///< of each stage; there are three
    std::string branches = "both";  ///< both, pan or ms: one alone, to see what it is worth
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("ratio", ratio);
      v("width", width);
      v("blocks", blocks);
      v("branches", branches);
    }
    const Config& checked() const {
      if (channels < 2)
        fail(
            Error::Kind::usage,
            {"two sensors need channels of 2 or more, the panchromatic one first, got ", channels});
      if (ratio < 1 || ratio > 64 || (ratio & (ratio - 1)))
        fail(Error::Kind::usage, {"ratio should be a power of two up to 64, got ", ratio});
      if (width < 1 || blocks < 1)
        fail(Error::Kind::usage,
             {"width and blocks should be positive, got ", width, " and ", blocks});
      if (branches != "both" && branches != "pan" && branches != "ms")
        fail(Error::Kind::usage, {"branches should be both, pan or ms, got '", branches, "'"});
      return *this;
    }
  };

  struct Block : Module {
    Block(const Scope& s, int64_t in, int64_t out, int64_t stride)
        : Module(s), body(s), downsample(s / "downsample") {
      body.add_as<Conv2d>("conv1", conv_same(in, out, 3, stride));
      body.add_as<BatchNorm>("bn1", BatchNorm::Config{out});
      body.add(relu);
      body.add_as<Conv2d>("conv2", conv_same(out, out, 3));
      body.add_as<BatchNorm>("bn2", BatchNorm::Config{out});
      if (in == out && stride == 1) return;
      downsample.add<Conv2d>(conv_same(in, out, 1, stride));
      downsample.add<BatchNorm>(BatchNorm::Config{out});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu(body.forward(x, ctx) + downsample(x, ctx));
    }
    Sequential body, downsample;
  };

  /// A stem and three stages; `halvings` of the strides are 2, the first ones.
  static void build(Sequential& to, const Config& c, int64_t in, int64_t halvings) {
    const auto stride = [&](int64_t k) { return k < halvings ? 2 : 1; };
    to.add_as<ConvBn>(
        "stem", ConvBn::Config{.in = in, .out = c.width, .kernel = 3, .stride = Ints{stride(0)}});
    for (int64_t k = 0, from = c.width; k < 3; ++k) {
      auto& stage = to.add_as<Sequential>("layer" + std::to_string(k + 1));
      for (int64_t i = 0; i < c.blocks; ++i, from = c.width << k)
        stage.add<Block>(from, c.width << k, i == 0 && k ? stride(k) : 1);
    }
  }

  TwoBranchResNet(const Scope& s, const Config& config)
      : Module(s),
        c(config.checked()),
        pan(s / "pan"),
        ms(s / "ms"),
        fc(s / "fc", {(c.branches == "both" ? 8 : 4) * c.width, c.classes}) {
    if (c.branches != "ms") build(pan, c, 1, 3);
    // What has few pixels is not made smaller still.
    if (c.branches != "pan") build(ms, c, c.channels - 1, c.ratio >= 4 ? 1 : c.ratio == 2 ? 2 : 3);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto pooled = [](const Tensor& t) { return mean(t, {2, 3}); };
    Tensors seen;
    if (pan.size()) seen.push_back(pooled(pan(slice(x, 1, 0, 1), ctx)));
    if (ms.size()) {
      const Tensor bands = slice(x, 1, 1);
      seen.push_back(pooled(ms(c.ratio > 1 ? avg_pool2d(bands, c.ratio) : bands, ctx)));
    }
    return fc(seen.size() > 1 ? concat(seen, 1) : seen[0], ctx);
  }
  Config c;
  Sequential pan, ms;
  Linear fc;
};

}  // namespace

MODEL(two_branch_resnet) = {
    .name = "two_branch_resnet",
    .summary = "A residual network for each of two sensors of different resolution, joined.",
    .paper =
        "after Xu, Li, Ran, Du, Gao and Zhang, Multisource remote sensing data classification "
        "based "
        "on convolutional neural network, 2018",
    .config = attr_type<TwoBranchResNet::Config>(),
    .make = construct<TwoBranchResNet>,
    .input = {5, 32, 32},
    .tiny = "width=4 blocks=1",
    .tiny_input = {5, 16, 16},
};

}  // namespace nacre
