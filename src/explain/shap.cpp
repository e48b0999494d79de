#include <algorithm>
#include <cmath>
#include <numeric>

#include "explain/scores.h"

namespace nacre::explain {
namespace {

using Coalition = std::vector<bool>;

/// Asks for values in batches.
class Asked {
 public:
  Asked(const Game& value, int64_t batch) : value_(value), batch_(static_cast<size_t>(batch)) {}
  std::vector<double> operator()(const std::vector<Coalition>& all) const {
    std::vector<double> values;
    const Calls plan(all.size(), batch_);
    for (size_t k = 0; k < plan.calls; ++k) {
      std::vector<Coalition> some;
      for (size_t i = 0; i < plan.size; ++i)
        some.push_back(all[std::min(all.size() - 1, k * plan.size + i)]);
      const std::vector<double> v = value_(some);
      if (v.size() != some.size())
        fail(Error::Kind::usage,
             {"[shapley] the game gave ", v.size(), " values for ", some.size(), " coalitions"});
      values.insert(values.end(), v.begin(), v.end());
    }
    values.resize(all.size());
    return values;
  }

 private:
  const Game& value_;
  size_t batch_;
};

std::vector<double> exact(const Asked& ask, size_t players) {
  std::vector<Coalition> all(size_t{1} << players, Coalition(players));
  for (size_t s = 0; s < all.size(); ++s)
    for (size_t p = 0; p < players; ++p) all[s][p] = s >> p & 1;
  const std::vector<double> v = ask(all);
  // |S|! (players - 1 - |S|)! / players!
  std::vector<double> weight(players);
  for (size_t k = 0; k < players; ++k)
    weight[k] = std::exp(std::lgamma(static_cast<double>(k) + 1) +
                         std::lgamma(static_cast<double>(players - k)) -
                         std::lgamma(static_cast<double>(players) + 1));
  std::vector<double> share(players);
  for (size_t s = 0; s < all.size(); ++s) {
    const auto size = static_cast<size_t>(std::count(all[s].begin(), all[s].end(), true));
    for (size_t p = 0; p < players; ++p)
      if (!all[s][p]) share[p] += weight[size] * (v[s | size_t{1} << p] - v[s]);
  }
  return share;
}

std::vector<double> sampled(const Asked& ask, size_t players, const ShapleyOptions& o) {
  std::vector<size_t> order(players);
  std::iota(order.begin(), order.end(), size_t{0});
  Rng rng(o.key);
  std::vector<double> share(players);
  const std::vector<double> ends = ask({Coalition(players, false), Coalition(players, true)});
  for (int64_t k = 0; k < o.samples; ++k) {
    rng.shuffle(order.begin(), order.end());
    // Along an order and along its reverse; both ends are known.
    std::vector<Coalition> asked;
    for (const bool reverse : {false, true}) {
      Coalition in(players, false);
      for (size_t i = 0; i + 1 < players; ++i) {
        in[order[reverse ? players - 1 - i : i]] = true;
        asked.push_back(in);
      }
    }
    const std::vector<double> v = ask(asked);
    for (const bool reverse : {false, true}) {
      double before = ends[0];
      for (size_t i = 0; i < players; ++i) {
        const double now = i + 1 == players ? ends[1] : v[(reverse ? players - 1 : 0) + i];
        share[order[reverse ? players - 1 - i : i]] += now - before;
        before = now;
      }
    }
  }
  for (double& s : share) s /= 2 * static_cast<double>(o.samples);
  return share;
}

}  // namespace

std::vector<double> shapley(const Game& value, int64_t players, const ShapleyOptions& o) {
  if (players < 1 || players > 100000 || o.samples < 1 || o.batch < 1)
    fail(Error::Kind::usage,
         {"[shapley] ", players, " players, ", o.samples, " samples and a batch of ", o.batch,
          ": all should be positive, and players at most 100000"});
  const Asked ask(value, o.batch);
  const bool few = players < 24 && (int64_t{1} << players) <= 2 * o.samples * (players + 1);
  return few ? exact(ask, static_cast<size_t>(players))
             : sampled(ask, static_cast<size_t>(players), o);
}

Tensor shap(const Scores& f, const Tensor& x, const Classes& classes, const ShapOptions& o) {
  check_pictures("shap", x);
  const int64_t h = x.size(2), w = x.size(3), longer = std::max(h, w);
  if (x.size(0) != 1 || o.grid < 1)
    fail(Error::Kind::usage, {"[shap] x has ", x.size(0), " samples and grid is ", o.grid,
                              "; one sample and a grid of at least 1 are needed"});
  const int64_t cells = std::min(o.grid, longer);
  const auto along = [&](int64_t size) { return std::max<int64_t>(1, cells * size / longer); };
  const int64_t rows = along(h), columns = along(w);
  const auto cell = [&](int64_t i, int64_t j) {
    return static_cast<size_t>(i * rows / h * columns + j * columns / w);
  };
  const auto plane = static_cast<size_t>(h * w);
  std::vector<float> area(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < h; ++i)
    for (int64_t j = 0; j < w; ++j) area[cell(i, j)] += 1;

  NoGrad guard;
  const Tensor fill = like(o.fill, x), change = x - fill;
  const Game game = [&](const std::vector<Coalition>& coalitions) {
    const auto n = static_cast<int64_t>(coalitions.size());
    std::vector<float> mask(coalitions.size() * plane);
    for (int64_t k = 0; k < n; ++k)
      for (int64_t i = 0; i < h; ++i)
        for (int64_t j = 0; j < w; ++j)
          mask[static_cast<size_t>((k * h + i) * w + j)] =
              coalitions[static_cast<size_t>(k)][cell(i, j)] ? 1.f : 0.f;
    return class_scores(f, fill + cast(Tensor::from(mask, {n, 1, h, w}), x.dtype()) * change,
                        for_each(classes, 1))
        .to_vector<double>();
  };
  const std::vector<double> share = shapley(game, rows * columns, o.shapley);
  std::vector<float> map(plane);
  for (int64_t i = 0; i < h; ++i)
    for (int64_t j = 0; j < w; ++j)
      map[static_cast<size_t>(i * w + j)] = static_cast<float>(share[cell(i, j)]) /
                                            (area[cell(i, j)] * static_cast<float>(x.size(1)));
  return expand(Tensor::from(map, {1, 1, h, w}), x.shape());
}

}  // namespace nacre::explain
