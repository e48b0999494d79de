#include "autograd/repeat.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace nacre {
namespace {

constexpr size_t kKeysCap = 4096;      // keys; beyond it all are forgotten
constexpr size_t kNodesCap = 1 << 18;  // nodes of all records
constexpr size_t kLargestNumber = 64;  // bytes of a leaf that a record holds

struct Entry {
  std::vector<uint64_t> key;
  std::shared_ptr<const GradientRecord> record;
};

struct Cache {
  std::mutex mutex;
  std::unordered_map<uint64_t, Entry> entries;
  size_t nodes = 0;
};
Cache& cache() {
  static auto* c = new Cache;  // never destroyed: records hold tensors
  return *c;
}

uint64_t hash_of_key(const std::vector<uint64_t>& key) {
  uint64_t h[2] = {key.size(), 1};
  for (size_t i = 0; i < key.size(); ++i) h[i % 2] = mix(h[i % 2], key[i]);
  return mix(h[0], h[1]);
}

uint64_t hash_of_leaf(const Node& n) {
  uint64_t h = n.outputs.size();
  for (const Output& o : n.outputs) h = mix(h, hash_of(o.dtype, o.shape));
  return n.weak ? mix(h, std::bit_cast<uint64_t>(n.number)) : h;
}

/// Ops of one name may come with other rules (plug-ins, tests).
uint64_t hash_of_rules(const OpDef& op) {
  return mix(reinterpret_cast<uintptr_t>(op.vjp), reinterpret_cast<uintptr_t>(op.decompose));
}

size_t dense_bytes(const Output& o) {
  return static_cast<size_t>(o.shape.numel()) * size_of(o.dtype);
}

uint64_t place(uint32_t position, uint32_t index) { return uint64_t{position} << 32 | index; }

}  // namespace

GradientCache::Found GradientCache::find(const std::vector<uint64_t>& key) {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  const auto [at, fresh] = c.entries.try_emplace(hash_of_key(key));
  if (fresh) {
    at->second.key = key;
    if (c.entries.size() > kKeysCap) c.entries.clear(), c.nodes = 0;
    return {Sight::first, nullptr};
  }
  if (at->second.key != key) return {Sight::first, nullptr};
  if (!at->second.record) return {Sight::again, nullptr};
  return {Sight::recorded, at->second.record};
}

void GradientCache::insert(const std::vector<uint64_t>& key,
                           std::shared_ptr<const GradientRecord> record) {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  c.nodes += record->nodes.size();
  if (c.nodes > kNodesCap) c.entries.clear(), c.nodes = record->nodes.size();
  c.entries[hash_of_key(key)] = {key, std::move(record)};
}

void gradient_key(const Ancestry& a, const Tensors& roots, const Tensors& targets,
                  std::vector<uint64_t>& key) {
  key.push_back(a.order.size());
  for (size_t i = 0; i < a.order.size(); ++i) {
    const Node& n = *a.order[i];
    const uint64_t what = n.op ? mix(n.hash, hash_of_rules(*n.op)) : hash_of_leaf(n);
    key.push_back(mix(what, uint64_t{n.inputs.size()} << 4 | (n.op ? 1 : 0) |
                                (n.evaluated ? 2 : 0) | (n.weak ? 4 : 0)));
    for (size_t j = 0; j < n.inputs.size(); ++j)
      key.push_back(place(a.parent[a.first_parent[i] + j], n.inputs[j].index()));
  }
  for (size_t k = 0; k < roots.size(); ++k) key.push_back(place(a.roots[k], roots[k].index()));
  for (size_t k = 0; k < targets.size(); ++k) {
    key.push_back(place(a.targets[k], targets[k].index()));
    if (a.targets[k] == Ancestry::kNone)
      key.push_back(hash_of(targets[k].dtype(), targets[k].shape()));
  }
}

