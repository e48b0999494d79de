// Softmax, its gradient, and cross entropy fused with it.
#include <algorithm>
#include <cmath>

#include "backends/cpu/norm/norm.h"
#include "backends/cpu/simd/row_loops.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kGrain = 1 << 13;  // elements per thread at least
constexpr int64_t kColumns = 128;    // columns that are worked on together

bool dense_all(Operands list) {
  return std::all_of(list.begin(), list.end(), [](const Operand& o) { return o.contiguous(); });
}

int64_t rows_per_thread(int64_t n) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, n));
}

Axis axis_of(const Shape& shape, int64_t dim) {
  return shape.empty() ? Axis({1}, 0) : Axis(shape, dim);
}

/// Calls row(i) for rows when the dimension is the last, else block(offset, columns).
template <class Row, class Block>
void each_line(const Axis& a, Row row, Block block) {
  if (a.inner == 1) {
    parallel_for(a.outer, rows_per_thread(a.size), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) row(i * a.size);
    });
    return;
  }
  const int64_t blocks = (a.inner + kColumns - 1) / kColumns;
  parallel_for(a.outer * blocks, rows_per_thread(a.size * std::min(a.inner, kColumns)),
               [&](int64_t from, int64_t to) {
                 for (int64_t u = from; u < to; ++u) {
                   const int64_t first = u % blocks * kColumns;
                   block(u / blocks * a.size * a.inner + first,
                         std::min(kColumns, a.inner - first));
                 }
               });
}

template <class T>
class Softmax final : public Kernel {
 public:
  Softmax(const Axis& a, bool log) : a_(a), log_(log) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int, int) const override { return true; }
  void run(const void* const* in, void* const* out, void*) const override {
    if (a_.size == 0) return;
    const T* x = static_cast<const T*>(in[0]);
    T* y = static_cast<T*>(out[0]);
    const RowLoops<T>& loops = row_loops<T>();
    each_line(
        a_,
        [&](int64_t at) {
          const T m = static_cast<T>(loops.max(x + at, a_.size));
          const double s = loops.exp_sum(x + at, m, log_ ? nullptr : y + at, a_.size);
          if (log_)
            loops.affine(x + at, m, T(1), static_cast<T>(-std::log(s)), y + at, a_.size);
          else
            loops.affine(y + at, T(0), static_cast<T>(1 / s), T(0), y + at, a_.size);
        },
        [&](int64_t at, int64_t columns) {
          loops.column_softmax(x + at, y + at, a_.inner, a_.size, columns, log_);
        });
  }

 private:
  Axis a_;
  bool log_;
};

template <class T>
class SoftmaxGrad final : public Kernel {
 public:
  SoftmaxGrad(const Axis& a, bool log) : a_(a), log_(log) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int, int) const override { return true; }
  void run(const void* const* in, void* const* out, void*) const override {
    const T *y = static_cast<const T*>(in[0]), *dy = static_cast<const T*>(in[1]);
    T* dx = static_cast<T*>(out[0]);
    const RowLoops<T>& loops = row_loops<T>();
    each_line(
        a_,
        [&](int64_t at) {
          const double c = log_ ? loops.sum(dy + at, a_.size) : loops.dot(y + at, dy + at, a_.size);
          const auto grad = log_ ? loops.log_softmax_grad : loops.softmax_grad;
          grad(y + at, dy + at, static_cast<T>(c), dx + at, a_.size);
        },
        [&](int64_t at, int64_t columns) {
          loops.column_softmax_grad(y + at, dy + at, dx + at, a_.inner, a_.size, columns, log_);
        });
  }

 private:
  Axis a_;
  bool log_;
};

int64_t checked_target(int64_t target, int64_t row, int64_t classes) {
  if (target < 0 || target >= classes)
    fail(Error::Kind::data, {"[softmax_cross_entropy] target ", target, " of row ", row,
                             " is not one of ", classes, " classes"});
  return target;
}

