// How an ONNX operator is defined: one entry, from a node's inputs and attributes to its outputs.
//
//   ONNX(Gelu) = {"Gelu", [](Call& c) -> Values {
//     return {gelu(c[0], c.s("approximate", "none"))};
//   }};
//
// The build collects the entries of src/onnx/ops. Operators that an op of nacre's names in its
// field `onnx`, and that have no attributes, need no entry.
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "nacre/op.h"
#include "onnx/proto.h"

namespace nacre::onnx {

class Call;

struct Operator {
  const char* name;
  Values (*run)(Call&);
  const char* domain = "";
  /// Inputs that are no weights although they may be floating initialisers: "3,4".
  const char* fixed = "";
  /// Its attributes name values of the graph.
  bool reads_names = false;
  const OpDef* def = nullptr;  ///< of operators that have no entry
};

/// Defines onnx_<id>.
#define ONNX(id)                   \
  extern const Operator onnx_##id; \
  const Operator onnx_##id

/// The operator of that name; null if there is none.
const Operator* find_operator(std::string_view domain, std::string_view name);
/// Made by the build.
std::span<const Operator* const> operators();

/// The values of a graph while it runs.
struct Frame {
  const Frame* outer = nullptr;
  /// Of a function: the attributes of the call.
  const std::vector<const AttributeProto*>* attributes = nullptr;
  std::unordered_map<std::string_view, Value> values;
  int depth = 0;
};

/// The values that a node is given. What an operator never looked at is known afterwards.
class Inputs {
 public:
  const Value& operator[](size_t i) const {
    seen_[i] = true;
    return values_[i];
  }
  const Values& all() const {
    seen_.assign(seen_.size(), true);
    return values_;
  }
  size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  void push_back(Value v) {
    values_.push_back(std::move(v));
    seen_.push_back(false);
  }
  bool seen(size_t i) const { return seen_[i]; }
  void forget() { seen_.assign(seen_.size(), false); }

 private:
  Values values_;
  mutable std::vector<bool> seen_;
};

/// One node as it runs.
class Call {
 public:
  Call(const NodeProto& node, const Frame& frame, Context& context);

  const NodeProto& node;
  const int64_t opset;
  Inputs in;
  Context& ctx;

  /// Whether input i is given.
  bool has(size_t i) const { return i < in.size() && !in[i].is_none(); }
  const Value& value(size_t i) const;
  const Tensor& operator[](size_t i) const { return value(i).tensor(); }
  const Shape& shape(size_t i) const { return value(i).shape(); }
  int64_t rank(size_t i) const { return shape(i).rank(); }
  /// An input that may be left out.
  Tensor optional(size_t i) const { return has(i) ? in[i].tensor() : Tensor(); }
  /// Values of an input now. Evaluates.
  Ints ints(size_t i) const;
  std::vector<double> reals(size_t i) const;
  int64_t integer(size_t i) const;
  double real(size_t i) const;

  // Attributes.
  const AttributeProto* find(std::string_view name) const;
  bool given(std::string_view name) const { return find(name) != nullptr; }
  int64_t i(std::string_view name, int64_t otherwise = 0) const;
  double f(std::string_view name, double otherwise = 0) const;
  std::string s(std::string_view name, std::string_view otherwise = "") const;
  Ints is(std::string_view name, const Ints& otherwise = {}) const;
  std::vector<double> fs(std::string_view name) const;
  std::vector<std::string> ss(std::string_view name) const;
  /// Axis attribute (or value) in 0..rank-1.
  int64_t axis(int64_t a, int64_t rank) const;

  /// What the operator of the node gives. Inputs and attributes that it has not looked at would be
  /// dropped without a word: they are refused.
  Values apply();

  bool wants(size_t k) const { return k < node.outputs.size() && !node.outputs[k].empty(); }
  size_t outputs() const { return node.outputs.size(); }
  /// Runs a subgraph that is an attribute.
  Values run(std::string_view graph, Values inputs) const;
  /// A value of the graph by name.
  const Value& lookup(std::string_view name) const;

  [[noreturn]] void fail(std::initializer_list<Piece> text) const;
  void check(bool ok, std::initializer_list<Piece> text) const {
    if (!ok) fail(text);
  }

 private:
  void refuse_unread() const;

  const Frame& frame_;
  mutable std::vector<bool> read_;  ///< attributes that were looked at
};

/// Runs all nodes of a graph.
Values run_graph(const GraphProto& graph, Values inputs, const Frame& outer, Context& ctx);

/// t in the element type of `v`: of types that nacre holds in wider ones the low bits count.
Value like(const Value& v, const Tensor& t);
/// Integers reduced to the range of e, if it is held in a wider type.
Tensor low_bits(const Tensor& t, Elem e);
/// t, whose type is storage_of(e), reduced to the range of e.
Value as_elem(const Tensor& t, Elem e);

/// v with its elements moved by f, a function of one tensor that computes nothing new: text moves
/// as its positions do.
template <typename F>
Value moved(const Value& v, F f) {
  if (!v.is_strings()) return {f(v.tensor()), v.elem()};
  const Tensor at = f(reshape(arange(v.shape().numel()), v.shape()));
  std::vector<std::string> text;
  for (int64_t k : at.template to_vector<int64_t>())
    text.push_back(v.text()[static_cast<size_t>(k)]);
  return Value::strings(at.shape(), std::move(text));
}

/// Integers that older opsets have as an attribute and newer ones as an input. `given`: whether
/// either is there.
Ints ints_of(const Call& c, std::string_view attribute, size_t input, bool* given = nullptr);

/// The domain of the fused operators that exporters write.
inline constexpr const char* kMicrosoft = "com.microsoft";

/// Refuses a tensor that is larger than the memory of the machine, before anything is made for it.
void check_fits(const Shape& shape, DType t);

/// Host integers as an i64 vector, and a scalar.
Tensor vector_of(const Ints& v);
Tensor scalar_of(int64_t v);

}  // namespace nacre::onnx
