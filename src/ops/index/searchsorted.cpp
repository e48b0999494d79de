#include <algorithm>

#include "ops/op.h"

namespace nacre {
namespace {
struct SearchAttrs {
  bool right = false;
  void fields(FieldVisitor& v) { v("right", right); }
};
}  // namespace

/// Where values would be inserted into sorted rows so that they stay sorted: i64 positions 0..N.
/// right: after equal entries instead of before. sorted: ...xN ascending, one row for all values or
/// one for each row of values; values: ...xM.
API(Tensor searchsorted(In sorted, In values, bool right = false))

OP(searchsorted) = {
    .name = "searchsorted",
    .attrs = attr_type<SearchAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_same_dtype();
          const Shape &s = in.shape(0), &v = in.shape(1);
          in.check(s.rank() >= 1, {"sorted is a scalar"});
          in.check(s.rank() == 1 || (v.rank() == s.rank() &&
                                     v.slice(0, v.rank() - 1) == s.slice(0, s.rank() - 1)),
                   {"rows of sorted ", s, " and values ", v, " do not match"});
          in.out(DType::i64, v);
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in(0).shape.back();
          const bool shared = r.in(0).shape.rank() == 1, right = r.attrs<SearchAttrs>().right;
          const int64_t width = shared ? std::max<int64_t>(1, r.in(1).n) : r.in(1).shape.back();
          const auto run = [&](const auto* sorted, const auto* values) {
            for (int64_t k = 0; k < r.in(1).n; ++k) {
              const auto* row = sorted + k / width * n;
              r.out().i[k] = (right ? std::upper_bound(row, row + n, values[k])
                                    : std::lower_bound(row, row + n, values[k])) -
                             row;
            }
          };
          if (r.in(0).floating())
            run(r.in(0).d, r.in(1).d);
          else
            run(r.in(0).i, r.in(1).i);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](bool right) {
            return [right](const Tensors& x) { return Tensors{searchsorted(x[0], x[1], right)}; };
          };
          s.add({s.at({-2, 0, 0, 1}), s.at({-3, 0, 0.5, 9, -2, 1}, {2, 3})}, call(false),
                "torch.searchsorted({0}, {1})");
          s.add({s.at({0, 1, 2, 5, 6, 7}, {2, 3}), s.at({1, 9, 4, 5}, {2, 2})}, call(true),
                "torch.searchsorted({0}, {1}, right=True)");
          s.add({s.ints_at({1, 3, 3, 8}, {4}), s.ints_at({3}, {})}, call(true),
                "torch.searchsorted({0}, {1}, right=True)");
          s.add({s.uniform({0}), s.uniform({3})}, call(false), "torch.searchsorted({0}, {1})");
          s.bad({s.uniform({2, 3}), s.uniform({3, 2})}, call(false), "do not match");
          s.bad({s.uniform({}), s.uniform({3})}, call(false), "sorted is a scalar");
        },
};

Tensor searchsorted(In sorted, In values, bool right) {
  const auto [s, v] = unify(sorted, values);
  return make(op_searchsorted, SearchAttrs{right}, {s, v});
}

}  // namespace nacre
