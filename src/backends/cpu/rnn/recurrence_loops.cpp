#include "backends/cpu/rnn/recurrence_loops.h"

#include <algorithm>

#include "backends/cpu/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/rnn/recurrence_loops.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>
#include "backends/cpu/simd/math_inl.h"

HWY_BEFORE_NAMESPACE();
namespace nacre::cpu::HWY_NAMESPACE {
namespace {  // other files have functions of these names

template <class T>
using Tag = hn::CappedTag<T, 64 / sizeof(T)>;

// Accumulators of a block of 6 rows by 4 vectors need 24 registers, of 2 by 4 eight.
constexpr int64_t kRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL ? 6 : 2;
constexpr int64_t kMaxVectors = 4;
constexpr int64_t kBatch = 36;  // rows whose sums are held at a time
constexpr int64_t kAhead = 32;  // rows of a panel to fetch early
template <class T>
constexpr int64_t kPart = 512 / sizeof(T);  // rows of a panel that stay in the first cache

template <class T>
int64_t LanesOf() {
  return static_cast<int64_t>(hn::Lanes(Tag<T>()));
}

/// The first n lanes; the others are zero.
template <class T>
HWY_INLINE hn::Vec<Tag<T>> At(const T* p, int64_t n) {
  const Tag<T> d;
  if (n == static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, p);
  HWY_ALIGN T lanes[64 / sizeof(T)] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return hn::Load(d, lanes);
}

template <class T, class V>
HWY_INLINE void Put(V v, T* p, int64_t n) {
  const Tag<T> d;
  if (n == static_cast<int64_t>(hn::Lanes(d))) return hn::StoreU(v, d, p);
  HWY_ALIGN T lanes[64 / sizeof(T)];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

/// tile += a times a part of a panel: R rows by V vectors.
template <class T, int R, int V>
HWY_NOINLINE void Block(const T* HWY_RESTRICT a, int64_t lda, int64_t k, const T* HWY_RESTRICT b,
                        T* HWY_RESTRICT tile) {
  const Tag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Tag<T>> acc[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) acc[r][v] = hn::Load(d, tile + (r * V + v) * lanes);
  for (int64_t i = 0; i < k; ++i, b += V * lanes) {
    hn::Vec<Tag<T>> x[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      x[v] = hn::Load(d, b + v * lanes);
      __builtin_prefetch(b + (kAhead * V + v) * lanes);
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto s = hn::Set(d, a[r * lda + i]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(s, x[v], acc[r][v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) hn::Store(acc[r][v], d, tile + (r * V + v) * lanes);
}

template <class T, int V>
HWY_INLINE void BlockOfRows(const T* a, int64_t lda, int64_t rows, int64_t k, const T* b, T* tile) {
  switch (rows) {
    case 1:
      return Block<T, 1, V>(a, lda, k, b, tile);
    case 2:
      return Block<T, 2, V>(a, lda, k, b, tile);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 3:
      return Block<T, 3, V>(a, lda, k, b, tile);
    case 4:
      return Block<T, 4, V>(a, lda, k, b, tile);
    case 5:
      return Block<T, 5, V>(a, lda, k, b, tile);
    case 6:
      return Block<T, 6, V>(a, lda, k, b, tile);
#endif
  }
}

/// tile = a times a panel. A part of the panel stays in the first cache while all rows take it.
template <class T, int V>
void ProductOf(const T* a, int64_t lda, int64_t rows, int64_t k, const T* b, T* tile) {
  const int64_t row = V * LanesOf<T>(), blocks = (rows + kRows - 1) / kRows;
  std::fill_n(tile, rows * row, T(0));
  for (int64_t k0 = 0; k0 < k; k0 += kPart<T>)
    for (int64_t i = 0; i < blocks; ++i) {  // of nearly equal numbers of rows
      const int64_t from = rows * i / blocks, to = rows * (i + 1) / blocks;
      BlockOfRows<T, V>(a + from * lda + k0, lda, to - from, std::min(kPart<T>, k - k0),
                        b + k0 * row, tile + from * row);
    }
}

template <class T>
void Product(const T* a, int64_t lda, int64_t rows, int64_t k, const T* b, int64_t vectors,
             T* tile) {
  switch (vectors) {
    case 1:
      return ProductOf<T, 1>(a, lda, rows, k, b, tile);
    case 2:
      return ProductOf<T, 2>(a, lda, rows, k, b, tile);
    case 3:
      return ProductOf<T, 3>(a, lda, rows, k, b, tile);
    case 4:
      return ProductOf<T, 4>(a, lda, rows, k, b, tile);
  }
}

bool Plain(Cell c) { return c == Cell::tanh || c == Cell::relu; }

/// Column that lane 0 of vector v of a forward panel holds, and how many of its lanes are units.
template <class T>
int64_t ForwardColumn(const RecurrenceShape& s, int64_t panel, int64_t v, int64_t& units) {
  const int64_t lanes = LanesOf<T>();
  const int64_t u = Plain(s.cell) ? (panel * s.forward_vectors + v) * lanes : panel * lanes;
  units = std::clamp<int64_t>(s.hidden - u, 0, lanes);
  return Plain(s.cell) ? u : v * s.hidden + u;
}

template <class T>
void PackForward(const RecurrenceShape& s, const T* w, int64_t from, int64_t to, T* panels) {
  const int64_t lanes = LanesOf<T>(), h = s.hidden, row = s.forward_vectors * lanes;
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t p = from; p < to; ++p)
    for (int64_t v = 0; v < s.forward_vectors; ++v) {
      int64_t units = 0;
      const int64_t column = ForwardColumn<T>(s, p, v, units);
      T* to_vector = panels + p * h * row + v * lanes;
      for (int64_t k0 = 0; k0 < h; k0 += kLine)
        for (int64_t l = 0; l < lanes; ++l)
          for (int64_t k = k0; k < std::min(h, k0 + kLine); ++k)
            to_vector[k * row + l] = l < units ? w[(column + l) * h + k] : T(0);
    }
}

template <class T>
void PackBackward(const RecurrenceShape& s, const T* w, int64_t from, int64_t to, T* panels) {
  const int64_t h = s.hidden, row = s.backward_vectors * LanesOf<T>(), k = s.gates();
  for (int64_t p = from; p < to; ++p)
    for (int64_t i = 0; i < k; ++i) {
      T* line = panels + (p * k + i) * row;
      const int64_t units = std::clamp<int64_t>(h - p * row, 0, row);
      std::copy_n(w + i * h + p * row, units, line);
      std::fill(line + units, line + row, T(0));
    }
}

/// Asks for what is read of some samples after a product, so that it is there then: `lines` lines
/// of each, `step` elements apart. Each lies in another page, which no hardware foresees.
template <class T>
void Fetch(const T* p, int64_t rows, int64_t row, int64_t lines, int64_t step) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < lines; ++i) __builtin_prefetch(p + r * row + i * step, 0, 2);
}

/// What a forward step does with the sums of one sample and one vector of units.
template <class T>
struct ForwardCell {
  const RecurrenceShape& s;
  const ForwardStep<T>& a;

  /// The input's share of a gate with its bias.
  HWY_INLINE auto FromInput(int64_t n, int64_t gate, int64_t u, int64_t units) const {
    const int64_t column = gate * s.hidden + u;
    const auto x = At(a.gates + n * s.gates() + column, units);
    return a.b_ih ? hn::Add(x, At(a.b_ih + column, units)) : x;
  }
  HWY_INLINE auto FromState(const T* tile, int64_t gate, int64_t vector, int64_t u,
                            int64_t units) const {
    const Tag<T> d;
    const auto x = hn::Load(d, tile + vector * LanesOf<T>());
    return a.b_hh ? hn::Add(x, At(a.b_hh + gate * s.hidden + u, units)) : x;
  }
  HWY_INLINE auto Sum(const T* tile, int64_t n, int64_t gate, int64_t u, int64_t units) const {
    return hn::Add(FromInput(n, gate, u, units), FromState(tile, gate, gate, u, units));
  }
  template <class V>
  HWY_INLINE void Keep(V v, int64_t n, int64_t i, int64_t u, int64_t units) const {
    if (a.kept) Put(v, a.kept + (n * kept_of(s.cell) + i) * s.hidden + u, units);
  }
  template <class V>
  HWY_INLINE void Finish(V h, int64_t n, int64_t u, int64_t units, bool inside) const {
    const int64_t at = n * s.hidden + u;
    Put(inside ? h : At(a.state + at, units), a.next + at, units);
    Put(inside ? h : hn::Zero(Tag<T>()), a.y + at, units);
  }

  HWY_INLINE void Lstm(const T* tile, int64_t n, int64_t u, int64_t units, bool inside) const {
    const Tag<T> d;
    const auto i = Sigmoid(d, Sum(tile, n, 0, u, units));
    const auto f = Sigmoid(d, Sum(tile, n, 1, u, units));
    const auto g = Tanh(d, Sum(tile, n, 2, u, units));
    const auto o = Sigmoid(d, Sum(tile, n, 3, u, units));
    T* at = a.c + n * s.hidden + u;
    const auto old = At(at, units);
    const auto c = hn::MulAdd(f, old, hn::Mul(i, g));
    const auto held = inside ? c : old;
    Put(held, at, units);
    Keep(i, n, 0, u, units);
    Keep(f, n, 1, u, units);
    Keep(g, n, 2, u, units);
    Keep(o, n, 3, u, units);
    Keep(held, n, 4, u, units);
    Finish(hn::Mul(o, Tanh(d, c)), n, u, units, inside);
  }
  HWY_INLINE void Gru(const T* tile, int64_t n, int64_t u, int64_t units, bool inside) const {
    const Tag<T> d;
    const auto r = Sigmoid(d, Sum(tile, n, 0, u, units));
    const auto z = Sigmoid(d, Sum(tile, n, 1, u, units));
    const auto from_state = FromState(tile, 2, 2, u, units);
    const auto g = Tanh(d, hn::MulAdd(r, from_state, FromInput(n, 2, u, units)));
    const auto h = At(a.state + n * s.hidden + u, units);
    Keep(r, n, 0, u, units);
    Keep(z, n, 1, u, units);
    Keep(g, n, 2, u, units);
    Keep(from_state, n, 3, u, units);
    Finish(hn::MulAdd(z, hn::Sub(h, g), g), n, u, units, inside);
  }
  HWY_INLINE void Simple(const T* tile, int64_t vector, int64_t n, int64_t u, int64_t units,
                         bool inside) const {
    const Tag<T> d;
    const auto x = hn::Add(FromInput(n, 0, u, units), FromState(tile, 0, vector, u, units));
    const auto h = s.cell == Cell::tanh
                       ? Tanh(d, x)
                       : hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);  // keeps NaN
    Keep(h, n, 0, u, units);
    Finish(h, n, u, units, inside);
  }
};

template <class T>
void Forward(const RecurrenceShape& s, const ForwardStep<T>& step, const T* panels, int64_t from,
             int64_t to) {
  const int64_t lanes = LanesOf<T>(), h = s.hidden, vectors = s.forward_vectors;
  const ForwardCell<T> cell{s, step};
  HWY_ALIGN T tile[kBatch * kMaxVectors * 64 / sizeof(T)];
  for (int64_t p = from; p < to; ++p)
    for (int64_t n0 = 0; n0 < s.batch; n0 += kBatch) {
      const int64_t rows = std::min(kBatch, s.batch - n0);
      if (!Plain(s.cell))
        Fetch(step.gates + n0 * s.gates() + p * lanes, rows, s.gates(), vectors, h);
      Product(step.state + n0 * h, h, rows, h, panels + p * h * vectors * lanes, vectors, tile);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t n = n0 + r;
        const bool inside = !step.lengths || step.t < step.lengths[n];
        const T* sums = tile + r * vectors * lanes;
        if (!Plain(s.cell)) {
          const int64_t u = p * lanes, units = std::min(lanes, h - u);
          s.cell == Cell::lstm ? cell.Lstm(sums, n, u, units, inside)
                               : cell.Gru(sums, n, u, units, inside);
          continue;
        }
        for (int64_t v = 0; v < vectors; ++v) {
          const int64_t u = (p * vectors + v) * lanes, units = std::min(lanes, h - u);
          if (units > 0) cell.Simple(sums, v, n, u, units, inside);
        }
      }
    }
}

/// What a backward step does with the gradient of h of one sample and one vector of units; gives
/// the gradient of the state before that does not go through w_hh.
template <class T>
struct BackwardCell {
  const RecurrenceShape& s;
  const BackwardStep<T>& a;

