// The messages of an ONNX file that nacre uses, as read from the wire
// (https://github.com/onnx/onnx/blob/main/docs/IR.md). Names are those of onnx.proto.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/onnx.h"

namespace nacre::onnx {

struct GraphProto;

/// A tensor as it lies in the file; decode() of onnx/tensor_data.h makes it a value.
struct TensorProto {
  std::string name;
  Elem type{};
  std::vector<int64_t> dims;
  std::string_view body;  ///< the message, in the bytes of the file
  bool external = false;
  std::string location;
  int64_t offset = 0, length = -1;
};

struct SparseTensorProto {
  TensorProto values, indices;
  std::vector<int64_t> dims;
};

struct AttributeProto {
  std::string name;
  std::string ref;  ///< inside a function: the attribute of the call that this one stands for
  int type = 0;     ///< AttributeType of onnx.proto
  float f = 0;
  int64_t i = 0;
  std::string s;
  std::vector<TensorProto> tensors;
  std::vector<SparseTensorProto> sparse;
  std::vector<std::shared_ptr<GraphProto>> graphs;
  std::vector<TypeInfo> types;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  std::vector<Value> values;  ///< `tensors`, or the one of `sparse`, decoded by the loader
};

struct Operator;
struct FunctionProto;

struct NodeProto {
  std::string name, op, domain;
  std::vector<std::string> inputs, outputs;
  std::vector<AttributeProto> attributes;
  // Filled in by the loader.
  const Operator* known = nullptr;  ///< one of these two
  const FunctionProto* function = nullptr;
  int64_t opset = 0;
  std::vector<std::string> last_uses;  ///< values of the graph that no later node needs
};

struct ValueInfo {
  std::string name;
  TypeInfo type;
};

struct GraphProto {
  std::string name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<std::pair<std::string, SparseTensorProto>> sparse_initializers;
  std::vector<ValueInfo> inputs, outputs;
  std::map<std::string, Value, std::less<>> constants;  ///< of subgraphs, filled in by the loader
};

using Opsets = std::map<std::string, int64_t, std::less<>>;

struct FunctionProto {
  std::string name, domain;
  std::vector<std::string> inputs, outputs;
  std::vector<AttributeProto> defaults;
  std::vector<NodeProto> nodes;
  Opsets opsets;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string producer;
  Opsets opsets;
  GraphProto graph;
  std::vector<std::unique_ptr<FunctionProto>> functions;
  std::map<std::string, std::string> metadata;
};

/// Reads a model. `bytes` must outlive the tensors' bodies; `what` names the file in messages.
/// Throws Error(data); what is read never takes more than a fixed sum beyond twice the file.
ModelProto parse_model(std::string_view bytes, std::string_view what);
TensorProto parse_tensor(std::string_view bytes, std::string_view what);

}  // namespace nacre::onnx
