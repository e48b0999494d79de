#include "ops/shape/positions.h"

namespace nacre {
namespace {
struct WindowAttrs {
  int64_t dim = 0, size = 1, step = 1;
  void fields(FieldVisitor& v) {
    v("dim", dim);
    v("size", size);
    v("step", step);
  }
};
}  // namespace

/// Windows of `size` entries along one dimension, `step` apart: the dimension counts the windows,
/// and a last dimension of that size is added. Shares memory with x. x: any type.
API(Tensor sliding_window(In x, int64_t dim, int64_t size, int64_t step = 1))

OP(sliding_window) = {
    .name = "sliding_window",
    .kind = OpKind::view,
    .attrs = attr_type<WindowAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<WindowAttrs>();
          Shape out = in.shape(0);
          in.check(a.step > 0, {"step ", a.step, " is not positive"});
          in.check(a.size > 0 && a.size <= out[a.dim],
                   {"a window of ", a.size, " does not fit into dimension ", a.dim, " of size ",
                    out[a.dim]});
          out[a.dim] = (out[a.dim] - a.size) / a.step + 1;
          out.push_back(a.size);
          in.out(in.dtype(0), out);
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<WindowAttrs>();
          const Shape strides = contiguous_strides(r.in().shape);
          r.typed([&](auto* x, auto* y) {
            for_positions(r.out().shape, [&](int64_t k, const Shape& at) {
              Shape from = at.slice(0, at.rank() - 1);
              from[a.dim] = from[a.dim] * a.step + at.back();
              y[k] = x[offset_of(from, strides)];
            });
          });
        },
    .view = [](const void* attrs, const Shape&, const Shape& strides,
               const Shape&) -> std::optional<View> {
      const auto& a = *static_cast<const WindowAttrs*>(attrs);
      View v{strides, 0};
      v.strides.push_back(strides[a.dim]);
      v.strides[a.dim] *= a.step;
      return v;
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<WindowAttrs>();
          const int64_t n = v.dy().size(a.dim);
          std::vector<int64_t> index;
          for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < a.size; ++j) index.push_back(i * a.step + j);
          v.dx(0) = index_add(zeros_like(v.x(0)), a.dim, Tensor::from(index, {n, a.size}),
                              movedim(v.dy(), -1, a.dim + 1));
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 7})},
              [](const Tensors& x) { return Tensors{sliding_window(x[0], 1, 3, 2)}; },
              "{0}.unfold(1, 3, 2)");
          s.add(
              {s.uniform({5, 3})},
              [](const Tensors& x) { return Tensors{sliding_window(x[0], -2, 2)}; },
              "{0}.unfold(0, 2, 1)");
          s.add(
              {s.integers({4}, 0, 9)},
              [](const Tensors& x) { return Tensors{sliding_window(x[0], 0, 4, 9)}; },
              "{0}.unfold(0, 4, 9)");
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) { return Tensors{sliding_window(x[0], 0, 4)}; },
              "a window of 4 does not fit into dimension 0 of size 3");
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) { return Tensors{sliding_window(x[0], 0, 2, 0)}; },
              "step 0 is not positive");
        },
};

Tensor sliding_window(In x, int64_t dim, int64_t size, int64_t step) {
  return make(op_sliding_window,
              WindowAttrs{normalize_dim(op_sliding_window, dim, x->rank()), size, step}, {x});
}

}  // namespace nacre
