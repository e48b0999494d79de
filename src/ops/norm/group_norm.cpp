#include "ops/norm/norm.h"

namespace nacre {
namespace {
struct GroupNormAttrs {
  int64_t groups = 1;
  double eps = 1e-5;
  void fields(FieldVisitor& v) {
    v("groups", groups);
    v("eps", eps);
  }
};
}  // namespace

/// Group normalisation (Wu and He 2018): channels are split into groups, each normalised over its
/// channels and all positions, then scaled and shifted by channel. x: NxCx..., weight, bias: C or
/// undefined.
API(Tensor group_norm(In x, int64_t groups, const Tensor& weight = {}, const Tensor& bias = {},
                      double eps = 1e-5))
/// Instance normalisation (Ulyanov et al. 2016): every channel of every sample is normalised over
/// its positions. x: NxCx..., weight, bias: C or undefined.
API(Tensor instance_norm(In x, const Tensor& weight = {}, const Tensor& bias = {},
                         double eps = 1e-5))

OP(group_norm) = {
    .name = "group_norm",
    .kind = OpKind::composite,
    .attrs = attr_type<GroupNormAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<GroupNormAttrs>();
          in.check_float(0);
          in.check(in.rank(0) >= 2, {"the input has rank ", in.rank(0), ", at least 2 is needed"});
          const int64_t channels = in.shape(0)[1];
          in.check(a.groups >= 1 && channels >= 1 && channels % a.groups == 0,
                   {channels, " channels do not divide into ", a.groups, " groups"});
          in.check(a.eps >= 0, {"eps is ", a.eps});
          for (size_t i = 1; i < in.inputs(); ++i) {
            check_beside(in, i);
            in.check(in.shape(i) == Shape{channels}, {"input ", i, " has shape ", in.shape(i), ", ",
                                                      channels, " channels need ", channels});
          }
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const GroupNormAttrs*>(attrs);
      const Tensor& x = in[0];
      const int64_t n = x.size(0), groups = a.groups;
      int64_t row = x.size(1) / groups;
      for (int64_t d = 2; d < x.rank(); ++d) row *= x.size(d);
      const Tensor rows = reshape(wide(x), {n, groups, row});
      Tensor y = reshape(layer_norm(rows, {}, {}, a.eps), x.shape());
      if (in.size() > 1) y *= over_channels(wide(in[1]), x.rank());
      if (in.size() > 2) y += over_channels(wide(in[2]), x.rank());
      return {cast(y, x.dtype())};
    },
    .onnx = "GroupNormalization,InstanceNormalization",
    .samples =
        [](Samples& s) {
          const auto by = [](int64_t groups) {
            return [groups](const Tensors& x) {
              return Tensors{group_norm(x[0], groups, x[1], x[2])};
            };
          };
          const auto instance = [](const Tensors& x) {
            return Tensors{instance_norm(x[0], x[1], x[2])};
          };
          s.add({s.uniform({2, 4, 3, 2}), s.uniform({4}), s.uniform({4})}, by(2),
                "F.group_norm({0}, 2, {1}, {2})");
          s.add({s.uniform({2, 6}), s.uniform({6}), s.uniform({6})}, by(3),
                "F.group_norm({0}, 3, {1}, {2})");
          s.add(
              {s.uniform({2, 3, 4})}, [](const Tensors& x) { return Tensors{group_norm(x[0], 1)}; },
              "F.group_norm({0}, 1)");
          s.add(
              {s.uniform({2, 4, 4}), s.uniform({4})},
              [](const Tensors& x) { return Tensors{group_norm(x[0], 4, {}, x[1], 0.1)}; },
              "F.group_norm({0}, 4, None, {1}, 0.1)");
          s.add({s.uniform({0, 4, 3}), s.uniform({4}), s.uniform({4})}, by(2),
                "F.group_norm({0}, 2, {1}, {2})");
          s.add({s.uniform({2, 3, 4, 2}), s.uniform({3}), s.uniform({3})}, instance,
                "F.instance_norm({0}, None, None, {1}, {2})");
          s.add(
              {s.uniform({2, 3, 5})}, [](const Tensors& x) { return Tensors{instance_norm(x[0])}; },
              "F.instance_norm({0})");
          s.bad({s.uniform({2, 4, 3}), s.uniform({4}), s.uniform({4})}, by(3),
                "4 channels do not divide into 3 groups");
          s.bad({s.uniform({2, 4, 3}), s.uniform({4}), s.uniform({4})}, by(0),
                "4 channels do not divide into 0 groups");
          s.bad({s.uniform({2, 4, 3}), s.uniform({3}), s.uniform({4})}, by(2),
                "input 1 has shape 3, 4 channels need 4");
          s.bad({s.uniform({4}), s.uniform({4}), s.uniform({4})}, by(2), "rank 1");
          s.bad({s.uniform({4}), s.uniform({4}), s.uniform({4})}, instance,
                "[instance_norm] input has rank 1");
        },
};

Tensor group_norm(In x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const GroupNormAttrs a{groups, eps};
  if (!weight.defined() && !bias.defined()) return make(op_group_norm, a, {x});
  if (!bias.defined()) return make(op_group_norm, a, {x, weight});
  return make(op_group_norm, a, {x, weight.defined() ? weight : ones_like(bias), bias});
}

Tensor instance_norm(In x, const Tensor& weight, const Tensor& bias, double eps) {
  if (x->rank() < 2)
    fail(Error::Kind::shape, {"[instance_norm] input has rank ", x->rank(),
                              ", at least 2 is needed (input ", x->shape(), ")", where()});
  return group_norm(x, x->size(1), weight, bias, eps);
}

}  // namespace nacre
