// Every model of the zoo by one set of tests.
#include "nacre/zoo.h"

#include <gtest/gtest.h>

#include "nacre/error.h"
#include "nacre/train.h"
#include "zoo/tiny.h"

namespace nacre {
namespace test {

INSTANTIATE_TEST_SUITE_P(Quick, TinyZoo, testing::ValuesIn(tiny_models(true)),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace test

namespace {

using test::with_batch;

class Zoo : public testing::TestWithParam<const ModelEntry*> {};

TEST_P(Zoo, HasThePublishedSize) {
  const ModelEntry& e = *GetParam();
  EXPECT_GT(std::string(e.summary).size(), 10u);
  EXPECT_GT(std::string(e.paper).size(), 5u);
  // Every variable is one zero, seen under its shape: sizes need no memory.
  static const float zero = 0;
  const auto net =
      make_model(e.name, "", Scope::load([](const std::string&, const Shape& shape, DType dtype) {
                   return Tensor::wrap(nullptr, &zero, shape, dtype, Shape(shape.size(), 0));
                 }));
  EXPECT_GT(net->parameter_count(), 0);
  EXPECT_EQ(TrainConfig::for_model(e.name).model, e.name);  // its settings can be read
  if (e.parameters) {
    EXPECT_EQ(net->parameter_count(), e.parameters);
  }
  int64_t macs = 0;
  if (e.macs && !e.input.empty()) {
    macs = count_macs(*net, with_batch(1, e.input));
    EXPECT_EQ(macs, e.macs);
  }
  std::printf("%s: %ld parameters (published %ld), %ld MACs (published %ld)\n", e.name,
              static_cast<long>(net->parameter_count()), static_cast<long>(e.parameters),
              static_cast<long>(macs), static_cast<long>(e.macs));
}

INSTANTIATE_TEST_SUITE_P(All, Zoo, testing::ValuesIn(all_models()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(ZooTable, NamesNearModelsAndOptions) {
  const auto message = [](const auto& f) {
    try {
      f();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::usage);
      return std::string(e.what());
    }
    return std::string("nothing thrown");
  };
  const Scope s = Scope::init(Key(0));
  EXPECT_NE(message([&] { find_model("lenet4"); }).find("lenet5"), std::string::npos);
  EXPECT_NE(message([&] { find_model("zzzzzzzzzz"); }).find("zoo list"), std::string::npos);
  EXPECT_NE(message([&] { make_model("mlp", "hiden=3", s); }).find("hiden"), std::string::npos);
  EXPECT_NE(message([&] { make_model("mlp", "in=x", s); }).find("'x'"), std::string::npos);
  EXPECT_NE(message([&] { make_model("mlp", "in", s); }).find("name=value"), std::string::npos);
  const std::string all = model_options("mlp", "classes=7");
  EXPECT_NE(all.find("classes=7"), std::string::npos);
  EXPECT_EQ(model_options("mlp", all), all);
}

TEST(ZooTable, ListsLayersWithAllParameters) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  int64_t parameters = 0;
  for (const LayerInfo& l : list_layers(*net, with_batch(1, find_model("lenet5").input)))
    parameters += l.parameters;
  EXPECT_EQ(parameters, net->parameter_count());
}

}  // namespace
}  // namespace nacre
