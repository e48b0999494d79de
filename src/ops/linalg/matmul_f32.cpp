#include "ops/linalg/linalg.h"
#include "ops/norm/norm.h"

namespace nacre {

/// matmul of 16-bit floats whose result is not rounded to them, but is f32; of other floating types
/// matmul. Made by the precision pass.
OP(matmul_f32) = {
    .name = "matmul_f32",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check_same_dtype();
          in.out(statistics_type(in.dtype(0)), product_shape(in));
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      return {matmul(wide(in[0]), wide(in[1]))};
    },
    .macs = [](const Node& n) { return n.outputs[0].shape.numel() * n.inputs[0].size(-1); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{make(*find_op("matmul_f32"), {}, x)};
          };
          s.add({s.uniform({9, 20}), s.uniform({20, 6})}, call, "{0} @ {1}");
          s.add({s.uniform({2, 3, 4}), s.uniform({2, 4, 5})}, call, "{0} @ {1}");
          s.add(
              {s.uniform({4, 3}), s.uniform({4, 5})},
              [call](const Tensors& x) {
                return call({transpose(x[0]), x[1]});
              },
              "{0}.t() @ {1}");
          s.bad({s.uniform({2, 3}), s.uniform({4, 5})}, call,
                "inner sizes differ: 3 columns against 4 rows");
          s.bad({s.uniform({3}), s.uniform({3, 5})}, call, "rank 1");
        },
};

}  // namespace nacre
