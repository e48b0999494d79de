#include "ops/nn/pool.h"

namespace nacre {

/// Largest value of each window, without its place. Made by the pass "pooling" only.
OP(max_pool_values) = {
    .name = "max_pool_values",
    .kind = OpKind::composite,
    .attrs = attr_type<MaxPoolAttrs>(),
    .infer = [](Infer& in) { in.out(in.dtype(0), pooled_shape(in, in.attrs<MaxPoolAttrs>())); },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      return {max_pool(in[0], *static_cast<const MaxPoolAttrs*>(attrs))[0]};
    },
    .samples =
        [](Samples& s) {
          const auto with = [](MaxPoolAttrs a) {
            return [a](const Tensors& x) {
              return Tensors{make(*find_op("max_pool_values"), a, {x[0]})};
            };
          };
          MaxPoolAttrs a;
          a.kernel = a.stride = {2, 2};
          a.dilation = {1, 1};
          a.pad_low = a.pad_high = {0, 0};
          s.add({s.uniform({2, 3, 28, 28})}, with(a), "F.max_pool2d({0}, 2)");
          s.add({s.uniform({2, 3, 10, 11})}, with(a), "F.max_pool2d({0}, 2)");
          MaxPoolAttrs b = a;
          b.kernel = {3, 3};
          b.pad_low = b.pad_high = {1, 1};
          s.add({s.uniform({1, 2, 19, 34})}, with(b), "F.max_pool2d({0}, 3, 2, 1)");
          b.stride = {1, 1};
          b.dilation = {1, 2};
          s.add({s.uniform({1, 2, 5, 21})}, with(b), "F.max_pool2d({0}, 3, 1, 1, (1, 2))");
          s.add({s.at({1, 1, NAN, 0, 2, NAN, 0, 1, -INFINITY, -INFINITY, 5, -INFINITY, 3, 4, 5, 6},
                      {1, 1, 2, 8})},
                with(a), "F.max_pool2d({0}, 2)")
              .check_grad = false;
          s.bad({s.uniform({2, 6})}, with(a), "rank 2");
          s.bad({s.uniform({1, 2, 6, 1})}, with(a), "larger than the padded input of 1");
        },
};

}  // namespace nacre
