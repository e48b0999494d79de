#include <algorithm>

#include "ops/shape/pad.h"
#include "ops/shape/positions.h"

namespace nacre {
namespace {

struct SliceAttrs {
  Ints starts, sizes, steps;
  void fields(FieldVisitor& v) {
    v("starts", starts);
    v("sizes", sizes);
    v("steps", steps);
  }
};

/// Steps, one for each dimension, if none were given.
Ints all_steps(const Ints& steps, size_t rank) { return steps.empty() ? Ints(rank, 1) : steps; }

void check_box(const Infer& in, const SliceAttrs& a) {
  const Shape& x = in.shape(0);
  in.check(a.starts.size() == x.size() && a.sizes.size() == x.size() && a.steps.size() == x.size(),
           {"starts ", as_list(a.starts), ", sizes ", as_list(a.sizes), " and steps ",
            as_list(a.steps), " need one entry for each of ", x.rank(), " dimensions"});
  for (int64_t d = 0; d < x.rank(); ++d) {
    in.check(a.steps[d] > 0, {"step ", a.steps[d], " of dimension ", d, " is not positive"});
    in.check(a.starts[d] >= 0 && a.sizes[d] >= 0 && a.starts[d] <= x[d] &&
                 (a.sizes[d] == 0 || a.sizes[d] - 1 <= (x[d] - 1 - a.starts[d]) / a.steps[d]),
             {a.sizes[d], " entries from ", a.starts[d], " with step ", a.steps[d],
              " leave dimension ", d, " of size ", x[d]});
  }
}

/// The position in the whole tensor of a position in the part.
int64_t source_of(const Shape& at, const SliceAttrs& a, const Shape& strides) {
  int64_t i = 0;
  for (int64_t d = 0; d < at.rank(); ++d) i += (a.starts[d] + at[d] * a.steps[d]) * strides[d];
  return i;
}

/// Python's rule for start and stop of a slice with a positive step.
int64_t clamped(int64_t at, int64_t size) {
  return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
}

SliceAttrs whole(const Shape& shape) {
  return {Ints(shape.size(), 0), shape, Ints(shape.size(), 1)};
}

SliceAttrs along(const Shape& shape, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  SliceAttrs a = whole(shape);
  const int64_t size = shape[dim];
  a.starts[dim] = clamped(start, size);
  const int64_t length = std::max<int64_t>(0, clamped(stop, size) - a.starts[dim]);
  a.sizes[dim] = step > 0 ? length / step + (length % step != 0) : 0;
  a.steps[dim] = step;
  return a;
}

}  // namespace

/// Entries start, start + step, ... before stop of one dimension, with Python's rules: negative
/// positions count from the end, positions outside are clamped. A negative step runs backwards from
/// start (inclusive) to stop (exclusive); INT64_MAX and INT64_MIN stand for "to the end" then.
/// x: any type. Shares memory with x if the step is positive.
API(Tensor slice(In x, int64_t dim, int64_t start, int64_t stop = INT64_MAX, int64_t step = 1))
/// sizes[d] entries of each dimension d from starts[d] with positive steps[d] (default 1).
API(Tensor slices(In x, const Ints& starts, const Ints& sizes, const Ints& steps = {}))
/// `length` entries of one dimension from `start`; a negative start counts from the end.
API(Tensor narrow(In x, int64_t dim, int64_t start, int64_t length))
/// Entry `index` of one dimension, which is removed; a negative index counts from the end.
API(Tensor select(In x, int64_t dim, int64_t index))
/// Parts of the given sizes along one dimension; they have to add up to its size.
API(Tensors split(In x, const Ints& sizes, int64_t dim = 0))
/// At most `chunks` parts of equal size along one dimension; the last may be smaller.
API(Tensors chunk(In x, int64_t chunks, int64_t dim = 0))

OP(slice) = {
    .name = "slice",
    .kind = OpKind::view,
    .attrs = attr_type<SliceAttrs>(),
    .infer =
        [](Infer& in) {
          check_box(in, in.attrs<SliceAttrs>());
          in.out(in.dtype(0), in.attrs<SliceAttrs>().sizes);
        },
    .ref =
        [](Ref& r) {
          const SliceAttrs& a = r.attrs<SliceAttrs>();
          const Shape strides = contiguous_strides(r.in().shape);
          r.typed([&](auto* x, auto* y) {
            for_positions(r.out().shape,
                          [&](int64_t k, const Shape& at) { y[k] = x[source_of(at, a, strides)]; });
          });
        },
    .view = [](const void* attrs, const Shape&, const Shape& strides,
               const Shape& out) -> std::optional<View> {
      const auto& a = *static_cast<const SliceAttrs*>(attrs);
      View v{strides, 0};
      if (out.numel() == 0) return v;
      for (int64_t d = 0; d < out.rank(); ++d) {
        v.offset += a.starts[d] * strides[d];
        v.strides[d] *= a.steps[d];
      }
      return v;
    },
    .vjp =
        [](Vjp& v) {
          const SliceAttrs& a = v.attrs<SliceAttrs>();
          const Shape& x = v.x(0).shape();
          if (std::count(a.steps.begin(), a.steps.end(), 1) != a.steps.rank()) {
            v.dx(0) = slices_scatter(zeros_like(v.x(0)), v.dy(), a.starts, a.steps);
            return;
          }
          Ints high = x;
          for (int64_t d = 0; d < x.rank(); ++d) high[d] -= a.starts[d] + a.sizes[d];
          v.dx(0) = pad_with_zeros(v.dy(), a.starts, high);
        },
    .onnx = "Slice",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 8})}, [](const Tensors& x) { return Tensors{slice(x[0], 1, 2, 5)}; },
              "{0}[:, 2:5]");
          s.add(
              {s.uniform({3, 8})},
              [](const Tensors& x) { return Tensors{slice(x[0], -1, -7, -1, 3)}; },
              "{0}[:, -7:-1:3]");
          s.add(
              {s.uniform({5, 4})},
              [](const Tensors& x) {
                return Tensors{slice(x[0], 0, 1), slice(x[0], 0, 4, 2)};
              },
              "({0}[1:], {0}[4:2])");
          s.add(
              {s.uniform({7})},
              [](const Tensors& x) {
                return Tensors{slice(x[0], 0, -1, INT64_MIN, -1), slice(x[0], 0, 5, 0, -2)};
              },
              "({0}.flip(0), {0}[torch.tensor([5, 3, 1])])");
          s.add(
              {s.uniform({4, 5, 6})},
              [](const Tensors& x) {
                return Tensors{slices(x[0], {1, 0, 2}, {2, 5, 2}, {1, 1, 3})};
              },
              "{0}[1:3, :, 2:6:3]");
          s.add(
              {s.uniform({4, 5})},
              [](const Tensors& x) {
                return Tensors{select(x[0], 0, -1), narrow(x[0], 1, -3, 2)};
              },
              "({0}.select(0, -1), {0}.narrow(1, -3, 2))");
          s.add(
              {s.uniform({7, 2})},
              [](const Tensors& x) {
                Tensors all = split(x[0], {2, 5});
                for (Tensor& t : chunk(x[0], 3)) all.push_back(t);
                return all;
              },
              "({0}.split([2, 5]) + {0}.chunk(3))");
          s.add(
              {s.integers({6}, 0, 9)}, [](const Tensors& x) { return Tensors{slice(x[0], 0, 3)}; },
              "{0}[3:]");
          s.bad(
              {s.uniform({3, 4})},
              [](const Tensors& x) {
                return Tensors{slices(x[0], {0, 2}, {3, 3})};
              },
              "3 entries from 2 with step 1 leave dimension 1 of size 4");
          s.bad(
              {s.uniform({3, 4})}, [](const Tensors& x) { return Tensors{slices(x[0], {0}, {3})}; },
              "need one entry for each of 2 dimensions");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{slice(x[0], 0, 0, 3, 0)}; },
              "step 0");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{select(x[0], 0, 3)}; },
              "index 3 is out of range");
          s.bad(
              {s.uniform({3})},
              [](const Tensors& x) {
                return split(x[0], {1, 1});
              },
              "do not add up to 3");
        },
};

