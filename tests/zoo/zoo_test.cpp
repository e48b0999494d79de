// Every model of the zoo by one set of tests.
#include "nacre/zoo.h"

#include <gtest/gtest.h>

#include "nacre/error.h"
#include "nacre/train.h"
#include "zoo/options.h"
#include "zoo/tiny.h"

namespace nacre {
namespace test {

INSTANTIATE_TEST_SUITE_P(Quick, TinyZoo, ::testing::ValuesIn(tiny_models(true)),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace test

namespace {

using test::with_batch;

class Zoo : public ::testing::TestWithParam<const ModelEntry*> {};

TEST_P(Zoo, HasThePublishedSize) {
  const ModelEntry& e = *GetParam();
  EXPECT_GT(std::string(e.summary).size(), 10u);
  EXPECT_GT(std::string(e.paper).size(), 5u);
  EXPECT_EQ(TrainConfig::for_model(e.name).model, e.name);  // its settings can be read
  const test::Size size = test::published_form(e);
  EXPECT_GT(size.parameters, 0);
  if (e.parameters) {
    EXPECT_EQ(size.parameters, e.parameters);
  }
  EXPECT_EQ(size.macs, e.macs);
}

INSTANTIATE_TEST_SUITE_P(All, Zoo, ::testing::ValuesIn(all_models()),
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

TEST(ZooTable, OptionsOfTheInputChangeItsShape) {
  for (const ModelEntry* e : all_models()) EXPECT_EQ(model_input(e->name), e->input) << e->name;
  EXPECT_EQ(model_input("resnet20", "channels=1"), (Shape{1, 32, 32}));
  EXPECT_EQ(model_input("capsnet", "side=20 channels=2"), (Shape{2, 20, 20}));
  EXPECT_EQ(model_input("mlp", "in=64"), Shape{64});
  EXPECT_EQ(model_input("mlp", "hidden=32 classes=3"), Shape{784});
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
