// A trained model as a program file: traced for one sample, simplified by the compiler's passes,
// and written as the few steps that embed/format.h has.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "base/hash.h"
#include "compile/plan.h"
#include "compile/rewrite.h"
#include "embed/format.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/onnx.h"
#include "nacre/ops.h"
#include "nacre/predict.h"

namespace nacre {

extern const Pass pass_norm, pass_fold, pass_algebra, pass_cse;

namespace {

using embed::Op;

/// Composites become their parts, except those named.
Graph expanded(const Graph& graph, std::initializer_list<std::string_view> kept) {
  Graph g = graph;
  for (bool again = true; again;) {
    again = false;
    g = rewrite(g, [&](const Node& n, const Tensors& in) -> Tensors {
      if (n.op->kind != OpKind::composite || !n.op->decompose) return {};
      if (std::find(kept.begin(), kept.end(), n.op->name) != kept.end()) return {};
      again = true;
      return n.op->decompose(n.attrs.get(), in);
    });
  }
  return g;
}

Graph simplified(const Graph& graph) {
  Tracing guard;
  const CompileOptions options;
  Graph g = expanded(graph, {"batch_norm_infer", "softmax"});
  for (const Pass* pass : {&pass_fold, &pass_norm}) g = pass->run(g, options);
  g = expanded(g, {"softmax"});
  for (const Pass* pass : {&pass_fold, &pass_algebra, &pass_fold, &pass_cse})
    g = pass->run(g, options);
  return expanded(g, {"softmax"});
}

Graph traced(const Predictor& p) {
  Tensors like;
  for (const Predictor::Port& port : p.inputs()) {
    Shape shape = port.shape;
    for (int64_t& d : shape) d = std::max<int64_t>(d, 1);
    like.push_back(zeros(shape, port.dtype));
  }
  auto* onnx = dynamic_cast<onnx::Network*>(&p.net());
  return Graph::trace(
      [&](const Tensors& in) -> Tensors {
        NoGrad guard;
        Context ctx = Context::eval();
        if (!onnx) return {p.net()(in[0], ctx)};
        std::map<std::string, onnx::Value> values;
        for (size_t i = 0; i < in.size(); ++i)
          values[p.inputs()[i].name] = onnx::Value(in[i], onnx->inputs()[i].type.elem);
        Tensors out;
        for (const onnx::Value& v : onnx->run(values, ctx)) out.push_back(v.tensor());
        return out;
      },
      like);
}

template <size_t N>
int64_t place_of(const std::string_view (&names)[N], std::string_view name) {
  const auto* at = std::find(std::begin(names), std::end(names), name);
  return at == std::end(names) ? -1 : at - std::begin(names);
}

class Writer {
 public:
  explicit Writer(const Graph& graph) : graph_(graph) {
    for (Node* n : graph_.nodes())
      for (const Tensor& t : n->inputs) users_[t.node()].push_back(n);
    for (const Tensor& t : graph_.outputs()) users_[t.node()].push_back(nullptr);
    for (const Tensor& t : graph_.inputs())
      inputs.push_back(ids_[{t.node(), t.index()}] = fresh(t.shape()));
    for (Node* n : graph_.nodes())
      if (n->op && !n->evaluated && !fused_.contains(n)) add(*n);
    for (const Tensor& t : graph_.outputs()) outputs.push_back(id(t));
    if (unknown_.empty()) return;
    std::string list;
    for (const auto& [name, count] : unknown_)
      list += cat({list.empty() ? "" : ", ", name, " (", count, count == 1 ? " time)" : " times)"});
    fail(Error::Kind::unsupported,
         {"the runtime has no steps for ", unknown_.size(), " kinds of ops: ", list});
  }

  std::vector<uint32_t> inputs, outputs;

