#include "ops/op.h"

namespace nacre {
namespace {
struct TileAttrs {
  Ints repeats;
  void fields(FieldVisitor& v) { v("repeats", repeats); }
};
}  // namespace

/// Repeats the whole tensor repeats[d] times along each dimension d. Of repeats and the shape of x
/// the shorter is extended with ones at the front. x: any type.
API(Tensor tile(In x, const Ints& repeats))
/// Repeats each entry of one dimension `repeats` times: a b becomes a a b b. x: any type.
API(Tensor repeat_interleave(In x, int64_t repeats, int64_t dim))

OP(tile) = {
    .name = "tile",
    .kind = OpKind::composite,
    .attrs = attr_type<TileAttrs>(),
    .infer =
        [](Infer& in) {
          const Ints& n = in.attrs<TileAttrs>().repeats;
          Shape out = in.shape(0);
          in.check(n.size() == out.size(), {"repeats ", as_list(n), " need one entry for each of ",
                                            out.rank(), " dimensions"});
          for (int64_t d = 0; d < out.rank(); ++d) {
            in.check(n[d] >= 0, {"repeats ", as_list(n), " has a negative entry"});
            out[d] *= n[d];
          }
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const Ints& n = static_cast<const TileAttrs*>(attrs)->repeats;
          Shape apart, wide, out;  // 1 x a x 1 x b -> n0 x a x n1 x b -> n0 a x n1 b
          for (int64_t d = 0; d < n.rank(); ++d) {
            const int64_t size = in[0].size(d);
            apart.push_back(1);
            apart.push_back(size);
            wide.push_back(n[d]);
            wide.push_back(size);
            out.push_back(n[d] * size);
          }
          return Tensors{reshape(expand(reshape(in[0], apart), wide), out)};
        },
    .onnx = "Tile",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{tile(x[0], {2, 3})};
              },
              "{0}.tile(2, 3)");
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{tile(x[0], {2}), tile(x[0], {2, 1, 1})};
              },
              "({0}.tile(2), {0}.tile(2, 1, 1))");
          s.add(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{tile(x[0], {0})}; },
              "{0}.tile(0)");
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{repeat_interleave(x[0], 2, 0), repeat_interleave(x[0], 3, -1)};
              },
              "({0}.repeat_interleave(2, 0), {0}.repeat_interleave(3, -1))");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{tile(x[0], {-1})}; },
              "negative entry");
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) { return Tensors{repeat_interleave(x[0], -1, 0)}; },
              "[repeat_interleave]");
        },
};

Tensor tile(In x, const Ints& repeats) {
  Ints n = repeats;
  Shape shape = x->shape();
  while (n.size() < shape.size()) n.insert(0, 1);
  while (shape.size() < n.size()) shape.insert(0, 1);
  return make(op_tile, TileAttrs{std::move(n)}, {reshape(x, shape)});
}

Tensor repeat_interleave(In x, int64_t repeats, int64_t dim) {
  dim = normalize_dim(dim, x->rank());
  if (repeats < 0)
    fail(Error::Kind::shape, {"[repeat_interleave] cannot repeat ", repeats, " times", where()});
  Shape wide = x->shape(), out = wide;
  wide.insert(dim + 1, repeats);
  out[dim] *= repeats;
  return reshape(expand(unsqueeze(x, dim + 1), wide), out);
}

}  // namespace nacre