Tensor slices(In x, const Ints& starts, const Ints& sizes, const Ints& steps) {
  return make(op_slice, SliceAttrs{starts, sizes, all_steps(steps, x->shape().size())}, {x});
}

Tensor slice(In x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  dim = normalize_dim(op_slice, dim, x->rank());
  if (step >= 0) {
    SliceAttrs a = along(x->shape(), dim, start, stop, step);
    if (step == 1 && a.sizes == x->shape()) return x;
    return make(op_slice, std::move(a), {x});
  }
  // Backwards: the same entries seen in the flipped tensor.
  const int64_t size = x->size(dim);
  const auto position = [&](int64_t at) {
    if (at == INT64_MAX || at == INT64_MIN) return at == INT64_MAX ? size - 1 : int64_t{-1};
    return std::clamp<int64_t>(at < 0 ? at + size : at, -1, size - 1);
  };
  const int64_t from = size - 1 - position(start), to = size - 1 - position(stop);
  const int64_t by = step == INT64_MIN ? INT64_MAX : -step;
  return make(op_slice, along(x->shape(), dim, from, to, by), {flip(x, {dim})});
}

Tensor narrow(In x, int64_t dim, int64_t start, int64_t length) {
  dim = normalize_dim(op_slice, dim, x->rank());
  SliceAttrs a = whole(x->shape());
  a.starts[dim] = start < 0 ? start + x->size(dim) : start;
  a.sizes[dim] = length;
  return make(op_slice, std::move(a), {x});
}

Tensor select(In x, int64_t dim, int64_t index) {
  dim = normalize_dim(op_slice, dim, x->rank());
  const int64_t size = x->size(dim);
  if (index < -size || index >= size)
    fail(Error::Kind::shape, {"[select] index ", index, " is out of range for dimension ", dim,
                              " of size ", size, where()});
  Shape rest = x->shape();
  rest.erase(dim);
  return reshape(narrow(x, dim, index, 1), rest);
}

