// A graph as a file: a safetensors file whose tensors are the constants and whose metadata holds
// the structure as JSON. And the difference of two graphs.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/hash.h"
#include "base/json.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "nacre/formats.h"
#include "nacre/graph.h"

namespace nacre {
namespace {

constexpr const char* kFormat = "nacre-graph-1";
constexpr size_t kNodeCap = 1000000;
constexpr double kInputCap = 1e14;                // values of an input
constexpr int64_t kNumberCap = int64_t{1} << 40;  // so that shape rules can multiply them too
constexpr double kProductCap = 1e18;  // of a list, so that shape rules can multiply its entries
constexpr size_t kRankCap = 64;
constexpr int kDepthCap = 16;  // graphs inside graphs

struct Constants {
  std::vector<NamedTensor> tensors;
  Tensors alive;
};

Json ints_json(const Ints& v) {
  Json j = Json::array();
  for (int64_t d : v) j.push_back(d);
  return j;
}

Ints ints_of(const Json& j) {
  Ints v;
  for (const Json& d : j.list()) v.push_back(d.integer());
  return v;
}

Json graph_json(const Graph& g, Constants& constants);

Json attr_json(const AttrValue& v, Constants& constants) {
  struct Write {
    Constants& constants;
    Json operator()(bool b) const { return b; }
    Json operator()(int64_t i) const { return i; }
    Json operator()(double d) const { return d; }
    Json operator()(const std::string& s) const { return s; }
    Json operator()(const Ints& i) const { return ints_json(i); }
    Json operator()(DType t) const { return name_of(t); }
    Json operator()(const std::shared_ptr<const Graph>& g) const {
      return graph_json(*g, constants);
    }
  };
  return std::visit(Write{constants}, v);
}

Json graph_json(const Graph& g, Constants& constants) {
  std::unordered_map<const Node*, int64_t> number;
  Json inputs = Json::array(), nodes = Json::array(), outputs = Json::array();
  for (const Tensor& t : g.inputs()) {
    number.emplace(t.node(), static_cast<int64_t>(number.size()));
    inputs.push_back(
        Json::object({{"dtype", name_of(t.dtype())}, {"shape", ints_json(t.shape())}}));
  }
  const auto reference = [&](const Tensor& t) {
    return Json::array({number.at(t.node()), static_cast<int64_t>(t.index())});
  };
  for (Node* n : g.nodes()) {
    if (number.count(n)) continue;
    Json j = Json::object();
    if (!n->op || n->evaluated) {
      const std::string name = cat({"c", constants.tensors.size()});
      const Tensor t(n, 0);
      constants.alive.push_back(t);
      constants.tensors.emplace_back(name, raw_tensor(t));
      j["constant"] = name;
    } else {
      j["op"] = n->op->name;
      Json attrs = Json::object(), in = Json::array();
      for (const auto& [name, value] : attr_fields(*n->op, n->attrs.get()))
        attrs[name] = attr_json(value, constants);
      for (const Tensor& t : n->inputs) in.push_back(reference(t));
      if (attrs.size()) j["attrs"] = attrs;
      j["in"] = in;
    }
    number.emplace(n, static_cast<int64_t>(number.size()));
    nodes.push_back(j);
  }
  for (const Tensor& t : g.outputs()) outputs.push_back(reference(t));
  return Json::object({{"inputs", inputs}, {"nodes", nodes}, {"outputs", outputs}});
}

class Reader {
 public:
  Reader(const SafeTensors& file, const std::string& path) : file_(file), path_(path) {}

