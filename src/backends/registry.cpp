// Which kernel runs an op: the backend's, kept once made, or none (then the compiler decomposes it
// or takes the reference).
#include <mutex>
#include <string>
#include <unordered_map>

#include "backends/cpu/elementwise/program.h"
#include "backends/cpu/kernel_macros.h"
#include "base/parallel.h"
#include "compile/plan.h"
#include "nacre/op.h"
#include "runtime/control.h"

namespace nacre {
namespace {

struct KeyHash {
  size_t operator()(const std::vector<int64_t>& k) const {
    uint64_t h = k.size();
    for (int64_t v : k) h = (h ^ static_cast<uint64_t>(v)) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
    return h;
  }
};

using KernelCache =
    std::unordered_map<std::vector<int64_t>, std::shared_ptr<const Kernel>, KeyHash>;

constexpr size_t kCacheCap = 65536;

std::vector<int64_t> key_of(const KernelQuery& q) {
  std::vector<int64_t> k = {static_cast<int64_t>(q.op.id), static_cast<int64_t>(q.attrs_hash),
                            num_threads(), static_cast<int64_t>(q.in.size())};
  for (auto list : {q.in, q.out})
    for (const Operand& o : list) {
      k.push_back(static_cast<int64_t>(o.dtype));
      k.push_back(o.shape.rank());
      k.insert(k.end(), o.shape.begin(), o.shape.end());
      k.insert(k.end(), o.strides.begin(), o.strides.end());
    }
  return k;
}

using Overrides = std::unordered_map<std::string, PrepareFn>;
Overrides& overrides() {
  static auto* o = new Overrides;
  return *o;
}

PrepareFn prepare_for(const OpDef& op) {
  static const auto* table = [] {
    auto* t = new std::unordered_map<std::string_view, PrepareFn>;
    for (const KernelEntry& e : cpu::kernels()) (*t)[e.op] = e.prepare;
    return t;
  }();
  const auto at = table->find(op.name);
  if (at != table->end()) return at->second;
  return op.kind == OpKind::elementwise ? cpu::prepare_elementwise : nullptr;
}

}  // namespace

std::shared_ptr<const Kernel> find_kernel(const KernelQuery& q, const CompileOptions& options) {
  if (q.op.kind == OpKind::control) return control_kernel(q, options);
  if (options.reference) return nullptr;
  if (!overrides().empty()) {  // only in tests
    const auto at = overrides().find(q.op.name);
    if (at != overrides().end()) return at->second(q);
  }
  const PrepareFn prepare = prepare_for(q.op);
  if (!prepare) return nullptr;
  static std::mutex mutex;
  static auto* cache = new KernelCache;
  auto key = key_of(q);
  {
    std::lock_guard lock(mutex);
    const auto at = cache->find(key);
    if (at != cache->end()) return at->second;
  }
  std::shared_ptr<const Kernel> kernel = prepare(q);
  std::lock_guard lock(mutex);
  if (cache->size() >= kCacheCap) cache->clear();
  (*cache)[std::move(key)] = kernel;
  return kernel;
}

void set_kernel_override(const std::string& op, PrepareFn prepare) {
  if (prepare)
    overrides()[op] = prepare;
  else
    overrides().erase(op);
}

}  // namespace nacre
