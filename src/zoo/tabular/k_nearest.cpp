#include <limits>

#include "nacre/error.h"
#include "nacre/tabular.h"

namespace nacre {
namespace {

/// Keeps the rows that it was fitted to.
struct KNearest : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;    ///< to predict, not classes
    int64_t k = 5;          ///< all rows where there are fewer
    bool weighted = false;  ///< near neighbours count more: 1 / distance
    int64_t points = 1;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("k", k);
      v("weighted", weighted);
      v("points", points);
    }
  };
  KNearest(const Scope& s, const Config& c) : Module(s), config(c) {
    if (c.points < 1 || c.points > int64_t{1} << 31)
      fail(Error::Kind::usage, {"option points should be from 1 to 2147483648, got ", c.points});
    if (c.k < 1) fail(Error::Kind::usage, {"option k should be at least 1, got ", c.k});
    points = s.buffer("points", {c.points, c.in}, init::zeros());
    known = s.parameter("known", {c.points, c.classes}, init::zeros());
  }
  Tensor forward(const Tensor& input, Context&) override {
    const Tensor x = flatten(input, 1), p = points.value();
    const Tensor squares =
        sum(square(x), {1}, true) + sum(square(p), {1}) - 2.0 * matmul(x, transpose(p, 0, 1));
    const int64_t k = std::min(config.k, config.points);
    const Tensors nearest = topk(squares, k, 1, false);
    const Tensor theirs = index_select(known.value(), 0, nearest[1]);  // [n, k, classes]
    Tensor weight = ones_like(nearest[0]);
    if (config.weighted) {
      weight = reciprocal(sqrt(clip(nearest[0], 0)) + 1e-6);
      weight = weight / sum(weight, {1}, true);
    } else {
      weight = weight / static_cast<double>(k);
    }
    const Tensor y = sum(theirs * reshape(weight, {-1, k, 1}), {1});
    if (config.values) return y;
    // One more neighbour that knows nothing keeps probabilities above zero.
    const auto n = static_cast<double>(k), classes = static_cast<double>(config.classes);
    return log((y * n + 1 / classes) / (n + 1));
  }
  Config config;
  Variable points, known;
};

Fitted fit_k_nearest(const FitData& data, const FitData*, const void*) {
  std::vector<float> known = data.targets;
  if (!data.values()) {
    known.assign(static_cast<size_t>(data.rows * data.outputs), 0.0f);
    for (size_t i = 0; i < data.labels.size(); ++i)
      known[i * static_cast<size_t>(data.outputs) + static_cast<size_t>(data.labels[i])] =
          data.weights.empty() ? 1.0f : data.weights[i];
  }
  return {cat({"points=", data.rows}),
          {{"points", Tensor::from(data.x, {data.rows, data.columns})},
           {"known", Tensor::from(known, {data.rows, data.outputs})}}};
}

}  // namespace

MODEL(k_nearest) = {
    .name = "k_nearest",
    .summary = "What the nearest training rows say: their classes, or the mean of their values.",
    .paper = "Fix and Hodges 1951; Cover and Hart, Nearest neighbor pattern classification, 1967",
    .config = attr_type<KNearest::Config>(),
    .make = construct<KNearest>,
    .input = {1},
    .fit = fit_k_nearest,
};

}  // namespace nacre
