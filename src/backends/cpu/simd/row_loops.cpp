#include "backends/cpu/simd/row_loops.h"

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/row_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>
#include "backends/cpu/simd/math_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {

constexpr size_t kBlock = 4096;  // elements whose sum is taken in lanes
constexpr size_t kRows = 32;     // rows whose sum is taken in lanes

template <class T>
using Tag = hn::ScalableTag<T>;

/// The first n lanes of memory, the rest `fill`. Reads nothing past them.
template <class D, class T>
HWY_INLINE hn::Vec<D> LoadPart(D d, const T* p, size_t n, T fill) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = i < n ? p[i] : fill;
  return hn::Load(d, lanes);
#else
  const auto valid = hn::FirstN(d, n);
  return hn::IfThenElse(valid, hn::MaskedLoad(valid, d, p), hn::Set(d, fill));
#endif
}

template <class D, class V, class T>
HWY_INLINE void StorePart(D d, V v, T* p, size_t n) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
#else
  hn::BlendedStore(v, hn::FirstN(d, n), d, p);
#endif
}

template <class D, class V>
HWY_INLINE double LaneSum(D d, V v) {
  if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return hn::GetLane(hn::SumOfLanes(d, v));
  } else {
    const HalfTag<D> dh;
    const hn::Rebind<double, decltype(dh)> dd;
    const auto low = hn::PromoteTo(dd, LowHalf(dh, v));
#if HWY_TARGET == HWY_SCALAR
    return hn::GetLane(low);
#else
    return LaneSum(dd, hn::Add(low, hn::PromoteTo(dd, HighHalf(dh, v))));
#endif
  }
}

/// Sum of term(d, i, count) over vectors: count lanes from element i on are valid; term gives 0 in
/// the others.
template <class T, class F>
HWY_INLINE double BlockSum(size_t begin, size_t end, F term) {
  const Tag<T> d;
  const size_t N = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  size_t i = begin;
  for (; i + 4 * N <= end; i += 4 * N) {
    s0 = hn::Add(s0, term(d, i, N));
    s1 = hn::Add(s1, term(d, i + N, N));
    s2 = hn::Add(s2, term(d, i + 2 * N, N));
    s3 = hn::Add(s3, term(d, i + 3 * N, N));
  }
  for (; i + N <= end; i += N) s0 = hn::Add(s0, term(d, i, N));
  if (i < end) s1 = hn::Add(s1, term(d, i, end - i));
  return LaneSum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

/// Pairwise over blocks.
template <class T, class F>
HWY_INLINE double Sum(size_t n, F term) {
  double total[32];  // total[k] is the sum of 2^k blocks
  size_t blocks = 0;
  double rest = 0;
  size_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    double s = BlockSum<T>(i, i + kBlock, term);
    size_t level = 0;
    for (size_t bits = blocks; bits & 1; bits >>= 1) s += total[level++];
    if (level >= 31) level = 31;
    total[level] = s;
    ++blocks;
  }
  if (i < n) rest = BlockSum<T>(i, n, term);
  for (size_t level = 0; blocks >> level; ++level)
    if (blocks >> level & 1) rest += total[level];
  return rest;
}

template <class T>
HWY_INLINE auto At(Tag<T> d, const T* p, size_t i, size_t count, T fill = T(0)) {
  return count == hn::Lanes(d) ? hn::LoadU(d, p + i) : LoadPart(d, p + i, count, fill);
}

/// Calls body(d, i, count) for each vector of 0..n-1.
template <class T, class F>
HWY_INLINE void Each(size_t n, F body) {
  const Tag<T> d;
  const size_t N = hn::Lanes(d);
  size_t i = 0;
  for (; i + N <= n; i += N) body(d, i, N);
  if (i < n) body(d, i, n - i);
}

template <class T, class V>
HWY_INLINE void Put(Tag<T> d, V v, T* p, size_t i, size_t count) {
  if (count == hn::Lanes(d))
    hn::StoreU(v, d, p + i);
  else
    StorePart(d, v, p + i, count);
}

template <class T>
double RowSum(const T* x, int64_t n) {
  return Sum<T>(static_cast<size_t>(n),
                [&](auto d, size_t i, size_t c) HWY_ATTR { return At<T>(d, x, i, c); });
}

