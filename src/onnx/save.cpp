#include "onnx/save.h"

#include <cstring>

#include "base/file.h"
#include "compile/rewrite.h"
#include "nacre/graph.h"
#include "nacre/onnx.h"

namespace nacre::onnx {

// ---- attributes of a node

namespace {

template <typename Map>
class Reader : public FieldVisitor {
 public:
  explicit Reader(Map& out) : out_(out) {}
  void operator()(const char* name, bool& v) override { out_.emplace(name, v); }
  void operator()(const char* name, int64_t& v) override { out_.emplace(name, v); }
  void operator()(const char* name, double& v) override { out_.emplace(name, v); }
  void operator()(const char* name, std::string& v) override { out_.emplace(name, v); }
  void operator()(const char* name, Ints& v) override { out_.emplace(name, v); }
  void operator()(const char* name, DType& v) override { out_.emplace(name, v); }
  void operator()(const char*, std::shared_ptr<const Graph>&) override {}

 private:
  Map& out_;
};

}  // namespace

Fields::Fields(const Node& n) {
  if (!n.op || !n.op->attrs || !n.attrs) return;
  Reader reader(fields_);
  n.op->attrs->visit(const_cast<void*>(n.attrs.get()), reader);  // a Reader changes nothing
}

const Fields::Field& Fields::at(const std::string& name) const {
  const auto found = fields_.find(name);
  if (found == fields_.end())
    fail(Error::Kind::internal, {"an op has no attribute '", name, "' to export"});
  return found->second;
}

// ---- parts of a file

std::string Writer::fresh(const std::string& stem) {
  const int64_t n = names_[stem]++;
  return n ? cat({stem, "_", n}) : stem;
}

std::vector<std::string> Writer::add(const std::string& op, const std::vector<std::string>& inputs,
                                     const Attributes& attributes, size_t outputs) {
  WireWriter node;
  for (const std::string& i : inputs) node.bytes(1, i);
  const std::string name = fresh(layer.empty() ? op : layer + "." + op);
  std::vector<std::string> results;
  for (size_t k = 0; k < outputs; ++k) {
    results.push_back(k ? cat({name, ":", k}) : name);
    node.bytes(2, results.back());
  }
  node.bytes(3, name);
  node.bytes(4, op);
  for (const auto& [key, value] : attributes) {
    WireWriter a;
    a.bytes(1, key);
    if (const auto* i = std::get_if<int64_t>(&value)) {
      a.integer(3, *i);
      a.integer(20, 2);
    } else if (const auto* f = std::get_if<double>(&value)) {
      a.real(2, static_cast<float>(*f));
      a.integer(20, 1);
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      a.bytes(4, *s);
      a.integer(20, 3);
    } else {
      for (int64_t v : std::get<Ints>(value)) a.integer(8, v);
      a.integer(20, 7);
    }
    node.message(5, a);
  }
  graph.message(1, node);
  return results;
}

std::string Writer::tensor(const Tensor& value, const std::string& name) {
  WireWriter t;
  t.integers(1, {value.shape().begin(), value.shape().end()});
  t.integer(2, static_cast<int64_t>(elem_of(value.dtype())));
  const std::string used = fresh(name.empty() ? "constant" : name);
  t.bytes(8, used);
  t.bytes(9, {static_cast<const char*>(value.data()),
              static_cast<size_t>(value.numel()) * size_of(value.dtype())});
  graph.message(5, t);
  return used;
}

std::string Writer::ints(const Ints& v) {
  std::string& name = stored_[cat({"i", as_list(v)})];
  if (name.empty())
    name = tensor(Tensor::from_bytes(v.data(), v.size() * sizeof(int64_t), {v.rank()}, DType::i64));
  return name;
}

std::string Writer::number(double v, DType t) {
  const Tensor value = Tensor::scalar(v, t);
  std::string& name = stored_[std::string(nacre::name_of(t)) +
                              std::string(static_cast<const char*>(value.data()), size_of(t))];
  if (name.empty()) name = tensor(value);
  return name;
}

std::string Writer::sizes(const Shape& a, const Shape& b) {
  if (a == b) return ints(a);
  // One size that depends on the batch is whatever is left, unless there are zeros.
  std::vector<std::string> parts;
  const std::string batch =
      node("Slice", {node("Shape", {input}), ints({0}), ints({1}), ints({0})});
  for (int64_t d = 0; d < a.rank(); ++d) {
    const int64_t each = b[d] - a[d];
    if (each == 0) {
      parts.push_back(ints({a[d]}));
    } else if (a[d] == 2 * each) {
      parts.push_back(each == 1 ? batch : node("Mul", {batch, ints({each})}));
    } else {
      fail(Error::Kind::unsupported, {"a size of ", a[d], " for a batch of 2 and of ", b[d],
                                      " for one of 3 cannot be exported"});
    }
  }
  return parts.size() == 1 ? parts[0] : node("Concat", parts, {{"axis", int64_t{0}}});
}

// ---- from nodes to nodes

namespace {

/// Writes the nodes of a graph that was recorded for two sizes of the batch.
class Exporter {
 public:
  Exporter(Writer& w, const Module& net, const Graph& graph) : w_(w), uses_(count_uses(graph)) {
    for (const Variable& v : net.variables()) variables_.emplace(v.value().node(), v.name());
  }

