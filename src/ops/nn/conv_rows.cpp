#include "ops/nn/rows.h"
#include "ops/norm/norm.h"

namespace nacre {
namespace {

Shape planes_of(const Shape& rows) { return {rows[0], rows[3], rows[1], rows[2]}; }

void check_rows_input(const Infer& in) {
  in.check_float(0);
  in.check_rank(0, 4);
  in.check_rank(1, 4);
}

Tensor conv_rows(const Tensors& in, const ConvRowsAttrs& a) {
  return make(*find_op("conv_rows"), box(a), in);
}

}  // namespace

/// Two-dimensional convolution whose channels come last, with bias, an addition, SiLU and
/// limits.
/// x: NxHxWxC, weight: Ox(C/groups)xKhxKw of x's type or f32. Made by the precision pass.
OP(conv_rows) = {
    .name = "conv_rows",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvRowsAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvRowsAttrs>();
          const size_t inputs = 2 + (a.bias ? 1 : 0) + (a.residual ? 1 : 0);
          in.check(in.inputs() == inputs,
                   {"has ", in.inputs(), " inputs, its attributes say ", inputs});
          check_rows_input(in);
          check_beside(in, 1);
          const Shape &x = in.shape(0), &w = in.shape(1);
          in.check(a.groups >= 1 && w[0] % a.groups == 0 && x[3] == w[1] * a.groups,
                   {"input has ", x[3], " channels, weight expects ", w[1], " in each of ",
                    a.groups, " groups"});
          in.check(!(a.low > a.high), {"low ", a.low, " is above high ", a.high});
          const Shape size = windowed_shape(in, x.slice(1, 3), window_of(a, w.slice(2, 4)));
          const Shape y = {x[0], size[0], size[1], w[0]};
          if (a.bias) check_beside(in, 2);
          in.check(!a.bias || in.shape(2) == Shape{w[0]}, {"the bias needs shape ", w[0]});
          if (a.residual) check_beside(in, inputs - 1);
          in.check(!a.residual || in.shape(inputs - 1) == y, {"the residual needs shape ", y});
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvRowsAttrs*>(attrs);
      Tensor y = to_rows(conv(wide(to_planes(in[0])), wide(in[1]), a));
      if (a.bias) y = y + wide(in[2]);
      if (a.residual) y = y + wide(in.back());
      if (a.swish) y = y * sigmoid(y);
      return {cast(clip(y, a.low, a.high), in[0].dtype())};
    },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.outputs[0].shape.numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const auto with = [](ConvRowsAttrs b) {
            return [b](const Tensors& x) { return Tensors{conv_rows(x, b)}; };
          };
          ConvRowsAttrs a;
          a.stride = a.dilation = a.pad_low = a.pad_high = {1, 1};
          const std::string conv = "F.conv2d({0}.permute(0, 3, 1, 2), {1}",
                            rows = ".permute(0, 2, 3, 1)";
          s.add({s.uniform({2, 4, 5, 4}), s.uniform({6, 4, 3, 3})}, with(a),
                conv + ", padding=1)" + rows);
          ConvRowsAttrs all = a;
          all.bias = all.residual = true;
          all.low = 0;
          s.add({s.uniform({1, 3, 4, 8}), s.uniform({4, 8, 3, 3}), s.uniform({4}),
                 s.uniform({1, 3, 4, 4})},
                with(all), "torch.relu(" + conv + ", {2}, padding=1)" + rows + " + {3})");
          ConvRowsAttrs wide = a;
          wide.stride = {2, 1};
          wide.pad_low = wide.pad_high = {0, 0};
          wide.low = -0.5;
          wide.high = 0.5;
          s.add({s.uniform({1, 5, 6, 3}), s.uniform({5, 3, 3, 3})}, with(wide),
                "torch.clamp(" + conv + ", stride=(2, 1)), -0.5, 0.5)" + rows);
          ConvRowsAttrs gated = a;
          gated.bias = gated.swish = true;
          s.add({s.uniform({2, 4, 5, 4}), s.uniform({6, 4, 3, 3}), s.uniform({6})}, with(gated),
                "F.silu(" + conv + ", {2}, padding=1))" + rows);
          s.bad({s.uniform({2, 4, 5, 16}), s.uniform({32, 8, 3, 3})}, with(a), "weight expects 8");
          s.bad({s.uniform({1, 3, 4, 32}), s.uniform({16, 32, 3, 3}), s.uniform({16}),
                 s.uniform({1, 3, 5, 16})},
                with(all), "the residual needs shape");
          s.bad({s.uniform({2, 4, 5, 16}), s.uniform({32, 16, 3, 3})}, with(all),
                "has 2 inputs, its attributes say 4");
        },
};

