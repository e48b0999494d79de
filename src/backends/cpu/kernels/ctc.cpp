// ctc_loss and its gradient: the forward-backward recursion in logarithms, a sequence per thread.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// log(e^a + e^b + e^c); a NaN stays.
double log_sum(double a, double b, double c = kNever) {
  const double most = std::max({a, b, c});
  if (most == kNever) return a + b + c;
  return most + std::log(std::exp(a - most) + std::exp(b - most) + std::exp(c - most));
}

template <typename T>
class Ctc final : public Kernel {
 public:
  Ctc(Operands in, int64_t blank, bool gradient)
      : frames_(in[0].shape[0]),
        batch_(in[0].shape[1]),
        classes_(in[0].shape[2]),
        width_(in[1].shape[1]),
        blank_(blank),
        gradient_(gradient) {
    workers_ = std::max<int64_t>(1, std::min<int64_t>(batch_, num_threads()));
    const auto states = static_cast<size_t>(2 * width_ + 1);
    const size_t rows = gradient_ ? static_cast<size_t>(frames_) + 2 : 2;
    labels_bytes_ = align64(states * sizeof(int64_t));
    share_ = labels_bytes_ + align64(rows * states * sizeof(double));
  }
  std::string description() const override { return gradient_ ? "forward-backward" : "forward"; }
  size_t scratch_bytes() const override { return share_ * static_cast<size_t>(workers_); }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const Inputs x = {static_cast<const T*>(in[0]), static_cast<const int64_t*>(in[1]),
                      static_cast<const int64_t*>(in[2]), static_cast<const int64_t*>(in[3])};
    auto* y = static_cast<T*>(out[0]);
    parallel_for(workers_, 1, [&](int64_t b, int64_t e) {
      for (int64_t w = b; w < e; ++w) {
        char* mine = static_cast<char*>(scratch) + share_ * static_cast<size_t>(w);
        for (int64_t n = batch_ * w / workers_; n < batch_ * (w + 1) / workers_; ++n) {
          Sequence q = read(x, n, reinterpret_cast<int64_t*>(mine));
          auto* rows = reinterpret_cast<double*>(mine + labels_bytes_);
          if (gradient_)
            backward(q, rows, static_cast<const T*>(in[4])[n], y);
          else
            y[n] = static_cast<T>(-forward(q, rows, false));
        }
      }
    });
  }

 private:
  struct Inputs {
    const T* lp;
    const int64_t *targets, *steps, *lengths;
  };
  /// Labels with a blank before, between and after them.
  struct Sequence {
    const T* lp;  // of this sequence at the first step
    int64_t n, steps, states;
    int64_t* label;
    bool skips(int64_t s, int64_t blank) const {
      return s >= 2 && label[s] != blank && label[s] != label[s - 2];
    }
  };

  Sequence read(const Inputs& x, int64_t n, int64_t* label) const {
    const char* op = gradient_ ? "[ctc_loss_grad] " : "[ctc_loss] ";
    const int64_t steps = x.steps[n], length = x.lengths[n];
    if (steps < 0 || steps > frames_)
      fail(Error::Kind::data,
           {op, "input length ", steps, " of sequence ", n, " is not in 0..", frames_});
    if (length < 0 || length > width_)
      fail(Error::Kind::data,
           {op, "target length ", length, " of sequence ", n, " is not in 0..", width_});
    for (int64_t s = 0; s <= 2 * length; ++s) label[s] = blank_;
    for (int64_t s = 0; s < length; ++s) {
      const int64_t v = x.targets[n * width_ + s];
      if (v < 0 || v >= classes_)
        fail(Error::Kind::data,
             {op, "target ", v, " of sequence ", n, " is not one of ", classes_, " classes"});
      label[2 * s + 1] = v;
    }
    return {x.lp + n * classes_, n, steps, 2 * length + 1, label};
  }
  double emission(const Sequence& q, int64_t t, int64_t s) const {
    return q.lp[t * batch_ * classes_ + q.label[s]];
  }

  /// log P(target); rows[t] = log probability of all prefixes that end in each state at step t, or
  /// only the last two of them by turns.
  double forward(const Sequence& q, double* rows, bool keep) const {
    const int64_t m = q.states;
    if (q.steps == 0) return m == 1 ? 0 : kNever;
    for (int64_t s = 0; s < m; ++s) rows[s] = s < 2 ? emission(q, 0, s) : kNever;
    double* now = rows;
    for (int64_t t = 1; t < q.steps; ++t) {
      const double* before = now;
      now = rows + (keep ? t : t % 2) * m;
      for (int64_t s = 0; s < m; ++s)
        now[s] = emission(q, t, s) + log_sum(before[s], s >= 1 ? before[s - 1] : kNever,
                                             q.skips(s, blank_) ? before[s - 2] : kNever);
    }
    return m == 1 ? now[0] : log_sum(now[m - 1], now[m - 2]);
  }

  /// -scale * P(state at t emits c | target), for every step and class.
  void backward(const Sequence& q, double* rows, double scale, T* out) const {
    for (int64_t t = 0; t < frames_; ++t)
      std::fill_n(out + (t * batch_ + q.n) * classes_, classes_, T(0));
    const double total = forward(q, rows, true);
    if (total == kNever || q.steps == 0) return;
    const int64_t m = q.states;
    double *beta = rows + q.steps * m, *next = beta + m;  // suffixes without the emission at t
    for (int64_t s = 0; s < m; ++s) beta[s] = s >= m - 2 ? 0 : kNever;
    for (int64_t t = q.steps - 1; t >= 0; --t) {
      T* row = out + (t * batch_ + q.n) * classes_;
      for (int64_t s = 0; s < m; ++s)
        row[q.label[s]] -= static_cast<T>(scale * std::exp(rows[t * m + s] + beta[s] - total));
      for (int64_t s = 0; s < m; ++s) beta[s] += emission(q, t, s);
      for (int64_t s = 0; s < m; ++s)
        next[s] = log_sum(beta[s], s + 1 < m ? beta[s + 1] : kNever,
                          s + 2 < m && q.skips(s + 2, blank_) ? beta[s + 2] : kNever);
      std::swap(beta, next);
    }
  }

  int64_t frames_, batch_, classes_, width_, blank_, workers_ = 1;
  bool gradient_;
  size_t labels_bytes_ = 0, share_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_ctc(Operands in, Operands out, int64_t blank, bool gradient) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) { return make_ctc(i, o, blank, gradient); });
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Ctc<decltype(zero)>>(in, blank, gradient);
  });
}

KERNEL(ctc_loss) {
  return q.all_contiguous() ? make_ctc(q.in, q.out, q.integer("blank"), false) : nullptr;
}

KERNEL(ctc_loss_grad) {
  return q.all_contiguous() ? make_ctc(q.in, q.out, q.integer("blank"), true) : nullptr;
}

}  // namespace nacre::cpu
