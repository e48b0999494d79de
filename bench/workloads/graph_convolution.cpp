// A layer of a graph convolution network (Kipf and Welling 2017) and its gradient, on 10,000 nodes
// with 200,000 edges as a list, 128 numbers a node.
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments&) {
    constexpr int64_t kNodes = 10'000, kEdges = 200'000, kSize = 128;
    auto net =
        std::make_shared<Linear>(Scope::init(Key(0)) / "fc", Linear::Config{kSize, kSize, false});
    const Tensor x = normal({kNodes, kSize}, Key(1)), from = randint({kEdges}, Key(3), 0, kNodes),
                 to = randint({kEdges}, Key(4), 0, kNodes),
                 weight = uniform({kEdges, 1}, Key(5), 0.0, 0.1);
    eval({x, from, to, weight});
    Workload w{nullptr, {{"input", x}, {"from", from}, {"to", to}, {"weight", weight}}, net, {}};
    w.run = training_step(net, [=](Context& ctx) {
      const Tensor sent = index_select((*net)(x, ctx), 0, from) * weight;
      return mean(square(relu(index_add(zeros({kNodes, kSize}), 0, to, sent))));
    });
    return w;
  });
}
