#include "ops/index/index.h"

namespace nacre {

/// x with numbered rows replaced; of rows with the same index the last counts. index: n, i64 or
/// i32; rows: n. Made by the pass "rows" only, after gradients; it writes into x where x is not
/// needed any more.
OP(update_rows) = {
    .name = "update_rows",
    .infer =
        [](Infer& in) {
          in.check_rank(1, 1);
          in.check_index(1);
          in.check(in.rank(0) >= 1, {"x has no rows"});
          Shape want = in.shape(0);
          want[0] = in.shape(1)[0];
          in.check(in.dtype(2) == in.dtype(0) && in.shape(2) == want,
                   {"rows are ", in.dtype(2), " ", in.shape(2), ", ", in.dtype(0), " ", want,
                    " is needed"});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in(1).n, size = r.in(0).shape[0], width = size ? r.in(0).n / size : 0;
          r.typed([&](auto* x, auto* y) { std::copy_n(x, r.in(0).n, y); });
          r.typed(
              [&](auto* rows, auto* y) {
                for (int64_t k = 0; k < n; ++k)
                  std::copy_n(rows + k * width, width,
                              y + checked_index(r, r.in(1), k, 0, size) * width);
              },
              2);
        },
    .samples =
        [](Samples& s) {
          const auto add = [&](std::vector<SampleInput> in, const auto& f) {
            OpSample& made = s.add(std::move(in), f);
            made.oracle = "dense updates, in tests/optim/rows_test.cpp";
            made.check_grad = false;
          };
          const auto call = [](const Tensors& x) {
            return Tensors{make(op_update_rows, {x[0], x[1], x[2]})};
          };
          add({s.uniform({5, 3}), s.ints_at({3, -5}, {2}), s.uniform({2, 3})}, call);
          add({s.uniform({4}), s.ints_at({2}, {1}, DType::i32), s.uniform({1})}, call);
          add({s.uniform({4, 2}), s.integers({0}, 0, 4), s.uniform({0, 2})}, call);
          s.bad({s.uniform({4, 2}), s.integers({3}, 0, 4), s.uniform({3, 1})}, call,
                "rows are f32 3x1, f32 3x2 is needed");
        },
};

}  // namespace nacre
