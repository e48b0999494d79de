// The only file that includes XGBoost.
#include <xgboost/c_api.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/late_library.h"
#include "base/parallel.h"
#include "base/signals.h"
#include "nacre/error.h"
#include "zoo/tabular/boosted_trees.h"
#include "zoo/tabular/trees.h"

namespace nacre {
namespace tabular {
namespace {

constexpr LateLibrary kLibrary("libxgboost.so.0", "libxgboost0");
#define FUNCTION(name) const LateFunction<decltype(::name)> name(kLibrary, #name)
FUNCTION(XGBGetLastError);
FUNCTION(XGBoosterCreate);
FUNCTION(XGBoosterEvalOneIter);
FUNCTION(XGBoosterFree);
FUNCTION(XGBoosterSaveModelToBuffer);
FUNCTION(XGBoosterSetParam);
FUNCTION(XGBoosterUpdateOneIter);
FUNCTION(XGDMatrixCreateFromCSREx);
FUNCTION(XGDMatrixCreateFromMat);
FUNCTION(XGDMatrixFree);
FUNCTION(XGDMatrixSetFloatInfo);
#undef FUNCTION

void check(int code) {
  if (code != 0) fail(Error::Kind::usage, {"XGBoost: ", XGBGetLastError()});
}

struct Matrix {
  DMatrixHandle handle = nullptr;
  Matrix(const FitData& d, bool sparse) {
    if (sparse)
      fill_sparse(d);
    else
      check(XGDMatrixCreateFromMat(d.x.data(), static_cast<bst_ulong>(d.rows),
                                   static_cast<bst_ulong>(d.columns),
                                   std::numeric_limits<float>::quiet_NaN(), &handle));
    std::vector<float> labels(d.labels.begin(), d.labels.end());
    set("label", d.values() ? d.targets : labels);
    if (!d.weights.empty()) set("weight", d.weights);
  }
  ~Matrix() {
    if (handle) XGDMatrixFree(handle);
  }
  Matrix(const Matrix&) = delete;

