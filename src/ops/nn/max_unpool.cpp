#include "ops/nn/pool.h"

namespace nacre {
namespace {
struct UnpoolAttrs {
  Ints size;
  void fields(FieldVisitor& v) { v("size", size); }
};
}  // namespace

/// Puts each value of x where max_pool found it, zeros elsewhere (Zeiler and Fergus 2014).
/// x, indices: NxCx*S' (i64, positions in the flattened plane, as max_pool1d..3d give them); size:
/// the spatial size of the result NxCx*size.
API(Tensor max_unpool(In x, In indices, const Ints& size))

OP(max_unpool) = {
    .name = "max_unpool",
    .kind = OpKind::composite,
    .attrs = attr_type<UnpoolAttrs>(),
    .infer =
        [](Infer& in) {
          const Ints& size = in.attrs<UnpoolAttrs>().size;
          in.check_float(0);
          in.check_index(1);
          in.check(in.rank(0) >= 3 && size.rank() == in.rank(0) - 2,
                   {"size ", as_list(size), " does not fit an input of rank ", in.rank(0)});
          in.check(in.shape(1) == in.shape(0),
                   {"indices have shape ", in.shape(1), ", values ", in.shape(0)});
          for (int64_t v : size)
            in.check(v >= 1, {"size ", as_list(size), " has an entry below 1"});
          in.out(in.dtype(0), with_spatial(in.shape(0)[0], in.shape(0)[1], size));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Ints& size = static_cast<const UnpoolAttrs*>(attrs)->size;
      const Shape& x = in[0].shape();
      const Shape flat = {x[0], x[1], spatial_of(x).numel()};
      const Tensor empty = zeros({x[0], x[1], size.numel()}, in[0].dtype());
      const Tensor y = scatter(empty, 2, reshape(in[1], flat), reshape(in[0], flat));
      return {reshape(y, with_spatial(x[0], x[1], size))};
    },
    .onnx = "MaxUnpool",
    .samples =
        [](Samples& s) {
          const auto to = [](Ints size) {
            return [size](const Tensors& x) { return Tensors{max_unpool(x[0], x[1], size)}; };
          };
          s.add({s.uniform({1, 2, 2, 2}), s.ints_at({0, 3, 9, 10, 5, 2, 12, 15}, {1, 2, 2, 2})},
                to({4, 4}), "F.max_unpool2d({0}, {1}, 2)");
          s.add({s.uniform({1, 1, 3}), s.ints_at({1, 2, 5}, {1, 1, 3})}, to({7}),
                "F.max_unpool1d({0}, {1}, 2, output_size=(7,))");
          s.add({s.uniform({0, 1, 3}), s.ints_at({}, {0, 1, 3})}, to({6})).oracle =
              "an empty batch gives an empty batch";
          s.bad({s.uniform({1, 1, 3}), s.ints_at({1, 2}, {1, 1, 2})}, to({6}),
                "indices have shape 1x1x2, values 1x1x3");
          s.bad({s.uniform({1, 1, 3}), s.ints_at({1, 2, 5}, {1, 1, 3})}, to({6, 6}),
                "size [6, 6] does not fit");
          s.bad({s.uniform({1, 1, 3}), s.ints_at({1, 2, 5}, {1, 1, 3})}, to({0}), "below 1");
        },
};

Tensor max_unpool(In x, In indices, const Ints& size) {
  return make(op_max_unpool, UnpoolAttrs{size}, {x, indices});
}

}  // namespace nacre
