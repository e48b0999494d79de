#include "kernels/helpers.h"
#include "nacre/error.h"

namespace nacre::cpu::test {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::u8, DType::i64};

Shape random_shape(Random& r, int64_t least, int64_t most) {
  Shape s;
  for (int64_t rank = draw(r, 1, 5); rank > 0; --rank) s.push_back(draw(r, least, most));
  return s;
}

// Calls f(flat, coordinates) for every element.
template <typename F>
void each(const Shape& shape, F f) {
  for (int64_t i = 0; i < shape.numel(); ++i) {
    Shape c(shape.size(), 0);
    int64_t rest = i;
    for (int64_t d = shape.rank(); d-- > 0; rest /= shape[d]) c[d] = rest % shape[d];
    f(i, c);
  }
}

int64_t flat(const Shape& shape, const Shape& c) {
  int64_t at = 0;
  for (int64_t d = 0; d < shape.rank(); ++d) at = at * shape[d] + c[d];
  return at;
}

TEST(Contiguous, CopiesAnyView) {
  Random r(51);
  for (int trial = 0; trial < 200; ++trial) {
    const DType t = kTypes[trial % 5];
    const Data x = random_view(r, t, random_shape(r, 0, trial % 10 ? 7 : 13));
    std::vector<Data> out;
    out.push_back(empty(t, x.op.shape));
    run(*make_contiguous(operands({&x}), outputs(out)), {&x}, out);
    ASSERT_EQ(out[0].values(), x.values()) << x.op.shape.str() << " " << x.op.strides.list();
  }
}

TEST(Contiguous, TransposesMatrices) {
  Random r(52);
  for (const Shape& shape : {Shape{300, 17}, Shape{129, 257}, Shape{3, 64, 100}}) {
    for (const DType t : kTypes) {
      Data x = random(r, t, shape);
      std::swap(x.op.shape[-1], x.op.shape[-2]);
      std::swap(x.op.strides[-1], x.op.strides[-2]);
      std::vector<Data> out;
      out.push_back(empty(t, x.op.shape));
      run(*make_contiguous(operands({&x}), outputs(out)), {&x}, out);
      ASSERT_EQ(out[0].values(), x.values()) << shape.str();
    }
  }
}

TEST(Concat, RandomShapes) {
  Random r(53);
  for (int trial = 0; trial < 80; ++trial) {
    const DType t = kTypes[trial % 5];
    Shape shape = random_shape(r, 0, 5);
    const int64_t dim = draw(r, 0, shape.rank() - 1);
    std::vector<Data> in;
    int64_t total = 0;
    for (int64_t n = draw(r, 1, 4); n > 0; --n) {
      shape[dim] = draw(r, 0, 4);
      total += shape[dim];
      in.push_back(random(r, t, shape));
    }
    shape[dim] = total;
    std::vector<const Data*> list;
    for (const Data& d : in) list.push_back(&d);
    std::vector<Data> out;
    out.push_back(empty(t, shape));
    run(*make_concat(operands(list), outputs(out), dim), list, out);
    each(shape, [&](int64_t i, Shape c) {
      size_t which = 0;
      while (c[dim] >= in[which].op.shape[dim]) c[dim] -= in[which++].op.shape[dim];
      ASSERT_EQ(out[0][i], in[which][flat(in[which].op.shape, c)]);
    });
  }
}

TEST(Pad, RandomCasesOfEveryMode) {
  Random r(54);
  const std::string modes[] = {"constant", "reflect", "replicate", "circular"};
  for (int trial = 0; trial < 200; ++trial) {
    const std::string& mode = modes[trial % 4];
    const DType t = kTypes[trial % 5];
    const Shape shape = random_shape(r, 1, 6);
    Shape to = shape;
    Ints low;
    for (int64_t d = 0; d < shape.rank(); ++d) {
      const bool touched = draw(r, 0, 1);
      const int64_t most = mode == "reflect" ? shape[d] - 1 : mode == "circular" ? shape[d] : 3;
      low.push_back(touched ? draw(r, -std::min<int64_t>(2, shape[d] / 2), most) : 0);
      const int64_t high = touched ? draw(r, -(shape[d] / 3), most) : 0;
      to[d] = shape[d] + low[d] + high;
    }
    const Data x = random(r, t, shape), value = random(r, t, {});
    std::vector<const Data*> in{&x};
    if (mode == "constant") in.push_back(&value);
    std::vector<Data> out;
    out.push_back(empty(t, to));
    run(*make_pad(operands(in), outputs(out), low, mode), in, out);
    each(to, [&](int64_t i, Shape c) {
      bool outside = false;
      for (int64_t d = 0; d < shape.rank(); ++d) {
        int64_t at = c[d] - low[d];
        const int64_t n = shape[d];
        if (at < 0 || at >= n) {
          outside = mode == "constant" || outside;
          if (mode == "replicate") at = std::clamp<int64_t>(at, 0, n - 1);
          if (mode == "circular") at = at < 0 ? at + n : at - n;
          if (mode == "reflect") at = at < 0 ? -at : 2 * (n - 1) - at;
        }
        c[d] = at;
      }
      ASSERT_EQ(out[0][i], outside ? value[0] : x[flat(shape, c)])
          << mode << " " << shape.str() << " low " << low.list() << " to " << to.str();
    });
  }
}

TEST(Pad, WithoutValueFillsZeros) {
  Random r(55);
  const Data x = random(r, DType::f32, {0, 2});
  std::vector<Data> out;
  out.push_back(empty(DType::f32, {3, 2}));
  run(*make_pad(operands({&x}), outputs(out), {1, 0}, "constant"), {&x}, out);
  EXPECT_EQ(out[0].values(), std::vector<double>(6, 0.0));
}

TEST(FlipAndRoll, RandomCases) {
  Random r(56);
  for (int trial = 0; trial < 150; ++trial) {
    const DType t = kTypes[trial % 5];
    const Shape shape = random_shape(r, 0, 6);
    const Data x = random(r, t, shape);
    Ints dims, shifts;
    for (int64_t d = 0; d < shape.rank(); ++d)
      if (draw(r, 0, 1)) {
        dims.push_back(d);
        shifts.push_back(draw(r, -9, 9));
      }
    std::vector<Data> flipped, rolled;
    flipped.push_back(empty(t, shape));
    rolled.push_back(empty(t, shape));
    run(*make_flip(operands({&x}), outputs(flipped), dims), {&x}, flipped);
    run(*make_roll(operands({&x}), outputs(rolled), shifts, dims), {&x}, rolled);
    each(shape, [&](int64_t i, const Shape& c) {
      Shape a = c, b = c;
      for (int64_t k = 0; k < dims.rank(); ++k) {
        const int64_t n = shape[dims[k]];
        a[dims[k]] = n - 1 - c[dims[k]];
        b[dims[k]] = ((c[dims[k]] - shifts[k]) % n + n) % n;
      }
      ASSERT_EQ(flipped[0][i], x[flat(shape, a)]);
      ASSERT_EQ(rolled[0][i], x[flat(shape, b)]);
    });
  }
}

}  // namespace
}  // namespace nacre::cpu::test
