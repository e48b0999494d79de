// What depends on values: entries by index along one dimension, and the order of values.
#include <algorithm>

#include "embed/kernels/rows.h"

namespace nacre::embed {
namespace {

void check_gather(Check& c) {
  Step& s = c.step;
  c.need(2, 1);
  const Shape &x = c.x(0), &y = c.y();
  const int64_t dim = s.numbers[0];
  c.ensure(dim >= 0 && dim < x.rank() && x.rank() == y.rank() && c.x(1) == y);
  for (int64_t d = 0; d < y.rank(); ++d) c.ensure(d == dim || y[d] <= x[d]);
  s.strides[0] = strides_of(x);
  s.n = x[dim];
  s.offset = s.strides[0][static_cast<size_t>(dim)];
  s.strides[0][static_cast<size_t>(dim)] = 0;
}
void run_gather(const Call& c) {
  const Step& s = c.step;
  const float *x = c.x(0), *index = c.x(1);
  float* y = c.y();
  const int64_t stride = s.strides[0].back();
  for_rows(s.sizes, s.strides[0], [&](int64_t from, int64_t to, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
      y[to + i] = x[from + i * stride + c.place(index[to + i], s.n) * s.offset];
  });
}

/// The positions of the first values in order: NaN is the largest, equal ones keep their order.
void check_order(Check& c) {
  Step& s = c.step;
  c.need(1, 2);
  Shape x = c.x(0);
  c.split(x, s.numbers[0]);
  const int64_t dim = s.numbers[0];
  c.ensure(s.n <= int64_t{1} << 24 && x.rank() == c.y().rank() && c.y()[dim] <= s.n);
  c.ensure(s.numbers[1] == 0 || s.numbers[1] == 1);
  s.offset = x[dim] = c.y()[dim];
  c.ensure(x == c.y());
  c.scratch(s.n);
}
void run_order(const Call& c) {
  const Step& s = c.step;
  const bool descending = s.numbers[1] == 1;
  float *y = c.y(), *order = c.scratch;
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t i = 0; i < s.inner; ++i) {
      const float* x = c.x(0) + o * s.n * s.inner + i;
      const auto before = [&](float p, float q) {
        float a = x[static_cast<int64_t>(p) * s.inner], b = x[static_cast<int64_t>(q) * s.inner];
        if (a == b || (a != a && b != b)) return p < q;
        if (descending) std::swap(a, b);
        return a < b || (a == a && b != b);
      };
      for (int64_t k = 0; k < s.n; ++k) order[k] = static_cast<float>(k);
      std::partial_sort(order, order + s.offset, order + s.n, before);
      for (int64_t k = 0; k < s.offset; ++k) y[(o * s.offset + k) * s.inner + i] = order[k];
    }
}

}  // namespace

extern const Kernel kernel_gather = {Op::gather, 0, check_gather, run_gather};
extern const Kernel kernel_order = {Op::order, 0, check_order, run_order};

}  // namespace nacre::embed
