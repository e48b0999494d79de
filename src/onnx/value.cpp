#include "nacre/onnx.h"

namespace nacre::onnx {

std::string_view name_of(Elem e) {
  constexpr std::string_view names[] = {
      "undefined",      "float",      "uint8",          "int8",       "uint16",    "int16",
      "int32",          "int64",      "string",         "bool",       "float16",   "double",
      "uint32",         "uint64",     "complex64",      "complex128", "bfloat16",  "float8e4m3fn",
      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",      "float4e2m1",
      "float8e8m0",     "uint2",      "int2",           "float6e2m3", "float6e3m2"};
  const auto i = static_cast<uint32_t>(e);
  return i < std::size(names) ? names[i] : "unknown type";
}

DType storage_of(Elem e) {
  switch (e) {
    case Elem::f32:
    case Elem::f8e4m3fn:
    case Elem::f8e4m3fnuz:
    case Elem::f8e5m2:
    case Elem::f8e5m2fnuz:
    case Elem::f4e2m1:
    case Elem::f8e8m0:
    case Elem::f6e2m3:
    case Elem::f6e3m2:
      return DType::f32;
    case Elem::f64:
      return DType::f64;
    case Elem::f16:
      return DType::f16;
    case Elem::bf16:
      return DType::bf16;
    case Elem::u8:
    case Elem::u4:
    case Elem::u2:
      return DType::u8;
    case Elem::i8:
    case Elem::i4:
    case Elem::i2:
      return DType::i8;
    case Elem::u16:
    case Elem::i16:
    case Elem::i32:
      return DType::i32;
    case Elem::u32:
    case Elem::u64:
    case Elem::i64:
      return DType::i64;
    case Elem::boolean:
      return DType::boolean;
    default:
      fail(Error::Kind::unsupported, {"tensors of ONNX element type ", static_cast<int>(e), " (",
                                      name_of(e), ") are not supported"});
  }
}

Elem elem_of(DType t) {
  constexpr Elem elems[] = {Elem::f32, Elem::f64, Elem::bf16, Elem::f16,    Elem::i8,
                            Elem::u8,  Elem::i32, Elem::i64,  Elem::boolean};
  return elems[static_cast<int>(t)];
}

Value::Value(Tensor t, Elem elem) : elem_(elem), tensor_(std::move(t)) {
  if (tensor_.dtype() != storage_of(elem))
    fail(Error::Kind::internal,
         {"a value of type ", name_of(elem), " cannot be held in ", tensor_.dtype()});
}

Value Value::strings(const Shape& shape, std::vector<std::string> text) {
  Value v;
  v.elem_ = Elem::string;
  v.shape_ = shape;
  v.text_ = std::make_shared<const std::vector<std::string>>(std::move(text));
  return v;
}

Value Value::sequence(std::vector<Value> items) {
  Value v;
  v.items_ = std::make_shared<const std::vector<Value>>(std::move(items));
  return v;
}

const Tensor& Value::tensor() const {
  if (!is_tensor()) fail(Error::Kind::data, {"a tensor is needed, this is ", str()});
  return tensor_;
}

const std::vector<std::string>& Value::text() const {
  if (!is_strings()) fail(Error::Kind::data, {"a tensor of strings is needed, this is ", str()});
  return *text_;
}

const std::vector<Value>& Value::items() const {
  if (!is_sequence()) fail(Error::Kind::data, {"a sequence is needed, this is ", str()});
  return *items_;
}

const Shape& Value::shape() const { return is_strings() ? shape_ : tensor().shape(); }

std::string Value::str() const {
  if (is_sequence()) return cat({"a sequence of ", items_->size()});
  if (is_none()) return "nothing";
  return cat({name_of(elem_), " ", shape()});
}

std::string str(const TypeInfo& type) {
  switch (type.kind) {
    case TypeInfo::Kind::unknown:
      return "of unknown type";
    case TypeInfo::Kind::sequence:
      return "sequence of " + (type.of.empty() ? "unknown type" : str(type.of[0]));
    case TypeInfo::Kind::optional:
      return "optional " + (type.of.empty() ? "of unknown type" : str(type.of[0]));
    case TypeInfo::Kind::tensor:
      break;
  }
  std::string s(name_of(type.elem));
  if (!type.has_shape) return s;
  if (type.dims.empty()) return s + " scalar";
  for (size_t d = 0; d < type.dims.size(); ++d) {
    s += d ? "x" : " ";
    s += type.dims[d] >= 0       ? std::to_string(type.dims[d])
         : type.names[d].empty() ? "?"
                                 : type.names[d];
  }
  return s;
}

}  // namespace nacre::onnx
