// What moves values and does not compute.
#include <algorithm>

#include "embed/kernels/rows.h"
#include "nacre/error.h"

namespace nacre::embed {
namespace {

void check_reshape(Check& c) {
  c.need(1, 0);
  c.ensure(c.x_size(0) == c.y_size());
}
void run_reshape(const Call& c) {
  if (c.x(0) != c.y()) std::copy_n(c.x(0), c.size(), c.y());
}

void check_copy(Check& c) {
  Step& s = c.step;
  const Shape& y = c.y();
  c.need(1, 1 + y.size());
  int64_t low = s.numbers[0], high = low;
  const int64_t most = c.x_size(0);
  for (size_t d = 0; d < y.size(); ++d) {
    const int64_t stride = s.numbers[1 + d];
    c.ensure(-most <= stride && stride <= most && y.begin()[d] <= kMaxSize);
    if (y.begin()[d] > 1) {
      c.ensure(stride == 0 || y.begin()[d] <= most);
      (stride < 0 ? low : high) += stride * (y.begin()[d] - 1);
    }
    c.ensure(low >= 0 && high < most);
  }
  c.ensure(low >= 0 && high < most);
  s.strides[0].assign(s.numbers.begin() + 1, s.numbers.end());
}
/// y, dense, from x with strides.
void run_copy(const Call& c) {
  const Sizes sizes = c.step.sizes, strides = c.step.strides[0];
  const float* x = c.x(0) + c.step.numbers[0];
  float* y = c.y();
  const int64_t step = sizes.empty() ? 1 : strides.back();
  for_rows(sizes, strides, [&](int64_t from, int64_t to, int64_t n) {
    if (step == 1)
      std::copy_n(x + from, n, y + to);
    else
      for (int64_t i = 0; i < n; ++i) y[to + i] = x[from + i * step];
  });
}

void check_concat(Check& c) {
  Step& s = c.step;
  const Shape& y = c.y();
  c.ensure(!s.in.empty() && s.numbers.size() == 1);
  c.split(y, s.numbers[0]);
  int64_t sum = 0;
  for (size_t k = 0; k < s.in.size(); ++k) {
    Shape x = c.x(k);
    c.ensure(x.rank() == y.rank());
    sum += x[s.numbers[0]];
    x[s.numbers[0]] = y[s.numbers[0]];
    c.ensure(x == y);
  }
  c.ensure(sum == y[s.numbers[0]]);
}
void run_concat(const Call& c) {
  const Step& s = c.step;
  float* y = c.y();
  for (size_t k = 0; k < s.in.size(); ++k) {
    const int64_t piece = c.size(k) / s.outer;
    const float* from = c.x(k);
    for (int64_t o = 0; o < s.outer; ++o)
      std::copy_n(from + o * piece, piece, y + o * s.n * s.inner);
    y += piece;
  }
}

void check_pad(Check& c) {
  Step& s = c.step;
  const Shape &x = c.x(0), &y = c.y();
  c.need(2, y.size());
  c.ensure(x.rank() == y.rank() && c.x_size(1) == 1);
  s.strides[0] = strides_of(y);
  for (int64_t d = 0; d < y.rank(); ++d) {
    const int64_t low = s.numbers[static_cast<size_t>(d)];
    c.ensure(low >= 0 && low <= y[d] && x[d] <= y[d] - low);
    s.offset += low * s.strides[0][static_cast<size_t>(d)];
  }
  s.sizes.assign(x.begin(), x.end());
}
void run_pad(const Call& c) {
  const Step& s = c.step;
  const float* x = c.x(0);
  float* y = c.y();
  std::fill_n(y, c.size(), *c.x(1));
  y += s.offset;
  for_rows(s.sizes, s.strides[0],
           [&](int64_t to, int64_t from, int64_t n) { std::copy_n(x + from, n, y + to); });
}

void check_take(Check& c) {
  Step& s = c.step;
  c.need(2, 1);
  c.split(c.x(0), s.numbers[0]);
  c.ensure(c.y_size() == s.outer * s.inner * c.x_size(1));
}
void run_take(const Call& c) {
  const Step& s = c.step;
  const int64_t count = c.size(1);
  float* y = c.y();
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < count; ++i, y += s.inner)
      std::copy_n(c.x(0) + (o * s.n + c.place(c.x(1)[i], s.n)) * s.inner, s.inner, y);
}

}  // namespace

extern const Kernel kernel_reshape = {Op::reshape, 0, check_reshape, run_reshape};
extern const Kernel kernel_copy = {Op::copy, 0, check_copy, run_copy};
extern const Kernel kernel_concat = {Op::concat, 0, check_concat, run_concat};
extern const Kernel kernel_pad = {Op::pad, 0, check_pad, run_pad};
extern const Kernel kernel_take = {Op::take, 0, check_take, run_take};

}  // namespace nacre::embed
