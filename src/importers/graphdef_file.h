// TensorFlow's GraphDef: a list of nodes as protocol buffers, fields as in graph.proto,
// attr_value.proto and tensor.proto of TensorFlow.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "importers/nhwc_builder.h"

namespace nacre {

struct GraphNode {
  std::string name, op;
  std::vector<std::string> inputs;  ///< "node", "node:1", or "^node", which is only an order
  std::map<std::string_view, std::string_view> attributes;  ///< messages
  std::string_view what;                                    ///< the file, for messages

  int64_t integer(std::string_view attribute, int64_t otherwise = 0) const;
  double real(std::string_view attribute, double otherwise = 0) const;
  bool flag(std::string_view attribute, bool otherwise = false) const;
  std::string text(std::string_view attribute, std::string_view otherwise = "") const;
  std::vector<int64_t> integers(std::string_view attribute) const;
  /// A type in ONNX's numbers; `otherwise` if the attribute is missing.
  Elem type(std::string_view attribute, Elem otherwise = Elem::f32) const;
  /// The shape, -1 for open sizes; nothing if not even the rank is known.
  std::optional<std::vector<int64_t>> shape(std::string_view attribute) const;
  /// The name of a function.
  std::string function(std::string_view attribute) const;
  /// The values of a constant. Tensors of one repeated value take from `budget` what they need
  /// beyond the file.
  ConstantData tensor(std::string_view attribute, uint64_t& budget) const;
};

/// One NodeDef.
GraphNode read_graph_node(std::string_view bytes, std::string_view what);
/// `nodes` with calls of the graph's functions replaced by what they compute.
std::vector<GraphNode> without_calls(std::vector<GraphNode> nodes, std::string_view graph,
                                     std::string_view what);

/// The nodes of a frozen graph. Throws Error(data), and Error(unsupported) for a SavedModel.
std::vector<GraphNode> read_graphdef(std::string_view bytes, std::string_view what);

}  // namespace nacre
