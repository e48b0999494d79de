#include <gtest/gtest.h>

#include "arrays.h"
#include "nacre/weights.h"
#include "temp_folder.h"

namespace nacre {
namespace {

TEST(Gguf, PlainTypesAndMetadata) {
  const Weights w = read_weights(golden("weights.gguf"));
  EXPECT_EQ(w.format, "gguf");
  EXPECT_EQ(w.tensors.size(), 13u);
  expect_golden(tensor(w, "plain.f32"), DType::f32, {2, 3});
  expect_golden(tensor(w, "plain.f16"), DType::f16, {2, 3});
  expect_golden(tensor(w, "plain.bf16"), DType::bf16, {2, 3});
  expect_golden(tensor(w, "plain.f64"), DType::f64, {2, 3});
  expect_golden(tensor(w, "plain.i8"), DType::i8, {2, 3});
  expect_golden(tensor(w, "plain.i16"), DType::i32, {2, 3});
  expect_golden(tensor(w, "plain.i32"), DType::i32, {2, 3});
  expect_golden(tensor(w, "plain.i64"), DType::i64, {2, 3});
  EXPECT_EQ(w.metadata.at("general.architecture"), "llama");
  EXPECT_EQ(w.metadata.at("general.name"), "tiny \u00e9");
  EXPECT_EQ(w.metadata.at("llama.context_length"), "128");
  EXPECT_EQ(w.metadata.at("llama.rope.freq_base"), "10000.0");
  EXPECT_EQ(w.metadata.at("tokenizer.ggml.add_bos_token"), "true");
  EXPECT_EQ(w.metadata.at("tokenizer.ggml.tokens"), R"(["<s>","a \"quote\"","é"])");
  EXPECT_EQ(w.metadata.at("tokenizer.ggml.scores"), "[0.5,-1.0]");
}

TEST(Gguf, QuantisedTypesAreUnpackedAsLlamaCppDoes) {
  const Weights w = read_weights(golden("weights.gguf"));
  for (const auto& [name, want] : load_npz(golden("weights_gguf.npz"))) {
    const RawTensor& t = tensor(w, name);
    ASSERT_EQ(t.dtype, DType::f32);
    ASSERT_EQ(t.shape, (Shape{3, 64}));
    for (int64_t i = 0; i < t.shape.numel(); ++i)
      EXPECT_NEAR(element(t, i), element(want, i), 1e-6) << name << " " << i;
  }
}

TEST(Gguf, TypesWithoutAPlaceAreNamed) {
  std::string bytes = golden_bytes("weights.gguf");
  const size_t name = bytes.find("blk.0.q8_0");
  ASSERT_NE(name, bytes.npos);
  bytes[name + 10 + 4 + 16] = 14;  // its type, after rank and two sizes
  EXPECT_EQ(error_of(Error::Kind::unsupported, [&] { parse_gguf(bytes, nullptr, "f"); }),
            "f holds 1 tensors of types that are not supported: blk.0.q8_0 (q6_K)");
}

}  // namespace
}  // namespace nacre
