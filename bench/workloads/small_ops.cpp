// A thousand elementwise ops on a thousand numbers, other numbers in each run.
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments&) {
    auto runs = std::make_shared<int>(0);
    std::vector<float> numbers(1000);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = 1e-3f * static_cast<float>(i);
    const Tensor given = Tensor::from(numbers, {1000});
    Workload w;
    w.given = {{"input", given}};
    w.run = [=] {
      std::vector<float> fresh = numbers;
      fresh[0] = 0.5f + 0.1f * static_cast<float>((*runs)++ % 3);
      const Tensor x = Tensor::from(fresh, {1000});
      Tensor h = x;
      for (int i = 0; i < 100; ++i) {  // ten ops each
        const Tensor a = tanh(h * 0.9), b = sigmoid(h + x);
        const Tensor c = maximum(a, b * 0.5);
        h = c * c + sin(h) * 0.1;
      }
      return Tensors{h};
    };
    return w;
  });
}
