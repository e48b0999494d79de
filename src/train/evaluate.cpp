#include <chrono>
#include <cmath>

#include "base/signals.h"
#include "train/loss.h"
#include "train/setup.h"

namespace nacre {

double Evaluation::top_k(int64_t k) const {
  return top_k_accuracy(labels, scores, static_cast<int64_t>(classes.size()), k);
}

std::string Evaluation::warning() const {
  if (!regression || !(r2 < 0)) return {};
  return cat({"R2 is ", r2, ": the mean of these values would be a better guess than the model's"});
}

namespace {

Evaluation evaluated(Module& net, const DatasetPtr& data, const Transform& transform, int64_t batch,
                     int workers, const std::string& loss_name) {
  if (!data || data->size() == 0) fail(Error::Kind::data, {"there is nothing to evaluate on"});
  check_labels(*data);
  NoGrad guard;
  Evaluation e;
  e.classes = data->classes();
  e.regression = e.classes.empty();
  const std::string loss = e.regression ? "mse" : loss_name;
  LoaderOptions options;
  options.batch = batch;
  options.workers = workers;
  options.training = false;
  DataLoader loader(data, transform, sequential(data->size()), options);
  loader.start(0);
  Context ctx = Context::eval();
  double squares = 0;
  while (auto b = loader.next()) {
    check_stop();
    const Tensor x = Tensor::from(b->x, b->shape);
    const Tensor y = net(x, ctx);
    if (loss == "mse")
      squares += loss_of(loss, y, *b, 0, output_std(net)).item() * static_cast<double>(b->size());
    const Tensor out = e.regression ? y : softmax(y);
    const std::vector<float> values = out.to_vector<float>();
    e.scores.insert(e.scores.end(), values.begin(), values.end());
    e.labels.insert(e.labels.end(), b->labels.begin(), b->labels.end());
    e.targets.insert(e.targets.end(), b->targets.begin(), b->targets.end());
  }
  if (e.regression) {
    if (e.targets.size() != e.scores.size())
      fail(Error::Kind::data,
           {"the model gives ", e.scores.size(), " values for ", e.targets.size(), " targets"});
    e.loss = squares / static_cast<double>(data->size());
    e.rmse = std::sqrt(mean_squared_error(e.targets, e.scores));
    e.r2 = r2_score(e.targets, e.scores);
    return e;
  }
  const auto classes = static_cast<int64_t>(e.classes.size());
  if (static_cast<int64_t>(e.scores.size()) != classes * static_cast<int64_t>(e.labels.size()))
    fail(Error::Kind::data,
         {"the model has ", e.scores.size() / std::max<size_t>(1, e.labels.size()),
          " classes, the data ", classes});
  e.predicted = argmax_rows(e.scores, classes);
  e.confusion = confusion_matrix(e.labels, e.predicted, classes);
  e.report = classification_report(e.confusion);
  if (loss == "mse")
    e.loss = squares / static_cast<double>(e.labels.size());
  else if (loss == "perceptron")
    e.loss = 1 - e.report.accuracy;
  else
    e.loss = log_loss(e.labels, e.scores, classes);
  return e;
}

}  // namespace

Evaluation evaluate(Module& net, const DatasetPtr& data, const Transform& transform, int64_t batch,
                    int workers, const std::string& loss_name) {
  const auto start = std::chrono::steady_clock::now();
  Evaluation e = evaluated(net, data, transform, batch, workers, loss_name);
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return e;
}

}  // namespace nacre
