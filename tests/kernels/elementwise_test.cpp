// Elementwise programs against scalar formulas in double.
#include "backends/cpu/elementwise/program.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>

#include "arrays.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

using nacre::test::Array;
using nacre::test::kFloats;
using nacre::test::random_array;
using nacre::test::rounded;
using nacre::test::run;

using Binary = std::function<double(double, double)>;

double sign_of(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
double python_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
double max_of(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double min_of(double a, double b) { return std::isnan(a) || a < b ? a : b; }

std::unique_ptr<Kernel> single(std::string_view op, std::vector<Operand> in, Operand out,
                               int64_t order = 0) {
  std::vector<int> numbers;
  for (size_t i = 0; i < in.size(); ++i) numbers.push_back(static_cast<int>(i));
  const ProgramStep steps[] = {{op, numbers, out.dtype, order}};
  const int outputs[] = {0};
  const Operand outs[] = {out};
  return make_elementwise(steps, outputs, in, outs);
}

Array apply(std::string_view op, const std::vector<Array>& in, DType type, int64_t order = 0) {
  Shape shape;
  std::vector<Operand> operands;
  std::vector<const void*> memory;
  for (const Array& a : in) {
    shape = broadcast_shapes(shape, a.shape);
    operands.push_back(a.operand());
    memory.push_back(a.bytes.data());
  }
  Array out(type, shape);
  const auto kernel = single(op, operands, out.operand(), order);
  if (!kernel) {
    ADD_FAILURE() << "no kernel for " << op << " of " << name_of(in[0].dtype);
    return out;
  }
  run(*kernel, memory, {out.bytes.data()});
  return out;
}

// f32 within 2 ulp of the formula, 16-bit floats within one rounding more.
void expect_close(const Array& got, int64_t i, double want, const std::string& what) {
  const double g = got.at(i);
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(g)) << what << " gave " << g;
    return;
  }
  want = rounded(want, got.dtype);
  if (std::isinf(want) || want == 0) {
    EXPECT_EQ(g, want) << what;
    return;
  }
  const double eps = got.dtype == DType::f32   ? 0x1p-22
                     : got.dtype == DType::f64 ? 0x1p-50
                     : got.dtype == DType::f16 ? 0x1p-10
                                               : 0x1p-7;
  const double tiny = got.dtype == DType::f16 ? 0x1p-24 : 0;
  EXPECT_NEAR(g, want, std::fabs(want) * eps + tiny) << what;
}

constexpr DType kInts[] = {DType::i8, DType::u8, DType::i32, DType::i64};

TEST(Elementwise, UnaryFloatOps) {
  const std::map<std::string, double (*)(double)> ops = {
      {"exp", std::exp},
      {"exp2", std::exp2},
      {"expm1", std::expm1},
      {"log", std::log},
      {"log2", std::log2},
      {"log10", std::log10},
      {"log1p", std::log1p},
      {"sqrt", std::sqrt},
      {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
      {"cbrt", std::cbrt},
      {"sin", std::sin},
      {"cos", std::cos},
      {"tan", std::tan},
      {"asin", std::asin},
      {"acos", std::acos},
      {"atan", std::atan},
      {"sinh", std::sinh},
      {"cosh", std::cosh},
      {"tanh", std::tanh},
      {"asinh", std::asinh},
      {"acosh", std::acosh},
      {"atanh", std::atanh},
      {"erf", std::erf},
      {"erfc", std::erfc},
      {"lgamma", std::lgamma},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"softplus", [](double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }},
      {"log_sigmoid",
       [](double x) { return std::fmin(x, 0) - std::log1p(std::exp(-std::fabs(x))); }},
      {"reciprocal", [](double x) { return 1 / x; }},
      {"neg", [](double x) { return -x; }},
      {"abs", [](double x) { return std::fabs(x); }},
      {"sign", sign_of},
      {"square", [](double x) { return x * x; }},
      {"relu", [](double x) { return x < 0 ? 0 : x; }},
      {"floor", std::floor},
      {"ceil", std::ceil},
      {"round", std::nearbyint},
      {"trunc", std::trunc}};
  for (DType t : kFloats)
    for (const auto& [name, f] : ops)
      for (int64_t n : {1, 7, 16, 33, 70}) {
        const bool positive = name == "log1p" || name == "rsqrt";
        Array x = random_array(t, {n}, static_cast<unsigned>(n), positive ? 0.01 : -3, 3);
        if (n == 70)
          for (int64_t i = 0; i < 5; ++i)
            x.set(i, (const double[]){0, NAN, INFINITY, -INFINITY, 2.5}[i]);
        const Array y = apply(name, {x}, t);
        for (int64_t i = 0; i < n; ++i)
          expect_close(y, i, f(x.at(i)),
                       name + "(" + std::to_string(x.at(i)) + ") " + std::string(name_of(t)));
      }
}

