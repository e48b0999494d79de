// The graph that a gradient is taken through.
#pragma once

#include <vector>

#include "graph/node.h"

namespace nacre {

/// The nodes below some outputs, inputs first, and how they hang together, by positions in `order`.
struct Ancestry {
  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<Node*> order;
  std::vector<char> target;              // is one of the tensors to differentiate by
  std::vector<char> wanted;              // depends on a target
  std::vector<uint32_t> first_parent;    // of each node, in `parent`
  std::vector<uint32_t> parent;          // of each node, the positions of its inputs
  std::vector<uint32_t> first_output;    // of each node, counting outputs of all nodes
  std::vector<uint32_t> roots, targets;  // positions; kNone for a target that is not below
  size_t outputs = 0;                    // of all nodes

  /// Unlike topological() it enters evaluated nodes, and may stop at the targets. Replaces what was
  /// there and keeps its memory.
  void find(const Tensors& from, const Tensors& to, bool stop);
};

}  // namespace nacre
