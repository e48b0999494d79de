// Own trees: XGBoost's forests grow a tree for each class and have no bootstrap samples.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/parallel.h"
#include "base/signals.h"
#include "nacre/error.h"
#include "zoo/tabular/trees.h"

namespace nacre {
namespace tabular {
namespace {

constexpr int kBins = 255, kMissing = 255;
constexpr int64_t kDeepest = 48;

struct RandomForest : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;  ///< to predict, not classes
    int64_t trees = 200;
    int64_t depth = 48;    ///< at most
    int64_t min_leaf = 1;  ///< rows
    double columns = 0;    ///< share looked at for each fork; 0: the root of all, or 1/3 for values
    int64_t nodes = 0, levels = 1;
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("trees", trees);
      v("depth", depth);
      v("min_leaf", min_leaf);
      v("columns", columns);
      v("nodes", nodes);
      v("levels", levels);
    }
  };
  // Before the fit a tree is one leaf.
  RandomForest(const Scope& s, const Config& c)
      : Module(s),
        config(c),
        trees(s, {c.in, c.classes, c.nodes ? c.trees : 1, c.nodes ? c.nodes : 1, c.levels}) {}
  Tensor forward(const Tensor& x, Context&) override {
    const Tensor all = trees(flatten(x, 1)), y = mean(all, {1});
    if (config.values) return y;
    // One more tree that knows nothing keeps probabilities above zero.
    const auto n = static_cast<double>(all.size(1)), classes = static_cast<double>(config.classes);
    return log((y * n + 1 / classes) / (n + 1));
  }
  Config config;
  Trees trees;
};

/// Columns as numbers of bins, and the edges between them.
struct Binned {
  std::vector<uint8_t> codes;             ///< [columns, rows]
  std::vector<std::vector<float>> edges;  ///< bin b holds values below edges[b]
};

Binned bin(const FitData& d) {
  Binned b;
  b.codes.resize(d.x.size());
  b.edges.resize(static_cast<size_t>(d.columns));
  const auto rows = static_cast<size_t>(d.rows), columns = static_cast<size_t>(d.columns);
  parallel_for(d.columns, 1, [&](int64_t first, int64_t last) {
    for (auto c = static_cast<size_t>(first); c < static_cast<size_t>(last); ++c) {
      std::vector<float> values;
      for (size_t r = 0; r < rows; ++r)
        if (!std::isnan(d.x[r * columns + c])) values.push_back(d.x[r * columns + c]);
      std::sort(values.begin(), values.end());
      std::vector<float> different = values;
      different.erase(std::unique(different.begin(), different.end()), different.end());
      auto& edges = b.edges[c];
      const auto between = [&](float low, float high) {
        const float middle = low + (high - low) / 2;
        edges.push_back(middle > low ? middle : high);
      };
      if (different.size() <= kBins) {
        for (size_t i = 1; i < different.size(); ++i) between(different[i - 1], different[i]);
      } else {
        for (size_t k = 1; k < kBins; ++k) {
          const size_t at = k * values.size() / kBins;
          const auto above = std::upper_bound(different.begin(), different.end(), values[at]);
          if (above == different.end()) break;
          const float low = values[at], high = *above;
          if (edges.empty() || high > edges.back()) between(low, high);
        }
      }
      for (size_t r = 0; r < rows; ++r) {
        const float v = d.x[r * columns + c];
        b.codes[c * rows + r] =
            std::isnan(v) ? kMissing
                          : static_cast<uint8_t>(std::upper_bound(edges.begin(), edges.end(), v) -
                                                 edges.begin());
      }
    }
  });
  return b;
}

/// Grows one tree on a bootstrap sample.
class Grower {
 public:
  Grower(const FitData& d, const Binned& binned, const RandomForest::Config& c, Key key)
      : data_(d),
        binned_(binned),
        config_(c),
        rng_(key),
        rows_(static_cast<size_t>(d.rows)),
        width_(static_cast<size_t>(d.outputs)),
        stats_(width_ + 1) {
    const auto columns = static_cast<double>(d.columns);
    const double share = c.columns > 0 ? c.columns * columns
                         : d.values()  ? columns / 3
                                       : std::sqrt(columns);
    tries_ =
        std::clamp<size_t>(static_cast<size_t>(share + 0.5), 1, static_cast<size_t>(d.columns));
    order_.resize(static_cast<size_t>(d.columns));
    std::iota(order_.begin(), order_.end(), size_t{0});
    histogram_.resize((kBins + 1) * stats_);
    tables.width = static_cast<int64_t>(width_);
  }