template <class T, class F>
HWY_INLINE double Extreme(const T* x, int64_t count, T start, F choose) {
  const Tag<T> d;
  const size_t n = static_cast<size_t>(count), N = hn::Lanes(d);
  auto m = hn::Set(d, start);
  size_t i = 0;
  auto m1 = m, bad = hn::Zero(d), bad1 = bad;
  for (; i + 2 * N <= n; i += 2 * N) {
    const auto u = hn::LoadU(d, x + i), v = hn::LoadU(d, x + i + N);
    m = choose(m, u);
    m1 = choose(m1, v);
    bad = hn::IfThenElse(hn::IsNaN(u), u, bad);
    bad1 = hn::IfThenElse(hn::IsNaN(v), v, bad1);
  }
  Each<T>(n - i, [&](auto dd, size_t j, size_t c) HWY_ATTR {
    const auto u = At<T>(dd, x + i, j, c, start);
    m = choose(m, u);
    bad = hn::IfThenElse(hn::IsNaN(u), u, bad);
  });

  m = choose(m, m1);
  const double nan = LaneSum(d, hn::Add(bad, bad1));
  if (std::isnan(nan)) return nan;
  HWY_ALIGN T lanes[hn::MaxLanes(Tag<T>())];
  hn::Store(m, d, lanes);
  T best = start;
  for (size_t j = 0; j < N; ++j)
    if (start < 0 ? lanes[j] > best : lanes[j] < best) best = lanes[j];
  return static_cast<double>(best);
}

template <class T>
double RowMax(const T* x, int64_t n) {
  return Extreme(x, n, -std::numeric_limits<T>::infinity(),
                 [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
}

template <class T>
double RowMin(const T* x, int64_t n) {
  return Extreme(x, n, std::numeric_limits<T>::infinity(),
                 [](auto a, auto b) HWY_ATTR { return hn::Min(a, b); });
}

template <class T>
double RowSumSquares(const T* x, T c, int64_t n) {
  return Sum<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    const auto v = hn::Sub(At<T>(d, x, i, k, c), hn::Set(d, c));
    return hn::Mul(v, v);
  });
}

template <class T>
double RowDot(const T* x, const T* y, int64_t n) {
  return Sum<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    return hn::Mul(At<T>(d, x, i, k), At<T>(d, y, i, k));
  });
}

template <class T>
void RowDotPair(const T* x, T c, const T* w, const T* dy, int64_t n, double* sums) {
  const size_t count = static_cast<size_t>(n);
  const auto g = [&](auto d, size_t i, size_t k) HWY_ATTR {
    const auto v = At<T>(d, dy, i, k);
    return w ? hn::Mul(v, At<T>(d, w, i, k)) : v;
  };
  sums[0] = Sum<T>(count, g);
  sums[1] = Sum<T>(count, [&](auto d, size_t i, size_t k) HWY_ATTR {
    return hn::Mul(g(d, i, k), hn::Sub(At<T>(d, x, i, k, c), hn::Set(d, c)));
  });
}

template <class T>
double RowExp(const T* x, T c, T* y, int64_t n) {
  return Sum<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    const auto e =
        Exp(d, hn::Sub(At<T>(d, x, i, k, -std::numeric_limits<T>::infinity()), hn::Set(d, c)));
    if (y) Put<T>(d, e, y, i, k);
    return k == hn::Lanes(d) ? e : hn::IfThenElseZero(hn::FirstN(d, k), e);
  });
}

template <class T>
void RowAffine(const T* x, T c, T s, T b, T* y, int64_t n) {
  Each<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    const auto v = hn::Mul(hn::Sub(At<T>(d, x, i, k), hn::Set(d, c)), hn::Set(d, s));
    Put<T>(d, hn::Add(v, hn::Set(d, b)), y, i, k);
  });
}

