#include "ops/quantize/quantize.h"

namespace nacre {

/// (q - zero_point) * scale; see nacre/quantize.h.
OP(dequantize) = {
    .name = "dequantize",
    .attrs = attr_type<QuantizeAttrs>(),
    .infer =
        [](Infer& in) {
          check_quantization(in);
          const DType t = in.dtype(0);
          in.check(t == DType::u8 || t == DType::i8 || t == DType::i32,
                   {"the input is ", t, ", it should be u8, i8 or i32"});
          in.check(in.dtype(2) == t, {"the zero point is ", in.dtype(2), ", the input ", t});
          in.out(in.dtype(1), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const RefTensor &q = r.in(0), &scale = r.in(1), &zero = r.in(2);
          const int64_t axis = r.attrs<QuantizeAttrs>().axis;
          for (int64_t i = 0; i < q.n; ++i) {
            const int64_t k = scale_of(q.shape, scale, axis, i);
            r.out().d[i] = static_cast<double>(q.i[i] - zero.i[k]) * scale.d[k];
          }
        },
    .vjp =
        [](Vjp& v) {
          if (!v.wants(1)) return;
          const Tensor &q = v.x(0), &scale = v.x(1), &zero = v.x(2);
          const int64_t axis = v.attrs<QuantizeAttrs>().axis;
          Shape spread(static_cast<size_t>(q.rank()), 1);
          if (scale.rank() == 1) spread[axis] = scale.size(0);
          const DType t = scale.dtype();
          const Tensor steps = cast(q, t) - reshape(cast(zero, t), spread);
          v.dx(1) = reshape(sum_to_shape(v.dy() * steps, spread), scale.shape());
        },
    .onnx = "DequantizeLinear",
    .samples =
        [](Samples& s) {
          const auto along = [](int64_t axis) {
            return [axis](const Tensors& x) { return Tensors{dequantize(x[0], x[1], x[2], axis)}; };
          };
          s.add({s.integers({3, 4}, 0, 256, DType::u8), s.at({0.25}, {}),
                 s.ints_at({128}, {}, DType::u8)},
                along(0), "({0}.double() - {2}) * {1}");
          s.add({s.integers({2, 3, 5}, -128, 128, DType::i8), s.uniform({3}, 0.01, 0.02),
                 s.ints_at({0, -7, 127}, {3}, DType::i8)},
                along(1), "({0}.double() - {2}[:, None]) * {1}[:, None]");
          s.add({s.integers({4}, -70000, 70000, DType::i32), s.uniform({4}, 1e-4, 2e-4),
                 s.ints_at({0, 0, 0, 0}, {4}, DType::i32)},
                along(0), "{0} * {1}");
          s.add({s.integers({0, 3}, 0, 2, DType::u8), s.at({1}, {}), s.ints_at({0}, {}, DType::u8)},
                along(0), "torch.zeros(0, 3)");
          s.bad({s.integers({3}, 0, 2, DType::u8), s.uniform({}), s.ints_at({0}, {}, DType::i8)},
                along(0), "the zero point is i8, the input u8");
          s.bad({s.integers({3}, 0, 2), s.uniform({}), s.ints_at({0}, {})}, along(0),
                "the input is i64");
          s.bad(
              {s.integers({3}, 0, 2, DType::u8), s.ints_at({1}, {}), s.ints_at({0}, {}, DType::u8)},
              along(0), "");
        },
};

Tensor dequantize(In q, const Tensor& scale, const Tensor& zero_point, int64_t axis) {
  return make(op_dequantize, QuantizeAttrs{axis}, {q, scale, zero_point});
}

}  // namespace nacre
