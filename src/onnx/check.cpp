#include "onnx/check.h"

#include <algorithm>
#include <unordered_set>

#include "onnx/call.h"

namespace nacre::onnx {
namespace {

constexpr int64_t kNewestOpset = 28;

/// f(node) for each node of a list of nodes and of their subgraphs.
template <typename Nodes, typename F>
void for_nodes(Nodes& nodes, F f) {
  for (auto& n : nodes) {
    f(n);
    for (auto& a : n.attributes)
      for (auto& g : a.graphs) for_nodes(g->nodes, f);
  }
}

template <typename Model, typename F>
void for_all_nodes(Model& m, F f) {
  for_nodes(m.graph.nodes, f);
  for (auto& fn : m.functions) for_nodes(fn->nodes, f);
}

std::string label(const NodeProto& n) {
  if (!n.name.empty()) return cat({"node '", n.name, "' (", n.op, ")"});
  for (const std::string& o : n.outputs)
    if (!o.empty()) return cat({"the node that makes '", o, "' (", n.op, ")"});
  return cat({"a node (", n.op, ")"});
}

/// Names that are visible, innermost graph first.
struct VisibleNames {
  const VisibleNames* outer;
  std::unordered_set<std::string_view> here;
  bool has(std::string_view name) const {
    for (const VisibleNames* s = this; s; s = s->outer)
      if (s->here.contains(name)) return true;
    return false;
  }
};

class Checker {
 public:
  Checker(ModelProto& m, std::string_view what) : m_(m), what_(what) {
    for (auto& f : m.functions)
      if (!functions_.emplace(std::pair(f->domain, f->name), f.get()).second)
        broken({"two functions are named '", f->name, "'"});
  }

  void run() {
    for (const auto& [domain, version] : m_.opsets) check_opset(domain, version);
    resolve(m_.graph.nodes, m_.opsets);
    for (auto& f : m_.functions) {
      for (const auto& [domain, version] : f->opsets) check_opset(domain, version);
      resolve(f->nodes, f->opsets.empty() ? m_.opsets : f->opsets);
    }
    report_unknown();
    for (auto& f : m_.functions) no_recursion(*f);
    graph(m_.graph, nullptr);
    for (auto& f : m_.functions) {
      VisibleNames names{nullptr, {}};
      for (const std::string& i : f->inputs) define(names, i, "an input of a function");
      nodes(f->nodes, names, f->outputs);
    }
  }

 private:
  [[noreturn]] void broken(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, " contradicts itself: ", cat(why)});
  }

  void check_opset(const std::string& domain, int64_t version) const {
    if (version < 1) broken({"it asks for version ", version, " of the operators"});
    if (domain.empty() && version > kNewestOpset)
      fail(Error::Kind::unsupported,
           {what_, " uses opset ", version, ", the newest that nacre knows is ", kNewestOpset});
  }

  void resolve(std::vector<NodeProto>& list, const Opsets& opsets) {
    for_nodes(list, [&](NodeProto& n) {
      const auto version = opsets.find(n.domain);
      n.opset = version == opsets.end() ? 1 : version->second;
      const auto f = functions_.find(std::pair(n.domain, n.op));
      if (f != functions_.end()) {
        n.function = f->second;
      } else if (n.known = find_operator(n.domain, n.op); !n.known) {
        Unknown& u = unknown_[n.domain.empty() ? n.op : n.domain + "." + n.op];
        if (u.count++ < 3) u.where += (u.where.empty() ? "" : ", ") + label(n);
      }
    });
  }

  void report_unknown() const {
    if (unknown_.empty()) return;
    std::string text;
    for (const auto& [op, u] : unknown_)
      text +=
          cat({text.empty() ? "" : "; ", op, " (", u.count,
               u.count == 1 ? " time: " : " times: ", u.where, u.count > 3 ? ", ..." : "", ")"});
    fail(Error::Kind::unsupported,
         {what_, " needs ", unknown_.size(), unknown_.size() == 1 ? " operator" : " operators",
          " that nacre does not know: ", text});
  }

  void no_recursion(const FunctionProto& f) {
    int& state = states_[&f];
    if (state == 2) return;
    if (state == 1 || ++depth_ > 64)
      broken({"function '", f.name, state == 1 ? "' calls itself" : "' calls others too deeply"});
    state = 1;
    for_nodes(f.nodes, [&](const NodeProto& n) {
      if (n.function) no_recursion(*n.function);
    });
    states_[&f] = 2;
    --depth_;
  }

  void define(VisibleNames& names, const std::string& name, std::string_view as) const {
    if (name.empty()) broken({as, " has no name"});
    if (!names.here.insert(name).second) broken({"two values are named '", name, "'"});
  }

