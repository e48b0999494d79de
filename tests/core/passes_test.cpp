// A pass that fails costs speed, not the answer.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "compile/pass_stats.h"
#include "compile/plan.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

Graph throws(const Graph&, const CompileOptions&) { throw std::out_of_range("no such node"); }
Graph loses_an_output(const Graph& g, const CompileOptions&) {
  return {g.inputs(), {g.outputs()[0]}};
}
Graph transposes(const Graph& g, const CompileOptions&) {
  return {g.inputs(), {transpose(g.outputs()[0], 0, 1), g.outputs()[1]}};
}

uint64_t failures(const std::string& pass) {
  for (const PassStats& s : pass_stats())
    if (s.name == pass) return s.failures;
  return 0;
}

TEST(Passes, OnesThatFailAreLeftOutWithAWarning) {
  const Tensor x = normal({3, 5}, Key(1)), w = normal({5, 4}, Key(2));
  const Graph graph = Graph::trace(
      [](const Tensors& in) {
        const Tensor y = relu(matmul(in[0], in[1]) + 1.0);
        return Tensors{y, sum(y * y)};
      },
      {x, w});
  std::vector<Pass> list;
  for (const Pass& p : passes()) {
    list.push_back(p);
    list.insert(list.end(), {{"t_throws", throws}, {"t_loses", loses_an_output}});
    list.push_back({"t_transposes", transposes});
  }
  ::testing::internal::CaptureStderr();
  const Graph after = run_passes(graph, {}, list);
  const std::string said = ::testing::internal::GetCapturedStderr();

  const Tensors got = after.call({x, w}), want = graph.call({x, w});
  ASSERT_EQ(got.size(), 2u);
  for (size_t k = 0; k < 2; ++k) EXPECT_TRUE(allclose(got[k], want[k], 1e-6, 1e-6)) << k;
  EXPECT_LT(after.nodes().size(), graph.nodes().size());  // the others did their work
  for (const char* pass : {"t_throws", "t_loses", "t_transposes"})
    EXPECT_EQ(failures(pass), passes().size()) << pass;
  const std::string sentence =
      "the pass 't_throws' of the compiler failed and is left out: no such node";
  const size_t at = said.find(sentence);
  ASSERT_NE(at, std::string::npos) << said;
  EXPECT_EQ(said.find(sentence, at + 1), std::string::npos) << "said once is enough";
  EXPECT_NE(said.find("the pass 't_loses'"), std::string::npos) << said;
}

TEST(Passes, OnesThatAreNeededPassTheirErrorOn) {
  const Graph graph =
      Graph::trace([](const Tensors& in) { return Tensors{in[0] + 1.0}; }, {zeros({2})});
  const Pass needed = {"t_needed", throws, false};
  EXPECT_THROW(run_passes(graph, {}, {&needed, 1}), std::out_of_range);
}

}  // namespace
}  // namespace nacre
