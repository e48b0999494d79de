#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
namespace {
struct NormAttrs {
  double p = 2;
  Ints dims = {};
  bool keepdim = false;
  void fields(FieldVisitor& v) {
    v("p", p);
    v("dims", dims);
    v("keepdim", keepdim);
  }
};
}  // namespace

/// Vector norm over dimensions: (sum |x|^p)^(1/p). p = 0 counts elements that are not zero,
/// INFINITY and -INFINITY give the largest and smallest |x|. Where the norm is 0 its gradient is 0.
/// x: any shape, floating. dims: all if none are given; keepdim leaves reduced dimensions with
/// size 1.
API(Tensor norm(In x, double p = 2, const Ints& dims = {}, bool keepdim = false))

OP(norm) = {
    .name = "norm",
    .kind = OpKind::composite,
    .attrs = attr_type<NormAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<NormAttrs>();
          in.check_float(0);
          in.check(!std::isnan(a.p), {"p is NaN"});
          in.out(in.dtype(0), reduced_shape(in.shape(0), {a.dims, a.keepdim}));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const NormAttrs*>(attrs);
      const Tensor& x = in[0];
      if (a.p == 0) return {cast(sum(ne(x, 0.0), a.dims, a.keepdim), x.dtype())};
      if (a.p == 1) return {sum(abs(x), a.dims, a.keepdim)};
      if (a.p == 2) return {sqrt(sum(square(x), a.dims, a.keepdim))};
      if (a.p == INFINITY) return {amax(abs(x), a.dims, a.keepdim)};
      if (a.p == -INFINITY) return {amin(abs(x), a.dims, a.keepdim)};
      return {pow(sum(pow(abs(x), a.p), a.dims, a.keepdim), 1 / a.p)};
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<NormAttrs>();
          const ReduceAttrs r{a.dims, a.keepdim};
          const Tensor& x = v.x(0);
          const Shape& shape = x.shape();
          if (a.p == 0) return;
          if (std::isinf(a.p)) {  // equal largest elements share
            const Tensor hit = cast(eq(abs(x), expand_reduced(v.y(), shape, r)), x.dtype());
            v.dx(0) =
                hit * sign(x) * expand_reduced(v.dy() / sum(hit, a.dims, a.keepdim), shape, r);
            return;
          }
          if (a.p == 1) {
            v.dx(0) = expand_reduced(v.dy(), shape, r) * sign(x);
            return;
          }
          const Tensor flat = eq(v.y(), 0.0);
          const Tensor y = where(flat, 1.0, v.y());
          const Tensor g = where(flat, 0.0, v.dy() / (a.p == 2 ? y : pow(y, a.p - 1)));
          if (a.p == 2) {
            v.dx(0) = expand_reduced(g, shape, r) * x;
            return;
          }
          const Tensor zero = eq(x, 0.0);
          const Tensor power = pow(abs(where(zero, 1.0, x)), a.p - 1);
          v.dx(0) = expand_reduced(g, shape, r) * where(zero, 0.0, sign(x) * power);
        },
    .onnx = "ReduceL1,ReduceL2",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{norm(x[0])}; },
              "torch.linalg.vector_norm({0})");
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{norm(x[0], 2, {1})}; },
              "torch.linalg.vector_norm({0}, 2, 1)");
          s.add(
              {s.uniform({2, 3, 4}, 0.2, 1)},
              [](const Tensors& x) {
                return Tensors{norm(x[0], 1, {0, -1}, true)};
              },
              "torch.linalg.vector_norm({0}, 1, (0, 2), keepdim=True)");
          s.add(
              {s.uniform({3, 4}, 0.2, 1)},
              [](const Tensors& x) {
                return Tensors{norm(x[0], 3, {1}), norm(x[0], 1.5, {1})};
              },
              "(torch.linalg.vector_norm({0}, 3, 1), torch.linalg.vector_norm({0}, 1.5, 1))");
          s.add(
              {s.uniform({3, 4}, 0.2, 1)},
              [](const Tensors& x) {
                return Tensors{norm(x[0], INFINITY, {1}), norm(x[0], -INFINITY, {1})};
              },
              "(torch.linalg.vector_norm({0}, float('inf'), 1), torch.linalg.vector_norm({0}, "
              "-float('inf'), 1))");
          s.add(
               {s.at({0, 1, 0, 2, 0, 0}, {2, 3})},
               [](const Tensors& x) { return Tensors{norm(x[0], 0, {1})}; },
               "torch.linalg.vector_norm({0}, 0, 1)")
              .check_grad = false;
          s.add(
               {s.at({0, 0, 3, -4}, {2, 2})},
               [](const Tensors& x) { return Tensors{norm(x[0], 2, {1})}; },
               "torch.linalg.vector_norm({0}, 2, 1)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{norm(x[0], 2, {0})}; },
              "torch.linalg.vector_norm({0}, 2, 0)");
          s.add(
              {s.uniform({}, 0.2, 1)}, [](const Tensors& x) { return Tensors{norm(x[0])}; },
              "torch.linalg.vector_norm({0})");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{norm(x[0], 2, {2})}; },
              "out of range");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{norm(x[0], NAN)}; },
              "p is NaN");
        },
};

Tensor norm(In x, double p, const Ints& dims, bool keepdim) {
  return make(op_norm, NormAttrs{p, normalize_dims(op_norm, dims, x->rank()), keepdim}, {x});
}

}  // namespace nacre