template <class T>
class CrossEntropy final : public Kernel {
 public:
  CrossEntropy(int64_t rows, int64_t classes) : rows_(rows), classes_(classes) {}
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    const T* x = static_cast<const T*>(in[0]);
    const int64_t* target = static_cast<const int64_t*>(in[1]);
    T *loss = static_cast<T*>(out[0]), *lse = static_cast<T*>(out[1]);
    const RowLoops<T>& loops = row_loops<T>();
    parallel_for(rows_, rows_per_thread(classes_), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const int64_t t = checked_target(target[i], i, classes_);
        const T* row = x + i * classes_;
        const T m = static_cast<T>(loops.max(row, classes_));
        const double log_sum = std::log(loops.exp_sum(row, m, nullptr, classes_));
        lse[i] = static_cast<T>(static_cast<double>(m) + log_sum);
        loss[i] = static_cast<T>(log_sum - (static_cast<double>(row[t]) - static_cast<double>(m)));
      }
    });
  }

 private:
  int64_t rows_, classes_;
};

template <class T>
class CrossEntropyGrad final : public Kernel {
 public:
  CrossEntropyGrad(int64_t rows, int64_t classes) : rows_(rows), classes_(classes) {}
  std::string description() const override { return "simd"; }
  bool may_alias(int in, int) const override { return in == 0; }
  void run(const void* const* in, void* const* out, void*) const override {
    const T *x = static_cast<const T*>(in[0]), *lse = static_cast<const T*>(in[2]),
            *dloss = static_cast<const T*>(in[3]);
    const int64_t* target = static_cast<const int64_t*>(in[1]);
    T* dx = static_cast<T*>(out[0]);
    const RowLoops<T>& loops = row_loops<T>();
    parallel_for(rows_, rows_per_thread(classes_), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const int64_t t = checked_target(target[i], i, classes_);
        T* row = dx + i * classes_;
        loops.exp_sum(x + i * classes_, lse[i], row, classes_);
        row[t] -= T(1);
        loops.affine(row, T(0), dloss[i], T(0), row, classes_);
      }
    });
  }

 private:
  int64_t rows_, classes_;
};

bool same_float(Operands list) {
  return is_float(list[0].dtype) && std::all_of(list.begin(), list.end(), [&](const Operand& o) {
           return o.dtype == list[0].dtype;
         });
}

}  // namespace

std::unique_ptr<Kernel> make_softmax(Operands in, Operands out, int64_t dim, bool log) {
  const DType t = in[0].dtype;
  if (t != out[0].dtype || !is_float(t)) return nullptr;
  if (is_half(t))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_softmax(i, o, dim, log); });
  if (!dense_all(in)) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Softmax<decltype(zero)>>(axis_of(in[0].shape, dim), log);
  });
}

std::unique_ptr<Kernel> make_softmax_grad(Operands in, Operands out, int64_t dim, bool log) {
  const DType t = in[0].dtype;
  if (!same_float(in) || t != out[0].dtype) return nullptr;
  if (is_half(t))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_softmax_grad(i, o, dim, log); });
  if (!dense_all(in)) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<SoftmaxGrad<decltype(zero)>>(axis_of(in[0].shape, dim), log);
  });
}

std::unique_ptr<Kernel> make_softmax_cross_entropy(Operands in, Operands out) {
  const DType t = in[0].dtype;
  if (in[0].shape.rank() != 2 || in[1].dtype != DType::i64 || !same_float(out)) return nullptr;
  if (is_half(t)) return in_f32(in, out, make_softmax_cross_entropy);
  if (!dense_all(in) || out[0].dtype != t) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<CrossEntropy<decltype(zero)>>(in[0].shape[0], in[0].shape[1]);
  });
}

std::unique_ptr<Kernel> make_softmax_cross_entropy_grad(Operands in, Operands out) {
  const DType t = in[0].dtype;
  if (in[0].shape.rank() != 2 || in[1].dtype != DType::i64 || in.size() != 4) return nullptr;
  if (is_half(t)) return in_f32(in, out, make_softmax_cross_entropy_grad);
  if (!dense_all(in) || out[0].dtype != t || in[2].dtype != t || in[3].dtype != t) return nullptr;
  return for_float(t, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<CrossEntropyGrad<decltype(zero)>>(in[0].shape[0], in[0].shape[1]);
  });
}

}  // namespace nacre::cpu
