// Networks of integers of 8 bits: the kernel against its reference, what the pass makes of graphs,
// and what it gives against the same graphs computed in floats.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "backends/cpu/dnnl.h"
#include "compile/plan.h"
#include "graph/node.h"
#include "nacre/error.h"
#include "nacre/onnx.h"
#include "nacre/ops.h"
#include "nacre/program.h"
#include "nacre/quantize.h"
#include "nacre/zoo.h"
#include "ops/quantize/conv_int8.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using Net = std::function<Tensor(const Tensor&)>;

bool in_integers() { return cpu::dnnl::native(DType::i8); }

#define NEEDS_INTEGERS \
  if (!in_integers()) GTEST_SKIP() << "this processor has no VNNI; networks compute in f32"

// ---- the kernel

/// A random convolution: attributes and inputs.
struct Case {
  ConvInt8Attrs attrs;
  Tensors inputs;
};

Case random_case(std::mt19937& random) {
  const auto pick = [&](std::initializer_list<int64_t> of) {
    return *(of.begin() + static_cast<ptrdiff_t>(random() % of.size()));
  };
  const auto bytes = [&](const Shape& shape, DType t) {
    const int64_t low = t == DType::u8 ? 0 : -128;
    return cast(randint(shape, Key(random()), low, low + 256), t);
  };
  const DType types[] = {DType::u8, DType::i8};
  Case c;
  ConvInt8Attrs& a = c.attrs;
  const int64_t kernel = pick({1, 3, 5}), pad = pick({0, kernel / 2, kernel / 2, kernel + 1}),
                dilation = pick({1, 1, 1, 2}), kind = pick({0, 0, 0, 1, 2});
  const int64_t ins = kind == 2 ? 16 : pick({1, 3, 6, 16, 33, 64}), outs = kind == 0
                                                                               ? pick({5, 16, 48})
                                                                           : kind == 1 ? ins
                                                                                       : 32;
  a.groups = kind == 0 ? 1 : kind == 1 ? ins : 2;
  const int64_t stride = pick({1, 1, 2});
  a.stride = {stride, stride};
  a.dilation = {dilation, dilation};
  a.pad_low = a.pad_high = {pad, pad};
  const DType in = types[random() % 2];
  a.dtype = std::initializer_list<DType>{DType::f32, DType::u8, DType::i8}.begin()[random() % 3];
  a.x_zero = pick({0, 0, in == DType::u8 ? 131 : -5});
  a.y_zero = a.dtype == DType::f32 ? 0 : pick({0, 0, a.dtype == DType::u8 ? 120 : 9});
  a.bias = random() % 2;
  const int64_t height = pick({9, 12}), width = pick({9, 14}), batch = pick({1, 3});
  const double size = 5000 * std::sqrt(static_cast<double>(ins / a.groups * kernel * kernel));
  c.inputs = {bytes({batch, height, width, ins}, in),
              bytes({outs, ins / a.groups, kernel, kernel}, DType::i8),
              uniform({outs}, Key(random()), 20 / size, 60 / size)};
  if (a.bias) c.inputs.push_back(uniform({outs}, Key(random()), -size, size));
  a.residual = a.dtype != DType::f32 && random() % 2;
  if (a.residual) {
    const int64_t room = 2 * pad - dilation * (kernel - 1) - 1;
    const Shape y = {batch, (height + room) / stride + 1, (width + room) / stride + 1, outs};
    const DType t = types[random() % 2];
    c.inputs.push_back(bytes(y, t));
    a.rounded = random() % 2;
    a.sum_low = -100;
    a.sum_high = 101;
    a.sum_scale = 0.77314159;  // products by these are hardly ever halves
    a.residual_scale = 0.31271828;
    a.residual_zero = pick({0, t == DType::u8 ? 128 : -3});
  }
  if (!a.residual && random() % 4 == 0) {
    a.swish = true;
    a.sum_scale = 1.7314159;
  }
  if (random() % 2) a.low = 0;
  if (random() % 4 == 0) a.high = 30.3;
  eval(c.inputs);
  return c;
}

