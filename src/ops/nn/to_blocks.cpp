#include "ops/nn/blocks.h"

namespace nacre {
namespace {
struct ToBlocksAttrs {
  int64_t block = 16;
  void fields(FieldVisitor& v) { v("block", block); }
};
}  // namespace

/// Channels in blocks, for the kernels that want them so: NxCx*S -> Nx(C/block)x*Sxblock; channels
/// that are added to fill the last block are zero. Made by the layout pass.
OP(to_blocks) = {
    .name = "to_blocks",
    .kind = OpKind::composite,
    .attrs = attr_type<ToBlocksAttrs>(),
    .infer =
        [](Infer& in) {
          const int64_t block = in.attrs<ToBlocksAttrs>().block;
          in.check(block >= 1, {"block is ", block, ", at least 1 is needed"});
          in.check(in.rank(0) >= 2, {"the input has rank ", in.rank(0), ", 2 or more are needed"});
          Shape y = in.shape(0);
          y[1] = y[1] / block + (y[1] % block != 0);
          y.push_back(block);
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t block = static_cast<const ToBlocksAttrs*>(attrs)->block;
      const Shape& x = in[0].shape();
      const int64_t groups = x[1] / block + (x[1] % block != 0);
      Tensor padded = in[0];
      if (x[1] % block != 0) {
        Shape more = x;
        more[1] = groups * block - x[1];
        padded = concat({padded, zeros(more, padded.dtype())}, 1);
      }
      Shape split = x;
      split[1] = groups;
      split.insert(2, block);
      return {movedim(reshape(padded, split), 2, -1)};
    },
    .samples =
        [](Samples& s) {
          const auto by = [](int64_t block) {
            return [block](const Tensors& x) { return Tensors{to_blocks(x[0], block)}; };
          };
          s.add({s.uniform({2, 8, 3, 2})}, by(4),
                "{0}.reshape(2, 2, 4, 3, 2).permute(0, 1, 3, 4, 2)");
          s.add({s.uniform({2, 16, 3, 5})}, by(16), "{0}.permute(0, 2, 3, 1).unsqueeze(1)");
          s.add({s.uniform({1, 5, 2, 3})}, by(4),
                "F.pad({0}, (0, 0, 0, 0, 0, 3)).reshape(1, 2, 4, 2, 3).permute(0, 1, 3, 4, 2)");
          s.add({s.uniform({1, 5, 2, 3})}, by(3),
                "F.pad({0}, (0, 0, 0, 0, 0, 1)).reshape(1, 2, 3, 2, 3).permute(0, 1, 3, 4, 2)");
          s.add({s.uniform({0, 16, 2, 2})}, by(16), "{0}.permute(0, 2, 3, 1).unsqueeze(1)");
          s.add(
               {s.uniform({1, 5, 2, 3})},
               [](const Tensors& x) { return Tensors{to_blocks(x[0] > 0, 4)}; },
               "F.pad({0}, (0, 0, 0, 0, 0, 3)).reshape(1, 2, 4, 2, 3).permute(0, 1, 3, 4, 2) > 0")
              .check_grad = false;
          s.bad({s.uniform({3})}, by(4), "rank 1");
          s.bad({s.uniform({1, 4, 2, 2})}, by(0), "block is 0");
        },
};

Tensor to_blocks(const Tensor& x, int64_t block) {
  return make(op_to_blocks, ToBlocksAttrs{block}, {x});
}

}  // namespace nacre
