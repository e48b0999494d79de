// Reductions against plain loops in long double.
#include "backends/cpu/reduce/reduce.h"

#include <gtest/gtest.h>

#include <limits>

#include "arrays.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

using nacre::test::Array;
using nacre::test::random_array;

struct ReduceCase {
  Shape shape;
  Ints dims;
};

const ReduceCase kReduceCases[] = {
    {{}, {}},
    {{1}, {0}},
    {{7}, {0}},
    {{70}, {0}},
    {{5000}, {0}},
    {{3, 70}, {1}},
    {{3, 70}, {0}},
    {{3, 70}, {0, 1}},
    {{2, 3, 4, 5}, {0, 2}},
    {{2, 3, 4, 5}, {1, 3}},
    {{2, 3, 4, 5}, {1}},
    {{2, 3, 4, 5}, {2, 3}},
    {{2, 3, 4, 5}, {}},
    {{40, 17, 33}, {0, 2}},
    {{100, 3}, {0}},
    {{300, 700}, {0}},
    {{30000, 3}, {0}},
    {{2, 70000}, {1}},
    {{1, 5, 1}, {0, 2}},
    {{0, 3}, {0}},
    {{3, 0}, {0}},
};

struct View {
  Array data;
  Operand operand;
};

// The same logical array in three memory orders: dense, reversed dimensions, every second element.
View view_of(const Array& a, int order) {
  Operand o = a.operand();
  const int64_t rank = a.shape.rank();
  if (order == 1) {
    int64_t s = 1;
    for (int64_t d = 0; d < rank; ++d) o.strides[d] = s, s *= std::max<int64_t>(1, a.shape[d]);
  } else if (order == 2) {
    for (auto& s : o.strides) s *= 2;
  }
  View v{Array(a.dtype, {2 * a.numel() + 1}), o};
  for (int64_t i = 0; i < a.numel(); ++i) {
    int64_t left = i, at = 0;
    for (int64_t d = rank - 1; d >= 0; --d) {
      at += left % a.shape[d] * o.strides[d];
      left /= a.shape[d];
    }
    v.data.set(at, a.at(i));
  }
  return v;
}

struct Expected {
  std::vector<long double> value, magnitude;
};

Expected expected(Reduce kind, const Array& a, const Ints& dims) {
  Shape out = a.shape;
  for (int64_t d : dims) out[d] = 1;
  const int64_t n = out.numel();
  const long double start = kind == Reduce::prod || kind == Reduce::all ? 1
                            : kind == Reduce::amax                      ? -INFINITY
                            : kind == Reduce::amin                      ? INFINITY
                                                                        : 0;
  Expected e{std::vector<long double>(static_cast<size_t>(n), start),
             std::vector<long double>(static_cast<size_t>(n), 0)};
  const Shape strides = contiguous_strides(out);
  for (int64_t i = 0; i < a.numel(); ++i) {
    int64_t left = i, at = 0;
    for (int64_t d = a.shape.rank() - 1; d >= 0; --d) {
      if (out[d] != 1) at += left % a.shape[d] * strides[d];
      left /= a.shape[d];
    }
    long double& v = e.value[static_cast<size_t>(at)];
    const long double x = a.at(i);
    e.magnitude[static_cast<size_t>(at)] += std::fabs(x);
    switch (kind) {
      case Reduce::sum:
      case Reduce::mean:
        v += x;
        break;
      case Reduce::prod:
        v *= x;
        break;
      case Reduce::amax:
        v = std::isnan(v) || x <= v ? v : x;
        break;
      case Reduce::amin:
        v = std::isnan(v) || x >= v ? v : x;
        break;
      case Reduce::any:
        v = v != 0 || x != 0;
        break;
      case Reduce::all:
        v = v != 0 && x != 0;
        break;
    }
  }
  if (kind == Reduce::mean)
    for (auto& v : e.value) v /= static_cast<long double>(a.numel()) / static_cast<long double>(n);
  return e;
}

