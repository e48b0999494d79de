// Networks of other frameworks compute what the frameworks do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "formats/temp_folder.h"
#include "importers/goldens.h"
#include "importers/prototxt.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

struct ImportedCase {
  const char* network;
  const char* run;  ///< input and output as the framework itself, or OpenCV, computed them
};

class Imported : public ::testing::TestWithParam<ImportedCase> {};

TEST_P(Imported, ComputesWhatTheFrameworkDoes) {
  const std::string path = kGoldens + GetParam().network;
  const auto net = onnx::parse(import_network(path), path);
  const Weights run = read_weights(kGoldens + GetParam().run);
  ASSERT_EQ(run.tensors[0].first, "x");
  ASSERT_EQ(net->outputs().size(), 1u);
  Context ctx = Context::eval();
  NoGrad guard;
  const Tensor y = (*net)(copied_tensor(run.tensors[0].second), ctx);
  const Tensor want = copied_tensor(run.tensors[1].second);
  ASSERT_EQ(y.shape(), want.shape());
  const auto a = y.to_vector<float>(), b = want.to_vector<float>();
  float largest = 0;
  for (const float v : b) largest = std::max(largest, std::abs(v));
  // Measured with ONNX Runtime: 1e-7 of the largest.
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5f * largest) << i;
}

INSTANTIATE_TEST_SUITE_P(Networks, Imported,
                         ::testing::Values(ImportedCase{"vision.param", "vision.npz"},
                                           ImportedCase{"shapes.param", "shapes.npz"},
                                           ImportedCase{"tiny.prototxt", "tiny_caffe.npz"},
                                           ImportedCase{"old.prototxt", "old_caffe.npz"}),
                         [](const auto& c) {
                           std::string name = c.param.network;
                           return name.substr(0, name.find('.')) +
                                  (name.ends_with(".param") ? "_ncnn" : "_caffe");
                         });

TEST(Importers, WeightsAreParametersByTheNamesOfTheLayers) {
  const auto net = onnx::parse(import_network(kGoldens + "tiny.prototxt"), "tiny");
  std::vector<std::string> names;
  for (const Variable& v : net->parameters()) names.push_back(v.name());
  EXPECT_NE(std::find(names.begin(), names.end(), "conv1.weight"), names.end());
  EXPECT_NE(std::find(names.begin(), names.end(), "fc2.bias"), names.end());
}

TEST(Importers, LayersWithoutATranslationAreListedTogether) {
  const std::string text =
      "input: 'x' input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n"
      "layer { name: 'a' type: 'SPP' bottom: 'x' top: 'a' }\n"
      "layer { name: 'b' type: 'Python' bottom: 'a' top: 'b' }\n"
      "layer { name: 'c' type: 'SPP' bottom: 'b' top: 'c' }\n";
  EXPECT_EQ(error_of(Error::Kind::unsupported, [&] { import_caffe(text, "", "n.prototxt"); }),
            "n.prototxt has 2 kinds of layers without a translation: Python (1 time, first 'b'); "
            "SPP (2 times, first 'a')");
  const std::string param =
      "7767517\n3 3\nInput in 0 1 x\nYolov3DetectionOutput y 1 1 x y\nReorg r 1 1 y z\n";
  EXPECT_EQ(error_of(Error::Kind::unsupported, [&] { import_ncnn(param, "", "n.param"); }),
            "n.param has 2 kinds of layers without a translation: Reorg (1 time, first 'r'); "
            "Yolov3DetectionOutput (1 time, first 'y')");
}

