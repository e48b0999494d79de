// Runs the fuzz targets on their corpus, and on good files that are cut, flipped and mixed up.
#define NACRE_FUZZ_REPLAY
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "nacre/random.h"

#include "caffe2_fuzz.cpp"
#include "caffe_fuzz.cpp"
#include "checkpoint_fuzz.cpp"
#include "events_fuzz.cpp"
#include "gguf_fuzz.cpp"
#include "graph_fuzz.cpp"
#include "graphdef_fuzz.cpp"
#include "gzip_fuzz.cpp"
#include "json_fuzz.cpp"
#include "model_fuzz.cpp"
#include "mxnet_fuzz.cpp"
#include "mxnet_symbol_fuzz.cpp"
#include "ncnn_fuzz.cpp"
#include "npy_fuzz.cpp"
#include "npz_fuzz.cpp"
#include "onnx_fuzz.cpp"
#include "paddle_fuzz.cpp"
#include "program_fuzz.cpp"
#include "safetensors_fuzz.cpp"
#include "schema_fuzz.cpp"
#include "serve_fuzz.cpp"
#include "solver_fuzz.cpp"
#include "tar_fuzz.cpp"
#include "tflite_fuzz.cpp"
#include "torch_fuzz.cpp"
#include "transform_fuzz.cpp"
#include "wav_fuzz.cpp"
#include "yaml_fuzz.cpp"

namespace {

using nacre::read_file;

const std::string kTests = std::string(NACRE_SOURCE_DIR) + "/tests/";

struct Target {
  const char* name;
  void (*run)(std::string_view);
  const char* ending;  ///< of good files among the goldens of tests/formats
};

class Fuzz : public ::testing::TestWithParam<Target> {
 protected:
  /// True if the target took the input, false if it threw its Error.
  static bool accepts(std::string_view input) {
    // A copy of the exact size, so that a sanitizer sees reads beyond it.
    const std::vector<char> exact(input.begin(), input.end());
    try {
      GetParam().run({exact.data(), exact.size()});
      return true;
    } catch (const nacre::Error& e) {
      EXPECT_NE(static_cast<int>(e.kind()), static_cast<int>(nacre::Error::Kind::internal));
      EXPECT_LT(std::strlen(e.what()), 2000u);
      return false;
    }
  }
  static std::vector<std::string> files(const std::string& folder, const std::string& ending) {
    std::vector<std::string> contents;
    for (const auto& entry : nacre::list_folder(folder))
      if (entry.name.ends_with(ending))
        contents.push_back(read_file(folder + "/" + entry.name, 1 << 20));
    return contents;
  }
  static std::vector<std::string> corpus() {
    return files(kTests + "fuzz/corpus/" + GetParam().name, "");
  }
  static std::vector<std::string> goldens() {
    if (!*GetParam().ending) return {};
    return files(kTests + "formats/goldens", GetParam().ending);
  }
  /// Good files and attacks that are short enough to be damaged in every place.
  static std::vector<std::string> all_small() {
    std::vector<std::string> inputs = corpus();
    for (auto& g : goldens()) inputs.push_back(std::move(g));
    std::erase_if(inputs, [](const std::string& s) { return s.size() > 1500; });
    return inputs;
  }
};

TEST_P(Fuzz, Corpus) {
  EXPECT_GE(corpus().size(), 3u);
  // Files of the corpus say in their name whether they are good.
  const std::string folder = kTests + "fuzz/corpus/" + GetParam().name;
  for (const auto& entry : nacre::list_folder(folder))
    EXPECT_EQ(accepts(read_file(folder + "/" + entry.name, 1 << 20)),
              entry.name.starts_with("good"))
        << entry.name;
}

TEST_P(Fuzz, CutAtEveryByte) {
  for (const std::string& input : all_small())
    for (size_t n = 0; n < input.size(); ++n) accepts(std::string_view(input).substr(0, n));
}

TEST_P(Fuzz, EveryBitFlipped) {
  for (const std::string& input : all_small()) {
    std::string flipped = input;
    for (size_t bit = 0; bit < 8 * input.size(); ++bit) {
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      accepts(flipped);
      flipped[bit / 8] = input[bit / 8];
    }
  }
}

TEST_P(Fuzz, MixedUp) {
  const std::vector<std::string> inputs = all_small();
  nacre::Rng rng{nacre::Key(5).fold_in(GetParam().name)};
  const auto pick = [&](size_t n) {
    return static_cast<size_t>(rng.below(std::max<size_t>(1, n)));
  };
  const char special[] = {0,   1,   '\x7f', '\x80', '\xff', '[', '{',
                          '"', ':', ',',    '-',    '9',    '&', '*'};
  for (int round = 0; round < 3000; ++round) {
    std::string text = inputs[pick(inputs.size())];
    for (size_t edits = 1 + pick(8); edits > 0; --edits) {
      const size_t at = pick(text.size()), n = pick(std::min<size_t>(64, text.size() - at));
      switch (pick(6)) {
        case 0:
          text.insert(at, 1, special[pick(sizeof(special))]);
          break;
        case 1:
          text.erase(at, n);
          break;
        case 2:
          text.insert(at, text.substr(pick(text.size()), n));
          break;
        case 3:
          text.replace(at, n, inputs[pick(inputs.size())].substr(0, n));
          break;
        case 4:
          text.replace(at, std::min<size_t>(8, text.size() - at), 8, special[pick(5)]);
          break;
        default:
          if (!text.empty()) text[at] = static_cast<char>(rng.next_u32());
      }
    }
    accepts(text);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Readers, Fuzz,
    ::testing::Values(Target{"safetensors", fuzz_safetensors, ".safetensors"},
                      Target{"npy", fuzz_npy, ".npy"}, Target{"npz", fuzz_npz, ".npz"},
                      Target{"json", fuzz_json, ""}, Target{"yaml", fuzz_yaml, ""},
                      Target{"events", fuzz_events, ".tfevents"}, Target{"gzip", fuzz_gzip, ""},
                      Target{"tar", fuzz_tar, ""}, Target{"transform", fuzz_transform, ""},
                      Target{"schema", fuzz_schema, ""}, Target{"graph", fuzz_graph, ""},
                      Target{"model", fuzz_model, ""}, Target{"checkpoint", fuzz_checkpoint, ""},
                      Target{"torch", fuzz_torch, ".pth"}, Target{"gguf", fuzz_gguf, ".gguf"},
                      Target{"onnx", fuzz_onnx, ""}, Target{"caffe", fuzz_caffe, ""},
                      Target{"ncnn", fuzz_ncnn, ""}, Target{"mxnet", fuzz_mxnet, ""},
                      Target{"serve", fuzz_serve, ""}, Target{"graphdef", fuzz_graphdef, ""},
                      Target{"tflite", fuzz_tflite, ""},
                      Target{"mxnet_symbol", fuzz_mxnet_symbol, ""},
                      Target{"paddle", fuzz_paddle, ""}, Target{"caffe2", fuzz_caffe2, ""},
                      Target{"wav", fuzz_wav, ""}, Target{"solver", fuzz_solver, ""},
                      Target{"program", fuzz_program, ""}),
    [](const auto& target) { return target.param.name; });

}  // namespace
