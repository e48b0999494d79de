// MXNet is no longer packaged: what its NDArray::Save writes is put together here field by field.
#include <gtest/gtest.h>

#include "arrays.h"
#include "nacre/weights.h"
#include "temp_folder.h"

namespace nacre {
namespace {

template <typename T>
void put(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof(T));
}

TEST(Mxnet, ArraysOfEveryVersionByName) {
  std::string file;
  put<uint64_t>(file, 0x112);
  put<uint64_t>(file, 0);
  put<uint64_t>(file, 3);
  // Version 2: dense, 2x3 of f32 on a processor.
  put<uint32_t>(file, 0xF993FAC9);
  put<int32_t>(file, 0);
  put<uint32_t>(file, 2);
  for (const int64_t d : {2, 3}) put<int64_t>(file, d);
  for (const int32_t v : {1, 0, 0}) put<int32_t>(file, v);
  for (int i = 0; i < 6; ++i) put<float>(file, static_cast<float>(i * 3 - 7));
  // Version 1: three of i16.
  put<uint32_t>(file, 0xF993FAC8);
  put<uint32_t>(file, 1);
  put<int64_t>(file, 3);
  for (const int32_t v : {1, 0, 8}) put<int32_t>(file, v);
  for (int i = 0; i < 3; ++i) put<int16_t>(file, static_cast<int16_t>(i * 3 - 7));
  // Before that: two of f64, sizes of 32 bits.
  put<uint32_t>(file, 1);
  put<uint32_t>(file, 2);
  for (const int32_t v : {1, 0, 1}) put<int32_t>(file, v);
  for (int i = 0; i < 2; ++i) put<double>(file, i * 3 - 7);
  put<uint64_t>(file, 3);
  for (const std::string name : {"arg:fc_weight", "aux:bn_moving_mean", "plain"}) {
    put<uint64_t>(file, name.size());
    file += name;
  }
  const auto owner = std::make_shared<const std::string>(file);
  const Weights w = parse_weights(*owner, owner, "test");
  EXPECT_EQ(w.format, "mxnet");
  ASSERT_EQ(w.tensors.size(), 3u);
  EXPECT_EQ(w.tensors[0].first, "fc_weight");
  EXPECT_EQ(w.tensors[1].first, "bn_moving_mean");
  EXPECT_EQ(w.tensors[2].first, "plain");
  expect_golden(w.tensors[0].second, DType::f32, {2, 3});
  expect_golden(w.tensors[1].second, DType::i32, {3});
  expect_golden(w.tensors[2].second, DType::f64, {2});
}

}  // namespace
}  // namespace nacre
