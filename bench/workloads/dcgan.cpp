// A step of both networks of a DCGAN for pictures of 64x64 (Radford et al. 2016): the
// discriminator on true and made pictures, then the generator. Adam with rate 2e-4 and beta1 0.5.
#include "nacre/blocks.h"
#include "workload.h"

using namespace workload;

namespace {
constexpr int64_t kWidth = 64, kNoise = 100;

struct Generator : Module {
  explicit Generator(const Scope& s) : Module(s) {
    for (int64_t i = 0, in = kNoise; i < 5; ++i) {
      const int64_t out = i < 4 ? kWidth * (8 >> i) : 3;
      ups.push_back(std::make_unique<ConvTranspose2d>(
          s / "up" / i,
          ConvConfig{in, out, 4, i ? 2 : 1, i ? 1 : 0, 1, 1, false, init::normal(0, 0.02)}));
      if (i < 4)
        norms.push_back(std::make_unique<BatchNorm>(s / "norm" / i, BatchNorm::Config{out}));
      in = out;
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = x;
    for (size_t i = 0; i < norms.size(); ++i) y = relu((*norms[i])((*ups[i])(y, ctx), ctx));
    return tanh((*ups.back())(y, ctx));
  }
  std::vector<std::unique_ptr<ConvTranspose2d>> ups;
  std::vector<std::unique_ptr<BatchNorm>> norms;
};

struct Discriminator : Module {
  explicit Discriminator(const Scope& s) : Module(s) {
    for (int64_t i = 0, in = 3; i < 5; ++i) {
      const int64_t out = i < 4 ? kWidth << i : 1;
      downs.push_back(std::make_unique<Conv2d>(
          s / "down" / i, ConvConfig{in, out, 4, i < 4 ? 2 : 1, i < 4 ? 1 : 0, 1, 1, false,
                                     init::normal(0, 0.02)}));
      if (i > 0 && i < 4)
        norms.push_back(std::make_unique<BatchNorm>(s / "norm" / i, BatchNorm::Config{out}));
      in = out;
    }
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = leaky_relu((*downs[0])(x, ctx), 0.2);
    for (size_t i = 0; i < norms.size(); ++i)
      y = leaky_relu((*norms[i])((*downs[i + 1])(y, ctx), ctx), 0.2);
    return flatten((*downs.back())(y, ctx), 1);
  }
  std::vector<std::unique_ptr<Conv2d>> downs;
  std::vector<std::unique_ptr<BatchNorm>> norms;
};

struct Dcgan : Module {
  explicit Dcgan(const Scope& s) : Module(s), g(s / "g"), d(s / "d") {}
  Tensor forward(const Tensor& x, Context& ctx) override { return d(g(x, ctx), ctx); }
  Generator g;
  Discriminator d;
};
}  // namespace

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    auto net = std::make_shared<Dcgan>(Scope::init(Key(0)));
    const Tensor noise = normal({a.batch, kNoise, 1, 1}, Key(1)),
                 pictures = uniform({a.batch, 3, 64, 64}, Key(4), -1.0, 1.0);
    const AdamOptions o{.lr = 2e-4, .beta1 = 0.5};
    auto of_g = std::make_shared<Adam>(net->g.trainable(), o),
         of_d = std::make_shared<Adam>(net->d.trainable(), o);
    const Tensor yes = ones({a.batch, 1}), no = zeros({a.batch, 1});
    Workload w{nullptr, {{"noise", noise}, {"pictures", pictures}}, net, {}};
    w.run = [=] {
      Context ctx = Context::train(Key(2));
      const Tensor made = net->g(noise, ctx);
      const Tensor loss_d = bce_with_logits(net->d(pictures, ctx), yes) +
                            bce_with_logits(net->d(stop_gradient(made), ctx), no);
      of_d->step(grad(loss_d, values(net->d.trainable())));
      const Tensor loss_g = bce_with_logits(net->d(made, ctx), yes);
      of_g->step(grad(loss_g, values(net->g.trainable())));
      ctx.commit();
      State* states[] = {net->state().get(), of_g->state().get(), of_d->state().get()};
      const Tensor loss = loss_d + loss_g;
      State::commit(states, {loss});
      return Tensors{loss};
    };
    return w;
  });
}
