// ONNX models: networks that other frameworks export (https://onnx.ai).
//
//   auto net = onnx::load("resnet50.onnx");
//   Context ctx = Context::eval();
//   Tensor y = (*net)(x, ctx);                                // first input to first output
//   auto outs = net->run({{"ids", ids}, {"mask", mask}}, ctx);  // by name
//
// The graph of the file is interpreted at each call: its nodes record nacre's operators, so shapes
// may change from call to call, and what runs is a compiled plan. Floating initialisers that layers
// use as weights are parameters, so an imported network can be trained on. Values that ONNX takes
// for shapes and the like are evaluated while the graph is recorded.
//
// Opsets 1 to 28 of the standard domain, and the fused operators of com.microsoft that exporters
// emit; see docs/onnx.md. A file is not trusted: see load().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/elem.h"
#include "nacre/nn.h"

namespace nacre::onnx {

using nacre::Elem;

/// "float", "uint16", ... as ONNX writes them.
std::string_view name_of(Elem e);
/// The type that values of e are held in. Throws Error(unsupported) for complex numbers and types
/// that do not exist.
DType storage_of(Elem e);
/// The element type of a tensor of nacre's.
Elem elem_of(DType t);

/// What flows along the edges of a graph: a tensor, text, a sequence of values, or nothing (an
/// empty optional, an output that was not asked for).
class Value {
 public:
  Value() = default;
  Value(Tensor t) : elem_(elem_of(t.dtype())), tensor_(std::move(t)) {}
  /// A tensor whose dtype is storage_of(elem).
  Value(Tensor t, Elem elem);
  static Value strings(const Shape& shape, std::vector<std::string> text);
  static Value sequence(std::vector<Value> items);

  bool is_none() const { return !tensor_.defined() && !items_ && !text_; }
  bool is_tensor() const { return tensor_.defined(); }
  bool is_strings() const { return text_ != nullptr; }
  bool is_sequence() const { return items_ != nullptr; }

  // Each throws Error(data) if the value is of another kind.
  const Tensor& tensor() const;
  const std::vector<std::string>& text() const;
  const std::vector<Value>& items() const;
  /// Of a tensor, with or without text.
  Elem elem() const { return elem_; }
  const Shape& shape() const;
  /// "float tensor 2x3", "sequence of 2", "nothing".
  std::string str() const;

 private:
  Elem elem_ = Elem::undefined;
  Tensor tensor_;
  Shape shape_;
  std::shared_ptr<const std::vector<std::string>> text_;
  std::shared_ptr<const std::vector<Value>> items_;
};
using Values = std::vector<Value>;

/// What a file says of the type of an input or output.
struct TypeInfo {
  enum class Kind { unknown, tensor, sequence, optional };
  Kind kind = Kind::unknown;
  Elem elem = Elem::undefined;  ///< of tensors
  bool has_shape = false;
  std::vector<int64_t> dims;       ///< -1: not known before the call
  std::vector<std::string> names;  ///< of dimensions, "" if they have none
  std::vector<TypeInfo> of;        ///< what a sequence or optional holds: one entry
};
/// "float 1x3xHxW".
std::string str(const TypeInfo& type);

struct Port {
  std::string name;
  TypeInfo type;
};

/// An imported network. As a Module it maps the first input to the first output.
class Network : public Module {
 public:
  ~Network() override;
  Tensor forward(const Tensor& x, Context& ctx) override;
  /// Values of the outputs, in their order. Inputs that an initialiser stands for may be left out.
  /// Throws Error(usage) for inputs that are missing, unknown or of another type.
  Values run(const std::map<std::string, Value>& inputs, Context& ctx);

  /// Inputs that a caller gives (initialisers are not among them).
  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  int64_t opset() const;  ///< of the standard domain
  const std::string& producer() const;
  const std::map<std::string, std::string>& metadata() const;

  /// A node of the outermost graph that was just recorded.
  struct Step {
    const std::string &op, &name;
    const std::vector<std::string>& inputs;  ///< names of values; "" where one is left out
    const Values& outputs;
  };
  std::function<void(const Step&)> on_node;

  struct Impl;
  Network(const Scope& scope, std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

/// Reads a model and the external data that it names, which have to be regular files in the model's
/// folder or below it. Every count is checked against the bytes that exist before memory is taken.
/// Throws Error(io); Error(data) for files that are damaged or that contradict themselves; and
/// Error(unsupported) with all operators that nacre does not know, where they are and how often.
std::unique_ptr<Network> load(const std::string& path);
/// The same from bytes; external data are refused. `what` names them in messages.
std::unique_ptr<Network> parse(std::string_view bytes, std::string_view what);

struct SaveOptions {
  int64_t opset = 17;  ///< 13 to 28
  DType input_type = DType::f32;
  /// Texts to store: "nacre.transform" and "nacre.classes" (one a line) are read by nacre.
  std::map<std::string, std::string> metadata{};
};
/// Writes what a model computes in evaluation mode, for inputs of this shape (without the batch,
/// whose size stays open). Atomic. Throws Error(io), or Error(unsupported) with all ops that have
/// no form in ONNX.
void save(const std::string& path, Module& net, const Shape& sample,
          const SaveOptions& options = {});

/// A value in a file of its own, as the ONNX test data have them: a TensorProto, or what `type`
/// says (SequenceProto, OptionalProto).
Value load_value(const std::string& path, const TypeInfo& type);
/// The same from bytes; `what` names them in messages.
Value parse_value(std::string_view bytes, std::string_view what, const TypeInfo& type);

}  // namespace nacre::onnx
