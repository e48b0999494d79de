#include "ops/nn/blocks.h"

namespace nacre {
namespace {

/// A sample's call of one of the two.
template <typename Attrs>
auto call(const char* op, const Attrs& a) {
  return [op, a](const Tensors& x) { return Tensors{make(*find_op(op), box(a), x)}; };
}

ConvInputGradAttrs to_input(const ConvAttrs& a, Ints input_size) {
  ConvInputGradAttrs g;
  static_cast<ConvAttrs&>(g) = a;
  g.input_size = input_size;
  return g;
}

ConvWeightGradAttrs to_weight(const ConvAttrs& a, Ints kernel_size) {
  ConvWeightGradAttrs g;
  static_cast<ConvAttrs&>(g) = a;
  g.kernel_size = kernel_size;
  return g;
}

constexpr const char* kPlanes = ".permute(0, 1, 4, 2, 3).flatten(1, 2)";

}  // namespace

/// Gradient of conv_blocks with respect to x: dy NxGxH'xW'xB and weight give x, whose channels lie
/// in blocks of B too. Made by the layout pass.
OP(conv_blocks_input_grad) = {
    .name = "conv_blocks_input_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvInputGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvInputGradAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check_rank(0, 5);
          in.check_rank(1, 4);
          in.check(a.input_size.rank() == 2, {"input_size needs 2 entries"});
          const Shape dy = without_blocks(in.shape(0)), &w = in.shape(1);
          const int64_t block = in.shape(0)[4], channels = w[1] * a.groups;
          in.check(dy[1] == w[0], {"input has ", dy[1], " channels, weight expects ", w[0]});
          in.check(block >= 1 && channels % block == 0,
                   {"blocks of ", block, " do not divide ", channels, " channels"});
          check_conv_output(in, a, with_spatial(dy[0], channels, a.input_size), spatial_of(w), dy);
          in.out(in.dtype(0), {dy[0], channels / block, a.input_size[0], a.input_size[1], block});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvInputGradAttrs*>(attrs);
      const Tensor dy = from_blocks(in[0], in[1].size(0));
      return {to_blocks(conv_input_grad(dy, in[1], a, a.input_size), in[0].size(4))};
    },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.inputs[0].numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const char* op = "conv_blocks_input_grad";
          const ConvAttrs plain = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
          const std::string dy = cat({"F.conv_transpose2d({0}", kPlanes, ", {1}"});
          for (const int64_t b : kBlockSizes) {
            const std::string blocks = torch_blocks(b);
            s.add({s.uniform({2, 2, 4, 5, b}), s.uniform({2 * b, b, 3, 3})},
                  call(op, to_input(plain, {4, 5})), dy + ", padding=1)" + blocks)
                .slack = 3;  // Winograd's form: differences of sums over a tile
            s.add({s.uniform({1, 1, 3, 3, b}), s.uniform({b, 2 * b, 3, 3})},
                  call(op, to_input({{2, 2}, {1, 1}, {1, 1}, {1, 1}, 1}, {6, 5})),
                  dy + ", stride=2, padding=1, output_padding=(1, 0))" + blocks);
            s.add({s.uniform({1, 1, 3, 4, b}), s.uniform({b, 1, 3, 3})},
                  call(op, to_input({{1, 1}, {1, 1}, {1, 1}, {1, 1}, b}, {3, 4})),
                  cat({dy, ", padding=1, groups=", b, ")", blocks}));
          }
          s.bad({s.uniform({1, 1, 4, 4, 16}), s.uniform({32, 16, 3, 3})},
                call(op, to_input(plain, {4, 4})), "input has 16 channels, weight expects 32");
          s.bad({s.uniform({1, 1, 4, 4, 16}), s.uniform({16, 3, 3, 3})},
                call(op, to_input(plain, {4, 4})), "do not divide 3 channels");
          s.bad({s.uniform({1, 1, 4, 4, 16}), s.uniform({16, 16, 3, 3})},
                call(op, to_input(plain, {4})), "input_size needs 2 entries");
        },
};

/// Gradient of conv_blocks with respect to its weight: x, in blocks or NxCxHxW, and dy NxGxH'xW'xB
/// give Ox(C/groups)xKhxKw. Made by the layout pass.
OP(conv_blocks_weight_grad) = {
    .name = "conv_blocks_weight_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvWeightGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvWeightGradAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check_rank(1, 5);
          in.check(in.rank(0) == 4 || in.rank(0) == 5,
                   {"the input has rank ", in.rank(0), ", 4 or 5 is needed"});
          in.check(a.kernel_size.rank() == 2, {"kernel_size needs 2 entries"});
          const Shape x = without_blocks(in.shape(0)), dy = without_blocks(in.shape(1));
          check_conv_output(in, a, x, a.kernel_size, dy);
          in.out(in.dtype(0), with_spatial(dy[1], x[1] / a.groups, a.kernel_size));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvWeightGradAttrs*>(attrs);
      const auto planes = [](const Tensor& t) {
        return t.rank() == 5 ? from_blocks(t, t.size(1) * t.size(4)) : t;
      };
      return {conv_weight_grad(planes(in[0]), planes(in[1]), a, a.kernel_size)};
    },
    .macs =
        [](const Node& n) {
          const Shape& w = n.outputs[0].shape;
          return n.inputs[1].numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const char* op = "conv_blocks_weight_grad";
          const ConvAttrs plain = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
          const auto torch = [](std::string_view x, int64_t outs, int64_t ins, int64_t kernel,
                                const char* more) {
            return cat({"torch.nn.grad.conv2d_weight(", x, ", (", outs, ", ", ins, ", ", kernel,
                        ", ", kernel, "), {1}", kPlanes, more, ")"});
          };
          const std::string x = cat({"{0}", kPlanes});
          for (const int64_t b : kBlockSizes) {
            s.add({s.uniform({1, 1, 4, 3, b}), s.uniform({1, 2, 4, 3, b})},
                  call(op, to_weight(plain, {3, 3})), torch(x, 2 * b, b, 3, ", padding=1"));
            s.add({s.uniform({2, 3, 6, 5}), s.uniform({2, 1, 3, 3, b})},
                  call(op, to_weight({{2, 2}, {1, 1}, {1, 1}, {1, 1}, 1}, {3, 3})),
                  torch("{0}", b, 3, 3, ", stride=2, padding=1"));
            s.add({s.uniform({1, 2, 4, 4, b}), s.uniform({1, 1, 2, 2, b})},
                  call(op, to_weight({{2, 2}, {1, 1}, {0, 0}, {0, 0}, 1}, {1, 1})),
                  torch(x, b, 2 * b, 1, ", stride=2"));
          }
          s.bad({s.uniform({1, 1, 4, 4, 16}), s.uniform({2, 1, 4, 4, 16})},
                call(op, to_weight(plain, {3, 3})), "batches of 1 and 2 differ");
          s.bad({s.uniform({1, 1, 4, 4, 16}), s.uniform({1, 1, 4, 4, 16})},
                call(op, to_weight(plain, {3})), "kernel_size needs 2 entries");
          s.bad({s.uniform({16, 4, 4}), s.uniform({1, 1, 4, 4, 16})},
                call(op, to_weight(plain, {3, 3})), "rank 3");
        },
};

}  // namespace nacre
