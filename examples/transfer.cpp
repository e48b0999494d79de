// Transfer: a network learns the digits 0 to 4, and its layers, taken over by name and frozen, then
// help another to learn 5 to 9 from five pictures a class.
//
//   transfer [data set of digits, default data/digits]
#include <cstdio>

#include "nacre/autograd.h"
#include "nacre/data.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

using namespace nacre;

const char* const kTransform = "to_channels(1)|resize(32)|normalize(mean=0.3,std=0.35)";

/// The samples with labels low..low+4, at most `per_class` of each, after the first `skip`; labels
/// become 0..4.
DatasetPtr five_digits(const Dataset& all, int64_t low, int64_t skip, int64_t per_class) {
  std::vector<int64_t> count(5);
  std::vector<Sample> samples;
  for (int64_t i = 0; i < all.size(); ++i) {
    const int64_t c = all.label(i) - low;
    if (c < 0 || c > 4) continue;
    const int64_t n = count[static_cast<size_t>(c)]++;
    if (n < skip || n >= skip + per_class) continue;
    samples.push_back(all.get(i));
    samples.back().label = c;
  }
  return from_samples(std::move(samples), {"a", "b", "c", "d", "e"});
}

void train(Module& net, const DatasetPtr& data, int64_t steps) {
  DataLoader batches(data, Transform::parse(kTransform), shuffled(data->size()),
                     {.batch = 25, .seed = 1});
  Adam adam(net.trainable(), {.lr = 2e-3});
  for (int64_t epoch = 0; adam.steps() < steps; ++epoch) {
    batches.start(epoch);
    while (auto b = batches.next()) {
      Context ctx = Context::train(Key(3).fold_in(static_cast<uint64_t>(adam.steps())));
      const Tensor y = net(Tensor::from(b->x, b->shape), ctx);
      const Tensor loss = cross_entropy(y, Tensor::from(b->labels, {b->size()}));
      adam.step(grad(loss, values(net.trainable())));
      State* states[] = {net.state().get(), adam.state().get()};
      State::commit(states, {loss});
    }
  }
}

double accuracy(Module& net, const DatasetPtr& data) {
  NoGrad no_grad;
  Context ctx = Context::eval();
  DataLoader batches(data, Transform::parse(kTransform), sequential(data->size()),
                     {.batch = 256, .training = false});
  int64_t right = 0;
  batches.start(0);
  while (auto b = batches.next()) {
    const auto guess = argmax(net(Tensor::from(b->x, b->shape), ctx), 1).to_vector<int64_t>();
    for (size_t i = 0; i < guess.size(); ++i) right += guess[i] == b->labels[i];
  }
  return 100.0 * static_cast<double>(right) / static_cast<double>(data->size());
}

int run(const std::string& path) {
  const DatasetPtr all = open_dataset(path).train;
  const auto low = make_model("lenet5", "classes=5", Scope::init(Key(0)));
  train(*low, five_digits(*all, 0, 0, 1000), 300);
  std::printf("0 to 4, after training on them: %.1f %%\n",
              accuracy(*low, five_digits(*all, 0, 0, 1000)));

  // The source of values of the new model: everything but the last layer, found by name. What it
  // does not have starts fresh, because strict is off.
  const auto source = [&](const std::string& name, const Shape&, DType) {
    return name.rfind("fc3.", 0) == 0 ? Tensor() : low->state()->find(name).value();
  };
  const DatasetPtr few = five_digits(*all, 5, 0, 5), rest = five_digits(*all, 5, 5, 1000);
  std::printf("5 to 9, from %ld pictures, tested on %ld others (%%):\n",
              static_cast<long>(few->size()), static_cast<long>(rest->size()));
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const auto high = make_model("lenet5", "classes=5", Scope::load(source, false, Key(seed)));
    high->freeze("^(conv1|conv2)\\.");
    const auto fresh = make_model("lenet5", "classes=5", Scope::init(Key(seed)));
    train(*high, few, 60);
    train(*fresh, few, 60);
    std::printf("  seed %lu: with the layers of 0 to 4 %.1f, from scratch %.1f\n",
                static_cast<unsigned long>(seed), accuracy(*high, rest), accuracy(*fresh, rest));
  }
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
