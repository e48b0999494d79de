// edge_sum against plain sums, in each form of its base and of its index.
#include "base/parallel.h"
#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

Data index_of(Random& r, DType t, int64_t n, int64_t size) {
  Data d = empty(t, {n});
  for (int64_t i = 0; i < n; ++i) d.set(i, static_cast<double>(draw(r, -size, size - 1)));
  return d;
}

int64_t row(const Data& index, int64_t k, int64_t size) {
  const auto i = static_cast<int64_t>(index[k]);
  return i < 0 ? i + size : i;
}

std::vector<Data> sums(const Data& base, const Data& x, const Data& to, const Data& from,
                       const Data* weight) {
  std::vector<const Data*> in = {&base, &x, &to, &from};
  if (weight) in.push_back(weight);
  std::vector<Data> out;
  out.push_back(empty(base.op.dtype, base.op.shape));
  const auto kernel = make_edge_sum(operands(in));
  EXPECT_TRUE(kernel);
  run(*kernel, in, out);
  return out;
}

class EdgesTest : public ::testing::TestWithParam<DType> {};

TEST_P(EdgesTest, RowsAreAddedAlongEdges) {
  const DType t = GetParam();
  Random r(7);
  const int64_t widths[] = {1, 3, 16, 33, 128, 300};
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t width = widths[trial % 6], rows = draw(r, 1, trial % 7 ? 40 : 3000),
                  sources = draw(r, 1, 50),
                  edges = trial % 10 == 9 ? 70000 / width : draw(r, 0, 200);
    Data base = random(r, t, {rows, width});
    if (trial % 3 == 1) {  // one number for all
      base.op.strides = {0, 0};
      base.set(0, trial % 2 ? 0 : 1.5);
    }
    const Data x = random(r, t, {sources, width});
    const Data to = index_of(r, trial % 2 ? DType::i32 : DType::i64, edges, rows),
               from = index_of(r, trial % 4 < 2 ? DType::i32 : DType::i64, edges, sources);
    const Data weight = random(r, t, {edges});
    const bool weighted = trial % 5 != 0;
    std::vector<double> want = base.values();
    for (int64_t k = 0; k < edges; ++k)
      for (int64_t i = 0; i < width; ++i)
        want[static_cast<size_t>(row(to, k, rows) * width + i)] +=
            (weighted ? weight[k] : 1) * x[row(from, k, sources) * width + i];
    const auto got = sums(base, x, to, from, weighted ? &weight : nullptr);
    // A row has up to a few thousand terms of about 1.
    expect_near(got[0], want, 400 * epsilon(t), "trial " + std::to_string(trial));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EdgesTest, ::testing::Values(DType::f32, DType::f64));

TEST(Edges, BitsDoNotDependOnThreads) {
  Random r(8);
  constexpr int64_t kRows = 500, kEdges = 100'000;
  const Data base = random(r, DType::f32, {kRows, 8}), x = random(r, DType::f32, {kRows, 8}),
             weight = random(r, DType::f32, {kEdges});
  const Data to = index_of(r, DType::i64, kEdges, kRows),
             from = index_of(r, DType::i64, kEdges, kRows);
  const int threads = num_threads();
  std::vector<double> first;
  for (int n : {1, 2, 3}) {
    set_num_threads(n);
    const auto got = sums(base, x, to, from, &weight)[0].values();
    if (n == 1) first = got;
    EXPECT_EQ(got, first) << n << " threads";
  }
  set_num_threads(threads);
}

TEST(Edges, AnIndexOutsideIsNamed) {
  Random r(9);
  const Data base = random(r, DType::f32, {4, 2}), x = random(r, DType::f32, {3, 2});
  const Data good = from(DType::i64, {2}, {0, 2}), bad = from(DType::i64, {2}, {0, 4});
  const auto message = [&](const Data& to, const Data& from) -> std::string {
    try {
      sums(base, x, to, from, nullptr);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message(bad, good),
            "[index_add] index 4 at position 1 is out of range for dimension 0 of size 4");
  EXPECT_EQ(message(good, bad),
            "[index_select] index 4 at position 1 is out of range for dimension 0 of size 3");
}

}  // namespace
}  // namespace nacre::cpu::test
