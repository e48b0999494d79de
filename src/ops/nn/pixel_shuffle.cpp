#include "ops/op.h"

namespace nacre {
namespace {

struct FactorAttrs {
  int64_t factor = 1;
  void fields(FieldVisitor& v) { v("factor", factor); }
};
struct GroupAttrs {
  int64_t groups = 1;
  void fields(FieldVisitor& v) { v("groups", groups); }
};

int64_t checked_factor(const Infer& in) {
  const int64_t r = in.attrs<FactorAttrs>().factor;
  in.check_rank(0, 4);
  in.check(r >= 1 && r <= (1 << 15), {"the factor is ", r, ", at least 1 is needed"});
  return r;
}

}  // namespace

/// Moves channels into space (Shi et al. 2016): Nx(C r^2)xHxW -> NxCx(H r)x(W r). x: any type.
API(Tensor pixel_shuffle(In x, int64_t factor))
/// The inverse of pixel_shuffle: NxCx(H r)x(W r) -> Nx(C r^2)xHxW. x: any type.
API(Tensor pixel_unshuffle(In x, int64_t factor))
/// Deals channels out to groups in turn (Zhang et al. 2018): channel g C/groups + i becomes
/// i groups + g. x: NxCx..., any type.
API(Tensor channel_shuffle(In x, int64_t groups))

OP(pixel_shuffle) = {
    .name = "pixel_shuffle",
    .kind = OpKind::composite,
    .attrs = attr_type<FactorAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t r = checked_factor(in);
          const Shape& x = in.shape(0);
          in.check(x[1] % (r * r) == 0, {x[1], " channels do not divide by ", r * r});
          in.out(in.dtype(0), {x[0], x[1] / (r * r), x[2] * r, x[3] * r});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t r = static_cast<const FactorAttrs*>(attrs)->factor;
      const Shape& x = in[0].shape();
      const int64_t c = x[1] / (r * r);
      const Tensor t = permute(reshape(in[0], {x[0], c, r, r, x[2], x[3]}), {0, 1, 4, 2, 5, 3});
      return {reshape(t, {x[0], c, x[2] * r, x[3] * r})};
    },
    .onnx = "DepthToSpace",
    .samples =
        [](Samples& s) {
          const auto by = [](int64_t r) {
            return [r](const Tensors& x) { return Tensors{pixel_shuffle(x[0], r)}; };
          };
          s.add({s.uniform({2, 8, 2, 3})}, by(2), "F.pixel_shuffle({0}, 2)");
          s.add({s.uniform({1, 9, 2, 1})}, by(3), "F.pixel_shuffle({0}, 3)");
          s.add({s.uniform({1, 2, 2, 3})}, by(1), "F.pixel_shuffle({0}, 1)");
          s.add({s.uniform({0, 4, 2, 2})}, by(2), "torch.zeros(0, 1, 4, 4)");
          s.bad({s.uniform({1, 6, 2, 2})}, by(2), "6 channels do not divide by 4");
          s.bad({s.uniform({1, 4, 2, 2})}, by(0), "the factor is 0");
          s.bad({s.uniform({4, 2, 2})}, by(2), "rank 3");
        },
};

OP(pixel_unshuffle) = {
    .name = "pixel_unshuffle",
    .kind = OpKind::composite,
    .attrs = attr_type<FactorAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t r = checked_factor(in);
          const Shape& x = in.shape(0);
          in.check(x[2] % r == 0 && x[3] % r == 0,
                   {"an image of ", x[2], " by ", x[3], " does not divide by ", r});
          in.out(in.dtype(0), {x[0], x[1] * r * r, x[2] / r, x[3] / r});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t r = static_cast<const FactorAttrs*>(attrs)->factor;
      const Shape& x = in[0].shape();
      const int64_t h = x[2] / r, w = x[3] / r;
      const Tensor t = permute(reshape(in[0], {x[0], x[1], h, r, w, r}), {0, 1, 3, 5, 2, 4});
      return {reshape(t, {x[0], x[1] * r * r, h, w})};
    },
    .onnx = "SpaceToDepth",
    .samples =
        [](Samples& s) {
          const auto by = [](int64_t r) {
            return [r](const Tensors& x) { return Tensors{pixel_unshuffle(x[0], r)}; };
          };
          s.add({s.uniform({2, 2, 4, 6})}, by(2), "F.pixel_unshuffle({0}, 2)");
          s.add({s.uniform({1, 1, 6, 3})}, by(3), "F.pixel_unshuffle({0}, 3)");
          s.add({s.uniform({0, 1, 4, 4})}, by(2), "torch.zeros(0, 4, 2, 2)");
          s.bad({s.uniform({1, 1, 5, 4})}, by(2), "an image of 5 by 4 does not divide by 2");
          s.bad({s.uniform({1, 4, 2, 2})}, by(-1), "the factor is -1");
        },
};

OP(channel_shuffle) = {
    .name = "channel_shuffle",
    .kind = OpKind::composite,
    .attrs = attr_type<GroupAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t groups = in.attrs<GroupAttrs>().groups;
          in.check(in.rank(0) >= 2, {"the input has rank ", in.rank(0), ", at least 2 is needed"});
          in.check(groups >= 1 && in.shape(0)[1] % groups == 0,
                   {in.shape(0)[1], " channels do not divide into ", groups, " groups"});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t groups = static_cast<const GroupAttrs*>(attrs)->groups;
      const Shape& x = in[0].shape();
      const int64_t positions = x.slice(2, x.rank()).numel();
      const Tensor t = reshape(in[0], {x[0], groups, x[1] / groups, positions});
      return {reshape(permute(t, {0, 2, 1, 3}), x)};
    },
    .samples =
        [](Samples& s) {
          const auto by = [](int64_t groups) {
            return [groups](const Tensors& x) { return Tensors{channel_shuffle(x[0], groups)}; };
          };
          s.add({s.uniform({2, 6, 2, 2})}, by(3), "F.channel_shuffle({0}, 3)");
          s.add({s.uniform({1, 4, 2, 1})}, by(1), "F.channel_shuffle({0}, 1)");
          s.add({s.uniform({2, 4})}, by(2), "{0}.reshape(2, 2, 2).transpose(1, 2).reshape(2, 4)");
          s.add({s.uniform({0, 4, 2, 2})}, by(2), "{0} * 1");
          s.bad({s.uniform({1, 4, 2, 2})}, by(3), "4 channels do not divide into 3 groups");
          s.bad({s.uniform({4})}, by(2), "rank 1");
        },
};

Tensor pixel_shuffle(In x, int64_t factor) {
  return make(op_pixel_shuffle, FactorAttrs{factor}, {x});
}
Tensor pixel_unshuffle(In x, int64_t factor) {
  return make(op_pixel_unshuffle, FactorAttrs{factor}, {x});
}
Tensor channel_shuffle(In x, int64_t groups) {
  return make(op_channel_shuffle, GroupAttrs{groups}, {x});
}

}  // namespace nacre
