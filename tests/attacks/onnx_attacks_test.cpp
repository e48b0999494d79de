// ONNX files made to harm, through `nacre convert` and `nacre run`.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "attacks/program.h"
#include "nacre/formats.h"
#include "onnx/make_model.h"
#include "tools/shell.h"

namespace nacre::attacks {
namespace {

namespace fs = std::filesystem;
namespace make = onnx::make;

class OnnxAttacks : public testing::Test {
 protected:
  OnnxAttacks() { fs::create_directories(folder_ / "m"); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void refused(const std::string& model, const std::string& sentence) {
    folder_.write("m/f.onnx", model);
    expect_refused({"convert", path("m/f.onnx"), path("out.npz")}, path("m/f.onnx"), sentence);
  }
  /// Run on x = 1 x 3 x 8 x 8.
  void refused_when_run(const make::Parts& parts, const std::string& sentence) {
    if (!fs::exists(folder_ / "x.npy")) {
      const std::vector<float> values(192, 1);
      RawTensor x{DType::f32, {1, 3, 8, 8}, values.data(), nullptr};
      save_npy(path("x.npy"), x);
    }
    folder_.write("m/f.onnx", make::model(parts));
    expect_refused(
        {"run", path("m/f.onnx"), "--input", "x=" + path("x.npy"), "--output", path("results")},
        path("m/f.onnx"), sentence);
  }
  test::TempFolder folder_;
};

// Row 1: external data that lead out of the model's folder; row 2: names with a meaning of their
// own.
TEST_F(OnnxAttacks, ExternalData) {
  folder_.write("outside.bin", std::string(24, 'o'));
  folder_.write("m/w.bin", std::string(24, 'i'));
  fs::create_symlink(folder_ / "outside.bin", folder_ / "m/link.bin");
  fs::create_directory_symlink(folder_.str(), folder_ / "m/up");
  fs::create_hard_link(folder_ / "outside.bin", folder_ / "m/hard.bin");
  fs::create_symlink("/dev/zero", folder_ / "m/zero");
  ASSERT_EQ(mkfifo(path("m/pipe").c_str(), 0600), 0);
  const auto attack = [&](const std::string& sentence, const std::string& location,
                          const std::string& offset = "", const std::string& length = "") {
    SCOPED_TRACE(location);
    make::Parts p = make::linear();
    p.initializers[0] = make::external("w", {3, 2}, location, offset, length);
    refused(make::model(p), sentence);
  };
  attack("lead out of the model's folder", "../outside.bin");
  fs::create_directory(folder_ / "m/a");
  attack("lead out of the model's folder", "a/../../outside.bin");
  attack("absolute path", path("outside.bin"));
  attack("absolute path", "/dev/zero");
  attack("reached through a link", "link.bin");
  attack("reached through a link", "up/outside.bin");
  attack("reached through a link", "zero");
  attack("hard link", "hard.bin");
  attack("not a regular file", "pipe");
  attack("are a folder", ".");
  attack("no such file", "*/_ORT_MEM_ADDR_/*");
  attack("no such file", "file:w.bin");
  attack("the file has 24", "w.bin", "8");
  attack("is no offset", "w.bin", "18446744073709551608", "24");
  attack("is no offset", "w.bin", "-24");
  attack("bytes of external data, not 24", "w.bin", "0", "8");
}

// Rows 3 and 4: sizes that overflow, and small files that ask for much.
TEST_F(OnnxAttacks, Sizes) {
  for (const auto& [dims, sentence] : std::vector<std::pair<std::vector<int64_t>, std::string>>{
           {{(int64_t{1} << 42) + 1, 1 << 24}, "more elements than memory can hold"},
           {{INT64_MAX, INT64_MAX}, "more elements than memory can hold"},
           {{INT64_MAX, 0}, "more elements than memory can hold"},
           {{-3, -2}, "dimension of -3"},
           {{0}, "values, not 0"},
           {{1 << 30, 4}, "has 2 values, not 4294967296"},
           {std::vector<int64_t>(100000, 1), "more than 32 dimensions"}}) {
    make::Parts p = make::linear();
    p.initializers.push_back(make::tensor("t", dims, {1, 2}));
    refused(make::model(p), sentence);
  }
}

// Row 6.
TEST_F(OnnxAttacks, ManyAndDeepThings) {
  onnx::WireWriter graph, empty_nodes;
  std::string nodes;
  for (int k = 0; k < 1000000; ++k) nodes += std::string("\x0a\x00", 2);
  empty_nodes.bytes(7, nodes);
  refused(empty_nodes.str(), "far more nodes");

  onnx::WireWriter inner = make::graph({}), deep;
  for (int k = 0; k < 10000; ++k) {
    onnx::WireWriter node, attribute, next;
    attribute.bytes(1, "g");
    attribute.message(6, inner);
    node.message(5, attribute);
    next.message(1, node);
    inner = next;
  }
  deep.message(7, inner);
  refused(deep.str(), "nested more than 64 deep");

  make::Parts p = make::linear();
  for (int k = 0; k < 100000; ++k)
    p.nodes.push_back(
        make::node("Relu", {k ? "r" + std::to_string(k - 1) : "y"}, {"r" + std::to_string(k)}));
  folder_.write("m/f.onnx", make::model(p));
  EXPECT_EQ(nacre({"convert", path("m/f.onnx"), path("out.npz")}).code, 0);
}

make::Parts one_node(const onnx::WireWriter& node,
                     std::vector<onnx::WireWriter> initializers = {}) {
  return {{node},
          std::move(initializers),
          {make::value("x", {1, 3, 8, 8})},
          {make::value("y", {})},
          {}};
}

onnx::WireWriter list(const std::string& name, const std::vector<int64_t>& values) {
  onnx::WireWriter a;
  a.bytes(1, name);
  a.integers(8, values);
  a.integer(20, 7);
  return a;
}

onnx::WireWriter integers(const std::string& name, const std::vector<int64_t>& values) {
  onnx::WireWriter t;
  t.integers(1, {static_cast<int64_t>(values.size())});
  t.integer(2, 7);
  t.integers(7, values);
  t.bytes(8, name);
  return t;
}

// Row 7.
TEST_F(OnnxAttacks, GraphsThatContradictThemselves) {
  using make::node;
  make::Parts p = one_node(node("Relu", {}, {"y"}));
  refused_when_run(p, "[Relu] has no inputs");
  refused_when_run(one_node(node("Relu", {"z"}, {"y"})), "which no node before it makes");
  p = one_node(node("Add", {"x", "b"}, {"a"}));
  p.nodes.push_back(node("Relu", {"a"}, {"b"}));
  p.nodes.push_back(node("Relu", {"b"}, {"y"}));
  refused_when_run(p, "which no node before it makes");
  refused_when_run(one_node(node("Relu", {"x"}, {"y"},
                                 {make::attribute("alpha", 0), make::attribute("alpha", 1)})),
                   "has attribute 'alpha' twice");
  p = one_node(node("Relu", {"x"}, {"y"}));
  p.outputs = {make::value("q", {})};
  refused_when_run(p, "nothing makes the output 'q'");
  p = one_node(node("Twist", {"x"}, {"y"}));
  refused_when_run(p, "Twist");
  p.opset = 99;
  refused_when_run(p, "opset 99");
  p = one_node(node("Relu", {"x"}, {"y"}));
  p.inputs = {};
  refused_when_run(p, "'x'");
  // Types that are missing or mixed may be made sense of.
  p.inputs = {make::value("x", {}, false)};
  for (const make::Parts& parts : {p, one_node(node("And", {"x", "x"}, {"y"})),
                                   one_node(node("Add", {"x", "i"}, {"y"}), {integers("i", {1})}),
                                   one_node(node("Gather", {"x", "x"}, {"y"})),
                                   one_node(node("Reshape", {"x", "x"}, {"y"}))}) {
    folder_.write("m/f.onnx", make::model(parts));
    expect_survived(
        {"run", path("m/f.onnx"), "--input", "x=" + path("x.npy"), "--output", path("results")},
        path("m/f.onnx"));
  }
}

// Row 9: attributes and indices that reach beyond memory, or ask for all of it.
TEST_F(OnnxAttacks, AttributesThatIndexMemory) {
  using make::attribute;
  using make::node;
  const auto weight = make::tensor("w", {2, 3, 3, 3}, std::vector<float>(54, 1));
  const auto conv = [&](std::vector<onnx::WireWriter> attributes) {
    return one_node(node("Conv", {"x", "w"}, {"y"}, attributes), {weight});
  };
  for (const auto& parts :
       {conv({attribute("group", 2)}), conv({attribute("group", 0)}),
        conv({attribute("group", -1)}), conv({list("strides", {0, 0})}),
        conv({list("strides", {-1, 1})}), conv({list("strides", {1})}),
        conv({list("dilations", {0, 1})}), conv({list("dilations", {INT64_MAX, 1})}),
        conv({list("pads", {-9, -9, -9, -9})}), conv({list("pads", {INT64_MAX, 0, INT64_MAX, 0})}),
        conv({list("pads", {1})}), conv({list("kernel_shape", {9, 9})})})
    refused_when_run(parts, "Conv:y");
  for (const std::vector<int64_t>& kernel :
       {std::vector<int64_t>{0, 0}, {-1, -1}, {9, 9}, {INT64_MAX, INT64_MAX}, {2}})
    refused_when_run(one_node(node("MaxPool", {"x"}, {"y"}, {list("kernel_shape", kernel)})),
                     "MaxPool:y");
  for (const int64_t index : {int64_t{3}, int64_t{-4}, INT64_MAX, INT64_MIN})
    refused_when_run(one_node(node("Gather", {"x", "i"}, {"y"}, {attribute("axis", 1)}),
                              {integers("i", {index})}),
                     "Gather:y");
  for (const int64_t axis : {int64_t{4}, int64_t{-5}, INT64_MAX, INT64_MIN}) {
    refused_when_run(one_node(node("Softmax", {"x"}, {"y"}, {attribute("axis", axis)})),
                     "Softmax:y");
    refused_when_run(one_node(node("Concat", {"x", "x"}, {"y"}, {attribute("axis", axis)})),
                     "Concat:y");
  }
  refused_when_run(one_node(node("Transpose", {"x"}, {"y"}, {list("perm", {0, 0, 1, 9})})),
                   "Transpose:y");
  refused_when_run(one_node(node("Reshape", {"x", "i"}, {"y"}), {integers("i", {-1, -1})}),
                   "Reshape:y");
  refused_when_run(
      one_node(node("Reshape", {"x", "i"}, {"y"}), {integers("i", {INT64_MAX, INT64_MAX})}),
      "Reshape:y");
  // What would take more memory than there is.
  const int64_t much = int64_t{1} << 40;
  refused_when_run(one_node(node("Tile", {"x", "i"}, {"y"}), {integers("i", {much, 1, 1, 1})}),
                   "out of memory");
  refused_when_run(
      one_node(node("Expand", {"x", "i"}, {"y"}), {integers("i", {much, much, 1, 3, 8, 8})}),
      "Expand:y");
  refused_when_run(one_node(node("ConstantOfShape", {"i"}, {"y"}), {integers("i", {much, much})}),
                   "ConstantOfShape:y");
  refused_when_run(
      one_node(node("Pad", {"x", "i"}, {"y"}), {integers("i", {0, 0, 0, 0, 0, 0, 0, INT64_MAX})}),
      "Pad:y");
  refused_when_run(
      one_node(node("Pad", {"x", "i"}, {"y"}), {integers("i", {0, 0, -99, 0, 0, 0, 0, 0})}),
      "Pad:y");
}

}  // namespace
}  // namespace nacre::attacks
