#include "ops/norm/norm.h"

namespace nacre {
namespace {

/// Values as [rows, C].
Tensor channel_rows(const Tensor& x, const void* attrs) {
  if (!static_cast<const ChannelAttrs*>(attrs)->blocks) return reshape(x, {-1, x.size(-1)});
  return reshape(movedim(x, 1, -2), {-1, x.size(1) * x.size(-1)});
}

/// Checks x; returns its channels.
int64_t channels_of(const Infer& in) {
  const bool blocks = in.attrs<ChannelAttrs>().blocks;
  const int64_t least = blocks ? 3 : 2;
  in.check_float(0);
  in.check(in.rank(0) >= least,
           {"the input has rank ", in.rank(0), ", at least ", least, " is needed"});
  in.check(in.shape(0).numel() > 0, {"there is no value to sum"});
  return in.shape(0)[-1] * (blocks ? in.shape(0)[1] : 1);
}

}  // namespace

/// Mean and biased variance of each channel: x ...xC, or NxGx...xB in blocks, -> C, C. In f32 for
/// 16-bit floats. Made by the precision and layout passes of batch_norm_train.
OP(channel_moments) = {
    .name = "channel_moments",
    .kind = OpKind::composite,
    .attrs = attr_type<ChannelAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape channels = {channels_of(in)};
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), channels);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = wide(channel_rows(in[0], attrs)), m = mean(x, {0});
      return {m, mean(square(x - m), {0})};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return make_all(*find_op("channel_moments"), box(ChannelAttrs{}), x);
          };
          const auto blocks = [](const Tensors& x) {
            return make_all(*find_op("channel_moments"), box(ChannelAttrs{true}), x);
          };
          const char* torch = "({0}.flatten(0, -2).mean(0), {0}.flatten(0, -2).var(0, False))";
          s.add({s.uniform({2, 3, 4, 5, 16})}, blocks,
                "({0}.mean((0, 2, 3)).flatten(), {0}.var((0, 2, 3), False).flatten())");
          s.add({s.uniform({3, 2, 7, 4}, 3, 5)}, blocks,
                "({0}.mean((0, 2)).flatten(), {0}.var((0, 2), False).flatten())");
          s.bad({s.uniform({4, 4})}, blocks, "rank 2");
          s.add({s.uniform({2, 3, 4, 5})}, call, torch);
          s.add({s.uniform({20, 7}, 3, 5)}, call, torch);
          s.add({s.uniform({1, 9})}, call, torch).check_grad = false;
          s.bad({s.uniform({4})}, call, "rank 1");
          s.bad({s.uniform({0, 4})}, call, "no value");
        },
};

/// What the gradient of batch_norm_train sums over each channel: x and dy, ...xC or in blocks, and
/// mean C give sum(dy) and sum(dy (x - mean)). In f32 for 16-bit floats. Made by the precision and
/// layout passes.
OP(channel_products) = {
    .name = "channel_products",
    .kind = OpKind::composite,
    .attrs = attr_type<ChannelAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape channels = {channels_of(in)};
          check_beside(in, 1);
          in.check(in.shape(1) == in.shape(0),
                   {"input 1 has shape ", in.shape(1), ", input 0 has ", in.shape(0)});
          check_beside(in, 2);
          in.check(in.shape(2) == channels, {"the mean needs shape ", channels});
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), channels);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = wide(channel_rows(in[0], attrs)), dy = wide(channel_rows(in[1], attrs));
      return {sum(dy, {0}), sum(dy * (x - wide(in[2])), {0})};
    },
    .samples =
        [](Samples& s) {
          const auto with = [](ChannelAttrs a) {
            return [a](const Tensors& x) {
              const Tensor in[] = {x[0], x[1], wide(x[2])};
              return make_all(*find_op("channel_products"), box(a), in);
            };
          };
          const auto call = with({}), blocks = with({true});
          s.add({s.uniform({2, 2, 4, 3, 16}), s.uniform({2, 2, 4, 3, 16}), s.uniform({32})}, blocks,
                "({1}.sum((0, 2, 3)).flatten(), "
                "({1} * ({0} - {2}.view(1, 2, 1, 1, 16))).sum((0, 2, 3)).flatten())");
          const char* torch =
              "({1}.flatten(0, -2).sum(0), ({1} * ({0} - {2})).flatten(0, -2).sum(0))";
          s.add({s.uniform({2, 3, 4, 5}), s.uniform({2, 3, 4, 5}), s.uniform({5})}, call, torch);
          s.add({s.uniform({20, 7}), s.uniform({20, 7}), s.uniform({7})}, call, torch);
          s.bad({s.uniform({4, 5}), s.uniform({4, 6}), s.uniform({5})}, call, "has shape 4x6");
          s.bad({s.uniform({4, 5}), s.uniform({4, 5}), s.uniform({4})}, call,
                "the mean needs shape 5");
        },
};

}  // namespace nacre
