#include "ops/nn/pool.h"
#include "ops/nn/resample.h"

namespace nacre {
namespace {

struct AdaptiveAttrs {
  Ints size;
  void fields(FieldVisitor& v) { v("size", size); }
};

void infer_adaptive(Infer& in) {
  const Ints& size = in.attrs<AdaptiveAttrs>().size;
  in.check_float(0);
  in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
           {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
  in.check(size.rank() == in.rank(0) - 2,
           {"size ", as_list(size), " needs ", in.rank(0) - 2, " entries"});
  for (int64_t d = 0; d < size.rank(); ++d) {
    in.check(size[d] >= 1, {"size ", as_list(size), " has an entry below 1"});
    in.check(in.shape(0)[2 + d] >= 1, {"input has an empty spatial dimension"});
  }
  in.out(in.dtype(0), with_spatial(in.shape(0)[0], in.shape(0)[1], size));
}

/// The plain window that gives this output size, if the sizes divide.
bool plain_window(const Shape& x, const Ints& size, MaxPoolAttrs& a) {
  for (int64_t d = 0; d < size.rank(); ++d) {
    if (x[2 + d] % size[d] != 0) return false;
    a.kernel.push_back(x[2 + d] / size[d]);
  }
  a.stride = a.kernel;
  a.dilation = Ints(size.size(), 1);
  a.pad_low = a.pad_high = Ints(size.size(), 0);
  return true;
}

void adaptive_samples(Samples& s, Tensor (*call)(In, const Ints&), const std::string& name) {
  const auto to = [call](Ints size) {
    return [call, size](const Tensors& x) { return Tensors{call(x[0], size)}; };
  };
  s.add({s.uniform({2, 3, 4, 6})}, to({2, 3}), "F." + name + "2d({0}, (2, 3))");
  s.add({s.uniform({1, 2, 5, 7})}, to({3, 2}), "F." + name + "2d({0}, (3, 2))");
  s.add({s.uniform({2, 2, 7})}, to({3}), "F." + name + "1d({0}, 3)");
  s.add({s.uniform({1, 2, 3, 2})}, to({5, 4}), "F." + name + "2d({0}, (5, 4))");
  s.add({s.uniform({1, 2, 3, 4, 2})}, to({1}), "F." + name + "3d({0}, 1)");
  s.add({s.uniform({0, 2, 4, 4})}, to({2}), "F." + name + "2d({0}, 2)");
  s.bad({s.uniform({1, 2, 4, 4})}, to({0}), "below 1");
  s.bad({s.uniform({1, 2, 4, 4})}, to({1, 2, 3}), "size [1, 2, 3] has 3 entries");
  s.bad({s.uniform({1, 2, 0, 4})}, to({1}), "empty spatial dimension");
  s.bad({s.uniform({2, 4})}, to({1}), "rank 2");
}

}  // namespace

/// Mean over windows that cover the input evenly: output i of a dimension covers
/// floor(i n / size) to ceil((i + 1) n / size). x: NxCx and one to three spatial dimensions; size:
/// spatial size of the result, one entry or one for each.
API(Tensor adaptive_avg_pool(In x, const Ints& size))
/// As adaptive_avg_pool, with the largest value of each window.
API(Tensor adaptive_max_pool(In x, const Ints& size))

OP(adaptive_avg_pool) = {
    .name = "adaptive_avg_pool",
    .kind = OpKind::composite,
    .attrs = attr_type<AdaptiveAttrs>(),
    .infer = infer_adaptive,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Ints& size = static_cast<const AdaptiveAttrs*>(attrs)->size;
      AvgPoolAttrs a;
      if (plain_window(in[0].shape(), size, a)) return {avg_pool(in[0], a)};
      Tensor y = in[0];
      for (int64_t d = 0; d < size.rank(); ++d) y = resample_area(y, 2 + d, size[d]);
      return {y};
    },
    .onnx = "GlobalAveragePool",
    .samples =
        [](Samples& s) {
          adaptive_samples(s, adaptive_avg_pool, "adaptive_avg_pool");
          const auto whole = [](const Tensors& x) { return Tensors{global_avg_pool(x[0])}; };
          s.add({s.uniform({2, 3, 4, 2})}, whole, "{0}.mean((2, 3))");
          s.bad({s.uniform({2, 3})}, whole, "[global_avg_pool] input has rank 2");
        },
};

OP(adaptive_max_pool) = {
    .name = "adaptive_max_pool",
    .kind = OpKind::composite,
    .attrs = attr_type<AdaptiveAttrs>(),
    .infer = infer_adaptive,
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Ints& size = static_cast<const AdaptiveAttrs*>(attrs)->size;
      MaxPoolAttrs a;
      if (plain_window(in[0].shape(), size, a)) return {max_pool(in[0], a)[0]};
      Tensor y = in[0];
      for (int64_t d = 0; d < size.rank(); ++d) {
        const int64_t n = y.size(2 + d);
        Tensors parts;
        for (int64_t i = 0; i < size[d]; ++i) {
          const int64_t from = i * n / size[d], to = ((i + 1) * n + size[d] - 1) / size[d];
          parts.push_back(amax(narrow(y, 2 + d, from, to - from), {2 + d}, true));
        }
        y = concat(parts, 2 + d);
      }
      return {y};
    },
    .onnx = "GlobalMaxPool",
    .samples =
        [](Samples& s) {
          adaptive_samples(s, adaptive_max_pool, "adaptive_max_pool");
          const auto whole = [](const Tensors& x) { return Tensors{global_max_pool(x[0])}; };
          s.add({s.uniform({2, 3, 4, 2})}, whole, "{0}.amax((2, 3))");
          s.bad({s.uniform({2, 3})}, whole, "[global_max_pool] input has rank 2");
        },
};

/// Mean over all spatial dimensions: NxCx... -> NxC.
API(Tensor global_avg_pool(In x))
/// Largest value over all spatial dimensions: NxCx... -> NxC.
API(Tensor global_max_pool(In x))

namespace {

Ints spatial_dims(const char* op, const Tensor& x) {
  if (x.rank() < 3)
    fail(Error::Kind::shape, {"[", op, "] input has rank ", x.rank(),
                              ", at least 3 is needed (input ", x.shape(), ")", where()});
  Ints dims;
  for (int64_t d = 2; d < x.rank(); ++d) dims.push_back(d);
  return dims;
}

Tensor adaptive(const OpDef& op, const Tensor& x, const Ints& size) {
  if (x.rank() < 3) check_pool_input(op.name, x, 1);
  return make(op, AdaptiveAttrs{per_dimension(op.name, "size", size, x.rank() - 2)}, {x});
}

}  // namespace

Tensor adaptive_avg_pool(In x, const Ints& size) { return adaptive(op_adaptive_avg_pool, x, size); }
Tensor adaptive_max_pool(In x, const Ints& size) { return adaptive(op_adaptive_max_pool, x, size); }
Tensor global_avg_pool(In x) { return mean(x, spatial_dims("global_avg_pool", x)); }
Tensor global_max_pool(In x) { return amax(x, spatial_dims("global_max_pool", x)); }

}  // namespace nacre