  void name(const Tensor& t, const std::string& as) { names_[{t.node(), t.index()}] = as; }

  /// The value's name, once all that it depends on is written.
  std::string write(const Tensor& a, const Tensor& b) {
    write_nodes({a}, {b});
    return names_.at({a.node(), a.index()});
  }

  void report() const {
    if (unknown_.empty()) return;
    std::string text;
    for (const auto& [op, n] : unknown_)
      text += cat({text.empty() ? "" : ", ", op, " (", n, n == 1 ? " time)" : " times)"});
    fail(Error::Kind::unsupported, {"ONNX export has no form for these ops: ", text});
  }

 private:
  bool known(const Tensor& t) const { return names_.contains({t.node(), t.index()}); }

  void write_nodes(const Tensors& a, const Tensors& b) {
    std::vector<std::pair<Tensor, Tensor>> open;
    for (size_t k = a.size(); k-- > 0;) open.emplace_back(a[k], b[k]);
    while (!open.empty()) {
      const auto [x, y] = open.back();
      if (known(x)) {
        open.pop_back();
        continue;
      }
      const Node &n = *x.node(), &twin = *y.node();
      const bool leaf = !n.op || n.evaluated || n.inputs.size() == 0;
      if (!leaf && (!twin.op || n.op != twin.op || n.inputs.size() != twin.inputs.size()))
        fail(Error::Kind::unsupported,
             {"the model computes differently for batches of 2 and of 3", place_of(n)});
      const Tensors whole = leaf ? Tensors() : with_bias(n);
      const Tensors in = whole.empty() ? Tensors(n.inputs.begin(), n.inputs.end()) : whole,
                    twins = whole.empty() ? Tensors(twin.inputs.begin(), twin.inputs.end())
                                          : parts_with_bias(twin);
      bool ready = true;
      for (size_t k = 0; !leaf && k < in.size(); ++k)
        if (!known(in[k])) {
          open.emplace_back(in[k], twins[k]);
          ready = false;
        }
      if (!ready) continue;
      open.pop_back();
      if (leaf)
        constant(x, y);
      else if (!whole.empty())
        product_with_bias(n, twin, whole);
      else
        node(n, twin);
    }
  }

