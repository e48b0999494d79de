// Rows that lie apart from the others.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/signals.h"
#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/nn.h"
#include "nacre/optim.h"
#include "nacre/screening.h"

namespace nacre {
namespace {

using Rows = std::vector<std::vector<double>>;

/// Columns in units of their median absolute deviation from the median; those of one value are 0.
Rows scaled_rows(std::span<const float> x, int64_t columns) {
  const auto width = static_cast<size_t>(std::max<int64_t>(columns, 0));
  if (width == 0 || x.empty() || x.size() % width != 0)
    fail(Error::Kind::usage, {x.size(), " numbers are no rows of ", columns, " columns"});
  Rows rows(x.size() / width, std::vector<double>(width, 0.0));
  for (size_t c = 0; c < width; ++c) {
    std::vector<double> v;
    for (size_t r = 0; r < rows.size(); ++r)
      if (std::isfinite(x[r * width + c])) v.push_back(x[r * width + c]);
    if (v.empty()) continue;
    const auto middle = [](std::vector<double>& list) {
      const auto at = list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2);
      std::nth_element(list.begin(), at, list.end());
      return *at;
    };
    const double centre = middle(v);
    double mean = 0;
    for (double& d : v) mean += (d = std::fabs(d - centre)) / static_cast<double>(v.size());
    const double spread = 1.4826 * middle(v), scale = spread > 0 ? spread : mean;
    if (scale <= 0) continue;
    for (size_t r = 0; r < rows.size(); ++r)
      if (const double d = x[r * width + c]; std::isfinite(d)) rows[r][c] = (d - centre) / scale;
  }
  return rows;
}

/// The usual depth of a search among n rows.
double usual_depth(double n) {
  return n <= 1 ? 0 : 2 * (std::log(n - 1) + 0.5772156649) - 2 * (n - 1) / n;
}

struct IsolationTree {
  struct Node {
    size_t column = 0, left = 0;  ///< left 0: a leaf; the right child follows
    double at = 0, rows = 0;
  };
  std::vector<Node> nodes{1};

  void grow(const Rows& rows, std::vector<size_t> members, size_t node, int depth, Rng& rng) {
    nodes[node].rows = static_cast<double>(members.size());
    if (depth == 0 || members.size() < 2) return;
    const size_t width = rows[0].size();
    for (size_t tries = 0; tries < width; ++tries) {
      const size_t c = rng.below(width);
      double low = INFINITY, high = -INFINITY;
      for (const size_t m : members) {
        low = std::min(low, rows[m][c]);
        high = std::max(high, rows[m][c]);
      }
      if (!(high > low)) continue;
      const double at = rng.uniform(low, high);
      std::vector<size_t> left, right;
      for (const size_t m : members) (rows[m][c] <= at ? left : right).push_back(m);
      const size_t child = nodes.size();
      nodes[node].column = c;
      nodes[node].at = at;
      nodes[node].left = child;
      nodes.resize(child + 2);
      grow(rows, std::move(left), child, depth - 1, rng);
      grow(rows, std::move(right), child + 1, depth - 1, rng);
      return;
    }
  }
  double depth(const std::vector<double>& row) const {
    size_t node = 0;
    double steps = 0;
    for (; nodes[node].left; ++steps)
      node = nodes[node].left + (row[nodes[node].column] > nodes[node].at);
    return steps + usual_depth(nodes[node].rows);
  }
};

/// Centre and covariance of some rows, and distances from them.
struct Ellipsoid {
  std::vector<double> centre, factor;  ///< the lower triangle of the covariance's root
  double log_determinant = 0;

  Ellipsoid(const Rows& rows, const std::vector<size_t>& members) {
    const size_t p = rows[0].size();
    const auto n = static_cast<double>(members.size());
    centre.assign(p, 0.0);
    factor.assign(p * p, 0.0);
    for (const size_t m : members)
      for (size_t c = 0; c < p; ++c) centre[c] += rows[m][c] / n;
    for (const size_t m : members)
      for (size_t a = 0; a < p; ++a)
        for (size_t b = 0; b <= a; ++b)
          factor[a * p + b] += (rows[m][a] - centre[a]) * (rows[m][b] - centre[b]) / n;
    for (size_t a = 0; a < p; ++a) factor[a * p + a] += 1e-6;  // of columns that depend on others
    for (size_t a = 0; a < p; ++a)
      for (size_t b = 0; b <= a; ++b) {
        double v = factor[a * p + b];
        for (size_t k = 0; k < b; ++k) v -= factor[a * p + k] * factor[b * p + k];
        factor[a * p + b] = a == b ? std::sqrt(std::max(v, 1e-12)) : v / factor[b * p + b];
        if (a == b) log_determinant += 2 * std::log(factor[a * p + a]);
      }
  }
  double distance(const std::vector<double>& row) const {
    const size_t p = centre.size();
    std::vector<double> z(p);
    double sum = 0;
    for (size_t a = 0; a < p; ++a) {
      double v = row[a] - centre[a];
      for (size_t k = 0; k < a; ++k) v -= factor[a * p + k] * z[k];
      z[a] = v / factor[a * p + a];
      sum += z[a] * z[a];
    }
    return sum;
  }
};

/// The nearest h rows.
std::vector<size_t> nearest(const Rows& rows, const Ellipsoid& shape, size_t h) {
  std::vector<std::pair<double, size_t>> d(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) d[i] = {shape.distance(rows[i]), i};
  std::nth_element(d.begin(), d.begin() + static_cast<std::ptrdiff_t>(h - 1), d.end());
  std::vector<size_t> members(h);
  for (size_t i = 0; i < h; ++i) members[i] = d[i].second;
  return members;
}

}  // namespace

