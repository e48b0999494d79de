// The fused operators of ONNX Runtime that exporters and its optimiser write.
#include "onnx/window.h"

namespace nacre::onnx {
namespace {

Tensor activated(const Call& c, const Tensor& x) {
  const std::string name = c.s("activation");
  const std::vector<double> p = c.fs("activation_params");
  const auto param = [&](size_t i, double otherwise) { return i < p.size() ? p[i] : otherwise; };
  if (name.empty()) return x;
  if (name == "Relu") return relu(x);
  if (name == "Tanh") return tanh(x);
  if (name == "Sigmoid") return sigmoid(x);
  if (name == "LeakyRelu") return leaky_relu(x, param(0, 0.01));
  if (name == "Clip") return clip(x, param(0, -INFINITY), param(1, INFINITY));
  if (name == "HardSigmoid") return hard_sigmoid(x, param(0, 0.2), param(1, 0.5));
  if (name == "HardSwish") return hard_swish(x);
  c.fail({"activation '", name, "' is not known"});
}

Values skip_layer_norm(Call& c, bool centre) {
  // Inputs: input, skip, gamma, beta (only if centred), bias.
  const size_t bias = centre ? 4 : 3;
  Tensor x = c[0] + c[1];
  if (c.has(bias)) x = x + c[bias];
  const double eps = c.f("epsilon", 1e-12);
  const Tensor y = centre ? layer_norm(x, c[2], c.optional(3), eps) : rms_norm(x, c[2], eps);
  return {y, Value(), Value(), x};
}

Values embed_layer_norm(Call& c) {
  const Tensor& ids = c[0];
  c.check(ids.rank() == 2, {"input_ids ", ids.shape(), " are not BxL"});
  const Tensor positions = c.has(8) ? c[8] : unsqueeze(arange(ids.size(1)), 0);
  Tensor x = index_select(c[2], 0, ids) + index_select(c[3], 0, positions);
  if (c.has(1) && c.has(4)) x = x + index_select(c[4], 0, c[1]);
  const Tensor y = layer_norm(x, c[5], c.optional(6), c.f("epsilon", 1e-12));
  const Tensor lengths = c.has(7) ? cast(sum(cast(c[7], DType::i64), {1}), DType::i32)
                                  : zeros({ids.size(0)}, DType::i32);
  return {y, lengths, x};
}

/// Integers of `bits` bits that lie packed in bytes along the last dimension, low ones first.
Tensor unpacked(const Tensor& bytes, int64_t bits) {
  const Tensor wide = cast(bytes, DType::i32);
  if (bits == 8) return wide;
  Tensors parts;
  for (int64_t k = 0; k < 8 / bits; ++k)
    parts.push_back(bitwise_and(shift_right(wide, k * bits), (1 << bits) - 1));
  Shape shape = bytes.shape();
  shape[shape.rank() - 1] *= 8 / bits;
  return reshape(stack(parts, bytes.rank()), shape);
}

Values matmul_nbits(Call& c) {
  const int64_t k = c.i("K"), n = c.i("N"), bits = c.i("bits", 4), block = c.i("block_size");
  c.check((bits == 2 || bits == 4 || bits == 8) && k > 0 && n > 0 && block >= 16 && block < 1 << 20,
          {"K ", k, ", N ", n, ", bits ", bits, ", block_size ", block});
  c.check(!c.has(4) || c.shape(4).numel() == 0, {"g_idx is not supported"});
  const int64_t blocks = (k + block - 1) / block;
  const DType t = c[0].dtype();
  c.check(c.shape(1).numel() == n * blocks * block * bits / 8 && c.shape(2).numel() == n * blocks,
          {"B ", c.shape(1), " and scales ", c.shape(2), " for ", n, "x", k});
  const Tensor q = unpacked(reshape(c[1], {n, blocks, block * bits / 8}), bits);
  Tensor zero = Tensor::scalar(static_cast<double>(1 << (bits - 1)), t);
  if (c.has(3)) {
    const bool packed = !is_float(c[3].dtype());
    const int64_t bytes = (blocks * bits + 7) / 8;
    zero = packed ? slice(unpacked(reshape(c[3], {n, bytes}), bits), 1, 0, blocks) : c[3];
    zero = cast(reshape(zero, {n, blocks, 1}), t);
  }
  const Tensor w = (cast(q, t) - zero) * reshape(c[2], {n, blocks, 1});
  const Tensor y = matmul(c[0], transpose(slice(reshape(w, {n, blocks * block}), 1, 0, k)));
  return {c.has(5) ? y + c[5] : y};
}

Values fused_matmul(Call& c) {
  Tensor a = c[0], b = c[1];
  // Rows may come first, before the batch.
  if (c.i("transBatchA")) a = movedim(a, 0, -2);
  if (c.i("transBatchB")) b = movedim(b, 0, -2);
  if (c.i("transA")) a = transpose(a);
  if (c.i("transB")) b = transpose(b);
  const double alpha = c.f("alpha", 1);
  const Tensor y = numpy_matmul(c, a, b);
  return {alpha == 1 ? y : y * alpha};
}

}  // namespace

ONNX(ms_FusedConv) = {"FusedConv",
                      [](Call& c) -> Values {
                        const Tensor y = convolve(c, c[0], c[1], c.optional(2));
                        return {activated(c, c.has(3) ? y + c[3] : y)};
                      },
                      kMicrosoft};
ONNX(ms_FusedMatMul) = {"FusedMatMul", fused_matmul, kMicrosoft};
ONNX(ms_Gelu) = {"Gelu", [](Call& c) -> Values { return {gelu(c[0])}; }, kMicrosoft};
ONNX(ms_BiasGelu) = {"BiasGelu", [](Call& c) -> Values { return {gelu(c[0] + c[1])}; }, kMicrosoft};
ONNX(ms_FastGelu) = {
    "FastGelu", [](Call& c) -> Values { return {gelu(c.has(1) ? c[0] + c[1] : c[0], "tanh")}; },
    kMicrosoft};
ONNX(ms_QuickGelu) = {
    "QuickGelu", [](Call& c) -> Values { return {c[0] * sigmoid(c[0] * c.f("alpha", 1.702))}; },
    kMicrosoft};
ONNX(ms_SkipLayerNormalization) = {"SkipLayerNormalization",
                                   [](Call& c) { return skip_layer_norm(c, true); }, kMicrosoft};
ONNX(ms_SkipSimplifiedLayerNormalization) = {"SkipSimplifiedLayerNormalization",
                                             [](Call& c) { return skip_layer_norm(c, false); },
                                             kMicrosoft};
ONNX(ms_EmbedLayerNormalization) = {"EmbedLayerNormalization", embed_layer_norm, kMicrosoft};
ONNX(ms_MatMulNBits) = {"MatMulNBits", matmul_nbits, kMicrosoft};
ONNX(ms_Inverse) = {"Inverse", [](Call& c) -> Values { return {inverse(c[0])}; }, kMicrosoft};
// ONNX Runtime writes it in the standard domain.
ONNX(SimplifiedLayerNormalization) = {
    "SimplifiedLayerNormalization", [](Call& c) -> Values {
      const int64_t axis = c.axis(c.i("axis", -1), c.rank(0));
      return {rms_norm(c[0], c[1], c.f("epsilon", 1e-5), c.rank(0) - axis)};
    }};

}  // namespace nacre::onnx
