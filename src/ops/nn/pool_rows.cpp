#include <limits>

#include "ops/nn/pool.h"
#include "ops/nn/rows.h"
#include "ops/norm/norm.h"

namespace nacre {
namespace {

Shape pooled(const Infer& in, const MaxPoolAttrs& a) {
  in.check_rank(0, 4);
  const Shape& x = in.shape(0);
  const Shape size = windowed_shape(in, x.slice(1, 3), window_of(a));
  return {x[0], size[0], size[1], x[3]};
}

}  // namespace

/// Largest value of each window of NxHxWxC; of 8-bit integers too, whose least one stands for
/// padding. Made by the passes "precision" and "integers" of max_pool.
OP(max_pool_rows) = {
    .name = "max_pool_rows",
    .kind = OpKind::composite,
    .attrs = attr_type<MaxPoolAttrs>(),
    .infer =
        [](Infer& in) {
          const DType t = in.dtype(0);
          if (t != DType::u8 && t != DType::i8) in.check_float(0);
          in.out(t, pooled(in, in.attrs<MaxPoolAttrs>()));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MaxPoolAttrs*>(attrs);
      const DType t = in[0].dtype();
      if (is_float(t)) return {to_rows(max_pool(to_planes(in[0]), a)[0])};
      const Tensor y = max_pool(to_planes(cast(in[0], DType::f32)), a)[0];
      return {cast(to_rows(maximum(y, t == DType::u8 ? 0.0 : -128.0)), t)};
    },
    .samples =
        [](Samples& s) {
          const MaxPoolAttrs a = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
          const auto call = [a](const Tensors& x) {
            return Tensors{make(*find_op("max_pool_rows"), box(a), x)};
          };
          s.add({s.uniform({2, 5, 6, 3})}, call,
                "F.max_pool2d({0}.permute(0, 3, 1, 2), 3, 2, 1).permute(0, 2, 3, 1)");
          for (const DType t : {DType::u8, DType::i8})
            s.add({s.integers({2, 5, 6, 3}, t == DType::u8 ? 0 : -128, 128, t)}, call,
                  "F.max_pool2d({0}.double().permute(0, 3, 1, 2), 3, 2, 1).permute(0, 2, 3, 1)"
                  ".to({0}.dtype)");
          s.bad({s.uniform({2, 5, 6})}, call, "rank 3");
          s.bad({s.integers({2, 5, 6, 3}, 0, 9)}, call, "a floating type is needed");
        },
};

/// Mean of each window of NxHxWxC. Made by the passes "precision" and "integers" of avg_pool.
OP(avg_pool_rows) = {
    .name = "avg_pool_rows",
    .kind = OpKind::composite,
    .attrs = attr_type<AvgPoolAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.out(in.dtype(0), pooled(in, in.attrs<AvgPoolAttrs>()));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      return {to_rows(avg_pool(to_planes(in[0]), *static_cast<const AvgPoolAttrs*>(attrs)))};
    },
    .samples =
        [](Samples& s) {
          AvgPoolAttrs a;
          a.kernel = {3, 3};
          a.stride = {2, 2};
          a.dilation = a.pad_low = a.pad_high = {1, 1};
          const auto with = [](AvgPoolAttrs b) {
            return [b](const Tensors& x) {
              return Tensors{make(*find_op("avg_pool_rows"), box(b), x)};
            };
          };
          const std::string pool = "F.avg_pool2d({0}.permute(0, 3, 1, 2), 3, 2, 1",
                            rows = ").permute(0, 2, 3, 1)";
          s.add({s.uniform({2, 5, 6, 3})}, with(a), pool + rows);
          a.include_pad = false;
          s.add({s.uniform({1, 5, 6, 20})}, with(a), pool + ", count_include_pad=False" + rows);
          AvgPoolAttrs outside = a;  // windows that lie in padding alone
          outside.kernel = {2, 2};
          outside.pad_low = {0, 0};
          outside.pad_high = {3, 3};
          s.add({s.uniform({1, 4, 4, 5})}, with(outside),
                "(lambda sum: sum({0}) / sum(torch.ones_like({0})).clamp(min=1))(lambda x: "
                "4 * F.avg_pool2d(F.pad(x.permute(0, 3, 1, 2), (0, 3, 0, 3)), 2, 2)"
                ".permute(0, 2, 3, 1))");
          s.bad({s.uniform({2, 5, 6})}, with(a), "rank 3");
        },
};

/// Gradient of max_pool_rows: x and dy give dx; the first of equal values gets all.
OP(max_pool_rows_grad) = {
    .name = "max_pool_rows_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<MaxPoolAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          const Shape y = pooled(in, in.attrs<MaxPoolAttrs>());
          in.check_same_dtype();
          in.check(in.shape(1) == y, {"input 1 has shape ", in.shape(1), ", not ", y});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = to_planes(in[0]), dy = wide(to_planes(in[1]));
      const Tensor at = max_pool(x, *static_cast<const MaxPoolAttrs*>(attrs))[1];
      const Shape rows = {dy.size(0), dy.size(1), dy.size(2) * dy.size(3)};
      const Tensor none = zeros({x.size(0), x.size(1), x.size(2) * x.size(3)}, dy.dtype());
      const Tensor known = where(at < 0, 0.0, dy);  // none of a window of padding alone
      const Tensor dx =
          scatter(none, 2, reshape(maximum(at, 0), rows), reshape(known, rows), "add");
      return {cast(to_rows(reshape(dx, x.shape())), in[0].dtype())};
    },
    .samples =
        [](Samples& s) {
          const MaxPoolAttrs a = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
          const auto call = [a](const Tensors& x) {
            return Tensors{make(*find_op("max_pool_rows_grad"), box(a), x)};
          };
          const auto add = [&](const Shape& x, const Shape& dy) {
            s.add({s.uniform(x), s.uniform(dy)}, call,
                  "(lambda y, at: torch.zeros({0}.shape[0], {0}.shape[3], {0}.shape[1] * "
                  "{0}.shape[2]).scatter_add(2, at.flatten(2), {1}.permute(0, 3, 1, 2).flatten(2))"
                  ".reshape({0}.permute(0, 3, 1, 2).shape).permute(0, 2, 3, 1))(*F.max_pool2d("
                  "{0}.permute(0, 3, 1, 2), 3, 2, 1, return_indices=True))");
          };
          add({2, 5, 6, 3}, {2, 3, 3, 3});
          add({1, 4, 3, 18}, {1, 2, 2, 18});
          s.bad({s.uniform({2, 5, 6, 3}), s.uniform({2, 3, 2, 3})}, call, "input 1 has shape");
        },
};

}  // namespace nacre
