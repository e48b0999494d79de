// ONNX files made to harm, through `nacre convert` and `nacre run`.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "attacks/program.h"
#include "nacre/formats.h"
#include "nacre/onnx.h"
#include "nacre/plan.h"
#include "onnx/make_model.h"
#include "tools/shell.h"

namespace nacre::attacks {
namespace {

namespace fs = std::filesystem;

class OnnxAttacks : public ::testing::Test {
 protected:
  OnnxAttacks() { fs::create_directories(folder_ / "m"); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void refused(const std::string& model, const std::string& sentence) {
    folder_.write("m/f.onnx", model);
    expect_refused({"convert", path("m/f.onnx"), path("out.npz")}, path("m/f.onnx"), sentence);
  }
  /// Run on x = 1 x 3 x 8 x 8.
  void refused_when_run(const onnx::make::Parts& parts, const std::string& sentence) {
    if (!fs::exists(folder_ / "x.npy")) {
      const std::vector<float> values(192, 1);
      RawTensor x{DType::f32, {1, 3, 8, 8}, values.data(), nullptr};
      save_npy(path("x.npy"), x);
    }
    folder_.write("m/f.onnx", onnx::make::model(parts));
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
    onnx::make::Parts p = onnx::make::linear();
    p.initializers[0] = onnx::make::external("w", {3, 2}, location, offset, length);
    refused(onnx::make::model(p), sentence);
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
    onnx::make::Parts p = onnx::make::linear();
    p.initializers.push_back(onnx::make::tensor("t", dims, {1, 2}));
    refused(onnx::make::model(p), sentence);
  }
}

// Row 6.
TEST_F(OnnxAttacks, ManyAndDeepThings) {
  WireWriter graph, empty_nodes;
  std::string nodes;
  for (int k = 0; k < 1000000; ++k) nodes += std::string("\x0a\x00", 2);
  empty_nodes.bytes(7, nodes);
  refused(empty_nodes.str(), "far more nodes");

  WireWriter inner = onnx::make::graph({}), deep;
  for (int k = 0; k < 10000; ++k) {
    WireWriter node, attribute, next;
    attribute.bytes(1, "g");
    attribute.message(6, inner);
    node.message(5, attribute);
    next.message(1, node);
    inner = next;
  }
  deep.message(7, inner);
  refused(deep.str(), "nested more than 64 deep");

  onnx::make::Parts p = onnx::make::linear();
  for (int k = 0; k < 100000; ++k)
    p.nodes.push_back(onnx::make::node("Relu", {k ? "r" + std::to_string(k - 1) : "y"},
                                       {"r" + std::to_string(k)}));
  folder_.write("m/f.onnx", onnx::make::model(p));
  EXPECT_EQ(nacre({"convert", path("m/f.onnx"), path("out.npz")}).code, 0);
}

onnx::make::Parts one_node(const WireWriter& node, std::vector<WireWriter> initializers = {},
                           int64_t opset = 17) {
  onnx::make::Parts p = {{node},
                         std::move(initializers),
                         {onnx::make::value("x", {1, 3, 8, 8})},
                         {onnx::make::value("y", {})},
                         {}};
  p.opset = opset;
  return p;
}

WireWriter text(const std::string& name, const std::string& value) {
  WireWriter a;
  a.bytes(1, name);
  a.bytes(4, value);
  a.integer(20, 3);
  return a;
}

WireWriter list(const std::string& name, const std::vector<int64_t>& values) {
  WireWriter a;
  a.bytes(1, name);
  a.integers(8, values);
  a.integer(20, 7);
  return a;
}

// Row 7.
TEST_F(OnnxAttacks, GraphsThatContradictThemselves) {
  using onnx::make::node;
  onnx::make::Parts p = one_node(node("Relu", {}, {"y"}));
  refused_when_run(p, "[Relu] has no inputs");
  refused_when_run(one_node(node("Relu", {"z"}, {"y"})), "which no node before it makes");
  p = one_node(node("Add", {"x", "b"}, {"a"}));
  p.nodes.push_back(node("Relu", {"a"}, {"b"}));
  p.nodes.push_back(node("Relu", {"b"}, {"y"}));
  refused_when_run(p, "which no node before it makes");
  refused_when_run(
      one_node(node("Relu", {"x"}, {"y"},
                    {onnx::make::attribute("alpha", 0), onnx::make::attribute("alpha", 1)})),
      "has attribute 'alpha' twice");
  p = one_node(node("Relu", {"x"}, {"y"}));
  p.outputs = {onnx::make::value("q", {})};
  refused_when_run(p, "nothing makes the output 'q'");
  p = one_node(node("Twist", {"x"}, {"y"}));
  refused_when_run(p, "Twist");
  p.opset = 99;
  refused_when_run(p, "opset 99");
  p = one_node(node("Relu", {"x"}, {"y"}));
  p.inputs = {};
  refused_when_run(p, "'x'");
  // Types that are mixed, and types that are missing, which may be made sense of.
  refused_when_run(one_node(node("And", {"x", "x"}, {"y"})), "input 0 is float, it has to be bool");
  refused_when_run(one_node(node("Add", {"x", "i"}, {"y"}), {onnx::make::integers("i", {1})}),
                   "input 1 is int64, but input 0 is float: they have to be of one type");
  refused_when_run(
      one_node(node("Concat", {"x", "x", "i"}, {"y"}, {onnx::make::attribute("axis", 0)}),
               {onnx::make::integers("i", {1})}),
      "input 2 is int64, but input 0 is float");
  refused_when_run(one_node(node("Where", {"x", "x", "x"}, {"y"})), "it has to be bool");
  refused_when_run(one_node(node("Gather", {"x", "x"}, {"y"})), "it has to be int32 or int64");
  refused_when_run(one_node(node("Reshape", {"x", "x"}, {"y"})), "it has to be int64");
  p.inputs = {onnx::make::value("x", {}, false)};
  folder_.write("m/f.onnx", onnx::make::model(p));
  expect_survived(
      {"run", path("m/f.onnx"), "--input", "x=" + path("x.npy"), "--output", path("results")},
      path("m/f.onnx"));
}

// Row 8: models without a fault that have broken optimisers of others: what can be folded and
// cannot be computed, chains that cancel, outputs that are inputs, nodes that nothing needs. With
// passes and without they give the same values.
TEST_F(OnnxAttacks, GraphsThatBreakOptimisers) {
  using onnx::make::attribute;
  using onnx::make::node;
  using Nodes = std::vector<WireWriter>;
  const std::vector<float> values = [] {
    std::vector<float> v(192);
    for (size_t k = 0; k < v.size(); ++k) v[k] = 0.37f * static_cast<float>(k % 17) - 2.5f;
    return v;
  }();
  save_npy(path("x.npy"), {DType::f32, {1, 3, 8, 8}, values.data(), nullptr});
  const Tensor x = Tensor::from_bytes(values.data(), values.size() * 4, {1, 3, 8, 8}, DType::f32);
  const auto run = [&](const std::string& what, const Nodes& nodes,
                       const std::vector<WireWriter>& initializers = {},
                       const std::vector<std::string>& outputs = {"y"}) {
    SCOPED_TRACE(what);
    onnx::make::Parts p{nodes, initializers, {onnx::make::value("x", {1, 3, 8, 8})}, {}, {}};
    for (const std::string& o : outputs) p.outputs.push_back(onnx::make::value(o, {}, false));
    const std::string model = onnx::make::model(p);
    folder_.write("m/f.onnx", model);
    const std::string file = path("m/f.onnx"), results = path("results");
    const Outcome outcome =
        nacre({"run", file, "--input", "x=" + path("x.npy"), "--output", results});
    ASSERT_EQ(outcome.code, 0) << outcome.output;
    const auto net = onnx::parse(model, "the model");
    Context ctx = Context::eval();
    set_eager(true);
    const onnx::Values eager = net->run({{"x", x}}, ctx);
    for (size_t k = 0; k < outputs.size(); ++k) {
      const RawTensor got = load_npy(results + "/" + outputs[k] + ".npy");
      const Tensor& want = eager[k].tensor();
      ASSERT_EQ(got.shape, want.shape());
      const auto a = copied_tensor(got).to_vector<double>(), b = want.to_vector<double>();
      for (size_t i = 0; i < b.size(); ++i)
        ASSERT_TRUE(a[i] == b[i] || std::abs(a[i] - b[i]) <= 1e-5 * std::abs(b[i]) ||
                    (std::isnan(a[i]) && std::isnan(b[i])))
            << outputs[k] << " has " << a[i] << " at " << i << ", eager " << b[i];
    }
    set_eager(false);
    fs::remove_all(results);
  };
  const auto one = onnx::make::tensor("one", {1}, {1}), zero = onnx::make::tensor("zero", {1}, {0});
  run("a quotient of constants",
      {node("Div", {"one", "zero"}, {"q"}), node("Mul", {"x", "q"}, {"y"})}, {one, zero});
  run("0 times an infinity",
      {node("Div", {"one", "zero"}, {"q"}), node("Mul", {"q", "zero"}, {"n"}),
       node("Add", {"x", "n"}, {"y"})},
      {one, zero});
  run("a sum with zeros of another shape", {node("Add", {"x", "z"}, {"y"})},
      {onnx::make::tensor("z", {2, 1, 1, 8, 1}, std::vector<float>(16, 0))});
  run("a product with ones of another shape", {node("Mul", {"x", "z"}, {"y"})},
      {onnx::make::tensor("z", {4, 1, 1, 1}, {1, 1, 1, 1})});
  run("constants that fold to much",
      {node("Expand", {"one", "s"}, {"e"}),
       node("ReduceSum", {"e"}, {"r"}, {attribute("keepdims", 0)}), node("Add", {"x", "r"}, {"y"})},
      {one, onnx::make::integers("s", {4000, 4000})});
  run("an output that is an input, and one that is a constant",
      {node("Identity", {"x"}, {"y"}), node("Identity", {"one"}, {"z"})}, {one},
      {"y", "z", "x", "one"});
  run("no nodes", {}, {}, {"x"});
  run("a node that nothing needs and that fails",
      {node("Relu", {"x"}, {"y"}), node("Sqrt", {"x"}, {"unused"})});
  run("two of the same, and one that is nearly it",
      {node("LeakyRelu", {"x"}, {"a"}), node("LeakyRelu", {"x"}, {"b"}),
       node("Sub", {"a", "b"}, {"d"}), node("Sigmoid", {"x"}, {"c"}),
       node("Add", {"d", "c"}, {"y"})},
      {}, {"y", "a", "b"});
  run("turned there and back",
      {node("Transpose", {"x"}, {"a"}, {list("perm", {0, 2, 3, 1})}),
       node("Transpose", {"a"}, {"b"}, {list("perm", {0, 3, 1, 2})}),
       node("Transpose", {"b"}, {"c"}, {list("perm", {3, 2, 1, 0})}), node("Relu", {"c"}, {"y"})});
  run("shaped through emptiness",
      {node("Slice", {"x", "i", "i"}, {"e"}), node("Reshape", {"e", "s"}, {"f"}),
       node("ReduceSum", {"f"}, {"r"}), node("Concat", {"e", "x"}, {"y"}, {attribute("axis", 0)})},
      {onnx::make::integers("i", {0}), onnx::make::integers("s", {0, 5, 7})}, {"y", "f", "r"});
  run("a normalisation without variance after a convolution",
      {node("Conv", {"x", "w"}, {"a"}),
       node("BatchNormalization", {"a", "g", "z", "z", "z"}, {"y"})},
      {onnx::make::tensor("w", {2, 3, 1, 1}, {1, -1, 2, 0, 0, 0}),
       onnx::make::tensor("g", {2}, {0, -3}), onnx::make::tensor("z", {2}, {0, 0})});
  run("a convolution that two read, one before its bias",
      {node("Conv", {"x", "w"}, {"a"}), node("Add", {"a", "b"}, {"c"}), node("Relu", {"c"}, {"d"}),
       node("Add", {"a", "d"}, {"y"})},
      {onnx::make::tensor("w", {2, 3, 1, 1}, {1, -1, 2, 0, 0, 0}),
       onnx::make::tensor("b", {2, 1, 1}, {3, -3})},
      {"y", "a"});
  run("a bias that makes the convolution larger",
      {node("Conv", {"x", "w"}, {"a"}), node("Add", {"a", "b"}, {"y"})},
      {onnx::make::tensor("w", {1, 3, 1, 1}, {1, -1, 2}),
       onnx::make::tensor("b", {5, 4, 1, 1}, std::vector<float>(20, 2))});
  Nodes chain;
  for (int k = 0; k < 300; ++k)
    chain.push_back(node(k % 3 ? "Neg" : "Sigmoid", {k ? "c" + std::to_string(k - 1) : "x"},
                         {k < 299 ? "c" + std::to_string(k) : "y"}));
  run("a long chain", chain);
  Nodes doubling;
  for (int k = 0; k < 60; ++k) {
    const std::string from = k ? "c" + std::to_string(k - 1) : "t";
    doubling.push_back(node("Add", {from, from}, {k < 59 ? "c" + std::to_string(k) : "y"}));
  }
  doubling.insert(doubling.begin(), node("Tanh", {"x"}, {"t"}));
  run("2^60 paths", doubling);
}

// Row 9: attributes and indices that reach beyond memory, or ask for all of it.
TEST_F(OnnxAttacks, AttributesThatIndexMemory) {
  using onnx::make::attribute;
  using onnx::make::node;
  const auto weight = onnx::make::tensor("w", {2, 3, 3, 3}, std::vector<float>(54, 1));
  const auto conv = [&](std::vector<WireWriter> attributes) {
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
                              {onnx::make::integers("i", {index})}),
                     "Gather:y");
  for (const int64_t axis : {int64_t{4}, int64_t{-5}, INT64_MAX, INT64_MIN}) {
    refused_when_run(one_node(node("Softmax", {"x"}, {"y"}, {attribute("axis", axis)})),
                     "Softmax:y");
    refused_when_run(one_node(node("Concat", {"x", "x"}, {"y"}, {attribute("axis", axis)})),
                     "Concat:y");
  }
  refused_when_run(one_node(node("Transpose", {"x"}, {"y"}, {list("perm", {0, 0, 1, 9})})),
                   "Transpose:y");
  refused_when_run(
      one_node(node("Reshape", {"x", "i"}, {"y"}), {onnx::make::integers("i", {-1, -1})}),
      "Reshape:y");
  refused_when_run(one_node(node("Reshape", {"x", "i"}, {"y"}),
                            {onnx::make::integers("i", {INT64_MAX, INT64_MAX})}),
                   "Reshape:y");
  // What would take more memory than there is.
  const int64_t much = int64_t{1} << 40;
  refused_when_run(
      one_node(node("Tile", {"x", "i"}, {"y"}), {onnx::make::integers("i", {much, 1, 1, 1})}),
      "out of memory");
  refused_when_run(one_node(node("Expand", {"x", "i"}, {"y"}),
                            {onnx::make::integers("i", {much, much, 1, 3, 8, 8})}),
                   "Expand:y");
  refused_when_run(
      one_node(node("ConstantOfShape", {"i"}, {"y"}), {onnx::make::integers("i", {much, much})}),
      "ConstantOfShape:y");
  refused_when_run(one_node(node("ConstantOfShape", {"i"}, {"y"}),
                            {onnx::make::integers("i", {1 << 20, 1 << 20})}),
                   "out of memory");
  refused_when_run(one_node(node("Pad", {"x", "i"}, {"y"}),
                            {onnx::make::integers("i", {0, 0, 0, 0, 0, 0, 0, INT64_MAX})}),
                   "Pad:y");
  refused_when_run(one_node(node("Pad", {"x", "i"}, {"y"}),
                            {onnx::make::integers("i", {0, 0, -99, 0, 0, 0, 0, 0})}),
                   "Pad:y");
  for (const float scale : {1e6F, 1e9F, INFINITY, NAN, 0.0F, -1.0F}) {
    const auto scales = onnx::make::tensor("s", {4}, {1, 1, scale, scale});
    for (const char* mode : {"nearest", "linear", "cubic"})
      refused_when_run(
          one_node(node("Resize", {"x", "", "s"}, {"y"}, {text("mode", mode)}), {scales}),
          "Resize:y");
    refused_when_run(one_node(node("Upsample", {"x", "s"}, {"y"}), {scales}, 9), "Upsample:y");
  }
  refused_when_run(one_node(node("Resize", {"x", "", "", "i"}, {"y"}),
                            {onnx::make::integers("i", {1, 3, much, much})}),
                   "Resize:y");
  refused_when_run(one_node(node("GridSample", {"x", "g"}, {"y"}),
                            {onnx::make::tensor("g", {1, 1, 1, 3}, {0, 0, 0})}),
                   "GridSample:y");
  folder_.write(
      "m/f.onnx",
      onnx::make::model(one_node(
          node("GridSample", {"x", "g"}, {"y"}),
          {onnx::make::tensor("g", {1, 1, 3, 2}, {NAN, INFINITY, 1e30F, -1e30F, -INFINITY, 0})})));
  expect_survived(
      {"run", path("m/f.onnx"), "--input", "x=" + path("x.npy"), "--output", path("results")},
      path("m/f.onnx"));
  for (const int64_t depth : {int64_t{0}, int64_t{-1}, much, INT64_MAX})
    refused_when_run(
        one_node(node("OneHot", {"x", "i", "v"}, {"y"}),
                 {onnx::make::integers("i", {depth}), onnx::make::tensor("v", {2}, {0, 1})}),
        "OneHot:y");
  for (const auto& [limit, step] :
       {std::pair(much, int64_t{1}), {INT64_MAX, int64_t{1}}, {int64_t{9}, int64_t{0}}})
    refused_when_run(one_node(node("Range", {"a", "b", "d"}, {"y"}),
                              {onnx::make::integers("a", {0}), onnx::make::integers("b", {limit}),
                               onnx::make::integers("d", {step})}),
                     "Range:y");
  for (const int64_t length : {int64_t{-5}, int64_t{99}, INT64_MIN})
    refused_when_run(one_node(node("ReverseSequence", {"x", "i"}, {"y"}),
                              {onnx::make::integers("i", {length, 1, 1})}),
                     "ReverseSequence:y");
}

// Row 9: a loop that does not end by itself.
TEST_F(OnnxAttacks, LoopsThatDoNotEnd) {
  WireWriter body = onnx::make::graph(
      {{onnx::make::node("Identity", {"c"}, {"co"}), onnx::make::node("Identity", {"v"}, {"vo"})},
       {},
       {onnx::make::value("i", {}, false), onnx::make::value("c", {}, false),
        onnx::make::value("v", {}, false)},
       {onnx::make::value("co", {}, false), onnx::make::value("vo", {}, false)},
       {}});
  WireWriter go;
  go.integer(2, 9);
  go.integers(5, {1});
  go.bytes(8, "go");
  const auto loop =
      onnx::make::node("Loop", {"n", "go", "x"}, {"y"}, {onnx::make::attribute("body", body)});
  refused_when_run(one_node(loop, {onnx::make::integers("n", {int64_t{1} << 62}), go}),
                   "still runs after 1048576 steps");
}

}  // namespace
}  // namespace nacre::attacks
