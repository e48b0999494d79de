// How an operator of TensorFlow's is translated: from the values that a node reads to those that it
// makes.
#pragma once

#include "importers/graphdef_file.h"

namespace nacre {

struct GraphCall {
  const GraphNode& node;
  const NhwcBuilder::Values& in;
  NhwcBuilder& net;

  /// Input i; throws Error(data) if the node has fewer.
  const NhwcValue& operator[](size_t i) const;
  /// A constant input: one integer, or all of them.
  int64_t integer(size_t i, std::string_view what) const;
  std::vector<int64_t> integers(size_t i, std::string_view what) const;
  /// Whether pictures have channels last.
  bool channels_last() const;
};

using GraphOperator = NhwcBuilder::Values (*)(GraphCall&);
/// Null if there is no translation.
GraphOperator find_graph_operator(std::string_view op);

}  // namespace nacre
