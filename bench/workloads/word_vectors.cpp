// Skip-gram with negative samples (Mikolov et al. 2013): vectors of 128 numbers for 100,000 words,
// 512 pairs a step with five other words each. Plain SGD.
#include "workload.h"

using namespace workload;

int main(int argc, char** argv) {
  return measure(argc, argv, [](const Arguments& a) {
    constexpr int64_t kWords = 100'000, kSize = 128, kOthers = 5;
    struct Net : Module {
      explicit Net(const Scope& s)
          : Module(s),
            words(s / "words", {kWords, kSize, init::uniform(-0.1, 0.1)}),
            contexts(s / "contexts", {kWords, kSize, init::uniform(-0.1, 0.1)}) {}
      Tensor forward(const Tensor& x, Context& ctx) override { return words(x, ctx); }
      Embedding words, contexts;
    };
    auto net = std::make_shared<Net>(Scope::init(Key(0)));
    auto optimizer = std::make_shared<SGD>(net->trainable(), SGD::Options{0.025, 0, 0, false});
    const Tensor word = randint({a.batch}, Key(1), 0, kWords),
                 others = randint({a.batch, 1 + kOthers}, Key(3), 0, kWords);
    std::vector<float> truth;  // the first of the others is a true neighbour
    for (int64_t i = 0; i < a.batch * (1 + kOthers); ++i)
      truth.push_back(i % (1 + kOthers) == 0 ? 1.f : 0.f);
    const Tensor labels = Tensor::from(truth, {a.batch, 1 + kOthers});
    Workload w{nullptr, {{"word", word}, {"others", others}}, net, {}};
    w.run = [=] {
      Context ctx = Context::train(Key(2));
      const Tensor v = unsqueeze(net->words(word, ctx), 1);
      const Tensor scores = sum(v * net->contexts(others, ctx), {2});
      const Tensor loss = bce_with_logits(scores, labels);
      optimizer->step(grad(loss, values(net->trainable())));
      State* states[] = {net->state().get(), optimizer->state().get()};
      State::commit(states, {loss});
      return Tensors{loss};
    };
    return w;
  });
}
