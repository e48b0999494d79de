#include "nacre/ops.h"
#include "ops/index/index.h"

namespace nacre {
namespace {

/// One number for each edge, as factors of its row.
Tensor beside_rows(const Tensor& weight, int64_t rank) {
  Shape shape(static_cast<size_t>(rank), 1);
  shape[0] = weight.size(0);
  return reshape(weight, shape);
}

}  // namespace

/// Sums over the edges of a graph: base with row from[e] of x, times weight[e] if there are
/// weights, added to row to[e], for each edge e. base Mx..., x Nx..., to and from E (i64 or i32),
/// weight E. Made by the pass "edges" only, after gradients.
OP(edge_sum) = {
    .name = "edge_sum",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 4 || in.inputs() == 5,
                   {"has ", in.inputs(), " inputs, 4 or 5 are needed"});
          in.check_float(0);
          in.check_index(2);
          in.check_index(3);
          for (size_t i = 2; i < in.inputs(); ++i) {
            in.check_rank(i, 1);
            in.check(in.shape(i) == in.shape(2),
                     {"input ", i, " has shape ", in.shape(i), ", input 2 has ", in.shape(2)});
          }
          in.check(in.rank(0) >= 1 && in.rank(1) >= 1, {"base and x need rows"});
          Shape rows = in.shape(0);
          rows[0] = in.shape(1)[0];
          in.check(in.shape(1) == rows, {"x has shape ", in.shape(1), ", ", rows, " is needed"});
          for (size_t i : {1, 4})
            in.check(i >= in.inputs() || in.dtype(i) == in.dtype(0),
                     {"input ", i, " has another type than base, ", in.dtype(0)});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      Tensor sent = index_select(in[1], 0, in[3]);
      if (in.size() == 5) sent = sent * beside_rows(in[4], sent.rank());
      return {index_add(in[0], 0, in[2], sent)};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{make(*find_op("edge_sum"), {}, x)};
          };
          const auto add = [&](std::vector<SampleInput> in) {
            s.add(std::move(in), call).oracle = "plain sums, in tests/kernels/edges_test.cpp";
          };
          add({s.uniform({3, 4}), s.uniform({5, 4}), s.ints_at({2, 0, 2, -1, 1}, {5}),
               s.ints_at({4, 4, -5, 1, 0}, {5}), s.uniform({5})});
          add({s.uniform({4, 2, 3}), s.uniform({4, 2, 3}), s.ints_at({3, 3}, {2}, DType::i32),
               s.ints_at({0, 1}, {2})});
          add({s.uniform({4}), s.uniform({2}), s.ints_at({3, 3, 0}, {3}),
               s.ints_at({0, 1, 1}, {3}, DType::i32), s.uniform({3})});
          add({s.uniform({4, 2}), s.uniform({3, 2}), s.integers({0}, 0, 4), s.integers({0}, 0, 3),
               s.uniform({0})});
          s.bad(
              {s.uniform({3, 4}), s.uniform({5, 3}), s.integers({2}, 0, 3), s.integers({2}, 0, 5)},
              call, "x has shape 5x3, 5x4 is needed");
          s.bad(
              {s.uniform({3, 4}), s.uniform({5, 4}), s.integers({2}, 0, 3), s.integers({3}, 0, 5)},
              call, "input 3 has shape 3, input 2 has 2");
          s.bad({s.uniform({3, 4}), s.uniform({5, 4}), s.integers({2}, 0, 3)}, call,
                "has 3 inputs");
        },
};

}  // namespace nacre
