#include <thread>

#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

Data random_index(Random& r, DType t, const Shape& shape, int64_t size) {
  Data d = empty(t, shape);
  for (int64_t i = 0; i < d.op.numel(); ++i)
    d.set(i, static_cast<double>(draw(r, -size, size - 1)));
  return d;
}

int64_t front(double index, int64_t size) {
  const auto i = static_cast<int64_t>(index);
  return i < 0 ? i + size : i;
}

// The flat position in `shape` of coordinate `c` of a tensor of shape `of`, with entry dim
// replaced.
int64_t at(const Shape& shape, const Shape& of, int64_t flat, int64_t dim, int64_t index) {
  const Shape strides = contiguous_strides(shape);
  int64_t position = 0;
  for (int64_t d = of.rank(); d-- > 0; flat /= of[d])
    position += (d == dim ? index : flat % of[d]) * strides[d];
  return position;
}

Shape random_shape(Random& r, int64_t most) {
  Shape s;
  for (int64_t rank = draw(r, 1, 4); rank > 0; --rank) s.push_back(draw(r, 1, most));
  return s;
}

class IndexTest : public ::testing::TestWithParam<DType> {};

TEST_P(IndexTest, SelectAndAddRows) {
  const DType t = GetParam();
  Random r(41);
  for (int trial = 0; trial < 60; ++trial) {
    const Shape shape = random_shape(r, trial % 10 ? 6 : 24);
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    const DType it = trial % 2 ? DType::i32 : DType::i64;
    Shape index_shape;
    for (int64_t rank = draw(r, 0, 2); rank > 0; --rank)
      index_shape.push_back(draw(r, 0, trial % 10 ? 5 : 40));
    const Data x = random(r, t, shape), index = random_index(r, it, index_shape, shape[dim]);
    Shape to = shape.slice(0, dim);
    for (int64_t d : index_shape) to.push_back(d);
    for (int64_t d = dim + 1; d < shape.rank(); ++d) to.push_back(shape[d]);
    std::vector<Data> out;
    out.push_back(empty(t, to));
    run(*make_index_select(operands({&x, &index}), outputs(out), dim), {&x, &index}, out);
    const int64_t inner = shape.slice(dim + 1, shape.rank()).numel(), n = index_shape.numel();
    const auto target = [&](int64_t i) {
      return (i / inner / n * shape[dim] + front(index[i / inner % n], shape[dim])) * inner +
             i % inner;
    };
    for (int64_t i = 0; i < to.numel(); ++i) ASSERT_EQ(out[0][i], x[target(i)]);

    const Data src = random(r, t, to);
    auto want = x.values();
    for (int64_t i = 0; i < to.numel(); ++i) want[static_cast<size_t>(target(i))] += src[i];
    std::vector<Data> sum;
    sum.push_back(empty(t, shape));
    run(*make_index_add(operands({&x, &index, &src}), outputs(sum), dim), {&x, &index, &src}, sum);
    if (t != DType::u8)
      expect_near(sum[0], want, 256 * std::min(epsilon(t), 0x1p-24) + epsilon(t), "index_add");
  }
}

