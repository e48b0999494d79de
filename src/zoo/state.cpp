// Arrays of files into the variables of models.
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "nacre/error.h"
#include "nacre/weights.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr size_t kShown = 10;

void add_names(std::string& text, std::string_view kind, const std::vector<std::string>& names) {
  if (names.empty()) return;
  text += cat({text.empty() ? "" : "; ", names.size(), " ", kind, ": "});
  for (size_t i = 0; i < names.size() && i < kShown; ++i)
    text += (i ? ", " : "") + clip(printable(names[i]), 160);
  if (names.size() > kShown) text += ", ...";
}

}  // namespace

std::string StateReport::text() const {
  std::string text;
  add_names(text, "missing", missing);
  add_names(text, "unexpected", unexpected);
  add_names(text, "of another shape", wrong_shape);
  return text.empty() ? "everything fits" : text;
}

StateReport load_state(Module& net, std::span<const NamedTensor> tensors, bool strict) {
  std::unordered_map<std::string_view, const RawTensor*> by_name;
  for (const auto& [name, array] : tensors) by_name.emplace(name, &array);
  StateReport report;
  std::vector<std::pair<Variable, const RawTensor*>> fitting;
  std::set<std::string_view> known;
  const std::vector<Variable> variables = net.variables();
  for (const Variable& v : variables) {
    known.insert(v.name());
    const auto at = by_name.find(v.name());
    if (at == by_name.end()) {
      report.missing.push_back(v.name());
    } else if (at->second->shape != v.value().shape()) {
      report.wrong_shape.push_back(
          cat({v.name(), " (", at->second->shape, ", the model wants ", v.value().shape(), ")"}));
    } else {
      fitting.emplace_back(v, at->second);
    }
  }
  for (const auto& [name, array] : tensors)
    if (!known.contains(name) && !is_idle_array(name)) report.unexpected.push_back(name);
  if (strict && !report.fits())
    fail(Error::Kind::data, {"the weights do not fit the model: ", report.text()});
  for (auto& [variable, array] : fitting) {
    Tensor value = shared_tensor(*array);
    if (value.dtype() != variable.value().dtype()) value = cast(value, variable.value().dtype());
    variable.set(value);
  }
  net.state()->commit();
  report.taken = fitting.size();
  return report;
}

Scope::Source weights_source(std::vector<NamedTensor> tensors) {
  auto by_name = std::make_shared<std::unordered_map<std::string, RawTensor>>();
  for (auto& [name, array] : tensors) by_name->emplace(std::move(name), std::move(array));
  return [by_name](const std::string& path, const Shape&, DType) -> Tensor {
    const auto at = by_name->find(path);
    return at == by_name->end() ? Tensor() : shared_tensor(at->second);
  };
}

}  // namespace nacre