TEST(Elementwise, SpecialFunctions) {
  for (DType t : {DType::f32, DType::f64}) {
    // Known values: psi(1) = -gamma, psi(1/2), psi(-1/2), psi(20); trigamma(1) = pi^2/6, ...
    const Array x(t, {4}, {1, 0.5, -0.5, 20});
    const double psi[] = {-0.57721566490153286, -1.9635100260214235, 0.03648997397857652,
                          2.9705239922421490};
    const double trigamma[] = {1.6449340668482264, 4.934802200544679, 8.934802200544679,
                               0.05127082293520313};
    const double psi2[] = {-2.4041138063191886, -16.828796644234320, -0.8287966442343199,
                           -0.0026281224023146546};
    const Array d = apply("digamma", {x}, t), t1 = apply("polygamma", {x}, t, 1),
                t2 = apply("polygamma", {x}, t, 2);
    for (int64_t i = 0; i < 4; ++i) {
      const double eps = t == DType::f32 ? 1e-6 : 1e-12;
      EXPECT_NEAR(d.at(i), psi[i], eps * 2) << i;
      EXPECT_NEAR(t1.at(i), trigamma[i], eps * 10) << i;
      EXPECT_NEAR(t2.at(i), psi2[i], eps * 20) << i;
    }
    const Array p(t, {7}, {0, 0.1, -0.5, 0.9, 0.9999, -0.99999, 1e-12});
    const Array inverse = apply("erfinv", {p}, t);
    for (int64_t i = 0; i < 7; ++i)
      EXPECT_NEAR(std::erf(inverse.at(i)), p.at(i), t == DType::f32 ? 1e-7 : 1e-15) << i;
    const Array ends = apply("erfinv", {Array(t, {3}, {1, -1, 1.5})}, t);
    EXPECT_EQ(ends.at(0), INFINITY);
    EXPECT_EQ(ends.at(1), -INFINITY);
    EXPECT_TRUE(std::isnan(ends.at(2)));
  }
}

TEST(Elementwise, BinaryFloatOps) {
  const std::map<std::string, Binary> ops = {
      {"add", [](double a, double b) { return a + b; }},
      {"sub", [](double a, double b) { return a - b; }},
      {"mul", [](double a, double b) { return a * b; }},
      {"div", [](double a, double b) { return a / b; }},
      {"remainder", python_mod},
      {"fmod", [](double a, double b) { return std::fmod(a, b); }},
      {"pow", [](double a, double b) { return std::pow(a, b); }},
      {"maximum", max_of},
      {"minimum", min_of},
      {"atan2", [](double a, double b) { return std::atan2(a, b); }},
      {"hypot", [](double a, double b) { return std::hypot(a, b); }},
      {"copysign", [](double a, double b) { return std::copysign(a, b); }}};
  for (DType t : kFloats)
    for (const auto& [name, f] : ops)
      for (int64_t n : {1, 5, 15, 40, 67}) {
        Array a = random_array(t, {n}, 1, -5, 5), b = random_array(t, {n}, 2, -5, 5);
        if (n == 67)
          for (int64_t i = 0; i < 6; ++i) {
            a.set(i, (const double[]){NAN, 1, NAN, INFINITY, -2, 0}[i]);
            b.set(i, (const double[]){1, NAN, NAN, 3, 3, 0}[i]);
          }
        const Array y = apply(name, {a, b}, t);
        for (int64_t i = 0; i < n; ++i)
          expect_close(y, i, f(a.at(i), b.at(i)),
                       name + "(" + std::to_string(a.at(i)) + ", " + std::to_string(b.at(i)) +
                           ") " + std::string(name_of(t)));
      }
}