Tensors split(In x, const Ints& sizes, int64_t dim) {
  dim = normalize_dim(op_slice, dim, x->rank());
  int64_t at = 0;
  for (int64_t n : sizes) at += n;
  if (at != x->size(dim))
    fail(Error::Kind::shape, {"[split] sizes ", as_list(sizes), " do not add up to ", x->size(dim),
                              ", the size of dimension ", dim, where()});
  Tensors parts;
  at = 0;
  for (int64_t n : sizes) {
    parts.push_back(narrow(x, dim, at, n));
    at += n;
  }
  return parts;
}

Tensors chunk(In x, int64_t chunks, int64_t dim) {
  dim = normalize_dim(op_slice, dim, x->rank());
  if (chunks < 1) fail(Error::Kind::shape, {"[chunk] cannot make ", chunks, " chunks", where()});
  const int64_t size = x->size(dim), each = std::max<int64_t>(1, (size + chunks - 1) / chunks);
  Ints sizes;
  for (int64_t at = 0; at < size; at += each) sizes.push_back(std::min(each, size - at));
  if (sizes.empty()) sizes.push_back(0);
  return split(x, sizes, dim);
}

/// x with a slice of it replaced by src: entries start, start + step, ... before stop of one
/// dimension (Python's rules, positive step). src: the shape of that slice.
API(Tensor slice_scatter(In x, In src, int64_t dim, int64_t start, int64_t stop = INT64_MAX,
                         int64_t step = 1))
/// x with the box that slices(x, starts, src.shape, steps) reads replaced by src.
API(Tensor slices_scatter(In x, In src, const Ints& starts, const Ints& steps = {}))

OP(slice_scatter) = {
    .name = "slice_scatter",
    .attrs = attr_type<SliceAttrs>(),
    .infer =
        [](Infer& in) {
          const SliceAttrs& a = in.attrs<SliceAttrs>();
          in.check_same_dtype();
          check_box(in, a);
          in.check(in.shape(1) == a.sizes,
                   {"the slice has shape ", a.sizes, ", src has ", in.shape(1)});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const SliceAttrs& a = r.attrs<SliceAttrs>();
          const Shape strides = contiguous_strides(r.in().shape);
          r.typed([&](auto* x, auto* y) { std::copy(x, x + r.in().n, y); });
          r.typed(
              [&](auto* src, auto* y) {
                for_positions(r.in(1).shape, [&](int64_t k, const Shape& at) {
                  y[source_of(at, a, strides)] = src[k];
                });
              },
              1);
        },
    .vjp =
        [](Vjp& v) {
          const SliceAttrs& a = v.attrs<SliceAttrs>();
          if (v.wants(0)) v.dx(0) = slices_scatter(v.dy(), zeros_like(v.x(1)), a.starts, a.steps);
          if (v.wants(1)) v.dx(1) = slices(v.dy(), a.starts, a.sizes, a.steps);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 8}), s.uniform({3, 2})},
              [](const Tensors& x) { return Tensors{slice_scatter(x[0], x[1], 1, 1, 6, 3)}; },
              "torch.slice_scatter({0}, {1}, 1, 1, 6, 3)");
          s.add(
              {s.uniform({5, 2}), s.uniform({2, 2})},
              [](const Tensors& x) { return Tensors{slice_scatter(x[0], x[1], 0, -2)}; },
              "torch.slice_scatter({0}, {1}, 0, -2)");
          s.add(
              {s.integers({4}, 0, 9), s.integers({0}, 0, 9)},
              [](const Tensors& x) { return Tensors{slice_scatter(x[0], x[1], 0, 2, 2)}; }, "{0}");
          s.add(
              {s.uniform({4, 5}), s.uniform({2, 2})},
              [](const Tensors& x) {
                return Tensors{slices_scatter(x[0], x[1], {1, 0}, {1, 4})};
              },
              "{0}.index_put((torch.tensor([[1], [2]]), torch.tensor([[0, 4]])), {1})");
          s.bad(
              {s.uniform({4}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{slice_scatter(x[0], x[1], 0, 0, 2)}; },
              "the slice has shape 2, src has 3");
          s.bad(
              {s.uniform({4}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{slices_scatter(x[0], x[1], {2})}; },
              "leave dimension 0");
        },
};

Tensor slices_scatter(In x, In src, const Ints& starts, const Ints& steps) {
  const auto [a, b] = unify(x, src);
  return make(op_slice_scatter, SliceAttrs{starts, b.shape(), all_steps(steps, a.shape().size())},
              {a, b});
}

Tensor slice_scatter(In x, In src, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  dim = normalize_dim(op_slice_scatter, dim, x->rank());
  const auto [a, b] = unify(x, src);
  return make(op_slice_scatter, along(a.shape(), dim, start, stop, step), {a, b});
}

}  // namespace nacre
