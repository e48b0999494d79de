#include "importers/graphdef_file.h"

#include <cstring>

#include "base/text.h"
#include "formats/wire.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr size_t kMostNodes = 1'000'000, kMostInputs = 100'000;
constexpr size_t kMostRank = 32;

/// Types of TensorFlow (types.proto) in ONNX's numbers.
Elem elem_of(int64_t type) {
  switch (type > 100 ? type - 100 : type) {  // those of references
    case 1:
      return Elem::f32;
    case 2:
      return Elem::f64;
    case 3:
      return Elem::i32;
    case 4:
      return Elem::u8;
    case 5:
      return Elem::i16;
    case 6:
      return Elem::i8;
    case 7:
      throw NoTranslation{"texts"};
    case 9:
      return Elem::i64;
    case 10:
      return Elem::boolean;
    case 14:
      return Elem::bf16;
    case 17:
      return Elem::u16;
    case 19:
      return Elem::f16;
    case 22:
      return Elem::u32;
    case 23:
      return Elem::u64;
    default:
      throw NoTranslation{cat({"values of TensorFlow's type ", type})};
  }
}

std::optional<std::vector<int64_t>> read_shape(std::string_view bytes, std::string_view what) {
  std::vector<int64_t> shape;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 3 && r.natural()) return std::nullopt;
    if (r.field() != 2) continue;
    int64_t size = 0;
    for (WireReader d(r.bytes(), what); d.next();)
      if (d.field() == 1) size = d.integer();
    if (size < -1 || shape.size() == kMostRank)
      fail(Error::Kind::data, {what, " has an impossible shape"});
    shape.push_back(size);
  }
  return shape;
}

template <typename T>
void put(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

/// The values that a tensor lists one by one, as bytes of its type; fields are those of its
/// message.
std::string listed(std::string_view bytes, Elem type, std::string_view what) {
  std::string out;
  std::vector<float> reals;
  std::vector<double> reals64;
  for (WireReader r(bytes, what); r.next();) {
    switch (r.field()) {
      case 5:
        if (type == Elem::f32) r.reals(reals);
        break;
      case 6:
        if (type == Elem::f64) r.reals64(reals64);
        break;
      case 7:
      case 13:
        r.integers([&](int64_t v) {
          if (type == Elem::i32) put(out, static_cast<int32_t>(v));
          if (type == Elem::i8 || type == Elem::u8) put(out, static_cast<int8_t>(v));
          if (type == Elem::i16 || type == Elem::u16 || type == Elem::f16 || type == Elem::bf16)
            put(out, static_cast<int16_t>(v));
        });
        break;
      case 10:
      case 17:
        r.integers([&](int64_t v) {
          if (type == Elem::i64 || type == Elem::u64) put(out, v);
        });
        break;
      case 11:
        r.integers([&](int64_t v) {
          if (type == Elem::boolean) put(out, static_cast<int8_t>(v != 0));
        });
        break;
      case 16:
        r.integers([&](int64_t v) {
          if (type == Elem::u32) put(out, static_cast<int32_t>(v));
        });
        break;
      default:
        break;
    }
  }
  for (const float v : reals) put(out, v);
  for (const double v : reals64) put(out, v);
  return out;
}

}  // namespace

int64_t GraphNode::integer(std::string_view attribute, int64_t otherwise) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return otherwise;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 3) return r.integer();
  return 0;
}

double GraphNode::real(std::string_view attribute, double otherwise) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return otherwise;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 4) return static_cast<double>(r.real());
  return 0;
}

bool GraphNode::flag(std::string_view attribute, bool otherwise) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return otherwise;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 5) return r.natural() != 0;
  return false;
}

std::string GraphNode::text(std::string_view attribute, std::string_view otherwise) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return std::string(otherwise);
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 2) return std::string(r.bytes());
  return "";
}

std::vector<int64_t> GraphNode::integers(std::string_view attribute) const {
  std::vector<int64_t> out;
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return out;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 1)
      for (WireReader list(r.bytes(), what); list.next();)
        if (list.field() == 3) list.integers([&](int64_t v) { out.push_back(v); });
  return out;
}

Elem GraphNode::type(std::string_view attribute, Elem otherwise) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return otherwise;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 6) return elem_of(r.integer());
  return otherwise;
}