TEST(Reduce, AllKindsTypesDimensionsAndStrides) {
  for (Reduce kind : {Reduce::sum, Reduce::mean, Reduce::prod, Reduce::amax, Reduce::amin,
                      Reduce::any, Reduce::all})
    for (int type = 0; type < kDTypeCount; ++type) {
      const DType t = static_cast<DType>(type);
      const bool truth = kind == Reduce::any || kind == Reduce::all;
      if (t == DType::boolean && !truth && kind != Reduce::sum) continue;
      if (kind == Reduce::mean && !is_float(t)) continue;
      const DType to = truth ? DType::boolean
                       : is_float(t) || kind == Reduce::amax || kind == Reduce::amin ? t
                                                                                     : DType::i64;
      for (const ReduceCase& c : kReduceCases) {
        const bool extreme = kind == Reduce::amax || kind == Reduce::amin;
        if ((extreme || kind == Reduce::mean) && c.shape.numel() == 0) continue;
        const bool large = c.shape.numel() > 10000;
        if (large && (kind != Reduce::sum && kind != Reduce::amax)) continue;
        if (large && t != DType::f32 && t != DType::i32) continue;
        const bool one = kind == Reduce::prod;
        Array a = random_array(t, c.shape, 1, one ? 0.6 : t == DType::u8 ? 0 : -3, one ? 1.5 : 3);
        if (truth)  // so that both answers occur
          for (int64_t i = 0; i < a.numel(); ++i)
            a.set(i, kind == Reduce::any ? (i == a.numel() / 2) : (i != a.numel() / 2));
        if (is_float(t) && extreme && c.shape == Shape({3, 70})) a.set(75, NAN);
        Shape shape;
        for (int64_t d = 0; d < a.shape.rank(); ++d)
          if (std::find(c.dims.begin(), c.dims.end(), d) == c.dims.end())
            shape.push_back(a.shape[d]);
        const Expected want = expected(kind, a, c.dims);
        for (int order = 0; order < 3; ++order) {
          const View v = view_of(a, order);
          Array out(to, shape);
          const auto kernel = make_reduce(kind, v.operand, out.operand(), c.dims);
          ASSERT_TRUE(kernel);
          nacre::test::run(*kernel, {v.data.bytes.data()}, {out.bytes.data()});
          const double eps = to == DType::f32    ? 0x1p-23
                             : to == DType::f64  ? 0x1p-51
                             : to == DType::f16  ? 0x1p-11
                             : to == DType::bf16 ? 0x1p-8
                                                 : 0;
          for (int64_t i = 0; i < out.numel(); ++i) {
            const size_t k = static_cast<size_t>(i);
            const double w = static_cast<double>(want.value[k]);
            // The work of a sum is in f32 lanes: its error goes with the sum of magnitudes.
            double bound = eps * std::fabs(w);
            if (kind == Reduce::sum && is_float(to))
              bound +=
                  static_cast<double>(want.magnitude[k]) * (to == DType::f64 ? 0x1p-51 : 0x1p-22);
            if (kind == Reduce::mean)
              bound += static_cast<double>(want.magnitude[k]) *
                       (to == DType::f64 ? 0x1p-51 : 0x1p-22) * static_cast<double>(out.numel()) /
                       static_cast<double>(a.numel());
            if (kind == Reduce::prod && is_float(to)) bound += std::fabs(w) * 0x1p-40 + 1e-300;
            if (std::isinf(nacre::test::rounded(w, to)))
              ASSERT_EQ(out.at(i), nacre::test::rounded(w, to));
            else if (std::isnan(w))
              ASSERT_TRUE(std::isnan(out.at(i)));
            else
              ASSERT_NEAR(out.at(i), w, bound)
                  << "kind " << static_cast<int>(kind) << " " << name_of(t) << " " << c.shape.str()
                  << " dims " << c.dims.list() << " order " << order << " at " << i;
          }
        }
      }
    }
}

TEST(Reduce, LongSumsStayAccurate) {
  const int64_t n = 3000000;
  Array a(DType::f32, {n});
  for (int64_t i = 0; i < n; ++i) a.set(i, 0.1);
  Array out(DType::f32, {});
  for (bool columns : {false, true}) {
    Operand in = a.operand();
    if (columns) in = {DType::f32, {n / 2, 2}, {2, 1}};
    Array result(DType::f32, columns ? Shape{2} : Shape{});
    const auto kernel = make_reduce(Reduce::sum, in, result.operand(), {0});
    nacre::test::run(*kernel, {a.bytes.data()}, {result.bytes.data()});
    const double want = static_cast<double>(0.1f) * static_cast<double>(columns ? n / 2 : n);
    EXPECT_NEAR(result.at(0), want, want * 1e-6);
  }
}

TEST(Reduce, SameBitsOnAnyNumberOfThreads) {
  for (const ReduceCase& c :
       {ReduceCase{{500000}, {0}}, ReduceCase{{300, 2000}, {0}}, ReduceCase{{2000, 300}, {1}}}) {
    const Array a = random_array(DType::f32, c.shape, 3);
    std::vector<char> first;
    for (int threads : {1, 2, 4}) {
      set_num_threads(threads);
      Array out(DType::f32, Shape{c.shape.numel() / c.shape[c.dims[0]]});
      const auto kernel = make_reduce(Reduce::sum, a.operand(), out.operand(), c.dims);
      nacre::test::run(*kernel, {a.bytes.data()}, {out.bytes.data()});
      if (first.empty()) first = out.bytes;
      EXPECT_EQ(out.bytes, first) << threads;
    }
    set_num_threads(2);
  }
}

TEST(Reduce, RepeatedDimensions) {
  const Array a(DType::f32, {3}, {1, 2, 3});
  const Operand in{DType::f32, {4, 3, 5}, {0, 1, 0}};
  Array out(DType::f32, {3});
  nacre::test::run(*make_reduce(Reduce::sum, in, out.operand(), {0, 2}), {a.bytes.data()},
                   {out.bytes.data()});
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(out.at(i), 20 * (i + 1));
  Array all(DType::f32, {4, 5});
  nacre::test::run(*make_reduce(Reduce::amax, in, all.operand(), {1}), {a.bytes.data()},
                   {all.bytes.data()});
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(all.at(i), 3);
}

TEST(Reduce, IntegerSumsWrapInSixtyFourBits) {
  Array a(DType::i64, {2});
  a.as<int64_t>(0) = std::numeric_limits<int64_t>::max();
  a.as<int64_t>(1) = 1;
  Array out(DType::i64, {});
  nacre::test::run(*make_reduce(Reduce::sum, a.operand(), out.operand(), {0}), {a.bytes.data()},
                   {out.bytes.data()});
  EXPECT_EQ(out.as<int64_t>(0), std::numeric_limits<int64_t>::min());
}

}  // namespace
}  // namespace nacre::cpu
