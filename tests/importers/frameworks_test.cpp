// Networks of MXNet, PaddlePaddle and Caffe2 compute what these do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "formats/temp_folder.h"
#include "formats/wire.h"
#include "importers/goldens.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/weights.h"
#include "tools/shell.h"

namespace nacre {
namespace {

struct FrameworkCase {
  const char* network;
  const char* run;  ///< inputs x, x1, ... and outputs y, y1, ... as the framework computed them
};
void PrintTo(const FrameworkCase& c, std::ostream* out) { *out << c.network; }

class Framework : public ::testing::TestWithParam<FrameworkCase> {};

TEST_P(Framework, ComputesTheSame) {
  const std::string path = kGoldens + GetParam().network;
  const auto net = onnx::parse(import_network(path), path);
  std::map<std::string, onnx::Value> inputs;
  Tensors want;
  size_t taken = 0;
  for (const auto& [name, array] : read_weights(kGoldens + GetParam().run).tensors) {
    if (name[0] == 'y') {
      want.push_back(copied_tensor(array));
    } else {
      ASSERT_LT(taken, net->inputs().size());
      inputs[net->inputs()[taken++].name] = copied_tensor(array);
    }
  }
  Context ctx = Context::eval();
  NoGrad guard;
  const onnx::Values got = net->run(inputs, ctx);
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < want.size(); ++k) {
    ASSERT_EQ(got[k].shape(), want[k].shape()) << net->outputs()[k].name;
    const auto a = got[k].tensor().to_vector<double>(), b = want[k].to_vector<double>();
    double largest = 0;
    for (const double v : b) largest = std::max(largest, std::abs(v));
    // Measured: 3e-7 of the largest.
    for (size_t i = 0; i < a.size(); ++i)
      EXPECT_NEAR(a[i], b[i], 1e-5 * largest) << net->outputs()[k].name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, Framework,
    ::testing::Values(FrameworkCase{"pictures-symbol.json", "pictures_mxnet.npz"},
                      FrameworkCase{"shapes-symbol.json", "shapes_mxnet.npz"},
                      FrameworkCase{"texts-symbol.json", "texts_mxnet.npz"},
                      FrameworkCase{"paddle_pictures.pdmodel", "paddle_pictures.npz"},
                      FrameworkCase{"paddle_texts.pdmodel", "paddle_texts.npz"},
                      FrameworkCase{"paddle_folder/__model__", "paddle_texts.npz"},
                      FrameworkCase{"tiny_predict_net.pb", "tiny_caffe2.npz"}),
    [](const auto& c) {
      std::string name = c.param.network;
      for (char& letter : name)
        if (!std::isalnum(static_cast<unsigned char>(letter))) letter = '_';
      return name;
    });

/// Every file that is cut somewhere is refused with a sentence.
void expect_refused_when_cut(const std::string& name,
                             const std::function<void(std::string_view)>& read) {
  const std::string whole = read_file(kGoldens + name, 1 << 24);
  read(whole);
  for (size_t k = 0; k < 64; ++k) {
    const std::string_view cut = std::string_view(whole).substr(0, whole.size() * k / 64);
    try {
      read(cut);
      ADD_FAILURE() << name << " cut after " << cut.size() << " bytes was read";
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), Error::Kind::internal) << e.what();
    }
  }
}

TEST(Mxnet, FilesThatAreCut) {
  const std::string symbol = read_file(kGoldens + "shapes-symbol.json", 1 << 24),
                    params = read_file(kGoldens + "shapes-0003.params", 1 << 24);
  expect_refused_when_cut("shapes-symbol.json",
                          [&](auto text) { import_mxnet(text, params, "net"); });
  expect_refused_when_cut("shapes-0003.params",
                          [&](auto bytes) { import_mxnet(symbol, bytes, "net"); });
}