std::optional<std::vector<int64_t>> GraphNode::shape(std::string_view attribute) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return std::nullopt;
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 7) return read_shape(r.bytes(), what);
  return std::nullopt;
}

std::string GraphNode::function(std::string_view attribute) const {
  const auto at = attributes.find(attribute);
  if (at == attributes.end()) return "";
  for (WireReader r(at->second, what); r.next();)
    if (r.field() == 10)
      for (WireReader f(r.bytes(), what); f.next();)
        if (f.field() == 1) return std::string(f.bytes());
  return "";
}

ConstantData GraphNode::tensor(std::string_view attribute, uint64_t& budget) const {
  ConstantData c;
  std::string_view message, content;
  if (const auto at = attributes.find(attribute); at != attributes.end())
    for (WireReader r(at->second, what); r.next();)
      if (r.field() == 8) message = r.bytes();
  if (message.empty()) fail(Error::Kind::data, {"has no values"});
  int64_t type = 0;
  for (WireReader r(message, what); r.next();) {
    if (r.field() == 1) type = r.integer();
    if (r.field() == 2) c.shape = read_shape(r.bytes(), what).value_or(std::vector<int64_t>{-1});
    if (r.field() == 4) content = r.bytes();
  }
  c.type = elem_of(type);
  uint64_t bytes = width_of(c.type);
  for (const int64_t d : c.shape)
    if (d < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(d), &bytes))
      fail(Error::Kind::data, {"has values of an impossible shape"});
  if (!content.empty()) {
    if (content.size() != bytes)
      fail(Error::Kind::data, {"should have ", bytes, " bytes of values and has ", content.size()});
    c.bytes = content;
    return c;
  }
  std::string values = listed(message, c.type, what);
  if (values.size() > bytes)
    fail(Error::Kind::data, {"should have ", bytes, " bytes of values and has ", values.size()});
  if (values.size() < bytes) {  // the last one stands for all that follow
    const uint64_t missing = bytes - values.size();
    if (missing > budget)
      fail(Error::Kind::data, {"repeats a value over ", missing, " bytes, more than is sensible"});
    budget -= missing;
    const size_t width = width_of(c.type);
    std::string one(width, '\0');
    if (!values.empty()) one = values.substr(values.size() - width);
    values.reserve(bytes);
    while (values.size() < bytes) values += one;
  }
  auto owned = std::make_shared<const std::string>(std::move(values));
  c.bytes = *owned;
  c.owned = std::move(owned);
  return c;
}

GraphNode read_graph_node(std::string_view bytes, std::string_view what) {
  GraphNode n;
  n.what = what;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 1) n.name = r.bytes();
    if (r.field() == 2) n.op = r.bytes();
    if (r.field() == 3) n.inputs.emplace_back(r.bytes());
    if (r.field() != 5) continue;
    std::string_view key, value;
    for (WireReader entry(r.bytes(), what); entry.next();) {
      if (entry.field() == 1) key = entry.bytes();
      if (entry.field() == 2) value = entry.bytes();
    }
    n.attributes[key] = value;
  }
  if (n.name.empty() || n.op.empty())
    fail(Error::Kind::data, {what, " has a node without a name or operator"});
  if (n.inputs.size() > kMostInputs)
    fail(Error::Kind::data,
         {what, ": node '", clip(printable(n.name), 100), "' has ", n.inputs.size(), " inputs"});
  return n;
}

std::vector<GraphNode> read_graphdef(std::string_view bytes, std::string_view what) {
  std::vector<GraphNode> nodes;
  for (WireReader graph(bytes, what); graph.next();) {
    if (graph.field() != 1) continue;
    if (!graph.is_message())
      fail(Error::Kind::unsupported,
           {what,
            " is a SavedModel, whose weights are in other files; freeze it to one GraphDef "
            "(convert_variables_to_constants_v2)"});
    if (nodes.size() == kMostNodes)
      fail(Error::Kind::data, {what, " has more than ", kMostNodes, " nodes"});
    nodes.push_back(read_graph_node(graph.bytes(), what));
  }
  if (nodes.empty()) fail(Error::Kind::data, {what, " is no GraphDef of TensorFlow's: no nodes"});
  return without_calls(std::move(nodes), bytes, what);
}

}  // namespace nacre
