// A perceptron 784-512-512-10 with ReLU.
#include "nacre/zoo.h"
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    const std::shared_ptr<Module> net =
        make_model("mlp", "in=784 hidden=512-512", Scope::init(Key(0)));
    const Tensor x = normal({a.batch, 784}, Key(1)), y = randint({a.batch}, Key(3), 0, 10);
    Workload w{nullptr, {{"input", x}, {"labels", y}}, net, {784}};
    if (a.training())
      w.run = training_step(net, [=](Context& ctx) { return cross_entropy((*net)(x, ctx), y); });
    else
      w.run = inference(net, x);
    return w;
  });
}