TEST(Mxnet, TheLastEpochIsTaken) {
  const test::TempFolder folder;
  const std::string path = (folder / "texts-symbol.json").string();
  folder.write("texts-symbol.json", read_file(kGoldens + "texts-symbol.json", 1 << 20));
  try {
    import_network(path);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("texts-0000.params"), std::string::npos) << e.what();
  }
  folder.write("texts-0002.params", "nothing");
  folder.write("texts-0010.params", read_file(kGoldens + "texts-0003.params", 1 << 20));
  import_network(path);
  EXPECT_THROW(import_network(path, (folder / "texts-0002.params").string()), Error);
}

TEST(Mxnet, NumbersBeyondATableAreItsEnds) {
  const std::string path = kGoldens + "texts-symbol.json";
  const auto net = onnx::parse(import_network(path), path);
  const auto run = [&](float low, float high) {
    std::vector<float> words(14, low);
    std::fill(words.begin() + 5, words.end(), high);
    Context ctx = Context::eval();
    NoGrad guard;
    return net->run({{net->inputs()[0].name, Tensor::from(words, {2, 7})}}, ctx)[0]
        .tensor()
        .to_vector<float>();
  };
  EXPECT_EQ(run(-3, 99), run(0, 10));
  EXPECT_NE(run(-3, 99), run(0, 9));
}

TEST(Importers, BadWeightsAreNamed) {
  const test::TempFolder folder;
  folder.write("w", "\x01 no weights");
  const std::string weights = (folder / "w").string();
  for (const char* network : {"tiny.prototxt", "vision.param", "texts-symbol.json",
                              "paddle_pictures.pdmodel", "tiny_predict_net.pb"}) {
    try {
      import_network(kGoldens + network, weights);
      ADD_FAILURE() << network;
    } catch (const Error& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with(weights)) << e.what();
    }
  }
}

TEST(Paddle, FilesThatAreCut) {
  const std::string program = read_file(kGoldens + "paddle_texts.pdmodel", 1 << 24),
                    params = read_file(kGoldens + "paddle_texts.pdiparams", 1 << 24);
  expect_refused_when_cut("paddle_texts.pdmodel",
                          [&](auto bytes) { import_paddle(bytes, params, "net"); });
  expect_refused_when_cut("paddle_texts.pdiparams",
                          [&](auto bytes) { import_paddle(program, bytes, "net"); });
  EXPECT_NE(error_of(Error::Kind::data, [&] { import_paddle(program, params + "1", "net"); })
                .find("go on for 1 bytes"),
            std::string::npos);
}

std::string field(uint32_t number, const std::string& bytes) {
  WireWriter w;
  w.bytes(number, bytes);
  return w.str();
}
/// OpDesc of framework.proto: inputs, outputs and type in the block's field 4.
std::string op(const std::string& type, const std::string& in, const std::string& out) {
  const auto variable = [](uint32_t number, const std::string& parameter, const std::string& name) {
    return field(number, field(1, parameter) + field(2, name));
  };
  return field(4, field(3, type) + variable(1, "X", in) + variable(2, "Out", out));
}

TEST(Paddle, OperatorsWithoutATranslationAreListedTogether) {
  const std::string program =
      field(1, field(3, field(1, "x")) + op("feed", "feed", "x") + op("yolo_box", "x", "a") +
                   op("while", "a", "b") + op("yolo_box", "b", "c") + op("fetch", "c", "fetch"));
  EXPECT_EQ(error_of(Error::Kind::unsupported, [&] { import_paddle(program, "", "n"); }),
            "n has 2 kinds of operators without a translation: while (1 time, first 'b'); yolo_box "
            "(2 times, first 'a')");
  const std::string dangling = field(1, op("relu", "x", "y") + op("fetch", "y", "fetch"));
  EXPECT_EQ(error_of(Error::Kind::data, [&] { import_paddle(dangling, "", "n"); }),
            "n: operator relu that makes 'y' reads 'x', which nothing before it makes");
}

TEST(Caffe2, FilesThatAreCut) {
  const std::string predict = read_file(kGoldens + "tiny_predict_net.pb", 1 << 24),
                    init = read_file(kGoldens + "tiny_init_net.pb", 1 << 24);
  expect_refused_when_cut("tiny_predict_net.pb",
                          [&](auto bytes) { import_caffe2(bytes, init, "net"); });
  expect_refused_when_cut("tiny_init_net.pb",
                          [&](auto bytes) { import_caffe2(predict, bytes, "net"); });
}