TEST(Int8Kernel, GivesWhatTheReferenceGives) {
  NEEDS_INTEGERS;
  std::mt19937 random(1);
  int64_t compared = 0, different = 0;
  int left_out = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const Case c = random_case(random);
    const auto node = [&](const Tensors& in) {
      return Tensors{make(*find_op("conv_int8"), box(c.attrs), in)};
    };
    const Graph graph = Graph::trace(node, c.inputs);
    CompileOptions reference;
    reference.reference = true;
    const auto fast = compile(graph, {}, {}, {}), slow = compile(graph, {}, {}, reference);
    left_out += fast->reference_steps;
    if (fast->reference_steps) continue;
    const auto got = run_on(*fast, c.inputs)[0].to_vector<double>(),
               want = run_on(*slow, c.inputs)[0].to_vector<double>();
    for (size_t k = 0; k < want.size(); ++k) {
      // The library adds and scales in f32: a value beside a half may go the other way.
      const double most = c.attrs.dtype == DType::f32 ? 1e-4 : 1;
      ASSERT_LE(std::fabs(got[k] - want[k]), most)
          << "trial " << trial << ", element " << k << ": " << graph.str();
      different += c.attrs.dtype != DType::f32 && got[k] != want[k];
    }
    compared += static_cast<int64_t>(want.size());
  }
  EXPECT_LT(different, compared / 5000) << compared;
  EXPECT_LT(left_out, 30);  // two limits around a sum, groups with zero points
}

// ---- the pass

Tensor scale_of(double s) { return Tensor::scalar(s, DType::f32); }
Tensor zero_of(int64_t z, DType t) { return Tensor::scalar(static_cast<double>(z), t); }

/// x as numbers on a grid.
Tensor on_grid(const Tensor& x, double scale, int64_t zero, DType t) {
  return dequantize(quantize(x, scale_of(scale), zero_of(zero, t)), scale_of(scale),
                    zero_of(zero, t));
}
/// Random whole numbers, as a constant while a graph is traced.
template <typename T>
Tensor whole(const Shape& shape, int64_t low, int64_t high, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<T> values(static_cast<size_t>(shape.numel()));
  for (T& v : values)
    v = static_cast<T>(low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low)));
  return Tensor::from(values, shape);
}
Tensor weights(const Shape& shape, uint64_t seed) {
  std::vector<float> scales(static_cast<size_t>(shape[0]));
  for (size_t k = 0; k < scales.size(); ++k)
    scales[k] = 0.001f + 0.00003f * static_cast<float>((k * 7 + seed) % 32);
  return dequantize(whole<int8_t>(shape, -127, 128, seed), Tensor::from(scales, {shape[0]}),
                    whole<int8_t>({shape[0]}, 0, 1, seed));
}
Tensor bias_of(int64_t outs, double scale, uint64_t seed) {
  const std::vector<float> scales(static_cast<size_t>(outs), static_cast<float>(scale));
  return dequantize(whole<int32_t>({outs}, -2000, 2000, seed), Tensor::from(scales, {outs}),
                    whole<int32_t>({outs}, 0, 1, seed));
}

/// What all passes make of a network, and what is left of some ops.
Graph compiled(const Net& net, const Tensor& x) {
  const Graph g = Graph::trace([&](const Tensors& in) { return Tensors{net(in[0])}; }, {x});
  std::lock_guard lock(graph_mutex());
  return run_passes(g, {});
}
int count(const Graph& g, std::string_view op) {
  int n = 0;
  for (const Node* node : g.nodes()) n += node->op && !node->evaluated && node->op->name == op;
  return n;
}

struct Without {  // the pass
  Without() { setenv("NACRE_DISABLE_PASSES", "integers", 1); }
  ~Without() { unsetenv("NACRE_DISABLE_PASSES"); }
};

std::vector<double> values(const Net& net, const Tensor& x, bool integers) {
  const auto off = integers ? nullptr : std::make_unique<Without>();
  const Program p([&](const Tensors& in) { return Tensors{net(in[0])}; }, {x});
  return p({x})[0].to_vector<double>();
}

/// The network gives integers, which may differ by one where floats round to the other side.
void expect_same_integers(const Net& net, const Tensor& x) {
  const auto want = values(net, x, false), got = values(net, x, true);
  ASSERT_EQ(want.size(), got.size());
  size_t different = 0;
  double low = 1e9, high = -1e9;
  for (size_t k = 0; k < want.size(); ++k) {
    ASSERT_LE(std::fabs(want[k] - got[k]), 1) << "element " << k;
    different += want[k] != got[k];
    low = std::min(low, want[k]);
    high = std::max(high, want[k]);
  }
  EXPECT_LE(different, want.size() / 200);
  EXPECT_GT(high - low, 60);  // the integers say something
}

