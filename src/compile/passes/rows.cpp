// An update of a table whose gradient is zero but for some rows works on these rows alone.
//
// The gradient of rows taken from a table is index_add(zeros, index, rows). If everything made of
// it is elementwise, ends in results of the plan, and would leave its table as it is where the
// gradient is zero (SGD, Adagrad, lazy Adam, not momentum or weight decay), each result becomes
// update_rows(table, index, the same ops on the rows): the same values at the cost of the rows.
// Numbers that are not finite aside: 0 times infinity counts as 0 here.
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

constexpr int64_t kLeastSaving = 4;  // rows of the table to one that is updated

bool is_zero(const Tensor& t) {
  if (!t.evaluated() || t.node()->placeholder >= 0) return false;
  const Output& o = t.node()->outputs[t.index()];
  for (int64_t d = 0; d < o.shape.rank(); ++d)
    if (o.shape[d] != 1 && o.strides[d] != 0) return false;
  const char zero[8] = {};
  return o.shape.numel() > 0 && std::memcmp(o.data(), zero, size_of(o.dtype)) == 0;
}

bool equal(const Tensor& a, const Tensor& b) { return same(a, b); }

/// A gradient that is zero but for some rows.
struct Sparse {
  Tensors index, rows;
};

class Updates {
 public:
  explicit Updates(const Graph& graph) : graph_(graph), nodes_(graph.nodes()) {
    for (const Tensor& t : graph.outputs()) results_.insert(t.node());
  }

  Graph run() {
    for (Node* n : nodes_) find_sparse(n);
    for (Node* n : nodes_)
      if (sparse_.count(n)) update(n);
    if (replaced_.empty()) return graph_;
    Tensors outputs;
    for (const Tensor& t : graph_.outputs()) {
      const auto at = replaced_.find(t.node());
      outputs.push_back(at == replaced_.end() ? t : at->second);
    }
    return Graph(graph_.inputs(), std::move(outputs));
  }

 private:
  void find_sparse(Node* n) {
    if (is_op(n, "index_add")) {
      const auto dim = std::get<int64_t>(attr_field(*n->op, n->attrs.get(), "dim"));
      if (dim != 0 || !is_zero(n->inputs[0]) || !is_float(n->outputs[0].dtype)) return;
      sparse_[n] = {{n->inputs[1]}, {n->inputs[2]}};
    } else if (is_op(n, "add")) {  // rows taken from the table at several places
      const auto a = sparse_.find(n->inputs[0].node()), b = sparse_.find(n->inputs[1].node());
      if (a == sparse_.end() || b == sparse_.end()) return;
      if (a->first->outputs[0].shape != b->first->outputs[0].shape) return;
      Sparse both = a->second;
      both.index.insert(both.index.end(), b->second.index.begin(), b->second.index.end());
      both.rows.insert(both.rows.end(), b->second.rows.begin(), b->second.rows.end());
      sparse_[n] = std::move(both);
    }
  }

  // ---- what remains where the gradient is zero

  struct Value {
    enum Kind { other, zero, never, same } kind = other;  // never: a condition that does not hold
    Tensor tensor;                                        // of same
    bool is(const Value& o) const {
      return kind == o.kind && (kind == zero || (kind == same && equal(tensor, o.tensor)));
    }
  };

  Value value_of(const Tensor& t) const {
    if (const auto at = values_.find(t.node()); at != values_.end()) return at->second;
    if (is_zero(t)) return {Value::zero, {}};
    return {Value::same, t};
  }

  Value without_gradient(const Node* n) const {
    const std::string_view op = n->op->name;
    Value v[3];
    for (size_t i = 0; i < n->inputs.size() && i < 3; ++i) v[i] = value_of(n->inputs[i]);
    const auto zero = [&](int i) { return v[i].kind == Value::zero; };
    const Value nothing{Value::zero, {}};
    if (op == "add") return zero(0) ? v[1] : zero(1) ? v[0] : Value();
    if (op == "sub") return zero(1) ? v[0] : Value();
    if (op == "mul") return zero(0) || zero(1) ? nothing : Value();
    if (op == "div") return zero(0) ? nothing : Value();
    if (op == "ne") return zero(0) && zero(1) ? Value{Value::never, {}} : Value();
    if (op == "where") return v[0].kind == Value::never ? v[2] : v[1].is(v[2]) ? v[1] : Value();
    for (const char* odd : {"neg", "abs", "sqrt", "square", "sign", "cast"})
      if (op == odd) return zero(0) ? nothing : Value();
    return {};
  }

