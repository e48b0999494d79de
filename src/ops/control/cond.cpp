#include <functional>

#include "nacre/autograd.h"
#include "nacre/graph.h"
#include "ops/control/control.h"

namespace nacre {
namespace {

struct CondAttrs {
  std::shared_ptr<const Graph> then_graph, else_graph;
  void fields(FieldVisitor& v) {
    v("then_graph", then_graph);
    v("else_graph", else_graph);
  }
};

}  // namespace

/// Runs one of two functions, by a value that is known only when the plan runs: pred true gives
/// then_f(inputs), else else_f(inputs). Both must return tensors of the same types and shapes; only
/// the chosen one is computed. pred: bool scalar. Tensors that the functions capture are inputs
/// too. Differentiable, any order.
API(Tensors cond(In pred, const std::function<Tensors(const Tensors&)>& then_f,
                 const std::function<Tensors(const Tensors&)>& else_f, const Tensors& inputs))

OP(cond) = {
    .name = "cond",
    .kind = OpKind::control,
    .attrs = attr_type<CondAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<CondAttrs>();
          in.check(in.dtype(0) == DType::boolean && in.rank(0) == 0,
                   {"the condition must be a bool scalar"});
          std::vector<std::pair<DType, Shape>> given;
          for (size_t i = 1; i < in.inputs(); ++i) given.emplace_back(in.dtype(i), in.shape(i));
          check_takes(in, *a.then_graph, given);
          check_takes(in, *a.else_graph, given);
          const Tensors &x = a.then_graph->outputs(), &y = a.else_graph->outputs();
          in.check(x.size() == y.size(),
                   {"the branches return ", x.size(), " and ", y.size(), " tensors"});
          for (size_t k = 0; k < x.size(); ++k) {
            in.check(x[k].dtype() == y[k].dtype() && x[k].shape() == y[k].shape(),
                     {"result ", k, " is ", x[k].dtype(), " ", x[k].shape(), " in one branch and ",
                      y[k].dtype(), " ", y[k].shape(), " in the other"});
            in.out(x[k].dtype(), x[k].shape());
          }
        },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<CondAttrs>();
          const auto branch = [&](const std::shared_ptr<const Graph>& g) {
            return vjp_of_graph(g, v.inputs() - 1);
          };
          Tensors in;
          for (size_t i = 1; i < v.inputs(); ++i) in.push_back(v.x(i));
          const size_t n = in.size();
          append_dys(v, *a.then_graph, in);
          const Tensors g = cond(v.x(0), branch(a.then_graph), branch(a.else_graph), in);
          for (size_t i = 0, k = 0; i < n; ++i)
            if (is_float(v.x(i + 1).dtype())) v.dx(i + 1) = g[k++];
        },
    .onnx = "If",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return cond(
                sum(x[0]) > 0, [&](const Tensors& y) { return Tensors{y[0] * x[1]}; },
                [](const Tensors& y) { return Tensors{exp(y[0])}; }, {x[0]});
          };
          s.add({s.uniform({2, 3}, 0.5, 1), s.uniform({3})}, call, "{0} * {1}");
          s.add({s.uniform({2, 3}, -1, -0.5), s.uniform({3})}, call, "torch.exp({0}) + 0 * {1}");
          s.bad(
              {s.uniform({2})},
              [](const Tensors& x) {
                return cond(
                    sum(x[0]) > 0, [](const Tensors& y) { return Tensors{y[0]}; },
                    [](const Tensors& y) { return Tensors{sum(y[0])}; }, {x[0]});
              },
              "result 0 is f");
        },
};

Tensors cond(In pred, const std::function<Tensors(const Tensors&)>& then_f,
             const std::function<Tensors(const Tensors&)>& else_f, const Tensors& inputs) {
  Tensors from_then, from_else;
  const Graph a = trace_closed(then_f, inputs, from_then),
              b = trace_closed(else_f, inputs, from_else);
  // Both take inputs, what the first captures, what the second captures.
  const size_t n = inputs.size();
  Tensors in = {pred};
  in.insert(in.end(), inputs.begin(), inputs.end());
  in.insert(in.end(), from_then.begin(), from_then.end());
  in.insert(in.end(), from_else.begin(), from_else.end());
  CondAttrs attrs;
  attrs.then_graph = std::make_shared<Graph>(with_extra_inputs(a, n + from_then.size(), from_else));
  attrs.else_graph = std::make_shared<Graph>(with_extra_inputs(b, n, from_then));
  return make_all(op_cond, box(std::move(attrs)), in);
}

}  // namespace nacre
