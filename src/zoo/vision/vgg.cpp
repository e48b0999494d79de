#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Stages of 3x3 convolutions that each end in pooling, then three full layers.
struct Vgg : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints layers = {2, 2, 3, 3, 3};  ///< convolutions of each stage
    int64_t width = 64;             ///< channels of the first stage; doubled up to eight times
    int64_t hidden = 4096;          ///< size of the full layers
    bool norm = false;              ///< batch normalisation after each convolution
    double dropout = 0.5;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("layers", layers);
      v("width", width);
      v("hidden", hidden);
      v("norm", norm);
      v("dropout", dropout);
    }
  };
  Vgg(const Scope& s, const Config& c)
      : Module(s), features(s / "features"), classifier(s / "classifier") {
    int64_t in = c.channels;
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      const int64_t out = c.width << std::min<int64_t>(k, 3);
      for (int64_t i = 0; i < c.layers[k]; ++i) {
        ConvConfig conv = conv_same(in, out, 3);
        conv.bias = true;
        features.add<Conv2d>(conv);
        if (c.norm) features.add<BatchNorm>(BatchNorm::Config{out});
        features.add(relu);
        in = out;
      }
      features.add([](const Tensor& x) { return max_pool2d(x, 2)[0]; });
    }
    classifier.add<Linear>(Linear::Config{in * 49, c.hidden});
    classifier.add(relu);
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{c.hidden, c.hidden});
    classifier.add(relu);
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{c.hidden, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(flatten(adaptive_avg_pool(features(x, ctx), 7), 1), ctx);
  }
  Sequential features, classifier;
};

ModelEntry vgg_entry(const char* name, const char* options, int64_t parameters, int64_t macs) {
  return {.name = name,
          .summary = "Nothing but 3x3 convolutions, more of them than before.",
          .paper = "Simonyan and Zisserman, Very deep convolutional networks, 2015",
          .config = attr_type<Vgg::Config>(),
          .make = construct<Vgg>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "layers=1-1 width=8 hidden=32 dropout=0 norm=true",
          .tiny_input = {3, 28, 28}};
}

}  // namespace

// clang-format off
MODEL(vgg11) = vgg_entry("vgg11", "layers=1-1-2-2-2", 132863336, 7609090048);
MODEL(vgg13) = vgg_entry("vgg13", "layers=2-2-2-2-2", 133047848, 11308466176);
MODEL(vgg16) = vgg_entry("vgg16", "", 138357544, 15470264320);
MODEL(vgg19) = vgg_entry("vgg19", "layers=2-2-4-4-4", 143667240, 19632062464);
MODEL(vgg11_bn) = vgg_entry("vgg11_bn", "layers=1-1-2-2-2 norm=true", 132868840, 7609090048);
MODEL(vgg13_bn) = vgg_entry("vgg13_bn", "layers=2-2-2-2-2 norm=true", 133053736, 11308466176);
MODEL(vgg16_bn) = vgg_entry("vgg16_bn", "norm=true", 138365992, 15470264320);
MODEL(vgg19_bn) = vgg_entry("vgg19_bn", "layers=2-2-4-4-4 norm=true", 143678248, 19632062464);
// clang-format on

}  // namespace nacre
