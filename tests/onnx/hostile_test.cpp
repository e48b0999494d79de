// Files that are damaged, or made to harm.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "nacre/onnx.h"
#include "onnx/cases.h"
#include "onnx/make_model.h"

namespace nacre::onnx {
namespace {

namespace fs = std::filesystem;
using std::string;

string refusal(const string& bytes) {
  try {
    parse(bytes, "m.onnx");
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

void expect_refused(const make::Parts& p, const string& part) {
  const string text = refusal(make::model(p));
  EXPECT_NE(text.find(part), string::npos) << text;
}

TEST(OnnxHostile, EveryTruncationAndEveryFlippedBitIsSurvived) {
  const string whole = make::model(make::linear());
  EXPECT_EQ(refusal(whole), "accepted");
  int refused = 0;
  for (size_t n = 0; n < whole.size(); ++n) refused += refusal(whole.substr(0, n)) != "accepted";
  EXPECT_GT(refused, static_cast<int>(whole.size()) * 3 / 4);
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    refusal(damaged);
  }
}

// Attributes, shapes and constants that no exporter would write: an Error, or numbers.
TEST(OnnxHostile, DamagedModelsRunOrAreRefused) {
  Rng rng{Key(17)};
  int refused = 0, ran = 0;
  for (const Case& c : read_packed_cases(NACRE_SOURCE_DIR "/tests/onnx/goldens/cases.bin")) {
    if (c.model.size() > 4000) continue;
    for (int round = 0; round < 12; ++round) {
      std::string damaged = c.model;
      for (uint64_t edits = 1 + rng.below(3); edits > 0; --edits) {
        const char values[] = {0, 1, 2, '\x7f', '\x80', '\xff', static_cast<char>(rng.below(256))};
        damaged[rng.below(damaged.size())] = values[rng.below(sizeof values)];
      }
      try {
        const auto net = parse(damaged, "m.onnx");
        std::map<std::string, Value> given;
        for (size_t k = 0; k < std::min(c.inputs.size(), net->inputs().size()); ++k)
          given[net->inputs()[k].name] =
              parse_value(c.inputs[k], "an input", net->inputs()[k].type);
        // Sizes that merely take long are not what is looked for here.
        net->on_node = [](const Network::Step& n) {
          for (const Value& v : n.outputs)
            if (v.is_tensor() && v.tensor().numel() > 1 << 20)
              throw Error(Error::Kind::memory, "large");
        };
        NoGrad guard;
        Context ctx = Context::eval();
        Tensors all;
        for (const Value& v : net->run(given, ctx))
          if (v.is_tensor()) all.push_back(v.tensor());
        eval(all);
        ++ran;
      } catch (const Error& e) {
        EXPECT_NE(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::internal))
            << c.name << ": " << e.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(ran, 300);  // 412; names of attributes that were damaged are refused
}

TEST(OnnxHostile, ContradictionsAreNamed) {
  make::Parts p = make::linear();
  p.nodes = {make::node("Relu", {"z"}, {"y"}, {}, "r")};
  expect_refused(p, "node 'r' (Relu) uses 'z', which no node before it makes");
  p.nodes = {make::node("Add", {"x", "b2"}, {"a2"}), make::node("Relu", {"a2"}, {"b2"})};
  expect_refused(p, "uses 'b2', which no node before it makes");  // a cycle
  p = make::linear();
  p.nodes.push_back(make::node("Relu", {"x"}, {"y"}));
  expect_refused(p, "two values are named 'y'");
  p = make::linear();
  p.outputs = {make::value("q", {})};
  expect_refused(p, "nothing makes the output 'q'");
  p = make::linear();
  p.nodes = {make::node("Gemm", {"x", "w"}, {"y"},
                        {make::attribute("transA", 0), make::attribute("transA", 1)}, "fc")};
  expect_refused(p, "node 'fc' (Gemm) has attribute 'transA' twice");
  p = make::linear();
  p.initializers.push_back(make::tensor("w", {1}, {1}));
  expect_refused(p, "two initializers are named 'w'");
  p = make::linear();
  p.opset = 99;
  expect_refused(p, "uses opset 99");
  p.opset = -1;
  expect_refused(p, "version -1");
  EXPECT_NE(refusal("\x08\x08").find("holds no graph"), string::npos);
}

TEST(OnnxHostile, SizesThatCannotBe) {
  for (const auto& [dims, part] : std::vector<std::pair<std::vector<int64_t>, string>>{
           {{int64_t{1} << 42, 2}, "values, not"},
           {{INT64_MAX, 2}, "more elements than memory can hold"},
           {{INT64_MAX, 0, INT64_MAX}, "more elements than memory can hold"},
           {{-1}, "dimension of -1"},
           {{0}, "values, not 0"},
           {{1 << 30}, "has 2 values, not 1073741824"},
           {std::vector<int64_t>(40, 1), "more than 32 dimensions"}}) {
    make::Parts p = make::linear();
    p.initializers.push_back(make::tensor("t", dims, {1, 2}));
    expect_refused(p, part);
  }
}

TEST(OnnxHostile, ManyAndDeepThings) {
  // Nodes of two bytes each would take hundreds of bytes each.
  WireWriter graph, model;
  string nodes;
  for (int k = 0; k < 1000000; ++k) nodes += string("\x0a\x00", 2);
  model.bytes(7, nodes);
  EXPECT_NE(refusal(model.str()).find("far more nodes"), string::npos);

  WireWriter inner = make::graph({});
  for (int k = 0; k < 10000; ++k) {
    WireWriter node, attribute, next;
    attribute.bytes(1, "g");
    attribute.message(6, inner);
    node.message(5, attribute);
    next.message(1, node);
    if (next.str().size() > 1 << 22) break;
    inner = next;
  }
  WireWriter deep;
  deep.message(7, inner);
  EXPECT_NE(refusal(deep.str()).find("nested more than 64 deep"), string::npos);

  make::Parts p = make::linear();
  for (int k = 0; k < 100000; ++k)
    p.nodes.push_back(
        make::node("Relu", {k ? "r" + std::to_string(k - 1) : "y"}, {"r" + std::to_string(k)}));
  EXPECT_EQ(refusal(make::model(p)), "accepted");
}

TEST(OnnxHostile, FunctionsThatCallThemselves) {
  WireWriter f;
  f.bytes(1, "F");
  f.bytes(4, "a");
  f.bytes(5, "b");
  f.message(7, make::node("F", {"a"}, {"b"}, {}, "", "local"));
  f.bytes(10, "local");
  make::Parts p = make::linear();
  p.functions = {f};
  p.nodes.push_back(make::node("F", {"y"}, {"z"}, {}, "", "local"));
  expect_refused(p, "function 'F' calls itself");
}

/// A folder that holds a model with external data.
class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("onnx_external_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "m" / "sub");
    write(folder_ / "outside.bin", string(24, 'o'));
    write(folder_ / "m" / "w.bin", string(48, '\0'));
    write(folder_ / "m" / "sub" / "w.bin", string(24, '\0'));
  }
  void TearDown() override { fs::remove_all(folder_); }
  static void write(const fs::path& path, const string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  string load_with(const string& location, const string& offset = "", const string& length = "") {
    make::Parts p = make::linear();
    p.initializers[0] = make::external("w", {3, 2}, location, offset, length);
    write(folder_ / "m" / "model.onnx", make::model(p));
    try {
      load((folder_ / "m" / "model.onnx").string());
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }
  void refused(const string& part, const string& location, const string& offset = "",
               const string& length = "") {
    const string text = load_with(location, offset, length);
    EXPECT_NE(text.find(part), string::npos) << text;
  }
  fs::path folder_;
};

TEST_F(ExternalData, InsideTheFolderIsRead) {
  EXPECT_EQ(load_with("w.bin"), "accepted");
  EXPECT_EQ(load_with("w.bin", "24", "24"), "accepted");
  EXPECT_EQ(load_with("sub/w.bin", "0", "24"), "accepted");
}

TEST_F(ExternalData, NothingElseIs) {
  refused("lead out of the model's folder", "../outside.bin");
  refused("lead out of the model's folder", "sub/../../outside.bin");
  refused("absolute path", (folder_ / "outside.bin").string());
  refused("no such file", "absent.bin");
  refused("have no location", "");
  fs::create_symlink(folder_ / "outside.bin", folder_ / "m" / "link.bin");
  refused("reached through a link", "link.bin");
  fs::create_directory_symlink(folder_, folder_ / "m" / "up");
  refused("reached through a link", "up/outside.bin");
  fs::create_hard_link(folder_ / "outside.bin", folder_ / "m" / "hard.bin");
  refused("hard link", "hard.bin");
  ASSERT_EQ(::mkfifo((folder_ / "m" / "pipe").c_str(), 0600), 0);
  refused("not a regular file", "pipe");
  refused("not a regular file", "sub");
  refused("zero byte", string("w.bin\0.txt", 10));
}

TEST_F(ExternalData, RangesAreChecked) {
  refused("the file has 48", "w.bin", "25");
  refused("the file has 48", "w.bin", "922337203685477580");
  refused("has 30 bytes of external data, not 24", "w.bin", "0", "30");
  refused("is no offset", "w.bin", "-4");
  refused("is no length", "w.bin", "0", "99999999999999999999");
}

}  // namespace
}  // namespace nacre::onnx
