#include "ops/random/random.h"

namespace nacre {

/// Random numbers of [0, 1), each multiple of 2^-24 (f64: 2^-53) as likely. key: see key_tensor.
API(Tensor random_uniform(const Shape& shape, In key, DType dtype = DType::f32))
/// Random numbers of [low, high), floating. low, high: numbers, or tensors that broadcast with the
/// shape.
API(Tensor uniform(const Shape& shape, const Key& key, In low = 0.0, In high = 1.0,
                   DType dtype = DType::f32))
/// Numbers with density rate * exp(-rate * x).
API(Tensor exponential(const Shape& shape, const Key& key, In rate = 1.0, DType dtype = DType::f32))
/// Numbers of the standard Gumbel distribution, -log(-log(u)): the largest of logits plus such
/// numbers is a draw from their softmax.
API(Tensor gumbel(const Shape& shape, const Key& key, DType dtype = DType::f32))
/// 1 with probability p, else 0, in the type and shape of p. p: floating, 0..1.
API(Tensor bernoulli(In p, const Key& key))
/// Draws of class numbers (i64, ...xn) with probability in proportion to the last dimension of
/// probs (...xC, floating, not negative). With replacement each draw stands alone; without it n may
/// not exceed C, and classes of probability 0 come last (Gumbel top-k: Kool et al., 2019,
/// arXiv:1903.06059).
API(Tensor multinomial(In probs, int64_t n, const Key& key, bool replacement = false))

OP(random_uniform) = {
    .name = "random_uniform",
    .attrs = attr_type<RandomAttrs>(),
    .infer = infer_random_float,
    .ref =
        [](Ref& r) {
          for (int64_t i = 0; i < r.out().n; ++i)
            r.out().d[i] = uniform_value(key_value(r.in()), i, r.out().dtype);
        },
    .onnx = "RandomUniform",
    .samples =
        [](Samples& s) {
          const char* oracle = "statistics and moments, in tests/ops";
          s.add({s.key(7)}, [](const Tensors& x) {
             return Tensors{random_uniform({3, 5}, x[0]), random_uniform({2, 3}, x[0], DType::f64),
                            random_uniform({7}, x[0], DType::bf16)};
           }).oracle = oracle;
          OpSample& f32 =
              s.add({s.uniform({3}, -2, -1), s.uniform({2, 1}, 1, 2)}, [](const Tensors& x) {
                return Tensors{uniform({2, 3}, Key(1), x[0], x[1])};
              });
          f32.oracle = oracle;
          f32.check_grad = false;  // that of the sample in f64 below
          s.add({}, [](const Tensors&) {
             return Tensors{exponential({4}, Key(1), 2.5), gumbel({0, 2}, Key(2)),
                            gumbel({}, Key(3), DType::f64)};
           }).oracle = oracle;
          OpSample& b = s.add({s.uniform({3, 4}, 0.1, 0.9)}, [](const Tensors& x) {
            const Tensor p = cast(x[0], DType::f32);  // numbers of another type are other numbers
            return Tensors{bernoulli(p, Key(5)), multinomial(p, 2, Key(6)),
                           multinomial(p, 7, Key(6), true)};
          });
          b.oracle = oracle;
          b.check_grad = false;
          s.add({s.uniform({3}, -2, -1), s.uniform({2, 1}, 1, 2)}, [](const Tensors& x) {
             const Tensor a = cast(x[0], DType::f64), b = cast(x[1], DType::f64);
             return Tensors{uniform({2, 3}, Key(1), a, b, DType::f64)};
           }).oracle = oracle;
          s.bad(
              {}, [](const Tensors&) { return Tensors{uniform({2}, Key(1), 0, 1, DType::i64)}; },
              "i64 is not a floating type");
          s.bad(
              {s.uniform({3}, 0, 1)},
              [](const Tensors& x) { return Tensors{multinomial(x[0], 4, Key(1))}; },
              "cannot draw 4 of 3");
          s.bad(
              {s.uniform({}, 0, 1)},
              [](const Tensors& x) { return Tensors{multinomial(x[0], 1, Key(1))}; }, "no classes");
        },
};

Tensor random_uniform(const Shape& shape, In key, DType dtype) {
  return make(op_random_uniform, RandomAttrs{shape, dtype}, {key});
}

Tensor uniform(const Shape& shape, const Key& key, In low, In high, DType dtype) {
  const Tensor u = random_uniform(shape, key_tensor(key), dtype);
  return low + (high - low) * u;
}

Tensor exponential(const Shape& shape, const Key& key, In rate, DType dtype) {
  return neg(log1p(neg(random_uniform(shape, key_tensor(key), dtype)))) / rate;
}

Tensor gumbel(const Shape& shape, const Key& key, DType dtype) {
  // A uniform number of 0 would give infinity; half of the smallest other one stands for it.
  return neg(
      log(maximum(exponential(shape, key, 1.0, dtype), dtype == DType::f64 ? 0x1p-54 : 0x1p-25)));
}

Tensor bernoulli(In p, const Key& key) {
  const Tensor q = as_float(p);
  const DType wide = q.dtype() == DType::f64 ? DType::f64 : DType::f32;
  return cast(lt(random_uniform(q.shape(), key_tensor(key), wide), q), q.dtype());
}

Tensor multinomial(In probs, int64_t n, const Key& key, bool replacement) {
  const Tensor p = as_float(probs);
  if (p.rank() < 1 || p.size(-1) < 1)
    fail(Error::Kind::shape,
         {"[multinomial] there are no classes in probs of shape ", p.shape(), where()});
  const int64_t classes = p.size(-1);
  if (n < 0 || (!replacement && n > classes))
    fail(Error::Kind::shape,
         {"[multinomial] cannot draw ", n, " of ", classes, " classes", where()});
  if (!replacement) return topk(log(p) + gumbel(p.shape(), key, p.dtype()), n)[1];
  const Tensor sums = cumsum(p, -1);
  Shape shape = p.shape();
  shape[-1] = n;
  const Tensor u = random_uniform(shape, key_tensor(key), p.dtype()) * slice(sums, -1, -1);
  return minimum(searchsorted(sums, u, true), classes - 1);
}

}  // namespace nacre
