#include "nacre/graph.h"

#include <unordered_map>

#include "base/hash.h"
#include "graph/attrs.h"
#include "graph/node.h"

namespace nacre {
namespace {

void check_fits(const Tensors& placeholders, const Tensors& given) {
  if (placeholders.size() != given.size())
    fail(Error::Kind::shape,
         {"[graph] takes ", placeholders.size(), " inputs, got ", given.size(), where()});
  for (size_t i = 0; i < given.size(); ++i)
    if (given[i].dtype() != placeholders[i].dtype() || given[i].shape() != placeholders[i].shape())
      fail(Error::Kind::shape,
           {"[graph] input ", i, " is ", given[i].dtype(), " ", given[i].shape(), ", expected ",
            placeholders[i].dtype(), " ", placeholders[i].shape(), where()});
}

uint64_t content_hash(const Node* n) {
  const Tensor t(const_cast<Node*>(n), 0);
  const size_t bytes = static_cast<size_t>(t.numel()) * size_of(t.dtype());
  return mix(hash_of(t.dtype(), t.shape()), hash64({static_cast<const char*>(t.data()), bytes}));
}

std::string value_text(const Node* n, uint32_t k) {
  const Output& o = n->outputs[k];
  return cat({o.dtype, " ", o.shape});
}

std::string quoted(const std::string& s) {
  std::string q = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') q += '\\';
    q += c;
  }
  return q + "\"";
}

std::string label_of(const Node* n) {
  if (n->op) return n->op->name;
  return n->placeholder >= 0 ? cat({"input ", n->placeholder}) : "constant";
}

}  // namespace

Graph Graph::trace(const std::function<Tensors(const Tensors&)>& f, const Tensors& like) {
  Tracing guard;
  Tensors inputs;
  for (const Tensor& t : like)
    inputs.push_back(make_placeholder(static_cast<int>(inputs.size()), t.dtype(), t.shape()));
  Tensors outputs = f(inputs);
  return Graph(std::move(inputs), std::move(outputs));
}

Graph trace_closed(const std::function<Tensors(const Tensors&)>& f, const Tensors& like,
                   Tensors& captured) {
  Tracing guard;
  Tensors inputs;
  for (const Tensor& t : like)
    inputs.push_back(make_placeholder(static_cast<int>(inputs.size()), t.dtype(), t.shape()));
  Tensors outputs;
  for (const Tensor& t : f(inputs)) outputs.push_back(make(*find_op("contiguous"), {t}));
  // Nodes of this trace are copied; what lies outside is replaced by further inputs.
  std::unordered_map<const Node*, Tensors> made;
  std::vector<std::pair<Node*, size_t>> stack;
  const auto outside = [&](const Node* n) { return n->trace != guard.id(); };
  const auto visit = [&](Node* root) {
    stack.emplace_back(root, 0);
    while (!stack.empty()) {
      auto& [n, next] = stack.back();
      if (made.count(n)) {
        stack.pop_back();
        continue;
      }
      if (outside(n)) {
        Tensors copies;
        for (uint32_t k = 0; k < n->outputs.size(); ++k) {
          copies.push_back(make_placeholder(static_cast<int>(inputs.size()), n->outputs[k].dtype,
                                            n->outputs[k].shape));
          inputs.push_back(copies.back());
          captured.emplace_back(n, k);
        }
        made.emplace(n, std::move(copies));
        stack.pop_back();
        continue;
      }
      if (!n->op || n->evaluated) {  // a placeholder or a number of this trace
        made.emplace(n, Tensors{Tensor(n, 0)});
        stack.pop_back();
        continue;
      }
      if (next < n->inputs.size()) {
        Node* child = n->inputs[next++].node();
        stack.emplace_back(child, 0);
        continue;
      }
      Tensors in;
      for (const Tensor& t : n->inputs) in.push_back(made.at(t.node())[t.index()]);
      Node* c = clone(*n, in);
      Tensors copies;
      for (uint32_t k = 0; k < c->outputs.size(); ++k) copies.emplace_back(c, k);
      made.emplace(n, std::move(copies));
      stack.pop_back();
    }
  };
  Tensors results;
  for (const Tensor& t : outputs) {
    visit(t.node());
    results.push_back(made.at(t.node())[t.index()]);
  }
  return Graph(std::move(inputs), std::move(results));
}