Tensor picture(const Shape& shape) {
  const Tensor x = normal(shape, Key(7));
  eval(x);
  return x;
}

/// As integers on a grid.
Tensor q8(const Tensor& x, double s, int64_t z, DType t) {
  return quantize(x, scale_of(s), zero_of(z, t));
}

struct Form {
  const char* name;
  Shape input;
  Net net;                           ///< gives integers
  int products, dequantized, pools;  ///< nodes that are left
};

std::vector<Form> forms() {
  const ConvOptions same = {.padding = {1}};
  std::vector<Form> list;
  list.push_back({"conv",
                  {2, 3, 9, 8},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(x, 0.02, 0, DType::i8);
                    return q8(conv2d(y, weights({20, 3, 3, 3}, 1), {}, same), 0.01, 0, DType::i8);
                  },
                  1,
                  0,
                  0});
  list.push_back({"bias and ReLU",
                  {1, 16, 9, 8},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(relu(x), 0.012, 0, DType::u8);
                    return q8(relu(conv2d(y, weights({24, 16, 3, 3}, 1),
                                          bias_of(24, 0.012 * 0.0015, 9), same)),
                              0.02, 0, DType::u8);
                  },
                  1,
                  0,
                  0});
  list.push_back({"zero points and padding",
                  {1, 16, 9, 8},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(x, 0.02, 117, DType::u8);
                    return q8(relu6(conv2d(y, weights({24, 16, 5, 5}, 1), {}, {.padding = {2}})),
                              0.03, -101, DType::i8);
                  },
                  1,
                  0,
                  0});
  list.push_back({"depthwise, strided",
                  {1, 32, 11, 11},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(x, 0.02, 128, DType::u8);
                    return q8(conv2d(y, weights({32, 1, 3, 3}, 1), {},
                                     {.stride = {2}, .padding = {1}, .groups = 32}),
                              0.005, 128, DType::u8);
                  },
                  1,
                  0,
                  0});
  list.push_back(
      {"block",
       {1, 16, 8, 8},
       [=](const Tensor& x) {
         const Tensor y = on_grid(relu(x), 0.012, 0, DType::u8);
         Tensor z = relu(conv2d(y, weights({16, 16, 3, 3}, 1), {}, same));
         z = on_grid(z, 0.01, 0, DType::u8);
         z = on_grid(conv2d(z, weights({16, 16, 3, 3}, 3), {}, same), 0.02, 0, DType::i8);
         return q8(relu(z + y), 0.02, 0, DType::u8);
       },
       2,
       0,
       0});
  list.push_back({"sum that is not rounded",
                  {1, 16, 8, 8},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(x, 0.02, 3, DType::i8);
                    return q8(y + conv2d(y, weights({16, 16, 1, 1}, 1)), 0.02, 128, DType::u8);
                  },
                  1,
                  0,
                  0});
  list.push_back({"two branches",
                  {1, 16, 8, 8},
                  [=](const Tensor& x) {
                    const Tensor y = on_grid(x, 0.02, 0, DType::i8);
                    const Tensor a = conv2d(y, weights({32, 16, 3, 3}, 1), {},
                                            {.stride = {2}, .padding = {1}}),
                                 b = conv2d(y, weights({32, 16, 1, 1}, 3), {}, {.stride = {2}});
                    return q8(
                        relu(on_grid(a, 0.02, 0, DType::i8) + on_grid(b, 0.0317, 0, DType::i8)),
                        0.02, 0, DType::u8);
                  },
                  2,
                  0,
                  0});
  list.push_back({"pool",
                  {1, 3, 12, 12},
                  [=](const Tensor& x) {
                    Tensor y = on_grid(x, 0.02, 0, DType::i8);
                    y = relu(conv2d(y, weights({16, 3, 3, 3}, 1), {}, same));
                    y = on_grid(y, 0.01, 0, DType::u8);
                    y = max_pool2d(y, {3}, {.stride = {2}, .padding = {1}})[0];
                    return q8(y, 0.01, 0, DType::u8);
                  },
                  1,
                  0,
                  1});
  list.push_back({"flat",
                  {4, 6, 5, 5},
                  [=](const Tensor& x) {
                    const Tensor y = flatten(on_grid(x, 0.02, 0, DType::i8), 1);
                    return q8(relu(matmul(y, transpose(weights({40, 150}, 1))) +
                                   bias_of(40, 0.02 * 0.0015, 9)),
                              0.02, 0, DType::u8);
                  },
                  1,
                  0,
                  0});
  list.push_back(
      {"joined",
       {1, 16, 6, 6},
       [=](const Tensor& x) {
         const Tensor y = on_grid(x, 0.02, 0, DType::i8);
         const Tensor a = conv2d(y, weights({16, 16, 3, 3}, 1), {}, same),
                      b = conv2d(y, weights({24, 16, 1, 1}, 3));
         return q8(
             conv2d(concat({on_grid(a, 0.02, 0, DType::i8), on_grid(b, 0.02, 0, DType::i8)}, 1),
                    weights({8, 40, 1, 1}, 5)),
             0.02, 0, DType::i8);
       },
       3,
       0,
       0});
  list.push_back(
      {"mean",
       {1, 16, 6, 6},
       [=](const Tensor& x) {
         Tensor y = on_grid(x, 0.02, 0, DType::i8);
         y = on_grid(relu(conv2d(y, weights({64, 16, 3, 3}, 1), {}, same)), 0.01, 0, DType::u8);
         y = on_grid(mean(y, {2, 3}), 0.0053, 0, DType::u8);
         return q8(matmul(y, transpose(weights({50, 64}, 3))), 0.004, 0, DType::i8);
       },
       2,
       1,
       0});
  return list;
}

