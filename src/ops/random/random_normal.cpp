#include <numbers>

#include "ops/random/random.h"

namespace nacre {

/// Random numbers of the standard normal distribution (Box and Muller, 1958). key: see key_tensor.
API(Tensor random_normal(const Shape& shape, In key, DType dtype = DType::f32))
/// Normally distributed numbers, floating. mean, std: numbers, or tensors that broadcast with the
/// shape.
API(Tensor normal(const Shape& shape, const Key& key, In mean = 0.0, In std = 1.0,
                  DType dtype = DType::f32))
/// Normally distributed numbers under the condition that they lie in low..high.
API(Tensor truncated_normal(const Shape& shape, const Key& key, double mean = 0, double std = 1,
                            double low = -2, double high = 2, DType dtype = DType::f32))

OP(random_normal) = {
    .name = "random_normal",
    .attrs = attr_type<RandomAttrs>(),
    .infer = infer_random_float,
    .ref =
        [](Ref& r) {
          const uint64_t key = key_value(r.in());
          for (int64_t i = 0; i < r.out().n; ++i) {
            const int64_t j = i / 2 * 2;  // elements come in pairs
            double u = 0, v = 0;
            if (r.out().dtype == DType::f64) {
              u = 1 - uniform_value(key, j, DType::f64);
              v = uniform_value(key, j + 1, DType::f64);
            } else {
              const auto at = static_cast<uint64_t>(j);
              u = (static_cast<double>(random_word(key, at)) + 1) * 0x1p-32;
              v = static_cast<double>(random_word(key, at + 1)) * 0x1p-32;
            }
            const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi * v;
            r.out().d[i] = radius * (i % 2 ? std::sin(angle) : std::cos(angle));
          }
        },
    .onnx = "RandomNormal",
    .samples =
        [](Samples& s) {
          const char* oracle = "statistics and moments, in tests/ops";
          s.add({s.key(7)}, [](const Tensors& x) {
             return Tensors{random_normal({3, 5}, x[0]), random_normal({2, 3}, x[0], DType::f64)};
           }).oracle = oracle;
          OpSample& f32 = s.add({s.uniform({3}), s.uniform({2, 1}, 1, 2)}, [](const Tensors& x) {
            return Tensors{normal({2, 3}, Key(1), x[0], x[1])};
          });
          f32.oracle = oracle;
          f32.check_grad = false;  // that of the sample in f64 below
          s.add({}, [](const Tensors&) {
             return Tensors{normal({0}, Key(1)), normal({}, Key(1), 2, 3),
                            truncated_normal({5}, Key(2), 1, 0.5, 0, 2)};
           }).oracle = oracle;
          s.add({s.uniform({3}), s.uniform({2, 1}, 1, 2)}, [](const Tensors& x) {
             const Tensor a = cast(x[0], DType::f64), b = cast(x[1], DType::f64);
             return Tensors{normal({2, 3}, Key(1), a, b, DType::f64)};
           }).oracle = oracle;
          s.bad(
              {}, [](const Tensors&) { return Tensors{normal({2}, Key(1), 0, 1, DType::i32)}; },
              "i32 is not a floating type");
          s.bad(
              {}, [](const Tensors&) { return Tensors{truncated_normal({2}, Key(1), 0, 1, 2, 1)}; },
              "no numbers from 2 to 1");
          s.bad(
              {}, [](const Tensors&) { return Tensors{truncated_normal({2}, Key(1), 0, -1)}; },
              "std -1");
        },
};

Tensor random_normal(const Shape& shape, In key, DType dtype) {
  return make(op_random_normal, RandomAttrs{shape, dtype}, {key});
}

Tensor normal(const Shape& shape, const Key& key, In mean, In std, DType dtype) {
  return mean + std * random_normal(shape, key_tensor(key), dtype);
}

Tensor truncated_normal(const Shape& shape, const Key& key, double mean, double std, double low,
                        double high, DType dtype) {
  if (!(low < high))
    fail(Error::Kind::shape,
         {"[truncated_normal] there are no numbers from ", low, " to ", high, where()});
  if (!(std > 0)) fail(Error::Kind::shape, {"[truncated_normal] std ", std, where()});
  // By the inverse of the distribution function, 1 + erf(.) twice over.
  const double a = std::erf((low - mean) / std * std::numbers::sqrt2 / 2);
  const double b = std::erf((high - mean) / std * std::numbers::sqrt2 / 2);
  const Tensor x = erfinv(uniform(shape, key, a, b, dtype)) * (std * std::numbers::sqrt2) + mean;
  return minimum(maximum(x, low), high);
}

}  // namespace nacre