  std::string bytes(const Predictor& p) const {
    std::string out;
    const ModelInfo& info = p.info();
    text(out, info.model);
    text(out, info.transform);
    const Node* last = graph_.outputs()[0].node();
    number<uint8_t>(out, is_op(last, "softmax"));
    number<uint8_t>(out, p.batches());
    number(out, static_cast<uint32_t>(info.classes.size()));
    for (const std::string& c : info.classes) text(out, c);
    number(out, static_cast<uint32_t>(shapes_.size()));
    for (const Shape& s : shapes_) {
      number(out, static_cast<uint8_t>(s.size()));
      for (const int64_t d : s) number(out, d);
    }
    for (const auto& [ports, ids] : {std::pair{&p.inputs(), &inputs}, {&p.outputs(), &outputs}}) {
      number(out, static_cast<uint32_t>(ids->size()));
      for (size_t k = 0; k < ids->size(); ++k) {
        text(out, (*ports)[k].name);
        number(out, static_cast<uint8_t>((*ports)[k].dtype));
        number(out, (*ids)[k]);
      }
    }
    number(out, static_cast<uint32_t>(constants_.size()));
    uint64_t offset = 0;
    for (const auto& [v, values] : constants_) {
      number(out, v);
      number(out, offset);
      offset += (values.size() * 4 + 63) / 64 * 64;
    }
    number(out, count_);
    out += steps_;
    std::string file(embed::kMagic);
    number(file, embed::kVersion);
    out.insert(0, file.size() + 4, '\0');
    out.resize((out.size() + 63) / 64 * 64);
    for (const auto& [v, values] : constants_) {
      out.append(reinterpret_cast<const char*>(values.data()), values.size() * 4);
      out.resize((out.size() + 63) / 64 * 64);
    }
    out.replace(0, file.size(), file);
    const uint32_t checksum = crc32c(std::string_view(out).substr(file.size() + 4));
    std::memcpy(out.data() + file.size(), &checksum, 4);
    return out;
  }

