// Linear regression by gradient descent: recovers the weights that made the data.
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/ops.h"

using namespace nacre;

int main() {
  const Tensor x = normal({256, 3}, Key(1));
  const Tensor truth = Tensor::from({1.f, -2.f, 0.5f}, {3, 1});
  const Tensor y = matmul(x, truth);
  Tensor w = zeros({3, 1});
  for (int i = 0; i < 100; ++i) {
    const Tensor loss = mse_loss(matmul(x, w), y);
    w = stop_gradient(w - 0.3 * grad(loss, {w})[0]);
    eval(w);  // one compiled plan, found again at each step
  }
  std::printf("%s\n", w.str().c_str());
}
