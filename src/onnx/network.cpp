#include "nacre/onnx.h"

#include <filesystem>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/nearest.h"
#include "formats/wire.h"
#include "graph/node.h"
#include "graph/untraced.h"
#include "onnx/call.h"
#include "onnx/check.h"
#include "onnx/tensor_data.h"

namespace nacre::onnx {

constexpr uint64_t kFileCap = uint64_t{1} << 38;
constexpr int kMaxCallDepth = 200;  // of functions and subgraphs

struct Network::Impl {
  ModelProto model;
  struct Stored {
    std::string name;
    Variable variable;  ///< undefined: text
    Value text;
    Elem elem;
  };
  std::vector<Stored> stored;
  std::vector<Port> inputs, outputs;
  std::vector<std::string> optional_inputs;  ///< initialisers that a caller may replace
  bool leaves = false;                       ///< a node takes gradients with respect to inputs
  int64_t opset = 1;
};

namespace {

/// What a node is called in messages: its name, or its operator and what it makes.
std::string path_of(const NodeProto& n) {
  if (!n.name.empty()) return n.name;
  for (const std::string& o : n.outputs)
    if (!o.empty()) return n.op + ":" + o;
  return n.op;
}

Values run_function(const Call& c, const FunctionProto& f, const Frame& from, Context& ctx);

/// Whether this is arithmetic on sizes: few integers that are known already. In a trace it is done
/// at once, as shapes have to be known there.
bool is_shape_arithmetic(const Call& c) {
  static const std::set<std::string_view> ops = {"Abs",
                                                 "Add",
                                                 "And",
                                                 "Cast",
                                                 "Clip",
                                                 "Concat",
                                                 "ConstantOfShape",
                                                 "CumSum",
                                                 "Div",
                                                 "Equal",
                                                 "Expand",
                                                 "Flatten",
                                                 "Gather",
                                                 "GatherElements",
                                                 "GatherND",
                                                 "Greater",
                                                 "GreaterOrEqual",
                                                 "Identity",
                                                 "Less",
                                                 "LessOrEqual",
                                                 "Max",
                                                 "Min",
                                                 "Mod",
                                                 "Mul",
                                                 "Neg",
                                                 "NonZero",
                                                 "Not",
                                                 "OneHot",
                                                 "Or",
                                                 "Pow",
                                                 "Range",
                                                 "ReduceMax",
                                                 "ReduceMin",
                                                 "ReduceProd",
                                                 "ReduceSum",
                                                 "Reshape",
                                                 "ScatterElements",
                                                 "ScatterND",
                                                 "Sign",
                                                 "Slice",
                                                 "Split",
                                                 "Squeeze",
                                                 "Sub",
                                                 "Tile",
                                                 "TopK",
                                                 "Transpose",
                                                 "Unsqueeze",
                                                 "Where",
                                                 "Xor"};
  constexpr int64_t kMost = 1024;
  if (!tracing() || !c.node.known || !ops.contains(c.node.op) || c.in.empty()) return false;
  return std::all_of(c.in.all().begin(), c.in.all().end(), [](const Value& v) {
    return v.is_none() || (v.is_tensor() && !is_float(v.tensor().dtype()) &&
                           v.tensor().numel() <= kMost && v.tensor().evaluated());
  });
}

/// What an operator of ONNX gives.
Values run_known(Call& c) {
  check_types(c);
  const bool at_once = is_shape_arithmetic(c);
  std::optional<Untraced> free;
  if (at_once) free.emplace();
  Values out = c.apply();
  for (const Value& v : out) {
    if (!v.is_tensor()) continue;
    check_fits(v.tensor().shape(), v.tensor().dtype());  // not all of them would take memory
    if (at_once) eval(v.tensor());
  }
  return out;
}

void run_node(const NodeProto& n, Frame& frame, Context& ctx,
              const decltype(Network::on_node)* watch) {
  const std::string path = path_of(n);
  ModulePath guard(path);
  Values out;
  try {
    Call c(n, frame, ctx);
    out = n.function ? run_function(c, *n.function, frame, ctx) : run_known(c);
  } catch (const Error& e) {
    const std::string text = e.what();
    if (text.find(path) != std::string::npos) throw;
    throw Error(e.kind(), cat({text, " (node '", path, "', ", n.op, ")"}));
  }
  if (out.size() < n.outputs.size()) out.resize(n.outputs.size());
  if (watch && *watch) (*watch)({n.op, n.name, n.inputs, out});
  for (size_t k = 0; k < n.outputs.size(); ++k)
    if (!n.outputs[k].empty()) frame.values[n.outputs[k]] = std::move(out[k]);
  for (const std::string& name : n.last_uses) frame.values.erase(name);
}

Values collect(Frame& frame, const std::string& name) {
  for (const Frame* f = &frame; f; f = f->outer)
    if (const auto at = f->values.find(name); at != f->values.end()) return {at->second};
  fail(Error::Kind::data, {"nothing has made the value '", name, "'"});
}

Values run_function(const Call& c, const FunctionProto& f, const Frame& from, Context& ctx) {
  if (from.depth > kMaxCallDepth) c.fail({"functions are nested too deeply"});
  // Attributes of the call may themselves stand for those of a function around it.
  std::vector<const AttributeProto*> attributes;
  std::vector<AttributeProto> renamed;
  renamed.reserve(c.node.attributes.size());
  for (const AttributeProto& a : c.node.attributes) {
    const AttributeProto* value = c.find(a.name);
    if (!value) continue;
    if (value->name != a.name) {
      renamed.push_back(*value);
      renamed.back().name = a.name;
      value = &renamed.back();
    }
    attributes.push_back(value);
  }
  for (const AttributeProto& a : f.defaults)
    if (!c.find(a.name)) attributes.push_back(&a);
  Frame frame{nullptr, &attributes, {}, from.depth + 1};
  if (c.in.size() > f.inputs.size())
    c.fail({"has ", c.in.size(), " inputs, the function takes ", f.inputs.size()});
  for (size_t i = 0; i < f.inputs.size(); ++i)
    frame.values[f.inputs[i]] = i < c.in.size() ? c.in[i] : Value();
  for (const NodeProto& n : f.nodes) run_node(n, frame, ctx, nullptr);
  Values out;
  for (const std::string& o : f.outputs) out.push_back(collect(frame, o)[0]);
  return out;
}

}  // namespace

Values run_graph(const GraphProto& g, Values inputs, const Frame& outer, Context& ctx) {
  if (outer.depth > kMaxCallDepth)
    fail(Error::Kind::data, {"the graphs of the model are nested too deeply"});
  Frame frame{&outer, nullptr, {}, outer.depth + 1};
  if (inputs.size() > g.inputs.size())
    fail(Error::Kind::data,
         {"a subgraph with ", g.inputs.size(), " inputs is given ", inputs.size()});
  for (const auto& [name, value] : g.constants) frame.values[name] = value;
  for (size_t i = 0; i < inputs.size(); ++i) frame.values[g.inputs[i].name] = std::move(inputs[i]);
  for (const NodeProto& n : g.nodes) run_node(n, frame, ctx, nullptr);
  Values out;
  for (const ValueInfo& o : g.outputs) out.push_back(collect(frame, o.name)[0]);
  return out;
}

Network::Network(const Scope& scope, std::unique_ptr<Impl> impl)
    : Module(scope), impl_(std::move(impl)) {}
Network::~Network() = default;

const std::vector<Port>& Network::inputs() const { return impl_->inputs; }
const std::vector<Port>& Network::outputs() const { return impl_->outputs; }
int64_t Network::opset() const { return impl_->opset; }
const std::string& Network::producer() const { return impl_->model.producer; }
const std::map<std::string, std::string>& Network::metadata() const {
  return impl_->model.metadata;
}

Tensor Network::forward(const Tensor& x, Context& ctx) {
  if (impl_->inputs.empty() || impl_->outputs.empty())
    fail(Error::Kind::usage, {"the model has no inputs, or no outputs"});
  const Port& first = impl_->inputs[0];
  return run({{first.name, Value(x)}}, ctx)[0].tensor();
}

namespace {

/// 'a', 'b', 'c'; of many the first.
std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMost = 8;
  std::string all;
  for (size_t k = 0; k < std::min(names.size(), kMost); ++k)
    all += (k ? ", '" : "'") + names[k] + "'";
  return names.size() > kMost ? all + ", ..." : all;
}

/// The value as the port has it: of its element type, if it is held in the same way.
Value adapted(const Port& port, const Value& v) {
  const auto wrong = [&](std::string_view got) {
    fail(Error::Kind::usage,
         {"input '", port.name, "' is ", str(port.type), ", what is given is ", got});
  };
  if (port.type.kind == TypeInfo::Kind::sequence && !v.is_sequence()) wrong(v.str());
  if (port.type.kind != TypeInfo::Kind::tensor) return v;
  if (!v.is_tensor() && !v.is_strings()) wrong(v.str());
  const Elem want = port.type.elem;
  Value out = v;
  if (want != Elem::undefined && want != v.elem()) {
    if (want == Elem::string || v.is_strings() || storage_of(want) != v.tensor().dtype())
      wrong(v.str());
    out = Value(v.tensor(), want);
  }
  if (!port.type.has_shape) return out;
  const std::vector<int64_t>& dims = port.type.dims;
  if (out.shape().size() != dims.size()) wrong(v.str());
  // A batch may be of another size than the file's.
  for (size_t d = dims.size() > 1; d < dims.size(); ++d)
    if (dims[d] >= 0 && dims[d] != out.shape().begin()[d]) wrong(v.str());
  return out;
}

}  // namespace

