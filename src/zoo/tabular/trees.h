// Decision trees as arrays, and the part of a model that walks through them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "nacre/tabular.h"

namespace nacre::tabular {

/// Many trees in one table of nodes. The children of a node follow each other, so one place is
/// kept.
struct TreeTables {
  int64_t width = 1;                   ///< numbers that a leaf gives
  std::vector<int32_t> feature;        ///< that a node looks at
  std::vector<float> threshold;        ///< smaller goes left; NaN in leaves
  std::vector<int32_t> left;           ///< the left child; a leaf has itself
  std::vector<uint8_t> missing_right;  ///< 1: rows without the feature go right
  std::vector<float> value;            ///< [nodes, width]
  std::vector<int32_t> root;           ///< of each tree
  int64_t levels = 1;                  ///< steps from a root to the deepest leaf, at least 1

  int64_t nodes() const { return static_cast<int64_t>(feature.size()); }
  /// Adds a leaf of zeros; returns its place.
  int32_t add_leaf();
  /// Makes a leaf a fork; returns the place of its left child, both of which are leaves.
  int32_t split(int32_t node, int32_t at_feature, float at, bool missing_goes_right);
  /// Adds the trees of another table of the same width.
  void append(const TreeTables& other);
  std::vector<std::pair<std::string, Tensor>> tensors() const;
  /// The options "trees=... nodes=... levels=...".
  std::string sizes() const;
};

/// The trees of a model: the buffers root, feature, threshold, left, missing_right and the
/// parameter value.
class Trees {
 public:
  struct Config {
    int64_t in = 1, width = 1, trees = 1, nodes = 1, levels = 1;
    bool sparse = false;  ///< 0 is a missing value too
  };
  /// Throws Error(usage) for sizes out of range.
  Trees(const Scope& s, const Config& c);
  /// x: [n, in]; returns what the leaves give: [n, trees, width]. A place outside the table, which
  /// only a damaged file has, is an Error(data) when computed.
  Tensor operator()(const Tensor& x) const;

 private:
  Config config_;
  Variable root_, feature_, threshold_, left_, missing_right_, value_;
};

}  // namespace nacre::tabular
