#include <thread>

#include "backends/cpu/batch_conv.h"
#include "backends/cpu/depthwise_conv.h"
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/simd/batch_conv.h"
#include "base/parallel.h"
#include "kernels/helpers.h"
#include "kernels/targets.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

using nacre::test::on_each_target;

struct ConvCase {
  Shape x, w, y;
  ConvAttrs attrs;
  std::string text() const {
    return cat({"x ", x, " w ", w, " y ", y, " stride ", attrs.stride.list(), " dilation ",
                attrs.dilation.list(), " pad ", attrs.pad_low.list(), " groups ", attrs.groups});
  }
};

/// What the numbers of a dimension are drawn up to.
struct MostOfWindow {
  int64_t size, kernel, stride, dilation, pad;
};

/// Adds a dimension; false if the window does not fit.
bool add_dimension(Random& r, const MostOfWindow& most, ConvCase& c) {
  const int64_t size = draw(r, 1, most.size), k = draw(r, 1, most.kernel);
  const int64_t stride = draw(r, 1, most.stride);
  const int64_t dilation = draw(r, 0, 2) ? 1 : draw(r, 1, most.dilation);
  const int64_t low = draw(r, 0, most.pad), high = draw(r, 0, most.pad);
  const int64_t room = size + low + high - (k - 1) * dilation - 1;
  c.x.push_back(size);
  c.w.push_back(k);
  c.y.push_back(room / stride + 1);
  c.attrs.stride.push_back(stride);
  c.attrs.dilation.push_back(dilation);
  c.attrs.pad_low.push_back(low);
  return room >= 0;
}

ConvCase random_case(Random& r, int64_t rank, int64_t most_channels) {
  for (;;) {
    ConvCase c;
    c.attrs.groups = draw(r, 0, 2) ? 1 : draw(r, 1, 4);
    const int64_t in = draw(r, 1, most_channels), out = draw(r, 1, most_channels);
    c.x = {draw(r, 1, 3), c.attrs.groups * in};
    c.w = {c.attrs.groups * out, in};
    c.y = {c.x[0], c.w[0]};
    bool valid = true;
    for (int64_t i = 0; i < rank; ++i)
      valid = add_dimension(r, {rank == 3 ? 8 : 13, 5, 3, 3, 3}, c) && valid;
    if (valid) return c;
  }
}

// Calls f(x, w, y) with the flat positions of every product of the convolution.
template <typename F>
void each_product(const ConvCase& c, F f) {
  const int64_t rank = c.x.rank() - 2;
  const int64_t group_in = c.w[1], group_out = c.w[0] / c.attrs.groups;
  const Shape xs = contiguous_strides(c.x);
  const int64_t taps = c.w.slice(2, c.w.rank()).numel();
  const int64_t plane = c.y.slice(2, c.y.rank()).numel();
  for (int64_t y = 0; y < c.y.numel(); ++y) {
    const int64_t n = y / plane / c.y[1], o = y / plane % c.y[1];
    for (int64_t ci = 0; ci < group_in; ++ci)
      for (int64_t tap = 0; tap < taps; ++tap) {
        int64_t x = n * xs[0] + (o / group_out * group_in + ci) * xs[1];
        int64_t rest = y % plane, k = tap;
        bool inside = true;
        for (int64_t d = rank; d-- > 0;) {
          const int64_t at = rest % c.y[2 + d] * c.attrs.stride[d] - c.attrs.pad_low[d] +
                             k % c.w[2 + d] * c.attrs.dilation[d];
          inside = inside && at >= 0 && at < c.x[2 + d];
          x += at * xs[2 + d];
          rest /= c.y[2 + d];
          k /= c.w[2 + d];
        }
        if (inside) f(x, (o * group_in + ci) * taps + tap, y);
      }
  }
}

