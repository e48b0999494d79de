// Noting what a thread records, and making it again without running the rules that made it.
#pragma once

#include <span>
#include <unordered_map>

#include "graph/node.h"

namespace nacre {

/// While one lives on a thread, it notes the nodes that are made there, and for which node each
/// stands (MadeFor).
class Recording {
 public:
  static constexpr int kNone = -1, kUnknown = -2;
  struct Entry {
    int64_t number;  ///< how many were made before
    int stands_for;  ///< position of a known node; kNone: no other; kUnknown: one that is not known
  };

  /// `known`: nodes that new ones may stand for.
  explicit Recording(std::span<Node* const> known);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  static void made(const Node* n, const Node* stands_for) {
    if (current_) [[unlikely]]
      current_->note(n, stands_for);
  }
  static void values_read() {
    if (current_) current_->read_values_ = true;
  }

  /// Null if it was not made here.
  const Entry* find(const Node* n) const;
  /// True if values were asked for: what was recorded may differ with them.
  bool read_values() const { return read_values_; }

 private:
  void note(const Node* n, const Node* stands_for);
  std::unordered_map<const Node*, Entry> entries_;
  int64_t count_ = 0;
  bool read_values_ = false;
  Recording* before_;
  static thread_local Recording* current_;
};

struct OutputType {
  DType dtype;
  Shape shape;
};
/// A node whose shape rule has run before, on inputs of the same types and shapes. It stands for
/// `like`, or for no other.
Node* make_again(const OpDef& op, const Attrs& attrs, uint64_t hash,
                 std::span<const OutputType> outputs, std::span<Tensor> inputs, const Node* like);

}  // namespace nacre
