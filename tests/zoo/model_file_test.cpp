// What may happen to a model's file on its way.
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "nacre/error.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre {
namespace {

TEST(ModelFile, AChangedByteIsFoundOrHarmless) {
  test::TempFolder folder;
  const std::string path = folder / "m.safetensors";
  ModelInfo info;
  info.model = "logistic_regression";
  info.options = "in=3 classes=2";
  info.transform = "normalize(mean=0.5,std=0.25)";
  info.classes = {"cat", "dog"};
  info.input = {3};
  const auto net = make_model(info.model, info.options, Scope::init(Key(1)));
  save_model(path, *net, info);
  const auto parameters = [](const Module& of) {
    std::vector<std::vector<float>> all;
    for (const Variable& v : of.variables()) all.push_back(v.value().to_vector<float>());
    return all;
  };
  const auto before = parameters(*net);
  const std::string good = read_file(path, 1 << 20);
  size_t found = 0, harmless = 0;
  for (size_t i = 0; i < good.size(); ++i)
    for (const int mask : {1, 0x20, 0x80}) {  // 0x20 turns letters into capitals
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ mask);
      std::ofstream(path, std::ios::binary) << bad;
      try {
        const Model m = load_model(path);
        ++harmless;
        EXPECT_EQ(parameters(*m.net), before) << i;
        EXPECT_EQ(m.info.options, info.options) << i;
        EXPECT_EQ(m.info.transform, info.transform) << i;
        EXPECT_EQ(m.info.classes, info.classes) << i;
        EXPECT_EQ(m.info.input, info.input) << i;
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), Error::Kind::data) << e.what();
        ++found;
      }
    }
  EXPECT_EQ(found + harmless, 3 * good.size());
  EXPECT_LE(harmless, 3u * 12);  // those in the name of the field of checksums
}

}  // namespace
}  // namespace nacre
