// A way back through a recorded graph with a rule of one's own at each node: what grad() does with
// the gradient's rule, other methods do with relevance.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/node.h"

namespace nacre::explain {

class Walk {
 public:
  /// Called for each node between outputs and targets that something arrived at, after all that
  /// uses it. `arrived` holds what arrived at each of its outputs; undefined where nothing did. The
  /// rule calls send() for what lies below.
  using Rule = std::function<void(Walk&, Node&, std::span<const Tensor> arrived)>;

  /// The nodes above the targets and below the outputs; nodes below the targets are not entered.
  Walk(const Tensors& outputs, const Tensors& targets);

  /// Sends `seeds` to the outputs and walks; what arrives at each target, zeros if nothing does.
  Tensors run(const Tensors& seeds, const Rule& rule);

  // For rules.

  /// True if t is computed from a target, or is one.
  bool depends(const Tensor& t) const;
  bool is_target(const Tensor& t) const;
  /// How often the outputs of a node are used by nodes that depend on a target, or are outputs.
  int uses(const Node& n) const;
  /// Positions of the inputs that depend on a target and are floating.
  std::vector<size_t> dependent_inputs(const Node& n) const;
  /// Adds to what arrives at a tensor below. The shape may be one that t's broadcasts to.
  void send(const Tensor& t, Tensor amount);
  /// The usual gradient of a node: sends the products of `dy` with its Jacobian. Composites without
  /// a gradient of their own are walked with `rule`.
  void send_gradient(Node& n, std::span<const Tensor> dy, const Rule& rule);
  /// Walks the parts of a composite with `rule`.
  void send_through_parts(Node& n, std::span<const Tensor> arrived, const Rule& rule);

 private:
  struct Entry {
    bool depends = false;
    int uses = 0;
    Tensors arrived;
  };
  Tensors outputs_, targets_;
  std::vector<Node*> order_;  // inputs first
  std::unordered_map<const Node*, Entry> entries_;
};

/// The products of `dy` with the Jacobian of n by its inputs; undefined where it has no gradient or
/// `wants` is false. For composites without a gradient of their own everything is undefined.
Tensors gradient_of(Node& n, std::span<const Tensor> dy, const std::vector<bool>& wants);

/// Whether an op is in a list of names.
inline bool among(std::span<const std::string_view> list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace nacre::explain
