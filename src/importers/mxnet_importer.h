// How an MXNet network is translated, one node of its symbol after the other.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "importers/mxnet_graph.h"
#include "importers/onnx_builder.h"
#include "importers/problems.h"
#include "nacre/error.h"
#include "nacre/weights.h"

namespace nacre {

class MxnetImporter {
 public:
  MxnetImporter(const Weights& weights, std::string_view what)
      : what_(what), net_("mxnet"), problems_(what) {
    for (const auto& [name, array] : weights.tensors) arrays_.emplace(name, array);
  }

  std::string run(const MxnetGraph& graph);

 private:
  using Ints = OnnxBuilder::Ints;
  using Attributes = std::vector<OnnxBuilder::Attribute>;
  struct Value {
    std::string name;
    int rank = -1;                     ///< -1: not known
    const RawTensor* array = nullptr;  ///< of a weight
    bool zero = false;                 ///< a first state that is zero
  };

  // ---- values

  [[noreturn]] void wrong(std::initializer_list<Piece> why) const;
  void unsupported(std::string_view use);
  Value value(const MxnetNode::Input& i) const;
  /// The name of a value in the model.
  std::string x(const Value& v);
  std::string x(size_t i = 0) { return x(in(i)); }
  const Value& in(size_t i) const;
  int rank(size_t i = 0) const { return in(i).rank; }
  int known(size_t i = 0);
  void give(const std::string& name, int rank) { values_[at_].push_back({name, rank}); }
  void make(std::string_view op, const std::vector<std::string>& inputs,
            const Attributes& attributes, int rank);
  void same(std::string_view op, const Attributes& attributes = {}) {
    make(op, {x()}, attributes, rank());
  }
  const RawTensor& array(size_t i) const;
  std::span<const float> floats(size_t i) const;
  int64_t bounded(const std::string& option, int64_t otherwise, int64_t least) const;
  /// A size for each of n dimensions.
  Ints sizes(const std::string& option, size_t n, int64_t otherwise, int64_t least) const;
  static Ints twice(const Ints& v) {
    Ints both = v;
    both.insert(both.end(), v.begin(), v.end());
    return both;
  }
  /// Values for each channel beside a value of this rank.
  std::string channels(size_t i, int rank);

  void variable();
  /// A symbol does not say what shape its inputs have; the weights that meet them do.
  Ints guessed(const MxnetNode& reader) const;

  // ---- operators, in mxnet_ops.cpp

  void translate();
  bool elements();
  /// Operators of one line.
  bool simple();
  void convolution();
  void fully_connected();
  void batch_norm();
  void activation();
  void leaky();
  void pooling();
  void concat();
  void stack();
  /// Numbers beyond the table mean its first or last row.
  void embedding();
  /// Sizes, where 0 copies one, -2 all that are left, -3 the product of two, and -4 splits one in
  /// the two that follow.
  void reshape();
  void transpose();
  void slice();
  void split();
  void pad();
  void up_sampling();
  void resize();
  void reduce();
  /// dot of two matrices, batch_dot and linalg_gemm2 over the last two dimensions.
  void product();
  void softmax_layer();
  void softmax();
  void l2();
  void layer_norm();
  /// Recurrent layers whose arrays lie in one: for each layer and direction the weights of input
  /// and state, then for each the two biases.
  void rnn();

  std::string_view what_;
  OnnxBuilder net_;
  Problems problems_;
  const MxnetGraph* graph_ = nullptr;
  std::map<std::string, RawTensor> arrays_;
  std::map<size_t, std::vector<const MxnetNode*>> readers_;
  std::vector<std::vector<Value>> values_;  ///< results of each node
  std::set<std::string> stored_;            ///< weights that the model has
  const MxnetNode* n_ = nullptr;
  size_t at_ = 0;
  std::vector<Value> in_;
};

}  // namespace nacre