TEST(Importers, NetworksThatContradictThemselves) {
  const std::string input = "input: 'x' input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n";
  const auto caffe = [&](const std::string& layers) {
    return error_of(Error::Kind::data, [&] { import_caffe(input + layers, "", "n"); });
  };
  EXPECT_EQ(caffe("layer { name: 'c' type: 'InnerProduct' bottom: 'x' top: 'y' }"),
            "n: layer 'c' has no weights in the .caffemodel");
  EXPECT_EQ(caffe("layer { name: 'c' type: 'ReLU' bottom: 'z' top: 'y' }"),
            "n: layer 'c' reads 'z', which no layer before it makes");
  EXPECT_EQ(caffe("layer {"), "n:2: a bracket is not closed");
  EXPECT_EQ(caffe("layer { name: 'c' type: 'Pooling' bottom: 'x' top: 'y' pooling_param { "
                  "kernel_size: -2 } }"),
            "n: layer 'c' has the impossible kernel_size -2");
  const auto ncnn = [&](const std::string& layers) {
    return error_of(Error::Kind::data, [&] { import_ncnn("7767517\n" + layers, "", "n"); });
  };
  EXPECT_EQ(ncnn("1 1\nInput in 0 1 x\nReLU r 1 1 x y\n"),
            "n:4: there are more layers than the file says");
  EXPECT_EQ(ncnn("2 2\nInput in 0 1 x\nReLU r 1 1 z y\n"),
            "n:4: the layer reads a blob that no layer before it makes");
  EXPECT_EQ(ncnn("2 2\nInput in 0 1 x\nInnerProduct f 1 1 x y 0=4 1=1 2=10\n"),
            "n: layer 'f' has 10 weights for 4 outputs");
  EXPECT_EQ(ncnn("2 2\nInput in 0 1 x\nBatchNorm f 1 1 x y 0=4\n"),
            "n: a layer wants 4 weights, 0 are left");
}

TEST(Importers, LayersOfTrainingAreLeftOut) {
  const std::string text =
      "layer { name: 'd' type: 'Data' top: 'data' top: 'label' include { phase: TRAIN } }\n"
      "layer { name: 'd' type: 'Data' top: 'data' top: 'label' include { phase: TEST } }\n"
      "layer { name: 'r' type: 'ReLU' bottom: 'data' top: 'data' }\n"
      "layer { name: 'p' type: 'Pooling' bottom: 'data' top: 'p' pooling_param { pool: AVE "
      "global_pooling: true } }\n"
      "layer { name: 'a' type: 'Accuracy' bottom: 'p' bottom: 'label' top: 'accuracy' }\n"
      "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'p' bottom: 'label' top: 'loss' }\n";
  const auto net = onnx::parse(import_caffe(text, "", "n"), "n");
  ASSERT_EQ(net->inputs().size(), 1u);
  EXPECT_EQ(net->inputs()[0].name, "data");
  ASSERT_EQ(net->outputs().size(), 1u);
  EXPECT_EQ(net->outputs()[0].name, "loss");  // the scores of the classes
}

TEST(Importers, SolversOfCaffe) {
  const CaffeSolver s = read_caffe_solver(
      "net: \"train.prototxt\"  # comment\nbase_lr: 0.01\nmomentum: 0.9\nweight_decay: 5e-4\n"
      "lr_policy: \"step\"\ngamma: 0.1\nstepsize: 10000\nmax_iter: 45000\nsolver_mode: GPU\n",
      "solver");
  EXPECT_EQ(s.network, "train.prototxt");
  EXPECT_EQ(s.optimizer, "momentum");
  EXPECT_EQ(s.lr, 0.01);
  EXPECT_EQ(s.momentum, 0.9);
  EXPECT_EQ(s.weight_decay, 5e-4);
  EXPECT_EQ(s.schedule, "step:10000:0.1");
  EXPECT_EQ(s.iterations, 45000);
  EXPECT_EQ(read_caffe_solver("type: 'Adam' base_lr: 1e-3", "s").optimizer, "adam");
  error_of(Error::Kind::data, [] { read_caffe_solver("base_lr: fast", "s"); });
}

TEST(Prototxt, ListsCommentsAndTexts) {
  const Prototxt p = Prototxt::parse(
      "a: [1, 2]  # three\na: 3 b { c: \"x\" \"y\" d: -1.5e3 } b: { c: '' } flag: true", "t");
  EXPECT_EQ(p.integers("a"), (std::vector<int64_t>{1, 2, 3}));
  ASSERT_EQ(p.messages("b").size(), 2u);
  EXPECT_EQ(p.messages("b")[0]->text("c"), "xy");
  EXPECT_EQ(p.messages("b")[0]->number("d", 0), -1500);
  EXPECT_TRUE(p.boolean("flag", false));
  EXPECT_EQ(p.message("none").integer("x", 7), 7);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "a{";
  EXPECT_NE(error_of(Error::Kind::data, [&] { Prototxt::parse(deep, "t"); }).find("too deep"),
            std::string::npos);
}

}  // namespace
}  // namespace nacre
