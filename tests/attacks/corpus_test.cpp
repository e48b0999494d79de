// Every bad file of the fuzz corpus through the shipped program: its exit code and its sentence are
// in corpus.txt, where @ stands for the file, & for the second one where a reader takes two.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "attacks/program.h"
#include "base/file.h"
#include "fuzz/safetensors_bytes.h"
#include "nacre/error.h"
#include "predict/models.h"
#include "tools/shell.h"

namespace nacre::attacks {
namespace {

const std::string kTests = std::string(NACRE_SOURCE_DIR) + "/tests/";

struct Format {
  std::string ending, second;  ///< a file of its own: what comes after the first zero byte
  std::string command = "convert", output = "out.npz";
  bool counted = false;  ///< instead, four bytes before the first file say how long it is
};
const std::map<std::string, Format> kFormats = {
    {"safetensors", {"safetensors", ""}},
    {"npy", {"npy", ""}},
    {"npz", {"npz", "", "convert", "out.safetensors"}},
    {"torch", {"pth", ""}},
    {"gguf", {"gguf", ""}},
    {"mxnet", {"params", ""}},
    {"onnx", {"onnx", ""}},
    {"caffe", {"prototxt", "caffemodel", "convert", "out.onnx"}},
    {"caffe2", {"predict_net.pb", "init_net.pb", "convert", "out.onnx", true}},
    {"mxnet_symbol", {"x-symbol.json", "x-0001.params", "convert", "out.onnx"}},
    {"ncnn", {"param", "bin", "convert", "out.onnx"}},
    {"paddle", {"pdmodel", "pdiparams", "convert", "out.onnx", true}},
    {"graphdef", {"pb", "", "convert", "out.onnx"}},
    {"tflite", {"tflite", "", "convert", "out.onnx"}},
    {"tar", {"tar", "", "data info", ""}},
    {"yaml", {"yaml", "", "train --config", ""}},
    {"wav", {"wav", "", "predict m.safetensors", ""}},
};

class Corpus : public ::testing::TestWithParam<std::string> {};

TEST_P(Corpus, IsRefusedBySentence) {
  const test::TempFolder folder;
  const Format& format = kFormats.at(GetParam());
  const std::string file = (folder / ("f." + format.ending)).string();
  std::vector<std::string> arguments;
  std::stringstream command(format.command);
  for (std::string word; command >> word;)
    arguments.push_back(word == "m.safetensors" ? (folder / word).string() : word);
  if (arguments[0] == "predict") {
    const Model model = digits_model();
    save_model(arguments[1], *model.net, model.info);
  }
  arguments.push_back(file);
  if (!format.output.empty()) arguments.push_back((folder / format.output).string());

  std::stringstream lines(read_file(kTests + "attacks/corpus.txt", 1 << 20));
  int files = 0, expected = 0;
  for (std::string name, sentence; lines >> name;) {
    int code = 0;
    lines >> code >> std::ws;
    std::getline(lines, sentence);
    if (!name.starts_with(GetParam() + "/")) continue;
    SCOPED_TRACE(name);
    std::string bytes = read_file(kTests + "fuzz/corpus/" + name, 1 << 20);
    size_t end = bytes.size(), next = end;
    if (format.counted) {
      uint32_t length = 0;
      bytes.copy(reinterpret_cast<char*>(&length), sizeof length);
      bytes.erase(0, sizeof length);
      end = next = std::min<size_t>(length, bytes.size());
    } else if (!format.second.empty()) {
      end = std::min(bytes.find('\0'), bytes.size());
      next = std::min(end + 1, bytes.size());
    }
    folder.write("f." + format.ending, bytes.substr(0, end));
    if (!format.second.empty()) folder.write("f." + format.second, bytes.substr(next));
    const std::string second = (folder / ("f." + format.second)).string();
    for (const auto& [mark, path] : {std::pair('@', &file), {'&', &second}})
      for (size_t at; (at = sentence.find(mark)) != std::string::npos;)
        sentence.replace(at, 1, *path);
    expect_refused(arguments, file, sentence, code);
    ++expected;
  }
  for (const auto& entry : list_folder(kTests + "fuzz/corpus/" + GetParam()))
    files += entry.name.starts_with("bad");
  EXPECT_EQ(expected, files) << "corpus.txt and the corpus differ";
}

INSTANTIATE_TEST_SUITE_P(Files, Corpus,
                         ::testing::Values("safetensors", "npy", "npz", "torch", "gguf", "mxnet",
                                           "onnx", "caffe", "caffe2", "mxnet_symbol", "ncnn",
                                           "paddle", "graphdef", "tflite", "tar", "yaml", "wav"),
                         [](const auto& reader) { return reader.param; });

// The metadata of model files: architecture, options, classes and transform are texts from a file.
TEST(Corpus, ModelMetadataAreRefused) {
  const test::TempFolder folder;
  const std::string file = (folder / "m.safetensors").string();
  folder.write("x.pgm", "P5 1 1 255\nx");
  const Json tensors = parse_json(
      R"({"fc.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
          "fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})",
      "parameters");
  int files = 0;
  for (const auto& entry : list_folder(kTests + "fuzz/corpus/model")) {
    if (!entry.name.starts_with("bad")) continue;
    SCOPED_TRACE(entry.name);
    std::map<std::string, std::string> metadata;
    try {
      const Json given =
          parse_json(read_file(kTests + "fuzz/corpus/model/" + entry.name, 1 << 20), entry.name);
      for (const auto& [name, value] : given.fields()) metadata[name] = value.text();
    } catch (const Error&) {
      continue;  // not metadata at all
    }
    folder.write("m.safetensors", safetensors_bytes(metadata, tensors, std::string(32, 1)));
    expect_refused({"predict", file, (folder / "x.pgm").string()}, file, file);
    ++files;
  }
  EXPECT_GE(files, 5);
}

}  // namespace
}  // namespace nacre::attacks
