#include "ops/nn/blocks.h"

namespace nacre {

/// A convolution by 1x1 and the depthwise one that reads it (the first two of an inverted
/// bottleneck; Sandler et al. 2018), on channels in blocks: of x, weight [M, C, 1, 1], bias [M],
/// weight [M, 1, *K], bias [M]. Made by the pass "bottlenecks" only.
OP(pointwise_depthwise) = {
    .name = "pointwise_depthwise",
    .kind = OpKind::composite,
    .attrs = attr_type<PointwiseDepthwiseAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<PointwiseDepthwiseAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check_rank(0, 5);
          in.check_rank(1, 4);
          in.check_rank(3, 4);
          const Shape &x = in.shape(0), &first = in.shape(1), &second = in.shape(3);
          const int64_t channels = first[0];
          in.check(first == Shape{channels, x[1] * x[4], 1, 1},
                   {"the first weight needs shape ", Shape{channels, x[1] * x[4], 1, 1}});
          in.check(a.block == x[4] && channels % a.block == 0 && a.groups == channels,
                   {"blocks of ", a.block, " do not suit the channels"});
          in.check(second[0] == channels && second[1] == 1,
                   {"the second weight needs shape [", channels, ", 1, *, *]"});
          for (const size_t bias : {2, 4})
            in.check(in.shape(bias) == Shape{channels}, {"a bias needs shape ", Shape{channels}});
          const Shape size = windowed_shape(in, x.slice(2, 4), window_of(a, second.slice(2, 4)));
          in.out(in.dtype(0), {x[0], channels / a.block, size[0], size[1], a.block});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const PointwiseDepthwiseAttrs*>(attrs);
      ConvBlocksAttrs first;
      first.stride = first.dilation = {1, 1};
      first.pad_low = first.pad_high = {0, 0};
      first.groups = 1;
      first.block = a.block;
      first.bias = true;
      first.swish = a.first_swish;
      first.low = a.first_low;
      first.high = a.first_high;
      const OpDef& conv = *find_op("conv_blocks");
      const Tensor wide = make(conv, first, {in[0], in[1], in[2]});
      return {make(conv, static_cast<const ConvBlocksAttrs&>(a), {wide, in[3], in[4]})};
    },
    .macs =
        [](const Node& n) {
          return static_cast<const PointwiseDepthwiseAttrs*>(n.attrs.get())->macs;
        },
    .samples =
        [](Samples& s) {
          PointwiseDepthwiseAttrs a;
          a.stride = a.dilation = a.pad_low = a.pad_high = {1, 1};
          a.bias = true;
          const auto add = [&](PointwiseDepthwiseAttrs b, Shape x, int64_t channels,
                               std::string_view activation) {
            b.groups = channels;
            const int64_t kernel = 2 * b.pad_low[0] + 1, block = x[4];
            s.add(
                {s.uniform(x), s.uniform({channels, x[1] * block, 1, 1}), s.uniform({channels}),
                 s.uniform({channels, 1, kernel, kernel}), s.uniform({channels})},
                [b](const Tensors& in) {
                  return Tensors{make(*find_op("pointwise_depthwise"), b,
                                      {in[0], in[1], in[2], in[3], in[4]})};
                },
                cat({activation, "(F.conv2d(", activation,
                     "(F.conv2d({0}.permute(0, 1, 4, 2, 3).flatten(1, 2), {1}, {2})), {3}, {4}, ",
                     b.stride[0], ", ", b.pad_low[0], ", 1, ", channels, "))",
                     torch_blocks(block)}));
          };
          for (const int64_t block : kBlockSizes) {
            a.block = block;
            PointwiseDepthwiseAttrs swish = a;
            swish.swish = swish.first_swish = true;
            add(swish, {2, 1, 4, 5, block}, 3 * block, "F.silu");
            swish.pad_low = swish.pad_high = {2, 2};
            add(swish, {1, 2, 5, 9, block}, block, "F.silu");
            PointwiseDepthwiseAttrs relu = a;
            relu.low = relu.first_low = 0;
            relu.high = relu.first_high = 6;
            relu.stride = {2, 2};
            add(relu, {1, 1, 7, 6, block}, 2 * block, "F.relu6");
          }
          a.block = 16;
          s.bad(
              {s.uniform({1, 1, 4, 4, 16}), s.uniform({32, 8, 1, 1}), s.uniform({32}),
               s.uniform({32, 1, 3, 3}), s.uniform({32})},
              [a](const Tensors& in) {
                return Tensors{
                    make(*find_op("pointwise_depthwise"), a, {in[0], in[1], in[2], in[3], in[4]})};
              },
              "the first weight needs shape 32x16x1x1");
        },
};

}  // namespace nacre
