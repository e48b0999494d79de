#include "train/trouble.h"

#include <cmath>

namespace nacre {
namespace {

bool finite(const Tensor& t) { return !is_float(t.dtype()) || all(isfinite(t)).item() != 0; }

bool finite(const std::vector<float>& values) {
  for (float v : values)
    if (!std::isfinite(v)) return false;
  return true;
}

}  // namespace

std::string first_not_finite(Module& net, const Batch& batch, const Key& key) {
  if (!finite(batch.x)) return "the batch holds values that are not finite";
  if (!finite(batch.targets)) return "the targets of the batch are not all finite";
  for (const Variable& v : net.parameters())
    if (!finite(v.value())) return cat({"parameter '", v.name(), "' was not finite before it"});
  NoGrad guard;
  Context ctx = Context::train(key);                    // its changes of buffers are not committed
  std::vector<std::pair<std::string, Tensor>> outputs;  // inner layers before those around them
  ctx.hook = [&](const std::string& path, const Tensor& y) {
    outputs.emplace_back(path, y);
    return Tensor();
  };
  net(Tensor::from(batch.x, batch.shape), ctx);
  for (const auto& [path, y] : outputs) {
    if (finite(y)) continue;
    if (path.empty()) return "the model's output is the first value that is not finite";
    return cat({"the output of layer ", path, " is the first that is not finite"});
  }
  return "the model's output is finite, its loss is not";
}

}  // namespace nacre
