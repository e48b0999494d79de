#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Five convolutions and three full layers, in the form that fits one device.
struct AlexNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    int64_t width = 64;     ///< channels of the first convolution; the others follow
    int64_t hidden = 4096;  ///< size of the full layers
    int64_t pool = 6;       ///< side of the map that they see
    double dropout = 0.5;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("width", width);
      v("hidden", hidden);
      v("pool", pool);
      v("dropout", dropout);
    }
  };
  AlexNet(const Scope& s, const Config& c)
      : Module(s), side(c.pool), features(s / "features"), classifier(s / "classifier") {
    const int64_t w = c.width;
    const auto pool = [](const Tensor& x) { return max_pool2d(x, 3, {.stride = 2})[0]; };
    const auto conv = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride,
                          int64_t padding) {
      features.add<Conv2d>(ConvConfig{in, out, kernel, stride, padding});
      features.add(relu);
    };
    conv(c.channels, w, 11, 4, 2);
    features.add(pool);
    conv(w, 3 * w, 5, 1, 2);
    features.add(pool);
    conv(3 * w, 6 * w, 3, 1, 1);
    conv(6 * w, 4 * w, 3, 1, 1);
    conv(4 * w, 4 * w, 3, 1, 1);
    features.add(pool);
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{4 * w * c.pool * c.pool, c.hidden});
    classifier.add(relu);
    classifier.add<Dropout>(c.dropout);
    classifier.add<Linear>(Linear::Config{c.hidden, c.hidden});
    classifier.add(relu);
    classifier.add<Linear>(Linear::Config{c.hidden, c.classes});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return classifier(flatten(adaptive_avg_pool(features(x, ctx), {side}), 1), ctx);
  }
  int64_t side;
  Sequential features, classifier;
};

/// As it was published for two devices: grouped convolutions and local response normalisation,
/// with the names of the Caffe model.
struct CaffeNet : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    int64_t side = 227;     ///< of the picture
    int64_t width = 96;     ///< channels of the first convolution; the others follow
    int64_t hidden = 4096;  ///< size of the full layers
    double dropout = 0.5;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("side", side);
      v("width", width);
      v("hidden", hidden);
      v("dropout", dropout);
    }
    /// Inputs of the first full layer: what three poolings leave.
    int64_t features() const {
      int64_t size = (side - 11) / 4 + 1;
      for (int k = 0; k < 3; ++k) size = (size - 3) / 2 + 1;
      if (side < 67) fail(Error::Kind::usage, {"side should be at least 67, got ", side});
      return 8 * width / 3 * size * size;
    }
  };
  CaffeNet(const Scope& s, const Config& c)
      : Module(s),
        conv1(s / "conv1", {c.channels, c.width, 11, 4}),
        conv2(s / "conv2", {c.width, 8 * c.width / 3, 5, 1, 2, 1, 2}),
        conv3(s / "conv3", {8 * c.width / 3, 4 * c.width, 3, 1, 1}),
        conv4(s / "conv4", {4 * c.width, 4 * c.width, 3, 1, 1, 1, 2}),
        conv5(s / "conv5", {4 * c.width, 8 * c.width / 3, 3, 1, 1, 1, 2}),
        fc6(s / "fc6", {c.features(), c.hidden}),
        fc7(s / "fc7", {c.hidden, c.hidden}),
        fc8(s / "fc8", {c.hidden, c.classes}),
        drop(s / "drop", c.dropout) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto norm = [](const Tensor& t) {
      return max_pool2d(local_response_norm(relu(t), 5), 3, {.stride = 2})[0];
    };
    const Tensor a = norm(conv2(norm(conv1(x, ctx)), ctx));
    const Tensor b = relu(conv5(relu(conv4(relu(conv3(a, ctx)), ctx)), ctx));
    const Tensor features = flatten(max_pool2d(b, 3, {.stride = 2})[0], 1);
    const Tensor y = drop(relu(fc6(features, ctx)), ctx);
    return fc8(drop(relu(fc7(y, ctx)), ctx), ctx);
  }
  Conv2d conv1, conv2, conv3, conv4, conv5;
  Linear fc6, fc7, fc8;
  Dropout drop;
};

}  // namespace

MODEL(alexnet) = {
    .name = "alexnet",
    .summary = "The network that won ImageNet in 2012 and began it all, for one device.",
    .paper = "Krizhevsky, One weird trick for parallelizing convolutional networks, 2014",
    .config = attr_type<AlexNet::Config>(),
    .make = construct<AlexNet>,
    .input = {3, 224, 224},
    .parameters = 61100840,
    .macs = 714188480,
    .tiny = "width=4 hidden=32 pool=1 dropout=0",
    .tiny_input = {3, 64, 64},
};

MODEL(caffenet) = {
    .name = "caffenet",
    .summary = "AlexNet as published, its convolutions grouped for two devices.",
    .paper = "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep networks, 2012",
    .config = attr_type<CaffeNet::Config>(),
    .make = construct<CaffeNet>,
    .input = {3, 227, 227},
    .parameters = 60965224,
    .macs = 724406816,
    .tiny = "side=67 width=12 hidden=32 dropout=0",
    .tiny_input = {3, 67, 67},
};

}  // namespace nacre
