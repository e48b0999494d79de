#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Fire modules: a 1x1 convolution squeezes the channels, 1x1 and 3x3 convolutions expand them.
struct SqueezeNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    bool later_pooling = true;  ///< version 1.0: a larger stem, and pooling two modules later
    int64_t squeeze = 16;       ///< channels that the first two modules squeeze to
    /// ReLU on the scores, as published; a class whose score starts below zero never learns.
    bool last_relu = true;
    double dropout = 0.5;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("later_pooling", later_pooling);
      v("squeeze", squeeze);
      v("last_relu", last_relu);
      v("dropout", dropout);
    }
  };

  struct Fire : Module {
    Fire(const Scope& s, int64_t in, int64_t squeezed)
        : Module(s),
          squeeze(s / "squeeze", conv(in, squeezed, 1)),
          expand1x1(s / "expand1x1", conv(squeezed, 4 * squeezed, 1)),
          expand3x3(s / "expand3x3", conv(squeezed, 4 * squeezed, 3)) {}
    Tensor forward(const Tensor& x, Context& ctx) override {
      const Tensor y = relu(squeeze(x, ctx));
      return concat({relu(expand1x1(y, ctx)), relu(expand3x3(y, ctx))}, 1);
    }
    Conv2d squeeze, expand1x1, expand3x3;
  };

  SqueezeNet(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    int64_t in = c.squeeze * (c.later_pooling ? 6 : 4);
    const int64_t kernel = c.later_pooling ? 7 : 3;
    const auto pool = [](const Tensor& x) {
      return max_pool2d(x, 3, {.stride = 2, .ceil_mode = true})[0];
    };
    features.add<Conv2d>(ConvConfig{c.channels, in, kernel, 2, 0, 1, 1, true, init::he_uniform()});
    features.add(relu);
    features.add(pool);
    for (int64_t k = 0; k < 8; ++k) {
      const int64_t squeezed = c.squeeze * (k / 2 + 1);
      features.add<Fire>(in, squeezed);
      in = 8 * squeezed;
      if (c.later_pooling ? k == 2 || k == 6 : k == 1 || k == 3) features.add(pool);
    }
    classifier.add<Dropout>(c.dropout);
    ConvConfig last = conv(in, c.classes, 1);
    last.init = init::normal(0, 0.01);
    classifier.add<Conv2d>(last);
    if (c.last_relu) classifier.add(relu);
  }
  static ConvConfig conv(int64_t in, int64_t out, int64_t kernel) {
    return {in, out, kernel, 1, kernel / 2, 1, 1, true, init::he_uniform()};
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return mean(classifier(features(x, ctx), ctx), {2, 3});
  }
  Sequential features, classifier;
};

ModelEntry squeezenet_entry(const char* name, const char* options, int64_t parameters,
                            int64_t macs) {
  return {.name = name,
          .summary = "AlexNet's accuracy with a fiftieth of its parameters.",
          .paper = "Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, SqueezeNet, 2016",
          .config = attr_type<SqueezeNet::Config>(),
          .make = construct<SqueezeNet>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "squeeze=8 later_pooling=false dropout=0 last_relu=false",
          .tiny_input = {3, 32, 32},
          .settings = "lr=0.001"};
}

}  // namespace

MODEL(squeezenet1_0) = squeezenet_entry("squeezenet1_0", "", 1248424, 818924576);
MODEL(squeezenet1_1) = squeezenet_entry("squeezenet1_1", "later_pooling=false", 1235496, 349151936);

}  // namespace nacre