TEST(Caffe2, OperatorsWithoutATranslationAreListedTogether) {
  const auto op = [](const std::string& type, const std::string& in, const std::string& out) {
    return field(2, field(1, in) + field(2, out) + field(4, type));
  };
  const std::string ends = field(7, "data") + field(8, "c");
  EXPECT_EQ(error_of(Error::Kind::unsupported,
                     [&] {
                       import_caffe2(op("Python", "data", "a") + op("RoIAlign", "a", "b") +
                                         op("Python", "b", "c") + ends,
                                     "", "n");
                     }),
            "n has 2 kinds of operators without a translation: Python (2 times, first 'a'); "
            "RoIAlign (1 time, first 'b')");
  EXPECT_EQ(
      error_of(Error::Kind::data, [&] { import_caffe2(op("Relu", "b", "c") + ends, "", "n"); }),
      "n: operator 'c' (Relu) reads 'b', which nothing before it makes");
  EXPECT_EQ(
      error_of(Error::Kind::data, [&] { import_caffe2(op("Relu", "data", "b") + ends, "", "n"); }),
      "n: nothing makes the output 'c'");
}

/// A file of no arrays.
const std::string kNoArrays = [] {
  std::string bytes(32, '\0');
  bytes[0] = 0x12;
  bytes[1] = 0x01;
  return bytes;
}();

std::string symbol(const std::string& nodes, int head) {
  return R"({"nodes": [{"op": "null", "name": "data", "inputs": []}, )" + nodes +
         R"(], "heads": [[)" + std::to_string(head) + ", 0, 0]]}";
}

TEST(Mxnet, OperatorsWithoutATranslationAreListedTogether) {
  const std::string text = symbol(
      R"({"op": "MultiBoxPrior", "name": "a", "inputs": [[0, 0, 0]]},
         {"op": "ROIPooling", "name": "b", "inputs": [[1, 0, 0]]},
         {"op": "MultiBoxPrior", "name": "c", "inputs": [[2, 0, 0]]},
         {"op": "Activation", "name": "d", "attrs": {"act_type": "step"}, "inputs": [[3, 0, 0]]})",
      4);
  EXPECT_EQ(error_of(Error::Kind::unsupported, [&] { import_mxnet(text, kNoArrays, "n"); }),
            "n has 3 kinds of operators without a translation: Activation with the kind step (1 "
            "time, first 'd'); MultiBoxPrior (2 times, first 'a'); ROIPooling (1 time, first 'b')");
}

TEST(Mxnet, SymbolsThatContradictThemselves) {
  const auto message = [](const std::string& nodes, int head) {
    return error_of(Error::Kind::data, [&] { import_mxnet(symbol(nodes, head), kNoArrays, "n"); });
  };
  EXPECT_EQ(message(R"({"op": "relu", "name": "a", "inputs": [[1, 0, 0]]})", 1),
            "n is no MXNet symbol: an input is output 0 of node 1, which is not there");
  EXPECT_EQ(message(R"({"op": "relu", "name": "a", "inputs": [[0, 7, 0]]})", 1),
            "n: output 7 of layer 'data' is read, it has 1");
  EXPECT_EQ(message(R"({"op": "relu", "name": "a", "inputs": []})", 1),
            "n: layer 'a' has 0 inputs, needs 1");
  EXPECT_EQ(message(R"({"op": "LRN", "name": "a", "attrs": {"nsize": "many"}, )"
                    R"("inputs": [[0, 0, 0]]})",
                    1),
            "n: layer 'a' has nsize=many, which should be a number");
  EXPECT_EQ(message(R"({"op": "FullyConnected", "name": "a", "attrs": {"num_hidden": "3"}, )"
                    R"("inputs": [[0, 0, 0], [0, 0, 0]]})",
                    1),
            "n: layer 'a' reads weights that the .params file does not have");
}

}  // namespace
}  // namespace nacre
