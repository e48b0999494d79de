// Complex layers against std::complex.
#include "nacre/complex.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "nacre/autograd.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using C = std::complex<double>;

/// Entry (n, c, y, x) of a complex map.
C at(const std::vector<float>& v, const Shape& s, int64_t n, int64_t c, int64_t y, int64_t x) {
  const auto index = [&](int64_t channel) {
    return static_cast<size_t>(((n * s[1] + channel) * s[2] + y) * s[3] + x);
  };
  return {v[index(c)], v[index(c + s[1] / 2)]};
}

TEST(ComplexConvolution, IsThatOfComplexNumbers) {
  const Scope s = Scope::init(Key(1));
  for (const int64_t stride : {1, 2}) {
    ComplexConv2d conv(s / stride, {2, 3, 3, stride});
    const Tensor x = normal({2, 4, 5, 6}, Key(2));
    Context ctx = Context::eval();
    const Tensor y = conv(x, ctx);
    const auto in = x.to_vector<float>(), out = y.to_vector<float>();
    const auto re = conv.weight_real.value().to_vector<float>(),
               im = conv.weight_imag.value().to_vector<float>();
    ASSERT_EQ(y.size(1), 6);
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t o = 0; o < 3; ++o)
        for (int64_t i = 0; i < y.size(2); ++i)
          for (int64_t j = 0; j < y.size(3); ++j) {
            C sum = 0;
            for (int64_t c = 0; c < 2; ++c)
              for (int64_t k = 0; k < 9; ++k) {
                const int64_t row = i * stride + k / 3 - 1, column = j * stride + k % 3 - 1;
                if (row < 0 || column < 0 || row >= 5 || column >= 6) continue;
                const auto w = static_cast<size_t>((o * 2 + c) * 9 + k);
                sum += C(re[w], im[w]) * at(in, x.shape(), n, c, row, column);
              }
            EXPECT_LT(std::abs(sum - at(out, y.shape(), n, o, i, j)), 1e-5);
          }
  }
}

TEST(ComplexBatchNormalisation, WhitensToHalfTheIdentityAndFollows) {
  const Scope s = Scope::init(Key(1));
  ComplexBatchNorm norm(s, {2});
  // Parts of different size that depend on each other, about other means.
  const Tensor a = normal({64, 2, 8, 8}, Key(2)), b = normal({64, 2, 8, 8}, Key(3));
  const Tensor x = complex_map(3.0 * a + 5.0, a + 0.5 * b - 2.0);
  Context ctx = Context::train(Key(4));
  const Tensor y = norm(x, ctx);
  const auto channels = [](const Tensor& t) { return mean(t, {0, 2, 3}).to_vector<float>(); };
  for (const float m : channels(y)) EXPECT_NEAR(m, 0, 1e-4);
  for (const float v : channels(square(y))) EXPECT_NEAR(v, 0.5, 0.01);
  for (const float v : channels(real_part(y) * imag_part(y))) EXPECT_NEAR(v, 0, 0.01);
  ctx.commit();
  s.state()->commit();
  EXPECT_NEAR(norm.running_mean.value().to_vector<float>()[0], 0.5, 0.05);  // a tenth of 5
  EXPECT_NEAR(norm.running_rr.value().to_vector<float>()[0], 0.9 * std::sqrt(0.5) + 0.9, 0.05);
  EXPECT_NEAR(norm.running_ri.value().to_vector<float>()[0], 0.3, 0.03);
  // With the statistics of the batch as running ones, evaluation gives the same.
  norm.running_mean.set(mean(x, {0, 2, 3}));
  const Tensor centred = x - reshape(mean(x, {0, 2, 3}), {1, -1, 1, 1});
  norm.running_rr.set(mean(square(real_part(centred)), {0, 2, 3}));
  norm.running_ii.set(mean(square(imag_part(centred)), {0, 2, 3}));
  norm.running_ri.set(mean(real_part(centred) * imag_part(centred), {0, 2, 3}));
  Context eval = Context::eval();
  EXPECT_LT(amax(abs(norm(x, eval) - y)).item(), 1e-4);
}

TEST(ComplexActivations, KeepPhasesOrQuadrants) {
  const Tensor z = Tensor::from<float>({3, -3, 0.3f, 3, 4, 4, 0.4f, -4}, {1, 2, 2, 2});
  EXPECT_FLOAT_EQ(modulus(z).to_vector<float>()[0], 5);
  ModReLU act(Scope::init(Key(1)), 1);
  act.bias.set(Tensor::from<float>({-1}, {1}));
  Context ctx = Context::eval();
  const auto y = act(z, ctx).to_vector<float>();
  EXPECT_NEAR(y[0], 3 * 0.8, 1e-5);  // length 5 becomes 4
  EXPECT_NEAR(y[4], 4 * 0.8, 1e-5);
  EXPECT_NEAR(y[1], -3 * 0.8, 1e-5);
  EXPECT_EQ(y[2], 0);  // length 0.5
  EXPECT_EQ(zrelu(z).to_vector<float>(), (std::vector<float>{3, 0, 0.3f, 0, 4, 0, 0.4f, 0}));
  // Moduli: sqrt(2), sqrt(8), 3 and 0.
  const Tensor w = Tensor::from<float>({1, -2, 3, 0, 1, -2, 0, 0}, {1, 2, 2, 2});
  EXPECT_EQ(complex_max_pool2d(w, 2).to_vector<float>(), (std::vector<float>{3, 0}));
  EXPECT_THROW(real_part(zeros({1, 3, 2, 2})), Error);
}

TEST(ComplexLayers, HaveGradientsOfAllParameters) {
  const Scope s = Scope::init(Key(1));
  ComplexConv2d conv(s / "conv", {1, 2, 3, 1});
  ComplexBatchNorm norm(s / "norm", {2});
  ModReLU act(s / "act", 2);
  Context ctx = Context::train(Key(2));
  const Tensor target = normal({4, 4, 4, 4}, Key(5));
  const Tensor y = act(norm(conv(normal({4, 2, 4, 4}, Key(3)), ctx), ctx), ctx);
  const Tensor loss = mean(square(y - target));
  std::vector<Variable> parameters;
  for (const Variable& v : s.state()->variables())
    if (v.is_parameter()) parameters.push_back(v);
  for (const Tensor& g : grad(loss, values(parameters))) EXPECT_GT(amax(abs(g)).item(), 1e-6);
}

}  // namespace
}  // namespace nacre
