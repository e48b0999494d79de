// Networks of TensorFlow and TFLite compute what these do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "formats/temp_folder.h"
#include "importers/goldens.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/predict.h"
#include "nacre/program.h"
#include "nacre/weights.h"

namespace nacre {
namespace {

struct Results {
  std::vector<Tensor> got, want;
  std::vector<std::string> names;
};

/// Runs a network on the inputs of a .npz; outputs stand in it as out:<name>.
Results run_network(const std::string& network, const std::string& npz) {
  const auto net = onnx::parse(import_network(kGoldens + network), network);
  const Weights file = read_weights(kGoldens + npz);
  std::map<std::string, onnx::Value> inputs;
  std::map<std::string, Tensor> outputs;
  for (const auto& [name, raw] : file.tensors) {
    if (name.starts_with("out:"))
      outputs.emplace(name.substr(4), copied_tensor(raw));
    else
      inputs.emplace(name, copied_tensor(raw));
  }
  Context ctx = Context::eval();
  NoGrad guard;
  const onnx::Values y = net->run(inputs, ctx);
  EXPECT_EQ(net->outputs().size(), outputs.size());
  Results run;
  for (size_t k = 0; k < y.size(); ++k) {
    const std::string& name = net->outputs()[k].name;
    EXPECT_TRUE(outputs.contains(name)) << name;
    if (!outputs.contains(name)) continue;
    run.names.push_back(name);
    run.got.push_back(y[k].tensor());
    run.want.push_back(outputs.at(name));
  }
  return run;
}

class Graph : public ::testing::TestWithParam<const char*> {};

TEST_P(Graph, ComputesWhatTensorFlowDoes) {
  const std::string name = GetParam();
  const Results run = run_network(name + ".pb", name + "_pb.npz");
  ASSERT_FALSE(run.got.empty());
  for (size_t k = 0; k < run.got.size(); ++k) {
    ASSERT_EQ(run.got[k].shape(), run.want[k].shape()) << run.names[k];
    EXPECT_EQ(run.got[k].dtype(), run.want[k].dtype()) << run.names[k];
    const auto a = run.got[k].to_vector<double>(), b = run.want[k].to_vector<double>();
    double largest = 0;
    for (const double v : b) largest = std::max(largest, std::abs(v));
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], 1e-5 * largest) << run.names[k] << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Graph,
                         ::testing::Values("tf_vision", "tf_mlp", "tf_text", "tf_unet",
                                           "tf_pictures", "tf_vectors"),
                         [](const auto& c) { return std::string(c.param).substr(3); });

struct LiteCase {
  const char* name;
  double relative = 1e-5;  ///< 0: the same integers
};
class Lite : public ::testing::TestWithParam<LiteCase> {};

TEST_P(Lite, ComputesWhatTfliteDoes) {
  const std::string name = GetParam().name;
  const Results run = run_network(name + ".tflite", name + "_tflite.npz");
  ASSERT_FALSE(run.got.empty());
  for (size_t k = 0; k < run.got.size(); ++k) {
    ASSERT_EQ(run.got[k].shape(), run.want[k].shape()) << run.names[k];
    EXPECT_EQ(run.got[k].dtype(), run.want[k].dtype()) << run.names[k];
    const auto a = run.got[k].to_vector<double>(), b = run.want[k].to_vector<double>();
    double largest = 0;
    for (const double v : b) largest = std::max(largest, std::abs(v));
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], GetParam().relative * largest) << run.names[k] << " " << i;
  }
}

// With weights of 8 bits alone TFLite rounds the inputs of layers to 8 bits too, nacre does not.
INSTANTIATE_TEST_SUITE_P(Networks, Lite,
                         ::testing::Values(LiteCase{"tf_vision_float"},
                                           LiteCase{"tf_vision_int8", 0}, LiteCase{"tf_mlp_float"},
                                           LiteCase{"tf_mlp_weights", 0.02},
                                           LiteCase{"tf_mlp_int8", 0}, LiteCase{"tf_text_float"},
                                           LiteCase{"tf_text_int8", 0}, LiteCase{"tf_unet_float"},
                                           LiteCase{"tf_unet_int8", 0},
                                           LiteCase{"tf_pictures_float"},
                                           LiteCase{"tf_vectors_float"}),
                         [](const auto& c) { return std::string(c.param.name).substr(3); });

