#include "ops/norm/norm.h"

namespace nacre {
namespace {

Ints leading(int64_t rank) { return dims_between(0, rank - 1); }

void check_channels_last(const Infer& in) {
  in.check_float(0);
  in.check(in.rank(0) >= 2, {"the input has rank ", in.rank(0), ", at least 2 is needed"});
  in.check(in.shape(0).numel() > 0, {"there is no value to sum"});
}

}  // namespace

/// Mean and biased variance of each channel, the last dimension: x ...xC -> C, C. In f32 for 16-bit
/// floats. Made by the precision pass of batch_norm_train.
OP(channel_moments) = {
    .name = "channel_moments",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          check_channels_last(in);
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), {in.shape(0)[-1]});
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor x = wide(in[0]), m = mean(x, leading(x.rank()));
      return {m, mean(square(x - m), leading(x.rank()))};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return make_all(*find_op("channel_moments"), {}, x);
          };
          const char* torch = "({0}.flatten(0, -2).mean(0), {0}.flatten(0, -2).var(0, False))";
          s.add({s.uniform({2, 3, 4, 5})}, call, torch);
          s.add({s.uniform({20, 7}, 3, 5)}, call, torch);
          s.add({s.uniform({1, 9})}, call, torch).check_grad = false;
          s.bad({s.uniform({4})}, call, "rank 1");
          s.bad({s.uniform({0, 4})}, call, "no value");
        },
};

/// What the gradient of batch_norm_train sums over each channel: x and dy ...xC and mean C give
/// sum(dy) and sum(dy (x - mean)). In f32 for 16-bit floats. Made by the precision pass.
OP(channel_products) = {
    .name = "channel_products",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          check_channels_last(in);
          check_beside(in, 1);
          in.check(in.shape(1) == in.shape(0),
                   {"input 1 has shape ", in.shape(1), ", input 0 has ", in.shape(0)});
          const Shape channels = {in.shape(0)[-1]};
          check_beside(in, 2);
          in.check(in.shape(2) == channels, {"the mean needs shape ", channels});
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), channels);
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      const Tensor x = wide(in[0]), dy = wide(in[1]);
      return {sum(dy, leading(x.rank())), sum(dy * (x - wide(in[2])), leading(x.rank()))};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            const Tensor in[] = {x[0], x[1], wide(x[2])};
            return make_all(*find_op("channel_products"), {}, in);
          };
          const char* torch =
              "({1}.flatten(0, -2).sum(0), ({1} * ({0} - {2})).flatten(0, -2).sum(0))";
          s.add({s.uniform({2, 3, 4, 5}), s.uniform({2, 3, 4, 5}), s.uniform({5})}, call, torch);
          s.add({s.uniform({20, 7}), s.uniform({20, 7}), s.uniform({7})}, call, torch);
          s.bad({s.uniform({4, 5}), s.uniform({4, 6}), s.uniform({5})}, call, "has shape 4x6");
          s.bad({s.uniform({4, 5}), s.uniform({4, 5}), s.uniform({4})}, call,
                "the mean needs shape 5");
        },
};

}  // namespace nacre
