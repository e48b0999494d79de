#include <gtest/gtest.h>

#include <cmath>

#include "arrays.h"
#include "nacre/weights.h"
#include "temp_folder.h"

namespace nacre {
namespace {

using TorchTest = TempFolder;

void expect_values(const RawTensor& t, const std::vector<double>& expected) {
  ASSERT_EQ(t.shape.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(element(t, static_cast<int64_t>(i)), expected[i]) << i;
}

/// What state.pth and plain.pth hold.
void expect_state(const Weights& w) {
  EXPECT_EQ(w.format, "pytorch");
  EXPECT_EQ(w.tensors.size(), 16u);
  expect_golden(tensor(w, "conv.weight"), DType::f32, {2, 3, 2});
  expect_golden(tensor(w, "conv.bias"), DType::f64, {3});
  expect_golden(tensor(w, "half"), DType::f16, {5});
  expect_golden(tensor(w, "brain"), DType::bf16, {5});
  expect_golden(tensor(w, "i8"), DType::i8, {5});
  expect_golden(tensor(w, "i16"), DType::i32, {5});
  expect_golden(tensor(w, "i32"), DType::i32, {5});
  expect_golden(tensor(w, "i64"), DType::i64, {5});
  expect_golden(tensor(w, "mask"), DType::boolean, {5});
  expect_golden(tensor(w, "u8"), DType::u8, {4}, 3, 0);
  expect_golden(tensor(w, "scalar"), DType::i64, {});
  expect_golden(tensor(w, "empty"), DType::f32, {0, 3});
  expect_golden(tensor(w, "transposed"), DType::f32, {4, 3});
  expect_golden(tensor(w, "part"), DType::f32, {2, 3});
  expect_golden(tensor(w, "tied"), DType::f32, {2, 3});
  expect_values(tensor(w, "expanded"), {-7, -7, -7, -4, -4, -4});
}

TEST_F(TorchTest, ZipForm) { expect_state(read_weights(golden("state.pth"))); }

TEST_F(TorchTest, PlainForm) { expect_state(read_weights(golden("plain.pth"))); }

TEST_F(TorchTest, TarForm) {
  const Weights w = read_weights(golden("tar.pth"));
  EXPECT_EQ(w.tensors.size(), 3u);
  expect_golden(tensor(w, "a"), DType::f32, {3, 2});
  expect_values(tensor(w, "view"), {-1, 2, 5, 8});
  expect_values(tensor(w, "turned"), {-7, -1, 5, -4, 2, 8});
}

TEST_F(TorchTest, ArraysThatLieAsMemoryWantsThemAreMapped) {
  const Weights w = read_weights(golden("state.pth"));
  // The tied one has the same memory; so does every contiguous one lie in one map of the file.
  EXPECT_EQ(tensor(w, "part").data, tensor(w, "tied").data);
  const auto* a = static_cast<const char*>(tensor(w, "conv.weight").data);
  const auto* b = static_cast<const char*>(tensor(w, "conv.bias").data);
  EXPECT_LT(std::abs(a - b), 6000);
}

TEST_F(TorchTest, ScriptArchive) {
  const Weights w = read_weights(golden("script.pt"));
  EXPECT_EQ(w.tensors.size(), 2u);
  expect_golden(tensor(w, "weight"), DType::f32, {2, 2});
  expect_golden(tensor(w, "bias"), DType::f32, {2});
}

TEST_F(TorchTest, NewTypesAndTheOtherByteOrder) {
  const Weights odd = read_weights(golden("new_types.pth"));
  expect_golden(tensor(odd, "u16"), DType::i32, {3}, 3, 0);
  expect_golden(tensor(odd, "f8"), DType::f16, {5});
  expect_values(tensor(odd, "f8b"), {1.5, -0.25, std::ldexp(1.0, -16)});
  const Weights big = read_weights(golden("big.pth"));
  expect_golden(tensor(big, "discriminator.w"), DType::f32, {3});
  const auto text = error_of(Error::Kind::unsupported, [] { read_weights(golden("complex.pth")); });
  EXPECT_NE(text.find("holds 1 tensors of types that are not supported: c (ComplexFloatStorage)"),
            std::string::npos)
      << text;
}

TEST_F(TorchTest, TheDictOfWeightsIsFound) {
  const Weights w = read_weights(golden("training.pth"));
  EXPECT_EQ(w.metadata.at("prefix"), "state_dict");
  EXPECT_EQ(w.tensors.size(), 7u);
  EXPECT_EQ(w.tensors[0].first, "0.weight");  // "module." is gone
  expect_golden(tensor(w, "0.weight"), DType::f32, {2, 2});
  expect_golden(tensor(w, "1.num_batches_tracked"), DType::i64, {});
  const Weights moments = read_weights(golden("training.pth"), {.prefix = "optimizer.state.0"});
  EXPECT_EQ(moments.tensors.size(), 3u);
  EXPECT_EQ(tensor(moments, "exp_avg").shape, (Shape{2, 2}));
  const Weights kept =
      read_weights(golden("training.pth"), {.prefix = "state_dict", .drop_module = false});
  EXPECT_EQ(kept.tensors[0].first, "module.0.weight");
  const Weights two = read_weights(golden("two.pth"));
  EXPECT_EQ(two.tensors[0].first, "generator.w");
  EXPECT_EQ(two.tensors.size(), 2u);
  EXPECT_EQ(read_weights(golden("two.pth"), {.prefix = "discriminator"}).tensors[0].first, "w");
  EXPECT_EQ(read_weights(golden("tensor.pth")).tensors[0].first, "tensor");
  error_of(Error::Kind::usage, [] { read_weights(golden("two.pth"), {.prefix = "critic"}); });
}

TEST_F(TorchTest, CodeIsRefusedByName) {
  const auto evil = error_of(Error::Kind::unsupported, [] { read_weights(golden("evil.pth")); });
  EXPECT_NE(evil.find("evil.pth asks to run posix.system, which a file of weights has no reason"),
            std::string::npos)
      << evil;
  const auto module =
      error_of(Error::Kind::unsupported, [] { read_weights(golden("module.pth")); });
  EXPECT_NE(module.find("torch.nn.modules.linear.Linear"), std::string::npos) << module;
  EXPECT_NE(module.find("save its state_dict() instead"), std::string::npos) << module;
}

}  // namespace
}  // namespace nacre
