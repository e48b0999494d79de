// Deformable convolution against plain convolution, against shifted pictures, and its gradients.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "nacre/autograd.h"
#include "nacre/blocks.h"

namespace nacre {
namespace {

double worst(const Tensor& a, const Tensor& b) { return amax(abs(a - b)).item(); }

TEST(DeformConv, ZeroOffsetsArePlainConvolution) {
  const Tensor x = normal({2, 3, 9, 7}, Key(1)), w = normal({4, 3, 3, 3}, Key(2));
  const Tensor b = normal({4}, Key(3));
  for (const auto& [stride, padding, dilation] :
       std::initializer_list<std::array<int64_t, 3>>{{1, 1, 1}, {2, 0, 1}, {1, 2, 2}}) {
    const Tensor plain = conv2d(x, w, b, {stride, padding, dilation});
    const Shape size = plain.shape();
    const Tensor zero = zeros({2, 18, size[2], size[3]});
    EXPECT_LE(worst(deform_conv2d(x, w, b, zero, {}, stride, padding, dilation), plain), 1e-5);
    const Tensor half = full({2, 9, size[2], size[3]}, 0.5);
    EXPECT_LE(worst(deform_conv2d(x, w, {}, zero, half, stride, padding, dilation),
                    0.5 * conv2d(x, w, {}, {stride, padding, dilation})),
              1e-5);
  }
}

TEST(DeformConv, WholeOffsetsAreShiftedPicturesAndHalvesTheirMeans) {
  const Tensor x = normal({1, 2, 8, 8}, Key(1)), w = normal({3, 2, 3, 3}, Key(2));
  const auto moved = [&](double down, double right) {
    const Tensor pair = Tensor::from({static_cast<float>(down), static_cast<float>(right)}, {2});
    const Tensor offset = expand(reshape(tile(pair, {9}), {1, 18, 1, 1}), {1, 18, 8, 8});
    return deform_conv2d(x, w, {}, offset, {}, 1, 1, 1);
  };
  const auto shifted = [&](int64_t down, int64_t right) {  // zeros come in
    const Tensor y = pad(x, {1 - down, 1 - right}, {1 + down, 1 + right});
    return conv2d(y, w);
  };
  EXPECT_LE(worst(moved(1, 0), shifted(1, 0)), 1e-5);
  EXPECT_LE(worst(moved(-2, 3), shifted(-2, 3)), 1e-5);
  EXPECT_LE(worst(moved(0, 0.5), 0.5 * (shifted(0, 0) + shifted(0, 1))), 1e-5);
}

TEST(DeformConv, HasTheGradientsOfDifferences) {
  const auto f64 = [](const Shape& s, uint64_t key) {
    return normal(s, Key(key), 0.0, 0.3, DType::f64);
  };
  const Tensor x = f64({1, 2, 5, 4}, 1), w = f64({2, 2, 3, 3}, 2), offset = f64({1, 18, 5, 4}, 3);
  const Tensor mask = sigmoid(f64({1, 9, 5, 4}, 4));
  eval({x, w, offset, mask});
  const auto f = [](const Tensors& in) {
    return sum(square(deform_conv2d(in[0], in[1], {}, in[2], in[3], 1, 1, 1)));
  };
  const Tensors in = {x, w, offset, mask};
  const Tensors g = grad(f(in), in);
  for (size_t k = 0; k < in.size(); ++k) {
    const auto values = in[k].to_vector<double>(), slope = g[k].to_vector<double>();
    for (size_t i = 0; i < values.size(); i += 7) {
      const auto at = [&](double step) {
        auto v = values;
        v[i] += step;
        Tensors moved = in;
        moved[k] = Tensor::from(v, in[k].shape());
        return f(moved).item();
      };
      EXPECT_NEAR((at(1e-5) - at(-1e-5)) / 2e-5, slope[i], 1e-5 * (1 + std::fabs(slope[i])))
          << k << " " << i;
    }
  }
}

TEST(DeformConv, StartsAsAPlainConvolutionAndChecksItsShapes) {
  DeformConv2d layer(Scope::init(Key(1)), {.in = 2, .out = 3, .modulated = false});
  const Tensor x = normal({1, 2, 6, 6}, Key(2));
  Context ctx = Context::eval();
  EXPECT_LE(worst(layer(x, ctx), conv2d(x, layer.weight.value(), {}, {.padding = {1}})), 1e-5);
  EXPECT_EQ(layer.parameter_count(), 3 * 2 * 9 + 18 * 2 * 9 + 18);
  EXPECT_THROW(deform_conv2d(x, layer.weight.value(), {}, zeros({1, 9, 6, 6}), {}, 1, 1), Error);
  EXPECT_THROW(
      deform_conv2d(x, layer.weight.value(), {}, zeros({1, 18, 6, 6}), zeros({1, 8, 6, 6}), 1, 1),
      Error);
  EXPECT_THROW(deform_conv2d(x, layer.weight.value(), {}, zeros({1, 18, 6, 6}), {}, 0, 1), Error);
}

}  // namespace
}  // namespace nacre