  Graph graph(const Json& j, int depth = 0) {
    if (depth > kDepthCap)
      fail(Error::Kind::data, {path_, ": graphs are nested deeper than ", kDepthCap});
    std::vector<Tensors> made;
    Tensors inputs, outputs;
    for (const Json& in : j.at("inputs").list()) {
      const Shape shape = ints_of(in.at("shape"));
      if (shape.size() > kRankCap)
        fail(Error::Kind::data, {path_, ": an input has ", shape.size(), " dimensions"});
      double n = 1;
      for (int64_t d : shape) {
        n *= static_cast<double>(std::max<int64_t>(1, d));
        if (d < 0 || n > kInputCap)
          fail(Error::Kind::data, {path_, ": an input has shape ", as_list(shape)});
      }
      inputs.push_back(make_placeholder(static_cast<int>(inputs.size()),
                                        dtype_from_name(in.at("dtype").text()), shape));
      made.push_back({inputs.back()});
    }
    const auto reference = [&](const Json& r) {
      const auto& pair = r.list();
      const int64_t node = pair.size() == 2 ? pair[0].integer() : -1,
                    index = pair.size() == 2 ? pair[1].integer() : -1;
      if (node < 0 || node >= static_cast<int64_t>(made.size()) || index < 0 ||
          index >= static_cast<int64_t>(made[static_cast<size_t>(node)].size()))
        fail(Error::Kind::data, {path_, ": node ", made.size(), " uses a value that is not there"});
      return made[static_cast<size_t>(node)][static_cast<size_t>(index)];
    };
    const auto& nodes = j.at("nodes").list();
    if (nodes.size() > kNodeCap)
      fail(Error::Kind::data, {path_, " has ", nodes.size(), " nodes, the limit is ", kNodeCap});
    for (const Json& n : nodes) {
      if (const Json* constant = n.find("constant")) {
        Tensor& value = constants_[constant->text()];  // one copy, however often it is named
        if (!value.defined()) value = copied_tensor(file_.at(constant->text()));
        made.push_back({value});
        continue;
      }
      const OpDef& op = *find_op(n.at("op").text());
      Tensors in;
      for (const Json& r : n.at("in").list()) in.push_back(reference(r));
      const size_t operands = op.f2 || op.i2 ? 2 : op.f1 || op.i1 ? 1 : in.size();
      if (in.size() != operands)
        fail(Error::Kind::data,
             {path_, ": [", op.name, "] takes ", operands, " inputs, got ", in.size()});
      size_t rank = 0;
      for (const Tensor& t : in) rank = std::max(rank, t.shape().size());
      made.push_back(make_all(op, attributes(op, n.find("attrs"), rank, depth), in));
    }
    for (const Json& r : j.at("outputs").list()) outputs.push_back(reference(r));
    return Graph(std::move(inputs), std::move(outputs));
  }

  /// Ops that this program does not have, all of them.
  void check_ops(const Json& j, std::vector<std::string>& unknown, int depth = 0) const {
    if (depth > kDepthCap) return;
    for (const Json& n : j.at("nodes").list()) {
      if (n.has("constant")) continue;
      const std::string& op = n.at("op").text();
      if (!find_op(op) && std::find(unknown.begin(), unknown.end(), op) == unknown.end())
        unknown.push_back(op);
      if (const Json* attrs = n.find("attrs"))
        for (const auto& [name, value] : attrs->fields())
          if (value.is_object()) check_ops(value, unknown, depth + 1);
    }
  }

 private:
  /// `dim` and `dims` are dimensions of the inputs. What makes nodes in a program counts them
  /// from the front and checks them (normalize_dim), so shape rules and kernels do not.
  void check_dims(const OpDef& op, const std::vector<std::pair<std::string, AttrValue>>& fields,
                  size_t rank) const {
    const auto end = static_cast<int64_t>(std::max<size_t>(1, rank));
    for (const auto& [name, value] : fields) {
      const int64_t* one = name == "dim" ? std::get_if<int64_t>(&value) : nullptr;
      const Ints* many = name == "dims" ? std::get_if<Ints>(&value) : nullptr;
      if (many && many->empty() && rank > 0)  // "all of them" is written out
        fail(Error::Kind::data, {path_, ": [", op.name, "] names no dimension"});
      for (int64_t d : one ? Ints{*one} : many ? *many : Ints{})
        if (d < 0 || d >= end)
          fail(Error::Kind::data,
               {path_, ": [", op.name, "] has no dimension ", d, " in ", rank, " dimensions"});
    }
  }

