// A module of one's own: sub-modules by name, a parameter of its own, and what comes with it -
// names, saving, taps, freezing - without further code. It learns to copy a sine.
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/nn.h"
#include "nacre/optim.h"

using namespace nacre;

/// x + gate * f(x). The gate starts at zero, so that the block is the identity at first.
struct GatedBlock : Module {
  GatedBlock(const Scope& s, int64_t width)
      : Module(s),
        norm(s / "norm", LayerNorm::Config{{width}}),
        fc(s / "fc", {width, width}),
        gate(s.parameter("gate", {width}, init::zeros())) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    return x + gate.value() * gelu(fc(norm(x, ctx), ctx));
  }
  LayerNorm norm;
  Linear fc;
  Variable gate;
};

struct Net : Module {
  explicit Net(const Scope& s)
      : Module(s),
        in(s / "in", {1, 32}),
        block1(s / "block1", 32),
        block2(s / "block2", 32),
        out(s / "out", {32, 1}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    return out(block2(block1(tanh(in(x, ctx)), ctx), ctx), ctx);
  }
  Linear in;
  GatedBlock block1, block2;
  Linear out;
};

int main() {
  Net net(Scope::init(Key(0)));
  for (const Variable& v : net.parameters())
    std::printf("%-20s %s\n", v.name().c_str(), v.value().shape().str().c_str());
  std::printf("%ld parameters\n", static_cast<long>(net.parameter_count()));

  const Tensor x = reshape(linspace(-1, 1, 128), {128, 1});
  const Tensor y = sin(6.0 * x);
  Adam adam(net.trainable(), {.lr = 0.01});
  for (int step = 0; step < 300; ++step) {
    Context ctx = Context::train(Key(1));
    const Tensor loss = mse_loss(net(x, ctx), y);
    adam.step(grad(loss, values(net.trainable())));
    State* states[] = {net.state().get(), adam.state().get()};
    State::commit(states, {loss});
    if (step % 100 == 99) std::printf("step %3d: loss %.6f\n", step + 1, loss.item());
  }

  // A tap keeps the output of a module that it names by its path.
  NoGrad no_grad;
  Context ctx = Context::eval();
  ctx.taps["block1"] = {};
  const Tensor result = net(Tensor::from({0.25f}, {1, 1}), ctx);
  std::printf("net(0.25) = %.3f, sin(1.5) = 0.997; block1 gave %s\n", result.item(),
              ctx.taps["block1"].shape().str().c_str());
  std::printf("frozen: %ld of %zu parameters\n", static_cast<long>(net.freeze("^block1\\.")),
              net.parameters().size());
}
