// The runtime against the compiler's plans, program files made to harm, and its memory.
#include "nacre/runtime.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <set>

#include "base/hash.h"
#include "embed/networks.h"
#include "embed/step.h"
#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/tabular.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> allocations{0};

void* counted(size_t bytes, size_t alignment) {
  if (counting) ++allocations;
  void* p = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (!p) throw std::bad_alloc();
  return p;
}
__attribute__((noinline)) void release(void* p) { std::free(p); }

}  // namespace

void* operator new(size_t n) { return counted(n, 16); }
void* operator new[](size_t n) { return counted(n, 16); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return counted(n, 16); }
void* operator new[](size_t n, const std::nothrow_t&) noexcept { return counted(n, 16); }
void* operator new(size_t n, std::align_val_t a) { return counted(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, std::align_val_t a) { return counted(n, static_cast<size_t>(a)); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { release(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { release(p); }

namespace nacre {
namespace {

void expect_same(const Predictor& p, const Shape& sample) {
  const Runtime net = test::runtime_of(export_program(p));
  for (const int64_t rows : {1, 3}) {
    if (rows > 1 && !net.batches()) continue;
    Shape shape = sample;
    shape.insert(0, rows);
    Rng rng(Key(5));
    std::vector<float> x(static_cast<size_t>(shape.numel()));
    for (float& v : x) v = static_cast<float>(2 * rng.uniform() - 1);
    const auto want = p.run({Tensor::from(x, shape)})[0].to_vector<float>();
    const auto got = test::run(net, x, rows);
    ASSERT_EQ(got.size(), want.size());
    float size = 1e-6f;
    for (const float v : want) size = std::max(size, std::abs(v));
    for (size_t k = 0; k < want.size(); ++k) ASSERT_NEAR(got[k], want[k], 1e-5 * size) << k;
  }
}

/// A network of one function.
struct Function : Module {
  using F = Tensor (*)(const Tensor&);
  explicit Function(F f) : Module(Scope::init(Key(0))), f(f) {}
  Tensor forward(const Tensor& x, Context&) override { return f(x); }
  F f;
};
void expect_same(Function::F f, const Shape& sample) {
  expect_same(test::predictor_of(std::make_unique<Function>(f), sample), sample);
}

/// The model of a table with three features, and missing values where it takes them.
Predictor fitted(const ModelEntry& e) {
  FitData data;
  data.rows = 60;
  data.columns = 3;
  data.outputs = 2;
  Rng rng(Key(4));
  for (int64_t k = 0; k < data.rows; ++k) {
    double sum = 0;
    for (int64_t c = 0; c < data.columns; ++c) {
      const double v = 2 * rng.uniform() - 1;
      sum += v;
      data.x.push_back(e.missing && k % 9 == c ? NAN : static_cast<float>(v));
    }
    data.labels.push_back(sum > 0.2);
  }
  return test::predictor_of(fit_model(e.name, "", data).net, {3});
}

// Small forms, which have more kinds of layers than sizes, at 1e-5 of the largest output.
TEST(Runtime, AllModelsOfTheZooGiveWhatTheyGive) {
  std::set<std::pair<const void*, std::string>> seen;  // models of one file may share a form
  for (const ModelEntry* e : all_models()) {
    SCOPED_TRACE(e->name);
    const auto form =
        std::pair(reinterpret_cast<const void*>(e->make), model_options(e->name, e->tiny));
    if (!seen.insert(form).second) continue;
    if (e->fit) {
      expect_same(fitted(*e), {3});
      continue;
    }
    const Shape& input = e->tiny_input.empty() ? e->input : e->tiny_input;
    expect_same(test::predictor_of(make_model(e->name, e->tiny, Scope::init(Key(1))), input),
                input);
  }
  EXPECT_GE(seen.size(), 50u);
}

// At the sizes that are used.
TEST(Runtime, NetworksOfTheZooGiveWhatTheyGive) {
  for (const auto& [name, sample] :
       std::vector<std::pair<std::string, Shape>>{{"lenet5", {1, 32, 32}},
                                                  {"mobilenet_v2", {3, 64, 64}},
                                                  {"shufflenet_v2_x0_5", {3, 64, 64}},
                                                  {"resnet18", {3, 40, 56}}}) {
    SCOPED_TRACE(name);
    expect_same(test::predictor_of(make_model(name, "", Scope::init(Key(1))), sample), sample);
  }
}

TEST(Runtime, Steps) {
  using T = const Tensor&;
  const Shape plane = {2, 7, 9};
  expect_same([](T x) { return gelu(x) + silu(x * 2) - tanh(x) / (abs(x) + 1); }, plane);
  expect_same(
      [](T x) {
        return where(gt(x, 0.1), exp(x), sqrt(abs(x))) * mean(x, {1, 3}, true);
      },
      plane);
  expect_same([](T x) { return permute(softmax(x, 2), {0, 3, 1, 2}); }, plane);
  expect_same(
      [](T x) {
        return concat({flip(x, {2}), pad(x, {0, 1, 0, 0}, {0, 0, 0, 0}, "constant", 0.5)}, 1);
      },
      plane);
  expect_same(
      [](T x) {
        return amax(x, {1, 3}) * mean(amin(x, {1, 2}) + sum(x, {1, 2}), {1}, true);
      },
      plane);
  expect_same(
      [](T x) {
        return max_pool2d(x, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}})[0];
      },
      plane);
  expect_same(
      [](T x) {
        return avg_pool2d(x, {3, 3}, {.stride = {2, 2}, .padding = {1, 1}});
      },
      plane);
  expect_same([](T x) { return matmul(x, transpose(x)); }, plane);
  expect_same([](T x) { return roll(roll(x, {3, -2}, {2, 3}), {7, 0}, {2, 1}); }, plane);
  expect_same([](T x) { return sort(round(x * 3), 3, true)[0] + cast(argsort(x, 2), x.dtype()); },
              plane);
  expect_same(
      [](T x) {
        const Tensors top = topk(x, 3, 2, false);
        return top[0] * cast(top[1] + slice(argmax(x, 1, true), 2, 0, 3), DType::f32);
      },
      plane);
  expect_same(
      [](T x) {
        const Tensor index = cast(round(slice(x, 3, 2, 5) * 6.5), DType::i64);
        return gather(x, 2, index) + where(isnan(sqrt(slice(x, 3, 0, 3))), 0.5, 1);
      },
      plane);
  expect_same(
      [](T x) {
        const Tensor w = sin(reshape(arange(0, 12 * 9, 1, DType::f32), {12, 9}));
        const Tensor u = cos(reshape(arange(0, 36, 1, DType::f32), {12, 3}));
        return lstm(permute(reshape(x, {-1, 14, 9}), {1, 0, 2}), {w, u}, {.bias = false})[1];
      },
      plane);
  expect_same([](T x) { return layer_norm(x) + log_softmax(x, 1); }, plane);
  expect_same([](T x) { return relu(x) + pow(abs(x), 1.5) + clip(x, 0, 6); }, plane);
}

TEST(Runtime, HasAKernelForEachStep) {
  std::set<std::pair<embed::Op, int64_t>> have, want;
  for (const embed::Kernel* const* k = embed::kernels; *k; ++k)
    EXPECT_TRUE(have.emplace((*k)->op, (*k)->function).second);
  for (size_t op = 0; op < static_cast<size_t>(embed::Op::count); ++op) {
    const auto o = static_cast<embed::Op>(op);
    const size_t functions = o == embed::Op::unary    ? std::size(embed::kUnary)
                             : o == embed::Op::binary ? std::size(embed::kBinary)
                                                      : 1;
    for (size_t f = 0; f < functions; ++f) want.emplace(o, f);
  }
  EXPECT_EQ(have, want);
}

TEST(Runtime, WhatItCannotRunIsNamed) {
  const Function::F sorted = [](const Tensor& x) -> Tensor { return cumsum(x, 1) + cumprod(x, 1); };
  const Predictor p = test::predictor_of(std::make_unique<Function>(sorted), {5});
  try {
    export_program(p);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::unsupported));
    EXPECT_STREQ(e.what(),
                 "the runtime has no steps for 2 kinds of ops: cumprod (1 time), cumsum (1 time)");
  }
}

TEST(Runtime, RunningTakesNoMemory) {
  const Runtime net = test::runtime_of(export_program(test::predictor_of(
      make_model("mobilenet_v2", "width=0.35", Scope::init(Key(1))), {3, 32, 32})));
  std::vector<float> x(2 * 3 * 32 * 32, 0.5f), y(2 * 1000);
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  net.run(in, out, 2);
  allocations = 0;
  counting = true;
  for (int k = 0; k < 3; ++k) net.run(in, out, 2);
  counting = false;
  EXPECT_EQ(allocations, 0);
}

TEST(Runtime, WrongCallsAreErrors) {
  const Runtime net = test::runtime_of(export_program(
      test::predictor_of(make_model("lenet5", "", Scope::init(Key(1))), {1, 32, 32})));
  std::vector<float> x(1024), y(10);
  const void* in[] = {x.data(), x.data()};
  void* out[] = {y.data()};
  EXPECT_THROW(net.run(in, out), Error);
  EXPECT_THROW(net.run({in, 1}, out, 0), Error);
  EXPECT_THROW(net.best(y, 3), Error);  // no names of classes
  EXPECT_THROW(Runtime("/nowhere/at/all"), Error);
}

/// A program file is taken and run, or refused by an Error.
bool survives(std::string bytes, bool sign) {
  if (sign && bytes.size() > 16) {
    const uint32_t checksum = crc32c(std::string_view(bytes).substr(16));
    std::memcpy(bytes.data() + 12, &checksum, 4);
  }
  try {
    const Runtime net = test::runtime_of(bytes);
    const auto small = [](const Runtime::Port& p) { return std::abs(p.shape.numel()) < 100000; };
    if (net.inputs().size() != 1 || net.outputs().size() != 1 || !small(net.inputs()[0]) ||
        !small(net.outputs()[0]) || net.work_bytes() > 1 << 24)
      return true;
    const std::vector<double> x(static_cast<size_t>(std::abs(net.inputs()[0].shape.numel())), 0);
    std::vector<double> y(static_cast<size_t>(std::abs(net.outputs()[0].shape.numel())));
    const void* in[] = {x.data()};
    void* out[] = {y.data()};
    net.run(in, out);
    return true;
  } catch (const Error& e) {
    EXPECT_NE(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::internal)) << e.what();
    return false;
  }
}

TEST(Runtime, DamagedProgramsAreRefusedOrRun) {
  const Function::F pictures = [](const Tensor& x) -> Tensor {
    return softmax(matmul(reshape(max_pool2d(conv2d(x, ones({2, 1, 2, 2})), {2, 2})[0], {-1, 8}),
                          ones({8, 3})) +
                       mean(x),
                   1);
  };
  const Function::F orders = [](const Tensor& x) -> Tensor {
    return topk(x, 2, 3)[0] +
           index_select(roll(x, {1}, {2}), 3, Tensor::from<int64_t>({4, 0}, {2}));
  };
  for (const Function::F f : {pictures, orders}) {
    const std::string whole =
        export_program(test::predictor_of(std::make_unique<Function>(f), {1, 5, 5}));
    ASSERT_TRUE(survives(whole, false));
    int taken = 0;
    for (size_t n = 0; n < whole.size(); ++n) {
      EXPECT_FALSE(survives(whole.substr(0, n), false)) << n;
      survives(whole.substr(0, n), true);
    }
    for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      std::string damaged = whole;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      EXPECT_FALSE(survives(damaged, false)) << bit;
      taken += survives(damaged, true);
    }
    EXPECT_GT(taken, 100);  // those of weights and names
  }
}

}  // namespace
}  // namespace nacre
