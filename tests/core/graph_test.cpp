#include "nacre/graph.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "nacre/ops.h"

namespace nacre {
namespace {

Tensor weights(float first) { return Tensor::from({first, 2.f, 3.f, 4.f}, {2, 2}); }

Graph network(float first, double slope, bool extra) {
  const Tensor x = Tensor::from({1.f, -1.f}, {1, 2}), w = weights(first);
  return Graph::trace(
      [&](const Tensors& in) {
        Tensor h = leaky_relu(matmul(in[0], w), slope);
        if (extra) h = tanh(h);
        return Tensors{h + 1.0};
      },
      {x});
}

std::string temporary(const char* name) {
  return (std::filesystem::temp_directory_path() / name).string();
}

TEST(Graph, SavedAndLoadedGivesEqualBits) {
  const std::string path = temporary("nacre_graph_test.graph");
  const Graph g = network(1, 0.1, true);
  g.save(path);
  const Graph h = Graph::load(path);
  const Tensor x = Tensor::from({0.3f, -0.7f}, {1, 2});
  EXPECT_EQ(g.call({x})[0].to_vector<float>(), h.call({x})[0].to_vector<float>());
  EXPECT_EQ(g.hash(), h.hash());
  EXPECT_TRUE(diff(g, h).empty());
  std::filesystem::remove(path);
}

TEST(Graph, SubgraphsAreSavedToo) {
  const std::string path = temporary("nacre_graph_scan.graph");
  const Tensor c = Tensor::from({0.5f}, {1}), xs = Tensor::from({1.f, 2.f, 3.f}, {3, 1});
  const Graph g = Graph::trace(
      [](const Tensors& in) {
        return scan(
            [](const Tensors& t) {
              return Tensors{t[0] * 0.5 + t[1], t[0]};
            },
            {in[0]}, {in[1]});
      },
      {c, xs});
  g.save(path);
  const Graph h = Graph::load(path);
  for (size_t k = 0; k < 2; ++k)
    EXPECT_EQ(g.call({c, xs})[k].to_vector<float>(), h.call({c, xs})[k].to_vector<float>());
  std::filesystem::remove(path);
}

TEST(Graph, DiffNamesWhatWasAddedRemovedAndChanged) {
  const Graph before = network(1, 0.1, false);
  const auto weight = diff(before, network(9, 0.1, false));
  ASSERT_EQ(weight.size(), 1u);
  EXPECT_EQ(weight[0].kind, GraphChange::Kind::changed);
  EXPECT_NE(weight[0].text.find("constant"), std::string::npos);
  const auto attribute = diff(before, network(1, 0.2, false));
  ASSERT_EQ(attribute.size(), 1u);
  EXPECT_EQ(attribute[0].kind, GraphChange::Kind::changed);
  EXPECT_NE(attribute[0].text.find("leaky_relu"), std::string::npos);
  const auto added = diff(before, network(1, 0.1, true));
  ASSERT_EQ(added.size(), 1u);
  EXPECT_EQ(added[0].kind, GraphChange::Kind::added);
  EXPECT_NE(added[0].text.find("tanh"), std::string::npos);
  const auto removed = diff(network(1, 0.1, true), before);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].kind, GraphChange::Kind::removed);
}

TEST(Graph, ManyChangesOfSavedModelsAreListedAndNoOther) {
  const std::string paths[] = {temporary("nacre_graph_before.graph"),
                               temporary("nacre_graph_after.graph")};
  const Tensor x = normal({2, 64}, Key(1)), last = normal({256, 8}, Key(3));
  std::vector<float> weights = normal({64, 256}, Key(2)).to_vector<float>();
  const auto save = [&](bool after) {
    const Tensor first = Tensor::from(weights, {64, 256});
    const Graph g = Graph::trace(
        [&](const Tensors& in) {
          const Tensor h = relu(matmul(after ? in[0] : tanh(in[0]), first));
          const Tensor y = matmul(h, last);
          return Tensors{after ? softmax(y) : y};
        },
        {x});
    g.save(paths[after]);
    return g.call({x})[0].to_vector<float>();
  };
  const auto want = save(false);
  weights[9999] += 1e-3f;  // one of 16,384: seen by the content
  save(true);
  const Graph before = Graph::load(paths[0]), after = Graph::load(paths[1]);
  std::map<GraphChange::Kind, std::vector<std::string>> found;
  for (const GraphChange& c : diff(before, after)) found[c.kind].push_back(c.text);
  const auto expect_one = [&](GraphChange::Kind kind, const char* what) {
    ASSERT_EQ(found[kind].size(), 1u) << what;
    EXPECT_NE(found[kind][0].find(what), std::string::npos) << found[kind][0];
  };
  expect_one(GraphChange::Kind::removed, "tanh");
  expect_one(GraphChange::Kind::added, "softmax");
  expect_one(GraphChange::Kind::changed, "constant");
  // The file of a version is that version.
  EXPECT_EQ(before.call({x})[0].to_vector<float>(), want);
  for (const std::string& path : paths) std::filesystem::remove(path);
}

TEST(Graph, DamagedFilesAreRefused) {
  const std::string path = temporary("nacre_graph_damaged.graph");
  network(1, 0.1, true).save(path);
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  in.close();
  int refused = 0;
  for (size_t cut = 0; cut < whole.size(); cut += 7) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, cut);
    EXPECT_THROW(Graph::load(path), Error);
    ++refused;
  }
  for (size_t at = 0; at < whole.size(); at += 3) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x15);
    std::ofstream(path, std::ios::binary) << bad;
    try {
      Graph::load(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace nacre
