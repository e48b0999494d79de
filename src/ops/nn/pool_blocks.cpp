#include "ops/nn/blocks.h"

namespace nacre {

/// Largest value or mean of each window of a picture with its channels in blocks. Made by the
/// layout pass.
OP(pool_blocks) = {
    .name = "pool_blocks",
    .kind = OpKind::composite,
    .attrs = attr_type<PoolBlocksAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check_rank(0, 5);
          const Shape& x = in.shape(0);
          const Shape size =
              windowed_shape(in, x.slice(2, 4), window_of(in.attrs<PoolBlocksAttrs>()));
          in.out(in.dtype(0), {x[0], x[1], size[0], size[1], x[4]});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const PoolBlocksAttrs*>(attrs);
      const int64_t block = in[0].size(4);
      const Tensor x = from_blocks(in[0], in[0].size(1) * block);
      return {to_blocks(a.average ? avg_pool(x, a) : max_pool(x, a)[0], block)};
    },
    .samples =
        [](Samples& s) {
          PoolBlocksAttrs a;
          a.kernel = {3, 3};
          a.stride = {2, 2};
          a.dilation = a.pad_low = a.pad_high = {1, 1};
          const auto with = [](PoolBlocksAttrs b) {
            return
                [b](const Tensors& x) { return Tensors{make(*find_op("pool_blocks"), b, {x[0]})}; };
          };
          PoolBlocksAttrs average = a, within = a, whole = a;
          average.average = within.average = whole.average = true;
          within.include_pad = false;
          whole.kernel = {7, 7};
          whole.stride = {1, 1};
          whole.pad_low = whole.pad_high = {0, 0};
          const std::string in = "({0}.permute(0, 1, 4, 2, 3).flatten(1, 2), ";
          for (const int64_t b : kBlockSizes) {
            const std::string out = torch_blocks(b);
            s.add({s.uniform({2, 2, 5, 6, b})}, with(a), "F.max_pool2d" + in + "3, 2, 1)" + out);
            s.add({s.uniform({2, 2, 5, 6, b})}, with(average),
                  "F.avg_pool2d" + in + "3, 2, 1)" + out);
            s.add({s.uniform({1, 1, 5, 6, b})}, with(within),
                  "F.avg_pool2d" + in + "3, 2, 1, count_include_pad=False)" + out);
            s.add({s.uniform({1, 2, 7, 7, b})}, with(whole), "F.avg_pool2d" + in + "7, 1)" + out);
          }
          s.bad({s.uniform({1, 2, 6, 6})}, with(whole), "rank 4");
          s.bad({s.uniform({1, 2, 6, 6, 16})}, with(whole), "larger than the padded input of 6");
        },
};

}  // namespace nacre