  // ---- one gradient

  void update(Node* g) {
    const Shape& shape = g->outputs[0].shape;
    if (results_.count(g)) return;
    values_ = {{g, {Value::zero, {}}}};
    std::vector<Node*> ends;
    for (Node* n : nodes_) {
      if (!values_.count(n) && !follows(n)) continue;
      if (n != g) {
        if (!n->op || n->op->kind != OpKind::elementwise || n->outputs[0].shape != shape) return;
        values_[n] = without_gradient(n);
      }
      if (!results_.count(n)) continue;
      const Value& v = values_.at(n);
      if (v.kind != Value::same || v.tensor.shape() != shape ||
          v.tensor.dtype() != n->outputs[0].dtype || replaced_.count(n))
        return;
      ends.push_back(n);
    }
    if (ends.empty()) return;
    const Sparse& s = sparse_.at(g);
    int64_t count = 0;
    for (const Tensor& i : s.index) count += i.numel();
    if (count * kLeastSaving > shape[0]) return;
    rewrite_ends(g, s, ends);
  }

  bool follows(const Node* n) const {
    for (const Tensor& t : n->inputs)
      if (values_.count(t.node())) return true;
    return false;
  }

  void rewrite_ends(Node* g, const Sparse& s, const std::vector<Node*>& ends) {
    static const OpDef *combine = find_op("combine_rows"), *put = find_op("update_rows");
    const MadeFor place(*g);
    shape_ = g->outputs[0].shape;
    Tensors index, rows;
    for (size_t i = 0; i < s.index.size(); ++i) {
      index.push_back(reshape(s.index[i], {-1}));
      if (index.back().dtype() != DType::i64 && s.index.size() > 1)
        index.back() = cast(index.back(), DType::i64);
      Shape flat = shape_;
      flat[0] = s.index[i].numel();
      rows.push_back(reshape(s.rows[i], flat));
    }
    index_ = index.size() == 1 ? index[0] : concat(index, 0);
    const Tensor all = rows.size() == 1 ? rows[0] : concat(rows, 0);
    rows_ = {{g, make(*combine, attrs_from_fields(*combine, {{"size", shape_[0]}}),
                      Tensors{index_, all})}};
    for (Node* n : ends) {
      const MadeFor here(*n);
      const Tensor table = values_.at(n).tensor;
      replaced_[n] = make(*put, {table, index_, rows_of(Tensor(n, 0))});
    }
  }

  /// The rows of a tensor at the indices; what is the same for all rows stays as it is.
  Tensor rows_of(const Tensor& t) {
    if (const auto at = rows_.find(t.node()); at != rows_.end()) return at->second;
    if (t.rank() < shape_.rank() || t.size(0) != shape_[0]) return t;
    if (is_op(t.node(), "expand")) {
      const Tensor& from = t.node()->inputs[0];
      if (from.rank() < shape_.rank() || from.size(0) == 1) return from;
    }
    Tensor r;
    if (t.node()->op && !t.evaluated() && t.node()->op->kind == OpKind::elementwise &&
        t.shape() == shape_) {
      Tensors in;
      for (const Tensor& i : t.node()->inputs) in.push_back(rows_of(i));
      const MadeFor here(*t.node());
      r = make(*t.node()->op, t.node()->attrs, in);
    } else {
      r = index_select(t, 0, index_);
    }
    rows_[t.node()] = r;
    return r;
  }

  const Graph& graph_;
  std::vector<Node*> nodes_;
  std::unordered_set<const Node*> results_;
  std::unordered_map<const Node*, Sparse> sparse_;
  std::unordered_map<const Node*, Tensor> replaced_;
  // Of the gradient at hand:
  std::unordered_map<const Node*, Value> values_;  // of what depends on it, where it is zero
  std::unordered_map<const Node*, Tensor> rows_;
  Tensor index_;
  Shape shape_;
};

Graph run_rows(const Graph& graph, const CompileOptions&) {
  Tracing guard;
  return Updates(graph).run();
}

}  // namespace

extern const Pass pass_rows;
const Pass pass_rows = {"rows", run_rows};

}  // namespace nacre
