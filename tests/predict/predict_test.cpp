// Predictor against the network itself, run as a module on one sample after the other.
#include "nacre/predict.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "nacre/onnx.h"
#include "nacre/ops.h"
#include "onnx/make_model.h"
#include "predict/models.h"
#include "predict/network.h"
#include "tools/shell.h"

namespace nacre {
namespace {

Sample picture(int i) {
  Sample s;
  s.image = Image(20 + i % 3, 24, 3, 0.01f * static_cast<float>(i));
  s.image.at(i % 20, i % 24) = 1;
  return s;
}

/// exp(v) / sum of exp, of the module's output for one sample.
std::vector<double> by_hand(const Predictor& p, Sample s) {
  Context ctx = Context::eval();
  Shape shape = {1};
  for (int64_t d : p.info().input) shape.push_back(d);
  auto y = p.net()(Tensor::from(p.prepare(std::move(s)), shape), ctx).to_vector<double>();
  double sum = 0;
  for (double& v : y) sum += v = std::exp(v);
  for (double& v : y) v /= sum;
  return y;
}

TEST(Predictor, ManySamplesGiveWhatTheModuleGivesForEach) {
  const Predictor p(digits_model());
  EXPECT_TRUE(p.batches());
  EXPECT_EQ(p.inputs()[0].shape, Shape({-1, 1, 32, 32}));
  EXPECT_EQ(p.outputs()[0].shape, Shape({-1, 3}));
  for (const int n : {1, 5, 13, 70}) {
    std::vector<Sample> samples;
    for (int i = 0; i < n; ++i) samples.push_back(picture(i));
    const auto found = p.predict(samples);
    ASSERT_EQ(found.size(), samples.size());
    for (int i = 0; i < n; i += 1 + n / 8) {
      const auto want = by_hand(p, picture(i));
      const auto& got = found[static_cast<size_t>(i)].classes;
      ASSERT_EQ(got.size(), 3u);
      EXPECT_GE(got[0].probability, got[1].probability);
      for (const auto& [label, probability] : got)
        EXPECT_NEAR(probability, want[static_cast<size_t>(label[0] - 'a')], 2e-6) << n << " " << i;
    }
  }
  EXPECT_EQ(p.predict(picture(1), 2).classes.size(), 2u);
}

std::string message(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

using Named = std::vector<std::pair<std::string, std::string>>;

void expect_table(const Predictor& p) {
  ASSERT_NE(p.schema(), nullptr);
  const auto scores = [&](Sample s) { return p.predict(std::move(s)).values; };
  EXPECT_EQ(scores(p.row({"4", "Oslo"})), (std::vector<float>{4, 10}));
  EXPECT_EQ(scores(p.row_by_name(Named{{"city", "Paris"}, {"x", "2.5"}})),
            (std::vector<float>{2.5f, 0}));
  EXPECT_EQ(p.predict(p.row({"4", "Oslo"})).label(), "yes");
  EXPECT_NEAR(p.predict(p.row({"4", "Oslo"})).classes[0].probability, 1 / (1 + std::exp(-6.)),
              1e-9);
}

TEST(Predictor, RowsByNameAndInOrder) {
  const Predictor p(table_model());
  expect_table(p);
  std::string remark;
  EXPECT_EQ(p.predict(p.row({"4", "Rome"}, &remark)).values, (std::vector<float>{4, 0}));
  EXPECT_EQ(remark, "'Rome' is none of the texts of 'city' in the training part");
  remark.clear();
  p.row_by_name(Named{{"answer", "yes"}, {"city", ""}, {"x", "1"}},
                &remark);  // the target is not read
  EXPECT_EQ(remark, "");
  EXPECT_EQ(message([&] { p.row_by_name(Named{{"x", "1"}}); }), "the row has no column 'city'");
  EXPECT_EQ(message([&] {
              p.row_by_name(Named{{"x", "1"}, {"city", "Oslo"}, {"town", "Oslo"}});
            }),
            "the training part has no column 'town'");
  EXPECT_EQ(message([&] {
              p.row_by_name(Named{{"x", "1"}, {"x", "2"}});
            }),
            "the column 'x' is given twice");
  EXPECT_EQ(message([&] { p.row({"1"}); }), "a row has 1 cells, must have 2");
  EXPECT_NE(message([&] {
              p.row({"many", "Oslo"});
            }).find("'many' in the column 'x'"),
            std::string::npos);
  EXPECT_NE(message([&] { Predictor(digits_model()).row({"1"}); }).find("no columns"),
            std::string::npos);
  EXPECT_NE(message([&] { p.picture("no picture either"); }).find("takes rows of a table"),
            std::string::npos);
}

TEST(Predictor, AnOnnxFileKeepsTheColumns) {
  test::TempFolder folder;
  const std::string path = folder / "m.onnx";
  const Model m = table_model();
  onnx::save(path, *m.net, m.info.input, {.metadata = onnx_metadata(m.info)});
  const Predictor p(path);
  expect_table(p);
  EXPECT_TRUE(p.batches());
  EXPECT_EQ(p.info().classes, m.info.classes);
}

std::string write(const test::TempFolder& folder, const onnx::make::Parts& parts) {
  const std::string path = folder / "m.onnx";
  std::ofstream(path, std::ios::binary) << onnx::make::model(parts);
  return path;
}

TEST(Predictor, ProbabilitiesOfTheNetworkAreLeftAsTheyAre) {
  test::TempFolder folder;
  onnx::make::Parts parts = onnx::make::linear();
  parts.nodes.push_back(onnx::make::node("Softmax", {"y"}, {"z"}));
  parts.outputs = {onnx::make::value("z", {-1, 2})};
  const Predictor p(write(folder, parts));
  const auto found = p.interpret(std::vector<float>{0.25f, 0.75f});
  EXPECT_EQ(found.label(), "1");
  EXPECT_EQ(found.classes[0].probability, 0.75);
}

TEST(Predictor, RowsThatANetworkMixesAreRunOneByOne) {
  test::TempFolder folder;
  onnx::make::Parts parts =
      onnx::make::linear();  // the output of this one is the sum over the batch
  parts.nodes.push_back(onnx::make::node("ReduceSum", {"y"}, {"z"}));
  parts.outputs = {onnx::make::value("z", {1, 1})};
  const Predictor p(write(folder, parts));
  EXPECT_FALSE(p.batches());
  Sample s;
  s.features = {1, 0, 0};
  const auto one = p.predict(s).values, two = p.predict(std::vector<Sample>{s, s})[1].values;
  EXPECT_EQ(one, two);
}

TEST(Predictor, ScoresThatAreNotFiniteComeLast) {
  const Predictor p(digits_model());
  const float nan = std::nanf("");
  const auto found = p.interpret(std::vector<float>{nan, 1, 2});
  EXPECT_EQ(found.classes.size(), 3u);
  EXPECT_TRUE(std::isnan(found.classes[2].probability));
  EXPECT_NE(message([&] {
              p.interpret(std::vector<float>{1, 2});
            }).find("2 scores for 3 classes"),
            std::string::npos);
}

TEST(Predictor, TensorsThatDoNotFitAreNamed) {
  const Predictor p(digits_model());
  EXPECT_EQ(message([&] {
              p.run({zeros({2, 1, 32, 31})});
            }),
            "input 'input' has the shape 2x1x32x31, it should be ?x1x32x32");
  EXPECT_EQ(message([&] {
              p.run({zeros({2, 1, 32, 32}, DType::i32)});
            }),
            "input 'input' is i32, it should be f32");
  EXPECT_EQ(message([&] { p.run({zeros({0, 1, 32, 32})}); }), "there are no rows to run");
}

}  // namespace
}  // namespace nacre