  HWY_INLINE auto Kept(int64_t n, int64_t i, int64_t u, int64_t units) const {
    return At(a.kept + (n * kept_of(s.cell) + i) * s.hidden + u, units);
  }
  template <class V>
  HWY_INLINE void Give(T* to, V v, int64_t n, int64_t gate, int64_t u, int64_t units) const {
    Put(v, to + n * s.gates() + gate * s.hidden + u, units);
  }
  /// y (1 - y)
  template <class V>
  HWY_INLINE V Slope(V y) const {
    return hn::NegMulAdd(y, y, y);
  }
  /// 1 - y^2
  template <class V>
  HWY_INLINE V TanhSlope(V y) const {
    return hn::NegMulAdd(y, y, hn::Set(Tag<T>(), T(1)));
  }

  template <class V>
  HWY_INLINE V Lstm(V dh, int64_t n, int64_t u, int64_t units) const {
    const Tag<T> d;
    const auto i = Kept(n, 0, u, units), f = Kept(n, 1, u, units);
    const auto g = Kept(n, 2, u, units), o = Kept(n, 3, u, units);
    const auto tc = Tanh(d, Kept(n, 4, u, units));
    T* at = a.dc + n * s.hidden + u;
    const auto dc = hn::MulAdd(hn::Mul(dh, o), TanhSlope(tc), At(at, units));
    const auto before = At(a.before + n * a.before_row + u, units);
    Give(a.dgates, hn::Mul(hn::Mul(dc, g), Slope(i)), n, 0, u, units);
    Give(a.dgates, hn::Mul(hn::Mul(dc, before), Slope(f)), n, 1, u, units);
    Give(a.dgates, hn::Mul(hn::Mul(dc, i), TanhSlope(g)), n, 2, u, units);
    Give(a.dgates, hn::Mul(hn::Mul(dh, tc), Slope(o)), n, 3, u, units);
    Put(hn::Mul(dc, f), at, units);
    return hn::Zero(d);
  }
  template <class V>
  HWY_INLINE V Gru(V dh, int64_t n, int64_t u, int64_t units) const {
    const Tag<T> d;
    const auto r = Kept(n, 0, u, units), z = Kept(n, 1, u, units);
    const auto g = Kept(n, 2, u, units), from_state = Kept(n, 3, u, units);
    const auto h = At(a.before + n * a.before_row + u, units);
    const auto dg = hn::Mul(hn::Mul(dh, hn::Sub(hn::Set(d, T(1)), z)), TanhSlope(g));
    const auto dz = hn::Mul(hn::Mul(dh, hn::Sub(h, g)), Slope(z));
    const auto dr = hn::Mul(hn::Mul(dg, from_state), Slope(r));
    for (T* to : {a.dgates, a.dsums}) {
      Give(to, dr, n, 0, u, units);
      Give(to, dz, n, 1, u, units);
    }
    Give(a.dgates, dg, n, 2, u, units);
    Give(a.dsums, hn::Mul(dg, r), n, 2, u, units);
    return hn::Mul(dh, z);
  }
  template <class V>
  HWY_INLINE V Simple(V dh, int64_t n, int64_t u, int64_t units) const {
    const Tag<T> d;
    const auto h = Kept(n, 0, u, units);
    const auto dx = s.cell == Cell::tanh ? hn::Mul(dh, TanhSlope(h))
                                         : hn::IfThenElseZero(hn::Gt(h, hn::Zero(d)), dh);
    Give(a.dgates, dx, n, 0, u, units);
    return hn::Zero(d);
  }