TEST(Integers, FormsBecomeProductsOfIntegers) {
  NEEDS_INTEGERS;
  for (const Form& f : forms()) {
    SCOPED_TRACE(f.name);
    const Tensor x = picture(f.input);
    const Graph g = compiled(f.net, x);
    EXPECT_EQ(count(g, "conv_int8"), f.products) << g.str();
    EXPECT_EQ(count(g, "dequantize"), f.dequantized) << g.str();
    EXPECT_EQ(count(g, "max_pool_rows"), f.pools) << g.str();
    EXPECT_EQ(count(g, "conv") + count(g, "conv_blocks") + count(g, "matmul"), 0) << g.str();
    expect_same_integers(f.net, x);
  }
}

// SiLU, gates of channels, norms and joining are computed in f32, on pictures as the products have
// them: nothing is put in another order but the input and what a pool of means gives.
TEST(Integers, NumbersBetweenProductsKeepTheirChannelsLast) {
  NEEDS_INTEGERS;
  const Tensor scale = uniform({48}, Key(3), 0.5, 1.5), shift = uniform({48}, Key(4), -0.2, 0.2);
  eval({scale, shift});
  const Net gated = [&](const Tensor& x) {
    Tensor y = conv2d(on_grid(x, 0.02, 0, DType::i8), weights({32, 16, 3, 3}, 1));
    y = avg_pool2d(max_pool2d(silu(y), {2}, {.stride = {1}})[0], {2}, {.stride = {1}});
    y = y * sigmoid(mean(y, {2, 3}, true));
    y = on_grid(y, 0.02, 60, DType::u8);
    return q8(conv2d(y, weights({16, 32, 1, 1}, 3)) * 0.5, 0.02, 0, DType::i8);
  };
  const Net dense = [&](const Tensor& x) {
    const Tensor y = avg_pool2d(x, {2}),
                 z = conv2d(on_grid(y, 0.02, 0, DType::i8), weights({32, 16, 1, 1}, 1));
    const Tensor a = relu(batch_norm_infer(concat({y, z}, 1), scale, shift, shift, scale));
    return q8(conv2d(on_grid(a, 0.01, 0, DType::u8), weights({16, 48, 1, 1}, 3)), 0.02, 0,
              DType::i8);
  };
  const Tensor x = picture({2, 16, 8, 8});
  for (const Net& net : {gated, dense}) {
    const Graph g = compiled(net, x);
    EXPECT_EQ(count(g, "conv_int8"), 2) << g.str();
    EXPECT_LE(count(g, "contiguous"), 2) << g.str();
    expect_same_integers(net, x);
  }
  const Graph g = compiled(gated, x);
  EXPECT_EQ(count(g, "contiguous"), 1) << g.str();
  EXPECT_EQ(count(g, "max_pool_rows") + count(g, "avg_pool_rows"), 2) << g.str();
  EXPECT_EQ(count(g, "sigmoid"), 1) << g.str();  // of the gate: SiLU is part of its convolution
}