Values Network::run(const std::map<std::string, Value>& inputs, Context& ctx) {
  std::vector<std::string> names = impl_->optional_inputs;
  for (const Port& p : impl_->inputs) names.push_back(p.name);
  for (const auto& [name, value] : inputs) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string nearest = nearest_name(name, names);
    fail(Error::Kind::usage, {"the model has no input '", name, "'",
                              !nearest.empty() ? cat({"; did you mean '", nearest, "'?"})
                              : names.empty()  ? std::string()
                                               : cat({"; it has ", joined(names)})});
  }
  Frame frame;
  for (const Impl::Stored& s : impl_->stored)
    frame.values[s.name] = s.variable.defined() ? Value(s.variable.value(), s.elem) : s.text;
  for (const Port& p : impl_->inputs) {
    const auto given = inputs.find(p.name);
    if (given == inputs.end()) {
      if (p.type.kind != TypeInfo::Kind::optional)
        fail(Error::Kind::usage, {"input '", p.name, "' (", str(p.type), ") is missing"});
      frame.values[p.name] = Value();
      continue;
    }
    Value v = adapted(p, given->second);
    if (impl_->leaves && v.is_tensor() && is_float(v.tensor().dtype()))
      v = Value(v.tensor().as_leaf(), v.elem());
    frame.values[p.name] = std::move(v);
  }
  for (const std::string& name : impl_->optional_inputs)
    if (const auto given = inputs.find(name); given != inputs.end())
      frame.values[name] = given->second;
  for (const NodeProto& n : impl_->model.graph.nodes) run_node(n, frame, ctx, &on_node);
  Values out;
  for (const Port& p : impl_->outputs) out.push_back(collect(frame, p.name)[0]);
  return out;
}

