#include "ops/quantize/quantize.h"

namespace nacre {

/// round(x / scale) + zero_point as u8 or i8; see nacre/quantize.h.
OP(quantize) = {
    .name = "quantize",
    .attrs = attr_type<QuantizeAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          check_quantization(in);
          const DType t = in.dtype(2);
          in.check(t == DType::u8 || t == DType::i8,
                   {"the zero point is ", t, ", it should be u8 or i8"});
          in.out(t, in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const RefTensor &x = r.in(0), &scale = r.in(1), &zero = r.in(2);
          const int64_t axis = r.attrs<QuantizeAttrs>().axis;
          const double low = zero.dtype == DType::u8 ? 0 : -128, high = low + 255;
          for (int64_t i = 0; i < x.n; ++i) {
            const int64_t k = scale_of(x.shape, scale, axis, i);
            const auto z = static_cast<double>(zero.i[k]);
            // The quotient is rounded to the type of x, f32 for shorter ones.
            const double ratio = x.dtype == DType::f64
                                     ? x.d[i] / scale.d[k]
                                     : static_cast<double>(static_cast<float>(x.d[i]) /
                                                           static_cast<float>(scale.d[k]));
            const double kept = ratio > low - z ? std::min(ratio, high - z) : low - z;
            r.out().i[i] = static_cast<int64_t>(std::nearbyint(kept) + z);
          }
        },
    .onnx = "QuantizeLinear",
    .samples =
        [](Samples& s) {
          const auto along = [](int64_t axis) {
            return [axis](const Tensors& x) { return Tensors{quantize(x[0], x[1], x[2], axis)}; };
          };
          s.add({s.uniform({3, 40}, -3, 3), s.at({0.0171}, {}), s.ints_at({0}, {}, DType::i8)},
                along(0), "torch.clamp(torch.round({0} / {1}) + {2}, -128, 127).to(torch.int8)");
          s.add({s.uniform({2, 3, 5}, -1, 4), s.uniform({3}, 0.01, 0.02),
                 s.ints_at({0, 7, 128}, {3}, DType::u8)},
                along(1),
                "torch.clamp(torch.round({0} / {1}[:, None]) + {2}[:, None], 0, 255)"
                ".to(torch.uint8)");
          s.add({s.at({-0.5, 0.5, 1.5, 2.5, -2.5, 1e9, -1e9, INFINITY}), s.at({1}, {}),
                 s.ints_at({-3}, {}, DType::i8)},
                along(0), "torch.clamp(torch.round({0} / {1}) + {2}, -128, 127).to(torch.int8)");
          s.add({s.uniform({0, 3}), s.at({1}, {}), s.ints_at({0}, {}, DType::u8)}, along(0),
                "torch.zeros(0, 3, dtype=torch.uint8)");
          s.bad({s.uniform({3, 4}), s.uniform({3}), s.ints_at({0}, {}, DType::i8)}, along(0),
                "the zero point has shape scalar, the scale 3");
          s.bad({s.uniform({3, 4}), s.uniform({3}), s.integers({3}, 0, 2, DType::i8)}, along(1),
                "3 scales for 4 entries of axis 1");
          s.bad({s.uniform({3, 4}), s.uniform({3}), s.integers({3}, 0, 2, DType::i8)}, along(2),
                "axis 2 of an input of shape 3x4");
          s.bad({s.uniform({3}), s.uniform({3, 1}), s.integers({3, 1}, 0, 2, DType::i8)}, along(0),
                "the scale has rank 2");
          s.bad({s.uniform({3}), s.uniform({}), s.ints_at({0}, {}, DType::i32)}, along(0),
                "the zero point is i32");
        },
};

Tensor quantize(In x, const Tensor& scale, const Tensor& zero_point, int64_t axis) {
  return make(op_quantize, QuantizeAttrs{axis}, {x, scale, zero_point});
}

}  // namespace nacre
