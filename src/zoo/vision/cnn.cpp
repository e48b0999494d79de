#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Stages of two 3x3 convolutions with batch normalisation and ReLU, each ending in pooling; then
/// the mean (or largest) over positions and a full layer.
struct Cnn : Module {
  struct Config {
    int64_t channels = 1, classes = 10;
    Ints widths = {32, 64, 128};  ///< channels of the stages; as text "32-64-128"
    double dropout = 0.3;
    std::string pool = "mean";  ///< over positions; max finds small things anywhere
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("widths", widths);
      v("dropout", dropout);
      v("pool", pool);
    }
  };
  Cnn(const Scope& s, const Config& c)
      : Module(s),
        largest(c.pool == "max"),
        features(s / "features"),
        drop(s / "drop", c.dropout),
        fc(s / "fc", {c.widths[-1], c.classes}) {
    if (c.pool != "mean" && c.pool != "max")
      fail(Error::Kind::usage, {"option pool of cnn should be mean or max, got '", c.pool, "'"});
    int64_t in = c.channels;
    for (int64_t width : c.widths) {
      for (int k = 0; k < 2; ++k) {
        ConvConfig conv;
        conv.in = in;
        conv.out = width;
        conv.kernel = 3;
        conv.padding = 1;
        conv.bias = false;
        conv.init = init::he_normal();
        features.add<Conv2d>(conv);
        features.add<BatchNorm>(BatchNorm::Config{width});
        features.add([](const Tensor& x) { return relu(x); });
        in = width;
      }
      features.add([](const Tensor& x) { return max_pool2d(x, 2)[0]; });
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = features(x, ctx);
    return fc(drop(largest ? amax(y, {2, 3}) : mean(y, {2, 3}), ctx), ctx);
  }
  bool largest;
  Sequential features;
  Dropout drop;
  Linear fc;
};

}  // namespace

MODEL(cnn) = {
    .name = "cnn",
    .summary =
        "A small configurable convolutional network: stages of 3x3 convolutions with batch "
        "normalisation.",
    .paper = "After Simonyan and Zisserman 2015, and Ioffe and Szegedy 2015",
    .config = attr_type<Cnn::Config>(),
    .make = construct<Cnn>,
    .input = {1, 28, 28},
    .tiny = "widths=8-16 dropout=0",
    .tiny_input = {1, 16, 16},
};

}  // namespace nacre
