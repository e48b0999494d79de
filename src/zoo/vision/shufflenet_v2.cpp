#include "nacre/blocks.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// Blocks that work on half of the channels and then shuffle them.
struct ShuffleNetV2 : Module {
  struct Config {
    int64_t channels = 3, classes = 1000;
    Ints widths = {24, 116, 232, 464, 1024};  ///< stem, stages, last convolution
    Ints layers = {4, 8, 4};                  ///< blocks of each stage
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
      v("widths", widths);
      v("layers", layers);
    }
  };

  struct Block : Module {
    Block(const Scope& s, int64_t in, int64_t out, int64_t stride)
        : Module(s), branch1(s / "branch1"), branch2(s / "branch2"), halves(stride == 1) {
      const int64_t half = out / 2, from = halves ? half : in;
      if (!halves) {
        add(branch1, from, from, 3, stride, nullptr);
        add(branch1, from, half, 1, 1, relu);
      }
      add(branch2, from, half, 1, 1, relu);
      add(branch2, half, half, 3, stride, nullptr);
      add(branch2, half, half, 1, 1, relu);
    }
    /// 3x3 convolutions are depthwise.
    static void add(Sequential& branch, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                    Activation act) {
      branch.add<Conv2d>(conv_same(in, out, kernel, stride, kernel == 3 ? in : 1));
      branch.add<BatchNorm>(BatchNorm::Config{out});
      if (act) branch.add(act);
    }
    Tensor forward(const Tensor& x, Context& ctx) override {
      if (!halves) return channel_shuffle(concat({branch1(x, ctx), branch2(x, ctx)}, 1), 2);
      const Tensors half = chunk(x, 2, 1);
      return channel_shuffle(concat({half[0], branch2(half[1], ctx)}, 1), 2);
    }
    Sequential branch1, branch2;
    bool halves;
  };

  ShuffleNetV2(const Scope& s, const Config& c)
      : Module(s),
        conv1(s / "conv1", {c.channels, c.widths[0], 3, 2}),
        stages(s),
        conv5(s / "conv5", {c.widths[c.layers.rank()], c.widths[-1]}),
        fc(s / "fc", {c.widths[-1], c.classes}) {
    for (int64_t k = 0; k < c.layers.rank(); ++k) {
      auto& stage = stages.add_as<Sequential>("stage" + std::to_string(k + 2));
      for (int64_t i = 0; i < c.layers[k]; ++i)
        stage.add<Block>(c.widths[i ? k + 1 : k], c.widths[k + 1], i ? 1 : 2);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = max_pool2d(conv1(x, ctx), 3, {.stride = 2, .padding = 1})[0];
    return fc(mean(conv5(stages.forward(y, ctx), ctx), {2, 3}), ctx);
  }
  ConvBn conv1;
  Sequential stages;
  ConvBn conv5;
  Linear fc;
};

ModelEntry shufflenet_v2_entry(const char* name, const char* options, int64_t parameters,
                               int64_t macs) {
  return {.name = name,
          .summary = "Half of the channels pass each block untouched, then all are shuffled.",
          .paper = "Ma, Zhang, Zheng and Sun, ShuffleNet V2, 2018",
          .config = attr_type<ShuffleNetV2::Config>(),
          .make = construct<ShuffleNetV2>,
          .options = options,
          .input = {3, 224, 224},
          .parameters = parameters,
          .macs = macs,
          .tiny = "widths=8-16-32-64 layers=2-2",
          .tiny_input = {3, 32, 32}};
}

}  // namespace

// clang-format off
MODEL(shufflenet_v2_x0_5) = shufflenet_v2_entry("shufflenet_v2_x0_5", "widths=24-48-96-192-1024", 1366792, 40476448);
MODEL(shufflenet_v2_x1_0) = shufflenet_v2_entry("shufflenet_v2_x1_0", "", 2278604, 144907992);
MODEL(shufflenet_v2_x1_5) = shufflenet_v2_entry("shufflenet_v2_x1_5", "widths=24-176-352-704-1024", 3503624, 295759392);
MODEL(shufflenet_v2_x2_0) = shufflenet_v2_entry("shufflenet_v2_x2_0", "widths=24-244-488-976-2048", 7393996, 583253464);
// clang-format on

}  // namespace nacre
