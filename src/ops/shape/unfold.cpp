#include "ops/op.h"

namespace nacre {
namespace {

struct UnfoldAttrs {
  Ints kernel, stride, padding, dilation;  ///< one entry for each spatial dimension
  void fields(FieldVisitor& v) {
    v("kernel", kernel);
    v("stride", stride);
    v("padding", padding);
    v("dilation", dilation);
  }
};
struct FoldAttrs : UnfoldAttrs {
  Ints size;
  void fields(FieldVisitor& v) {
    v("size", size);
    UnfoldAttrs::fields(v);
  }
};

/// Number of window positions along spatial dimension d of this size.
int64_t positions(const UnfoldAttrs& a, int64_t d, int64_t size) {
  const int64_t room = size + 2 * a.padding[d] - a.dilation[d] * (a.kernel[d] - 1) - 1;
  return room < 0 ? 0 : room / a.stride[d] + 1;
}

void check(const Infer& in, const UnfoldAttrs& a, int64_t spatial) {
  for (const Ints* list : {&a.kernel, &a.stride, &a.padding, &a.dilation})
    in.check(list->rank() == spatial,
             {list->list(), " needs one entry for each of ", spatial, " spatial dimensions"});
  for (int64_t d = 0; d < spatial; ++d)
    in.check(a.kernel[d] > 0 && a.stride[d] > 0 && a.padding[d] >= 0 && a.dilation[d] > 0,
             {"kernel ", as_list(a.kernel), ", stride ", as_list(a.stride), ", padding ",
              as_list(a.padding), " or dilation ", as_list(a.dilation), " is out of range"});
}

/// Entries of the padded dimension d: kernel offset x window position.
Tensor entries(const UnfoldAttrs& a, int64_t d, int64_t count) {
  std::vector<int64_t> at;
  for (int64_t k = 0; k < a.kernel[d]; ++k)
    for (int64_t p = 0; p < count; ++p) at.push_back(k * a.dilation[d] + p * a.stride[d]);
  return Tensor::from(at, {a.kernel[d], count});
}

Ints of_rank(const Ints& list, const Ints& like) {
  return list.size() == 1 ? Ints(like.size(), list[0]) : list;
}

UnfoldAttrs filled(const Ints& kernel, const Ints& stride, const Ints& padding,
                   const Ints& dilation) {
  return {kernel, of_rank(stride, kernel), of_rank(padding, kernel), of_rank(dilation, kernel)};
}

/// Dimensions N C k0 p0 k1 p1 ... as N C k0 k1 ... p0 p1 ...
Ints grouped(int64_t spatial) {
  Ints dims = {0, 1};
  for (int64_t half : {0, 1})
    for (int64_t d = 0; d < spatial; ++d) dims.push_back(2 + 2 * d + half);
  return dims;
}

}  // namespace

/// Patches as columns (im2col): x [N, C, *S] -> [N, C * prod(kernel), L] with L window positions in
/// row-major order. One spatial dimension for each entry of kernel; lists of one entry hold for
/// all. padding is zeros on both sides. x: any type.
API(Tensor unfold(In x, const Ints& kernel, const Ints& stride = {1}, const Ints& padding = {0},
                  const Ints& dilation = {1}))

OP(unfold) = {
    .name = "unfold",
    .kind = OpKind::composite,
    .attrs = attr_type<UnfoldAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<UnfoldAttrs>();
          const Shape& x = in.shape(0);
          in.check_rank(0, a.kernel.rank() + 2);
          check(in, a, x.rank() - 2);
          int64_t rows = x[1], columns = 1;
          for (int64_t d = 0; d < a.kernel.rank(); ++d) {
            const int64_t count = positions(a, d, x[d + 2]);
            in.check(count > 0, {"a window of ", a.kernel[d], " with dilation ", a.dilation[d],
                                 " does not fit into dimension ", d + 2, " of size ", x[d + 2],
                                 " with padding ", a.padding[d]});
            rows *= a.kernel[d];
            columns *= count;
          }
          in.out(in.dtype(0), {x[0], rows, columns});
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const UnfoldAttrs*>(attrs);
          const Shape& x = in[0].shape();
          Tensor t = pad(in[0], a.padding, a.padding);
          int64_t rows = x[1], columns = 1;
          for (int64_t d = 0; d < a.kernel.rank(); ++d) {
            const int64_t count = positions(a, d, x[d + 2]);
            t = index_select(t, 2 + 2 * d, entries(a, d, count));
            rows *= a.kernel[d];
            columns *= count;
          }
          return Tensors{reshape(permute(t, grouped(a.kernel.rank())), {x[0], rows, columns})};
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 5, 6})},
              [](const Tensors& x) {
                return Tensors{unfold(x[0], {2, 3})};
              },
              "F.unfold({0}, (2, 3))");
          s.add(
              {s.uniform({1, 2, 6, 5})},
              [](const Tensors& x) {
                return Tensors{unfold(x[0], {3, 2}, {2, 1}, {1, 0}, {1, 2})};
              },
              "F.unfold({0}, (3, 2), (1, 2), (1, 0), (2, 1))");
          s.add(
              {s.uniform({2, 3, 7})},
              [](const Tensors& x) { return Tensors{unfold(x[0], {3}, {2})}; },
              "F.unfold({0}.unsqueeze(2), (1, 3), 1, 0, (1, 2))");
          s.bad(
              {s.uniform({1, 2, 3, 3})},
              [](const Tensors& x) {
                return Tensors{unfold(x[0], {4, 2})};
              },
              "a window of 4 with dilation 1 does not fit into dimension 2 of size 3");
          s.bad(
              {s.uniform({2, 3, 3})},
              [](const Tensors& x) {
                return Tensors{unfold(x[0], {2, 2})};
              },
              "rank 3, expected 4");
          s.bad(
              {s.uniform({2, 3, 3})},
              [](const Tensors& x) { return Tensors{unfold(x[0], {2}, {0})}; }, "out of range");
        },
};