Tensors Graph::call(const Tensors& inputs) const {
  check_fits(inputs_, inputs);
  std::unordered_map<Node*, Node*> made;
  Tensors kept;  // holds the new nodes alive
  const auto mapped = [&](const Tensor& t) {
    if (t.node()->placeholder >= 0 && !t.node()->op) {
      for (size_t i = 0; i < inputs_.size(); ++i)
        if (inputs_[i].node() == t.node()) return inputs[i];
    }
    const auto at = made.find(t.node());
    return at == made.end() ? t : Tensor(at->second, t.index());
  };
  for (Node* n : nodes()) {
    if (!n->op || n->evaluated) continue;
    Tensors in;
    for (const Tensor& t : n->inputs) in.push_back(mapped(t));
    const Tensors out = make_all(*n->op, n->attrs, in);
    made[n] = out[0].node();
    kept.push_back(out[0]);
  }
  Tensors result;
  for (const Tensor& t : outputs_) result.push_back(mapped(t));
  return result;
}

std::vector<Node*> Graph::nodes() const { return as_recorded(topological(*this)); }

std::vector<Node*> topological(const Graph& graph) {
  Tensors roots = graph.inputs();
  roots.insert(roots.end(), graph.outputs().begin(), graph.outputs().end());
  return topological(roots);
}

uint64_t Graph::hash() const {
  std::unordered_map<const Node*, uint64_t> position;
  uint64_t h = inputs_.size();
  for (const Node* n : topological(*this)) {
    uint64_t own = n->op ? n->hash : n->evaluated ? content_hash(n) : n->hash;
    if (n->op && !n->evaluated)
      for (const Tensor& t : n->inputs) own = mix(own, position[t.node()] * 16 + t.index());
    position.emplace(n, position.size() + 1);
    h = mix(h, own);
  }
  for (const Tensor& t : outputs_) h = mix(h, position[t.node()] * 16 + t.index());
  return h;
}

std::string Graph::str() const {
  std::unordered_map<const Node*, size_t> number;
  std::string s;
  for (const Node* n : nodes()) {
    const size_t id = number.emplace(n, number.size()).first->second;
    s += cat({"%", id, " = ", label_of(n)});
    if (n->op) {
      s += '(';
      for (size_t i = 0; i < n->inputs.size(); ++i) {
        s += cat({i ? ", %" : "%", number[n->inputs[i].node()]});
        if (n->inputs[i].node()->outputs.size() > 1) s += cat({".", n->inputs[i].index()});
      }
      s += ')';
      const std::string attrs = attrs_text(*n->op, n->attrs.get());
      if (!attrs.empty()) s += ' ' + attrs;
    }
    for (uint32_t k = 0; k < n->outputs.size(); ++k) s += (k ? ", " : " : ") + value_text(n, k);
    s += '\n';
  }
  s += "return";
  for (const Tensor& t : outputs_) s += cat({" %", number[t.node()], ".", t.index()});
  return s + '\n';
}

std::string Graph::json() const {
  std::unordered_map<const Node*, size_t> number;
  std::string s = "{\"nodes\": [\n";
  for (const Node* n : nodes()) {
    const size_t id = number.emplace(n, number.size()).first->second;
    s += cat({id ? ",\n" : "", "  {\"id\": ", id, ", \"op\": ", quoted(label_of(n)),
              ", \"attrs\": ", quoted(n->op ? attrs_text(*n->op, n->attrs.get()) : "")});
    s += ", \"inputs\": [";
    for (size_t i = 0; i < n->inputs.size(); ++i)
      s += cat({i ? ", " : "", "[", number[n->inputs[i].node()], ", ", n->inputs[i].index(), "]"});
    s += "], \"outputs\": [";
    for (uint32_t k = 0; k < n->outputs.size(); ++k)
      s += (k ? ", " : "") + quoted(value_text(n, k));
    s += cat({"], \"site\": ",
              quoted(n->site.line() ? cat({n->site.file_name(), ":", n->site.line()}) : ""),
              ", \"layer\": ", quoted(n->layer ? *n->layer : ""), "}"});
  }
  s += "\n], \"results\": [";
  for (size_t i = 0; i < outputs_.size(); ++i)
    s += cat({i ? ", " : "", "[", number[outputs_[i].node()], ", ", outputs_[i].index(), "]"});
  return s + "]}\n";
}

std::string Graph::dot() const {
  std::unordered_map<const Node*, size_t> number;
  std::string s = "digraph {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (const Node* n : nodes()) {
    const size_t id = number.emplace(n, number.size()).first->second;
    s += cat({"  n", id, " [label=", quoted(label_of(n) + "\\n" + value_text(n, 0)),
              n->op ? "" : ", style=rounded", "];\n"});
    for (const Tensor& t : n->inputs) s += cat({"  n", number[t.node()], " -> n", id, ";\n"});
  }
  return s + "}\n";
}

}  // namespace nacre
