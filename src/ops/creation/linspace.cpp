#include "ops/op.h"

namespace nacre {
namespace {
struct LinspaceAttrs {
  double start = 0, stop = 1;
  int64_t size = 0;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("start", start);
    v("stop", stop);
    v("size", size);
    v("dtype", dtype);
  }
};
}  // namespace

/// `size` numbers from start to stop, both included, equally far apart; floating. The numbers are
/// part of the compiled plan.
API(Tensor linspace(double start, double stop, int64_t size, DType dtype = DType::f32))

OP(linspace) = {
    .name = "linspace",
    .attrs = attr_type<LinspaceAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<LinspaceAttrs>();
          in.check(is_float(a.dtype), {"type ", a.dtype, " is not a floating type"});
          in.check(a.size >= 0, {"size ", a.size, " is negative"});
          in.out(a.dtype, {a.size});
        },
    .ref =
        [](Ref& r) {
          const auto& a = r.attrs<LinspaceAttrs>();
          const double step = a.size > 1 ? (a.stop - a.start) / static_cast<double>(a.size - 1) : 0;
          for (int64_t k = 0; k < a.size; ++k)  // from the nearer end, so that both are exact
            r.out().d[k] = 2 * k < a.size ? a.start + static_cast<double>(k) * step
                                          : a.stop - static_cast<double>(a.size - 1 - k) * step;
        },
    .samples =
        [](Samples& s) {
          const auto call = [](double start, double stop, int64_t n) {
            return [=](const Tensors&) { return Tensors{linspace(start, stop, n)}; };
          };
          s.add({}, call(0, 1, 11), "torch.linspace(0, 1, 11)");
          s.add({}, call(3, -2, 4), "torch.linspace(3, -2, 4)");
          s.add({}, call(3, 5, 1), "torch.linspace(3, 5, 1)");
          s.add({}, call(3, 5, 0), "torch.linspace(3, 5, 0)");
          s.bad({}, call(0, 1, -1), "size -1 is negative");
          s.bad(
              {}, [](const Tensors&) { return Tensors{linspace(0, 1, 2, DType::i64)}; },
              "i64 is not a floating type");
        },
};

Tensor linspace(double start, double stop, int64_t size, DType dtype) {
  return make(op_linspace, LinspaceAttrs{start, stop, size, dtype}, {});
}

}  // namespace nacre
