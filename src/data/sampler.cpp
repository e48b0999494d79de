#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "nacre/data.h"
#include "nacre/error.h"

namespace nacre {
namespace {

void check_count(std::string_view name, int64_t n) {
  if (n < 0 || n > (int64_t{1} << 40))
    fail(Error::Kind::usage, {"[", name, "] ", n, " samples cannot be drawn"});
}

Indices numbers(int64_t n) {
  Indices all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

Rng rng_of(Key key, int64_t epoch) {
  return Rng(key.fold_in("order").fold_in(static_cast<uint64_t>(epoch)));
}

class Sequential final : public Sampler {
 public:
  explicit Sequential(int64_t n) : n_(n) { check_count("sequential", n); }
  Indices order(Key, int64_t) const override { return numbers(n_); }

 private:
  int64_t n_;
};

class Shuffled final : public Sampler {
 public:
  explicit Shuffled(int64_t n) : n_(n) { check_count("shuffled", n); }
  Indices order(Key key, int64_t epoch) const override {
    Indices all = numbers(n_);
    rng_of(key, epoch).shuffle(all.begin(), all.end());
    return all;
  }

 private:
  int64_t n_;
};

class Weighted final : public Sampler {
 public:
  Weighted(const std::vector<double>& weights, int64_t count) : count_(count) {
    check_count("weighted", count);
    for (const double w : weights) {
      if (!(w >= 0) || !std::isfinite(w))
        fail(Error::Kind::usage, {"[weighted] a weight is ", w, ", must not be negative"});
      sum_.push_back((sum_.empty() ? 0 : sum_.back()) + w);
    }
    if (sum_.empty() || !(sum_.back() > 0) || !std::isfinite(sum_.back()))
      fail(Error::Kind::usage, {"[weighted] the weights must have a positive sum"});
  }
  Indices order(Key key, int64_t epoch) const override {
    Rng rng = rng_of(key, epoch);
    Indices out(static_cast<size_t>(count_));
    for (int64_t& i : out) {
      const double at = rng.uniform() * sum_.back();
      i = std::upper_bound(sum_.begin(), sum_.end(), at) - sum_.begin();
      i = std::min<int64_t>(i, static_cast<int64_t>(sum_.size()) - 1);
    }
    return out;
  }

 private:
  std::vector<double> sum_;
  int64_t count_;
};

class ClassBalanced final : public Sampler {
 public:
  ClassBalanced(const Indices& labels, int64_t count, std::vector<double> shares)
      : count_(count), shares_(std::move(shares)) {
    check_count("class_balanced", count);
    std::map<int64_t, Indices> lists;
    for (size_t i = 0; i < labels.size(); ++i) lists[labels[i]].push_back(static_cast<int64_t>(i));
    for (auto& [label, list] : lists) members_.push_back(std::move(list));
    if (members_.empty()) fail(Error::Kind::usage, {"[class_balanced] there are no samples"});
    if (shares_.empty()) shares_.assign(members_.size(), 1.0 / double(members_.size()));
    double sum = 0;
    for (const double s : shares_) sum += s;
    if (shares_.size() != members_.size() || std::abs(sum - 1) > 1e-6 ||
        *std::min_element(shares_.begin(), shares_.end()) < 0)
      fail(Error::Kind::usage, {"[class_balanced] needs ", members_.size(),
                                " shares of sum 1, got ", shares_.size(), " of sum ", sum});
  }
  Indices order(Key key, int64_t epoch) const override {
    Rng rng = rng_of(key, epoch);
    Indices out;
    double before = 0;
    for (size_t c = 0; c < members_.size(); ++c) {
      // Rounded sums, so that the counts sum to the whole.
      const auto from = std::llround(before * static_cast<double>(count_));
      before += shares_[c];
      const auto to =
          c + 1 == members_.size() ? count_ : std::llround(before * static_cast<double>(count_));
      Indices pool;
      for (int64_t k = from; k < to; ++k) {
        if (pool.empty()) {  // everyone once before anyone twice
          pool = members_[c];
          rng.shuffle(pool.begin(), pool.end());
        }
        out.push_back(pool.back());
        pool.pop_back();
      }
    }
    rng.shuffle(out.begin(), out.end());
    return out;
  }

 private:
  std::vector<Indices> members_;
  int64_t count_;
  std::vector<double> shares_;
};

class Bucketed final : public Sampler {
 public:
  Bucketed(Indices lengths, int64_t batch) : lengths_(std::move(lengths)), batch_(batch) {
    if (batch < 1) fail(Error::Kind::usage, {"[bucketed] batch is ", batch, ", must be 1 or more"});
  }
  Indices order(Key key, int64_t epoch) const override {
    Rng rng = rng_of(key, epoch);
    Indices all = numbers(static_cast<int64_t>(lengths_.size()));
    rng.shuffle(all.begin(), all.end());
    std::stable_sort(all.begin(), all.end(), [&](int64_t a, int64_t b) {
      return lengths_[static_cast<size_t>(a)] < lengths_[static_cast<size_t>(b)];
    });
    // Whole batches are exchanged; a smaller one stays last.
    const auto batch = static_cast<size_t>(batch_);
    std::vector<size_t> starts(all.size() / batch);
    for (size_t i = 0; i < starts.size(); ++i) starts[i] = i * batch;
    rng.shuffle(starts.begin(), starts.end());
    Indices out;
    for (const size_t s : starts)
      out.insert(out.end(), all.begin() + static_cast<ptrdiff_t>(s),
                 all.begin() + static_cast<ptrdiff_t>(s + batch));
    out.insert(out.end(), all.begin() + static_cast<ptrdiff_t>(starts.size() * batch), all.end());
    return out;
  }

 private:
  Indices lengths_;
  int64_t batch_;
};

}  // namespace

SamplerPtr sequential(int64_t n) { return std::make_shared<Sequential>(n); }
SamplerPtr shuffled(int64_t n) { return std::make_shared<Shuffled>(n); }
SamplerPtr weighted(std::vector<double> weights, int64_t count) {
  return std::make_shared<Weighted>(weights, count);
}
SamplerPtr class_balanced(Indices labels, int64_t count, std::vector<double> shares) {
  return std::make_shared<ClassBalanced>(labels, count, std::move(shares));
}
SamplerPtr bucketed(Indices lengths, int64_t batch) {
  return std::make_shared<Bucketed>(std::move(lengths), batch);
}

}  // namespace nacre
