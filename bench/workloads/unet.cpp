// U-Net (Ronneberger et al. 2015) for pictures of 256x256, with padding, batch normalisation and 32
// to 512 channels; a class for each pixel.
#include "nacre/blocks.h"
#include "workload.h"

using namespace workload;

namespace {
struct UNet : Module {
  static constexpr int64_t kLevels = 4, kWidth = 32;
  explicit UNet(const Scope& s) : Module(s), head(s / "head", {kWidth, 2, 1}) {
    int64_t in = 3;
    for (int64_t i = 0; i <= kLevels; ++i) {
      down.push_back(pair(s / "down" / i, in, kWidth << i));
      in = kWidth << i;
    }
    for (int64_t i = kLevels - 1; i >= 0; --i) {
      up.push_back(std::make_unique<ConvTranspose2d>(
          s / "up" / i, ConvConfig{kWidth << (i + 1), kWidth << i, 2, 2}));
      join.push_back(pair(s / "join" / i, kWidth << (i + 1), kWidth << i));
    }
  }
  static std::unique_ptr<Sequential> pair(const Scope& s, int64_t in, int64_t out) {
    auto p = std::make_unique<Sequential>(s);
    p->add<ConvBn>(ConvBn::Config{in, out, 3});
    p->add<ConvBn>(ConvBn::Config{out, out, 3});
    return p;
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensors kept;
    Tensor y = x;
    for (size_t i = 0; i < down.size(); ++i) {
      if (i > 0) y = max_pool2d(y, 2)[0];
      y = (*down[i])(y, ctx);
      kept.push_back(y);
    }
    for (size_t i = 0; i < up.size(); ++i)
      y = (*join[i])(concat({kept[kept.size() - 2 - i], (*up[i])(y, ctx)}, 1), ctx);
    return head(y, ctx);
  }
  std::vector<std::unique_ptr<Sequential>> down, join;
  std::vector<std::unique_ptr<ConvTranspose2d>> up;
  Conv2d head;
};
}  // namespace

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    auto net = std::make_shared<UNet>(Scope::init(Key(0)));
    const Tensor x = normal({a.batch, 3, 256, 256}, Key(1)),
                 y = randint({a.batch, 256, 256}, Key(3), 0, 2);
    Workload w{nullptr, {{"input", x}, {"labels", y}}, net, {3, 256, 256}};
    if (a.training())
      w.run = training_step(net, [=](Context& ctx) { return cross_entropy((*net)(x, ctx), y); });
    else
      w.run = inference(net, x);
    return w;
  });
}
