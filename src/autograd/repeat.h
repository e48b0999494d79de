// Gradients of graphs that were seen before. A training step's graph is the same each time but for
// its leaves, and so is its gradient: the rules run twice, then the nodes that they made are made
// again.
#pragma once

#include <memory>

#include "autograd/ancestry.h"
#include "graph/recording.h"

namespace nacre {

/// What a gradient is made of, by positions.
struct GradientRecord {
  struct Source {
    enum class Kind : uint8_t { graph, made, number, copied } kind;
    uint32_t position, index;  ///< of the node in the graph, of the node made, or of the number
  };
  struct Made {
    const OpDef* op;
    Attrs attrs;
    uint64_t hash;
    uint32_t inputs, outputs;  ///< how many of `sources` and of `types` are its own
    int stands_for;            ///< position in the graph, or Recording::kNone
    bool consumed;
  };
  std::vector<Made> nodes;  ///< in the order in which they were made
  std::vector<Source> sources, results;
  std::vector<OutputType> types;
  Tensors numbers;                 ///< leaves that rules make
  std::vector<uint32_t> consumed;  ///< of the graph
};

/// The gradients of one graph. `key` is all that rules may go by: ops, attributes, types, shapes,
/// numbers and connections.
class GradientCache {
 public:
  enum class Sight { first, again, recorded };
  struct Found {
    Sight sight;
    std::shared_ptr<const GradientRecord> record;  ///< if recorded
  };
  static Found find(const std::vector<uint64_t>& key);
  static void insert(const std::vector<uint64_t>& key,
                     std::shared_ptr<const GradientRecord> record);
};

/// The key of a gradient of `a`'s roots by `targets`.
void gradient_key(const Ancestry& a, const Tensors& roots, const Tensors& targets,
                  std::vector<uint64_t>& key);

/// Null if it cannot be made again: rules asked for values, or took tensors from elsewhere.
std::shared_ptr<const GradientRecord> record_of(const Recording& recording, const Ancestry& a,
                                                const std::vector<uint32_t>& consumed,
                                                const Tensors& results);

/// The gradient again, through another graph of the same key.
Tensors make_again(const GradientRecord& record, const Ancestry& a);

}  // namespace nacre