/// Random operands, and what the three passes make of them by plain loops.
struct Worked {
  Data x, w, dy;
  std::vector<double> y, dx, dw;
  Worked(Random& r, DType t, const ConvCase& c)
      : x(random(r, t, c.x)),
        w(random(r, t, c.w)),
        dy(random(r, t, c.y)),
        y(static_cast<size_t>(c.y.numel())),
        dx(static_cast<size_t>(c.x.numel())),
        dw(static_cast<size_t>(c.w.numel())) {
    const auto xv = x.values(), wv = w.values(), dyv = dy.values();
    each_product(c, [&](int64_t xi, int64_t wi, int64_t yi) {
      const auto a = static_cast<size_t>(xi), b = static_cast<size_t>(wi),
                 o = static_cast<size_t>(yi);
      y[o] += xv[a] * wv[b];
      dx[a] += dyv[o] * wv[b];
      dw[b] += dyv[o] * xv[a];
    });
  }
};

/// The error that sums of so many products of `t` may have.
double tolerance_of(DType t, const ConvCase& c, const Shape& result) {
  const double products = static_cast<double>(c.y.numel()) * static_cast<double>(c.w.numel()) /
                          static_cast<double>(c.w[0]) /
                          static_cast<double>(std::max<int64_t>(1, result.numel()));
  return 4 * epsilon(t) + (16 * std::sqrt(products) + products) * std::min(epsilon(t), 0x1p-24);
}

void check_case(Random& r, DType t, const ConvCase& c) {
  const Worked want(r, t, c);
  const ConvGeometry g(c.x, c.w, c.y, c.attrs);
  const bool empty_case = c.x.numel() == 0 || c.y.numel() == 0;
  const auto check = [&](auto make, ConvPass pass, const Data& a, const Data& b, const Shape& shape,
                         const std::vector<double>& expected, const char* what) {
    std::vector<Data> out;
    out.push_back(empty(t, shape));
    std::vector<std::unique_ptr<Kernel>> kernels;
    kernels.push_back(make(operands({&a, &b}), outputs(out), c.attrs));
    ASSERT_NE(kernels[0], nullptr) << what << " " << c.text();
    // The ways that were not chosen have to be right too.
    if (!empty_case && t == DType::f32) {
      kernels.push_back(make_direct_conv(pass, g));
      kernels.push_back(make_depthwise_conv(pass, g));
      kernels.push_back(make_batch_conv(pass, g));
    }
    if (!empty_case) kernels.push_back(make_im2col(t, pass, g));
    const double products = static_cast<double>(c.y.numel()) * static_cast<double>(c.w.numel()) /
                            static_cast<double>(c.w[0]) /
                            static_cast<double>(std::max<int64_t>(1, shape.numel()));
    const double tolerance = tolerance_of(t, c, shape);
    for (const auto& kernel : kernels) {
      if (!kernel) continue;
      EXPECT_EQ(kernel->description().find("ref"), std::string::npos) << kernel->description();
      run(*kernel, {&a, &b}, out);
      // Winograd's form takes differences of sums over a tile: its error goes with the rms value of
      // all results, not with the result at hand (bounded by Layout.WinogradsErrorIsBounded).
      const bool winograd = kernel->description().find("wino") != std::string::npos;
      const double rms = std::sqrt(products) / 3;  // of products of two uniform numbers
      expect_near(out[0], expected, winograd ? 2e-5 * rms : tolerance,
                  cat({what, " ", name_of(t), " ", kernel->description(), " ", c.text()}));
    }
  };
  check(make_conv, ConvPass::forward, want.x, want.w, c.y, want.y, "conv");
  check(make_conv_input_grad, ConvPass::input_grad, want.dy, want.w, c.x, want.dx,
        "conv_input_grad");
  check(make_conv_weight_grad, ConvPass::weight_grad, want.x, want.dy, c.w, want.dw,
        "conv_weight_grad");
}

TEST(Conv, RandomCasesAgreeWithLoops) {
  Random r(11);
  for (int trial = 0; trial < 150; ++trial)
    check_case(r, DType::f32, random_case(r, 1 + trial % 3, trial % 5 ? 7 : 19));
}

TEST(Conv, RandomCasesInDoublePrecision) {
  Random r(12);
  for (int trial = 0; trial < 90; ++trial)
    check_case(r, DType::f64, random_case(r, 1 + trial % 3, 5));
}