TEST(Integers, ProductsOfNothingAreZero) {
  const Tensor a = zeros({4, 0}, DType::u8), b = zeros({0, 8}, DType::i8);
  eval({a, b});
  const Program p(
      [&](const Tensors& in) {
        return Tensors{matmul(dequantize(in[0], scale_of(0.1), zero_of(0, DType::u8)),
                              dequantize(b, scale_of(0.2), zero_of(0, DType::i8)))};
      },
      {a});
  EXPECT_EQ(p({a})[0].to_vector<float>(), std::vector<float>(32));
}

TEST(Integers, TheLastLayerGivesNumbers) {
  NEEDS_INTEGERS;
  const Tensor x = picture({3, 64});
  const Net net = [](const Tensor& in) {
    return matmul(on_grid(in, 0.02, 0, DType::i8), transpose(weights({10, 64}, 1))) +
           bias_of(10, 0.02 * 0.0015, 3);
  };
  EXPECT_EQ(count(compiled(net, x), "conv_int8"), 1);
  const auto want = values(net, x, false), got = values(net, x, true);
  for (size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got[k], want[k], 1e-4);
}

TEST(Integers, WhatDoesNotFitStaysInFloats) {
  const Tensor x = picture({1, 16, 8, 8});
  const Tensor q = cast(randint({16, 16, 3, 3}, Key(1), 0, 255), DType::u8);
  const Tensor zero = cast(randint({16}, Key(2), 1, 5), DType::i8);
  const Tensor w = cast(randint({16, 16, 3, 3}, Key(1), -127, 128), DType::i8);
  const Tensor s = full({16}, 0.001), free = normal({16, 16, 3, 3}, Key(5)) * 0.02;
  eval({q, zero, w, s, free});
  const Net nets[] = {
      // Weights of u8, weights with zero points, weights that are no integers.
      [=](const Tensor& in) {
        return conv2d(on_grid(in, 0.02, 0, DType::i8), dequantize(q, s, zeros({16}, DType::u8)));
      },
      [=](const Tensor& in) {
        return conv2d(on_grid(in, 0.02, 0, DType::i8), dequantize(w, s, zero));
      },
      [=](const Tensor& in) { return conv2d(on_grid(in, 0.02, 0, DType::i8), free); },
      // An input that is no integers.
      [=](const Tensor& in) { return conv2d(in, dequantize(w, s, zeros({16}, DType::i8))); },
  };
  for (const Net& net : nets) {
    EXPECT_EQ(count(compiled(net, x), "conv_int8"), 0);
    const auto want = net(x).to_vector<double>(), got = values(net, x, true);
    for (size_t k = 0; k < want.size(); ++k) ASSERT_NEAR(got[k], want[k], 1e-4);
  }
}

TEST(Integers, SumsThatMayNotFitStayInFloats) {
  const Net net = [](const Tensor& in) {
    return matmul(on_grid(relu(in), 0.01, 0, DType::u8), transpose(weights({2, 66000}, 1)));
  };
  const Tensor x = picture({1, 66000});
  EXPECT_EQ(count(compiled(net, x), "conv_int8"), 0);
  const auto want = net(x).to_vector<double>(), got = values(net, x, true);
  for (size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got[k], want[k], 1e-2);
}

TEST(Integers, WeightsOfAFloatFormAreConstants) {
  const Tensor x = picture({1, 64, 8, 8});
  const Net net = [](const Tensor& in) {
    return conv2d(on_grid(in, 0.02, 0, DType::i8), weights({256, 64, 3, 3}, 1));
  };
  const Without off;
  const Graph g = compiled(net, x);
  EXPECT_EQ(count(g, "dequantize"), 1) << g.str();  // of the picture
}

// ---- whole networks

/// Root of the mean square of the difference, as a part of that of `want`.
double deviation(const Tensor& want, const Tensor& got) {
  const auto a = want.to_vector<double>(), b = got.to_vector<double>();
  double d = 0, all = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    d += (a[k] - b[k]) * (a[k] - b[k]);
    all += a[k] * a[k];
  }
  return std::sqrt(d / all);
}

Tensor run(Module& net, const Tensor& x) {
  NoGrad guard;
  Context ctx = Context::eval();
  return net(x, ctx);
}

struct Small {
  const char *name, *options;
  Shape input;
  int products;
  double least;  ///< difference that integers make
};