  HWY_INLINE void Do(const T* tile, int64_t n, int64_t u, int64_t units) const {
    const Tag<T> d;
    T* at = a.dh + n * s.hidden + u;
    auto dh = At(at, units);
    if (tile) dh = hn::Add(dh, hn::Load(d, tile));
    if (a.kept) {
      if (!a.lengths || a.t < a.lengths[n]) {
        dh = hn::Add(dh, At(a.dy + n * s.hidden + u, units));
        dh = s.cell == Cell::lstm  ? Lstm(dh, n, u, units)
             : s.cell == Cell::gru ? Gru(dh, n, u, units)
                                   : Simple(dh, n, u, units);
      } else {
        for (int64_t gate = 0; gate < gates_of(s.cell); ++gate) {
          Give(a.dgates, hn::Zero(d), n, gate, u, units);
          if (a.dsums) Give(a.dsums, hn::Zero(d), n, gate, u, units);
        }
      }
    }
    Put(dh, at, units);
  }
};

template <class T>
void Backward(const RecurrenceShape& s, const BackwardStep<T>& step, const T* panels, int64_t from,
              int64_t to) {
  const int64_t lanes = LanesOf<T>(), h = s.hidden, vectors = s.backward_vectors, k = s.gates();
  const BackwardCell<T> cell{s, step};
  HWY_ALIGN T tile[kBatch * kMaxVectors * 64 / sizeof(T)];
  for (int64_t p = from; p < to; ++p)
    for (int64_t n0 = 0; n0 < s.batch; n0 += kBatch) {
      const int64_t rows = std::min(kBatch, s.batch - n0);
      if (step.kept && !Plain(s.cell)) {
        const int64_t kept = kept_of(s.cell);
        for (int64_t v = 0; v < vectors; ++v)
          Fetch(step.kept + n0 * kept * h + (p * vectors + v) * lanes, rows, kept * h, kept, h);
      }
      if (step.sums)
        Product(step.sums + n0 * k, k, rows, k, panels + p * k * vectors * lanes, vectors, tile);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < vectors; ++v) {
          const int64_t u = (p * vectors + v) * lanes, units = std::min(lanes, h - u);
          if (units <= 0) break;
          cell.Do(step.sums ? tile + (r * vectors + v) * lanes : nullptr, n0 + r, u, units);
        }
    }
}

template <class T>
const RecurrenceLoops<T>* Table() {
  static constexpr RecurrenceLoops<T> table = {
      .lanes = LanesOf<T>,
      .pack_forward = PackForward<T>,
      .pack_backward = PackBackward<T>,
      .forward = Forward<T>,
      .backward = Backward<T>,
  };
  return &table;
}

}  // namespace

const RecurrenceLoops<float>* Recurrence32() { return Table<float>(); }
const RecurrenceLoops<double>* Recurrence64() { return Table<double>(); }

}  // namespace nacre::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace nacre::cpu {

HWY_EXPORT(Recurrence32);
HWY_EXPORT(Recurrence64);

template <>
const RecurrenceLoops<float>& recurrence_loops() {
  return *HWY_DYNAMIC_DISPATCH(Recurrence32)();
}
template <>
const RecurrenceLoops<double>& recurrence_loops() {
  return *HWY_DYNAMIC_DISPATCH(Recurrence64)();
}

}  // namespace nacre::cpu
#endif
