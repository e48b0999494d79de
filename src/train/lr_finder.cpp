#include <cmath>

#include "base/signals.h"
#include "nacre/train.h"
#include "train/setup.h"

namespace nacre {

LrCurve find_lr(const TrainConfig& config, double low, double high, int64_t steps) {
  if (!(low > 0 && high > low) || steps < 10)
    fail(Error::Kind::usage, {"the rates should satisfy 0 < low < high, and steps be at least 10"});
  TrainConfig c = config;
  c.out.clear();
  c.schedule = "constant";
  c.accumulate = 1;
  c.lr = low;
  c.check();
  // A run of its own: the caller's model is not touched.
  LrCurve curve;
  DataSplits data = open_dataset(c.data, open_options(c));
  Trainer trainer(c, data);
  LoaderOptions o;
  o.batch = c.batch;
  o.workers = static_cast<int>(c.workers);
  o.seed = static_cast<uint64_t>(c.seed);
  DataLoader loader(trainer.data().train, trainer.transform(),
                    shuffled(trainer.data().train->size()), o);
  double smooth = 0, best = 1e300, steepest = 0;
  int64_t epoch = 0;
  loader.start(epoch);
  for (int64_t k = 0; k < steps; ++k) {
    check_stop();
    auto batch = loader.next();
    if (!batch) {
      loader.start(++epoch);
      batch = loader.next();
      if (!batch) fail(Error::Kind::data, {"the training part is empty"});
    }
    const double lr =
        low * std::pow(high / low, static_cast<double>(k) / static_cast<double>(steps - 1));
    trainer.set_constant_lr(lr);
    double loss = 0;
    try {
      loss = trainer.step(*batch);
    } catch (const Error& e) {
      if (e.kind() != Error::Kind::numeric) throw;
      break;
    }
    const double before = smooth / std::max(1e-12, 1 - std::pow(0.9, static_cast<double>(k)));
    smooth = 0.9 * smooth + 0.1 * loss;
    const double now = smooth / (1 - std::pow(0.9, static_cast<double>(k + 1)));
    curve.lr.push_back(lr);
    curve.loss.push_back(now);
    if (k > steps / 20 && now - before < steepest) {
      steepest = now - before;
      curve.suggestion = lr;
    }
    best = std::min(best, now);
    if (k > 5 && now > 4 * best) break;
  }
  return curve;
}

}  // namespace nacre
