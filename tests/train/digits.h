// The shipped digits for tests that train: parts by seed, and a plain training loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "nacre/autograd.h"
#include "nacre/train.h"

namespace nacre::test {

struct Digits {
  DatasetPtr train, test;
};

/// `count` pictures for training and 597 for testing, of equal shares of the classes; the same
/// test pictures for every count and a seed.
inline Digits digits(int64_t count, uint64_t seed = 0) {
  static const DataSplits whole = open_dataset(std::string(NACRE_SOURCE_DIR) + "/data/digits");
  const Indices labels = labels_of(*whole.train);
  const double all = static_cast<double>(labels.size()), test = 597 / all;
  const double train = static_cast<double>(count) / all;
  auto parts = split_stratified(labels, {test, 1 - test}, Key(seed));
  Digits d;
  d.test = subset(whole.train, parts[0]);
  const DatasetPtr rest = subset(whole.train, parts[1]);
  if (count >= rest->size()) return {rest, d.test};
  const double share = train / (1 - test);
  d.train = subset(rest, split_stratified(labels_of(*rest), {share, 1 - share}, Key(seed))[0]);
  return d;
}

/// How a model is trained: Adam with one cycle of the learning rate.
struct Fit {
  std::string model = "cnn", options = "widths=8-16 dropout=0 channels=1";
  std::string transform;  ///< for training and, without its random steps, for testing
  int64_t epochs = 20, batch = 50;
  double lr = 5e-3;
  uint64_t seed = 0;

  std::unique_ptr<Module> fresh() const {
    return make_model(model, options, Scope::init(Key(seed).fold_in("init")));
  }
  /// `more` gives a term for the loss of each step, or an undefined Tensor. The optimiser trains
  /// `also`, too, at 20 times the rate.
  void train(Module& net, const DatasetPtr& data, const std::function<void(Context&)>& before = {},
             const std::function<Tensor()>& more = {}, State* also = nullptr,
             const std::function<void(int64_t)>& after_epoch = {}) const {
    DataLoader loader(data, Transform::parse(transform), shuffled(data->size()),
                      {.batch = batch, .workers = 0, .seed = seed});
    std::vector<Variable> trained = net.trainable();
    std::vector<double> scales(trained.size(), 1.0);
    if (also)
      for (const Variable& v : also->variables()) {
        trained.push_back(v);
        scales.push_back(20);
      }
    Adam optimizer(trained, {.lr = lr});
    optimizer.set_lr_scales(scales);
    const auto rate = schedule::one_cycle(lr, epochs * loader.batches());
    for (int64_t epoch = 0; epoch < epochs; ++epoch) {
      loader.start(epoch);
      while (const auto b = loader.next()) {
        Context ctx = Context::train(
            Key(seed).fold_in("step").fold_in(static_cast<uint64_t>(optimizer.steps())));
        if (before) before(ctx);
        const Tensor y = net(Tensor::from(b->x, b->shape), ctx);
        const Tensor target = b->targets.empty()
                                  ? Tensor::from(b->labels, {b->size()})
                                  : Tensor::from(b->targets, {b->size(), b->target_width});
        Tensor loss = cross_entropy(y, target);
        if (more) loss = loss + more();
        optimizer.set_lr(rate->at(optimizer.steps()));
        optimizer.step(grad(loss, values(trained)));
        ctx.commit();
        State* states[] = {net.state().get(), optimizer.state().get(),
                           also ? also : net.state().get()};
        State::commit(states, {loss});
      }
      if (after_epoch) after_epoch(epoch);
    }
  }
  Evaluation evaluate(Module& net, const DatasetPtr& data) const {
    return nacre::evaluate(net, data, Transform::parse(transform), 256, 0);
  }
  /// A fresh model, trained and evaluated.
  Evaluation run(const Digits& d) const {
    const auto net = fresh();
    train(*net, d.train);
    return evaluate(*net, d.test);
  }
};

}  // namespace nacre::test