template <class T>
void RowNormalize(const T* x, T c, T s, const T* w, const T* b, T* y, int64_t n) {
  Each<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    auto v = hn::Mul(hn::Sub(At<T>(d, x, i, k), hn::Set(d, c)), hn::Set(d, s));
    if (w) v = hn::Mul(v, At<T>(d, w, i, k));
    if (b) v = hn::Add(v, At<T>(d, b, i, k));
    Put<T>(d, v, y, i, k);
  });
}

template <class T>
void RowNormalizeGrad(const T* x, T c, const T* w, const T* dy, T s, T c1, T c2, T* dx, int64_t n) {
  Each<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    auto g = At<T>(d, dy, i, k);
    if (w) g = hn::Mul(g, At<T>(d, w, i, k));
    const auto v = hn::Sub(At<T>(d, x, i, k), hn::Set(d, c));
    g = hn::NegMulAdd(v, hn::Set(d, c2), hn::Sub(g, hn::Set(d, c1)));
    Put<T>(d, hn::Mul(g, hn::Set(d, s)), dx, i, k);
  });
}

// A plain loop, vectorised by the compiler.
template <class T>
void RowAddWeightGrad(const T* x, T c, T s, const T* dy, double* HWY_RESTRICT dw,
                      double* HWY_RESTRICT db, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dw[i] += static_cast<double>(dy[i] * ((x[i] - c) * s));
  if (db)
    for (int64_t i = 0; i < n; ++i) db[i] += static_cast<double>(dy[i]);
}

template <class T>
void RowSoftmaxGrad(const T* y, const T* dy, T c, T* dx, int64_t n) {
  Each<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    Put<T>(d, hn::Mul(At<T>(d, y, i, k), hn::Sub(At<T>(d, dy, i, k), hn::Set(d, c))), dx, i, k);
  });
}

template <class T>
void RowLogSoftmaxGrad(const T* y, const T* dy, T c, T* dx, int64_t n) {
  Each<T>(static_cast<size_t>(n), [&](auto d, size_t i, size_t k) HWY_ATTR {
    Put<T>(d, hn::NegMulAdd(Exp(d, At<T>(d, y, i, k)), hn::Set(d, c), At<T>(d, dy, i, k)), dx, i,
           k);
  });
}

/// Eight vectors beside each other, with what they need soon fetched.
template <class T>
HWY_INLINE void GatherEight(const T* start, const T* x, const int32_t* rows, const T* w, int64_t n,
                            int64_t ahead, int64_t width, T* y) {
  const Tag<T> d;
  const size_t N = hn::Lanes(d), line = 64 / sizeof(T);
  constexpr int64_t kAhead = 6;  // rows
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  if (start) {
    s0 = hn::LoadU(d, start), s1 = hn::LoadU(d, start + N);
    s2 = hn::LoadU(d, start + 2 * N), s3 = hn::LoadU(d, start + 3 * N);
    s4 = hn::LoadU(d, start + 4 * N), s5 = hn::LoadU(d, start + 5 * N);
    s6 = hn::LoadU(d, start + 6 * N), s7 = hn::LoadU(d, start + 7 * N);
  }
  for (int64_t k = 0; k < n; ++k) {
    if (k + kAhead < ahead) {
      const T* next = x + rows[k + kAhead] * width;
      for (size_t i = 0; i < 8 * N; i += line) __builtin_prefetch(next + i);
    }
    const T* p = x + rows[k] * width;
    const auto f = hn::Set(d, w ? w[k] : T(1));
    s0 = hn::MulAdd(f, hn::LoadU(d, p), s0), s1 = hn::MulAdd(f, hn::LoadU(d, p + N), s1);
    s2 = hn::MulAdd(f, hn::LoadU(d, p + 2 * N), s2),
    s3 = hn::MulAdd(f, hn::LoadU(d, p + 3 * N), s3);
    s4 = hn::MulAdd(f, hn::LoadU(d, p + 4 * N), s4),
    s5 = hn::MulAdd(f, hn::LoadU(d, p + 5 * N), s5);
    s6 = hn::MulAdd(f, hn::LoadU(d, p + 6 * N), s6),
    s7 = hn::MulAdd(f, hn::LoadU(d, p + 7 * N), s7);
  }
  hn::StoreU(s0, d, y), hn::StoreU(s1, d, y + N);
  hn::StoreU(s2, d, y + 2 * N), hn::StoreU(s3, d, y + 3 * N);
  hn::StoreU(s4, d, y + 4 * N), hn::StoreU(s5, d, y + 5 * N);
  hn::StoreU(s6, d, y + 6 * N), hn::StoreU(s7, d, y + 7 * N);
}

