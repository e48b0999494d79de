// Numbers as integers of 8 bits, and networks that compute with them.
//
//   auto net = std::shared_ptr<Module>(load_model("model.safetensors").net);
//   auto small = quantize(net, batches);          // ranges as these inputs show them
//   Program p = Program::of(*small, {1, 3, 224, 224});
//   onnx::save("int8.onnx", *small, {3, 224, 224});
//
// A network of integers is an ordinary one whose convolutions and matrix products stand between
// dequantize and quantize ("QDQ"; Jacob et al. 2018, arXiv:1712.05877). Written as ONNX it has
// QuantizeLinear and DequantizeLinear, which other runtimes read too. Where the processor
// multiplies integers (AVX-512 or AVX with VNNI), a Program computes such products as integers;
// elsewhere, and without a Program, it is computed in f32 and gives the same up to one step of a
// result's scale.
#pragma once

#include <memory>
#include <string>

#include "nacre/nn.h"

namespace nacre {

/// Integers of 8 bits for numbers: q = round(x / scale) + zero_point, halves to even, kept within
/// the type, so that x is about (q - zero_point) * scale. NaN becomes the least integer.
/// x: any shape, floating; scale: floating, and zero_point: u8 or i8, which is the type of the
/// result; both scalars, or C for the C entries of dimension `axis` of x. It has no gradient.
/// As QuantizeLinear of ONNX.
Tensor quantize(In x, const Tensor& scale, const Tensor& zero_point, int64_t axis = 0);

/// The numbers that integers stand for: (q - zero_point) * scale. q: any shape, u8, i8 or i32;
/// scale: floating, which is the type of the result; zero_point: of q's type; both scalars, or C
/// for the C entries of dimension `axis` of q. As DequantizeLinear of ONNX.
Tensor dequantize(In q, const Tensor& scale, const Tensor& zero_point, int64_t axis = 0);

/// How the range of numbers is chosen that integers stand for.
struct QuantizeOptions {
  /// minmax: all that the samples show. percentile: what this share of the values has. error: the
  /// range whose rounding and cutting off together have the least squared error.
  enum class Range { minmax, percentile, error };
  Range range = Range::minmax;
  double percentile = 99.99;  ///< of the sizes of values, in per cent
};

/// A network in QDQ form that computes about what `net` does in evaluation mode, for inputs of any
/// batch: convolutions of rank 2 and matrix products by constant weights take integers. Batch norms
/// become part of the convolutions before them. Weights are i8, symmetric, with a scale for each
/// channel of the result; biases i32; what is multiplied is u8 with zero point 0 where the samples
/// show nothing negative, else i8 with zero point 0, with one scale. Both operands of an addition
/// of pictures are quantized too, and what pools of maxima, views and joining give has the scale of
/// what they take.
/// samples: inputs of `net`, each a batch of any size; some hundred pictures are enough. The result
/// keeps `net` and has no parameters. Throws Error(usage) without samples or with a percentile
/// outside (0, 100], Error(unsupported) if nothing can be quantized or the network computes
/// differently for different batches, and Error(numeric) if a value is not finite.
std::unique_ptr<Module> quantize(std::shared_ptr<Module> net, const Tensors& samples,
                                 const QuantizeOptions& options = {});

}  // namespace nacre
