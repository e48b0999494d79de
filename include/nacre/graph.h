// Graph: a computation as a value: placeholders in, tensors out. It can be called, saved, loaded,
// printed, compared and dumped, and is what plans are compiled from and what control flow holds.
//
//   Graph g = Graph::trace([](const Tensors& in) { return Tensors{in[0] * in[1] + 1.0}; }, {x, y});
//   Tensors out = g.call({a, b});          // records the nodes again, on other inputs
//   g.save("model.graph");                 // text structure and values of constants in one file
//   for (auto& change : diff(old, g)) std::cout << change.text << "\n";
#pragma once

#include <functional>
#include <string>

#include "nacre/tensor.h"

namespace nacre {

class Graph {
 public:
  Graph() = default;
  /// inputs must be placeholders (see trace).
  Graph(Tensors inputs, Tensors outputs)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)) {}

  /// Runs `f` once on placeholders with the types and shapes of `like` and keeps what it records.
  /// Tensors that `f` captures become constants of the graph.
  static Graph trace(const std::function<Tensors(const Tensors&)>& f, const Tensors& like);

  /// Records this graph's nodes on other inputs of the same types and shapes. Throws Error if they
  /// do not fit.
  Tensors call(const Tensors& inputs) const;

  const Tensors& inputs() const { return inputs_; }
  const Tensors& outputs() const { return outputs_; }
  /// Nodes in the order in which they were made, inputs first.
  std::vector<Node*> nodes() const;
  /// Of the structure and of the values of small constants; equal graphs have equal hashes in every
  /// process.
  uint64_t hash() const;

  /// One line a node: "%3 = conv2d(%0, %1) stride=[1, 1] : f32 8x6x28x28".
  std::string str() const;
  std::string json() const;
  std::string dot() const;

  /// A self-contained file with structure and constants, written atomically. Throws Error(io).
  void save(const std::string& path) const;
  /// Throws Error(io) or Error(data); never runs anything from the file.
  static Graph load(const std::string& path);

 private:
  Tensors inputs_, outputs_;
};

struct GraphChange {
  enum class Kind { added, removed, changed } kind;
  std::string text;  ///< "changed conv1: conv2d stride=[1, 1] -> stride=[2, 2]"
};

/// What has to be done to `before` to get `after`, matched by structure, values of constants by
/// content.
std::vector<GraphChange> diff(const Graph& before, const Graph& after);

}  // namespace nacre