 private:
  void fill_sparse(const FitData& d) {
    std::vector<size_t> starts = {0};
    std::vector<unsigned> columns;
    std::vector<float> values;
    const auto width = static_cast<size_t>(d.columns);
    for (size_t i = 0; i < d.x.size(); ++i) {
      if (d.x[i] != 0 && !std::isnan(d.x[i])) {
        columns.push_back(static_cast<unsigned>(i % width));
        values.push_back(d.x[i]);
      }
      if ((i + 1) % width == 0) starts.push_back(values.size());
    }
    check(XGDMatrixCreateFromCSREx(starts.data(), columns.data(), values.data(), starts.size(),
                                   values.size(), width, &handle));
  }
  void set(const char* field, const std::vector<float>& v) {
    check(XGDMatrixSetFloatInfo(handle, field, v.data(), static_cast<bst_ulong>(v.size())));
  }
};

struct Booster {
  BoosterHandle handle = nullptr;
  /// Keeps its predictions for these, so that a round needs only those of its own trees.
  explicit Booster(const std::vector<DMatrixHandle>& data) {
    check(XGBoosterCreate(data.data(), static_cast<bst_ulong>(data.size()), &handle));
  }
  ~Booster() {
    if (handle) XGBoosterFree(handle);
  }
  Booster(const Booster&) = delete;
  void set(const char* name, const std::string& value) {
    check(XGBoosterSetParam(handle, name, value.c_str()));
  }
  /// The measure of the rows held out, "[3]\ttest-rmse:0.25".
  double measure(int round, DMatrixHandle data) {
    const char* name = "held_out";
    const char* text = nullptr;
    check(XGBoosterEvalOneIter(handle, round, &data, &name, 1, &text));
    const std::string_view line = text;
    const std::string_view number = line.substr(line.rfind(':') + 1);
    double v = std::numeric_limits<double>::infinity();
    std::from_chars(number.data(), number.data() + number.size(), v);
    return v;
  }
  std::string json() {
    bst_ulong size = 0;
    const char* text = nullptr;
    check(XGBoosterSaveModelToBuffer(handle, R"({"format":"json"})", &size, &text));
    return {text, size};
  }
};

double number_of(const Json& j) {
  if (!j.is_text()) return j.number();
  double v = 0;
  const std::string& s = j.text();
  if (std::from_chars(s.data(), s.data() + s.size(), v).ec != std::errc())
    fail(Error::Kind::data, {"XGBoost's model: '", s, "' is not a number"});
  return v;
}

bool truth(const Json& j) { return j.kind() == Json::Kind::boolean ? j.boolean() : j.integer(); }

/// One tree of XGBoost's arrays, level by level.
void add_tree(const Json& tree, TreeTables& out) {
  const auto& left = tree.at("left_children").list();
  const auto& right = tree.at("right_children").list();
  const auto& feature = tree.at("split_indices").list();
  const auto& condition = tree.at("split_conditions").list();
  const auto& default_left = tree.at("default_left").list();
  const size_t n = left.size();
  if (n == 0 || right.size() != n || feature.size() != n || condition.size() != n ||
      default_left.size() != n)
    fail(Error::Kind::data, {"XGBoost's model: the arrays of a tree have different lengths"});
  struct Place {
    size_t theirs;
    int32_t ours;
    int64_t level;
  };
  out.root.push_back(out.add_leaf());
  std::vector<Place> queue = {{0, out.root.back(), 0}};
  for (size_t k = 0; k < queue.size(); ++k) {
    const Place p = queue[k];
    const int64_t l = left[p.theirs].integer(), r = right[p.theirs].integer();
    if (l < 0) {
      out.value[static_cast<size_t>(p.ours)] = static_cast<float>(number_of(condition[p.theirs]));
      out.levels = std::max(out.levels, p.level);
      continue;
    }
    const auto size = static_cast<int64_t>(n);
    if (l >= size || r < 0 || r >= size || queue.size() > n)
      fail(Error::Kind::data, {"XGBoost's model: a tree of ", n, " nodes has a child ", l});
    const int32_t child = out.split(p.ours, static_cast<int32_t>(feature[p.theirs].integer()),
                                    static_cast<float>(number_of(condition[p.theirs])),
                                    !truth(default_left[p.theirs]));
    queue.push_back({static_cast<size_t>(l), child, p.level + 1});
    queue.push_back({static_cast<size_t>(r), child + 1, p.level + 1});
  }
}

struct BoostedTrees : Module {
  struct Config {
    int64_t in = 1, classes = 1;
    bool values = false;  ///< to predict, not classes
    int64_t rounds = 300;
    double rate = 0.1;
    int64_t depth = 6;
    double min_weight = 1;
    double rows = 0.9, columns = 1;
    double l1 = 0, l2 = 1, gamma = 0;
    int64_t patience = 30;
    bool sparse = false;  ///< what is 0 counts as missing; set where most is
    int64_t trees = 1, nodes = 1, levels = 1;
    int64_t groups() const { return !values && classes == 2 ? 1 : classes; }
    void fields(FieldVisitor& v) {
      v("in", in);
      v("classes", classes);
      v("values", values);
      v("rounds", rounds);
      v("rate", rate);
      v("depth", depth);
      v("min_weight", min_weight);
      v("rows", rows);
      v("columns", columns);
      v("l1", l1);
      v("l2", l2);
      v("gamma", gamma);
      v("patience", patience);
      v("sparse", sparse);
      v("trees", trees);
      v("nodes", nodes);
      v("levels", levels);
    }
  };
  BoostedTrees(const Scope& s, const Config& c)
      : Module(s), config(c), trees(s, {c.in, 1, c.trees, c.nodes, c.levels, c.sparse}) {
    if (c.trees % c.groups() != 0 && c.trees != 1)
      fail(Error::Kind::usage,
           {"option trees should be a multiple of ", c.groups(), ", got ", c.trees});
    bias = s.buffer("bias", {c.groups()}, init::zeros());
  }
  Tensor forward(const Tensor& x, Context&) override {
    const Tensor rows = flatten(x, 1), leaves = trees(rows);
    const int64_t n = rows.size(0), groups = config.groups();
    const Tensor y = config.trees == 1 ? expand(reshape(leaves, {n, 1}), {n, groups})
                                       : sum(reshape(leaves, {n, -1, groups}), {1});
    const Tensor scores = y + bias.value();
    if (groups == config.classes) return scores;
    return concat({zeros_like(scores), scores}, 1);
  }
  Config config;
  Trees trees;
  Variable bias;
};

void check_config(const BoostedTrees::Config& c) {
  const auto within = [](const char* name, double v, double low, double high) {
    if (!(v >= low && v <= high))
      fail(Error::Kind::usage,
           {"option ", name, " of boosted_trees should be from ", low, " to ", high, ", got ", v});
  };
  within("rounds", static_cast<double>(c.rounds), 1, 100000);
  within("rate", c.rate, 1e-6, 1);
  within("depth", static_cast<double>(c.depth), 1, 30);
  within("min_weight", c.min_weight, 0, 1e9);
  within("rows", c.rows, 1e-3, 1);
  within("columns", c.columns, 1e-3, 1);
  within("l1", c.l1, 0, 1e9);
  within("l2", c.l2, 0, 1e9);
  within("gamma", c.gamma, 0, 1e9);
  within("patience", static_cast<double>(c.patience), 0, 100000);
}

Fitted fit_boosted_trees(const FitData& data, const FitData* held_out, const void* config) {
  const auto& c = *static_cast<const BoostedTrees::Config*>(config);
  check_config(c);
  if (data.values() && data.outputs != 1)
    fail(Error::Kind::unsupported,
         {"boosted_trees predicts one value, the data have ", data.outputs});
  const auto zeros_in_it = std::count(data.x.begin(), data.x.end(), 0.0f);
  const bool sparse = c.sparse || zeros_in_it * 4 > static_cast<int64_t>(data.x.size()) * 3;
  const Matrix rows(data, sparse);
  const std::unique_ptr<Matrix> others =
      held_out && c.patience > 0 ? std::make_unique<Matrix>(*held_out, sparse) : nullptr;
  std::vector<DMatrixHandle> known = {rows.handle};
  if (others) known.push_back(others->handle);
  Booster b(known);
  const char* objective = data.values()       ? "reg:squarederror"
                          : data.outputs == 2 ? "binary:logistic"
                                              : "multi:softprob";
  b.set("objective", objective);
  if (!data.values() && data.outputs != 2) b.set("num_class", std::to_string(data.outputs));
  b.set("base_score", !data.values() && data.outputs == 2 ? "0.5" : "0");
  b.set("tree_method", "hist");
  b.set("verbosity", "0");
  // Threads cost more than they give where a round takes a few milliseconds.
  const bool small = data.rows * data.columns < 200000;
  b.set("nthread", std::to_string(small ? 1 : num_threads()));
  b.set("seed", std::to_string(data.seed & 0x7fffffff));
  const auto real = [&](const char* name, double v) { b.set(name, Piece(v).text()); };
  real("eta", c.rate);
  b.set("max_depth", std::to_string(c.depth));
  real("min_child_weight", c.min_weight);
  real("subsample", c.rows);
  real("colsample_bytree", c.columns);
  real("alpha", c.l1);
  real("lambda", c.l2);
  real("gamma", c.gamma);
  double least = std::numeric_limits<double>::infinity();
  int64_t best = 0, rounds = 0;
  bool cut = false;
  for (int64_t round = 0; round < c.rounds; ++round) {
    check_stop();
    cut = round > 0 && data.enough && data.enough();
    if (cut) break;
    rounds = round + 1;
    check(XGBoosterUpdateOneIter(b.handle, static_cast<int>(round), rows.handle));
    if (!others) {
      best = round + 1;
      continue;
    }
    if (const double loss = b.measure(static_cast<int>(round), others->handle); loss < least) {
      least = loss;
      best = round + 1;
    }
    if (round + 1 - best >= c.patience) break;
  }
  const TreeTables trees = read_xgboost(b.json(), best * c.groups());
  Fitted f{trees.sizes() + (sparse ? " sparse=true" : ""), trees.tensors()};
  if (cut) f.options += cat({" rounds=", rounds});
  f.values.emplace_back("bias", zeros({c.groups()}));
  return f;
}

}  // namespace

TreeTables read_xgboost(const std::string& text, int64_t most_trees) {
  JsonLimits limits;
  limits.bytes = uint64_t{4} << 30;
  limits.values = int64_t{1} << 30;
  const Json json = parse_json(text, "XGBoost's model", limits);
  const Json& model = json.at("learner").at("gradient_booster").at("model");
  TreeTables out;
  for (const Json& tree : model.at("trees").list()) {
    if (static_cast<int64_t>(out.root.size()) == most_trees) break;
    add_tree(tree, out);
  }
  if (out.root.empty()) fail(Error::Kind::data, {"XGBoost's model has no trees"});
  return out;
}

}  // namespace tabular

MODEL(boosted_trees) = {
    .name = "boosted_trees",
    .summary = "Trees that each correct the ones before, for classes or values of a table.",
    .paper =
        "Friedman, Greedy function approximation: a gradient boosting machine, 2001; Chen and "
        "Guestrin, XGBoost: a scalable tree boosting system, 2016",
    .config = attr_type<tabular::BoostedTrees::Config>(),
    .make = construct<tabular::BoostedTrees>,
    .input = {1},
    .fit = tabular::fit_boosted_trees,
    .missing = true,
};

}  // namespace nacre