std::vector<double> isolation_scores(std::span<const float> x, int64_t columns, uint64_t seed,
                                     int trees, int64_t sample) {
  const Rows rows = scaled_rows(x, columns);
  if (trees < 1 || sample < 2)
    fail(Error::Kind::usage,
         {"an isolation forest has at least one tree of two rows, not ", trees, " of ", sample});
  const size_t size = std::min(rows.size(), static_cast<size_t>(sample));
  const int depth = static_cast<int>(std::ceil(std::log2(std::max<size_t>(2, size))));
  std::vector<double> sum(rows.size(), 0.0);
  for (int t = 0; t < trees; ++t) {
    check_stop();
    Rng rng(Key(seed).fold_in("isolation").fold_in(static_cast<uint64_t>(t)));
    std::vector<size_t> members(rows.size());
    std::iota(members.begin(), members.end(), size_t{0});
    for (size_t i = 0; i < size; ++i)
      std::swap(members[i], members[i + rng.below(rows.size() - i)]);
    members.resize(size);
    IsolationTree tree;
    tree.grow(rows, std::move(members), 0, depth, rng);
    for (size_t i = 0; i < rows.size(); ++i) sum[i] += tree.depth(rows[i]);
  }
  const double usual = std::max(1e-9, usual_depth(static_cast<double>(size)));
  for (double& s : sum) s = std::pow(2.0, -s / trees / usual);
  return sum;
}

std::vector<double> mahalanobis_scores(std::span<const float> x, int64_t columns, uint64_t seed) {
  const Rows rows = scaled_rows(x, columns);
  const size_t n = rows.size(), p = rows[0].size();
  if (p > 200 || n <= 2 * p)
    fail(Error::Kind::usage, {"robust distances need at most 200 columns and more than two rows a "
                              "column, these are ",
                              n, " rows of ", p});
  const size_t half = (n + p + 1) / 2;
  Rng rng(Key(seed).fold_in("covariance"));
  std::vector<std::pair<double, std::vector<size_t>>> starts;
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (int start = 0; start < 50; ++start) {
    check_stop();
    for (size_t i = 0; i <= p; ++i) std::swap(order[i], order[i + rng.below(n - i)]);
    std::vector<size_t> members(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(p + 1));
    for (int step = 0; step < 2; ++step) members = nearest(rows, Ellipsoid(rows, members), half);
    starts.emplace_back(Ellipsoid(rows, members).log_determinant, std::move(members));
  }
  std::sort(starts.begin(), starts.end());
  starts.resize(5);
  for (auto& [determinant, members] : starts)
    for (int step = 0; step < 50; ++step) {
      std::vector<size_t> next = nearest(rows, Ellipsoid(rows, members), half);
      const double now = Ellipsoid(rows, next).log_determinant;
      members = std::move(next);
      if (now >= determinant - 1e-9) break;
      determinant = now;
    }
  const Ellipsoid best(rows, std::min_element(starts.begin(), starts.end())->second);
  std::vector<double> d(n);
  for (size_t i = 0; i < n; ++i) d[i] = best.distance(rows[i]);
  // The median of chi-square with p degrees of freedom (Wilson and Hilferty).
  const auto degrees = static_cast<double>(p);
  const double usual = degrees * std::pow(1 - 2 / (9 * degrees), 3);
  std::vector<double> sorted = d;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(n / 2),
                   sorted.end());
  const double scale = usual / std::max(1e-12, sorted[n / 2]);
  for (double& v : d) v *= scale;
  return d;
}

std::vector<double> autoencoder_scores(std::span<const float> x, int64_t columns, uint64_t seed) {
  constexpr int kSteps = 400;
  const Rows rows = scaled_rows(x, columns);
  const auto n = static_cast<int64_t>(rows.size());
  std::vector<float> flat;
  for (const auto& row : rows)
    for (const double v : row) flat.push_back(static_cast<float>(std::clamp(v, -10.0, 10.0)));
  const Tensor all = Tensor::from(flat, {n, columns});
  const Scope s = Scope::init(Key(seed).fold_in("autoencoder"));
  const int64_t wide = std::max<int64_t>(8, 2 * columns),
                narrow = std::max<int64_t>(1, columns / 2);
  Sequential net(s);
  net.add<Linear>(Linear::Config{columns, wide});
  net.add([](const Tensor& t) { return tanh(t); });
  net.add<Linear>(Linear::Config{wide, narrow});
  net.add<Linear>(Linear::Config{narrow, wide});
  net.add([](const Tensor& t) { return tanh(t); });
  net.add<Linear>(Linear::Config{wide, columns});
  Adam optimizer(net.trainable(), {.lr = 1e-2});
  Tensor weight = ones({n});
  const auto errors = [&](Context& ctx) { return sum(square(net(all, ctx) - all), {1}); };
  for (int step = 0; step < kSteps; ++step) {
    check_stop();
    Context ctx = Context::eval();
    if (step == kSteps / 2) {
      NoGrad guard;
      std::vector<float> e = errors(ctx).to_vector<float>(), sorted = e;
      const auto ninth = sorted.begin() + static_cast<std::ptrdiff_t>(9 * sorted.size() / 10);
      std::nth_element(sorted.begin(), ninth, sorted.end());
      for (float& v : e) v = v <= *ninth;
      weight = Tensor::from(e, {n});
    }
    const Tensor loss = sum(errors(ctx) * weight) / static_cast<double>(n);
    optimizer.step(grad(loss, values(net.trainable())));
    State* states[] = {net.state().get(), optimizer.state().get()};
    State::commit(states, {loss});
  }
  NoGrad guard;
  Context ctx = Context::eval();
  const std::vector<float> e = errors(ctx).to_vector<float>();
  return {e.begin(), e.end()};
}

}  // namespace nacre