  void grow() {
    std::vector<double> count(rows_, 0.0);
    weight_of_.assign(rows_, 0.0);
    for (size_t i = 0; i < rows_; ++i) ++count[rng_.below(rows_)];
    for (size_t r = 0; r < rows_; ++r) {
      const double w = count[r] * (data_.weights.empty() ? 1.0 : data_.weights[r]);
      if (w <= 0) continue;
      members_.push_back(static_cast<uint32_t>(r));
      weight_of_[r] = w;
    }
    tables.root.push_back(tables.add_leaf());
    std::vector<Piece> stack = {{0, members_.size(), 0, 0}};
    while (!stack.empty()) {
      const Piece p = stack.back();
      stack.pop_back();
      const std::vector<double> all = sums_of(p.begin, p.end);
      Split best;
      if (p.level < std::min(config_.depth, kDeepest) &&
          p.end - p.begin >= 2 * static_cast<size_t>(config_.min_leaf) && !pure(p, all))
        best = best_split(p, all);
      if (best.gain <= 0) {
        leaf(p.node, all);
        tables.levels = std::max(tables.levels, p.level);
        continue;
      }
      const uint8_t* codes = binned_.codes.data() + best.column * rows_;
      const auto middle = std::stable_partition(
          members_.begin() + static_cast<std::ptrdiff_t>(p.begin),
          members_.begin() + static_cast<std::ptrdiff_t>(p.end), [&](uint32_t r) {
            return codes[r] == kMissing ? !best.missing_right : codes[r] <= best.bin;
          });
      const auto cut = static_cast<size_t>(middle - members_.begin());
      const auto& edges = binned_.edges[best.column];
      const float at =
          best.bin < edges.size() ? edges[best.bin] : std::numeric_limits<float>::infinity();
      const int32_t child =
          tables.split(p.node, static_cast<int32_t>(best.column), at, best.missing_right);
      stack.push_back({cut, p.end, child + 1, p.level + 1});
      stack.push_back({p.begin, cut, child, p.level + 1});
    }
  }

  TreeTables tables;

 private:
  struct Piece {
    size_t begin, end;
    int32_t node;
    int64_t level;
  };
  struct Split {
    double gain = 0;
    size_t column = 0;
    uint8_t bin = 0;  ///< the last that goes left
    bool missing_right = false;
  };

  /// Adds a row: the weight in place 0, then its class or its values.
  void add_row(uint32_t r, double* to) const {
    const double w = weight_of_[r];
    to[0] += w;
    if (!data_.values()) {
      to[1 + static_cast<size_t>(data_.labels[r])] += w;
    } else {
      for (size_t k = 0; k < width_; ++k) to[1 + k] += w * data_.targets[r * width_ + k];
    }
  }
  std::vector<double> sums_of(size_t begin, size_t end) const {
    std::vector<double> sums(stats_, 0.0);
    for (size_t i = begin; i < end; ++i) add_row(members_[i], sums.data());
    return sums;
  }
  /// Larger is purer: Gini and squared error both grow with the sum of squares over the weight.
  double purity(const double* sums) const {
    if (sums[0] <= 0) return 0;
    double squares = 0;
    for (size_t k = 1; k < stats_; ++k) squares += sums[k] * sums[k];
    return squares / sums[0];
  }
  bool pure(const Piece& p, const std::vector<double>& all) const {
    if (!data_.values()) {
      for (size_t k = 1; k < stats_; ++k)
        if (all[k] >= all[0] * (1 - 1e-12)) return true;
      return false;
    }
    const float* first = &data_.targets[members_[p.begin] * width_];
    for (size_t i = p.begin + 1; i < p.end; ++i)
      if (!std::equal(first, first + width_, &data_.targets[members_[i] * width_])) return false;
    return true;
  }
  void leaf(int32_t node, const std::vector<double>& all) {
    for (size_t k = 0; k < width_; ++k)
      tables.value[static_cast<size_t>(node) * width_ + k] =
          static_cast<float>(all[0] > 0 ? all[1 + k] / all[0] : 0);
  }

  /// Looks at some columns, and at more if those cannot be split.
  Split best_split(const Piece& p, const std::vector<double>& all) {
    Split best;
    const double before = purity(all.data());
    for (size_t i = 0; i < order_.size() && (i < tries_ || best.gain <= 0); ++i) {
      std::swap(order_[i], order_[i + rng_.below(order_.size() - i)]);
      look_at(order_[i], p, all, before, best);
    }
    return best;
  }