  void constant(const Tensor& x, const Tensor& y) {
    if (x.shape() != y.shape()) {  // values of a filled tensor that grows with the batch
      const Tensor one = x.numel() ? reshape(x, {x.numel()}) : x;
      Ints first(static_cast<size_t>(x.rank()), 0), unit(static_cast<size_t>(x.rank()), 1);
      const Tensor corner = slices(x, first, unit);
      const auto values = one.to_vector<double>();
      for (double v : values)
        if (v != values[0])
          fail(Error::Kind::unsupported, {"a constant of the model depends on the batch's size"});
      name(x, w_.node("Expand", {w_.tensor(corner), w_.sizes(x.shape(), y.shape())}));
      return;
    }
    const auto v = variables_.find(x.node());
    name(x, w_.tensor(x, v == variables_.end() ? "" : v->second));
  }

  /// Of an addition of a dequantized bias to a convolution or product that nothing else reads: x,
  /// weight and bias, for runtimes take only the three together as integers. Empty for others.
  Tensors with_bias(const Node& n) const {
    if (!is_op(&n, "add")) return {};
    const Node* product = n.inputs[0].node();
    const auto uses = uses_.find(product);
    if (uses == uses_.end() || uses->second != 1 || n.outputs[0].shape != n.inputs[0].shape())
      return {};
    const Tensors parts = parts_with_bias(n);
    if (parts.empty() || !is_op(parts[2].node(), "dequantize") || parts[2].rank() != 1) return {};
    if (is_op(product, "conv")) return is_op(n.inputs[1].node(), "reshape") ? parts : Tensors();
    const bool plain = parts[0].rank() == 2 && is_op(n.inputs[1].node(), "dequantize");
    return plain && is_op(product->inputs[1].node(), "permute") ? parts : Tensors();
  }
  static Tensors parts_with_bias(const Node& n) {
    const Node *product = n.inputs[0].node(), *bias = n.inputs[1].node();
    const bool conv = is_op(product, "conv");
    if (!conv && !is_op(product, "matmul")) return {};
    const Tensor weight = product->inputs[1];
    return {product->inputs[0],
            !conv && is_op(weight.node(), "permute") ? weight.node()->inputs[0] : weight,
            is_op(bias, "reshape") ? bias->inputs[0] : n.inputs[1]};
  }
  void product_with_bias(const Node& n, const Node& twin, const Tensors& parts) {
    const Node &product = *n.inputs[0].node(), &other = *twin.inputs[0].node();
    std::vector<std::string> in;
    for (const Tensor& t : parts) in.push_back(names_.at({t.node(), t.index()}));
    if (product.layer) w_.layer = *product.layer;
    names_[{&n, 0}] = is_op(&product, "conv")
                          ? find_rule("conv")(w_, {product, other, in, Fields(product)})[0]
                          : w_.node("Gemm", in, {{"transB", int64_t{1}}});
  }

  void node(const Node& n, const Node& twin) {
    std::vector<std::string> in;
    for (const Tensor& t : n.inputs) in.push_back(names_.at({t.node(), t.index()}));
    if (n.layer) w_.layer = *n.layer;
    std::vector<std::string> out;
    if (const Rule rule = find_rule(n.op->name)) {
      out = rule(w_, {n, twin, in, Fields(n)});
    } else if (const std::string op = n.op->onnx;
               !op.empty() && !n.op->attrs && op.find(',') == std::string::npos &&
               n.outputs.size() == 1 && !(op == "Gelu" || op == "Mod")) {
      out = {w_.node(op == "Mish" && w_.opset < 18 ? "" : op, in)};
    }
    if (out.empty() && n.op->decompose) return parts(n, twin);
    if (out.empty()) {
      ++unknown_[n.op->name];
      out = {"?"};
    }
    for (size_t k = 0; k < n.outputs.size(); ++k)
      names_[{&n, static_cast<uint32_t>(k)}] = out[std::min(k, out.size() - 1)];
  }