TEST(Conv, RandomCasesInHalfPrecision) {
  Random r(13);
  for (int trial = 0; trial < 20; ++trial) {
    check_case(r, DType::bf16, random_case(r, 2, 17));
    check_case(r, DType::f16, random_case(r, 2, 5));
  }
}

TEST(Conv, CommonLayers) {
  Random r(14);
  const auto layer = [&](Shape x, Shape w, int64_t stride, int64_t pad, int64_t groups) {
    ConvCase c{x, w, {x[0], w[0]}, {}};
    c.attrs.groups = groups;
    for (int64_t i = 0; i < 2; ++i) {
      c.y.push_back((x[2 + i] + 2 * pad - w[2 + i]) / stride + 1);
      c.attrs.stride.push_back(stride);
      c.attrs.dilation.push_back(1);
      c.attrs.pad_low.push_back(pad);
    }
    check_case(r, DType::f32, c);
  };
  layer({64, 1, 28, 28}, {6, 1, 5, 5}, 1, 2, 1);     // LeNet
  layer({16, 6, 14, 14}, {16, 6, 5, 5}, 1, 0, 1);    // LeNet
  layer({1, 3, 32, 32}, {32, 3, 7, 7}, 2, 3, 1);     // ResNet's first
  layer({1, 32, 14, 14}, {32, 32, 3, 3}, 1, 1, 1);   // dense
  layer({1, 48, 8, 8}, {16, 48, 1, 1}, 1, 0, 1);     // pointwise
  layer({1, 24, 14, 14}, {24, 1, 3, 3}, 2, 1, 24);   // depthwise
  layer({2, 24, 14, 14}, {24, 1, 5, 5}, 2, 2, 24);   // depthwise
  layer({9, 24, 7, 7}, {24, 1, 5, 5}, 1, 2, 24);     // depthwise
  layer({1, 12, 9, 9}, {24, 1, 3, 3}, 1, 1, 12);     // depthwise with multiplier
  layer({1, 20, 40, 150}, {20, 20, 3, 3}, 1, 1, 1);  // several bands
  layer({1, 96, 60, 3}, {1, 96, 3, 3}, 1, 2, 1);     // one output channel
}

/// One channel in and out of each group, sizes around those of vectors, padding as large as it
/// gets.
ConvCase random_depthwise(Random& r) {
  for (;;) {
    ConvCase c;
    c.attrs.groups = draw(r, 1, 5);
    c.x = {draw(r, 1, 3), c.attrs.groups};
    c.w = {c.attrs.groups, 1};
    c.y = c.x;
    bool valid = true;
    for (int64_t i = 0; i < 2; ++i) valid = add_dimension(r, {i ? 45 : 12, 8, 4, 4, 5}, c) && valid;
    if (valid) return c;
  }
}

/// The three passes of the kernel that `make` makes.
template <typename Make>
void check_kernel(Random& r, const ConvCase& c, Make make, const std::string& where) {
  const Worked want(r, DType::f32, c);
  const ConvGeometry g(c.x, c.w, c.y, c.attrs);
  const auto check = [&](ConvPass pass, const Data& a, const Data& b, const Shape& shape,
                         const std::vector<double>& expected) {
    std::vector<Data> out;
    out.push_back(empty(DType::f32, shape));
    const auto kernel = make(pass, g);
    ASSERT_NE(kernel, nullptr) << c.text();
    run(*kernel, {&a, &b}, out);
    expect_near(out[0], expected, tolerance_of(DType::f32, c, shape),
                cat({where, " pass ", static_cast<int>(pass), " ", c.text()}));
  };
  check(ConvPass::forward, want.x, want.w, c.y, want.y);
  check(ConvPass::input_grad, want.dy, want.w, c.x, want.dx);
  check(ConvPass::weight_grad, want.x, want.dy, c.w, want.dw);
}

void check_depthwise(Random& r, const ConvCase& c, const std::string& where) {
  check_kernel(r, c, make_depthwise_conv, where);
}

