#include "zoo/tabular/trees.h"

#include <limits>

#include "nacre/error.h"

namespace nacre::tabular {
namespace {

constexpr int64_t kMostNodes = int64_t{1} << 28, kMostTrees = int64_t{1} << 20, kMostLevels = 128;

template <typename T>
Tensor list(const std::vector<T>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

}  // namespace

int32_t TreeTables::add_leaf() {
  const auto place = static_cast<int32_t>(nodes());
  if (nodes() >= kMostNodes)
    fail(Error::Kind::memory, {"the trees have more than ", kMostNodes, " nodes"});
  feature.push_back(0);
  threshold.push_back(std::numeric_limits<float>::quiet_NaN());
  left.push_back(place);
  missing_right.push_back(0);
  value.resize(value.size() + static_cast<size_t>(width), 0.0f);
  return place;
}

int32_t TreeTables::split(int32_t node, int32_t at_feature, float at, bool missing_goes_right) {
  const int32_t child = add_leaf();
  add_leaf();
  const auto n = static_cast<size_t>(node);
  feature[n] = at_feature;
  threshold[n] = at;
  left[n] = child;
  missing_right[n] = missing_goes_right;
  return child;
}

void TreeTables::append(const TreeTables& other) {
  if (nodes() + other.nodes() > kMostNodes)
    fail(Error::Kind::memory, {"the trees have more than ", kMostNodes, " nodes"});
  const auto base = static_cast<int32_t>(nodes());
  for (const int32_t place : other.root) root.push_back(base + place);
  for (const int32_t place : other.left) left.push_back(base + place);
  const auto add = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  add(feature, other.feature);
  add(threshold, other.threshold);
  add(missing_right, other.missing_right);
  add(value, other.value);
  levels = std::max(levels, other.levels);
}

std::vector<std::pair<std::string, Tensor>> TreeTables::tensors() const {
  return {{"root", list(root)},
          {"feature", list(feature)},
          {"threshold", list(threshold)},
          {"left", list(left)},
          {"missing_right", list(missing_right)},
          {"value", Tensor::from(value, {nodes(), width})}};
}

std::string TreeTables::sizes() const {
  return cat({"trees=", root.size(), " nodes=", nodes(), " levels=", levels});
}

Trees::Trees(const Scope& s, const Config& c) : config_(c) {
  const auto within = [](const char* name, int64_t v, int64_t most) {
    if (v < 1 || v > most)
      fail(Error::Kind::usage, {"option ", name, " should be from 1 to ", most, ", got ", v});
  };
  within("trees", c.trees, kMostTrees);
  within("nodes", c.nodes, kMostNodes);
  within("levels", c.levels, kMostLevels);
  root_ = s.buffer("root", {c.trees}, init::zeros(), DType::i32);
  feature_ = s.buffer("feature", {c.nodes}, init::zeros(), DType::i32);
  threshold_ = s.buffer("threshold", {c.nodes},
                        init::constant(std::numeric_limits<double>::quiet_NaN()), DType::f32);
  left_ = s.buffer("left", {c.nodes}, init::zeros(), DType::i32);
  missing_right_ = s.buffer("missing_right", {c.nodes}, init::zeros(), DType::u8);
  value_ = s.parameter("value", {c.nodes, c.width}, init::zeros());
}

Tensor Trees::operator()(const Tensor& x) const {
  if (x.rank() != 2 || x.size(1) != config_.in)
    fail(Error::Kind::shape,
         {"rows have the shape ", x.shape(), ", the trees want ", config_.in, " columns"});
  const int64_t n = x.size(0);
  Tensor at = expand(reshape(root_.value(), {1, config_.trees}), {n, config_.trees});
  for (int64_t level = 0; level < config_.levels; ++level) {
    const Tensor v = gather(x, 1, index_select(feature_.value(), 0, at));
    // Comparing with the NaN of a leaf is false: its walk stays where it is.
    const Tensor right = where(config_.sparse ? logical_or(isnan(v), eq(v, 0.0)) : isnan(v),
                               gt(index_select(missing_right_.value(), 0, at), 0),
                               ge(v, index_select(threshold_.value(), 0, at)));
    at = index_select(left_.value(), 0, at) + cast(right, DType::i32);
  }
  return index_select(value_.value(), 0, at);
}

}  // namespace nacre::tabular