  /// A composite in terms of other ops.
  void parts(const Node& n, const Node& twin) {
    const auto decomposed = [](const Node& from) {
      MadeFor place(from);
      Tracing constants;
      return from.op->decompose(from.attrs.get(), Tensors(from.inputs.begin(), from.inputs.end()));
    };
    const Tensors a = decomposed(n), b = decomposed(twin);
    kept_.insert(kept_.end(), a.begin(), a.end());
    kept_.insert(kept_.end(), b.begin(), b.end());
    write_nodes(a, b);
    for (size_t k = 0; k < a.size(); ++k)
      names_[{&n, static_cast<uint32_t>(k)}] = names_.at({a[k].node(), a[k].index()});
  }

  Writer& w_;
  const std::unordered_map<const Node*, int> uses_;  // of values of the graph
  std::map<const Node*, std::string> variables_;
  std::map<std::pair<const Node*, uint32_t>, std::string> names_;
  std::map<std::string, int64_t> unknown_;
  Tensors kept_;  // what decompositions made, so that its nodes stay
};

WireWriter value_info(const std::string& name, const Shape& shape, DType t, bool dynamic) {
  WireWriter dims, tensor, type, info;
  for (int64_t d = 0; d < shape.rank(); ++d) {
    WireWriter dim;
    if (d == 0 && dynamic)
      dim.bytes(2, "batch");
    else
      dim.integer(1, shape[d]);
    dims.message(1, dim);
  }
  tensor.integer(1, static_cast<int64_t>(elem_of(t)));
  tensor.message(2, dims);
  type.message(1, tensor);
  info.bytes(1, name);
  info.message(2, type);
  return info;
}

/// The version of the format that came with an opset.
int64_t ir_version(int64_t opset) {
  return opset >= 28   ? 14
         : opset >= 25 ? 13
         : opset >= 23 ? opset - 12
         : opset >= 21 ? 10
         : opset >= 19 ? 9
                       : 8;
}

}  // namespace

void save(const std::string& path, Module& net, const Shape& sample, const SaveOptions& options) {
  if (options.opset < 13 || options.opset > 28)
    fail(Error::Kind::usage, {"models are exported in opsets 13 to 28, not ", options.opset});
  const auto record = [&](int64_t batch) {
    Shape shape = sample;
    shape.insert(0, batch);
    NoGrad guard;
    return Graph::trace(
        [&](const Tensors& in) {
          Context ctx = Context::eval();
          return Tensors{net(in[0], ctx)};
        },
        {zeros(shape, options.input_type)});
  };
  const Graph a = record(2), b = record(3);
  Writer w(options.opset);
  w.input = "input";
  Exporter exporter(w, net, a);
  exporter.name(a.inputs()[0], "input");
  const std::string result = exporter.write(a.outputs()[0], b.outputs()[0]);
  exporter.report();
  WireWriter last, model, opset;
  last.bytes(1, result);
  last.bytes(2, "output");
  last.bytes(3, "output");
  last.bytes(4, "Identity");
  w.graph.message(1, last);
  w.graph.bytes(2, "nacre");
  w.graph.message(11, value_info("input", a.inputs()[0].shape(), options.input_type, true));
  w.graph.message(12, value_info("output", a.outputs()[0].shape(), a.outputs()[0].dtype(),
                                 a.outputs()[0].shape() != b.outputs()[0].shape()));
  model.integer(1, ir_version(options.opset));
  model.bytes(2, "nacre");
  model.message(7, w.graph);
  opset.bytes(1, "");
  opset.integer(2, options.opset);
  model.message(8, opset);
  for (const auto& [key, value] : options.metadata) {
    WireWriter entry;
    entry.bytes(1, key);
    entry.bytes(2, value);
    model.message(14, entry);
  }
  if (model.str().size() >= uint64_t{1} << 31)
    fail(Error::Kind::unsupported,
         {"the model has more than 2 GiB, which one ONNX file cannot hold"});
  write_file_atomic(path, model.str());
}

}  // namespace nacre::onnx
