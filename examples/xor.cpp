// A module of our own, trained by hand: a network with two hidden units learns exclusive or.
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/optim.h"

using namespace nacre;

struct Xor : Module {
  explicit Xor(const Scope& s) : Module(s), hidden(s / "hidden", {2, 4}), out(s / "out", {4, 1}) {}
  Tensor forward(const Tensor& x, Context& ctx) override { return out(tanh(hidden(x, ctx)), ctx); }
  Linear hidden, out;
};

int main() {
  const Tensor x = Tensor::from({0.f, 0.f, 0.f, 1.f, 1.f, 0.f, 1.f, 1.f}, {4, 2});
  const Tensor y = Tensor::from({0.f, 1.f, 1.f, 0.f}, {4, 1});
  Xor net(Scope::init(Key(3)));
  const auto parameters = net.trainable();
  Adam optimizer(parameters, {.lr = 0.05});
  for (int step = 0; step < 500; ++step) {
    Context ctx = Context::train(Key(static_cast<uint64_t>(step)));
    const Tensor loss = bce_with_logits(net(x, ctx), y);
    optimizer.step(grad(loss, values(parameters)));
    net.state()->commit({loss});
    if (step % 100 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }
  Context ctx = Context::eval();
  const auto p = sigmoid(net(x, ctx)).to_vector<float>();
  std::printf("0^0 %.3f  0^1 %.3f  1^0 %.3f  1^1 %.3f\n", p[0], p[1], p[2], p[3]);
}
