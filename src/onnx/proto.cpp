#include "onnx/proto.h"

#include "formats/wire.h"

namespace nacre::onnx {
namespace {

constexpr int kMaxDepth = 64;          // of graphs within graphs, and of types within types
constexpr size_t kMaxDims = 32;        // of a tensor
constexpr uint64_t kSlack = 48 << 20;  // bytes that the description may take beyond the file's size

/// Reads messages, and counts what they take: an empty node has two bytes in a file and hundreds
/// in memory.
class Parser {
 public:
  Parser(uint64_t file_bytes, std::string_view what) : left_(file_bytes + kSlack), what_(what) {}

  ModelProto model(std::string_view bytes);
  TensorProto tensor(std::string_view bytes);

 private:
  WireReader open(std::string_view bytes) const { return {bytes, what_}; }
  [[noreturn]] void broken(std::string_view why) const {
    fail(Error::Kind::data, {what_, " cannot be read: ", why});
  }
  void charge(uint64_t bytes) {
    if (bytes > left_) broken("it describes far more nodes and values than a file of its size may");
    left_ -= bytes;
  }
  std::string text(const WireReader& r) {
    charge(sizeof(std::string) + r.bytes().size());
    return std::string(r.bytes());
  }
  template <typename T>
  T& add(std::vector<T>& list) {
    charge(sizeof(T));
    return list.emplace_back();
  }
  /// Memory for as many elements as the message has fields of a number: lists that grow would take
  /// up to three times as much.
  template <typename T>
  void reserve(std::vector<T>& list, std::string_view bytes, uint32_t field) {
    size_t n = 0;
    for (WireReader r = open(bytes); r.next();) n += r.field() == field;
    if (n * sizeof(T) > left_) charge(n * sizeof(T));
    list.reserve(n);
  }
  void number(std::vector<int64_t>& list, int64_t v) {
    charge(2 * sizeof(int64_t));  // a growing vector holds up to twice its elements
    list.push_back(v);
  }
  void opset(const WireReader& r, Opsets& out);
  void entry(const WireReader& r, std::string& key, std::string& value);
  void dims(const WireReader& r, std::vector<int64_t>& out);
  SparseTensorProto sparse(std::string_view bytes);
  void type(std::string_view bytes, TypeInfo& out, int depth);
  void value_info(std::string_view bytes, ValueInfo& out);
  void attribute(std::string_view bytes, AttributeProto& out, int depth);
  void node(std::string_view bytes, NodeProto& out, int depth);
  void graph(std::string_view bytes, GraphProto& out, int depth);
  void function(std::string_view bytes, FunctionProto& out);

