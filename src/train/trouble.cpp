#include "train/trouble.h"

#include <algorithm>
#include <cmath>

#include "graph/node.h"

namespace nacre {
namespace {

bool finite(const Tensor& t) { return !is_float(t.dtype()) || all(isfinite(t)).item() != 0; }

bool finite(const std::vector<float>& values) {
  for (float v : values)
    if (!std::isfinite(v)) return false;
  return true;
}

/// The user's line that recorded it; empty for what the library's own models record.
std::string line_of(const Tensor& t) {
  const std::source_location& at = t.node()->site;
  return at.line() ? cat({" (", at.file_name(), ":", at.line(), ")"}) : "";
}

}  // namespace

std::string first_not_finite(Module& net, const Batch& batch, const Key& key, double lr) {
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
  const auto bad = std::find_if(outputs.begin(), outputs.end(),
                                [](const auto& output) { return !finite(output.second); });
  std::string found = "the model's output is finite, its loss is not";
  if (bad != outputs.end()) {
    const auto& [path, y] = *bad;
    found = path.empty() ? "the model's output is the first value that is not finite"
                         : cat({"the output of layer ", path, " is the first that is not finite"});
    found += line_of(y);
  }
  return cat({found, "; a smaller learning rate than ", lr, " or clip_norm may help"});
}

}  // namespace nacre
