#include "ops/nn/blocks.h"

namespace nacre {
namespace {
struct FromBlocksAttrs {
  int64_t channels = 1;
  void fields(FieldVisitor& v) { v("channels", channels); }
};
}  // namespace

/// Channels back in a row: the first `channels` of NxGx*SxB as NxCx*S. Made by the layout pass.
OP(from_blocks) = {
    .name = "from_blocks",
    .kind = OpKind::composite,
    .attrs = attr_type<FromBlocksAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t channels = in.attrs<FromBlocksAttrs>().channels;
          in.check(in.rank(0) >= 3, {"the input has rank ", in.rank(0), ", 3 or more are needed"});
          const Shape& x = in.shape(0);
          const int64_t all = x[1] * x.back();
          in.check(channels >= 0 && channels <= all && channels > all - x.back(),
                   {channels, " channels do not fill ", x[1], " blocks of ", x.back()});
          Shape y = x.slice(0, x.rank() - 1);
          y[1] = channels;
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t channels = static_cast<const FromBlocksAttrs*>(attrs)->channels;
      Shape y = in[0].shape().slice(0, in[0].rank() - 1);
      y[1] *= in[0].size(-1);
      return {narrow(reshape(movedim(in[0], -1, 2), y), 1, 0, channels)};
    },
    .samples =
        [](Samples& s) {
          const auto of = [](int64_t channels) {
            return [channels](const Tensors& x) { return Tensors{from_blocks(x[0], channels)}; };
          };
          s.add({s.uniform({2, 2, 3, 2, 4})}, of(8),
                "{0}.permute(0, 1, 4, 2, 3).reshape(2, 8, 3, 2)");
          s.add({s.uniform({2, 1, 3, 5, 16})}, of(16), "{0}.squeeze(1).permute(0, 3, 1, 2)");
          s.add({s.uniform({1, 2, 2, 3, 4})}, of(5),
                "{0}.permute(0, 1, 4, 2, 3).reshape(1, 8, 2, 3)[:, :5]");
          s.add({s.uniform({1, 2, 2, 3, 3})}, of(5),
                "{0}.permute(0, 1, 4, 2, 3).reshape(1, 6, 2, 3)[:, :5]");
          s.add(
               {s.uniform({1, 2, 2, 3, 4})},
               [](const Tensors& x) { return Tensors{from_blocks(x[0] > 0, 5)}; },
               "({0}.permute(0, 1, 4, 2, 3).reshape(1, 8, 2, 3)[:, :5]) > 0")
              .check_grad = false;
          s.bad({s.uniform({1, 2, 2, 3, 4})}, of(4), "4 channels do not fill 2 blocks of 4");
          s.bad({s.uniform({4, 4})}, of(4), "rank 2");
        },
};

Tensor from_blocks(const Tensor& x, int64_t channels) {
  return make(op_from_blocks, FromBlocksAttrs{channels}, {x});
}

}  // namespace nacre
