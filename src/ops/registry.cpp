// The table of ops: built in ones, made by the build from the op files, and those of plug-ins.
#include <algorithm>
#include <mutex>

#include "graph/op_table.h"
#include "nacre/op.h"
#include "ops/plugin.h"

namespace nacre {
namespace {

struct Table {
  std::mutex mutex;
  std::vector<const OpDef*> ops;  // built in ones first, sorted by name
  size_t builtin = 0;
};

Table& table() {
  static auto* t = [] {
    auto* made = new Table;
    for (const OpDocumented& o : builtin_ops()) made->ops.push_back(o.def);
    std::sort(made->ops.begin(), made->ops.end(),
              [](const OpDef* a, const OpDef* b) { return std::string_view(a->name) < b->name; });
    made->builtin = made->ops.size();
    return made;
  }();
  return *t;
}

}  // namespace

const OpDef* find_op(std::string_view name) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const auto end = t.ops.begin() + static_cast<int64_t>(t.builtin);
  const auto at = std::lower_bound(t.ops.begin(), end, name,
                                   [](const OpDef* o, std::string_view n) { return o->name < n; });
  if (at != end && (*at)->name == name) return *at;
  for (size_t i = t.builtin; i < t.ops.size(); ++i)
    if (t.ops[i]->name == name) return t.ops[i];
  return nullptr;
}

std::vector<const OpDef*> all_ops() {
  std::lock_guard lock(table().mutex);
  return table().ops;
}

void register_op(const OpDef& op) {
  if (!op.name || !*op.name || !op.infer)
    fail(Error::Kind::usage, {"an op needs a name and a shape rule"});
  if (find_op(op.name)) fail(Error::Kind::usage, {"an op named '", op.name, "' exists already"});
  std::lock_guard lock(table().mutex);
  table().ops.push_back(&op);
  undo_if_plugin_fails([&op] {
    std::lock_guard lock(table().mutex);
    std::erase(table().ops, &op);
  });
}

}  // namespace nacre