TEST(Quantize, NetworksOfTheZooComeOutNearly) {
  const Small nets[] = {{"lenet5", "", {1, 32, 32}, 5, 1e-4},
                        {"mlp", "in=20 hidden=32-32", {20}, 3, 1e-4},
                        {"resnet18", "classes=10", {3, 32, 32}, 21, 1e-4},
                        // Without training, little more than its last bias comes out.
                        {"mobilenet_v2", "classes=10", {3, 32, 32}, 53, 0},
                        {"efficientnet_b0", "classes=10", {3, 32, 32}, 82, 0},
                        {"densenet121", "classes=10", {3, 32, 32}, 121, 1e-4}};
  for (const Small& s : nets) {
    SCOPED_TRACE(s.name);
    const std::shared_ptr<Module> net = make_model(s.name, s.options, Scope::init(Key(1)));
    Tensors batches;
    for (uint64_t k = 0; k < 3; ++k) {
      Shape shape = s.input;
      shape.insert(0, k == 2 ? 1 : 2);  // batches of any size
      batches.push_back(normal(shape, Key(k)));
    }
    eval(batches);
    const auto small = quantize(net, batches);
    const Tensor want = run(*net, batches[0]), plain = run(*small, batches[0]);
    const Program p = Program::of(*small, batches[0].shape());
    const Tensor got = p({batches[0]})[0];
    EXPECT_LT(deviation(want, plain), 0.1);
    EXPECT_GE(deviation(want, plain), s.least);
    EXPECT_LT(deviation(plain, got), 0.03);
    const test::TempFolder folder;
    onnx::save((folder / "m.onnx").string(), *small, s.input);
    EXPECT_LT(static_cast<double>(std::filesystem::file_size(folder / "m.onnx")),
              1.4 * static_cast<double>(net->parameter_count()) + 10000);
    const auto back = onnx::load((folder / "m.onnx").string());
    EXPECT_LT(deviation(plain, run(*back, batches[0])), 0.03);
    if (!in_integers()) continue;
    for (Module* m : {small.get(), static_cast<Module*>(back.get())}) {
      const Graph g = compiled([&](const Tensor& x) { return run(*m, x); }, batches[0]);
      EXPECT_EQ(count(g, "conv_int8"), s.products) << g.str();
      EXPECT_EQ(count(g, "conv") + count(g, "conv_blocks") + count(g, "matmul"), 0);
    }
  }
}

TEST(Quantize, RangesLeaveOutWhatIsRare) {
  // A linear layer whose input is small but for one value.
  struct Line : Module {
    using Module::Module;
    Tensor w = normal({16, 8}, Key(3));
    Tensor forward(const Tensor& x, Context&) override { return matmul(x, w); }
  };
  const auto net = std::make_shared<Line>(Scope::init());
  eval(net->w);
  std::vector<float> v(64 * 16);
  std::mt19937 random(3);
  for (float& x : v) x = std::uniform_real_distribution<float>(-1, 1)(random);
  v[5] = 300;
  const Tensor x = Tensor::from(v, {64, 16});
  std::vector<float> rest(v.begin() + 16, v.end());
  const Tensor usual = Tensor::from(rest, {63, 16});
  const auto error = [&](QuantizeOptions o) {
    return deviation(run(*net, usual), run(*quantize(net, {x}, o), usual));
  };
  const double all = error({}), most = error({QuantizeOptions::Range::percentile, 99.9}),
               least = error({QuantizeOptions::Range::error});
  EXPECT_GT(all, 0.5);
  EXPECT_LT(most, 0.05);
  EXPECT_LE(least, all);
}

TEST(Quantize, Mistakes) {
  const std::shared_ptr<Module> net = make_model("mlp", "in=4 hidden=4", Scope::init(Key(1)));
  const auto kind = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return e.kind();
    }
    return Error::Kind::internal;
  };
  EXPECT_EQ(kind([&] { quantize(net, {}); }), Error::Kind::usage);
  EXPECT_EQ(kind([&] { quantize(nullptr, {zeros({1, 4})}); }), Error::Kind::usage);
  EXPECT_EQ(kind([&] {
              quantize(net, {zeros({1, 4})}, {QuantizeOptions::Range::percentile, 0});
            }),
            Error::Kind::usage);
  EXPECT_EQ(kind([&] { quantize(net, {full({1, 4}, INFINITY)}); }), Error::Kind::numeric);
  struct Nothing : Module {
    using Module::Module;
    Tensor forward(const Tensor& x, Context&) override { return x * 2; }
  };
  EXPECT_EQ(kind([&] {
              quantize(std::make_shared<Nothing>(Scope::init()), {zeros({1, 4})});
            }),
            Error::Kind::unsupported);
}

}  // namespace
}  // namespace nacre