  Attrs attributes(const OpDef& op, const Json* given, size_t rank, int depth) {
    if (!op.attrs) return {};
    void* usual = op.attrs->make();  // tells the type of each field
    auto fields = attr_fields(op, usual);
    op.attrs->destroy(usual);
    struct Read {
      Reader& reader;
      const Json& j;
      int depth;
      AttrValue operator()(bool) const { return j.boolean(); }
      AttrValue operator()(int64_t) const {
        const int64_t v = j.integer();
        if (v > kNumberCap || v < -kNumberCap)
          fail(Error::Kind::data, {reader.path_, ": an attribute is ", v});
        return v;
      }
      AttrValue operator()(double) const { return j.number(); }
      AttrValue operator()(const std::string&) const { return j.text(); }
      AttrValue operator()(const Ints&) const {
        const Ints list = ints_of(j);
        double product = 1;
        for (int64_t d : list) product *= std::max(1.0, std::abs(static_cast<double>(d)));
        if (product > kProductCap)
          fail(Error::Kind::data,
               {reader.path_, ": the product of a list of ", list.size(), " numbers is too large"});
        return list;
      }
      AttrValue operator()(DType) const { return dtype_from_name(j.text()); }
      AttrValue operator()(const std::shared_ptr<const Graph>&) const {
        return std::make_shared<const Graph>(reader.graph(j, depth + 1));
      }
    };
    for (auto& [name, value] : fields)
      if (const Json* j = given ? given->find(name) : nullptr)
        value = std::visit(Read{*this, *j, depth}, value);
    for (const auto& [name, value] : fields)
      if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&value); graph && !*graph)
        fail(Error::Kind::data, {path_, ": [", op.name, "] has no graph '", name, "'"});
    check_dims(op, fields, rank);
    return attrs_from_fields(op, fields);
  }

  const SafeTensors& file_;
  const std::string& path_;
  std::unordered_map<std::string, Tensor> constants_;
};

// ---- difference

struct Entry {
  const Node* node;
  uint64_t local = 0;  // op, attributes, types, values; not the inputs
  std::string text;
};

std::vector<Entry> entries(const Graph& g) {
  std::vector<Entry> list;
  for (Node* n : topological(g)) {
    Entry e{n, n->hash, {}};
    if (n->op && !n->evaluated) {
      e.text = n->op->name;
      if (const std::string attrs = attrs_text(*n->op, n->attrs.get()); !attrs.empty())
        e.text += " " + attrs;
    } else if (n->evaluated) {
      const Tensor t(n, 0);
      const size_t bytes = static_cast<size_t>(t.numel()) * size_of(t.dtype());
      e.local =
          mix(hash_of(t.dtype(), t.shape()), hash64({static_cast<const char*>(t.data()), bytes}));
      e.text = "constant";
    } else {
      e.text = cat({"input ", n->placeholder});
    }
    e.text += cat({" : ", n->outputs[0].dtype, " ", n->outputs[0].shape});
    list.push_back(std::move(e));
  }
  return list;
}

/// Pairs of equal entries in order: the longest common subsequence, after equal ends are taken off.
std::vector<std::pair<size_t, size_t>> common(const std::vector<Entry>& a,
                                              const std::vector<Entry>& b) {
  std::vector<std::pair<size_t, size_t>> pairs;
  size_t head = 0, ta = a.size(), tb = b.size();
  while (head < ta && head < tb && a[head].local == b[head].local)
    pairs.emplace_back(head, head), ++head;
  std::vector<std::pair<size_t, size_t>> tail;
  while (ta > head && tb > head && a[ta - 1].local == b[tb - 1].local)
    tail.emplace_back(--ta, --tb);
  const size_t n = ta - head, m = tb - head;
  std::vector<uint32_t> length((n + 1) * (m + 1), 0);
  const auto at = [&](size_t i, size_t j) -> uint32_t& { return length[i * (m + 1) + j]; };
  for (size_t i = n; i-- > 0;)
    for (size_t j = m; j-- > 0;)
      at(i, j) = a[head + i].local == b[head + j].local ? at(i + 1, j + 1) + 1
                                                        : std::max(at(i + 1, j), at(i, j + 1));
  for (size_t i = 0, j = 0; i < n && j < m;) {
    if (a[head + i].local == b[head + j].local)
      pairs.emplace_back(head + i++, head + j++);
    else if (at(i + 1, j) >= at(i, j + 1))
      ++i;
    else
      ++j;
  }
  pairs.insert(pairs.end(), tail.rbegin(), tail.rend());
  return pairs;
}

