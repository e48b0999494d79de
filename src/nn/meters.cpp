#include "nacre/meters.h"

#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {

std::vector<Sparsity> activation_sparsity(Module& net, const Tensor& x) {
  NoGrad guard;
  std::vector<Sparsity> list;
  Tensors shares;
  Context ctx = Context::eval();
  ctx.hook = [&](const std::string& path, const Tensor& y) {
    if (y.numel() > 0) {
      list.push_back({path, 0});
      shares.push_back(mean(cast(eq(y, 0), DType::f32)));
    }
    return Tensor();
  };
  net(x, ctx);
  eval(shares);
  for (size_t i = 0; i < list.size(); ++i) list[i].zeros = shares[i].item();
  return list;
}

}  // namespace nacre