 private:
  template <typename T>
  static void number(std::string& out, T v) {
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  static void text(std::string& out, const std::string& s) {
    number(out, static_cast<uint32_t>(s.size()));
    out += s;
  }

  uint32_t fresh(const Shape& shape) {
    shapes_.push_back(shape);
    return static_cast<uint32_t>(shapes_.size() - 1);
  }
  uint32_t constant(const Tensor& t, const Shape& shape) {
    const std::vector<double> wide = contiguous(t).to_vector<double>();
    std::vector<float> values(wide.begin(), wide.end());
    for (size_t i = 0; i < wide.size(); ++i)
      if (is_integer(t.dtype()) && static_cast<double>(values[i]) != wide[i])
        fail(Error::Kind::unsupported,
             {"the runtime computes in f32, which cannot hold the constant ", wide[i]});
    const uint32_t v = fresh(shape);
    constants_.emplace_back(v, std::move(values));
    return v;
  }
  uint32_t id(const Tensor& t) {
    const auto at = ids_.find({t.node(), t.index()});
    if (at != ids_.end()) return at->second;
    return ids_[{t.node(), t.index()}] = constant(t, t.shape());
  }

  void step(Op op, const std::vector<uint32_t>& in, uint32_t out,
            const std::vector<int64_t>& numbers) {
    number(steps_, static_cast<uint8_t>(op));
    number(steps_, static_cast<uint8_t>(in.size()));
    for (const uint32_t v : in) number(steps_, v);
    number(steps_, out);
    number(steps_, static_cast<uint8_t>(numbers.size()));
    for (const int64_t v : numbers) number(steps_, v);
    ++count_;
  }
  uint32_t reshaped(uint32_t v, const Shape& shape) {
    if (shapes_[v] == shape) return v;
    const uint32_t out = fresh(shape);
    step(Op::reshape, {v}, out, {});
    return out;
  }
  uint32_t view(uint32_t v, const Shape& shape, int64_t offset, const Shape& strides) {
    const uint32_t out = fresh(shape);
    std::vector<int64_t> numbers = {offset};
    numbers.insert(numbers.end(), strides.begin(), strides.end());
    step(Op::copy, {v}, out, numbers);
    return out;
  }

  static bool is(const Node* n, std::string_view op) { return n && is_op(n, op); }
  Node* sole_user(const Node* n) const {
    const auto at = users_.find(n);
    return at != users_.end() && at->second.size() == 1 ? at->second[0] : nullptr;
  }
  static bool is_number(const Tensor& t, double v) {
    return t.evaluated() && t.numel() == 1 && contiguous(t).to_vector<double>()[0] == v;
  }
  /// The operand of an elementwise node that is not `n`.
  static const Tensor& other(const Node* user, const Node* n) {
    return user->inputs[user->inputs[0].node() == n ? 1 : 0];
  }
  /// A bias for each entry of dimension `dim`, and the activation, of what follows node n; `n`
  /// becomes the last node that is taken in.
  std::pair<Tensor, int64_t> epilogue(const Node*& n, int64_t dim) {
    Tensor bias;
    const auto fits = [&](const Tensor& t) {
      const Shape& y = n->outputs[0].shape;
      if (!t.evaluated() || t.dtype() != DType::f32 || t.numel() != y[dim]) return false;
      const int64_t at = t.rank() + dim - y.rank();
      return at >= 0 && t.shape()[at] == y[dim];
    };
    Node* user = sole_user(n);
    if (is(user, "add") && fits(other(user, n)) &&
        user->inputs[0].node() != user->inputs[1].node()) {
      bias = other(user, n);
      fused_.insert(user);
      n = user;
      user = sole_user(n);
    }
    if (is(user, "relu")) {
      fused_.insert(user);
      n = user;
      return {bias, embed::kRelu};
    }
    for (const auto& [first, second, a, b] :
         {std::tuple{"maximum", "minimum", 0., 6.}, {"minimum", "maximum", 6., 0.}}) {
      if (!is(user, first) || !is_number(other(user, n), a)) continue;
      Node* next = sole_user(user);
      if (!is(next, second) || !is_number(other(next, user), b)) continue;
      fused_.insert(user);
      fused_.insert(next);
      n = next;
      return {bias, embed::kRelu6};
    }
    return {bias, embed::kNone};
  }

  void add(const Node& n);
  void add_conv(const Node& n);
  void add_pool(const Node& n, bool average);
  void add_reduce(const Node& n, int64_t function);
  void add_order(const Node& n);
  void add_roll(const Node& n);
  /// Whether a node or the caller reads this output of a node.
  bool is_read(const Node& n, uint32_t output) const {
    const auto is_it = [&](const Tensor& t) { return t.node() == &n && t.index() == output; };
    const auto at = users_.find(&n);
    if (at == users_.end()) return false;
    const auto reads = [&](const auto& tensors) {
      return std::any_of(tensors.begin(), tensors.end(), is_it);
    };
    for (const Node* user : at->second)
      if (user ? reads(user->inputs) : reads(graph_.outputs())) return true;
    return false;
  }
  AttrValue attr(const Node& n, const char* name) const {
    return attr_field(*n.op, n.attrs.get(), name);
  }
  Ints ints(const Node& n, const char* name) const { return std::get<Ints>(attr(n, name)); }
  void unknown(const Node& n) {
    ++unknown_[n.op->name];
    for (uint32_t k = 0; k < n.outputs.size(); ++k) ids_[{&n, k}] = fresh(n.outputs[k].shape);
  }

  Graph graph_;
  std::unordered_map<const Node*, std::vector<Node*>> users_;
  std::map<std::pair<const Node*, uint32_t>, uint32_t> ids_;  // by node and output
  std::set<const Node*> fused_;
  std::vector<Shape> shapes_;
  std::vector<std::pair<uint32_t, std::vector<float>>> constants_;
  std::string steps_;
  uint32_t count_ = 0;
  std::map<std::string, int> unknown_;
};

/// One spatial dimension is two, of which the first has size 1.
Shape with_plane(const Shape& s) { return s.rank() == 3 ? Shape{s[0], s[1], 1, s[2]} : s; }
void append(std::vector<int64_t>& to, const Ints& v, int64_t filler) {
  if (v.rank() == 1) to.push_back(filler);
  to.insert(to.end(), v.begin(), v.end());
}

void Writer::add_conv(const Node& n) {
  const Shape &x = n.inputs[0].shape(), &w = n.inputs[1].shape();
  if (x.rank() > 4) return unknown(n);
  std::vector<int64_t> numbers = {std::get<int64_t>(attr(n, "groups"))};
  append(numbers, ints(n, "stride"), 1);
  append(numbers, ints(n, "dilation"), 1);
  append(numbers, ints(n, "pad_low"), 0);
  append(numbers, ints(n, "pad_high"), 0);
  for (size_t k = 5; k < 9; ++k)
    if (numbers[k] < 0) return unknown(n);
  const Node* last = &n;
  const auto [bias, activation] = epilogue(last, 1);
  numbers.push_back(activation);
  std::vector<uint32_t> in = {reshaped(id(n.inputs[0]), with_plane(x)),
                              reshaped(id(n.inputs[1]), with_plane(w))};
  if (bias.defined()) in.push_back(constant(bias, {bias.numel()}));
  const uint32_t y = fresh(with_plane(n.outputs[0].shape));
  step(Op::conv, in, y, numbers);
  ids_[{last, 0}] = reshaped(y, n.outputs[0].shape);
}

void Writer::add_pool(const Node& n, bool average) {
  if (n.inputs[0].shape().rank() > 4 || is_read(n, 1)) return unknown(n);
  std::vector<int64_t> numbers;
  append(numbers, ints(n, "kernel"), 1);
  append(numbers, ints(n, "stride"), 1);
  append(numbers, ints(n, "dilation"), 1);
  append(numbers, ints(n, "pad_low"), 0);
  append(numbers, ints(n, "pad_high"), 0);
  for (size_t k = 6; k < 10; ++k)
    if (numbers[k] < 0) return unknown(n);
  if (average) numbers.push_back(std::get<bool>(attr(n, "include_pad")));
  const uint32_t y = fresh(with_plane(n.outputs[0].shape));
  step(average ? Op::avg_pool : Op::max_pool,
       {reshaped(id(n.inputs[0]), with_plane(n.inputs[0].shape()))}, y, numbers);
  ids_[{&n, 0}] = reshaped(y, n.outputs[0].shape);
}

void Writer::add_reduce(const Node& n, int64_t function) {
  const Shape& x = n.inputs[0].shape();
  const Ints dims = ints(n, "dims");
  uint32_t from = id(n.inputs[0]);
  if (dims.empty()) {
    ids_[{&n, 0}] = reshaped(from, n.outputs[0].shape);
    return;
  }
  std::vector<int64_t> numbers = {function};
  const bool together = dims[-1] - dims[0] == dims.rank() - 1;
  if (together) {
    numbers.insert(numbers.end(), dims.begin(), dims.end());
  } else {  // last, in one piece
    const Shape strides = contiguous_strides(x);
    Shape order, turned;
    for (int64_t pass = 0; pass < 2; ++pass)
      for (int64_t d = 0; d < x.rank(); ++d)
        if ((std::find(dims.begin(), dims.end(), d) != dims.end()) == (pass == 1)) {
          order.push_back(strides[d]);
          turned.push_back(x[d]);
        }
    from = view(from, turned, 0, order);
    for (int64_t d = x.rank() - dims.rank(); d < x.rank(); ++d) numbers.push_back(d);
  }
  const uint32_t y = fresh(n.outputs[0].shape);
  step(Op::reduce, {from}, y, numbers);
  ids_[{&n, 0}] = y;
}

/// sort, topk and argmax: positions in order, and the values there.
void Writer::add_order(const Node& n) {
  const Shape& x = n.inputs[0].shape();
  const int64_t dim = std::get<int64_t>(attr(n, "dim"));
  const bool best = is_op(&n, "argmax"), top = is_op(&n, "topk");
  if (x.rank() == 0 || x[dim] > (1 << 24)) return unknown(n);
  const bool descending = best || std::get<bool>(attr(n, top ? "largest" : "descending"));
  Shape shape = best ? x : n.outputs[0].shape;
  if (best) shape[dim] = 1;
  const uint32_t from = id(n.inputs[0]), positions = fresh(shape);
  step(Op::order, {from}, positions, {dim, descending});
  if (best) {
    ids_[{&n, 0}] = reshaped(positions, n.outputs[0].shape);
    return;
  }
  ids_[{&n, 1}] = positions;
  if (!is_read(n, 0)) return;
  ids_[{&n, 0}] = fresh(shape);
  step(Op::gather, {from, positions}, ids_[{&n, 0}], {dim});
}

void Writer::add_roll(const Node& n) {
  const Shape& x = n.inputs[0].shape();
  const Ints shifts = ints(n, "shifts"), dims = ints(n, "dims");
  const Shape strides = contiguous_strides(x);
  uint32_t from = id(n.inputs[0]);
  for (int64_t k = 0; k < dims.rank(); ++k) {
    const int64_t dim = dims[k], first = (x[dim] - shifts[k] % x[dim]) % x[dim];
    if (first == 0) continue;
    Shape tail = x, head = x;
    tail[dim] = x[dim] - first;
    head[dim] = first;
    const std::vector<uint32_t> pieces = {view(from, tail, first * strides[dim], strides),
                                          view(from, head, 0, strides)};
    from = fresh(x);
    step(Op::concat, pieces, from, {dim});
  }
  ids_[{&n, 0}] = from;
}

void Writer::add(const Node& n) {
  const std::string_view op = n.op->name;
  const Shape& out = n.outputs[0].shape;
  bool whole = false;  // numbers that f32 would not hold, or would round
  for (const Output& o : n.outputs) {
    if (o.dtype == DType::f64 || o.dtype == DType::bf16 || o.dtype == DType::f16) return unknown(n);
    whole = whole || is_integer(o.dtype);
  }
  for (const int64_t d : out)
    if (d < 1) return unknown(n);
  if (op == "conv") return add_conv(n);
  if (op == "max_pool" || op == "avg_pool") return add_pool(n, op == "avg_pool");
  if (op == "sort" || op == "topk" || op == "argmax") return add_order(n);
  if (n.outputs.size() != 1) return unknown(n);
  if (op == "roll") return add_roll(n);
  if (n.op->kind == OpKind::view || op == "contiguous") {
    const Shape& x = n.inputs[0].shape();
    const uint32_t from = id(n.inputs[0]);
    if (op == "reshape" || op == "identity" || op == "stop_gradient" || op == "barrier" ||
        op == "contiguous") {
      if (n.inputs.size() != 1) return unknown(n);
      ids_[{&n, 0}] = reshaped(from, out);
      return;
    }
    const auto v = n.op->view(n.attrs.get(), x, contiguous_strides(x), out);
    if (!v) return unknown(n);
    ids_[{&n, 0}] = view(from, out, v->offset, v->strides);
    return;
  }
  if (op == "flip") {
    Shape strides = contiguous_strides(out);
    int64_t offset = 0;
    for (const int64_t d : ints(n, "dims")) {
      offset += (out[d] - 1) * strides[d];
      strides[d] = -strides[d];
    }
    ids_[{&n, 0}] = view(id(n.inputs[0]), out, offset, strides);
    return;
  }
  if (op == "cast") {
    const DType from = n.inputs[0].dtype(), to = n.outputs[0].dtype;
    if (to == DType::boolean || (is_integer(to) && is_float(from))) {
      const uint32_t y = fresh(out);
      step(Op::unary, {id(n.inputs[0])}, y,
           {place_of(embed::kUnary, to == DType::boolean ? "to_boolean" : "to_integer")});
      ids_[{&n, 0}] = y;
    } else {
      ids_[{&n, 0}] = reshaped(id(n.inputs[0]), out);
    }
    return;
  }
  if (op == "matmul" && !whole) {
    const Node* last = &n;
    const auto [bias, activation] = epilogue(last, out.rank() - 1);
    std::vector<uint32_t> in = {id(n.inputs[0]), id(n.inputs[1])};
    if (bias.defined()) in.push_back(constant(bias, {bias.numel()}));
    const uint32_t y = fresh(out);
    step(Op::matmul, in, y, {activation});
    ids_[{last, 0}] = y;
    return;
  }
  if (const int64_t f = place_of(embed::kReduce, op); f >= 0 && (!whole || f >= 2))
    return add_reduce(n, f);
  std::vector<uint32_t> in;
  for (const Tensor& t : n.inputs) in.push_back(id(t));
  const uint32_t y = fresh(out);
  const int64_t one = place_of(embed::kUnary, op), two = place_of(embed::kBinary, op);
  const bool exact = !whole || op == "add" || op == "sub" || op == "mul" || op == "neg" ||
                     op == "abs" || op == "maximum" || op == "minimum";
  if (one >= 0 && exact) {
    step(Op::unary, in, y, {one});
  } else if (two >= 0 && exact) {
    step(Op::binary, in, y, {two});
  } else if (op == "isnan") {
    step(Op::binary, {in[0], in[0]}, y, {place_of(embed::kBinary, "ne")});
  } else if (op == "where") {
    step(Op::select, in, y, {});
  } else if (op == "softmax") {
    step(Op::softmax, in, y, {std::get<int64_t>(attr(n, "dim"))});
  } else if (op == "concat" && in.size() < 256) {
    step(Op::concat, in, y, {std::get<int64_t>(attr(n, "dim"))});
  } else if (op == "gather") {
    step(Op::gather, in, y, {std::get<int64_t>(attr(n, "dim"))});
  } else if (op == "index_select") {
    step(Op::take, in, y, {std::get<int64_t>(attr(n, "dim"))});
  } else if (op == "pad" && std::get<std::string>(attr(n, "mode")) == "constant") {
    const Ints low = ints(n, "low"), high = ints(n, "high");
    const auto negative = [](int64_t v) { return v < 0; };
    if (std::any_of(low.begin(), low.end(), negative) ||
        std::any_of(high.begin(), high.end(), negative))
      return unknown(n);
    step(Op::pad, in, y, {low.begin(), low.end()});
  } else {
    return unknown(n);
  }
  ids_[{&n, 0}] = y;
}

}  // namespace

std::string export_program(const Predictor& p) {
  if (p.inputs().empty() ||
      (!dynamic_cast<const onnx::Network*>(&p.net()) && p.info().input.empty()))
    fail(Error::Kind::unsupported, {"the model does not say what shape its input has"});
  return Writer(simplified(traced(p))).bytes(p);
}

}  // namespace nacre