template <class T>
void GatherSum(const T* start, const T* x, const int32_t* rows, const T* w, int64_t n,
               int64_t ahead, int64_t width, T* y) {
  const auto size = static_cast<size_t>(width), wide = 8 * hn::Lanes(Tag<T>());
  size_t i = 0;
  for (; i + wide <= size; i += wide)
    GatherEight(start ? start + i : nullptr, x + i, rows, w, n, ahead, width, y + i);
  Each<T>(size - i, [&](auto d, size_t j, size_t count) HWY_ATTR {
    auto s = start ? At<T>(d, start + i, j, count) : hn::Zero(d);
    for (int64_t k = 0; k < n; ++k)
      s = hn::MulAdd(hn::Set(d, w ? w[k] : T(1)), At<T>(d, x + rows[k] * width + i, j, count), s);
    Put<T>(d, s, y + i, j, count);
  });
}

template <class D, class V>
HWY_INLINE void AddToDoubles(D d, V v, double* acc, size_t count) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  hn::Store(v, d, lanes);
  for (size_t i = 0; i < count; ++i) acc[i] += static_cast<double>(lanes[i]);
}

template <class T>
void ColumnSum(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc) {
  const Tag<T> d;
  const size_t N = hn::Lanes(d), n = static_cast<size_t>(cols);
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    const int64_t r1 =
        r0 + static_cast<int64_t>(kRows) < rows ? r0 + static_cast<int64_t>(kRows) : rows;
    size_t i = 0;
    for (; i + 4 * N <= n; i += 4 * N) {
      auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
      for (int64_t r = r0; r < r1; ++r) {
        const T* p = x + r * stride + i;
        s0 = hn::Add(s0, hn::LoadU(d, p));
        s1 = hn::Add(s1, hn::LoadU(d, p + N));
        s2 = hn::Add(s2, hn::LoadU(d, p + 2 * N));
        s3 = hn::Add(s3, hn::LoadU(d, p + 3 * N));
      }
      AddToDoubles(d, s0, acc + i, N);
      AddToDoubles(d, s1, acc + i + N, N);
      AddToDoubles(d, s2, acc + i + 2 * N, N);
      AddToDoubles(d, s3, acc + i + 3 * N, N);
    }
    Each<T>(n - i, [&](auto dd, size_t j, size_t k) HWY_ATTR {
      auto s = hn::Zero(dd);
      for (int64_t r = r0; r < r1; ++r) s = hn::Add(s, At<T>(dd, x + r * stride + i, j, k));
      AddToDoubles(dd, s, acc + i + j, k);
    });
  }
}

template <class T, class F>
HWY_INLINE void ColumnExtreme(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc,
                              T start, F choose) {
  Each<T>(static_cast<size_t>(cols), [&](auto d, size_t i, size_t k) HWY_ATTR {
    auto m = hn::Set(d, start);
    for (int64_t r = 0; r < rows; ++r) {
      const auto v = At<T>(d, x + r * stride, i, k, start);
      m = NotANumber(d, m, NotANumber(d, v, choose(m, v)));
    }
    HWY_ALIGN T lanes[hn::MaxLanes(Tag<T>())];
    hn::Store(m, d, lanes);
    for (size_t j = 0; j < k; ++j) {
      const double v = static_cast<double>(lanes[j]);
      double& a = acc[i + j];
      if (a == a && !(start < 0 ? v <= a : v >= a)) a = v;  // also when v is NaN
    }
  });
}

template <class T>
void ColumnMax(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc) {
  ColumnExtreme(x, stride, rows, cols, acc, -std::numeric_limits<T>::infinity(),
                [](auto a, auto b) HWY_ATTR { return hn::Max(a, b); });
}

template <class T>
void ColumnMin(const T* x, int64_t stride, int64_t rows, int64_t cols, double* acc) {
  ColumnExtreme(x, stride, rows, cols, acc, std::numeric_limits<T>::infinity(),
                [](auto a, auto b) HWY_ATTR { return hn::Min(a, b); });
}

