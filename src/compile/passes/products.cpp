// A bias, an addition and GELU become part of the matrix product before them, so that its result is
// written once. Between them may lie a reshape that keeps the rows of the result.
//
// GELU has been expanded when the pass runs: it is x * 0.5 * erfc(x * -sqrt(1/2)).
#include <cmath>
#include <numbers>
#include <unordered_map>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

bool is_number(const Tensor& t, double want) {
  return t.evaluated() && t.node()->placeholder < 0 && t.numel() == 1 &&
         std::fabs(t.item() - want) < 1e-6;
}

/// x of mul(x, number); undefined for others.
Tensor multiplied(const Tensor& t, double number) {
  if (!is_op(t.node(), "mul")) return {};
  const auto& in = t.node()->inputs;
  for (size_t i = 0; i < 2; ++i)
    if (is_number(in[1 - i], number) && in[i].shape() == t.shape()) return in[i];
  return {};
}

class Products {
 public:
  Products(const Graph& graph, const CompileOptions& options) : graph_(graph), options_(options) {}

  Graph run() {
    auto before = count_uses(graph_);
    return rewrite(graph_, [&](const Node& n, const Tensors& in) {
      Tensors out;
      if (n.outputs[0].dtype == DType::f32) out = into_product(n, in);
      if (out.empty()) {
        Node* c = clone(n, in);
        for (uint32_t k = 0; k < c->outputs.size(); ++k) out.emplace_back(c, k);
      }
      uses_[out[0].node()] = before[&n];
      return out;
    });
  }

 private:
  Tensors into_product(const Node& n, const Tensors& in) {
    if (is_op(&n, "add"))
      for (size_t i = 0; i < 2; ++i)
        if (Tensors y = sum(n, in[i], in[1 - i]); !y.empty()) return y;
    if (is_op(&n, "mul"))
      for (size_t i = 0; i < 2; ++i)
        if (Tensors y = gelu(n, in[i], in[1 - i]); !y.empty()) return y;
    return {};
  }

  /// The product that `t`, which has so many uses, is or is a reshape of; undefined for others.
  Tensor product(const Tensor& t, int uses) {
    if (uses_[t.node()] != uses || t.rank() < 1) return {};
    Tensor p = t;
    if (is_op(t.node(), "reshape")) {
      p = t.node()->inputs[0];
      if (uses_[p.node()] != 1 || p.rank() < 2 || p.size(-1) != t.size(-1)) return {};
    }
    const bool plain = is_op(p.node(), "matmul");
    return plain || (is_op(p.node(), "matmul_fused") && !flag(p, "gelu")) ? p : Tensor();
  }

  static bool flag(const Tensor& product, const char* name) {
    return is_op(product.node(), "matmul_fused") &&
           std::get<bool>(attr_field(*product.node()->op, product.node()->attrs.get(), name));
  }

  Tensors sum(const Node& n, const Tensor& t, const Tensor& other) {
    const Tensor p = product(t, 1);
    if (!p.defined() || t.shape() != n.outputs[0].shape) return {};
    if (other.numel() == p.size(-1) && other.rank() >= 1 && other.size(-1) == p.size(-1))
      return flag(p, "bias") ? Tensors{} : fused(n, p, reshape(other, {-1}), "bias");
    // What is itself made element by element is made together with the sum.
    const Node* by = other.node();
    const bool elementwise = by->op && !other.evaluated() && by->op->kind == OpKind::elementwise;
    if (flag(p, "residual") || other.shape() != t.shape() || (elementwise && uses_[by] == 1))
      return {};
    return fused(n, p, reshape(other, p.shape()), "residual");
  }

  /// GELU as the product of `half` and `error`.
  Tensors gelu(const Node& n, const Tensor& half, const Tensor& error) {
    const Tensor x = multiplied(half, 0.5);
    if (!x.defined() || !is_op(error.node(), "erfc")) return {};
    const Tensor same_x = multiplied(error.node()->inputs[0], -1 / std::numbers::sqrt2);
    if (!same_x.defined() || !same(x, same_x)) return {};
    for (const Tensor& t : {half, error, error.node()->inputs[0]})
      if (uses_[t.node()] != 1) return {};
    const Tensor p = product(x, 2);
    return p.defined() ? fused(n, p, {}, "gelu") : Tensors{};
  }

  /// The product with one thing more in it, in the shape of n.
  Tensors fused(const Node& n, const Tensor& p, const Tensor& added, const char* what) {
    static const OpDef* op = find_op("matmul_fused");
    std::vector<std::pair<std::string, AttrValue>> fields;
    for (const char* name : {"bias", "residual", "gelu"})
      fields.emplace_back(name, flag(p, name) || std::string_view(what) == name);
    Tensors in(p.node()->inputs.begin(), p.node()->inputs.end());
    if (added.defined()) in.push_back(added);
    if (flag(p, "residual") && std::string_view(what) == "bias")  // the bias comes first
      std::swap(in[2], in[3]);
    Tensor y;
    {
      const MadeFor place(*p.node());
      y = make(*op, attrs_from_fields(*op, fields), in);
    }
    if (!has_kernel(*y.node(), in, options_)) return {};
    uses_[y.node()] = 1;
    return {y.shape() == n.outputs[0].shape ? y : reshape(y, n.outputs[0].shape)};
  }

  const Graph& graph_;
  const CompileOptions& options_;
  std::unordered_map<const Node*, int> uses_;  // of nodes of the new graph
};

Graph run_products(const Graph& graph, const CompileOptions& options) {
  return Products(graph, options).run();
}

}  // namespace

extern const Pass pass_products;
const Pass pass_products = {"products", run_products};

}  // namespace nacre
