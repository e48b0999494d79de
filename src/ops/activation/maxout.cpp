#include "ops/op.h"

namespace nacre {
namespace {
struct MaxoutAttrs {
  int64_t pieces = 1;
  void fields(FieldVisitor& v) { v("pieces", pieces); }
};
}  // namespace

/// Maxout: the largest of each `pieces` neighbouring channels (Goodfellow et al., 2013).
/// x: Nx(C*pieces)x..., floating. Returns NxCx... Equal largest pieces share the gradient.
API(Tensor maxout(In x, int64_t pieces))

OP(maxout) = {
    .name = "maxout",
    .kind = OpKind::composite,
    .attrs = attr_type<MaxoutAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t pieces = in.attrs<MaxoutAttrs>().pieces;
          in.check_float(0);
          in.check(in.rank(0) >= 2, {"input has rank ", in.rank(0), ", at least 2 is needed"});
          in.check(pieces >= 1 && in.shape(0)[1] % pieces == 0,
                   {in.shape(0)[1], " channels do not divide into groups of ", pieces});
          Shape s = in.shape(0);
          s[1] /= pieces;
          in.out(in.dtype(0), s);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MaxoutAttrs*>(attrs);
      Shape s = in[0].shape();
      s[1] /= a.pieces;
      s.insert(2, a.pieces);
      return {amax(reshape(in[0], s), {2})};
    },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 6})}, [](const Tensors& x) { return Tensors{maxout(x[0], 2)}; },
              "{0}.reshape(2, 3, 2).amax(2)");
          s.add(
              {s.uniform({2, 6, 2, 3})}, [](const Tensors& x) { return Tensors{maxout(x[0], 3)}; },
              "{0}.reshape(2, 2, 3, 2, 3).amax(2)");
          s.add(
              {s.uniform({0, 4})}, [](const Tensors& x) { return Tensors{maxout(x[0], 2)}; },
              "{0}.reshape(0, 2, 2).amax(2)");
          s.add(
              {s.uniform({1, 3})}, [](const Tensors& x) { return Tensors{maxout(x[0], 1)}; },
              "{0} * 1");
          s.bad(
              {s.uniform({2, 6})}, [](const Tensors& x) { return Tensors{maxout(x[0], 4)}; },
              "6 channels do not divide into groups of 4");
          s.bad(
              {s.uniform({6})}, [](const Tensors& x) { return Tensors{maxout(x[0], 2)}; },
              "rank 1");
        },
};

Tensor maxout(In x, int64_t pieces) { return make(op_maxout, MaxoutAttrs{pieces}, {x}); }

}  // namespace nacre
