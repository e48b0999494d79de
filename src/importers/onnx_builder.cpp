#include "importers/onnx_builder.h"

#include <algorithm>
#include <type_traits>

#include "nacre/error.h"

namespace nacre {
namespace {

// Numbers of TensorProto.DataType and AttributeProto.AttributeType.
constexpr int64_t kFloat = 1, kInt64 = 7;

int64_t type_number(DType t) {
  switch (t) {
    case DType::f32:
      return 1;
    case DType::u8:
      return 2;
    case DType::i8:
      return 3;
    case DType::i32:
      return 6;
    case DType::i64:
      return 7;
    case DType::boolean:
      return 9;
    case DType::f16:
      return 10;
    case DType::f64:
      return 11;
    case DType::bf16:
      return 16;
  }
  return 0;
}

WireWriter attribute_of(const OnnxBuilder::Attribute& a) {
  WireWriter w;
  w.bytes(1, a.first);
  std::visit(
      [&]<typename T>(const T& v) {
        if constexpr (std::is_same_v<T, int64_t>) {
          w.integer(3, v);
          w.integer(20, 2);
        } else if constexpr (std::is_same_v<T, double>) {
          w.real(2, static_cast<float>(v));
          w.integer(20, 1);
        } else if constexpr (std::is_same_v<T, std::string>) {
          w.bytes(4, v);
          w.integer(20, 3);
        } else if constexpr (std::is_same_v<T, OnnxBuilder::Ints>) {
          w.integers(8, v);
          w.integer(20, 7);
        } else {
          w.reals(7, v);
          w.integer(20, 6);
        }
      },
      a.second);
  return w;
}

WireWriter port(const std::string& name, const OnnxBuilder::Ints* shape, int64_t elem) {
  WireWriter dims, tensor, type, info;
  tensor.integer(1, elem);
  for (size_t d = 0; shape && d < shape->size(); ++d) {
    WireWriter dim;
    if ((*shape)[d] >= 0) dim.integer(1, (*shape)[d]);
    dims.message(1, dim);
  }
  if (shape) tensor.message(2, dims);
  type.message(1, tensor);
  info.bytes(1, name);
  info.message(2, type);
  return info;
}

}  // namespace

void OnnxBuilder::input(const std::string& name, const Ints& shape, int64_t type) {
  WireWriter graph;
  graph.message(11, port(name, &shape, type));
  graph_ += graph.str();
}

void OnnxBuilder::input(const std::string& name, int64_t type) {
  WireWriter graph;
  graph.message(11, port(name, nullptr, type));
  graph_ += graph.str();
}

void OnnxBuilder::output(const std::string& name, int rank, int64_t type) {
  WireWriter graph;
  const Ints open(static_cast<size_t>(std::max(rank, 0)), -1);
  graph.message(12, port(name, rank < 0 ? nullptr : &open, type));
  outputs_ += graph.str();
}

std::string OnnxBuilder::constant(std::string_view bytes, const Ints& shape, int64_t type,
                                  std::string name) {
  if (name.empty()) name = fresh("constant");
  WireWriter tensor, graph;
  for (const int64_t d : shape) tensor.integer(1, d);
  tensor.integer(2, type);
  tensor.bytes(8, name);
  tensor.bytes(9, bytes);
  graph.message(5, tensor);
  graph_ += graph.str();
  return name;
}

std::string OnnxBuilder::floats(std::span<const float> values, const Ints& shape,
                                std::string name) {
  return constant({reinterpret_cast<const char*>(values.data()), values.size_bytes()}, shape,
                  kFloat, std::move(name));
}

std::string OnnxBuilder::ints(const Ints& values) {
  return constant({reinterpret_cast<const char*>(values.data()), 8 * values.size()},
                  {static_cast<int64_t>(values.size())}, kInt64, "");
}

std::string OnnxBuilder::array(const RawTensor& values, std::string name) {
  return constant({static_cast<const char*>(values.data), values.bytes()},
                  Ints(values.shape.begin(), values.shape.end()), type_number(values.dtype),
                  std::move(name));
}

void OnnxBuilder::node(std::string_view op, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const std::vector<Attribute>& attributes, std::string_view name) {
  WireWriter w, graph;
  for (const auto& s : inputs) w.bytes(1, s);
  for (const auto& s : outputs) w.bytes(2, s);
  if (!name.empty())
    w.bytes(3, names_.insert(std::string(name)).second ? std::string(name) : fresh(name));
  w.bytes(4, op);
  for (const Attribute& a : attributes) w.message(5, attribute_of(a));
  graph.message(1, w);
  graph_ += graph.str();
}

std::string OnnxBuilder::make(std::string_view op, const std::vector<std::string>& inputs,
                              const std::vector<Attribute>& attributes) {
  const std::string out = fresh(op);
  node(op, inputs, {out}, attributes);
  return out;
}

std::string OnnxBuilder::fresh(std::string_view stem) { return cat({"_", stem, "_", ++made_}); }

std::string OnnxBuilder::finish() const {
  WireWriter opset, model;
  WireWriter title;
  title.bytes(2, producer_);
  opset.bytes(1, "");
  opset.integer(2, 13);
  model.integer(1, 8);
  model.bytes(2, producer_);
  model.bytes(7, graph_ + outputs_ + title.str());
  model.message(8, opset);
  return model.str();
}

}  // namespace nacre
