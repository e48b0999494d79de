#include <optional>

#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Inception modules: convolutions of several sizes side by side. Two auxiliary heads, which are
/// computed in training or when their tap is asked for; a loss takes them from there:
/// cross_entropy(y, t) + 0.3 * cross_entropy(ctx.taps["aux1"], t) + ...
struct GoogLeNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    bool norm = true;  ///< batch normalisation and, as torchvision has it, 3x3 for 5x5 kernels
    bool aux = false;  ///< the auxiliary heads
    double width = 1;  ///< multiplies the channels inside
    double dropout = 0.2;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("norm", norm);
      v("aux", aux);
      v("width", width);
      v("dropout", dropout);
    }
    int64_t scaled(int64_t w) const {
      return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(w) * width));
    }
  };

  struct Unit : Module {
    Unit(const Scope& s, const Config& c, int64_t in, int64_t out, int64_t kernel,
         int64_t stride = 1)
        : Module(s),
          conv(s / "conv",
               {in, out, kernel, stride, kernel / 2, 1, 1, !c.norm, init::he_normal()}) {
      if (c.norm) bn.emplace(s / "bn", BatchNorm::Config{out, 1e-3});
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return relu(bn ? (*bn)(conv(x, ctx), ctx) : conv(x, ctx));
    }
    Conv2d conv;
    std::optional<BatchNorm> bn;
  };

  struct Inception : Module {
    /// w: channels of the 1x1 branch, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooling branch.
    Inception(const Scope& s, const Config& c, int64_t in, const Ints& w)
        : Module(s),
          branch1(s / "branch1", c, in, w[0], 1),
          branch2(s / "branch2"),
          branch3(s / "branch3"),
          branch4(s / "branch4") {
      branch2.add<Unit>(c, in, w[1], 1);
      branch2.add<Unit>(c, w[1], w[2], 3);
      branch3.add<Unit>(c, in, w[3], 1);
      branch3.add<Unit>(c, w[3], w[4], c.norm ? 3 : 5);
      branch4.add([](const Tensor& x) { return max_pool2d(x, 3, {.stride = 1, .padding = 1})[0]; });
      branch4.add<Unit>(c, in, w[5], 1);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      return concat({branch1(x, ctx), branch2(x, ctx), branch3(x, ctx), branch4(x, ctx)}, 1);
    }
    Unit branch1;
    Sequential branch2, branch3, branch4;
  };

  struct Head : Module {
    Head(const Scope& s, const Config& c, int64_t in)
        : Module(s),
          conv(s / "conv", c, in, 128, 1),
          fc1(s / "fc1", {2048, 1024}),
          fc2(s / "fc2", {1024, c.classes}),
          drop(s / "dropout", 0.7) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = flatten(conv(adaptive_avg_pool(x, 4), ctx), 1);
      return fc2(drop(relu(fc1(y, ctx)), ctx), ctx);
    }
    Unit conv;
    Linear fc1, fc2;
    Dropout drop;
  };

  GoogLeNet(const Scope& s, const Config& c)
      : Module(s), normed(c.norm), stem(s), modules(s), drop(s / "dropout", c.dropout) {
    const Ints widths[] = {{64, 96, 128, 16, 32, 32},     {128, 128, 192, 32, 96, 64},
                           {192, 96, 208, 16, 48, 64},    {160, 112, 224, 24, 64, 64},
                           {128, 128, 256, 24, 64, 64},   {112, 144, 288, 32, 64, 64},
                           {256, 160, 320, 32, 128, 128}, {256, 160, 320, 32, 128, 128},
                           {384, 192, 384, 48, 128, 128}};
    const char* names[] = {"3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"};
    const int64_t narrow = c.scaled(64);
    int64_t in = c.scaled(192);
    stem.add_as<Unit>("conv1", c, c.channels, narrow, 7, 2);
    stem.add_as<Unit>("conv2", c, narrow, narrow, 1);
    stem.add_as<Unit>("conv3", c, narrow, in, 3);
    for (size_t k = 0; k < 9; ++k) {
      Ints w = widths[k];
      for (int64_t& channels : w) channels = c.scaled(channels);
      modules.add_as<Inception>(std::string("inception") + names[k], c, in, w);
      in = w[0] + w[2] + w[4] + w[5];
      if (c.aux && k == 2) aux1.emplace(s / "aux1", c, in);
      if (c.aux && k == 5) aux2.emplace(s / "aux2", c, in);
    }
    fc.emplace(s / "fc", Linear::Config{in, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto pool = [](const Tensor& t, int64_t kernel) {
      return max_pool2d(t, kernel, {.stride = 2, .ceil_mode = true})[0];
    };
    const auto norm = [&](const Tensor& t) { return normed ? t : local_response_norm(t, 5); };
    Tensor y = norm(pool(stem[0](x, ctx), 3));
    y = pool(norm(stem[2](stem[1](y, ctx), ctx)), 3);
    for (size_t k = 0; k < modules.size(); ++k) {
      y = modules[k](y, ctx);
      if (k == 1) y = pool(y, 3);
      if (k == 6) y = pool(y, normed ? 2 : 3);
      if (k == 2 && aux1 && wanted("aux1", ctx)) (*aux1)(y, ctx);
      if (k == 5 && aux2 && wanted("aux2", ctx)) (*aux2)(y, ctx);
    }
    return (*fc)(drop(mean(y, {2, 3}), ctx), ctx);
  }
  static bool wanted(const char* head, const Context& ctx) {
    return ctx.training() || ctx.taps.contains(head);
  }
  bool normed;
  Sequential stem, modules;
  Dropout drop;
  std::optional<Head> aux1, aux2;
  std::optional<Linear> fc;
};

}  // namespace

MODEL(googlenet) = {
    .name = "googlenet",
    .summary = "Convolutions of several sizes side by side, in the batch-normalised form.",
    .paper = "Szegedy, Liu, Jia, Sermanet and others, Going deeper with convolutions, 2015",
    .config = attr_type<GoogLeNet::Config>(),
    .make = construct<GoogLeNet>,
    .input = {3, 224, 224},
    .parameters = 6624904,
    .macs = 1498376192,
    .tiny = "width=0.0625 dropout=0",
    .tiny_input = {3, 32, 32},
};

MODEL(googlenet_2014) = {
    .name = "googlenet_2014",
    .summary = "GoogLeNet as it won ImageNet in 2014: 5x5 kernels, no batch normalisation.",
    .paper = "Szegedy, Liu, Jia, Sermanet and others, Going deeper with convolutions, 2015",
    .config = attr_type<GoogLeNet::Config>(),
    .make = construct<GoogLeNet>,
    .options = "norm=false dropout=0.4",
    .input = {3, 224, 224},
    .parameters = 6998552,
    .tiny = "norm=true width=0.0625 dropout=0",
    .tiny_input = {3, 32, 32},
};

}  // namespace nacre
