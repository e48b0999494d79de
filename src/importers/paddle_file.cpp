#include "importers/paddle_file.h"

#include <cstring>

#include "base/text.h"
#include "formats/wire.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr size_t kMostEntries = 1'000'000;  // of ops and variables

[[noreturn]] void damaged(std::string_view what, std::string_view why) {
  fail(Error::Kind::data, {what, " is no valid file of PaddlePaddle: ", why});
}

void read_tensor_desc(std::string_view bytes, std::string_view what, PaddleType& type,
                      std::vector<int64_t>& dims) {
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 1) type = static_cast<PaddleType>(r.integer());
    if (r.field() == 2) r.integers([&](int64_t d) { dims.push_back(d); });
    if (dims.size() > 32) damaged(what, "a tensor has more than 32 sizes");
  }
}

void read_variable(std::string_view bytes, std::string_view what, PaddleProgram& program) {
  std::string name;
  PaddleVariable v;
  bool tensor = false, persistable = false;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 1) name = r.bytes();
    if (r.field() == 3) persistable = r.integer();
    if (r.field() != 2) continue;
    for (WireReader type(r.bytes(), what); type.next();) {
      if (type.field() != 3) continue;  // a tensor with or without levels
      tensor = true;
      for (WireReader lod(type.bytes(), what); lod.next();)
        if (lod.field() == 1) read_tensor_desc(lod.bytes(), what, v.type, v.dims);
    }
  }
  v.stored = tensor && persistable && name != "feed" && name != "fetch";
  if (program.variables.size() >= kMostEntries) damaged(what, "it has too many variables");
  program.variables.emplace(std::move(name), std::move(v));
}

void read_attribute(std::string_view bytes, std::string_view what, PaddleOp& op) {
  std::string name;
  PaddleOp::Attribute a;
  std::vector<float> reals;
  for (WireReader r(bytes, what); r.next();) switch (r.field()) {
      case 1:
        name = r.bytes();
        break;
      case 3:
      case 10:
      case 13:
        a.i = r.integer();
        break;
      case 4:
        a.f = r.real();
        a.is_real = true;
        break;
      case 5:
        a.s = r.bytes();
        break;
      case 6:
      case 11:
      case 15:
        r.integers([&](int64_t v) { a.ints.push_back(v); });
        break;
      case 7:
        r.reals(reals);
        break;
      case 16:
        r.reals64(a.floats);
        break;
      case 19:
        a.f = r.real64();
        a.is_real = true;
        break;
      default:
        break;
    }
  a.floats.insert(a.floats.end(), reals.begin(), reals.end());
  op.attributes.emplace(std::move(name), std::move(a));
}

PaddleOp read_op(std::string_view bytes, std::string_view what) {
  PaddleOp op;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 3) op.type = r.bytes();
    if (r.field() == 4) read_attribute(r.bytes(), what, op);
    if (r.field() != 1 && r.field() != 2) continue;
    std::string parameter;
    std::vector<std::string> arguments;
    for (WireReader v(r.bytes(), what); v.next();) {
      if (v.field() == 1) parameter = v.bytes();
      if (v.field() == 2) arguments.emplace_back(v.bytes());
    }
    (r.field() == 1 ? op.inputs : op.outputs).emplace(parameter, std::move(arguments));
  }
  return op;
}

template <typename T>
T take(std::string_view& bytes, std::string_view what) {
  if (bytes.size() < sizeof(T)) damaged(what, "an array ends early");
  T v;
  std::memcpy(&v, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return v;
}

}  // namespace

int64_t size_of(PaddleType t) {
  switch (t) {
    case PaddleType::boolean:
    case PaddleType::u8:
    case PaddleType::i8:
      return 1;
    case PaddleType::i16:
    case PaddleType::f16:
    case PaddleType::bf16:
      return 2;
    case PaddleType::i32:
    case PaddleType::f32:
      return 4;
    case PaddleType::i64:
    case PaddleType::f64:
      return 8;
  }
  fail(Error::Kind::unsupported,
       {"elements of PaddlePaddle's type ", static_cast<int64_t>(t), " are not supported"});
}

