#include "ops/index/index.h"

namespace nacre {
namespace {
struct CombineRowsAttrs {
  int64_t size = 1;  ///< of the dimension that the indices count, for negative ones
  void fields(FieldVisitor& v) { v("size", size); }
};
}  // namespace

/// Row k of the result is the sum of all rows of src that have the index of row k, added in their
/// order. index: n, i64 or i32; src: n rows. Made by the pass "rows" only, after gradients.
OP(combine_rows) = {
    .name = "combine_rows",
    .attrs = attr_type<CombineRowsAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_rank(0, 1);
          in.check_index(0);
          in.check_float(1);
          in.check(in.rank(1) >= 1 && in.shape(1)[0] == in.shape(0)[0],
                   {"src has shape ", in.shape(1), ", ", in.shape(0)[0], " rows are needed"});
          in.check(in.attrs<CombineRowsAttrs>().size >= 0, {"size is negative"});
          in.out(in.dtype(1), in.shape(1));
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in(0).n, width = n ? r.in(1).n / n : 0,
                        size = r.attrs<CombineRowsAttrs>().size;
          std::vector<int64_t> at;
          for (int64_t k = 0; k < n; ++k) at.push_back(checked_index(r, r.in(0), k, 0, size));
          for (int64_t k = 0; k < n; ++k)
            for (int64_t j = 0; j < n; ++j)
              for (int64_t i = 0;
                   at[static_cast<size_t>(j)] == at[static_cast<size_t>(k)] && i < width; ++i)
                r.out().d[k * width + i] += r.in(1).d[j * width + i];
        },
    .samples =
        [](Samples& s) {
          const auto add = [&](std::vector<SampleInput> in, const auto& f) {
            OpSample& made = s.add(std::move(in), f);
            made.oracle = "dense updates, in tests/optim/rows_test.cpp";
            made.check_grad = false;
          };
          const auto call = [](int64_t size) {
            return [size](const Tensors& x) {
              return Tensors{make(op_combine_rows, CombineRowsAttrs{size}, {x[0], x[1]})};
            };
          };
          add({s.ints_at({3, 0, 3, -1, 3}, {5}), s.uniform({5, 4})}, call(4));
          add({s.ints_at({1, 0, 1}, {3}, DType::i32), s.uniform({3})}, call(2));
          add({s.integers({0}, 0, 4), s.uniform({0, 2})}, call(4));
          s.bad({s.integers({3}, 0, 4), s.uniform({2, 2})}, call(4), "3 rows are needed");
        },
};

}  // namespace nacre
