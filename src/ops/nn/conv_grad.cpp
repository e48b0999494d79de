#include "ops/nn/conv.h"

namespace nacre {

void check_conv_output(const Infer& in, const ConvAttrs& a, const Shape& input, const Shape& kernel,
                       const Shape& output) {
  in.check(a.groups >= 1 && input[1] % a.groups == 0 && output[1] % a.groups == 0,
           {input[1], " and ", output[1], " channels do not divide into ", a.groups, " groups"});
  in.check(input[0] == output[0], {"batches of ", input[0], " and ", output[0], " differ"});
  const Shape out = windowed_shape(in, spatial_of(input), window_of(a, kernel));
  in.check(out == spatial_of(output),
           {"the convolution gives ", out, ", not ", spatial_of(output)});
}

/// Gradient of a convolution with respect to its input: the transposed convolution.
/// Inputs dy NxOx*S' and weight Ox(C/groups)x*K, result NxCx*S with spatial size input_size.
OP(conv_input_grad) = {
    .name = "conv_input_grad",
    .attrs = attr_type<ConvInputGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvInputGradAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
                   {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
          in.check_rank(1, in.rank(0));
          const Shape &dy = in.shape(0), &w = in.shape(1);
          in.check(dy[1] == w[0], {"input has ", dy[1], " channels, weight expects ", w[0]});
          in.check(a.input_size.rank() == in.rank(0) - 2,
                   {"input_size ", as_list(a.input_size), " needs ", in.rank(0) - 2, " entries"});
          const Shape x = with_spatial(dy[0], w[1] * a.groups, a.input_size);
          check_conv_output(in, a, x, spatial_of(w), dy);
          in.out(in.dtype(0), x);
        },
    .ref =
        [](Ref& r) {
          const double *dy = r.in(0).d, *w = r.in(1).d;
          double* dx = r.out().d;
          for_products(r.out().shape, r.in(1).shape, r.in(0).shape, r.attrs<ConvInputGradAttrs>(),
                       [&](int64_t i, int64_t k, int64_t o) { dx[i] += dy[o] * w[k]; });
        },
    .vjp =
        [](Vjp& v) {
          const ConvAttrs a = v.attrs<ConvInputGradAttrs>();
          if (v.wants(0)) v.dx(0) = conv(v.dy(), v.x(1), a);
          if (v.wants(1)) v.dx(1) = conv_weight_grad(v.dy(), v.x(0), a, spatial_of(v.x(1).shape()));
        },
    .macs =
        [](const Node& n) {
          const Shape& w = n.inputs[1].shape();
          return n.inputs[0].numel() * w.slice(1, w.rank()).numel();
        },
    .onnx = "ConvTranspose",
    .samples =
        [](Samples& s) {
          const auto call = [](ConvAttrs a, Ints size) {
            return [a, size](const Tensors& x) {
              return Tensors{conv_input_grad(x[0], x[1], a, size)};
            };
          };
          s.add({s.uniform({2, 4, 3, 4}), s.uniform({4, 3, 3, 3})},
                call({{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}, {5, 6}), "F.conv_transpose2d({0}, {1})");
          s.add({s.uniform({1, 4, 3, 3}), s.uniform({4, 2, 3, 2})},
                call({{2, 1}, {1, 2}, {1, 0}, {1, 0}, 2}, {6, 5}),
                "F.conv_transpose2d({0}, {1}, stride=(2, 1), padding=(1, 0), "
                "output_padding=(1, 0), dilation=(1, 2), groups=2)");
          s.add({s.uniform({1, 2, 4}), s.uniform({2, 1, 3})}, call({{2}, {1}, {0}, {2}, 1}, {7}),
                "F.conv_transpose1d({0}, {1}, stride=2)[..., :7]");
          s.add({s.uniform({0, 2, 4}), s.uniform({2, 1, 3})}, call({{1}, {1}, {0}, {0}, 1}, {6}),
                "F.conv_transpose1d({0}, {1})");
          const auto transposed = [](ConvTransposeOptions o) {
            return [o](const Tensors& x) {
              const Tensor bias = x.size() > 2 ? x[2] : Tensor();
              if (x[0].rank() == 3) return Tensors{conv_transpose1d(x[0], x[1], bias, o)};
              if (x[0].rank() == 5) return Tensors{conv_transpose3d(x[0], x[1], bias, o)};
              return Tensors{conv_transpose2d(x[0], x[1], bias, o)};
            };
          };
          s.add({s.uniform({1, 4, 3, 4}), s.uniform({4, 3, 3, 2}), s.uniform({6})},
                transposed({.stride = {2}, .padding = {1, 0}, .output_padding = {1}, .groups = 2}),
                "F.conv_transpose2d({0}, {1}, {2}, 2, (1, 0), 1, 2)");
          s.add({s.uniform({2, 2, 4}), s.uniform({2, 3, 3})}, transposed({.dilation = {2}}),
                "F.conv_transpose1d({0}, {1}, dilation=2)");
          s.add({s.uniform({1, 2, 2, 3, 2}), s.uniform({2, 1, 2, 2, 2}), s.uniform({1})},
                transposed({.stride = {1, 2, 1}}), "F.conv_transpose3d({0}, {1}, {2}, (1, 2, 1))");
          s.bad({s.uniform({1, 2, 4}), s.uniform({3, 3, 3})}, transposed({}),
                "[conv_transpose1d] input has 2 channels, weight expects 3");
          s.bad({s.uniform({1, 2, 4}), s.uniform({2, 3, 3})}, transposed({.output_padding = {1}}),
                "output_padding [1] must be at least 0 and less than the stride [1]");
          s.bad({s.uniform({1, 3, 4}), s.uniform({3, 3, 3})}, transposed({.groups = 2}),
                "3 input channels do not divide into 2 groups");
          s.bad({s.uniform({1, 2, 1}), s.uniform({2, 3, 1})}, transposed({.padding = {1}}),
                "leaves an output of size -1");
          s.bad({s.uniform({1, 2, 4}), s.uniform({3, 1, 3})}, call({{1}, {1}, {0}, {0}, 1}, {6}),
                "input has 2 channels, weight expects 3");
          s.bad({s.uniform({1, 2, 4}), s.uniform({2, 1, 3})}, call({{1}, {1}, {0}, {0}, 1}, {7}),
                "the convolution gives 5, not 4");
          s.bad({s.uniform({1, 2, 4}), s.uniform({2, 1, 3})}, call({{1}, {1}, {0}, {0}, 1}, {7, 1}),
                "input_size [7, 1] needs 1 entries");
        },
};

/// Gradient of a convolution with respect to its weight.
/// Inputs x NxCx*S and dy NxOx*S', result Ox(C/groups)x*K with spatial size kernel_size.
OP(conv_weight_grad) = {
    .name = "conv_weight_grad",
    .attrs = attr_type<ConvWeightGradAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<ConvWeightGradAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
                   {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
          in.check_rank(1, in.rank(0));
          const Shape &x = in.shape(0), &dy = in.shape(1);
          in.check(a.kernel_size.rank() == in.rank(0) - 2,
                   {"kernel_size ", as_list(a.kernel_size), " needs ", in.rank(0) - 2, " entries"});
          check_conv_output(in, a, x, a.kernel_size, dy);
          in.out(in.dtype(0), with_spatial(dy[1], x[1] / a.groups, a.kernel_size));
        },
    .ref =
        [](Ref& r) {
          const double *x = r.in(0).d, *dy = r.in(1).d;
          double* dw = r.out().d;
          for_products(r.in(0).shape, r.out().shape, r.in(1).shape, r.attrs<ConvWeightGradAttrs>(),
                       [&](int64_t i, int64_t k, int64_t o) { dw[k] += x[i] * dy[o]; });
        },
    .vjp =
        [](Vjp& v) {
          const ConvAttrs a = v.attrs<ConvWeightGradAttrs>();
          if (v.wants(0)) v.dx(0) = conv_input_grad(v.x(1), v.dy(), a, spatial_of(v.x(0).shape()));
          if (v.wants(1)) v.dx(1) = conv(v.x(0), v.dy(), a);
        },
    .macs =
        [](const Node& n) {
          const Shape& w = n.outputs[0].shape;
          return n.inputs[1].numel() * w.slice(1, w.rank()).numel();
        },
    .samples =
        [](Samples& s) {
          const auto call = [](ConvAttrs a, Ints size) {
            return [a, size](const Tensors& x) {
              return Tensors{conv_weight_grad(x[0], x[1], a, size)};
            };
          };
          s.add({s.uniform({2, 3, 5, 6}), s.uniform({2, 4, 3, 4})},
                call({{1, 1}, {1, 1}, {0, 0}, {0, 0}, 1}, {3, 3}),
                "torch.nn.grad.conv2d_weight({0}, (4, 3, 3, 3), {1})");
          s.add({s.uniform({1, 4, 6, 5}), s.uniform({1, 4, 3, 3})},
                call({{2, 1}, {1, 2}, {1, 0}, {1, 0}, 2}, {3, 2}),
                "torch.nn.grad.conv2d_weight({0}, (4, 2, 3, 2), {1}, stride=(2, 1), "
                "padding=(1, 0), dilation=(1, 2), groups=2)");
          s.add({s.uniform({2, 2, 6}), s.uniform({2, 3, 6})}, call({{1}, {1}, {1}, {1}, 1}, {3}),
                "torch.nn.grad.conv1d_weight({0}, (3, 2, 3), {1}, padding=1)");
          s.add({s.uniform({0, 2, 6}), s.uniform({0, 3, 4})}, call({{1}, {1}, {0}, {0}, 1}, {3}),
                "torch.zeros(3, 2, 3)");
          s.bad({s.uniform({1, 2, 6}), s.uniform({2, 3, 4})}, call({{1}, {1}, {0}, {0}, 1}, {3}),
                "batches of 1 and 2 differ");
          s.bad({s.uniform({1, 2, 6}), s.uniform({1, 3, 4})}, call({{1}, {1}, {0}, {0}, 2}, {3}),
                "2 and 3 channels do not divide into 2 groups");
          s.bad({s.uniform({1, 2, 6}), s.uniform({1, 3, 4})}, call({{1}, {1}, {0}, {0}, 1}, {3, 3}),
                "kernel_size [3, 3] needs 1 entries");
        },
};

Tensor conv_input_grad(const Tensor& dy, const Tensor& w, const ConvAttrs& a,
                       const Ints& input_size) {
  ConvInputGradAttrs g;
  static_cast<ConvAttrs&>(g) = a;
  g.input_size = input_size;
  return make(op_conv_input_grad, g, {dy, w});
}

Tensor conv_weight_grad(const Tensor& x, const Tensor& dy, const ConvAttrs& a,
                        const Ints& kernel_size) {
  ConvWeightGradAttrs g;
  static_cast<ConvAttrs&>(g) = a;
  g.kernel_size = kernel_size;
  return make(op_conv_weight_grad, g, {x, dy});
}

}  // namespace nacre
