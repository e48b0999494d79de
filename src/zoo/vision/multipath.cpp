#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Paths that see the same picture in different resolutions, 1, 1/2, 1/4, ..., and exchange what
/// they found after each stage: each takes the sum of all, brought to its own resolution.
struct Multipath : Module {
  struct Config {
    int64_t channels = 3, classes = 10;
    Ints scales = {1, 2, 4};  ///< what the sides are divided by; one path for each
    int64_t width = 16;       ///< channels of a path
    int64_t stages = 2;
    int64_t layers = 2;  ///< convolutions of a stage
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("scales", scales);
      v("width", width);
      v("stages", stages);
      v("layers", layers);
    }
    const Config& checked() const {
      bool fits = scales.rank() >= 1 && width >= 1 && stages >= 1 && layers >= 1;
      for (int64_t i = 0; i < scales.rank(); ++i)
        fits = fits && scales[i] >= 1 && scales[i] <= 64 && (i == 0 || scales[i] > scales[i - 1]) &&
               scales[i] % scales[0] == 0 && (i == 0 || scales[i] % scales[i - 1] == 0);
      if (!fits)
        fail(Error::Kind::usage,
             {"scales should grow, each a multiple of the one before, up to 64, and "
              "width, stages and layers be positive; got scales ",
              scales, ", width ", width, ", stages ", stages, ", layers ", layers});
      return *this;
    }
  };

  /// One stage of one path.
  static void build(Sequential& to, int64_t in, int64_t width, int64_t layers) {
    for (int64_t i = 0; i < layers; ++i)
      to.add<ConvBn>(ConvBn::Config{.in = i ? width : in, .out = width, .kernel = 3});
  }

  Multipath(const Scope& s, const Config& config)
      : Module(s),
        c(config.checked()),
        stages(s),
        fuse(s),
        fc(s / "fc", {c.width * c.scales.rank(), c.classes}) {
    for (int64_t k = 0; k < c.stages; ++k)
      for (int64_t p = 0; p < c.scales.rank(); ++p) {
        const std::string name = std::to_string(k + 1) + ".path" + std::to_string(p + 1);
        build(stages.add_as<Sequential>("stage" + name), k ? c.width : c.channels, c.width,
              c.layers);
        if (k + 1 == c.stages) continue;
        // To each path from the others: 1x1 convolutions, then the change of resolution.
        for (int64_t from = 0; from < c.scales.rank(); ++from)
          if (from != p)
            fuse.add_as<Conv2d>("fuse" + name + ".from" + std::to_string(from + 1),
                                conv_same(c.width, c.width, 1));
      }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto paths = static_cast<size_t>(c.scales.rank());
    const auto shrunk = [](const Tensor& t, int64_t by) { return by > 1 ? avg_pool2d(t, by) : t; };
    Tensors now;
    for (size_t p = 0; p < paths; ++p) now.push_back(shrunk(x, c.scales[static_cast<int64_t>(p)]));
    size_t stage = 0, joint = 0;
    for (int64_t k = 0; k < c.stages; ++k) {
      for (Tensor& t : now) t = stages[stage++](t, ctx);
      if (k + 1 == c.stages) break;
      Tensors joined = now;
      for (size_t p = 0; p < paths; ++p)
        for (size_t from = 0; from < paths; ++from) {
          if (from == p) continue;
          const Tensor y = fuse[joint++](now[from], ctx);
          const int64_t to = c.scales[static_cast<int64_t>(p)],
                        of = c.scales[static_cast<int64_t>(from)];
          const Shape size = {now[p].size(2), now[p].size(3)};
          joined[p] =
              joined[p] + (to > of ? shrunk(y, to / of) : interpolate(y, {size[0], size[1]}));
        }
      now = joined;
    }
    Tensors seen;
    for (const Tensor& t : now) seen.push_back(mean(t, {2, 3}));
    return fc(paths > 1 ? concat(seen, 1) : seen[0], ctx);
  }
  Config c;
  Sequential stages, fuse;
  Linear fc;
};

}  // namespace

MODEL(multipath) = {
    .name = "multipath",
    .summary = "Paths in several resolutions that exchange what they find after each stage.",
    .paper =
        "after Ciresan, Meier and Schmidhuber, Multi-column deep neural networks, 2012, and Sun, "
        "Xiao, Liu and Wang, Deep high-resolution representation learning, 2019",
    .config = attr_type<Multipath::Config>(),
    .make = construct<Multipath>,
    .input = {3, 32, 32},
    .tiny = "width=8 layers=1",
    .tiny_input = {3, 12, 12},
};

}  // namespace nacre