Tensor unfold(In x, const Ints& kernel, const Ints& stride, const Ints& padding,
              const Ints& dilation) {
  return make(op_unfold, filled(kernel, stride, padding, dilation), {x});
}

/// The adjoint of unfold (col2im): patches [N, C * prod(kernel), L] added up where they overlap, as
/// [N, C, *size].
API(Tensor fold(In x, const Ints& size, const Ints& kernel, const Ints& stride = {1},
                const Ints& padding = {0}, const Ints& dilation = {1}))

OP(fold) = {
    .name = "fold",
    .kind = OpKind::composite,
    .attrs = attr_type<FoldAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<FoldAttrs>();
          const Shape& x = in.shape(0);
          in.check_rank(0, 3);
          check(in, a, a.size.rank());
          int64_t kernel = 1, columns = 1;
          for (int64_t d = 0; d < a.size.rank(); ++d) {
            in.check(a.size[d] >= 0, {"size ", as_list(a.size), " has a negative entry"});
            kernel *= a.kernel[d];
            columns *= positions(a, d, a.size[d]);
          }
          in.check(x[1] % kernel == 0,
                   {x[1], " rows are no multiple of ", kernel, " entries of a window"});
          in.check(x[2] == columns, {x[2], " columns, but ", columns, " window positions"});
          Shape out = {x[0], x[1] / kernel};
          for (int64_t n : a.size) out.push_back(n);
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const auto& a = *static_cast<const FoldAttrs*>(attrs);
          const int64_t spatial = a.size.rank();
          Shape apart = {in[0].size(0), 0};
          int64_t kernel = 1;
          for (int64_t k : a.kernel) apart.push_back(k), kernel *= k;
          apart[1] = in[0].size(1) / kernel;
          for (int64_t d = 0; d < spatial; ++d) apart.push_back(positions(a, d, a.size[d]));
          Ints back(apart.size(), 0), crop;
          const Ints order = grouped(spatial);
          for (int64_t i = 0; i < order.rank(); ++i) back[order[i]] = i;
          Tensor t = permute(reshape(in[0], apart), back);
          for (int64_t d = spatial; d-- > 0;) {
            Shape shape = t.shape().slice(0, 2 + 2 * d);
            shape.push_back(a.size[d] + 2 * a.padding[d]);
            for (int64_t i = 2 * d + 4; i < t.rank(); ++i) shape.push_back(t.size(i));
            t = index_add(zeros(shape, t.dtype()), 2 + 2 * d,
                          entries(a, d, positions(a, d, a.size[d])), t);
          }
          for (int64_t p : a.padding) crop.push_back(-p);
          return Tensors{pad(t, crop, crop)};
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 12, 20})},
              [](const Tensors& x) {
                return Tensors{fold(x[0], {5, 6}, {2, 2})};
              },
              "F.fold({0}, (5, 6), (2, 2))");
          s.add(
              {s.uniform({1, 12, 6})},
              [](const Tensors& x) {
                return Tensors{fold(x[0], {6, 4}, {3, 2}, {2, 1}, {1, 0}, {1, 2})};
              },
              "F.fold({0}, (6, 4), (3, 2), (1, 2), (1, 0), (2, 1))");
          s.add(
              {s.uniform({2, 6, 3})},
              [](const Tensors& x) { return Tensors{fold(x[0], {7}, {3}, {2})}; },
              "F.fold({0}, (1, 7), (1, 3), 1, 0, (1, 2)).squeeze(2)");
          s.bad(
              {s.uniform({2, 6, 3})},
              [](const Tensors& x) { return Tensors{fold(x[0], {7}, {3})}; },
              "3 columns, but 5 window positions");
          s.bad(
              {s.uniform({2, 7, 3})},
              [](const Tensors& x) { return Tensors{fold(x[0], {7}, {3}, {2})}; },
              "7 rows are no multiple of 3");
          s.bad(
              {s.uniform({6, 3})},
              [](const Tensors& x) { return Tensors{fold(x[0], {7}, {3}, {2})}; },
              "rank 2, expected 3");
        },
};

Tensor fold(In x, const Ints& size, const Ints& kernel, const Ints& stride, const Ints& padding,
            const Ints& dilation) {
  FoldAttrs a;
  static_cast<UnfoldAttrs&>(a) = filled(kernel, stride, padding, dilation);
  a.size = size;
  return make(op_fold, std::move(a), {x});
}

}  // namespace nacre
