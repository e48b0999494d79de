#include "ops/op.h"

namespace nacre {
namespace {
struct RangeAttrs {
  double start = 0, step = 1;
  int64_t size = 0;
  DType dtype = DType::i64;
  void fields(FieldVisitor& v) {
    v("start", start);
    v("step", step);
    v("size", size);
    v("dtype", dtype);
  }
};
}  // namespace

/// Numbers 0..n-1.
API(Tensor arange(int64_t n, DType dtype = DType::i64))
/// Numbers start, start + step, ... before stop. The step may be negative, not zero. The numbers
/// are part of the compiled plan.
API(Tensor arange(double start, double stop, double step = 1, DType dtype = DType::i64))
/// Coordinate grids of 1-d tensors: result i has all their sizes as its shape (matrix order) and
/// varies along dimension i alone.
API(Tensors meshgrid(Ins axes))

OP(arange) = {
    .name = "arange",
    .attrs = attr_type<RangeAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<RangeAttrs>();
          in.check(a.dtype != DType::boolean, {"numbers of type bool make no range"});
          in.check(a.size >= 0, {"size ", a.size, " is negative"});
          in.out(a.dtype, {a.size});
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<RangeAttrs>();
          for (int64_t k = 0; k < r.out().n; ++k) {
            const double v = a.start + static_cast<double>(k) * a.step;
            if (r.out().floating())
              r.out().d[k] = v;
            else
              r.out().i[k] = static_cast<int64_t>(v);
          }
        },
    .onnx = "Range",
    .samples =
        [](Samples& s) {
          s.add(
              {}, [](const Tensors&) { return Tensors{arange(5)}; }, "torch.arange(5)");
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{arange(1, 2, 0.3, DType::f32), arange(9, -2, -4)};
              },
              "(torch.arange(1, 2, 0.3), torch.arange(9, -2, -4))");
          s.add(
              {},
              [](const Tensors&) {
                return Tensors{arange(3, 3), arange(0, DType::f64)};
              },
              "(torch.arange(3, 3), torch.arange(0, dtype=torch.float64))");
          s.add(
              {s.uniform({3}), s.uniform({2}), s.uniform({4})},
              [](const Tensors& x) { return meshgrid(x); },
              "torch.meshgrid({0}, {1}, {2}, indexing='ij')");
          s.bad(
              {}, [](const Tensors&) { return Tensors{arange(0, 5, 0)}; }, "step 0");
          s.bad(
              {}, [](const Tensors&) { return Tensors{arange(0, 5, -1)}; },
              "never reaches 5 from 0");
          s.bad(
              {}, [](const Tensors&) { return Tensors{arange(-1)}; }, "size -1 is negative");
          s.bad(
              {}, [](const Tensors&) { return Tensors{arange(3, DType::boolean)}; },
              "bool make no range");
          s.bad(
              {s.uniform({3, 2})}, [](const Tensors& x) { return meshgrid(x); },
              "axis 0 has shape 3x2");
        },
};

Tensor arange(int64_t n, DType dtype) { return make(op_arange, RangeAttrs{0, 1, n, dtype}, {}); }

Tensor arange(double start, double stop, double step, DType dtype) {
  if (step == 0 || !std::isfinite(start) || !std::isfinite(stop) || !std::isfinite(step))
    fail(Error::Kind::shape,
         {"[arange] no range from ", start, " to ", stop, " with step ", step, where()});
  const double size = std::ceil((stop - start) / step);
  if (size < 0)
    fail(Error::Kind::shape,
         {"[arange] step ", step, " never reaches ", stop, " from ", start, where()});
  if (size > 0x1p48)
    fail(Error::Kind::shape, {"[arange] a range of ", size, " numbers is too long", where()});
  return make(op_arange, RangeAttrs{start, step, static_cast<int64_t>(size), dtype}, {});
}

Tensors meshgrid(Ins axes) {
  Shape shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].rank() != 1)
      fail(Error::Kind::shape, {"[meshgrid] axis ", i, " has shape ", axes[i].shape(),
                                ", one dimension is needed", where()});
    shape.push_back(axes[i].numel());
  }
  Tensors grids;
  for (size_t i = 0; i < axes.size(); ++i) {
    Shape own(axes.size(), 1);
    own[static_cast<int64_t>(i)] = axes[i].numel();
    grids.push_back(expand(reshape(axes[i], own), shape));
  }
  return grids;
}

}  // namespace nacre
