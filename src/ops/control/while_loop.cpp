#include <functional>

#include "nacre/autograd.h"
#include "ops/control/control.h"

namespace nacre {
namespace {

struct WhileAttrs {
  std::shared_ptr<const Graph> test,
      body;  ///< both take (carries, captured by test, captured by body)
  void fields(FieldVisitor& v) {
    v("test", test);
    v("body", body);
  }
};

}  // namespace

/// A loop that runs while test(carry) is true: carry = body(carry). Returns the final carries.
/// test returns one bool scalar, body tensors of the types and shapes of the carries. Tensors that
/// they capture are inputs too. Differentiable, any order: the gradient evaluates the loop to learn
/// how often it ran, then is that of a scan.
API(Tensors while_loop(const std::function<Tensor(const Tensors&)>& test,
                       const std::function<Tensors(const Tensors&)>& body, const Tensors& carry))

OP(while_loop) = {
    .name = "while_loop",
    .kind = OpKind::control,
    .attrs = attr_type<WhileAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<WhileAttrs>();
          std::vector<std::pair<DType, Shape>> given;
          for (size_t i = 0; i < in.inputs(); ++i) given.emplace_back(in.dtype(i), in.shape(i));
          check_takes(in, *a.test, given);
          check_takes(in, *a.body, given);
          in.check(a.test->outputs().size() == 1,
                   {"the test returns ", a.test->outputs().size(), " tensors, one is needed"});
          const Tensor& t = a.test->outputs()[0];
          in.check(t.dtype() == DType::boolean && t.rank() == 0,
                   {"the test returns ", t.dtype(), " ", t.shape(), ", a bool scalar is needed"});
          const Tensors& out = a.body->outputs();
          in.check(out.size() <= in.inputs(),
                   {"the body returns ", out.size(), " tensors, more than are carried"});
          for (size_t k = 0; k < out.size(); ++k) {
            in.check(out[k].dtype() == in.dtype(k) && out[k].shape() == in.shape(k),
                     {"carried value ", k, " becomes ", out[k].dtype(), " ", out[k].shape()});
            in.out(in.dtype(k), in.shape(k));
          }
          in.out(DType::i64, {});
        },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<WhileAttrs>();
          const size_t n = a.body->outputs().size();
          const int64_t steps = v.y(n).item_int();
          Tensors carry, wanted, dy, outputs;
          for (size_t k = 0; k < v.inputs(); ++k)
            carry.push_back(is_float(v.x(k).dtype()) ? identity(v.x(k)) : v.x(k));
          const Tensors first(carry.begin(), carry.begin() + static_cast<int64_t>(n));
          const Tensors out = scan(
              [&](const Tensors& t) {
                Tensors in = t;
                in.insert(in.end(), carry.begin() + static_cast<int64_t>(n), carry.end());
                return a.body->call(in);
              },
              first, {}, steps);
          for (size_t k = 0; k < n; ++k)
            if (is_float(out[k].dtype())) {
              outputs.push_back(out[k]);
              dy.push_back(v.dy(k));
            }
          for (const Tensor& t : carry)
            if (is_float(t.dtype())) wanted.push_back(t);
          const Tensors g = vjp(outputs, wanted, dy);
          for (size_t k = 0, j = 0; k < v.inputs(); ++k)
            if (is_float(v.x(k).dtype())) v.dx(k) = g[j++];
        },
    .onnx = "Loop",
    .samples =
        [](Samples& s) {
          const auto grow = [](const Tensors& x) {
            return while_loop([](const Tensors& c) { return sum(c[0]) < 50.0; },
                              [&](const Tensors& c) { return Tensors{c[0] * 2.0 + x[1]}; }, {x[0]});
          };
          s.add({s.uniform({3}, 1, 2), s.uniform({3}, 0, 0.01)}, grow).oracle =
              "the unrolled loop, in control_test";
          s.add({s.uniform({2}, 100, 200), s.uniform({2})}, grow, "{0} + 0 * {1}");
        },
};

Tensors while_loop(const std::function<Tensor(const Tensors&)>& test,
                   const std::function<Tensors(const Tensors&)>& body, const Tensors& carry) {
  Tensors from_test, from_body;
  const Graph t =
      trace_closed([&](const Tensors& c) { return Tensors{test(c)}; }, carry, from_test);
  const Graph b = trace_closed(body, carry, from_body);
  if (b.outputs().size() != carry.size())
    fail(Error::Kind::shape, {"[while_loop] the body returns ", b.outputs().size(), " tensors, ",
                              carry.size(), " are carried", where()});
  Tensors in = carry;
  in.insert(in.end(), from_test.begin(), from_test.end());
  in.insert(in.end(), from_body.begin(), from_body.end());
  WhileAttrs a;
  a.test =
      std::make_shared<Graph>(with_extra_inputs(t, carry.size() + from_test.size(), from_body));
  a.body = std::make_shared<Graph>(with_extra_inputs(b, carry.size(), from_test));
  Tensors out = make_all(op_while_loop, box(std::move(a)), in);
  out.pop_back();
  return out;
}

}  // namespace nacre