TEST(Elementwise, FloorDivisionOfFloats) {
  const Array a(DType::f32, {8}, {7, -7, 7, -7, 6, -6, 1, 0});
  const Array b(DType::f32, {8}, {2, 2, -2, -2, 3, 3, 0, 5});
  const double want[] = {3, -4, -4, 3, 2, -2, INFINITY, 0};
  const Array y = apply("floor_div", {a, b}, DType::f32);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(y.at(i), want[i]) << i;
}

TEST(Elementwise, IntegerOps) {
  const std::map<std::string, Binary> ops = {
      {"add", [](double a, double b) { return a + b; }},
      {"sub", [](double a, double b) { return a - b; }},
      {"mul", [](double a, double b) { return a * b; }},
      {"floor_div", [](double a, double b) { return b == 0 ? 0 : std::floor(a / b); }},
      {"remainder", [](double a, double b) { return b == 0 ? 0 : python_mod(a, b); }},
      {"fmod", [](double a, double b) { return b == 0 ? 0 : std::fmod(a, b); }},
      {"maximum", max_of},
      {"minimum", min_of}};
  for (DType t : kInts)
    for (const auto& [name, f] : ops)
      for (int64_t n = 1; n <= 40; n += 13) {
        const bool is_unsigned = t == DType::u8;
        const Array a = random_array(t, {n}, 3, is_unsigned ? 0 : -11, 11),
                    b = random_array(t, {n}, 4, is_unsigned ? 0 : -5, 5);
        const Array y = apply(name, {a, b}, t);
        for (int64_t i = 0; i < n; ++i) {
          double want = f(a.at(i), b.at(i));
          if (is_unsigned && want < 0) want += 256;
          EXPECT_EQ(y.at(i), want) << name << " " << a.at(i) << " " << b.at(i) << " " << name_of(t);
        }
      }
}

TEST(Elementwise, IntegerEdgesNeitherTrapNorDependOnTheCompiler) {
  constexpr int64_t least = std::numeric_limits<int64_t>::min();
  Array a(DType::i64, {3}), b(DType::i64, {3});
  for (int64_t i = 0; i < 3; ++i) a.as<int64_t>(i) = least;
  b.as<int64_t>(0) = -1, b.as<int64_t>(1) = 0, b.as<int64_t>(2) = 64;
  EXPECT_EQ(apply("floor_div", {a, b}, DType::i64).as<int64_t>(0), least);
  EXPECT_EQ(apply("remainder", {a, b}, DType::i64).as<int64_t>(0), 0);
  EXPECT_EQ(apply("fmod", {a, b}, DType::i64).as<int64_t>(1), 0);
  EXPECT_EQ(apply("floor_div", {a, b}, DType::i64).as<int64_t>(1), 0);
  EXPECT_EQ(apply("shift_left", {a, b}, DType::i64).as<int64_t>(2), 0);
  EXPECT_EQ(apply("shift_right", {a, b}, DType::i64).as<int64_t>(2), -1);
  EXPECT_EQ(apply("neg", {a}, DType::i64).as<int64_t>(0), least);
  const Array base(DType::i32, {5}, {3, -2, 2, 1, -1}), power(DType::i32, {5}, {4, 3, -1, -5, -3});
  const Array y = apply("pow", {base, power}, DType::i32);
  const double want[] = {81, -8, 0, 1, -1};
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(y.at(i), want[i]);
}