  void look_at(size_t column, const Piece& p, const std::vector<double>& all, double before,
               Split& best) {
    const uint8_t* codes = binned_.codes.data() + column * rows_;
    const size_t bins = binned_.edges[column].size() + 1;
    std::fill_n(histogram_.begin(), bins * stats_, 0.0);
    std::fill_n(counts_, bins, 0u);
    std::vector<double>&missing = missing_, &left = left_, &right = right_;
    missing.assign(stats_, 0.0);
    size_t missing_rows = 0;
    for (size_t i = p.begin; i < p.end; ++i) {
      const uint32_t r = members_[i];
      const uint8_t code = codes[r];
      missing_rows += code == kMissing;
      if (code != kMissing) ++counts_[code];
      add_row(r, code == kMissing ? missing.data() : &histogram_[code * stats_]);
    }
    const size_t rows = p.end - p.begin, least = static_cast<size_t>(config_.min_leaf);
    for (const bool missing_right : {false, true}) {
      if (missing_right && missing_rows == 0) break;
      left.assign(stats_, 0.0);
      right = all;
      size_t on_left = 0;
      const auto move = [&](const double* sums) {
        for (size_t k = 0; k < stats_; ++k) left[k] += sums[k], right[k] -= sums[k];
      };
      if (!missing_right && missing_rows > 0) move(missing.data()), on_left += missing_rows;
      // After the last bin only missing values are left to go right.
      for (size_t b = 0; b + (missing_right ? 0 : 1) < bins; ++b) {
        if (counts_[b] == 0) continue;
        move(&histogram_[b * stats_]);
        on_left += counts_[b];
        if (on_left < least || rows - on_left < least) continue;
        const double gain = purity(left.data()) + purity(right.data()) - before;
        if (gain > best.gain && gain > 1e-9 * std::fabs(before)) {
          // Where nothing is missing, later missing values take the larger side.
          const bool to_right = missing_rows > 0 ? missing_right : rows - on_left > on_left;
          best = {gain, column, static_cast<uint8_t>(b), to_right};
        }
      }
    }
  }

  const FitData& data_;
  const Binned& binned_;
  const RandomForest::Config& config_;
  Rng rng_;
  size_t rows_, width_, stats_, tries_ = 1;
  std::vector<size_t> order_;
  std::vector<uint32_t> members_;
  std::vector<double> weight_of_, histogram_, missing_, left_, right_;
  uint32_t counts_[kBins + 1] = {};
};

Fitted fit_random_forest(const FitData& data, const FitData*, const void* config) {
  const auto& c = *static_cast<const RandomForest::Config*>(config);
  const auto within = [](const char* name, double v, double low, double high) {
    if (!(v >= low && v <= high))
      fail(Error::Kind::usage,
           {"option ", name, " of random_forest should be from ", low, " to ", high, ", got ", v});
  };
  within("trees", static_cast<double>(c.trees), 1, 100000);
  within("depth", static_cast<double>(c.depth), 1, static_cast<double>(kDeepest));
  within("min_leaf", static_cast<double>(c.min_leaf), 1, 1e9);
  within("columns", c.columns, 0, 1);
  const Binned binned = bin(data);
  std::vector<TreeTables> parts(static_cast<size_t>(c.trees));
  const Key key = Key(data.seed).fold_in("forest");
  // Each thread takes the next tree, so that those that there are at an early end are the first.
  std::atomic<int64_t> next = 0;
  parallel_for(std::min<int64_t>(c.trees, num_threads()), 1, [&](int64_t, int64_t) {
    for (;;) {
      check_stop();
      if (next > 0 && data.enough && data.enough()) return;
      const int64_t t = next++;
      if (t >= c.trees) return;
      Grower g(data, binned, c, key.fold_in(static_cast<uint64_t>(t)));
      g.grow();
      parts[static_cast<size_t>(t)] = std::move(g.tables);
    }
  });
  TreeTables all;
  all.width = data.outputs;
  for (TreeTables& part : parts) {
    if (part.root.empty()) break;
    all.append(part);
    part = {};
  }
  return {all.sizes(), all.tensors()};
}

}  // namespace
}  // namespace tabular

MODEL(random_forest) = {
    .name = "random_forest",
    .summary = "The mean of many trees, each grown on other rows and looking at other columns.",
    .paper = "Breiman, Random forests, 2001",
    .config = attr_type<tabular::RandomForest::Config>(),
    .make = construct<tabular::RandomForest>,
    .input = {1},
    .fit = tabular::fit_random_forest,
    .missing = true,
};

}  // namespace nacre
