#include <algorithm>
#include <cmath>
#include <numeric>

#include "nacre/explain.h"

namespace nacre::explain {
namespace {

std::vector<double> ranks(std::span<const float> v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
  std::vector<double> rank(v.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && !(v[order[i]] < v[order[end]])) ++end;
    const double shared = static_cast<double>(i + end - 1) / 2;
    for (; i < end; ++i) rank[order[i]] = shared;
  }
  return rank;
}

/// Puts the values of parameters back.
class Kept {
 public:
  explicit Kept(Module& net) : net_(net), variables_(net.parameters()) {
    for (const Variable& v : variables_) values_.push_back(v.value());
  }
  ~Kept() {
    try {
      set(values_);
    } catch (const Error&) {  // no memory: the old values are leaves, nothing is computed
    }
  }
  void set(const Tensors& values) {
    for (size_t i = 0; i < variables_.size(); ++i) variables_[i].set(values[i]);
    net_.state()->commit();
  }
  const std::vector<Variable>& variables() const { return variables_; }
  const Tensors& values() const { return values_; }

 private:
  Module& net_;
  std::vector<Variable> variables_;
  Tensors values_;
};

}  // namespace

double rank_correlation(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size())
    fail(Error::Kind::usage, {"[rank_correlation] the lists have ", a.size(), " and ", b.size(),
                              " values; as many are needed"});
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double middle = (static_cast<double>(a.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

double sanity(Module& net, const std::function<Tensor()>& map, int64_t draws, Key key) {
  if (draws < 1) fail(Error::Kind::usage, {"[sanity] draws is ", draws, ", at least 1 is needed"});
  const auto trained = map().to_vector<float>();
  Kept kept(net);
  double total = 0;
  for (int64_t k = 0; k < draws; ++k) {
    Tensors random;
    {
      NoGrad guard;
      for (size_t i = 0; i < kept.values().size(); ++i) {
        const Tensor& v = kept.values()[i];
        const Tensor wide = cast(v, DType::f32), centre = mean(wide);
        const Tensor deviation = sqrt(mean(square(wide - centre)));
        const Key own = key.fold_in(static_cast<uint64_t>(k)).fold_in(kept.variables()[i].name());
        random.push_back(cast(centre + deviation * normal(v.shape(), own), v.dtype()));
      }
    }
    kept.set(random);
    const auto now = map().to_vector<float>();
    total += rank_correlation(trained, now);
  }
  return total / static_cast<double>(draws);
}

}  // namespace nacre::explain