TEST(Elementwise, BitwiseAndShifts) {
  for (DType t : kInts) {
    const Array a(t, {4}, {12, 5, 7, 100}), b(t, {4}, {10, 1, 2, 3});
    const Array all[] = {apply("bitwise_and", {a, b}, t), apply("bitwise_or", {a, b}, t),
                         apply("bitwise_xor", {a, b}, t), apply("shift_right", {a, b}, t)};
    for (int64_t i = 0; i < 4; ++i) {
      const int x = static_cast<int>(a.at(i)), y = static_cast<int>(b.at(i));
      EXPECT_EQ(all[0].at(i), x & y);
      EXPECT_EQ(all[1].at(i), x | y);
      EXPECT_EQ(all[2].at(i), x ^ y);
      EXPECT_EQ(all[3].at(i), y < static_cast<int>(8 * size_of(t)) ? x >> y : 0);
    }
    EXPECT_EQ(apply("bitwise_not", {a}, t).at(0), t == DType::u8 ? 243 : -13);
  }
}

TEST(Elementwise, ComparisonsAndTests) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i8, DType::u8, DType::i32,
                  DType::i64})
    for (int64_t n = 1; n <= 70; n += 23) {
      Array a = random_array(t, {n}, 5, 0, 4), b = random_array(t, {n}, 6, 0, 4);
      if (is_float(t)) a.set(0, NAN);
      for (int64_t i = 1; i < n; i += 3) b.set(i, a.at(i));
      const std::map<std::string, Binary> ops = {
          {"eq", std::equal_to<double>()}, {"ne", std::not_equal_to<double>()},
          {"lt", std::less<double>()},     {"le", std::less_equal<double>()},
          {"gt", std::greater<double>()},  {"ge", std::greater_equal<double>()}};
      for (const auto& [name, f] : ops) {
        const Array y = apply(name, {a, b}, DType::boolean);
        for (int64_t i = 0; i < n; ++i) EXPECT_EQ(y.at(i), f(a.at(i), b.at(i))) << name << i;
      }
      const Array y = apply("logical_not", {a}, DType::boolean);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(y.at(i), a.at(i) == 0);
    }
  for (DType t : kFloats) {
    const Array x(t, {4}, {1, NAN, INFINITY, -INFINITY});
    const Array nan = apply("isnan", {x}, DType::boolean),
                inf = apply("isinf", {x}, DType::boolean),
                finite = apply("isfinite", {x}, DType::boolean);
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(nan.at(i), i == 1);
      EXPECT_EQ(inf.at(i), i >= 2);
      EXPECT_EQ(finite.at(i), i == 0);
    }
  }
}

TEST(Elementwise, TruthValues) {
  const Array a(DType::boolean, {4}, {0, 0, 1, 1}), b(DType::boolean, {4}, {0, 1, 0, 1});
  const std::map<std::string, std::vector<int>> ops = {
      {"logical_and", {0, 0, 0, 1}}, {"logical_or", {0, 1, 1, 1}}, {"logical_xor", {0, 1, 1, 0}},
      {"bitwise_xor", {0, 1, 1, 0}}, {"add", {0, 1, 1, 1}},        {"mul", {0, 0, 0, 1}},
      {"maximum", {0, 1, 1, 1}},     {"minimum", {0, 0, 0, 1}},    {"eq", {1, 0, 0, 1}},
      {"lt", {0, 1, 0, 0}}};
  for (const auto& [name, want] : ops) {
    const Array y = apply(name, {a, b}, DType::boolean);
    for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(y.at(i), want[static_cast<size_t>(i)]) << name << i;
  }
  EXPECT_EQ(apply("bitwise_not", {a}, DType::boolean).at(0), 1);
}

TEST(Elementwise, Where) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::i8, DType::i64, DType::boolean})
    for (int64_t n = 1; n < 70; n += 17) {
      const Array c = random_array(DType::boolean, {n}, 8, -0.9, 0.9),
                  a = random_array(t, {n}, 9, 0, 9), b = random_array(t, {n}, 10, 0, 9);
      const Array y = apply("where", {c, a, b}, t);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(y.at(i), c.at(i) != 0 ? a.at(i) : b.at(i));
    }
}

