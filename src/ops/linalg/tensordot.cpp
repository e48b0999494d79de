#include "ops/op.h"

namespace nacre {
namespace {

struct TensordotAttrs {
  Ints dims_a, dims_b;
  void fields(FieldVisitor& v) {
    v("dims_a", dims_a);
    v("dims_b", dims_b);
  }
};

bool has(const Ints& list, int64_t d) {
  return std::find(list.begin(), list.end(), d) != list.end();
}

/// The dimensions that are not in the list.
Ints others(const Ints& list, int64_t rank) {
  Ints out;
  for (int64_t d = 0; d < rank; ++d)
    if (!has(list, d)) out.push_back(d);
  return out;
}

Shape pick(const Shape& shape, const Ints& dims) {
  Shape out;
  for (int64_t d : dims) out.push_back(shape[d]);
  return out;
}

Ints joined(const Ints& a, const Ints& b) {
  Ints out = a;
  for (int64_t v : b) out.push_back(v);
  return out;
}

}  // namespace

/// Products summed over pairs of dimensions: dims_a[i] of a with dims_b[i] of b. The result has the
/// other dimensions of a, then those of b.
API(Tensor tensordot(In a, In b, const Ints& dims_a, const Ints& dims_b))
/// tensordot over the last n dimensions of a and the first n of b.
API(Tensor tensordot(In a, In b, int64_t n = 2))
/// Sum of the products of two vectors.
API(Tensor dot(In a, In b))
/// All products of the entries of two vectors: a.size x b.size.
API(Tensor outer(In a, In b))
/// Kronecker product: blocks a[i][j] * b. Any ranks; the shorter shape is extended with ones at the
/// front.
API(Tensor kron(In a, In b))

OP(tensordot) = {
    .name = "tensordot",
    .kind = OpKind::composite,
    .attrs = attr_type<TensordotAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& t = in.attrs<TensordotAttrs>();
          in.check_same_dtype();
          in.check(t.dims_a.size() == t.dims_b.size(),
                   {"dims ", as_list(t.dims_a), " and ", as_list(t.dims_b), " are no pairs"});
          for (int64_t i = 0; i < t.dims_a.rank(); ++i)
            in.check(in.shape(0)[t.dims_a[i]] == in.shape(1)[t.dims_b[i]],
                     {"dimension ", t.dims_a[i], " of a has size ", in.shape(0)[t.dims_a[i]],
                      ", dimension ", t.dims_b[i], " of b has ", in.shape(1)[t.dims_b[i]]});
          in.out(in.dtype(0), joined(pick(in.shape(0), others(t.dims_a, in.rank(0))),
                                     pick(in.shape(1), others(t.dims_b, in.rank(1)))));
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& t = *static_cast<const TensordotAttrs*>(attrs);
          const Ints rest_a = others(t.dims_a, in[0].rank()),
                     rest_b = others(t.dims_b, in[1].rank());
          const Shape rows = pick(in[0].shape(), rest_a), columns = pick(in[1].shape(), rest_b);
          const int64_t inner = pick(in[0].shape(), t.dims_a).numel();
          const Tensor a = reshape(permute(in[0], joined(rest_a, t.dims_a)), {rows.numel(), inner});
          const Tensor b =
              reshape(permute(in[1], joined(t.dims_b, rest_b)), {inner, columns.numel()});
          return Tensors{reshape(matmul(a, b), joined(rows, columns))};
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}), s.uniform({4, 5, 2})},
              [](const Tensors& x) {
                return Tensors{tensordot(x[0], x[1], {-1, 0}, {0, 2})};
              },
              "torch.tensordot({0}, {1}, ([2, 0], [0, 2]))");
          s.add(
              {s.uniform({2, 3, 4}), s.uniform({3, 4, 2})},
              [](const Tensors& x) {
                return Tensors{tensordot(x[0], x[1]), tensordot(x[1], x[0], 1)};
              },
              "(torch.tensordot({0}, {1}, 2), torch.tensordot({1}, {0}, 1))");
          s.add(
              {s.uniform({3}), s.uniform({})},
              [](const Tensors& x) { return Tensors{tensordot(x[0], x[1], 0)}; },
              "torch.tensordot({0}, {1}, 0)");
          s.add(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) {
                return Tensors{dot(x[0], x[1]), outer(x[0], x[1])};
              },
              "(torch.dot({0}, {1}), torch.outer({0}, {1}))");
          s.add(
              {s.uniform({2, 3}), s.uniform({4, 1}), s.uniform({2})},
              [](const Tensors& x) {
                return Tensors{kron(x[0], x[1]), kron(x[0], x[2])};
              },
              "(torch.kron({0}, {1}), torch.kron({0}, {2}))");
          s.add(
              {s.integers({0}, 0, 9), s.integers({0}, 0, 9)},
              [](const Tensors& x) { return Tensors{dot(x[0], x[1])}; }, "torch.tensor(0)");
          s.bad(
              {s.uniform({2, 3}), s.uniform({4, 5})},
              [](const Tensors& x) { return Tensors{tensordot(x[0], x[1], 1)}; },
              "dimension 1 of a has size 3, dimension 0 of b has 4");
          s.bad(
              {s.uniform({2, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{tensordot(x[0], x[1], {1}, {})}; },
              "are no pairs");
          s.bad(
              {s.uniform({2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{tensordot(x[0], x[1], 2)}; },
              "cannot sum over 2 dimensions");
          s.bad(
              {s.uniform({3}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{dot(x[0], x[1])}; }, "a has size 3");
          s.bad(
              {s.uniform({3, 2}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{outer(x[0], x[1])}; }, "[outer]");
          s.bad(
              {s.uniform({2, 2}), s.uniform({2, 2})},
              [](const Tensors& x) {
                return Tensors{tensordot(x[0], x[1], {0, 0}, {0, 1})};
              },
              "twice");
        },
};

namespace {
Ints checked(const Ints& dims, int64_t rank) {
  Ints out;
  for (int64_t d : dims) {
    d = normalize_dim(d, rank);
    if (has(out, d))
      fail(Error::Kind::shape,
           {"[tensordot] dims ", as_list(dims), " name one dimension twice", where()});
    out.push_back(d);
  }
  return out;
}

void check_vectors(const char* op, const Tensor& a, const Tensor& b) {
  if (a.rank() != 1 || b.rank() != 1)
    fail(Error::Kind::shape, {"[", op, "] shapes ", a.shape(), " and ", b.shape(),
                              ", two vectors are needed", where()});
}
}  // namespace

Tensor tensordot(In a, In b, const Ints& dims_a, const Ints& dims_b) {
  const auto [x, y] = unify(a, b);
  return make(op_tensordot, TensordotAttrs{checked(dims_a, x.rank()), checked(dims_b, y.rank())},
              {x, y});
}

Tensor tensordot(In a, In b, int64_t n) {
  if (n < 0 || n > a->rank() || n > b->rank())
    fail(Error::Kind::shape, {"[tensordot] cannot sum over ", n, " dimensions of shapes ",
                              a->shape(), " and ", b->shape(), where()});
  Ints dims_a, dims_b;
  for (int64_t i = 0; i < n; ++i) {
    dims_a.push_back(a->rank() - n + i);
    dims_b.push_back(i);
  }
  return tensordot(a, b, dims_a, dims_b);
}

Tensor dot(In a, In b) {
  check_vectors("dot", a, b);
  return tensordot(a, b, 1);
}

Tensor outer(In a, In b) {
  check_vectors("outer", a, b);
  return unsqueeze(a, 1) * unsqueeze(b, 0);
}

Tensor kron(In a, In b) {
  Shape x = a->shape(), y = b->shape();
  while (x.size() < y.size()) x.insert(0, 1);
  while (y.size() < x.size()) y.insert(0, 1);
  Shape wide_x, wide_y, out;
  for (int64_t d = 0; d < x.rank(); ++d) {
    wide_x.push_back(x[d]);
    wide_x.push_back(1);
    wide_y.push_back(1);
    wide_y.push_back(y[d]);
    out.push_back(x[d] * y[d]);
  }
  return reshape(reshape(a, wide_x) * reshape(b, wide_y), out);
}

}  // namespace nacre