  void graph(GraphProto& g, const VisibleNames* outer) {
    VisibleNames names{outer, {}};
    for (const ValueInfo& v : g.inputs) define(names, v.name, "an input of a graph");
    std::unordered_set<std::string_view> stored;
    const auto initializer = [&](const std::string& name) {
      if (name.empty()) broken({"an initializer has no name"});
      if (!stored.insert(name).second) broken({"two initializers are named '", name, "'"});
      names.here.insert(name);
    };
    for (const TensorProto& t : g.initializers) initializer(t.name);
    for (const auto& [name, t] : g.sparse_initializers) initializer(name);
    std::vector<std::string> outputs;
    for (const ValueInfo& v : g.outputs) outputs.push_back(v.name);
    nodes(g.nodes, names, outputs);
  }

  void nodes(std::vector<NodeProto>& list, VisibleNames& names,
             const std::vector<std::string>& outputs) {
    for (NodeProto& n : list) {
      std::unordered_set<std::string_view> attributes;
      for (const AttributeProto& a : n.attributes)
        if (!attributes.insert(a.name).second)
          broken({label(n), " has attribute '", a.name, "' twice"});
      for (const std::string& i : n.inputs)
        if (!i.empty() && !names.has(i))
          broken({label(n), " uses '", i, "', which no node before it makes"});
      for (AttributeProto& a : n.attributes)
        for (auto& g : a.graphs) graph(*g, &names);
      for (const std::string& o : n.outputs)
        if (!o.empty()) define(names, o, "an output of a node");
    }
    for (const std::string& o : outputs)
      if (!names.has(o)) broken({"nothing makes the output '", o, "'"});
    note_last_uses(list, names, outputs);
  }

  static void uses_of(const NodeProto& n, std::unordered_set<std::string_view>& uses) {
    for (const std::string& i : n.inputs) uses.insert(i);
    for (const AttributeProto& a : n.attributes) {
      if (n.known && n.known->reads_names) {
        uses.insert(a.s);
        for (const std::string& s : a.strings) uses.insert(s);
      }
      for (const auto& g : a.graphs) {
        for (const NodeProto& inner : g->nodes) uses_of(inner, uses);
        for (const ValueInfo& o : g->outputs) uses.insert(o.name);
      }
    }
  }

  void note_last_uses(std::vector<NodeProto>& list, const VisibleNames& names,
                      const std::vector<std::string>& outputs) const {
    std::unordered_set<std::string_view> later(outputs.begin(), outputs.end());
    for (auto n = list.rbegin(); n != list.rend(); ++n) {
      std::unordered_set<std::string_view> uses;
      uses_of(*n, uses);
      uses.insert(n->outputs.begin(), n->outputs.end());
      for (std::string_view u : uses)
        if (!u.empty() && names.here.contains(u) && later.insert(u).second)
          n->last_uses.emplace_back(u);
    }
  }

  struct Unknown {
    int64_t count = 0;
    std::string where;
  };
  ModelProto& m_;
  std::string_view what_;
  std::map<std::pair<std::string, std::string>, const FunctionProto*> functions_;
  std::map<std::string, Unknown> unknown_;
  std::map<const FunctionProto*, int> states_;
  int depth_ = 0;
};

}  // namespace

void check_model(ModelProto& model, std::string_view what) { Checker(model, what).run(); }

std::set<std::string, std::less<>> fixed_inputs(const ModelProto& model) {
  std::set<std::string, std::less<>> names;
  for_all_nodes(model, [&](const NodeProto& n) {
    if (!n.known) return;
    for (const char* c = n.known->fixed; *c; ++c) {
      const auto i = static_cast<size_t>(*c - '0');
      if (*c != ',' && i < n.inputs.size()) names.insert(n.inputs[i]);
    }
  });
  return names;
}

void decode_constants(ModelProto& model, const DataSource& source) {
  for_all_nodes(model, [&](NodeProto& n) {
    for (AttributeProto& a : n.attributes) {
      for (const TensorProto& t : a.tensors) a.values.push_back(decode(t, source));
      for (const SparseTensorProto& t : a.sparse) a.values.push_back(decode(t, source));
      a.tensors = {};
      a.sparse = {};
      for (auto& g : a.graphs) {
        for (const TensorProto& t : g->initializers)
          g->constants.emplace(t.name, decode(t, source));
        for (const auto& [name, t] : g->sparse_initializers)
          g->constants.emplace(name, decode(t, source));
        g->initializers = {};
        g->sparse_initializers = {};
      }
    }
  });
  for (auto& f : model.functions)
    for (AttributeProto& a : f->defaults)
      for (const TensorProto& t : a.tensors) a.values.push_back(decode(t, source));
}

bool reads_names(const ModelProto& model) {
  bool found = false;
  for_all_nodes(model, [&](const NodeProto& n) { found |= n.known && n.known->reads_names; });
  return found;
}

}  // namespace nacre::onnx