TEST(Elementwise, CastBetweenAllTypes) {
  const double values[] = {0,    1,    -1,  2.5,      -2.5,      100.7, 3e9,
                           -3e9, 1e20, NAN, INFINITY, -INFINITY, -0.5};
  for (int f = 0; f < kDTypeCount; ++f)
    for (int g = 0; g < kDTypeCount; ++g) {
      const DType from = static_cast<DType>(f), to = static_cast<DType>(g);
      std::vector<double> list;
      for (double v : values)
        if (is_float(from) || (v >= 0 && v <= 100 && v == std::floor(v))) list.push_back(v);
      const Array x(from, {static_cast<int64_t>(list.size())}, list);
      const Array y = apply("cast", {x}, to);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const double v = x.at(i);
        double want = v;
        if (to == DType::boolean) {
          want = v != 0;
        } else if (!is_float(to)) {
          const double low = to == DType::i8    ? -128
                             : to == DType::u8  ? 0
                             : to == DType::i32 ? -2147483648.
                                                : -0x1p63;
          const double high = to == DType::i8    ? 127
                              : to == DType::u8  ? 255
                              : to == DType::i32 ? 2147483647.
                                                 : 0x1p63;
          want = std::isnan(v) ? 0 : std::min(high, std::max(low, std::trunc(v)));
        } else {
          want = rounded(v, to);
        }
        if (std::isnan(want))
          EXPECT_TRUE(std::isnan(y.at(i)));
        else
          EXPECT_EQ(y.at(i), want) << v << " " << name_of(from) << " to " << name_of(to);
      }
    }
}

TEST(Elementwise, SixteenBitConversionsAreThoseOfTheLibrary) {
  for (DType t : {DType::bf16, DType::f16}) {
    Array all(t, {65536});
    for (int64_t i = 0; i < 65536; ++i) all.as<uint16_t>(i) = static_cast<uint16_t>(i);
    const Array wide = apply("cast", {all}, DType::f32);
    for (int64_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float want = t == DType::bf16 ? bf16_to_f32(bits) : f16_to_f32(bits);
      ASSERT_EQ(std::memcmp(&want, &wide.bytes[static_cast<size_t>(i) * 4], 4), 0) << i;
    }
    std::mt19937 rng(3);
    Array x(DType::f32, {100000});
    for (int64_t i = 0; i < x.numel(); ++i) x.as<uint32_t>(i) = rng();
    for (int64_t i = 0; i < 50000; ++i)  // the range of f16, subnormals and ties included
      x.as<uint32_t>(i) =
          (x.as<uint32_t>(i) & 0x8000f000) | (0x32000000 + static_cast<uint32_t>(i) * 5000);
    const Array narrow = apply("cast", {x}, t);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const float v = x.as<float>(i);
      ASSERT_EQ(narrow.as<uint16_t>(i), t == DType::bf16 ? f32_to_bf16(v) : f32_to_f16(v)) << v;
    }
  }
}

