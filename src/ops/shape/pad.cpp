#include <algorithm>

#include "ops/shape/pad.h"
#include "ops/shape/positions.h"

namespace nacre {
namespace {

struct PadAttrs {
  Ints low, high;
  std::string mode = "constant";
  void fields(FieldVisitor& v) {
    v("low", low);
    v("high", high);
    v("mode", mode);
  }
};

/// Where entry i of a padded dimension comes from; -1: from nowhere.
int64_t source(int64_t i, int64_t size, const std::string& mode) {
  if (i >= 0 && i < size) return i;
  if (mode == "constant") return -1;
  if (mode == "replicate") return i < 0 ? 0 : size - 1;
  if (mode == "circular") return (i % size + size) % size;
  return i < 0 ? -i : 2 * (size - 1) - i;  // reflect
}

Ints negated(const Ints& v) {
  Ints out = v;
  for (int64_t& i : out) i = -i;
  return out;
}

}  // namespace

/// Adds low[d] entries before and high[d] after each dimension d; negative numbers take entries
/// away. Lists that are shorter than the rank are for the last dimensions. mode: "constant"
/// (filled with value), "reflect" (mirrored at the edge entry, which is not repeated),
/// "replicate" (the edge entry) or "circular". x: any shape and type.
API(Tensor pad(In x, const Ints& low, const Ints& high, const std::string& mode = "constant",
               In value = 0.0))

OP(pad) = {
    .name = "pad",
    .attrs = attr_type<PadAttrs>(),
    .infer =
        [](Infer& in) {
          const PadAttrs& a = in.attrs<PadAttrs>();
          const Shape& x = in.shape(0);
          in.check(a.low.size() == x.size() && a.high.size() == x.size(),
                   {"low ", as_list(a.low), " and high ", as_list(a.high),
                    " need one entry for each of ", x.rank(), " dimensions"});
          in.check(
              a.mode == "constant" || a.mode == "reflect" || a.mode == "replicate" ||
                  a.mode == "circular",
              {"unknown mode '", a.mode, "', known are constant, reflect, replicate and circular"});
          in.check_same_dtype();
          if (in.inputs() > 1) in.check_rank(1, 0);
          Shape out;
          for (int64_t d = 0; d < x.rank(); ++d) {
            const int64_t most = std::max(a.low[d], a.high[d]);
            const int64_t limit = a.mode == "constant"    ? most
                                  : a.mode == "reflect"   ? x[d] - 1
                                  : a.mode == "replicate" ? (x[d] ? most : 0)
                                                          : x[d];
            in.check(most <= std::max<int64_t>(0, limit),
                     {"padding ", most, " of dimension ", d, " of size ", x[d],
                      " is too large for mode ", a.mode});
            int64_t padded = 0;
            in.check(!__builtin_add_overflow(x[d], a.low[d], &padded) &&
                         !__builtin_add_overflow(padded, a.high[d], &padded),
                     {"padding ", a.low[d], " and ", a.high[d], " is too large"});
            in.check(padded >= 0, {"dimension ", d, " of size ", x[d], " cannot lose ", -a.low[d],
                                   " and ", -a.high[d], " entries"});
            out.push_back(padded);
          }
          in.out(in.dtype(0), out);
        },
    .ref =
        [](Ref& r) {
          const PadAttrs& a = r.attrs<PadAttrs>();
          const Shape &in = r.in().shape, strides = contiguous_strides(in);
          r.typed([&](auto* x, auto* y) {
            for_positions(r.out().shape, [&](int64_t k, const Shape& at) {
              int64_t i = 0;
              bool inside = true;
              for (int64_t d = 0; d < at.rank(); ++d) {
                const int64_t from = source(at[d] - a.low[d], in[d], a.mode);
                inside = inside && from >= 0;
                i += from * strides[d];
              }
              if (inside) {
                y[k] = x[i];
              } else if (r.inputs() > 1) {
                if (r.out().floating())
                  r.out().d[k] = r.in(1).d[0];
                else
                  r.out().i[k] = r.in(1).i[0];
              }
            });
          });
        },
    .vjp =
        [](Vjp& v) {
          const PadAttrs& a = v.attrs<PadAttrs>();
          if (a.mode == "constant") {
            const Tensor dx = pad(v.dy(), negated(a.low), negated(a.high));
            v.dx(0) = dx;
            if (v.inputs() > 1 && v.wants(1)) v.dx(1) = sum(v.dy()) - sum(dx);
            return;
          }
          Tensor g = v.dy();
          const Shape& x = v.x(0).shape();
          for (int64_t d = 0; d < x.rank(); ++d) {
            if (a.low[d] == 0 && a.high[d] == 0) continue;
            std::vector<int64_t> from;
            for (int64_t i = 0; i < g.size(d); ++i)
              from.push_back(source(i - a.low[d], x[d], a.mode));
            Shape shape = g.shape();
            shape[d] = x[d];
            const Shape count = {static_cast<int64_t>(from.size())};
            g = index_add(zeros(shape, g.dtype()), d, Tensor::from(from, count), g);
          }
          v.dx(0) = g;
        },
    .onnx = "Pad",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3})},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {1, 0}, {0, 2})};
              },
              "F.pad({0}, (0, 2, 1, 0))");
          s.add(
              {s.uniform({2, 3}), s.uniform({})},
              [](const Tensors& x) { return Tensors{pad(x[0], {1}, {2}, "constant", x[1])}; },
              "torch.cat(({1}.expand(2, 1), {0}, {1}.expand(2, 2)), 1)");
          s.add(
              {s.uniform({4, 5})},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {-1, 2}, {1, -3}, "constant", 1.5)};
              },
              "F.pad({0}, (2, -3, -1, 1), value=1.5)");
          s.add(
              {s.uniform({2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {3}, {2}, "reflect"), pad(x[0], {2}, {5}, "replicate"),
                               pad(x[0], {4}, {1}, "circular")};
              },
              "(F.pad({0}, (3, 2), mode='reflect'), F.pad({0}, (2, 5), mode='replicate'), "
              "F.pad({0}, (4, 1), mode='circular'))");
          s.add(
              {s.uniform({1, 2, 3, 4})},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {2, 1}, {0, 3}, "reflect")};
              },
              "F.pad({0}, (1, 3, 2, 0), mode='reflect')");
          s.add(
              {s.integers({0, 2}, 0, 9)},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {1, 0}, {1, 0}, "constant", 7)};
              },
              "F.pad({0}, (0, 0, 1, 1), value=7)");
          s.bad(
              {s.uniform({2, 3})},
              [](const Tensors& x) { return Tensors{pad(x[0], {3}, {0}, "reflect")}; },
              "padding 3 of dimension 1 of size 3 is too large for mode reflect");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{pad(x[0], {-2}, {-2})}; },
              "cannot lose 2 and 2 entries");
          s.bad(
              {s.uniform({2})},
              [](const Tensors& x) { return Tensors{pad(x[0], {1}, {1}, "mirror")}; },
              "unknown mode 'mirror'");
          s.bad(
              {s.uniform({2})},
              [](const Tensors& x) {
                return Tensors{pad(x[0], {1, 1}, {1, 1})};
              },
              "one entry for each of 1 dimensions");
        },
};

Tensor pad(In x, const Ints& low, const Ints& high, const std::string& mode, In value) {
  PadAttrs a{low, high, mode};
  const auto none = [](const Ints& v) { return std::count(v.begin(), v.end(), 0) == v.rank(); };
  while (a.low.rank() < x->rank()) a.low.insert(0, 0);
  while (a.high.rank() < x->rank()) a.high.insert(0, 0);
  if (a.low.rank() == x->rank() && none(a.low) && none(a.high)) return x;
  if (mode != "constant") return make(op_pad, std::move(a), {x});
  const auto [t, fill] = unify(x, value);
  return make(op_pad, std::move(a), {t, fill});
}

Tensor pad_with_zeros(const Tensor& x, const Ints& low, const Ints& high) {
  const auto none = [](const Ints& v) { return std::count(v.begin(), v.end(), 0) == v.rank(); };
  return none(low) && none(high) ? x : make(op_pad, PadAttrs{low, high}, {x});
}

}  // namespace nacre