std::string kind_of(const Entry& e) {
  return e.node->op && !e.node->evaluated ? e.node->op->name
         : e.node->evaluated              ? "constant"
                                          : "input";
}

}  // namespace

void Graph::save(const std::string& path) const {
  Constants constants;
  const Json j = graph_json(*this, constants);
  save_safetensors(path, constants.tensors, {{"format", kFormat}, {"graph", print_json(j)}});
}

Graph Graph::load(const std::string& path) {
  const SafeTensors file = SafeTensors::open(path);
  const auto format = file.metadata().find("format"), text = file.metadata().find("graph");
  if (format == file.metadata().end() || format->second != kFormat || text == file.metadata().end())
    fail(Error::Kind::data, {path, " is not a graph file of this version"});
  const Json j = parse_json(text->second, path);
  Reader reader(file, path);
  std::vector<std::string> unknown;
  reader.check_ops(j, unknown);
  if (!unknown.empty()) {
    std::string list;
    for (const auto& op : unknown) list += (list.empty() ? "" : ", ") + op;
    fail(Error::Kind::unsupported, {path, " uses ops that are not known here: ", list});
  }
  Tracing guard;
  try {
    return reader.graph(j);
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::data) throw;
    fail(Error::Kind::data, {path, ": ", e.what()});
  }
}

std::vector<GraphChange> diff(const Graph& before, const Graph& after) {
  const auto a = entries(before), b = entries(after);
  const auto pairs = common(a, b);
  std::unordered_map<const Node*, const Node*> partner;
  std::vector<GraphChange> changes;
  for (const auto& [i, j] : pairs) partner[a[i].node] = b[j].node;
  // In each gap, nodes of the same kind are taken for changed ones, in order.
  std::vector<char> used_a(a.size(), 0), used_b(b.size(), 0);
  for (const auto& [i, j] : pairs) used_a[i] = used_b[j] = 1;
  size_t from_a = 0, from_b = 0;
  auto all = pairs;
  all.emplace_back(a.size(), b.size());
  for (const auto& [to_a, to_b] : all) {
    for (size_t i = from_a; i < to_a; ++i)
      for (size_t j = from_b; j < to_b; ++j)
        if (!used_a[i] && !used_b[j] && kind_of(a[i]) == kind_of(b[j])) {
          used_a[i] = used_b[j] = 1;
          partner[a[i].node] = b[j].node;
          changes.push_back(
              {GraphChange::Kind::changed, a[i].text == b[j].text
                                               ? cat({"changed ", a[i].text, " (other values)"})
                                               : cat({"changed ", a[i].text, " -> ", b[j].text})});
        }
    for (size_t i = from_a; i < to_a; ++i)
      if (!used_a[i]) changes.push_back({GraphChange::Kind::removed, "removed " + a[i].text});
    for (size_t j = from_b; j < to_b; ++j)
      if (!used_b[j]) changes.push_back({GraphChange::Kind::added, "added " + b[j].text});
    from_a = to_a + 1;
    from_b = to_b + 1;
  }
  // The same node, fed by another one that is in both graphs. Being fed by an added node, or no
  // longer by a removed one, is said by these already.
  std::unordered_map<const Node*, bool> known;
  for (const auto& [x, y] : partner) known[y] = true;
  for (const auto& [i, j] : pairs) {
    const Node *x = a[i].node, *y = b[j].node;
    if (!x->op || x->evaluated) continue;
    for (size_t k = 0; k < x->inputs.size(); ++k) {
      const Tensor &old = x->inputs[k], &now = y->inputs[k];
      const auto at = partner.find(old.node());
      if (at == partner.end() || !known.count(now.node())) continue;
      if (at->second != now.node() || old.index() != now.index())
        changes.push_back(
            {GraphChange::Kind::changed, cat({"changed input ", k, " of ", a[i].text})});
    }
  }
  return changes;
}

}  // namespace nacre
