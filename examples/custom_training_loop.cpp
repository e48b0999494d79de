// Training without the Trainer: data set, transform, loader, model and optimiser by hand.
//
//   custom_training_loop [data set, default data/digits]
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/data.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

using namespace nacre;

double accuracy(Module& net, DataLoader& loader) {
  NoGrad no_grad;
  Context ctx = Context::eval();
  int64_t right = 0, all = 0;
  loader.start(0);
  while (auto batch = loader.next()) {
    const auto guess =
        argmax(net(Tensor::from(batch->x, batch->shape), ctx), 1).to_vector<int64_t>();
    for (size_t i = 0; i < guess.size(); ++i) right += guess[i] == batch->labels[i];
    all += batch->size();
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

int run(const std::string& path) {
  // A fifth of every class is kept for the test.
  const DatasetPtr all = open_dataset(path).train;
  const auto parts = split_stratified(labels_of(*all), {0.8, 0.2}, Key(0));
  const DatasetPtr train = subset(all, parts[0]), test = subset(all, parts[1]);

  const Transform transform =
      Transform::parse("to_channels(1)|resize(32)|normalize(mean=0.3,std=0.35)");
  DataLoader batches(train, transform, shuffled(train->size()), {.batch = 64, .seed = 1});
  DataLoader test_batches(test, transform, sequential(test->size()),
                          {.batch = 256, .training = false});

  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  AdamW adamw(net->trainable(), {.lr = 2e-3, .weight_decay = 1e-2});

  for (int64_t epoch = 0; epoch < 10; ++epoch) {
    double sum = 0;
    batches.start(epoch);
    while (auto batch = batches.next()) {
      Context ctx = Context::train(Key(2).fold_in(static_cast<uint64_t>(adamw.steps())));
      const Tensor y = (*net)(Tensor::from(batch->x, batch->shape), ctx);
      const Tensor loss = cross_entropy(y, Tensor::from(batch->labels, {batch->size()}));
      const Tensors g = grad(loss, values(net->trainable()));
      ctx.commit();  // running statistics, if the model has any
      adamw.step(g);
      // One plan for loss, gradients and update. If it throws, all variables are as before.
      State* states[] = {net->state().get(), adamw.state().get()};
      State::commit(states, {loss});
      sum += loss.item();
    }
    std::printf("epoch %2ld: loss %.4f\n", static_cast<long>(epoch + 1),
                sum / static_cast<double>(batches.batches()));
  }
  std::printf("test accuracy %.2f %%\n", 100 * accuracy(*net, test_batches));
  return 0;
}

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : "data/digits");
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