std::shared_ptr<const GradientRecord> record_of(const Recording& recording, const Ancestry& a,
                                                const std::vector<uint32_t>& consumed,
                                                const Tensors& results) {
  if (recording.read_values()) return nullptr;
  using Kind = GradientRecord::Source::Kind;
  std::unordered_map<const Node*, GradientRecord::Source> sources;
  for (size_t i = 0; i < a.order.size(); ++i)
    sources[a.order[i]] = {Kind::graph, static_cast<uint32_t>(i), 0};
  auto record = std::make_shared<GradientRecord>();
  record->consumed = consumed;
  std::vector<std::pair<int64_t, const Node*>> made;
  std::vector<const Node*> stack;
  bool known = true;
  const auto enter = [&](const Tensor& t) {
    const Node* n = t.node();
    if (sources.count(n)) return;
    const Recording::Entry* entry = recording.find(n);
    if (!entry || entry->stands_for == Recording::kUnknown || (n->op && n->evaluated)) {
      known = false;
    } else if (n->op) {
      sources[n] = {Kind::made, 0, 0};
      made.emplace_back(entry->number, n);
      stack.push_back(n);
    } else if (n->evaluated && dense_bytes(n->outputs[0]) <= kLargestNumber) {
      sources[n] = {n->weak ? Kind::number : Kind::copied,
                    static_cast<uint32_t>(record->numbers.size()), 0};
      record->numbers.push_back(t);
    } else {
      known = false;
    }
  };
  for (const Tensor& t : results) enter(t);
  while (known && !stack.empty()) {
    const Node* n = stack.back();
    stack.pop_back();
    for (const Tensor& t : n->inputs) enter(t);
  }
  if (!known) return nullptr;
  std::sort(made.begin(), made.end());
  for (size_t k = 0; k < made.size(); ++k)
    sources[made[k].second].position = static_cast<uint32_t>(k);
  const auto source = [&](const Tensor& t) {
    GradientRecord::Source s = sources.at(t.node());
    s.index = t.index();
    return s;
  };
  for (const auto& [number, n] : made) {
    record->nodes.push_back({n->op, n->attrs, n->hash, static_cast<uint32_t>(n->inputs.size()),
                             static_cast<uint32_t>(n->outputs.size()),
                             recording.find(n)->stands_for, n->consumed});
    for (const Tensor& t : n->inputs) record->sources.push_back(source(t));
    for (const Output& o : n->outputs) record->types.push_back({o.dtype, o.shape});
  }
  for (const Tensor& t : results) record->results.push_back(source(t));
  return record;
}

Tensors make_again(const GradientRecord& record, const Ancestry& a) {
  using Kind = GradientRecord::Source::Kind;
  std::vector<Node*> made;
  made.reserve(record.nodes.size());
  Tensors copies(record.numbers.size());
  const auto tensor = [&](const GradientRecord::Source& s) -> Tensor {
    if (s.kind == Kind::graph) return Tensor(a.order[s.position], s.index);
    if (s.kind == Kind::made) return Tensor(made[s.position], s.index);
    const Tensor& number = record.numbers[s.position];
    if (s.kind == Kind::number) return number;
    Tensor& copy = copies[s.position];  // its memory may be given to the plan
    if (!copy.defined()) {
      const Output& o = number.node()->outputs[0];
      copy = Tensor::from_bytes(o.data(), dense_bytes(o), o.shape, o.dtype);
    }
    return copy;
  };
  Tensors inputs;
  const GradientRecord::Source* source = record.sources.data();
  const OutputType* type = record.types.data();
  for (const GradientRecord::Made& m : record.nodes) {
    inputs.clear();
    for (uint32_t j = 0; j < m.inputs; ++j) inputs.push_back(tensor(*source++));
    Node* n = make_again(*m.op, m.attrs, m.hash, {type, m.outputs}, inputs,
                         m.stands_for < 0 ? nullptr : a.order[static_cast<size_t>(m.stands_for)]);
    n->consumed = m.consumed;
    type += m.outputs;
    made.push_back(n);
  }
  for (const uint32_t i : record.consumed) a.order[i]->consumed = true;
  Tensors results;
  results.reserve(record.results.size());
  for (const GradientRecord::Source& s : record.results) results.push_back(tensor(s));
  return results;
}

}  // namespace nacre
