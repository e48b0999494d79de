// ResNet-18 (He et al. 2016), with the parameter names of torchvision.
#pragma once

#include "nacre/nn.h"

namespace networks {
using namespace nacre;

inline ConvConfig conv(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return {in, out, kernel, stride, kernel / 2, 1, 1, false, init::he_normal()};
}

struct BasicBlock : Module {
  BasicBlock(const Scope& s, int64_t in, int64_t out, int64_t stride)
      : Module(s),
        conv1(s / "conv1", conv(in, out, 3, stride)),
        bn1(s / "bn1", {out}),
        conv2(s / "conv2", conv(out, out, 3, 1)),
        bn2(s / "bn2", {out}),
        downsample(s / "downsample") {
    if (in == out && stride == 1) return;
    downsample.add<Conv2d>(conv(in, out, 1, stride));
    downsample.add<BatchNorm>(BatchNorm::Config{out});
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return relu(bn2(conv2(relu(bn1(conv1(x, ctx), ctx)), ctx), ctx) + downsample(x, ctx));
  }
  Conv2d conv1;
  BatchNorm bn1;
  Conv2d conv2;
  BatchNorm bn2;
  Sequential downsample;
};

struct ResNet18 : Module {
  explicit ResNet18(const Scope& s, int64_t classes = 1000)
      : Module(s),
        conv1(s / "conv1", conv(3, 64, 7, 2)),
        bn1(s / "bn1", {64}),
        fc(s / "fc", {512, classes}) {
    for (int64_t k = 0, in = 64, out = 64; k < 4; ++k, in = out, out *= 2) {
      Sequential& layer =
          *layers.emplace_back(std::make_unique<Sequential>(s / ("layer" + std::to_string(k + 1))));
      layer.add<BasicBlock>(in, out, k ? 2 : 1);
      layer.add<BasicBlock>(out, out, 1);
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = max_pool2d(relu(bn1(conv1(x, ctx), ctx)), 3, {.stride = 2, .padding = 1})[0];
    for (auto& layer : layers) y = (*layer)(y, ctx);
    return fc(mean(y, {2, 3}), ctx);
  }
  Conv2d conv1;
  BatchNorm bn1;
  std::vector<std::unique_ptr<Sequential>> layers;
  Linear fc;
};
}  // namespace networks
