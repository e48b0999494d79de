// A step of a critic with a penalty on the norm of its gradient by the input (Gulrajani et al.
// 2017): derivatives of second order.
#include "workload.h"

using namespace workload;

namespace {
struct Critic : Module {
  explicit Critic(const Scope& s)
      : Module(s),
        conv1(s / "conv1", {3, 32, 3, 2, 1}),
        conv2(s / "conv2", {32, 64, 3, 2, 1}),
        conv3(s / "conv3", {64, 128, 3, 2, 1}),
        fc(s / "fc", {128 * 4 * 4, 1}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = tanh(conv1(x, ctx));
    y = tanh(conv2(y, ctx));
    return fc(flatten(tanh(conv3(y, ctx)), 1), ctx);
  }
  Conv2d conv1, conv2, conv3;
  Linear fc;
};
}  // namespace

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    auto net = std::make_shared<Critic>(Scope::init(Key(0)));
    const Tensor x = normal({a.batch, 3, 32, 32}, Key(1));
    const auto loss = [=](Context& ctx) {
      const Tensor score = (*net)(x, ctx);
      const Tensor slope = grad(sum(score), {x})[0];
      const Tensor norm = sqrt(sum(square(slope), {1, 2, 3}) + 1e-12);
      return mean(score) + 10.0 * mean(square(norm - 1.0));
    };
    return Workload{training_step(net, loss), {{"input", x}}, net, {}};
  });
}
