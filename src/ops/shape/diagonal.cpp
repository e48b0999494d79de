#include "ops/op.h"

namespace nacre {
namespace {

struct DiagonalAttrs {
  int64_t offset = 0;
  void fields(FieldVisitor& v) { v("offset", offset); }
};

int64_t length(int64_t offset, int64_t rows, int64_t columns) {
  return std::max<int64_t>(
      0, std::min(rows + std::min<int64_t>(offset, 0), columns - std::max<int64_t>(offset, 0)));
}

/// Where the diagonal begins in a row-major matrix.
int64_t begin(int64_t offset, int64_t columns) { return offset >= 0 ? offset : -offset * columns; }

/// x with its last two dimensions as one.
Tensor flat(const Tensor& x) {
  Shape shape = x.shape().slice(0, x.rank() - 2);
  shape.push_back(x.size(-2) * x.size(-1));
  return reshape(x, shape);
}

}  // namespace

/// The diagonal of dimensions dim1 and dim2, as the last dimension of the result. offset counts
/// upwards from the main diagonal. x: at least two dimensions, any type.
API(Tensor diagonal(In x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1))
/// Sum of the main diagonal of the last two dimensions.
API(Tensor trace(In x))

OP(diagonal) = {
    .name = "diagonal",
    .kind = OpKind::composite,
    .attrs = attr_type<DiagonalAttrs>(),
    .infer =
        [](Infer& in) {
          in.check(in.rank(0) >= 2, {"a matrix is needed, the input has rank ", in.rank(0)});
          Shape out = in.shape(0).slice(0, in.rank(0) - 2);
          out.push_back(length(in.attrs<DiagonalAttrs>().offset, in.shape(0)[-2], in.shape(0)[-1]));
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const int64_t offset = static_cast<const DiagonalAttrs*>(attrs)->offset;
          const int64_t n = in[0].size(-1), size = length(offset, in[0].size(-2), n);
          const Tensor x = flat(in[0]);
          Ints starts(x.shape().size(), 0), sizes = x.shape(), steps(x.shape().size(), 1);
          starts[-1] = size ? begin(offset, n) : 0;
          sizes[-1] = size;
          steps[-1] = n + 1;
          return Tensors{slices(x, starts, sizes, steps)};
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{diagonal(x[0]), diagonal(x[0], 2)};
              },
              "({0}.diagonal(), {0}.diagonal(2))");
          s.add(
              {s.uniform({4, 2, 3})},
              [](const Tensors& x) { return Tensors{diagonal(x[0], -1, 0, 2)}; },
              "{0}.diagonal(-1, 0, 2)");
          s.add(
              {s.integers({2, 3}, 0, 9)},
              [](const Tensors& x) { return Tensors{diagonal(x[0], 3)}; }, "{0}.diagonal(3)");
          s.add(
              {s.uniform({4, 3})}, [](const Tensors& x) { return Tensors{trace(x[0])}; },
              "torch.trace({0})");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{diagonal(x[0])}; },
              "out of range");
          s.bad(
              {s.uniform({3, 3})},
              [](const Tensors& x) { return Tensors{diagonal(x[0], 0, 1, -1)}; },
              "[diagonal] dimensions 1 and 1");
        },
};

Tensor diagonal(In x, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = normalize_dim(op_diagonal, dim1, x->rank());
  dim2 = normalize_dim(op_diagonal, dim2, x->rank());
  if (dim1 == dim2)
    fail(Error::Kind::shape,
         {"[diagonal] dimensions ", dim1, " and ", dim2, " are the same", where()});
  Ints dims;
  for (int64_t d = 0; d < x->rank(); ++d)
    if (d != dim1 && d != dim2) dims.push_back(d);
  dims.push_back(dim1);
  dims.push_back(dim2);
  return make(op_diagonal, DiagonalAttrs{offset}, {permute(x, dims)});
}

Tensor trace(In x) { return sum(diagonal(x), {-1}); }

/// Square matrices, zero but for the diagonal, which holds the last dimension of x. offset counts
/// upwards from the main diagonal. x: ...xN, any type; returns ...xMxM with M = N + |offset|.
API(Tensor diag_embed(In x, int64_t offset = 0))

OP(diag_embed) = {
    .name = "diag_embed",
    .kind = OpKind::composite,
    .attrs = attr_type<DiagonalAttrs>(),
    .infer =
        [](Infer& in) {
          in.check(in.rank(0) >= 1, {"a scalar has no diagonal"});
          Shape out = in.shape(0);
          out[-1] += std::abs(in.attrs<DiagonalAttrs>().offset);
          out.push_back(out[-1]);
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const int64_t offset = static_cast<const DiagonalAttrs*>(attrs)->offset;
          Shape shape = in[0].shape();
          const int64_t n = shape[-1] + std::abs(offset);
          shape[-1] = n * n;
          Ints starts(shape.size(), 0), steps(shape.size(), 1);
          starts[-1] = in[0].size(-1) ? begin(offset, n) : 0;
          steps[-1] = n + 1;
          const Tensor y = slices_scatter(zeros(shape, in[0].dtype()), in[0], starts, steps);
          shape[-1] = n;
          shape.push_back(n);
          return Tensors{reshape(y, shape)};
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{diag_embed(x[0])}; },
              "torch.diag_embed({0})");
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{diag_embed(x[0], 1), diag_embed(x[0], -2)};
              },
              "(torch.diag_embed({0}, 1), torch.diag_embed({0}, -2))");
          s.add(
              {s.integers({2, 0}, 0, 9)},
              [](const Tensors& x) { return Tensors{diag_embed(x[0], 1)}; },
              "torch.diag_embed({0}, 1)");
          s.bad(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{diag_embed(x[0])}; },
              "a scalar has no diagonal");
        },
};

Tensor diag_embed(In x, int64_t offset) { return make(op_diag_embed, DiagonalAttrs{offset}, {x}); }

}  // namespace nacre
