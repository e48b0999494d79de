#include "ops/shape/positions.h"

namespace nacre {
namespace {
struct RollAttrs {
  Ints shifts, dims;
  void fields(FieldVisitor& v) {
    v("shifts", shifts);
    v("dims", dims);
  }
};
}  // namespace

/// Moves entries by shifts[i] places along dims[i]; those that leave at one end come in at the
/// other. x: any shape and type.
API(Tensor roll(In x, const Ints& shifts, const Ints& dims))

OP(roll) = {
    .name = "roll",
    .attrs = attr_type<RollAttrs>(),
    .infer =
        [](Infer& in) {
          const RollAttrs& a = in.attrs<RollAttrs>();
          in.check(a.shifts.size() == a.dims.size(),
                   {a.shifts.size(), " shifts for ", a.dims.size(), " dimensions"});
          for (int64_t d : a.dims)
            in.check(d < in.rank(0), {"no dimension ", d, " of ", in.rank(0)});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const RollAttrs& a = r.attrs<RollAttrs>();
          const Shape &shape = r.in().shape, strides = contiguous_strides(shape);
          r.typed([&](auto* x, auto* y) {
            for_positions(shape, [&](int64_t k, Shape at) {
              for (int64_t i = 0; i < a.dims.rank(); ++i) {
                const int64_t n = shape[a.dims[i]];
                at[a.dims[i]] = ((at[a.dims[i]] - a.shifts[i] % n) % n + n) % n;
              }
              y[k] = x[offset_of(at, strides)];
            });
          });
        },
    .vjp =
        [](Vjp& v) {
          const RollAttrs& a = v.attrs<RollAttrs>();
          Ints back = a.shifts;
          for (int64_t& s : back) s = -s;
          v.dx(0) = roll(v.dy(), back, a.dims);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{roll(x[0], {1, -2}, {0, -1})};
              },
              "{0}.roll((1, -2), (0, 1))");
          s.add(
              {s.uniform({5, 2})}, [](const Tensors& x) { return Tensors{roll(x[0], {13}, {0})}; },
              "{0}.roll(13, 0)");
          s.add(
              {s.integers({0, 3}, 0, 9)},
              [](const Tensors& x) {
                return Tensors{roll(x[0], {1, 1}, {0, 1})};
              },
              "{0}.roll((1, 1), (0, 1))");
          s.bad(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{roll(x[0], {1, 2}, {0})};
              },
              "2 shifts for 1 dimensions");
          s.bad(
              {s.uniform({2})}, [](const Tensors& x) { return Tensors{roll(x[0], {1}, {1})}; },
              "out of range");
        },
};

Tensor roll(In x, const Ints& shifts, const Ints& dims) {
  Ints list = dims;
  for (int64_t& d : list) d = normalize_dim(op_roll, d, x->rank());
  if (list.empty() && shifts.empty()) return x;
  return make(op_roll, RollAttrs{shifts, list}, {x});
}

}  // namespace nacre
