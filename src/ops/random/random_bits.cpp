#include "ops/random/random.h"

namespace nacre {

/// A key as a tensor, the form in which random nodes take it: a 0-d i64 leaf, so that plans are
/// compiled for all keys at once.
API(Tensor key_tensor(const Key& key))
/// Random 32-bit words as i64: element i is random_word(key, i).
API(Tensor random_bits(const Shape& shape, const Key& key))
/// As above, with the key as a tensor (see key_tensor).
API(Tensor random_bits(const Shape& shape, In key))
/// Integers low..high-1, each as likely (to within 2^-32 for ranges below 2^31).
API(Tensor randint(const Shape& shape, const Key& key, int64_t low, int64_t high,
                   DType dtype = DType::i64))
/// The numbers 0..n-1 in random order, i64.
API(Tensor permutation(int64_t n, const Key& key))

OP(random_bits) = {
    .name = "random_bits",
    .attrs = attr_type<RandomAttrs>(),
    .infer =
        [](Infer& in) {
          const Ints& shape = in.attrs<RandomAttrs>().shape;
          check_key(in, 0);
          for (int64_t d : shape)
            in.check(d >= 0, {"shape ", as_list(shape), " has a negative entry"});
          in.out(DType::i64, shape);
        },
    .ref =
        [](Ref& r) {
          for (int64_t i = 0; i < r.out().n; ++i)
            r.out().i[i] = random_word(key_value(r.in()), static_cast<uint64_t>(i));
        },
    .samples =
        [](Samples& s) {
          const char* oracle = "Philox's known answers and statistics, in tests/ops";
          s.add({s.key(7)}, [](const Tensors& x) {
             return Tensors{random_bits({3, 5}, x[0])};
           }).oracle = oracle;
          s.add({}, [](const Tensors&) { return Tensors{random_bits({}, Key(1))}; }).oracle =
              oracle;
          s.add({}, [](const Tensors&) {
             return Tensors{random_bits({0, 2}, Key(1)), randint({9}, Key(3), -4, 5),
                            permutation(20, Key(4))};
           }).oracle = oracle;
          s.bad(
              {}, [](const Tensors&) { return Tensors{random_bits({-1}, Key(1))}; },
              "negative entry");
          s.bad(
              {s.uniform({})}, [](const Tensors& x) { return Tensors{random_bits({2}, x[0])}; },
              "a key is one i64");
          s.bad(
              {}, [](const Tensors&) { return Tensors{randint({2}, Key(1), 3, 3)}; },
              "no integers from 3 to below 3");
          s.bad(
              {}, [](const Tensors&) { return Tensors{permutation(-1, Key(1))}; },
              "negative entry");
        },
};

Tensor key_tensor(const Key& key) {
  return Tensor::from({static_cast<int64_t>(key.value())}, Shape{});
}

Tensor random_bits(const Shape& shape, In key) {
  return make(op_random_bits, RandomAttrs{shape, DType::i64}, {key});
}
Tensor random_bits(const Shape& shape, const Key& key) {
  return random_bits(shape, key_tensor(key));
}

Tensor randint(const Shape& shape, const Key& key, int64_t low, int64_t high, DType dtype) {
  if (low >= high)
    fail(Error::Kind::shape,
         {"[randint] there are no integers from ", low, " to below ", high, where()});
  const auto span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (span > static_cast<uint64_t>(INT64_MAX))
    fail(Error::Kind::shape,
         {"[randint] the range from ", low, " to ", high, " is too wide", where()});
  return cast(remainder(wide_bits(shape, key), static_cast<int64_t>(span)) + low, dtype);
}

Tensor permutation(int64_t n, const Key& key) { return argsort(wide_bits({n}, key)); }

}  // namespace nacre