int64_t onnx_number(PaddleType t) {
  switch (t) {
    case PaddleType::boolean:
      return 9;
    case PaddleType::u8:
      return 2;
    case PaddleType::i8:
      return 3;
    case PaddleType::i16:
      return 5;
    case PaddleType::f16:
      return 10;
    case PaddleType::bf16:
      return 16;
    case PaddleType::i32:
      return 6;
    case PaddleType::f32:
      return 1;
    case PaddleType::i64:
      return 7;
    case PaddleType::f64:
      return 11;
  }
  size_of(t);  // throws
  return 0;
}

int64_t PaddleOp::i(const std::string& name, int64_t otherwise) const {
  const auto at = attributes.find(name);
  return at == attributes.end() ? otherwise : at->second.i;
}

double PaddleOp::f(const std::string& name, double otherwise) const {
  const auto at = attributes.find(name);
  if (at == attributes.end()) return otherwise;
  return at->second.is_real ? at->second.f : static_cast<double>(at->second.i);
}

std::string PaddleOp::s(const std::string& name, const std::string& otherwise) const {
  const auto at = attributes.find(name);
  return at == attributes.end() || at->second.s.empty() ? otherwise : at->second.s;
}

const std::vector<int64_t>& PaddleOp::is(const std::string& name) const {
  static const std::vector<int64_t> none;
  const auto at = attributes.find(name);
  return at == attributes.end() ? none : at->second.ints;
}

const std::vector<std::string>& PaddleOp::in(const std::string& parameter) const {
  static const std::vector<std::string> none;
  const auto at = inputs.find(parameter);
  return at == inputs.end() ? none : at->second;
}

const std::vector<std::string>& PaddleOp::out(const std::string& parameter) const {
  static const std::vector<std::string> none;
  const auto at = outputs.find(parameter);
  return at == outputs.end() ? none : at->second;
}

PaddleProgram read_paddle_program(std::string_view bytes, std::string_view what) {
  PaddleProgram program;
  bool first = true;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() != 1 || !first) continue;  // blocks after the first belong to control flow
    first = false;
    for (WireReader block(r.bytes(), what); block.next();) {
      if (block.field() == 3) read_variable(block.bytes(), what, program);
      if (block.field() == 4) program.ops.push_back(read_op(block.bytes(), what));
      if (program.ops.size() > kMostEntries) damaged(what, "it has too many operators");
    }
  }
  if (program.ops.empty()) damaged(what, "it has no operators");
  return program;
}

PaddleArray read_paddle_array(std::string_view& bytes, std::string_view what) {
  const auto version = take<uint32_t>(bytes, what);
  if (version != 0) damaged(what, cat({"an array has the unknown version ", version}));
  const auto levels = take<uint64_t>(bytes, what);
  if (levels > 16) damaged(what, "an array has more than 16 levels");
  for (uint64_t k = 0; k < levels; ++k) {
    const auto n = take<uint64_t>(bytes, what);
    if (n > bytes.size()) damaged(what, "an array ends early");
    bytes.remove_prefix(n);
  }
  if (take<uint32_t>(bytes, what) != 0) damaged(what, "a tensor has an unknown version");
  const auto length = take<int32_t>(bytes, what);
  if (length < 0 || static_cast<size_t>(length) > bytes.size())
    damaged(what, "an array ends early");
  PaddleArray a;
  read_tensor_desc(bytes.substr(0, static_cast<size_t>(length)), what, a.type, a.dims);
  bytes.remove_prefix(static_cast<size_t>(length));
  uint64_t count = static_cast<uint64_t>(size_of(a.type));
  for (const int64_t d : a.dims)
    if (d < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(d), &count))
      damaged(what, "an array has impossible sizes");
  if (count > bytes.size()) damaged(what, "an array ends early");
  a.data = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return a;
}

}  // namespace nacre
