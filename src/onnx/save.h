// How a recorded op is written as nodes of ONNX.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "formats/wire.h"
#include "graph/node.h"
#include "nacre/op.h"

namespace nacre::onnx {

/// The attributes of a node by name.
class Fields {
 public:
  explicit Fields(const Node& n);
  int64_t i(const std::string& name) const { return std::get<int64_t>(at(name)); }
  double f(const std::string& name) const { return std::get<double>(at(name)); }
  bool b(const std::string& name) const { return std::get<bool>(at(name)); }
  const std::string& s(const std::string& name) const { return std::get<std::string>(at(name)); }
  const Ints& is(const std::string& name) const { return std::get<Ints>(at(name)); }
  DType t(const std::string& name) const { return std::get<DType>(at(name)); }

 private:
  using Field = std::variant<bool, int64_t, double, std::string, Ints, DType>;
  const Field& at(const std::string& name) const;
  std::map<std::string, Field> fields_;
};

using Attribute = std::variant<int64_t, double, std::string, Ints>;
using Attributes = std::vector<std::pair<std::string, Attribute>>;

/// A file in the making.
class Writer {
 public:
  explicit Writer(int64_t opset) : opset(opset) {}
  const int64_t opset;

  /// Adds a node with `outputs` results; returns their names.
  std::vector<std::string> add(const std::string& op, const std::vector<std::string>& inputs,
                               const Attributes& attributes = {}, size_t outputs = 1);
  /// add() of one result.
  std::string node(const std::string& op, const std::vector<std::string>& inputs,
                   const Attributes& attributes = {}) {
    return add(op, inputs, attributes)[0];
  }
  /// A tensor that is stored. Equal integers are stored once.
  std::string tensor(const Tensor& value, const std::string& name = "");
  std::string ints(const Ints& v);
  std::string number(double v, DType t);
  /// A list of sizes that are `a` for a batch of 2 and `b` for one of 3.
  std::string sizes(const Shape& a, const Shape& b);

  std::string layer;  ///< names nodes that are added
  std::string input;  ///< whose first size is the batch
  WireWriter graph;

 private:
  std::string fresh(const std::string& stem);
  std::map<std::string, int64_t> names_;
  std::map<std::string, std::string> stored_;
};

/// One node, and the same node for another size of the batch.
struct Recorded {
  const Node &a, &b;
  const std::vector<std::string>& in;  ///< names of its inputs
  Fields fields;
};

/// Names of the outputs; empty if the op cannot be written in this form.
using Rule = std::vector<std::string> (*)(Writer&, const Recorded&);

/// How the op of that name is written; null: by its name in ONNX, or by its parts.
Rule find_rule(std::string_view op);

}  // namespace nacre::onnx