// Views of one buffer with random permutations, steps and repeated dimensions.
TEST(Elementwise, StridesAndBroadcasting) {
  std::mt19937 rng(11);
  for (int trial = 0; trial < 300; ++trial) {
    const int64_t rank = static_cast<int64_t>(rng() % 5);
    Shape shape;
    for (int64_t i = 0; i < rank; ++i) shape.push_back(1 + rng() % 7);
    const DType t =
        (const DType[]){DType::f32, DType::f64, DType::bf16, DType::i64, DType::u8}[trial % 5];
    std::vector<Operand> in;
    std::vector<Array> data;
    for (int k = 0; k < 2; ++k) {
      Shape own = shape, strides(shape.size(), 0);
      int64_t extent = 1;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < rank; ++i) order.push_back(i);
      std::shuffle(order.begin(), order.end(), rng);
      if (trial % 3 == 0) std::sort(order.rbegin(), order.rend());
      for (int64_t i : order) {
        if (rng() % 3 == 0) {  // broadcast, by size or by stride
          if (rng() % 2) own[i] = 1;
          continue;
        }
        strides[i] = extent * (1 + (rng() % 4 == 0));
        extent = strides[i] * shape[i];
      }
      const int64_t drop = rng() % 2 && rank && own[0] == 1 ? 1 : 0;
      data.push_back(random_array(t, {extent}, rng(), 0, 9));
      in.push_back({t, own.slice(drop, rank), strides.slice(drop, rank)});
    }
    Shape result = broadcast_shapes(in[0].shape, in[1].shape);
    Array out(t, result);
    const auto kernel = single("sub", in, out.operand());
    ASSERT_TRUE(kernel);
    run(*kernel, {data[0].bytes.data(), data[1].bytes.data()}, {out.bytes.data()});
    for (int64_t i = 0; i < out.numel(); ++i) {
      double v[2];
      for (size_t k = 0; k < 2; ++k) {
        int64_t left = i, at = 0;
        for (int64_t d = 1; d <= result.rank(); ++d) {
          const int64_t c = left % result[-d];
          left /= result[-d];
          if (d <= in[k].shape.rank() && in[k].shape[-d] != 1) at += c * in[k].strides[-d];
        }
        v[k] = data[k].at(at);
      }
      double want = rounded(v[0] - v[1], t);
      if (t == DType::u8 && want < 0) want += 256;
      ASSERT_EQ(out.at(i), want) << result.str() << " " << in[0].strides.list()
                                 << in[1].strides.list();
    }
  }
}

// A number for each channel, channels in blocks: tiles within a plane and over its end.
TEST(Elementwise, NumbersOfChannelsInBlocks) {
  for (const DType t : {DType::f32, DType::f64, DType::bf16, DType::u8})
    for (const auto& [planes, pixels, block] :
         {std::tuple{6, 70, 16}, {5, 300, 16}, {3, 512, 8}, {40, 7, 4}, {3, 1500, 3}})
      for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        const Shape shape = {2, planes, pixels, block};
        const Array x = random_array(t, shape, 1, 0, 9),
                    c = random_array(t, {planes, 1, block}, 2, 0, 9);
        const Array y = apply("add", {x, c}, t);
        for (int64_t i = 0; i < y.numel(); ++i)
          ASSERT_EQ(y.at(i),
                    rounded(x.at(i) + c.at(i / block / pixels % planes * block + i % block), t))
              << name_of(t) << " " << shape.str() << " element " << i;
      }
  set_num_threads(2);
}

TEST(Elementwise, EmptyAndScalar) {
  EXPECT_EQ(apply("add", {Array(DType::f32, {0, 3}), Array(DType::f32, {3})}, DType::f32).numel(),
            0);
  EXPECT_EQ(
      apply("add", {Array(DType::f32, {}, {2}), Array(DType::f32, {}, {3})}, DType::f32).at(0), 5);
  EXPECT_EQ(
      apply("add", {Array(DType::bf16, {}, {2}), Array(DType::bf16, {1, 1}, {3})}, DType::bf16)
          .at(0),
      5);
}

// x, y [n], a bias [1] and a 0-d scale; two outputs, one of them also used on the way.
struct Fused {
  static constexpr int kInputs = 4;
  std::vector<ProgramStep> steps;
  explicit Fused(DType t)
      : steps{{"mul", {0, 2}, t}, {"add", {4, 3}, t},
              {"tanh", {5}, t},   {"lt", {6, 1}, DType::boolean},
              {"exp", {1}, t},    {"where", {7, 6, 8}, t},
              {"mul", {9, 5}, t}, {"cast", {10}, DType::i32},
              {"cast", {11}, t},  {"sub", {12, 0}, t}} {}
  std::vector<int> outputs{5, 9, 2};
};

