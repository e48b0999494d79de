#include "nacre/zoo.h"

namespace nacre {
namespace {

/// LeNet-5 as it is taught today: maximum pooling, ReLU and full connections between the maps.
struct LeNet5 : Module {
  struct Config {
    int64_t channels = 1, classes = 10;
    void fields(FieldVisitor& v) {
      v("channels", channels);
      v("classes", classes);
    }
  };
  LeNet5(const Scope& s, const Config& c)
      : Module(s),
        conv1(s / "conv1", {c.channels, 6, 5}),
        conv2(s / "conv2", {6, 16, 5}),
        fc1(s / "fc1", {16 * 5 * 5, 120}),
        fc2(s / "fc2", {120, 84}),
        fc3(s / "fc3", {84, c.classes}) {}

  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor a = max_pool2d(relu(conv1(x, ctx)), 2)[0];
    const Tensor b = max_pool2d(relu(conv2(a, ctx)), 2)[0];
    return fc3(relu(fc2(relu(fc1(flatten(b, 1), ctx)), ctx)), ctx);
  }
  Conv2d conv1, conv2;
  Linear fc1, fc2, fc3;
};

}  // namespace

MODEL(lenet5) = {
    .name = "lenet5",
    .summary =
        "Two convolutions, two poolings, three full layers: the first network that read "
        "handwriting in earnest.",
    .paper =
        "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document "
        "recognition, 1998",
    .config = attr_type<LeNet5::Config>(),
    .make = construct<LeNet5>,
    .input = {1, 32, 32},
    .parameters = 61706,
    .macs = 416520,
};

}  // namespace nacre
