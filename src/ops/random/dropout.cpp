#include "ops/random/random.h"

namespace nacre {
namespace {

struct DropoutAttrs {
  double p = 0.5;
  void fields(FieldVisitor& v) { v("p", p); }
};

void check_rate(const char* op, double p) {
  if (!(p >= 0 && p <= 1))
    fail(Error::Kind::shape, {"[", op, "] rate ", p, " is not one of 0..1", where()});
}

/// dropout of ones in the shape of the first `kept` dimensions of x: one decision for all the rest.
Tensor mask_of(const Tensor& x, int64_t kept, double p, const Key& key) {
  Shape shape = x.shape();
  for (int64_t d = kept; d < shape.rank(); ++d) shape[d] = 1;
  return dropout(ones(shape, x.dtype()), p, key);
}

}  // namespace

/// Dropout (Srivastava et al., 2014): each entry is 0 with probability p, else x / (1 - p). Which
/// ones is a function of the key. x: any shape, floating.
API(Tensor dropout(In x, double p, const Key& key))
/// As above, with the key as a tensor (see key_tensor).
API(Tensor dropout(In x, double p, In key))
/// Dropout of whole channels (Tompson et al., 2015). x: [N, C, ...].
API(Tensor dropout2d(In x, double p, const Key& key))
/// Stochastic depth (Huang et al., 2016): dropout of whole examples. x: [N, ...].
API(Tensor drop_path(In x, double p, const Key& key))
/// Dropout for SELU networks, which keeps mean 0 and variance 1 (Klambauer et al., 2017,
/// arXiv:1706.02515): entries go to SELU's negative limit instead of 0.
API(Tensor alpha_dropout(In x, double p, const Key& key))

OP(dropout) = {
    .name = "dropout",
    .attrs = attr_type<DropoutAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          check_key(in, 1);
          const double p = in.attrs<DropoutAttrs>().p;
          in.check(p >= 0 && p <= 1, {"rate ", p, " is not one of 0..1"});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const double p = r.attrs<DropoutAttrs>().p;
          const auto least = static_cast<uint64_t>(std::llround(p * 0x1p32));
          for (int64_t i = 0; i < r.in().n; ++i)
            if (random_word(key_value(r.in(1)), static_cast<uint64_t>(i)) >= least)
              r.out().d[i] = r.in().d[i] / (1 - p);
        },
    .vjp = [](Vjp& v) { v.dx(0) = dropout(v.dy(), v.attrs<DropoutAttrs>().p, v.x(1)); },
    .onnx = "Dropout",
    .samples =
        [](Samples& s) {
          const char* oracle = "rates, moments and agreement with the mask, in tests/ops";
          s.add({s.uniform({3, 5}), s.key(7)}, [](const Tensors& x) {
             return Tensors{dropout(x[0], 0.3, x[1])};
           }).oracle = oracle;
          s.add({s.uniform({0, 5})}, [](const Tensors& x) {
             return Tensors{dropout(x[0], 0.3, Key(1))};
           }).oracle = oracle;
          s.add(
              {s.uniform({7})},
              [](const Tensors& x) {
                return Tensors{dropout(x[0], 0, Key(1)), dropout(x[0], 1, Key(1))};
              },
              "(F.dropout({0}, 0), F.dropout({0}, 1.0))");
          s.add({s.uniform({4, 3, 2, 2})}, [](const Tensors& x) {
             return Tensors{dropout2d(x[0], 0.5, Key(1)), drop_path(x[0], 0.5, Key(2)),
                            alpha_dropout(x[0], 0.5, Key(3))};
           }).oracle = oracle;
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) { return Tensors{dropout(x[0], 1.5, Key(1))}; },
              "rate 1.5 is not one of 0..1");
          s.bad(
              {s.integers({3}, 0, 9)},
              [](const Tensors& x) { return Tensors{dropout(x[0], 0.5, Key(1))}; },
              "a floating type is needed");
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) { return Tensors{dropout2d(x[0], 0.5, Key(1))}; },
              "no channels");
          s.bad(
              {s.uniform({})},
              [](const Tensors& x) { return Tensors{drop_path(x[0], 0.5, Key(1))}; },
              "no examples");
        },
};

Tensor dropout(In x, double p, In key) { return make(op_dropout, DropoutAttrs{p}, {x, key}); }
Tensor dropout(In x, double p, const Key& key) { return dropout(x, p, key_tensor(key)); }

Tensor dropout2d(In x, double p, const Key& key) {
  if (x->rank() < 2)
    fail(Error::Kind::shape, {"[dropout2d] there are no channels in shape ", x->shape(), where()});
  return x * mask_of(x, 2, p, key);
}

Tensor drop_path(In x, double p, const Key& key) {
  if (x->rank() < 1)
    fail(Error::Kind::shape, {"[drop_path] there are no examples in a scalar", where()});
  return x * mask_of(x, 1, p, key);
}

Tensor alpha_dropout(In x, double p, const Key& key) {
  check_rate("alpha_dropout", p);
  if (p == 1) return x * 0.0;
  // SELU(-infinity) = -scale * alpha
  constexpr double limit = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717;
  const double a = 1 / std::sqrt((1 - p) * (1 + p * limit * limit)), b = -a * p * limit;
  const Tensor keep = dropout(ones_like(x), p, key) * (1 - p);
  return (x * keep + limit * (1 - keep)) * a + b;
}

}  // namespace nacre
