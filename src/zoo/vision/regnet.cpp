#include <cmath>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Residual stages whose widths follow a line, in the form of torchvision: X, and Y with squeeze
/// and excitation.
struct RegNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    int64_t depth = 16, stem = 32;
    int64_t w0 = 48;    ///< the first width
    double wa = 27.89;  ///< by how much the width grows with each block
    double wm = 2.09;   ///< and by which factor with each stage, after rounding
    int64_t group = 8;  ///< channels of a group
    double se = 0;      ///< squeeze to this share of the block's input; 0: none
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("depth", depth);
      v("stem", stem);
      v("w0", w0);
      v("wa", wa);
      v("wm", wm);
      v("group", group);
      v("se", se);
    }
    /// The width of block i: the line, rounded to a power of wm times w0, then to a multiple of 8.
    int64_t width(int64_t i) const {
      const double line = static_cast<double>(w0) + wa * static_cast<double>(i);
      const double power = std::nearbyint(std::log(line / static_cast<double>(w0)) / std::log(wm));
      return 8 * std::lrint(static_cast<double>(w0) * std::pow(wm, power) / 8);
    }
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t out, int64_t stride, int64_t group)
        : Module(s), proj(s / "proj"), f(s / "f") {
      if (in != out || stride != 1) {
        proj.add<Conv2d>(conv_same(in, out, 1, stride));
        proj.add<BatchNorm>(BatchNorm::Config{out});
      }
      const auto part = [&](const char* name, int64_t from, int64_t kernel, int64_t step,
                            int64_t groups, Activation act) {
        f.add_as<ConvBn>(name, ConvBn::Config{from, out, kernel, step, groups, act});
      };
      part("a", in, 1, 1, 1, relu);
      part("b", out, 3, stride, out / group, relu);
      const auto squeezed = std::lrint(c.se * static_cast<double>(in));
      if (c.se > 0) f.add_as<SqueezeExcite>("se", SqueezeExcite::Config{out, squeezed});
      part("c", out, 1, 1, 1, nullptr);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu(proj(x, ctx) + f(x, ctx));
    }
    Sequential proj, f;
  };

  RegNet(const Scope& s, const Config& c)
      : Module(s), stem(s / "stem", {c.channels, c.stem, 3, 2}), trunk(s / "trunk_output") {
    if (c.w0 < 8 || !(c.wa >= 0 && c.wm > 1) || c.group < 1)
      fail(Error::Kind::usage,
           {"w0 should be at least 8, wa not negative, wm above 1, group positive; got ", c.w0,
            ", ", c.wa, ", ", c.wm, ", ", c.group});
    int64_t in = c.stem, number = 0;
    for (int64_t i = 0; i < c.depth;) {
      const int64_t width = c.width(i), group = std::min(c.group, width);
      const int64_t out = round_channels(static_cast<double>(width), group);
      const std::string name = "block" + std::to_string(++number);
      auto& stage = trunk.add_as<Sequential>(name);
      for (int64_t k = 0; i < c.depth && c.width(i) == width; ++i, ++k, in = out)
        stage.add_as<Block>(name + "-" + std::to_string(k), c, in, out, k ? 1 : 2, group);
    }
    fc = std::make_unique<Linear>(s / "fc", Linear::Config{in, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return (*fc)(mean(trunk(stem(x, ctx), ctx), {2, 3}), ctx);
  }
  ConvBn stem;
  Sequential trunk;
  std::unique_ptr<Linear> fc;
};

ModelEntry regnet_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "The simple rules that good residual networks were found to have in common.",
          .paper = "Radosavovic, Kosaraju, Girshick, He and Dollar, Designing network spaces, 2020",
          .config = attr_type<RegNet::Config>(),
          .make = construct<RegNet>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "depth=3 w0=8 wa=8 wm=2 group=4 stem=8",
          .tiny_input = {3, 32, 32}};
}

}  // namespace

// clang-format off
MODEL(regnet_y_400mf) = regnet_entry("regnet_y_400mf", "se=0.25", 4344144, 401842848);
MODEL(regnet_y_800mf) = regnet_entry("regnet_y_800mf", "depth=14 w0=56 wa=38.84 wm=2.4 group=16 se=0.25", 6432512, 833856256);
MODEL(regnet_y_1_6gf) = regnet_entry("regnet_y_1_6gf", "depth=27 w0=48 wa=20.71 wm=2.65 group=24 se=0.25", 11202430, 0);
MODEL(regnet_y_3_2gf) = regnet_entry("regnet_y_3_2gf", "depth=21 w0=80 wa=42.63 wm=2.66 group=24 se=0.25", 19436338, 3176482752);
MODEL(regnet_y_8gf) = regnet_entry("regnet_y_8gf", "depth=17 w0=192 wa=76.82 wm=2.19 group=56 se=0.25", 39381472, 0);
MODEL(regnet_y_16gf) = regnet_entry("regnet_y_16gf", "depth=18 w0=200 wa=106.23 wm=2.48 group=112 se=0.25", 83590140, 0);
MODEL(regnet_y_32gf) = regnet_entry("regnet_y_32gf", "depth=20 w0=232 wa=115.89 wm=2.53 group=232 se=0.25", 145046770, 0);
MODEL(regnet_x_400mf) = regnet_entry("regnet_x_400mf", "depth=22 w0=24 wa=24.48 wm=2.54 group=16", 5495976, 413812608);
MODEL(regnet_x_800mf) = regnet_entry("regnet_x_800mf", "depth=16 w0=56 wa=35.73 wm=2.28 group=16", 7259656, 799699712);
MODEL(regnet_x_1_6gf) = regnet_entry("regnet_x_1_6gf", "depth=18 w0=80 wa=34.01 wm=2.25 group=24", 9190136, 0);
MODEL(regnet_x_3_2gf) = regnet_entry("regnet_x_3_2gf", "depth=25 w0=88 wa=26.31 wm=2.25 group=48", 15296552, 0);
MODEL(regnet_x_8gf) = regnet_entry("regnet_x_8gf", "depth=23 w0=80 wa=49.56 wm=2.88 group=120", 39572648, 0);
MODEL(regnet_x_16gf) = regnet_entry("regnet_x_16gf", "depth=22 w0=216 wa=55.59 wm=2.1 group=128", 54278536, 0);
MODEL(regnet_x_32gf) = regnet_entry("regnet_x_32gf", "depth=23 w0=320 wa=69.86 wm=2.0 group=168", 107811560, 0);
// clang-format on

}  // namespace nacre