  uint64_t left_;
  std::string_view what_;
};

void Parser::opset(const WireReader& message, Opsets& out) {
  std::string domain;
  int64_t version = 0;
  for (WireReader r = open(message.bytes()); r.next();) {
    if (r.field() == 1) domain = text(r);
    if (r.field() == 2) version = r.integer();
  }
  if (domain == "ai.onnx") domain.clear();
  charge(128);
  out[domain] = version;
}

void Parser::entry(const WireReader& message, std::string& key, std::string& value) {
  for (WireReader r = open(message.bytes()); r.next();) {
    if (r.field() == 1) key = text(r);
    if (r.field() == 2) value = text(r);
  }
}

void Parser::dims(const WireReader& r, std::vector<int64_t>& out) {
  r.integers([&](int64_t d) {
    if (out.size() >= kMaxDims) broken("a tensor has more than 32 dimensions");
    if (d < 0) broken(cat({"a tensor has a dimension of ", d}));
    number(out, d);
  });
}

TensorProto Parser::tensor(std::string_view bytes) {
  TensorProto t;
  t.body = bytes;
  for (WireReader r = open(bytes); r.next();) switch (r.field()) {
      case 1:
        dims(r, t.dims);
        break;
      case 2:
        t.type = static_cast<Elem>(r.integer());
        break;
      case 3:
        broken("a tensor is split into segments");
      case 8:
        t.name = text(r);
        break;
      case 14:
        t.external = r.integer() == 1;
        break;
      case 13: {
        std::string key, value;
        entry(r, key, value);
        if (key == "location") t.location = value;
        int64_t* number = key == "offset" ? &t.offset : key == "length" ? &t.length : nullptr;
        if (!number) break;
        *number = 0;
        if (value.empty()) broken(cat({"the ", key, " of external data is empty"}));
        for (char c : value) {
          if (c < '0' || c > '9' || *number > (INT64_MAX - 9) / 10)
            broken(cat({"'", value.substr(0, 40), "' is no ", key, " of external data"}));
          *number = *number * 10 + (c - '0');
        }
        break;
      }
      default:
        break;
    }
  return t;
}

SparseTensorProto Parser::sparse(std::string_view bytes) {
  SparseTensorProto s;
  for (WireReader r = open(bytes); r.next();) {
    if (r.field() == 1) s.values = tensor(r.bytes());
    if (r.field() == 2) s.indices = tensor(r.bytes());
    if (r.field() == 3) dims(r, s.dims);
  }
  return s;
}

void Parser::type(std::string_view bytes, TypeInfo& out, int depth) {
  if (depth > kMaxDepth) broken("its types are nested too deeply");
  for (WireReader r = open(bytes); r.next();) {
    const uint32_t kind = r.field();
    if (kind != 1 && kind != 4 && kind != 9) continue;
    out.kind = kind == 1   ? TypeInfo::Kind::tensor
               : kind == 4 ? TypeInfo::Kind::sequence
                           : TypeInfo::Kind::optional;
    for (WireReader t = open(r.bytes()); t.next();) {
      if (kind != 1) {
        if (t.field() == 1) type(t.bytes(), add(out.of), depth + 1);
        continue;
      }
      if (t.field() == 1) out.elem = static_cast<Elem>(t.integer());
      if (t.field() != 2) continue;
      out.has_shape = true;
      for (WireReader s = open(t.bytes()); s.next();) {
        if (s.field() != 1) continue;
        number(out.dims, -1);
        std::string& name = add(out.names);
        for (WireReader d = open(s.bytes()); d.next();) {
          if (d.field() == 1) out.dims.back() = d.integer();
          if (d.field() == 2) name = text(d);
        }
      }
    }
  }
}

void Parser::value_info(std::string_view bytes, ValueInfo& out) {
  for (WireReader r = open(bytes); r.next();) {
    if (r.field() == 1) out.name = text(r);
    if (r.field() == 2) type(r.bytes(), out.type, 0);
  }
}

void Parser::attribute(std::string_view bytes, AttributeProto& out, int depth) {
  const auto add_graph = [&](const WireReader& r) {
    charge(sizeof(GraphProto) + 64);
    out.graphs.push_back(std::make_shared<GraphProto>());
    graph(r.bytes(), *out.graphs.back(), depth + 1);
  };
  int seen = 0;  // files of the first version do not say the type
  for (WireReader r = open(bytes); r.next();) {
    switch (r.field()) {
      case 1:
        out.name = text(r);
        continue;
      case 2:
        out.f = r.real();
        seen = 1;
        break;
      case 3:
        out.i = r.integer();
        seen = 2;
        break;
      case 4:
        out.s = text(r);
        seen = 3;
        break;
      case 5:
        add(out.tensors) = tensor(r.bytes());
        seen = 4;
        break;
      case 6:
        add_graph(r);
        seen = 5;
        break;
      case 7:
        charge(2 * r.wire_size());
        r.reals(out.floats);
        seen = 6;
        break;
      case 8:
        r.integers([&](int64_t v) { number(out.ints, v); });
        seen = 7;
        break;
      case 9:
        add(out.strings) = text(r);
        seen = 8;
        break;
      case 10:
        add(out.tensors) = tensor(r.bytes());
        seen = 9;
        break;
      case 11:
        add_graph(r);
        seen = 10;
        break;
      case 14:
        type(r.bytes(), add(out.types), 0);
        seen = 13;
        break;
      case 15:
        type(r.bytes(), add(out.types), 0);
        seen = 14;
        break;
      case 20:
        out.type = static_cast<int>(r.integer());
        break;
      case 21:
        out.ref = text(r);
        break;
      case 22:
        add(out.sparse) = sparse(r.bytes());
        seen = 11;
        break;
      case 23:
        add(out.sparse) = sparse(r.bytes());
        seen = 12;
        break;
      default:
        break;
    }
  }
  if (out.type == 0) out.type = seen;
}

void Parser::node(std::string_view bytes, NodeProto& out, int depth) {
  for (WireReader r = open(bytes); r.next();) switch (r.field()) {
      case 1:
        add(out.inputs) = text(r);
        break;
      case 2:
        add(out.outputs) = text(r);
        break;
      case 3:
        out.name = text(r);
        break;
      case 4:
        out.op = text(r);
        break;
      case 5:
        attribute(r.bytes(), add(out.attributes), depth);
        break;
      case 7:
        out.domain = text(r);
        break;
      default:
        break;
    }
  if (out.domain == "ai.onnx") out.domain.clear();
}

void Parser::graph(std::string_view bytes, GraphProto& out, int depth) {
  if (depth > kMaxDepth) broken("its graphs are nested more than 64 deep");
  reserve(out.nodes, bytes, 1);
  reserve(out.initializers, bytes, 5);
  for (WireReader r = open(bytes); r.next();) switch (r.field()) {
      case 1:
        node(r.bytes(), add(out.nodes), depth);
        break;
      case 2:
        out.name = text(r);
        break;
      case 5:
        add(out.initializers) = tensor(r.bytes());
        break;
      case 11:
        value_info(r.bytes(), add(out.inputs));
        break;
      case 12:
        value_info(r.bytes(), add(out.outputs));
        break;
      case 15: {
        auto& s = add(out.sparse_initializers);
        s.second = sparse(r.bytes());
        s.first = s.second.values.name;
        break;
      }
      default:
        break;
    }
}

void Parser::function(std::string_view bytes, FunctionProto& out) {
  for (WireReader r = open(bytes); r.next();) switch (r.field()) {
      case 1:
        out.name = text(r);
        break;
      case 4:
        add(out.inputs) = text(r);
        break;
      case 5:
        add(out.outputs) = text(r);
        break;
      case 7:
        node(r.bytes(), add(out.nodes), 0);
        break;
      case 9:
        opset(r, out.opsets);
        break;
      case 10:
        out.domain = text(r);
        break;
      case 11:
        attribute(r.bytes(), add(out.defaults), 0);
        break;
      default:
        break;
    }
  if (out.domain == "ai.onnx") out.domain.clear();
}

ModelProto Parser::model(std::string_view bytes) {
  ModelProto m;
  bool has_graph = false;
  for (WireReader r = open(bytes); r.next();) switch (r.field()) {
      case 1:
        m.ir_version = r.integer();
        break;
      case 2:
        m.producer = text(r);
        break;
      case 7:
        graph(r.bytes(), m.graph, 0);
        has_graph = true;
        break;
      case 8:
        opset(r, m.opsets);
        break;
      case 14: {
        std::string key, value;
        entry(r, key, value);
        m.metadata[key] = value;
        break;
      }
      case 25:
        charge(sizeof(FunctionProto) + 64);
        m.functions.push_back(std::make_unique<FunctionProto>());
        function(r.bytes(), *m.functions.back());
        break;
      default:
        break;
    }
  if (!has_graph) broken("it holds no graph, so it is not an ONNX model");
  return m;
}

}  // namespace

ModelProto parse_model(std::string_view bytes, std::string_view what) {
  return Parser(bytes.size(), what).model(bytes);
}

TensorProto parse_tensor(std::string_view bytes, std::string_view what) {
  return Parser(bytes.size(), what).tensor(bytes);
}

}  // namespace nacre::onnx
