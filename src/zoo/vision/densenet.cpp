#include "nacre/autograd.h"
#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Every layer sees the outputs of all layers of its block before it.
struct DenseNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {6, 12, 24, 16};  ///< of each block
    int64_t growth = 32;            ///< channels that a layer adds
    int64_t stem = 64;              ///< channels of the first convolution
    int64_t bottleneck = 4;         ///< 1x1 convolutions have this many times `growth` channels
    bool small = false;             ///< for small pictures: a 3x3 stem and no pooling
    double dropout = 0;
    bool memory_efficient = false;  ///< concatenations are made again in the backward pass
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("growth", growth);
      v("stem", stem);
      v("bottleneck", bottleneck);
      v("small", small);
      v("dropout", dropout);
      v("memory_efficient", memory_efficient);
    }
  };

  struct Layer : Module {
    Layer(const Scope& s, const Config& c, int64_t in)
        : Module(s),
          norm1(s / "norm1", {in}),
          conv1(s / "conv1", conv_same(in, c.bottleneck * c.growth, 1)),
          norm2(s / "norm2", {c.bottleneck * c.growth}),
          conv2(s / "conv2", conv_same(c.bottleneck * c.growth, c.growth, 3)),
          drop(s / "dropout", c.dropout) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = conv1(relu(norm1(x, ctx)), ctx);
      return drop(conv2(relu(norm2(y, ctx)), ctx), ctx);
    }
    BatchNorm norm1;
    Conv2d conv1;
    BatchNorm norm2;
    Conv2d conv2;
    Dropout drop;
  };

  struct Block : Module {
    Block(const Scope& s, const Config& c, int64_t in, int64_t count)
        : Module(s), layers(s), memory_efficient(c.memory_efficient) {
      for (int64_t i = 0; i < count; ++i)
        layers.add_as<Layer>("denselayer" + std::to_string(i + 1), c, in + i * c.growth);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      Tensors features = {x};
      for (size_t i = 0; i < layers.size(); ++i) {
        const auto layer = [&](const Tensors& all) {
          return Tensors{layers[i](concat(all, 1), ctx)};
        };
        const bool again = memory_efficient && ctx.training();
        features.push_back(again ? checkpoint(layer, features)[0] : layer(features)[0]);
      }
      return concat(features, 1);
    }
    Sequential layers;
    bool memory_efficient;
  };

  DenseNet(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier", head(c)) {
    int64_t in = c.stem;
    features.add_as<Conv2d>("conv0", conv_same(c.channels, in, c.small ? 3 : 7, c.small ? 1 : 2));
    if (!c.small) {
      features.add_as<BatchNorm>("norm0", BatchNorm::Config{in});
      features.add(
          [](const Tensor& x) { return max_pool2d(relu(x), 3, {.stride = 2, .padding = 1})[0]; });
    }
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      const std::string number = std::to_string(k + 1);
      features.add_as<Block>("denseblock" + number, c, in, c.layers[k]);
      in += c.layers[k] * c.growth;
      if (k + 1 == c.layers.rank()) break;
      auto& transition = features.add_as<Sequential>("transition" + number);
      transition.add_as<BatchNorm>("norm", BatchNorm::Config{in});
      transition.add(relu);
      transition.add_as<Conv2d>("conv", conv_same(in, in / 2, 1));
      transition.add([](const Tensor& x) { return avg_pool2d(x, 2); });
      in /= 2;
    }
    features.add_as<BatchNorm>("norm5", BatchNorm::Config{in});
  }
  static Linear::Config head(const Config& c) {
    int64_t in = c.stem;
    for (int64_t k = 0; k < c.layers.rank(); ++k) in = (k ? in / 2 : in) + c.layers[k] * c.growth;
    return {in, c.classes};
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(mean(relu(features(x, ctx)), {2, 3}), ctx);
  }
  Sequential features;
  Linear classifier;
};

ModelEntry densenet_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "Every layer of a block sees what all layers before it found.",
          .paper = "Huang, Liu, van der Maaten and Weinberger, Densely connected networks, 2017",
          .config = attr_type<DenseNet::Config>(),
          .make = construct<DenseNet>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=2-2 growth=8 stem=16",
          .tiny_input = {3, 32, 32}};
}

/// DenseNet-BC for pictures of 32x32 (section 4 of the paper).
ModelEntry small(const char* name, const char* options, int64_t parameters, int64_t macs) {
  ModelEntry e = densenet_entry(name, options, parameters, macs);
  e.input = {3, 32, 32};
  e.tiny_input = {3, 12, 12};
  return e;
}

}  // namespace

// clang-format off
MODEL(densenet121) = densenet_entry("densenet121", "", 7978856, 2834161664);
MODEL(densenet161) = densenet_entry("densenet161", "layers=6-12-36-24 growth=48 stem=96", 28681000, 7727907072);
MODEL(densenet169) = densenet_entry("densenet169", "layers=6-12-32-32", 14149480, 3359843328);
MODEL(densenet201) = densenet_entry("densenet201", "layers=6-12-48-32", 20013928, 4291365888);
MODEL(densenet_bc_100) = small("densenet_bc_100", "layers=16-16-16 growth=12 stem=24 small=true classes=10", 769162, 287929692);
// clang-format on

}  // namespace nacre
