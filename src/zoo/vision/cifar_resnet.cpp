#include <optional>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Residual networks for small pictures: three stages of equal blocks, shortcuts without
/// parameters, or with projections between stages. Without the shortcuts ("plain") they show how
/// depth alone degrades.
struct CifarResNet : Module {
  struct Config {
    int64_t channels = 3, classes = 10;
    int64_t blocks = 3;       ///< of each stage; there are 6 * blocks + 2 layers
    int64_t width = 16;       ///< channels of the first stage
    bool plain = false;       ///< no shortcuts
    bool projection = false;  ///< shortcuts between stages are convolutions (option B)
    double drop_path = 0;  ///< stochastic depth: the share of passes that leave the last block out
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("blocks", blocks);
      v("width", width);
      v("plain", plain);
      v("projection", projection);
      v("drop_path", drop_path);
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t out, double drop)
        : Module(s),
          conv1(s / "conv1", conv_same(in, out, 3, in == out ? 1 : 2)),
          bn1(s / "bn1", {out}),
          conv2(s / "conv2", conv_same(out, out, 3)),
          bn2(s / "bn2", {out}),
          path(s / "path", drop),
          plain(c.plain),
          added(out - in) {
      if (!added || c.plain || !c.projection) return;
      project.emplace(s / "downsample" / 0, ConvConfig{conv_same(in, out, 1, 2)});
      norm.emplace(s / "downsample" / 1, BatchNorm::Config{out});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = bn2(conv2(relu(bn1(conv1(x, ctx), ctx)), ctx), ctx);
      return relu(plain ? y : shortcut(x, ctx) + path(y, ctx));
    }
    /// Every second pixel, with zeros as new channels on both sides, or a projection.
    Tensor shortcut(const Tensor& x, Context& ctx) {
      if (!added) return x;
      if (project) return (*norm)((*project)(x, ctx), ctx);
      const Tensor half = slice(slice(x, 2, 0, INT64_MAX, 2), 3, 0, INT64_MAX, 2);
      return pad(half, {added / 2, 0, 0}, {added - added / 2, 0, 0});
    }
    Conv2d conv1;
    BatchNorm bn1;
    Conv2d conv2;
    BatchNorm bn2;
    DropPath path;
    bool plain;
    int64_t added;
    std::optional<Conv2d> project;
    std::optional<BatchNorm> norm;
  };

  CifarResNet(const Scope& s, const Config& c)
      : Module(s),
        conv1(s / "conv1", conv_same(c.channels, c.width, 3)),
        bn1(s / "bn1", {c.width}),
        stages(s),
        linear(s / "linear", {4 * c.width, c.classes, true, init::he_normal()}) {
    const double all = static_cast<double>(3 * c.blocks);
    double done = 0;
    for (int64_t k = 0, in = c.width; k < 3; ++k) {
      auto& stage = stages.add_as<Sequential>("layer" + std::to_string(k + 1));
      for (int64_t i = 0; i < c.blocks; ++i, in = c.width << k)
        stage.add<Block>(c, in, c.width << k, c.drop_path * ++done / all);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = stages.forward(relu(bn1(conv1(x, ctx), ctx)), ctx);
    return linear(mean(y, {2, 3}), ctx);
  }
  Conv2d conv1;
  BatchNorm bn1;
  Sequential stages;
  Linear linear;
};

ModelEntry cifar_resnet_entry(const char* name, const char* options, int64_t parameters,
                              int64_t macs) {
  return {.name = name,
          .summary = "A residual network for small pictures, or the same without shortcuts.",
          .paper = "He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016",
          .config = attr_type<CifarResNet::Config>(),
          .make = construct<CifarResNet>,
          .options = options,
          .input = {3, 32, 32},
          .parameters = parameters,
          .macs = macs,
          .tiny = "blocks=1 width=8",
          .tiny_input = {3, 12, 12}};
}

}  // namespace

// clang-format off
MODEL(resnet20) = cifar_resnet_entry("resnet20", "", 269722, 40551040);
MODEL(resnet32) = cifar_resnet_entry("resnet32", "blocks=5", 464154, 68862592);
MODEL(resnet44) = cifar_resnet_entry("resnet44", "blocks=7", 658586, 97174144);
MODEL(resnet56) = cifar_resnet_entry("resnet56", "blocks=9", 853018, 125485696);
MODEL(resnet110) = cifar_resnet_entry("resnet110", "blocks=18", 1727962, 252887680);
MODEL(resnet1202) = cifar_resnet_entry("resnet1202", "blocks=200 drop_path=0.5", 19421274, 0);
MODEL(plain20) = cifar_resnet_entry("plain20", "plain=true", 269722, 40551040);
MODEL(plain56) = cifar_resnet_entry("plain56", "blocks=9 plain=true", 853018, 0);
MODEL(plain110) = cifar_resnet_entry("plain110", "blocks=18 plain=true", 1727962, 0);
// clang-format on

}  // namespace nacre
