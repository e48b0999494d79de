// AdamW alone: 25 million parameters in 160 tensors, gradients at hand.
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments&) {
    constexpr int64_t kTensors = 160, kWhole = 25'000'000;
    const Scope s = Scope::init(Key(0));
    std::vector<Variable> parameters;
    Tensors gradients;
    for (int64_t i = 0; i < kTensors; ++i) {
      const Shape shape{kWhole / kTensors};
      parameters.push_back(s.parameter("p" + std::to_string(i), shape, init::constant(0.5)));
      gradients.push_back(full(shape, 1e-3 * static_cast<double>(i - 80)));
    }
    eval(gradients);
    auto optimizer = std::make_shared<AdamW>(parameters, AdamOptions{.weight_decay = 0.01});
    Workload w;
    w.run = [=] {
      optimizer->step(gradients);
      State* states[] = {s.state().get(), optimizer->state().get()};
      State::commit(states, {});
      Tensors first;  // one number of each tensor
      for (const Variable& p : parameters) first.push_back(slice(p.value(), 0, 0, 1));
      return Tensors{concat(first)};
    };
    return w;
  });
}