TEST(Graphs, TransposesStandOnlyAtTheEnds) {
  const std::string path = kGoldens + "tf_vision.pb";
  const auto net = onnx::parse(import_network(path), path);
  int transposes = 0, convolutions = 0;
  net->on_node = [&](const onnx::Network::Step& s) {
    transposes += s.op == "Transpose" && s.outputs[0].shape().numel() > 16;  // not of vectors
    convolutions += s.op == "Conv";
  };
  Context ctx = Context::eval();
  NoGrad guard;
  (*net)(zeros({1, 20, 17, 3}), ctx);
  EXPECT_EQ(convolutions, 6);
  EXPECT_EQ(transposes, 2);  // of the input, and before it is flattened
}

TEST(Graphs, SizesAreKnownInATrace) {
  // The file computes the sizes of its last Reshape from those of its input.
  const std::string path = kGoldens + "tf_vision.pb";
  const auto net = onnx::parse(import_network(path), path);
  const Weights file = read_weights(kGoldens + "tf_vision_pb.npz");
  const Tensor x = copied_tensor(file.tensors[0].second);
  const Tensor y = Program::of(*net, x.shape())({x})[0];
  EXPECT_TRUE(allclose(y, copied_tensor(file.tensors[1].second), 1e-5, 1e-6));
}

TEST(Graphs, ModelsSayTheSizesOfTheirOutputs) {
  for (const char* name : {"tf_vision", "tf_mlp", "tf_text", "tf_unet", "tf_pictures"}) {
    const std::string path = kGoldens + name + ".pb", model = import_network(path);
    const auto net = onnx::parse(model, path);
    const auto again = onnx::parse(with_output_shapes(model, *net), path);
    const Weights file = read_weights(kGoldens + name + "_pb.npz");
    ASSERT_FALSE(again->outputs().empty());
    for (const onnx::Port& port : again->outputs()) {
      const auto computed =
          std::find_if(file.tensors.begin(), file.tensors.end(),
                       [&](const auto& t) { return t.first == "out:" + port.name; });
      ASSERT_NE(computed, file.tensors.end()) << port.name;
      const Shape& shape = computed->second.shape;
      std::vector<int64_t> want(shape.begin(), shape.end());
      want[0] = -1;  // the batch
      EXPECT_TRUE(port.type.has_shape);
      EXPECT_EQ(port.type.dims, want) << name << " " << port.name;
      EXPECT_EQ(port.type.elem, onnx::elem_of(computed->second.dtype)) << port.name;
    }
  }
  // How many values are picked out depends on them.
  const std::string path = kGoldens + "tf_vectors.pb", model = import_network(path);
  EXPECT_EQ(with_output_shapes(model, *onnx::parse(model, path)), model);
}

TEST(Graphs, PicturesAreGivenWithChannelsLast) {
  const Predictor p(kGoldens + "tf_vision.pb");
  EXPECT_EQ(p.info().input, (Shape{20, 17, 3}));
  Sample s;
  s.image = Image(17, 20, 3);
  for (size_t i = 0; i < s.image.pixels.size(); ++i)
    s.image.pixels[i] = static_cast<float>(i % 251) / 251;
  EXPECT_EQ(p.prepare(s), s.image.pixels);
}

TEST(Graphs, WeightsAreParameters) {
  const std::string path = kGoldens + "tf_mlp.pb";
  const auto net = onnx::parse(import_network(path), path);
  EXPECT_EQ(net->inputs()[0].name, "x");
  EXPECT_EQ(str(net->inputs()[0].type), "float ?x7");
  int64_t matrices = 0;
  for (const Variable& v : net->parameters()) matrices += v.value().rank() == 2;
  EXPECT_GE(matrices, 4);
}

