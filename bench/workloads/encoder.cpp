// A Transformer encoder, six layers of width 512 over 128 positions, without dropout.
#include "transformer.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    auto net = std::make_shared<Transformer>(Scope::init(Key(0)));
    const Tensor x = normal({a.batch, 128, kWidth}, Key(1));
    Workload w{nullptr, {{"input", x}}, net, {128, kWidth}};
    if (a.training())
      w.run = training_step(net, [=](Context& ctx) { return mean(square((*net)(x, ctx))); });
    else
      w.run = inference(net, x);
    return w;
  });
}
