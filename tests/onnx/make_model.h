// ONNX files for tests, put together by hand.
#pragma once

#include <string>
#include <vector>

#include "formats/wire.h"

namespace nacre::onnx::make {

inline WireWriter tensor(const std::string& name, const std::vector<int64_t>& dims,
                         const std::vector<float>& values) {
  WireWriter t;
  t.integers(1, dims);
  t.integer(2, 1);
  t.reals(4, values);
  t.bytes(8, name);
  return t;
}

inline WireWriter integers(const std::string& name, const std::vector<int64_t>& values) {
  WireWriter t;
  t.integers(1, {static_cast<int64_t>(values.size())});
  t.integer(2, 7);
  t.integers(7, values);
  t.bytes(8, name);
  return t;
}

/// A tensor whose data lie in another file.
inline WireWriter external(const std::string& name, const std::vector<int64_t>& dims,
                           const std::string& location, const std::string& offset = "",
                           const std::string& length = "") {
  WireWriter t;
  t.integers(1, dims);
  t.integer(2, 1);
  t.bytes(8, name);
  const auto entry = [&](const std::string& key, const std::string& value) {
    WireWriter e;
    e.bytes(1, key);
    e.bytes(2, value);
    t.message(13, e);
  };
  entry("location", location);
  if (!offset.empty()) entry("offset", offset);
  if (!length.empty()) entry("length", length);
  t.integer(14, 1);
  return t;
}

/// A named value; float of these dimensions, or without a type.
inline WireWriter value(const std::string& name, const std::vector<int64_t>& dims,
                        bool typed = true) {
  WireWriter v;
  v.bytes(1, name);
  if (!typed) return v;
  WireWriter shape, tensor_type, type;
  for (int64_t d : dims) {
    WireWriter dim;
    if (d >= 0) dim.integer(1, d);
    shape.message(1, dim);
  }
  tensor_type.integer(1, 1);
  tensor_type.message(2, shape);
  type.message(1, tensor_type);
  v.message(2, type);
  return v;
}

inline WireWriter attribute(const std::string& name, int64_t i) {
  WireWriter a;
  a.bytes(1, name);
  a.integer(3, i);
  a.integer(20, 2);
  return a;
}
inline WireWriter attribute(const std::string& name, const WireWriter& graph) {
  WireWriter a;
  a.bytes(1, name);
  a.message(6, graph);
  a.integer(20, 5);
  return a;
}

inline WireWriter node(const std::string& op, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const std::vector<WireWriter>& attributes = {}, const std::string& name = "",
                       const std::string& domain = "") {
  WireWriter n;
  for (const auto& i : inputs) n.bytes(1, i);
  for (const auto& o : outputs) n.bytes(2, o);
  n.bytes(3, name);
  n.bytes(4, op);
  for (const auto& a : attributes) n.message(5, a);
  if (!domain.empty()) n.bytes(7, domain);
  return n;
}

struct Parts {
  std::vector<WireWriter> nodes, initializers, inputs, outputs, functions;
  int64_t opset = 17;
};

inline WireWriter graph(const Parts& p) {
  WireWriter g;
  for (const auto& n : p.nodes) g.message(1, n);
  g.bytes(2, "graph");
  for (const auto& t : p.initializers) g.message(5, t);
  for (const auto& v : p.inputs) g.message(11, v);
  for (const auto& v : p.outputs) g.message(12, v);
  return g;
}

inline std::string model(const Parts& p) {
  WireWriter m, opset;
  m.integer(1, 8);
  opset.bytes(1, "");
  opset.integer(2, p.opset);
  m.message(7, graph(p));
  m.message(8, opset);
  for (const auto& f : p.functions) m.message(25, f);
  return m.str();
}

/// y = Gemm(x, w, b) with w 3x2.
inline Parts linear() {
  return {{node("Gemm", {"x", "w", "b"}, {"y"}, {}, "fc")},
          {tensor("w", {3, 2}, {1, 2, 3, 4, 5, 6}), tensor("b", {2}, {10, 20})},
          {value("x", {-1, 3})},
          {value("y", {-1, 2})},
          {}};
}

}  // namespace nacre::onnx::make