TEST(Graphs, WhatCannotBeTranslatedIsToldTogether) {
  const auto message = [](Error::Kind kind, const std::string& file) {
    const std::string bytes =
        read_file(std::string(NACRE_SOURCE_DIR) + "/tests/fuzz/corpus/graphdef/" + file, 1 << 20);
    return error_of(kind, [&] { import_graphdef(bytes, "n.pb"); });
  };
  using enum Error::Kind;
  EXPECT_EQ(message(unsupported, "bad_unknown"),
            "n.pb has 2 kinds of operators without a translation: Bucketize (2 times, first 'a'); "
            "Conv2D with data_format NCHW_VECT_C (1 time, first 'y')");
  EXPECT_EQ(message(unsupported, "bad_variable"),
            "n.pb has 1 variables ('v'), whose values are not in it; freeze it first "
            "(convert_variables_to_constants_v2)");
  EXPECT_EQ(message(unsupported, "bad_saved_model"),
            "n.pb is a SavedModel, whose weights are in other files; freeze it to one GraphDef "
            "(convert_variables_to_constants_v2)");
  EXPECT_EQ(message(data, "bad_dangling"), "n.pb: node 'y' reads 'w', which no node makes");
  EXPECT_EQ(message(data, "bad_circle"), "n.pb: node 'a' needs its own result");
  EXPECT_EQ(message(data, "bad_inputs"), "n.pb: node 'y' (Add) has only 1 inputs");
  EXPECT_EQ(message(data, "bad_short_const"),
            "n.pb: node 'c' (Const) should have 16 bytes of values and has 8");
  EXPECT_EQ(message(data, "bad_strides"), "n.pb: node 'y' (Conv2D) has the impossible stride 0");
}

/// Imports the file cut after each byte: it throws Error or gives a network, nothing else.
template <typename F>
void cut_everywhere(const std::string& file, F import) {
  const std::string bytes = read_file(kGoldens + file, 1 << 20);
  size_t refused = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    try {
      import(std::string_view(bytes).substr(0, n), "cut");
    } catch (const Error& e) {
      EXPECT_TRUE(e.kind() == Error::Kind::data || e.kind() == Error::Kind::unsupported) << n;
      ++refused;
    }
  }
  EXPECT_GT(refused, bytes.size() / 2);
}

TEST(Tflite, WhatCannotBeTranslatedIsToldTogether) {
  const auto message = [](Error::Kind kind, const std::string& file) {
    const std::string bytes =
        read_file(std::string(NACRE_SOURCE_DIR) + "/tests/fuzz/corpus/tflite/" + file, 1 << 20);
    return error_of(kind, [&] { import_tflite(bytes, "n.tflite"); });
  };
  using enum Error::Kind;
  EXPECT_EQ(message(unsupported, "bad_operator"),
            "n.tflite has 2 kinds of operators without a translation: LSTM (1 time, first 'z'); "
            "WHILE (1 time, first 'y')");
  EXPECT_EQ(message(data, "bad_magic"),
            "n.tflite is no TFLite model: it does not say TFL3 at its beginning");
  EXPECT_EQ(message(data, "bad_short"), "n.tflite: constant 'k' should have 16 bytes and has 8");
  EXPECT_EQ(message(data, "bad_unmade"), "n.tflite: ADD reads 'z', which nothing before it makes");
  EXPECT_EQ(message(data, "bad_strides"), "n.tflite: 'y' (CONV_2D) has the impossible stride 0");
  EXPECT_EQ(message(data, "bad_scale"), "n.tflite: tensor 'x' has a scale that is not positive");
}

TEST(Tflite, CutAtEveryByte) { cut_everywhere("tf_mlp_int8.tflite", import_tflite); }

TEST(Graphs, CutAtEveryByte) { cut_everywhere("tf_mlp.pb", import_graphdef); }

}  // namespace
}  // namespace nacre
