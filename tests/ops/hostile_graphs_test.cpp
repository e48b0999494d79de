// Graph files whose nodes have attributes and inputs that no caller would give, for every op: they
// are refused by an Error, or loaded and then evaluated to values or an Error.
#include <gtest/gtest.h>

#include <optional>

#include "base/json.h"
#include "fuzz/memory_file.h"
#include "fuzz/safetensors_bytes.h"
#include "graph/node.h"
#include "graph/op_table.h"
#include "nacre/formats.h"
#include "nacre/graph.h"
#include "nacre/ops.h"
#include "ops/mill.h"
#include "tools/shell.h"

namespace nacre {
namespace {

const char* const kFormat = "nacre-graph-1";

/// The structure of a sample's graph as its file has it; nothing for one that cannot be traced.
std::optional<Json> structure(const testing::Subject& subject, size_t number,
                              const std::string& path) {
  Tensors like;
  for (const SampleInput& in : subject.samples()[number].inputs)
    like.push_back(zeros(in.shape, in.dtype));
  try {
    Graph::trace([&](const Tensors& t) { return subject.call(subject.samples()[number], t); }, like)
        .save(path);
  } catch (const Error&) {
    return {};
  }
  return parse_json(SafeTensors::open(path).metadata().at("graph"), path);
}

/// Few values in all, and no loop that may have no end.
bool is_small(const Graph& g) {
  double values = 0;
  for (Node* n : g.nodes()) {
    if (n->op && std::string_view(n->op->name) == "while_loop") return false;
    for (const auto& out : n->outputs) values += static_cast<double>(out.shape.numel());
  }
  return values < 20000;
}

class Hostile {
 public:
  int loaded = 0, refused = 0, evaluated = 0;

  void load(const Json& graph) {
    const MemoryFile file(
        safetensors_bytes({{"format", kFormat}, {"graph", print_json(graph)}}, constants_, bytes_));
    try {
      const Graph g = Graph::load(file.path());
      EXPECT_FALSE(g.str().empty());
      ++loaded;
      if (is_small(g)) evaluate(g, graph);
    } catch (const Error& e) {
      EXPECT_NE(static_cast<int>(e.kind()), static_cast<int>(Error::Kind::internal)) << e.what();
      ++refused;
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what() << " of " << print_json(graph);
    }
  }

  void evaluate(const Graph& g, const Json& graph) {
    Tensors inputs;
    for (const Tensor& t : g.inputs()) inputs.push_back(ones(t.shape(), t.dtype()));
    try {
      eval(g.call(inputs));
      ++evaluated;
    } catch (const Error& e) {
      EXPECT_NE(e.kind(), Error::Kind::internal) << e.what() << " of " << print_json(graph);
    }
  }

  void use_constants_of(const std::string& path) {
    const SafeTensors file = SafeTensors::open(path);
    constants_ = Json::object();
    bytes_.clear();
    for (const auto& [name, raw] : file.tensors()) {
      Json shape = Json::array();
      for (int64_t d : raw.shape) shape.push_back(d);
      const auto from = static_cast<int64_t>(bytes_.size());
      bytes_.append(static_cast<const char*>(raw.data), raw.bytes());
      constants_[name] = Json::object(
          {{"dtype", raw.dtype == DType::f32   ? "F32"
                     : raw.dtype == DType::i64 ? "I64"
                     : raw.dtype == DType::i32 ? "I32"
                     : raw.dtype == DType::f64 ? "F64"
                                               : "BOOL"},
           {"shape", shape},
           {"data_offsets", Json::array({from, static_cast<int64_t>(bytes_.size())})}});
    }
  }

  void attack(const Json& graph) {
    const int64_t big = int64_t{1} << 62;
    const std::vector<Json> values = {0,
                                      -1,
                                      1,
                                      7,
                                      big,
                                      -big,
                                      1e300,
                                      "",
                                      "x",
                                      false,
                                      Json::array(),
                                      Json::array({0}),
                                      Json::array({-1, -1}),
                                      Json::array({big, big}),
                                      Json::array({0, 0, 0, 0, 0, 0})};
    const size_t nodes = graph.at("nodes").list().size();
    for (size_t n = 0; n < nodes; ++n) {
      const Json node = graph.at("nodes").list()[n];
      if (!node.has("op")) continue;
      const auto with = [&](const char* field, const Json& value) {
        Json changed = node;
        changed[field] = value;
        Json list = Json::array();
        for (size_t k = 0; k < nodes; ++k)
          list.push_back(k == n ? changed : graph.at("nodes").list()[k]);
        Json whole = graph;
        whole["nodes"] = list;
        load(whole);
      };
      if (const Json* attrs = node.find("attrs"))
        for (const auto& [name, old] : attrs->fields())
          for (const Json& value : values) {
            Json changed = *attrs;
            changed[name] = value;
            with("attrs", changed);
          }
      const auto& in = node.at("in").list();
      Json fewer = Json::array(), more = Json::array(), turned = Json::array();
      for (size_t i = 0; i < in.size(); ++i) {
        with("in", fewer);
        fewer.push_back(in[i]);
        more.push_back(in[i]);
        turned.push_back(in[in.size() - 1 - i]);
      }
      for (int k = 0; k < 3 && !in.empty(); ++k) {
        more.push_back(in[0]);
        with("in", more);
      }
      with("in", turned);
    }
    for (size_t i = 0; i < graph.at("inputs").list().size(); ++i)
      for (const Json& shape : {Json::array(), Json::array({0}), Json::array({int64_t{1} << 40}),
                                Json::array({0, 0, 0, 0}), Json::array({1, 1, 1, 1, 1, 1, 1, 1})}) {
        Json inputs = Json::array();
        for (size_t k = 0; k < graph.at("inputs").list().size(); ++k) {
          Json in = graph.at("inputs").list()[k];
          if (k == i) in["shape"] = shape;
          inputs.push_back(in);
        }
        Json whole = graph;
        whole["inputs"] = inputs;
        load(whole);
      }
  }

 private:
  Json constants_ = Json::object();
  std::string bytes_;
};

TEST(HostileGraphs, OfEveryOpAreRefusedOrEvaluated) {
  test::TempFolder folder;
  size_t traced = 0;
  int loaded = 0, refused = 0, evaluated = 0;
  for (const OpDocumented& op : builtin_ops()) {
    const testing::Subject subject(*op.def);
    for (size_t i = 0; i < subject.samples().size() && i < 3; ++i) {
      const std::string path = folder / "sample.graph";
      if (const auto graph = structure(subject, i, path)) {
        SCOPED_TRACE(op.def->name);
        Hostile hostile;
        hostile.use_constants_of(path);
        hostile.load(*graph);
        EXPECT_EQ(hostile.loaded, 1) << print_json(*graph);
        hostile.attack(*graph);
        loaded += hostile.loaded;
        refused += hostile.refused;
        evaluated += hostile.evaluated;
        ++traced;
      }
    }
  }
  EXPECT_GT(traced, 200u);
  EXPECT_GT(loaded, 1000);
  EXPECT_GT(refused, 5000);
  EXPECT_GT(evaluated, 1000);
}

}  // namespace
}  // namespace nacre