namespace {

std::unique_ptr<Network> build(std::string_view bytes, const DataSource& source) {
  auto impl = std::make_unique<Network::Impl>();
  impl->model = parse_model(bytes, source.what);
  ModelProto& m = impl->model;
  check_model(m, source.what);
  if (const auto v = m.opsets.find(""); v != m.opsets.end()) impl->opset = v->second;
  decode_constants(m, source);
  impl->leaves = reads_names(m);
  const Scope scope = Scope::init();
  const auto fixed = fixed_inputs(m);
  std::set<std::string_view> names;
  const auto store = [&](const std::string& name, Value v) {
    Network::Impl::Stored s{name, {}, {}, v.elem()};
    if (v.is_strings()) {
      s.text = std::move(v);
    } else {
      const bool weight = is_float(v.tensor().dtype()) && v.shape().rank() > 0 &&
                          !fixed.contains(name) && elem_of(v.tensor().dtype()) == v.elem();
      s.variable = scope.state()->add(name, v.tensor(), weight);
    }
    impl->stored.push_back(std::move(s));
  };
  for (const TensorProto& t : m.graph.initializers) {
    names.insert(t.name);
    store(t.name, decode(t, source));
  }
  for (const auto& [name, t] : m.graph.sparse_initializers) {
    names.insert(name);
    store(name, decode(t, source));
  }
  for (const ValueInfo& v : m.graph.inputs) {
    if (names.contains(v.name))
      impl->optional_inputs.push_back(v.name);
    else
      impl->inputs.push_back({v.name, v.type});
  }
  for (const ValueInfo& v : m.graph.outputs) impl->outputs.push_back({v.name, v.type});
  m.graph.initializers = {};
  m.graph.sparse_initializers = {};
  return std::make_unique<Network>(scope, std::move(impl));
}

Value read_value(std::string_view bytes, const DataSource& source, const TypeInfo& type,
                 int depth) {
  if (depth > 32) fail(Error::Kind::data, {source.what, " is nested too deeply"});
  if (type.kind == TypeInfo::Kind::sequence) {
    const TypeInfo of = type.of.empty() ? TypeInfo{} : type.of[0];
    std::vector<Value> items;
    for (WireReader r(bytes, source.what); r.next();)
      if (r.field() == 3 || r.field() == 5 || r.field() == 7)
        items.push_back(read_value(r.bytes(), source, of, depth + 1));
    return Value::sequence(std::move(items));
  }
  if (type.kind == TypeInfo::Kind::optional) {
    const TypeInfo of = type.of.empty() ? TypeInfo{} : type.of[0];
    for (WireReader r(bytes, source.what); r.next();)
      if (r.field() == 3 || r.field() == 5 || r.field() == 7)
        return read_value(r.bytes(), source, of, depth + 1);
    return Value();
  }
  TensorProto t = parse_tensor(bytes, source.what);
  // Some writers know no bfloat16 and store its bits.
  if (type.elem == Elem::bf16 && t.type == Elem::u16) t.type = Elem::bf16;
  return decode(t, source);
}

}  // namespace

std::unique_ptr<Network> load(const std::string& path) {
  const std::string bytes = read_file(path, kFileCap);
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return build(bytes, {path, folder.empty() ? "." : folder.string()});
}

std::unique_ptr<Network> parse(std::string_view bytes, std::string_view what) {
  return build(bytes, {what, ""});
}

Value load_value(const std::string& path, const TypeInfo& type) {
  return parse_value(read_file(path, kFileCap), path, type);
}

Value parse_value(std::string_view bytes, std::string_view what, const TypeInfo& type) {
  return read_value(bytes, {what, ""}, type, 0);
}

}  // namespace nacre::onnx