TEST_P(IndexTest, GatherAndScatter) {
  const DType t = GetParam();
  Random r(42);
  for (int trial = 0; trial < 80; ++trial) {
    const Shape shape = random_shape(r, trial % 10 ? 6 : 20);
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    Shape index_shape;
    for (int64_t d = 0; d < shape.rank(); ++d)
      index_shape.push_back(d == dim ? draw(r, 0, 40) : draw(r, 1, shape[d]));
    const DType it = trial % 2 ? DType::i32 : DType::i64;
    const Data x = random(r, t, shape), index = random_index(r, it, index_shape, shape[dim]);
    std::vector<Data> out;
    out.push_back(empty(t, index_shape));
    run(*make_gather(operands({&x, &index}), outputs(out), dim), {&x, &index}, out);
    const auto target = [&](int64_t i) {
      return at(shape, index_shape, i, dim, front(index[i], shape[dim]));
    };
    for (int64_t i = 0; i < index_shape.numel(); ++i) ASSERT_EQ(out[0][i], x[target(i)]);

    if (t == DType::u8) continue;
    const Data src = random(r, t, index_shape);
    for (const std::string reduce : {"set", "add", "mul", "max", "min"}) {
      if (reduce == "mul" && !is_float(t)) continue;
      auto want = x.values();
      for (int64_t i = 0; i < index_shape.numel(); ++i) {
        double& w = want[static_cast<size_t>(target(i))];
        const double s = src[i];
        w = reduce == "set"   ? s
            : reduce == "add" ? w + s
            : reduce == "mul" ? w * s
            : reduce == "max" ? std::max(w, s)
                              : std::min(w, s);
      }
      std::vector<Data> result;
      result.push_back(empty(t, shape));
      run(*make_scatter(operands({&x, &index, &src}), outputs(result), dim, reduce),
          {&x, &index, &src}, result);
      expect_near(result[0], want, 512 * std::min(epsilon(t), 0x1p-24) + epsilon(t),
                  "scatter " + reduce);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, IndexTest,
                         ::testing::Values(DType::f32, DType::f64, DType::bf16, DType::f16,
                                           DType::i32, DType::i64, DType::u8),
                         [](const auto& i) { return std::string(name_of(i.param)); });

TEST(Index, OutOfRangeIsAnErrorThatNamesTheIndex) {
  Random r(43);
  const Data x = random(r, DType::f32, {10, 4});
  const Data rows = from(DType::i64, {4}, {0, -10, 9, 12});
  const Data wide = from(DType::i32, {4, 1}, {0, -10, 9, -11});
  const Data src = random(r, DType::f32, {4, 4}), narrow = random(r, DType::f32, {4, 1});
  const auto message = [&](const Kernel& k, const std::vector<const Data*>& in, const Shape& to) {
    std::vector<Data> out;
    out.push_back(empty(DType::f32, to));
    try {
      run(k, in, out);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::data);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const std::vector<Operand> selected{dense(DType::f32, {4, 4})}, same{x.op};
  const std::vector<Operand> column{dense(DType::f32, {4, 1})};
  EXPECT_EQ(message(*make_index_select(operands({&x, &rows}), selected, 0), {&x, &rows}, {4, 4}),
            "[index_select] index 12 at position 3 is out of range for dimension 0 of size 10");
  EXPECT_EQ(
      message(*make_index_add(operands({&x, &rows, &src}), same, 0), {&x, &rows, &src}, {10, 4}),
      "[index_add] index 12 at position 3 is out of range for dimension 0 of size 10");
  EXPECT_EQ(message(*make_gather(operands({&x, &wide}), column, 0), {&x, &wide}, {4, 1}),
            "[gather] index -11 at position 3 is out of range for dimension 0 of size 10");
  EXPECT_EQ(message(*make_scatter(operands({&x, &wide, &narrow}), same, 0, "add"),
                    {&x, &wide, &narrow}, {10, 4}),
            "[scatter] index -11 at position 3 is out of range for dimension 0 of size 10");
}

TEST(Index, SumsHaveTheSameBitsInEveryRun) {
  Random r(44);
  const Data x = random(r, DType::f32, {50, 16});
  const Data index = random_index(r, DType::i64, {4000}, 50);
  const Data src = random(r, DType::f32, {4000, 16});
  std::vector<double> first;
  for (int round = 0; round < 3; ++round) {
    std::vector<Data> out;
    out.push_back(empty(DType::f32, {50, 16}));
    run(*make_index_add(operands({&x, &index, &src}), outputs(out), 0), {&x, &index, &src}, out);
    if (round == 0) {
      first = out[0].values();
      // And they are those of one thread adding in order.
      std::vector<float> want(50 * 16);
      for (size_t i = 0; i < want.size(); ++i)
        want[i] = static_cast<float>(x[static_cast<int64_t>(i)]);
      for (int64_t j = 0; j < 4000; ++j)
        for (int64_t i = 0; i < 16; ++i)
          want[static_cast<size_t>(front(index[j], 50) * 16 + i)] +=
              static_cast<float>(src[j * 16 + i]);
      for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(first[i], want[i]);
    }
    EXPECT_EQ(out[0].values(), first);
  }
}

TEST(Index, ManyThreadsShareOneKernel) {
  Random r(45);
  const Data x = random(r, DType::f32, {64, 32}), index = random_index(r, DType::i64, {512}, 64);
  std::vector<Data> first;
  first.push_back(empty(DType::f32, {512, 32}));
  const auto kernel = make_index_select(operands({&x, &index}), outputs(first), 0);
  run(*kernel, {&x, &index}, first);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      std::vector<Data> out;
      out.push_back(empty(DType::f32, {512, 32}));
      run(*kernel, {&x, &index}, out);
      expect_near(out[0], first[0].values(), 0, "concurrent");
    });
  for (auto& t : threads) t.join();
}

}  // namespace
}  // namespace nacre::cpu::test
