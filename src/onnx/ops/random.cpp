// Random numbers. Attribute `seed` fixes them; without it they come from the key of the pass.
#include <bit>

#include "onnx/call.h"

namespace nacre::onnx {
namespace {

Key key_of(const Call& c) {
  if (!c.given("seed")) return c.ctx.key();
  return Key(std::bit_cast<uint32_t>(static_cast<float>(c.f("seed"))));
}

/// Shape and type from attributes, or from an input that is to be resembled.
Shape shape_of(const Call& c) { return c.in.empty() ? Shape(c.is("shape")) : c.shape(0); }
DType type_of(const Call& c) {
  if (c.given("dtype")) return storage_of(static_cast<Elem>(c.i("dtype")));
  return c.in.empty() ? DType::f32 : c[0].dtype();
}

Values normal_values(Call& c) {
  return {normal(shape_of(c), key_of(c), c.f("mean"), c.f("scale", 1), type_of(c))};
}
Values uniform_values(Call& c) {
  return {uniform(shape_of(c), key_of(c), c.f("low"), c.f("high", 1), type_of(c))};
}

}  // namespace

ONNX(RandomNormal) = {"RandomNormal", normal_values};
ONNX(RandomNormalLike) = {"RandomNormalLike", normal_values};
ONNX(RandomUniform) = {"RandomUniform", uniform_values};
ONNX(RandomUniformLike) = {"RandomUniformLike", uniform_values};
ONNX(Bernoulli) = {
    "Bernoulli", [](Call& c) -> Values { return {cast(bernoulli(c[0], key_of(c)), type_of(c))}; }};
ONNX(Multinomial) = {
    "Multinomial", [](Call& c) -> Values {
      const DType t = c.given("dtype") ? storage_of(static_cast<Elem>(c.i("dtype"))) : DType::i32;
      const Tensor probs = softmax(c[0], -1);  // the input has logarithms
      return {cast(multinomial(probs, c.i("sample_size", 1), key_of(c), true), t)};
    }};

}  // namespace nacre::onnx