template <class T>
void ColumnSoftmax(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols, bool log) {
  Each<T>(static_cast<size_t>(cols), [&](auto d, size_t i, size_t k) HWY_ATTR {
    auto m = hn::Set(d, -std::numeric_limits<T>::infinity());
    for (int64_t r = 0; r < rows; ++r) {
      const auto v = At<T>(d, x + r * stride, i, k);
      m = NotANumber(d, m, NotANumber(d, v, hn::Max(m, v)));
    }
    auto s = hn::Zero(d);
    for (int64_t r0 = 0; r0 < rows; r0 += kRows) {  // in blocks, so that the error stays small
      auto block = hn::Zero(d);
      for (int64_t r = r0; r < rows && r < r0 + static_cast<int64_t>(kRows); ++r) {
        const auto e = Exp(d, hn::Sub(At<T>(d, x + r * stride, i, k), m));
        if (!log) Put<T>(d, e, y + r * stride, i, k);
        block = hn::Add(block, e);
      }
      s = hn::Add(s, block);
    }
    if (log) {
      const auto ls = Log(d, s);
      for (int64_t r = 0; r < rows; ++r)
        Put<T>(d, hn::Sub(hn::Sub(At<T>(d, x + r * stride, i, k), m), ls), y + r * stride, i, k);
    } else {
      const auto inverse = hn::Div(hn::Set(d, T(1)), s);
      for (int64_t r = 0; r < rows; ++r)
        Put<T>(d, hn::Mul(At<T>(d, y + r * stride, i, k), inverse), y + r * stride, i, k);
    }
  });
}

template <class T>
void ColumnSoftmaxGrad(const T* y, const T* dy, T* dx, int64_t stride, int64_t rows, int64_t cols,
                       bool log) {
  Each<T>(static_cast<size_t>(cols), [&](auto d, size_t i, size_t k) HWY_ATTR {
    auto s = hn::Zero(d);
    for (int64_t r = 0; r < rows; ++r) {
      const auto g = At<T>(d, dy + r * stride, i, k);
      s = log ? hn::Add(s, g) : hn::MulAdd(g, At<T>(d, y + r * stride, i, k), s);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const auto g = At<T>(d, dy + r * stride, i, k), v = At<T>(d, y + r * stride, i, k);
      Put<T>(d, log ? hn::NegMulAdd(Exp(d, v), s, g) : hn::Mul(v, hn::Sub(g, s)), dx + r * stride,
             i, k);
    }
  });
}

template <class T>
const RowLoops<T>* Table() {
  static constexpr RowLoops<T> table = {
      .sum = RowSum<T>,
      .max = RowMax<T>,
      .min = RowMin<T>,
      .sum_squares = RowSumSquares<T>,
      .dot = RowDot<T>,
      .dot_pair = RowDotPair<T>,
      .exp_sum = RowExp<T>,
      .affine = RowAffine<T>,
      .normalize = RowNormalize<T>,
      .normalize_grad = RowNormalizeGrad<T>,
      .add_weight_grad = RowAddWeightGrad<T>,
      .softmax_grad = RowSoftmaxGrad<T>,
      .log_softmax_grad = RowLogSoftmaxGrad<T>,
      .gather_sum = GatherSum<T>,
      .column_sum = ColumnSum<T>,
      .column_max = ColumnMax<T>,
      .column_min = ColumnMin<T>,
      .column_softmax = ColumnSoftmax<T>,
      .column_softmax_grad = ColumnSoftmaxGrad<T>,
  };
  return &table;
}

const RowLoops<float>* Table32() { return Table<float>(); }
const RowLoops<double>* Table64() { return Table<double>(); }

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Table32);
HWY_EXPORT(Table64);

template <>
const RowLoops<float>& row_loops() {
  return *HWY_DYNAMIC_DISPATCH(Table32)();
}
template <>
const RowLoops<double>& row_loops() {
  return *HWY_DYNAMIC_DISPATCH(Table64)();
}

}  // namespace nacre::cpu
#endif
