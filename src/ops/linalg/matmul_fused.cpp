#include "nacre/ops.h"
#include "ops/linalg/linalg.h"

namespace nacre {
namespace {

struct MatmulFusedAttrs {
  bool bias = false, residual = false;  ///< these inputs follow a and b, in this order
  bool gelu = false;
  void fields(FieldVisitor& v) {
    v("bias", bias);
    v("residual", residual);
    v("gelu", gelu);
  }
};

}  // namespace

/// A matrix product with what follows it: f(a b + bias + residual), where f is GELU or nothing. a
/// ...xMxK, b ...xKxN as those of matmul, bias N, residual ...xMxN. Made by the pass "products"
/// only, after gradients.
OP(matmul_fused) = {
    .name = "matmul_fused",
    .kind = OpKind::composite,
    .attrs = attr_type<MatmulFusedAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<MatmulFusedAttrs>();
          const size_t inputs = size_t{2} + a.bias + a.residual;
          in.check(in.inputs() == inputs,
                   {"has ", in.inputs(), " inputs, its attributes say ", inputs});
          in.check_float(0);
          in.check_same_dtype();
          const Shape y = product_shape(in);
          in.check(!a.bias || in.shape(2) == Shape{y[-1]}, {"the bias needs shape ", y[-1]});
          in.check(!a.residual || in.shape(inputs - 1) == y, {"the residual needs shape ", y});
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const MatmulFusedAttrs*>(attrs);
      Tensor y = matmul(in[0], in[1]);
      if (a.bias) y = y + in[2];
      if (a.residual) y = y + in.back();
      return {a.gelu ? gelu(y) : y};
    },
    .macs = [](const Node& n) { return n.outputs[0].shape.numel() * n.inputs[0].size(-1); },
    .samples =
        [](Samples& s) {
          const auto add = [&](std::vector<SampleInput> in, const MatmulFusedAttrs& a) {
            s.add(std::move(in), [a](const Tensors& x) {
               return Tensors{make(*find_op("matmul_fused"), box(a), x)};
             }).oracle = "plain sums, in tests/kernels/matmul_test.cpp";
          };
          const auto refuse = [&](std::vector<SampleInput> in, const MatmulFusedAttrs& a,
                                  const char* why) {
            s.bad(
                std::move(in),
                [a](const Tensors& x) {
                  return Tensors{make(*find_op("matmul_fused"), box(a), x)};
                },
                why);
          };
          add({s.uniform({3, 5}), s.uniform({5, 4}), s.uniform({4})}, {true, false, false});
          add({s.uniform({3, 5}), s.uniform({5, 4}), s.uniform({3, 4})}, {false, true, false});
          add({s.uniform({2, 3, 5}), s.uniform({5, 4}), s.uniform({4}), s.uniform({2, 3, 4})},
              {true, true, true});
          add({s.uniform({20, 5}), s.uniform({5, 18})}, {false, false, true});
          refuse({s.uniform({3, 5}), s.uniform({5, 4})}, {true, false, false},
                 "has 2 inputs, its attributes say 3");
          refuse({s.uniform({3, 5}), s.uniform({5, 4}), s.uniform({5})}, {true, false, false},
                 "the bias needs shape 4");
          refuse({s.uniform({3, 5}), s.uniform({5, 4}), s.uniform({4})}, {false, true, false},
                 "the residual needs shape 3x4");
        },
};

}  // namespace nacre
