// Winograd's convolutions against plain loops in double, on pictures of every border, in one block
// of tiles and in several, on one to three threads.
#include <utility>

#include "backends/cpu/winograd_conv.h"
#include "base/parallel.h"
#include "kernels/helpers.h"
#include "kernels/targets.h"

namespace nacre::cpu::test {
namespace {

struct WinogradCase {
  int64_t batch, ins, outs, height, width;  // blocks of channels; of x
  int64_t low[2], high[2];                  // padding
};

/// [N, C, H, W] as it lies in blocks.
Shape in_blocks(const Shape& s) {
  const int64_t b = block_lanes();
  return {s[0], s[1] / b, s[2], s[3], b};
}

/// The sums of a convolution and of its gradients, one after the other.
struct Sums {
  Shape x, y;
  std::vector<double> forward, input, weight;
  Sums(const WinogradCase& c, const Shape& x_shape, const Shape& y_shape, const Data& xs,
       const Data& ws, const Data& dys)
      : x(x_shape), y(y_shape) {
    const auto xv = xs.values(), wv = ws.values(), dyv = dys.values();
    forward.resize(dyv.size());
    input.resize(xv.size());
    weight.resize(wv.size());
    const int64_t b = block_lanes();
    const auto at = [&](const Shape& s, int64_t n, int64_t ch, int64_t h, int64_t w) {
      return static_cast<size_t>((((n * s[1] / b + ch / b) * s[2] + h) * s[3] + w) * b + ch % b);
    };
    for (int64_t n = 0; n < x[0]; ++n)
      for (int64_t o = 0; o < y[1]; ++o)
        for (int64_t h = 0; h < y[2]; ++h)
          for (int64_t w = 0; w < y[3]; ++w) {
            const size_t yi = at(y, n, o, h, w);
            for (int64_t i = 0; i < 3; ++i)
              for (int64_t j = 0; j < 3; ++j) {
                const int64_t r = h + i - c.low[0], q = w + j - c.low[1];
                if (r < 0 || r >= x[2] || q < 0 || q >= x[3]) continue;
                for (int64_t k = 0; k < x[1]; ++k) {
                  const size_t xi = at(x, n, k, r, q);
                  const auto wi = static_cast<size_t>(((o * x[1] + k) * 3 + i) * 3 + j);
                  forward[yi] += xv[xi] * wv[wi];
                  input[xi] += dyv[yi] * wv[wi];
                  weight[wi] += dyv[yi] * xv[xi];
                }
              }
          }
  }
};

double rms(const std::vector<double>& v) {
  double square = 0;
  for (const double x : v) square += x * x;
  return std::sqrt(square / static_cast<double>(v.size()));
}

/// A result is a difference of sums over a tile, so its error goes with the rms value of all.
void expect_sums(const Data& got, const std::vector<double>& want, double scale,
                 const std::string& what) {
  expect_near(got, want, 3e-5 * scale, what);
  double square = 0;
  for (size_t i = 0; i < want.size(); ++i)
    square += std::pow(got[static_cast<int64_t>(i)] - want[i], 2);
  EXPECT_LE(std::sqrt(square / static_cast<double>(want.size())), 4e-6 * scale) << what;
}

void check_sums(const Kernel& kernel, const std::vector<const Data*>& in, std::vector<Data>& out,
                const std::vector<double>& want, double scale, const std::string& what) {
  run(kernel, in, out);
  expect_sums(out[0], want, scale, what);
}

void check_winograd(Random& r, const WinogradCase& c, int threads) {
  const int usual = num_threads();
  set_num_threads(threads);
  const int64_t b = block_lanes();
  const Shape x = {c.batch, c.ins * b, c.height, c.width},
              y = {c.batch, c.outs * b, c.height + c.low[0] + c.high[0] - 2,
                   c.width + c.low[1] + c.high[1] - 2};
  const Data xs = random(r, DType::f32, in_blocks(x)),
             ws = random(r, DType::f32, {y[1], x[1], 3, 3}),
             dys = random(r, DType::f32, in_blocks(y)), bias = random(r, DType::f32, {y[1]}),
             residual = random(r, DType::f32, in_blocks(y));
  const Sums sums(c, x, y, xs, ws, dys);
  const std::string name = cat({x, " to ", y, ", ", num_threads(), " threads, ", b, " lanes"});
  std::vector<Data> out;
  out.push_back(empty(DType::f32, in_blocks(y)));
  WinogradConvolution w;
  w.input = x;
  w.output = y;
  w.pad_low[0] = c.low[0];
  w.pad_low[1] = c.low[1];
  check_sums(*winograd_convolution(w), {&xs, &ws}, out, sums.forward, rms(sums.forward),
             "x * w, " + name);

  w.bias = true;
  w.residual = 3;
  w.act.low = 0;
  w.act.high = 20;
  const auto bv = bias.values(), rv = residual.values();
  std::vector<double> want = sums.forward;
  for (size_t i = 0; i < want.size(); ++i) {
    const int64_t block = static_cast<int64_t>(i) / (y[2] * y[3] * b) % c.outs;
    want[i] += bv[static_cast<size_t>(block * b) + i % static_cast<size_t>(b)] + rv[i];
  }
  const std::vector<double> before = want;
  const double scale = rms(before);
  for (double& v : want) v = std::clamp(v, 0., 20.);
  const auto packed = winograd_convolution(w)->with_constant(1, ws.first());
  ASSERT_NE(packed, nullptr);
  check_sums(*packed, {&xs, &ws, &bias, &residual}, out, want, scale,
             "with bias, residual, limits, " + name);
  // The residual may lie where the results go.
  EXPECT_TRUE(packed->may_alias(3, 0));
  std::memcpy(out[0].memory.data(), residual.memory.data(), residual.memory.bytes());
  const Buffer scratch(packed->scratch_bytes());
  const void* in[] = {xs.first(), nullptr, bias.first(), out[0].first()};
  void* results[] = {out[0].memory.data()};
  packed->run(in, results, scratch.data());
  expect_sums(out[0], want, scale, "in place, " + name);
  w.act = {.swish = true};
  for (size_t i = 0; i < want.size(); ++i) want[i] = before[i] / (1 + std::exp(-before[i]));
  check_sums(*winograd_convolution(w), {&xs, &ws, &bias, &residual}, out, want, scale,
             "swish, " + name);

  std::vector<Data> dx;
  dx.push_back(empty(DType::f32, in_blocks(x)));
  WinogradConvolution back;
  back.input = y;
  back.output = x;
  back.turned = true;
  for (int i = 0; i < 2; ++i) back.pad_low[i] = 2 - c.low[i];
  check_sums(*winograd_convolution(back), {&dys, &ws}, dx, sums.input, rms(sums.input),
             "dx, " + name);

  std::vector<Data> dw;
  dw.push_back(empty(DType::f32, {y[1], x[1], 3, 3}));
  w = {};
  w.input = x;
  w.output = y;
  w.pad_low[0] = c.low[0];
  w.pad_low[1] = c.low[1];
  check_sums(*winograd_weight_grad(w), {&xs, &dys}, dw, sums.weight, rms(sums.weight),
             "dw, " + name);
  set_num_threads(usual);
}

TEST(Winograd, EqualsLoops) {
  nacre::test::on_each_target([](const char*) {
    if (block_lanes() % 4 != 0) return;  // no vectors, no blocks
    Random r(5);
    for (int i = 0; i < 24; ++i) {
      WinogradCase c{};
      do {
        c = {draw(r, 1, 3),
             draw(r, 1, 3),
             draw(r, 1, 3),
             draw(r, 1, 13),
             draw(r, 1, 13),
             {draw(r, 0, 2), draw(r, 0, 2)},
             {draw(r, 0, 3), draw(r, 0, 3)}};
      } while (c.height + c.low[0] + c.high[0] < 3 || c.width + c.low[1] + c.high[1] < 3);
      check_winograd(r, c, 1 + i % 3);
    }
  });
}

TEST(Winograd, BlocksOfTilesAndGroupsOfChannels) {
  Random r(6);
  for (const int threads : {1, 2, 3}) {
    check_winograd(r, {3, 1, 1, 45, 47, {1, 1}, {1, 1}}, threads);  // 432 tiles
    check_winograd(r, {1, 5, 9, 9, 6, {1, 1}, {1, 1}}, threads);    // four groups, of a gradient
    check_winograd(r, {1, 2, 3, 30, 50, {1, 0}, {1, 2}}, threads);
  }
}

}  // namespace
}  // namespace nacre::cpu::test
