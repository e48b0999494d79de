#include "ops/nn/blocks.h"

namespace nacre {
namespace {

int64_t inputs_of(const ConvBlocksAttrs& a) { return 2 + a.bias + a.residual; }

Tensor conv_blocks(const Tensors& in, const ConvBlocksAttrs& a);

}  // namespace

/// Two-dimensional convolution on channels in blocks, with bias, an addition and an activation.
/// Made by the layout pass.
OP(conv_blocks) = {
    .name = "conv_blocks",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvBlocksAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvBlocksAttrs>();
          in.check(static_cast<int64_t>(in.inputs()) == inputs_of(a),
                   {"has ", in.inputs(), " inputs, its attributes say ", inputs_of(a)});
          in.check_float(0);
          in.check_same_dtype();
          in.check_rank(0, a.plain ? 4 : 5);
          in.check_rank(1, 4);
          const Shape &x = in.shape(0), &w = in.shape(1);
          in.check(a.block >= 1 && (a.plain || x[4] == a.block) && w[0] % a.block == 0,
                   {"blocks of ", a.block, " do not divide the channels"});
          const int64_t channels = a.plain ? x[1] : x[1] * a.block;
          in.check(a.groups >= 1 && w[0] % a.groups == 0 && channels == w[1] * a.groups,
                   {"input has ", channels, " channels, weight expects ", w[1], " in each of ",
                    a.groups, " groups"});
          in.check(!(a.low > a.high), {"low ", a.low, " is above high ", a.high});
          const Shape size = windowed_shape(in, x.slice(2, 4), window_of(a, w.slice(2, 4)));
          const Shape y = {x[0], w[0] / a.block, size[0], size[1], a.block};
          in.check(!a.bias || in.shape(2) == Shape{w[0]}, {"the bias needs shape ", w[0]});
          in.check(!a.residual || in.shape(in.inputs() - 1) == y, {"the residual needs shape ", y});
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvBlocksAttrs*>(attrs);
      const int64_t channels = in[1].size(0);
      Tensor y = conv(a.plain ? in[0] : from_blocks(in[0], in[1].size(1) * a.groups), in[1], a);
      if (a.bias) y = y + reshape(in[2], {1, channels, 1, 1});
      if (a.residual) y = y + from_blocks(in.back(), channels);
      if (a.swish) y = y * sigmoid(y);
      return {to_blocks(clip(y, a.low, a.high), a.block)};
    },
    .macs = [](const Node& n) { return static_cast<const ConvBlocksAttrs*>(n.attrs.get())->macs; },
    .samples =
        [](Samples& s) {
          ConvBlocksAttrs a;
          a.stride = a.dilation = a.pad_low = a.pad_high = {1, 1};
          const auto with = [](ConvBlocksAttrs b) {
            return [b](const Tensors& x) { return Tensors{conv_blocks(x, b)}; };
          };
          const std::string conv = "F.conv2d({0}.permute(0, 1, 4, 2, 3).flatten(1, 2), {1}";
          ConvBlocksAttrs all = a;
          all.bias = all.residual = true;
          all.low = 0;
          for (const int64_t b : kBlockSizes) {
            a.block = all.block = b;
            const std::string blocks = torch_blocks(b);
            s.add({s.uniform({2, 1, 4, 5, b}), s.uniform({2 * b, b, 3, 3})}, with(a),
                  conv + ", padding=1)" + blocks)
                .slack = 3;  // Winograd's form: differences of sums over a tile
            s.add({s.uniform({1, 2, 3, 4, b}), s.uniform({b, 2 * b, 3, 3}), s.uniform({b}),
                   s.uniform({1, 1, 3, 4, b})},
                  with(all),
                  "torch.relu(" + conv + ", {2}, padding=1) + {3}.squeeze(1).permute(0, 3, 1, 2))" +
                      blocks);
            ConvBlocksAttrs depthwise = a;
            depthwise.groups = b;
            depthwise.bias = true;
            depthwise.stride = {2, 2};
            depthwise.low = -0.5;
            depthwise.high = 0.5;
            s.add({s.uniform({1, 1, 5, 6, b}), s.uniform({b, 1, 3, 3}), s.uniform({b})},
                  with(depthwise),
                  cat({"torch.clamp(", conv, ", {2}, 2, 1, 1, ", b, "), -0.5, 0.5)", blocks}));
            ConvBlocksAttrs first = a;
            first.plain = first.swish = true;
            s.add({s.uniform({1, 3, 5, 4}), s.uniform({b, 3, 3, 3})}, with(first),
                  "F.silu(F.conv2d({0}, {1}, padding=1))" + blocks);
          }
          a.block = all.block = 16;
          s.bad({s.uniform({2, 1, 4, 5, 16}), s.uniform({32, 8, 3, 3})}, with(a),
                "weight expects 8");
          s.bad({s.uniform({2, 1, 4, 5, 16}), s.uniform({24, 16, 3, 3})}, with(a),
                "do not divide the channels");
          s.bad({s.uniform({1, 2, 3, 4, 16}), s.uniform({16, 32, 3, 3}), s.uniform({16}),
                 s.uniform({1, 1, 3, 5, 16})},
                with(all), "the residual needs shape");
          s.bad({s.uniform({2, 1, 4, 5, 16}), s.uniform({32, 16, 3, 3})}, with(all),
                "has 2 inputs, its attributes say 4");
        },
};

namespace {
Tensor conv_blocks(const Tensors& in, const ConvBlocksAttrs& a) {
  return make(op_conv_blocks, box(a), in);
}
}  // namespace

}  // namespace nacre
