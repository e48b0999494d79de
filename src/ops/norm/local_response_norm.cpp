#include "ops/nn/pool.h"
#include "ops/norm/norm.h"

namespace nacre {
namespace {
struct ResponseAttrs {
  int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;
  void fields(FieldVisitor& v) {
    v("size", size);
    v("alpha", alpha);
    v("beta", beta);
    v("k", k);
  }
};
}  // namespace

/// Local response normalisation across channels (Krizhevsky et al. 2012):
/// x / (k + alpha * mean(x^2 over `size` neighbouring channels, zeros outside))^beta. x: NxCx...
API(Tensor local_response_norm(In x, int64_t size, double alpha = 1e-4, double beta = 0.75,
                               double k = 1))

OP(local_response_norm) = {
    .name = "local_response_norm",
    .kind = OpKind::composite,
    .attrs = attr_type<ResponseAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check(in.rank(0) >= 3, {"the input has rank ", in.rank(0), ", at least 3 is needed"});
          const int64_t size = in.attrs<ResponseAttrs>().size;
          in.check(size >= 1 && size <= (1 << 20), {"size is ", size, ", at least 1 is needed"});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const ResponseAttrs*>(attrs);
      const Tensor x = wide(in[0]);
      int64_t positions = 1;
      for (int64_t d = 2; d < x.rank(); ++d) positions *= x.size(d);
      AvgPoolAttrs p;
      p.kernel = {a.size, 1};
      p.stride = p.dilation = {1, 1};
      p.pad_low = {a.size / 2, 0};
      p.pad_high = {(a.size - 1) / 2, 0};
      const Tensor squares = reshape(square(x), {x.size(0), 1, x.size(1), positions});
      const Tensor local = positions == 0 ? squares : avg_pool(squares, p);
      return {cast(x * pow(reshape(local, x.shape()) * a.alpha + a.k, -a.beta), in[0].dtype())};
    },
    .onnx = "LRN",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 5, 3, 2})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 3, 0.5)}; },
              "F.local_response_norm({0}, 3, 0.5)");
          s.add(
              {s.uniform({1, 4, 3})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 4, 0.9, 0.5, 2)}; },
              "F.local_response_norm({0}, 4, 0.9, 0.5, 2)");
          s.add(
              {s.uniform({2, 3, 2, 2})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 1)}; },
              "F.local_response_norm({0}, 1)");
          s.add(
              {s.uniform({0, 3, 2, 2})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 5)}; },
              "F.local_response_norm({0}, 5)");
          s.bad(
              {s.uniform({2, 3, 2})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 0)}; },
              "size is 0, at least 1 is needed");
          s.bad(
              {s.uniform({2, 3})},
              [](const Tensors& x) { return Tensors{local_response_norm(x[0], 3)}; }, "rank 2");
        },
};

Tensor local_response_norm(In x, int64_t size, double alpha, double beta, double k) {
  return make(op_local_response_norm, ResponseAttrs{size, alpha, beta, k}, {x});
}

}  // namespace nacre
