#include "nacre/graph.h"
#include "ops/op.h"

namespace nacre {
namespace {
struct FusedAttrs {
  std::shared_ptr<const Graph> body;
  void fields(FieldVisitor& v) { v("body", body); }
};
}  // namespace

/// Elementwise ops that the compiler joined into one pass over memory. `body` holds them; all its
/// results have one shape, to which its inputs broadcast. Made by the pass "fuse" only.
OP(fused) = {
    .name = "fused",
    .kind = OpKind::composite,
    .attrs = attr_type<FusedAttrs>(),
    .infer =
        [](Infer& in) {
          const Graph& body = *in.attrs<FusedAttrs>().body;
          in.check(in.inputs() == body.inputs().size(),
                   {"takes ", body.inputs().size(), " inputs, got ", in.inputs()});
          for (size_t i = 0; i < in.inputs(); ++i)
            in.check(
                body.inputs()[i].dtype() == in.dtype(i) && body.inputs()[i].shape() == in.shape(i),
                {"input ", i, " is not as in its body"});
          for (const Tensor& t : body.outputs()) in.out(t.dtype(), t.shape());
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          return static_cast<const FusedAttrs*>(attrs)->body->call(in);
        },
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({3, 4}), s.uniform({4})},
              [](const Tensors& x) {
                auto body = std::make_shared<Graph>(Graph::trace(
                    [](const Tensors& t) {
                      return Tensors{exp(t[0] * t[1]) + t[0], t[0] * t[1]};
                    },
                    x));
                return make_all(op_fused, FusedAttrs{body}, {x[0], x[1]});
              },
              "(torch.exp({0} * {1}) + {0}, {0} * {1})");
        },
};

}  // namespace nacre