TEST(Conv, DepthwiseOnEachInstructionSet) {
  const int before = num_threads();
  on_each_target([](const char* target) {
    Random r(17);
    for (int trial = 0; trial < 250; ++trial) {
      set_num_threads(1 + trial % 3);
      check_depthwise(r, random_depthwise(r), target);
    }
    // Planes that are worked on in bands of rows, on all threads.
    check_depthwise(
        r, {{2, 3, 150, 130}, {3, 1, 5, 5}, {2, 3, 75, 65}, {{2, 2}, {1, 1}, {2, 2}, 3}}, target);
    check_depthwise(
        r, {{1, 2, 130, 300}, {2, 1, 3, 7}, {1, 2, 126, 288}, {{1, 1}, {3, 2}, {1, 0}, 2}}, target);
  });
  set_num_threads(before);
}

TEST(Conv, ManyImagesOnEachInstructionSet) {
  const int before = num_threads();
  on_each_target([](const char* target) {
    if (batch_lanes() < 4) {
      const ConvGeometry g({16, 1, 4, 4}, {1, 1, 3, 3}, {16, 1, 2, 2}, {{1, 1}, {1, 1}, {0, 0}, 1});
      EXPECT_EQ(make_batch_conv(ConvPass::forward, g), nullptr);
      return;
    }
    Random r(18);
    for (int trial = 0; trial < 120; ++trial) {
      set_num_threads(1 + trial % 3);
      ConvCase c = random_case(r, 1 + trial % 2, trial % 4 ? 4 : 12);
      c.x[0] = c.y[0] = draw(r, 9, 40);
      check_kernel(r, c, make_batch_conv, target);
    }
  });
  set_num_threads(before);
}

TEST(Conv, ManyImagesAreLeftToOthersWhereTheyDoNotFit) {
  const auto made = [](const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a) {
    return make_batch_conv(ConvPass::forward, ConvGeometry(x, w, y, a)) != nullptr;
  };
  const ConvAttrs a{{1, 1}, {1, 1}, {0, 0}, 1};
  if (batch_lanes() < 4) GTEST_SKIP() << "there are no vectors";
  EXPECT_TRUE(made({64, 6, 14, 14}, {16, 6, 5, 5}, {64, 16, 10, 10}, a));
  EXPECT_FALSE(made({1, 6, 14, 14}, {16, 6, 5, 5}, {1, 16, 10, 10}, a));      // empty lanes
  EXPECT_FALSE(made({64, 6, 514, 514}, {6, 6, 3, 3}, {64, 6, 512, 512}, a));  // no cache holds it
  EXPECT_FALSE(made({64, 2, 6, 6, 6}, {2, 2, 3, 3, 3}, {64, 2, 4, 4, 4},
                    {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, 1}));  // three dimensions
}

TEST(Conv, EmptyBatchGivesEmptyOutputAndZeroGradient) {
  Random r(15);
  ConvCase c{{0, 3, 8, 8}, {4, 3, 3, 3}, {0, 4, 6, 6}, {{1, 1}, {1, 1}, {0, 0}, 1}};
  check_case(r, DType::f32, c);
  check_case(r, DType::f64, c);
}

TEST(Conv, OneKernelServesManyThreads) {
  Random r(16);
  for (const int64_t channels : {16, 5}) {
    const Data x = random(r, DType::f32, {2, channels, 12, 12});
    const Data w = random(r, DType::f32, {channels, channels, 3, 3});
    const ConvAttrs attrs{{1, 1}, {1, 1}, {1, 1}, 1};
    std::vector<Data> first;
    first.push_back(empty(DType::f32, {2, channels, 12, 12}));
    const auto kernel = make_conv(operands({&x, &w}), outputs(first), attrs);
    run(*kernel, {&x, &w}, first);
    const auto want = first[0].values();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) {
          std::vector<Data> y;
          y.push_back(empty(DType::f32, {2, channels, 12, 12}));
          run(*kernel, {&x, &w}, y);
          expect_near(y[0], want, 0, "concurrent");
        }
      });
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace nacre::cpu::test
