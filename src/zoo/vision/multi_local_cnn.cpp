#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// A network for each of several windows about a superpixel, and one that decides from what all of
/// them found. The windows are one after the other as channels: see local_windows in
/// nacre/superpixels.h.
struct MultiLocalCnn : Module {
  struct Config {
    int64_t channels = 25, classes = 10;  ///< channels of all windows together
    int64_t windows = 5;
    int64_t width = 16;   ///< channels of the first convolution of each window
    int64_t layers = 2;   ///< convolutions of each window, of doubling channels
    int64_t hidden = 64;  ///< size of the full layer
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("windows", windows);
      v("width", width);
      v("layers", layers);
      v("hidden", hidden);
    }
    const Config& checked() const {
      if (windows < 1 || channels % windows)
        fail(Error::Kind::usage, {"channels should be those of all windows, a multiple of ",
                                  windows, ", got ", channels});
      if (width < 1 || layers < 1 || layers > 8 || hidden < 1)
        fail(Error::Kind::usage, {"width and hidden should be positive and layers 1 to 8, got ",
                                  width, ", ", hidden, " and ", layers});
      return *this;
    }
  };

  MultiLocalCnn(const Scope& s, const Config& config)
      : Module(s),
        c(config.checked()),
        locals(s),
        fc1(s / "fc1", {c.windows * (c.width << (c.layers - 1)), c.hidden}),
        fc2(s / "fc2", {c.hidden, c.classes}) {
    for (int64_t k = 0; k < c.windows; ++k) {
      auto& local = locals.add_as<Sequential>("local" + std::to_string(k + 1));
      for (int64_t i = 0, in = c.channels / c.windows; i < c.layers; in = c.width << i++) {
        if (i) local.add([](const Tensor& x) { return max_pool2d(x, 2)[0]; });
        local.add<ConvBn>(ConvBn::Config{.in = in, .out = c.width << i, .kernel = 3});
      }
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const int64_t each = c.channels / c.windows;
    Tensors found;
    for (int64_t k = 0; k < c.windows; ++k)
      found.push_back(
          mean(locals[static_cast<size_t>(k)](slice(x, 1, k * each, (k + 1) * each), ctx), {2, 3}));
    return fc2(relu(fc1(c.windows > 1 ? concat(found, 1) : found[0], ctx)), ctx);
  }
  Config c;
  Sequential locals;
  Linear fc1, fc2;
};

}  // namespace

MODEL(multi_local_cnn) = {
    .name = "multi_local_cnn",
    .summary = "Networks for several windows about a superpixel, joined by full layers.",
    .paper =
        "after Zhao, Jiao, Zhao, Gu and Zhao, Superpixel-based multiple local CNN for panchromatic "
        "and multispectral image classification, 2017",
    .config = attr_type<MultiLocalCnn::Config>(),
    .make = construct<MultiLocalCnn>,
    .input = {25, 16, 16},
    .tiny = "channels=10 width=4 hidden=16",
    .tiny_input = {10, 8, 8},
};

}  // namespace nacre
