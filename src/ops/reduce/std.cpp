#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {
namespace {
struct StdAttrs {
  Ints dims = {};
  int64_t correction = 1;
  bool keepdim = false;
  void fields(FieldVisitor& v) {
    v("dims", dims);
    v("correction", correction);
    v("keepdim", keepdim);
  }
};
}  // namespace

/// Standard deviation over dimensions: the square root of var. Where it is 0 its gradient is 0.
/// x: any shape, floating (integers become f32). dims: all if none are given; keepdim leaves
/// reduced dimensions with size 1.
API(Tensor stddev(In x, const Ints& dims = {}, int64_t correction = 1, bool keepdim = false))

OP(std) = {
    .name = "std",
    .kind = OpKind::composite,
    .attrs = attr_type<StdAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<StdAttrs>();
          in.check_float(0);
          in.check(a.correction >= 0, {"correction ", a.correction, " is negative"});
          in.out(in.dtype(0), reduced_shape(in.shape(0), {a.dims, a.keepdim}));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const StdAttrs*>(attrs);
      return {sqrt(var(in[0], a.dims, a.correction, a.keepdim))};
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<StdAttrs>();
          const ReduceAttrs r{a.dims, a.keepdim};
          const Shape& shape = v.x(0).shape();
          const double n =
              std::max(reduced_count(shape, r) - static_cast<double>(a.correction), 0.0);
          const Tensor flat = eq(v.y(), 0.0);
          const Tensor g = where(flat, 0.0, v.dy() / (where(flat, 1.0, v.y()) * n));
          v.dx(0) = expand_reduced(g, shape, r) * (v.x(0) - mean(v.x(0), a.dims, true));
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{stddev(x[0])}; },
              "torch.std({0}, unbiased=True)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) { return Tensors{stddev(x[0], {1}, 0)}; },
              "torch.std({0}, 1, correction=0)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{stddev(x[0], {0, -1}, 1, true)};
              },
              "torch.std({0}, (0, 2), correction=1, keepdim=True)");
          s.add(
               {s.uniform({2, 1})}, [](const Tensors& x) { return Tensors{stddev(x[0], {1}, 1)}; },
               "torch.std({0}, 1)")
              .check_grad = false;
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{stddev(x[0], {1})}; },
              "torch.std({0}, 1)");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{stddev(x[0], {2})}; },
              "out of range");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{stddev(x[0], {0}, -1)}; },
              "correction -1 is negative");
          s.add(
               {s.at({5, 5, 5, 5}, {2, 2})},
               [](const Tensors& x) { return Tensors{stddev(x[0], {0})}; }, "torch.std({0}, 0)")
              .check_grad = false;
        },
};

Tensor stddev(In x, const Ints& dims, int64_t correction, bool keepdim) {
  return make(op_std, StdAttrs{normalize_dims(op_std, dims, x->rank()), correction, keepdim},
              {as_float(x)});
}

}  // namespace nacre