TEST(Elementwise, FusedProgramGivesTheBitsOfItsSteps) {
  for (DType t : kFloats)
    for (int64_t n : {int64_t{1}, int64_t{37}, int64_t{1024}, int64_t{1025}, int64_t{70001}}) {
      const Fused f(t);
      const std::vector<Array> in = {random_array(t, {n}, 1), random_array(t, {n}, 2),
                                     random_array(t, {1}, 3), random_array(t, {}, 4)};
      std::vector<Array> values = in;
      for (const ProgramStep& s : f.steps) {
        std::vector<Array> operands;
        for (int i : s.in) operands.push_back(values[static_cast<size_t>(i)]);
        values.push_back(apply(s.op, operands, s.dtype));
      }
      std::vector<Operand> operands, outs;
      std::vector<const void*> memory;
      for (const Array& a : in) operands.push_back(a.operand()), memory.push_back(a.bytes.data());
      std::vector<Array> result;
      for (int o : f.outputs) result.emplace_back(f.steps[static_cast<size_t>(o)].dtype, Shape{n});
      for (Array& a : result) outs.push_back(a.operand());
      std::vector<char> first[3];
      for (int threads : {1, 2, 4}) {
        set_num_threads(threads);
        const auto kernel = make_elementwise(f.steps, f.outputs, operands, outs);
        ASSERT_TRUE(kernel);
        run(*kernel, memory,
            {result[0].bytes.data(), result[1].bytes.data(), result[2].bytes.data()});
        for (size_t o = 0; o < 3; ++o)
          ASSERT_EQ(result[o].bytes, values[4 + static_cast<size_t>(f.outputs[o])].bytes)
              << name_of(t) << " n=" << n << " output " << o << " threads " << threads;
      }
      set_num_threads(2);
    }
}

TEST(Elementwise, OutputsMayTakeTheMemoryOfInputs) {
  for (DType t : kFloats) {
    const int64_t n = 3000;
    const Fused f(t);
    std::vector<Array> in = {random_array(t, {n}, 1), random_array(t, {n}, 2),
                             random_array(t, {1}, 3), random_array(t, {}, 4)};
    std::vector<Operand> operands, outs;
    for (const Array& a : in) operands.push_back(a.operand());
    std::vector<Array> plain, placed;
    for (int o : f.outputs) plain.emplace_back(f.steps[static_cast<size_t>(o)].dtype, Shape{n});
    for (Array& a : plain) outs.push_back(a.operand());
    placed = plain;
    const auto kernel = make_elementwise(f.steps, f.outputs, operands, outs);
    const auto pointers = [&] {
      std::vector<const void*> p;
      for (const Array& a : in) p.push_back(a.bytes.data());
      return p;
    };
    run(*kernel, pointers(), {plain[0].bytes.data(), plain[1].bytes.data(), plain[2].bytes.data()});
    ASSERT_TRUE(kernel->may_alias(0, 0));
    ASSERT_TRUE(kernel->may_alias(1, 1));
    EXPECT_FALSE(kernel->may_alias(2, 0));  // broadcast
    EXPECT_FALSE(kernel->may_alias(3, 1));
    run(*kernel, pointers(), {in[0].bytes.data(), in[1].bytes.data(), placed[2].bytes.data()});
    EXPECT_EQ(in[0].bytes, plain[0].bytes);
    EXPECT_EQ(in[1].bytes, plain[1].bytes);
    EXPECT_EQ(placed[2].bytes, plain[2].bytes);
  }
}

TEST(Elementwise, RefusesWhatItCannotDo) {
  const Array f(DType::f32, {2}), i(DType::i32, {2}), b(DType::boolean, {2});
  EXPECT_FALSE(single("matmul", {f.operand(), f.operand()}, f.operand()));
  EXPECT_FALSE(single("exp", {i.operand()}, i.operand()));
  EXPECT_FALSE(single("add", {f.operand(), i.operand()}, f.operand()));
  EXPECT_FALSE(single("sub", {b.operand(), b.operand()}, b.operand()));
  EXPECT_FALSE(single("add", {f.operand()}, f.operand()));
  EXPECT_FALSE(elementwise_supported("conv"));
  EXPECT_TRUE(elementwise_supported("where"));
}

}  // namespace
}  // namespace nacre::cpu
