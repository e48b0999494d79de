#include "ops/index/index.h"

namespace nacre {
namespace {
struct EmbeddingAttrs {
  int64_t padding_idx = -1;
  void fields(FieldVisitor& v) { v("padding_idx", padding_idx); }
};
}  // namespace

/// Rows of a table by number: a vector for each entry of index.
/// weight: rows x width, floating; index: i64 or i32 of any shape; returns index.shape x width. The
/// row padding_idx (-1: none) gets no gradient.
API(Tensor embedding(In weight, In index, int64_t padding_idx = -1))

OP(embedding) = {
    .name = "embedding",
    .kind = OpKind::composite,
    .attrs = attr_type<EmbeddingAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check_rank(0, 2);
          in.check_index(1);
          const int64_t pad = in.attrs<EmbeddingAttrs>().padding_idx;
          in.check(pad >= -1 && pad < in.shape(0)[0],
                   {"padding_idx ", pad, " is not a row of the table"});
          in.out(in.dtype(0), selected_shape(in.shape(0), in.shape(1), 0));
        },
    .decompose = [](const void*,
                    const Tensors& in) { return Tensors{index_select(in[0], 0, in[1])}; },
    .vjp =
        [](Vjp& v) {
          const int64_t padding = v.attrs<EmbeddingAttrs>().padding_idx;
          Tensor dy = v.dy();
          if (padding >= 0) dy = dy * cast(unsqueeze(ne(v.x(1), padding), -1), dy.dtype());
          v.dx(0) = index_add(zeros_like(v.x(0)), 0, v.x(1), dy);
        },
    .onnx = "Gather",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({5, 3}), s.integers({2, 4}, 0, 5)},
              [](const Tensors& x) { return Tensors{embedding(x[0], x[1])}; },
              "F.embedding({1}, {0})");
          s.add(
               {s.uniform({5, 3}), s.ints_at({1, 2, 1}, {3}, DType::i32)},
               [](const Tensors& x) { return Tensors{embedding(x[0], x[1], 1)}; },
               "F.embedding({1}, {0}, padding_idx=1)")
              .check_grad = false;  // differs from the slope on purpose
          s.add(
              {s.uniform({4, 2}), s.ints_at({3}, {})},
              [](const Tensors& x) { return Tensors{embedding(x[0], x[1], 0)}; },
              "F.embedding({1}, {0})");
          s.bad(
              {s.uniform({4}), s.integers({2}, 0, 4)},
              [](const Tensors& x) { return Tensors{embedding(x[0], x[1])}; },
              "input 0 has rank 1, expected 2");
          s.bad(
              {s.uniform({4, 2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{embedding(x[0], x[1])}; },
              "indices are i64 or i32");
          s.bad(
              {s.uniform({4, 2}), s.integers({2}, 0, 4)},
              [](const Tensors& x) { return Tensors{embedding(x[0], x[1], 4)}; },
              "padding_idx 4 is not a row");
        },
};

Tensor embedding(In weight, In index, int64_t padding_idx) {
  return make(op_embedding, EmbeddingAttrs{padding_idx}, {weight, index});
}

}  // namespace nacre