/// Gradient of conv_rows with respect to x: dy NxH'xW'xO and weight give NxHxWxC.
OP(conv_rows_input_grad) = {
    .name = "conv_rows_input_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvInputGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvInputGradAttrs>();
          check_rows_input(in);
          check_beside(in, 1);
          const Shape &dy = in.shape(0), &w = in.shape(1);
          in.check(dy[3] == w[0], {"input has ", dy[3], " channels, weight expects ", w[0]});
          in.check(a.input_size.rank() == 2, {"input_size needs 2 entries"});
          const Shape x = with_spatial(dy[0], w[1] * a.groups, a.input_size);
          check_conv_output(in, a, x, spatial_of(w), planes_of(dy));
          in.out(in.dtype(0), {x[0], x[2], x[3], x[1]});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvInputGradAttrs*>(attrs);
      const Tensor dx = conv_input_grad(wide(to_planes(in[0])), wide(in[1]), a, a.input_size);
      return {cast(to_rows(dx), in[0].dtype())};
    },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.inputs[0].numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const auto call = [](ConvAttrs a, Ints size) {
            ConvInputGradAttrs g;
            static_cast<ConvAttrs&>(g) = a;
            g.input_size = size;
            return [g](const Tensors& x) {
              return Tensors{make(*find_op("conv_rows_input_grad"), box(g), x)};
            };
          };
          const ConvAttrs plain = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
          s.add({s.uniform({2, 5, 6, 6}), s.uniform({6, 4, 3, 3})}, call(plain, {5, 6}),
                "F.conv_transpose2d({0}.permute(0, 3, 1, 2), {1}, padding=1).permute(0, 2, 3, 1)");
          s.add({s.uniform({1, 3, 3, 4}), s.uniform({4, 3, 3, 3})},
                call({{2, 2}, {1, 1}, {1, 1}, {1, 1}, 1}, {6, 5}),
                "F.conv_transpose2d({0}.permute(0, 3, 1, 2), {1}, stride=2, padding=1, "
                "output_padding=(1, 0)).permute(0, 2, 3, 1)");
          s.add({s.uniform({1, 3, 2, 8}), s.uniform({8, 4, 1, 1})},
                call({{2, 2}, {1, 1}, {0, 0}, {0, 0}, 1}, {6, 4}),
                "F.pad(F.conv_transpose2d({0}.permute(0, 3, 1, 2), {1}, stride=2), "
                "(0, 1, 0, 1)).permute(0, 2, 3, 1)");
          s.bad({s.uniform({1, 4, 4, 2}), s.uniform({3, 1, 3, 3})}, call(plain, {4, 4}),
                "input has 2 channels, weight expects 3");
          s.bad({s.uniform({1, 4, 4, 2}), s.uniform({2, 1, 3, 3})}, call(plain, {4}),
                "input_size needs 2 entries");
        },
};

/// Gradient of conv_rows with respect to its weight: x and dy give Ox(C/groups)xKhxKw, in f32 for
/// 16-bit floats.
OP(conv_rows_weight_grad) = {
    .name = "conv_rows_weight_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<ConvWeightGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvWeightGradAttrs>();
          check_rows_input(in);
          in.check_same_dtype();
          in.check(a.kernel_size.rank() == 2, {"kernel_size needs 2 entries"});
          const Shape x = planes_of(in.shape(0)), dy = planes_of(in.shape(1));
          check_conv_output(in, a, x, a.kernel_size, dy);
          in.out(statistics_type(in.dtype(0)), with_spatial(dy[1], x[1] / a.groups, a.kernel_size));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ConvWeightGradAttrs*>(attrs);
      return {conv_weight_grad(wide(to_planes(in[0])), wide(to_planes(in[1])), a, a.kernel_size)};
    },
    .macs =
        [](const Node& n) {
          const Shape& w = n.outputs[0].shape;
          return n.inputs[1].numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const auto call = [](ConvAttrs a, Ints size) {
            ConvWeightGradAttrs g;
            static_cast<ConvAttrs&>(g) = a;
            g.kernel_size = size;
            return [g](const Tensors& x) {
              return Tensors{make(*find_op("conv_rows_weight_grad"), box(g), x)};
            };
          };
          const ConvAttrs plain = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1};
          const auto torch = [](const char* shape, const char* more) {
            return cat({"torch.nn.grad.conv2d_weight({0}.permute(0, 3, 1, 2), ", shape,
                        ", {1}.permute(0, 3, 1, 2)", more, ")"});
          };
          s.add({s.uniform({1, 4, 3, 17}), s.uniform({1, 4, 3, 5})}, call(plain, {3, 3}),
                torch("(5, 17, 3, 3)", ", padding=1"));
          s.add({s.uniform({1, 6, 5, 3}), s.uniform({1, 3, 3, 8})},
                call({{2, 2}, {1, 1}, {1, 1}, {1, 1}, 1}, {3, 3}),
                torch("(8, 3, 3, 3)", ", stride=2, padding=1"));
          s.add({s.uniform({1, 4, 4, 17}), s.uniform({1, 2, 2, 3})},
                call({{2, 2}, {1, 1}, {0, 0}, {0, 0}, 1}, {1, 1}),
                torch("(3, 17, 1, 1)", ", stride=2"));
          s.add({s.uniform({2, 3, 4, 7}), s.uniform({2, 3, 4, 3})},
                call({{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}, {1, 1}), torch("(3, 7, 1, 1)", ""));
          s.bad({s.uniform({1, 4, 4, 2}), s.uniform({2, 4, 4, 3})}, call(plain, {3, 3}),
                "batches of 1 and 2 differ");
          s.bad({s.uniform({1, 4, 4, 2}), s.uniform({1, 4, 4, 3})}, call(plain, {3}),
                "kernel_size needs 2 entries");
        },
};

}  // namespace nacre
