// Evaluation: find the plan of what was asked for by the structure of its graph, or make it; run
// it; store the values.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "base/parallel.h"
#include "compile/plan.h"
#include "graph/node.h"
#include "graph/recording.h"
#include "nacre/plan.h"
#include "nacre/precision.h"

namespace nacre {
namespace {

// A structure whose shapes keep changing is compiled for this many of them, then runs on kept
// per-op kernels.
constexpr int kShapesPerStructure = 8;
constexpr size_t kPlanCap = 4096;                 // plans
constexpr size_t kPlanBytes = size_t{256} << 20;  // of all cached plans
constexpr size_t kSeenCap = 16384;                // hashes of graphs of certain sizes
constexpr size_t kWorthFusing = 32;               // pending nodes; fewer run as well unfused
constexpr size_t kLongGraph = 200000;             // pending nodes

/// True if NACRE_BACKEND asks for the reference kernels. Another backend than those there are is
/// not passed over: who asks for a graphics card is not to wait for the processor.
bool reference_asked_for() {
  const char* name = std::getenv("NACRE_BACKEND");
  const std::string_view backend = name ? name : "";
  if (!backend.empty() && backend != "cpu" && backend != "ref")
    fail(Error::Kind::usage, {"NACRE_BACKEND is '", backend,
                              "', but nacre computes on the processor: known are cpu and ref"});
  return backend == "ref";
}

struct Settings {
  bool eager = std::getenv("NACRE_EAGER") && std::string_view(std::getenv("NACRE_EAGER")) == "1";
  bool passes = true;
  bool reference = reference_asked_for();
  size_t memory_limit = 0;
};
Settings& settings() {
  static Settings s;
  return s;
}

struct CachedPlan {
  std::vector<uint64_t> key;
  std::shared_ptr<const Plan> plan;
  uint64_t structure;  // if optimised, else 0
  uint64_t used;       // when, in evaluations

  size_t bytes() const { return key.size() * sizeof(uint64_t) + plan->held_bytes(); }
};

struct Structure {
  int compiled = 0;           // cached plans
  std::vector<Shape> leaves;  // of the first plan
  bool warned = false;
};

/// Plans, at most so many and so many bytes; the least recently used go first.
struct Cache {
  std::unordered_map<uint64_t, CachedPlan> plans;
  std::unordered_map<uint64_t, Structure> structures;
  std::unordered_set<uint64_t> seen;
  std::deque<uint64_t> seen_order;
  uint64_t time = 0;
  size_t bytes = 0;
  PlanStats stats;

  void see(uint64_t hash) {
    if (!seen.insert(hash).second) return;
    seen_order.push_back(hash);
    if (seen_order.size() <= kSeenCap) return;
    seen.erase(seen_order.front());
    seen_order.pop_front();
  }
  void erase(std::unordered_map<uint64_t, CachedPlan>::iterator at) {
    const auto s = structures.find(at->second.structure);
    if (s != structures.end() && --s->second.compiled == 0) structures.erase(s);
    bytes -= at->second.bytes();
    plans.erase(at);
  }
  void insert(uint64_t hash, CachedPlan plan) {
    if (const auto at = plans.find(hash); at != plans.end()) erase(at);
    bytes += plan.bytes();
    while (!plans.empty() && (plans.size() >= kPlanCap || bytes > kPlanBytes))
      erase(std::min_element(plans.begin(), plans.end(), [](const auto& a, const auto& b) {
        return a.second.used < b.second.used;
      }));
    if (plan.structure) ++structures[plan.structure].compiled;
    plans.emplace(hash, std::move(plan));
  }
};
Cache& cache() {
  static auto* c = new Cache;
  return *c;
}

/// What one evaluation needs; kept per thread, so that the steady state allocates nothing.
struct Work {
  std::vector<Node*> order;  // pending nodes, inputs first
  std::vector<Node*> leaves;
  std::vector<std::pair<Node*, size_t>> stack;
  std::vector<uint64_t> key;
  std::vector<bool> donated;
  std::vector<std::pair<Node*, uint32_t>> outputs;
  std::vector<void*> in, out;
  std::vector<RefPtr<Storage>> blocks;
};

void visit(Work& w, std::span<const Tensor> roots, uint64_t mark) {
  const auto enter = [&](Node* n) {
    n->mark = mark;
    n->uses = 0;
    if (n->evaluated) {
      n->position = static_cast<uint32_t>(w.leaves.size());
      w.leaves.push_back(n);
    } else {
      if (!n->op)
        fail(Error::Kind::shape,
             {"a placeholder of a Graph has no value; use Graph::call", where()});
      w.stack.emplace_back(n, 0);
    }
  };
  for (const Tensor& r : roots) {
    if (r.node()->evaluated || r.node()->mark == mark) continue;
    enter(r.node());
    while (!w.stack.empty()) {
      auto& [n, next] = w.stack.back();
      if (next < n->inputs.size()) {
        Node* child = n->inputs[next++].node();
        if (child->mark != mark) enter(child);
        ++child->uses;
      } else {
        n->position = static_cast<uint32_t>(w.order.size());
        w.order.push_back(n);
        w.stack.pop_back();
      }
    }
  }
}

/// A node keeps its graph after evaluation if gradients may still be asked for.
bool keeps_graph(const Node* n) {
  if (Differentiating::now() && !n->leaf_of_grad) return true;
  return (n->tracked && !n->consumed && !n->leaf_of_grad) ||
         (eager() && !n->consumed && n->op && n->op->pure && (n->op->vjp || n->op->decompose));
}

/// References from handles and from pending nodes.
uint32_t references(const Node* n) { return n->refs() - n->holds.load(std::memory_order_relaxed); }

/// Nodes that somebody besides the nodes of this evaluation refers to: what was asked for (eval
/// holds it), and whatever else there are handles on.
void find_outputs(Work& w) {
  for (Node* n : w.order)
    if (references(n) > n->uses)
      for (uint32_t k = 0; k < n->outputs.size(); ++k) w.outputs.emplace_back(n, k);
}

void find_donations(Work& w) {
  w.donated.assign(w.leaves.size(), false);
  if (eager()) return;
  std::vector<Node*> stack;
  for (const auto& [n, k] : w.outputs)
    if (keeps_graph(n)) stack.push_back(n);
  std::unordered_set<Node*> reachable;
  while (!stack.empty()) {  // leaves that a kept graph still needs stay as they are
    Node* n = stack.back();
    stack.pop_back();
    if (!reachable.insert(n).second || n->evaluated) continue;
    for (const Tensor& t : n->inputs) stack.push_back(t.node());
  }
  for (size_t i = 0; i < w.leaves.size(); ++i) {
    Node* n = w.leaves[i];
    w.donated[i] = n->outputs.size() == 1 && references(n) == n->uses &&
                   n->outputs[0].storage->donatable() && n->outputs[0].offset == 0 && !n->weak &&
                   !reachable.count(n);
  }
}

bool is_contiguous(const Output& o) { return Operand{o.dtype, o.shape, o.strides}.contiguous(); }

void make_key(Work& w) {
  auto& key = w.key;
  const Settings& s = settings();
  key.push_back(static_cast<uint64_t>(num_threads()) << 4 | (s.passes ? 1 : 0) |
                (s.reference ? 2 : 0) | (s.eager ? 4 : 0) |
                (Precision::now() == DType::bf16 ? 8 : 0));
  if (s.memory_limit) key.push_back(s.memory_limit);
  for (size_t i = 0; i < w.leaves.size(); ++i) {
    const Node* n = w.leaves[i];
    uint64_t h = w.donated[i] ? 2 : 1;
    for (const Output& o : n->outputs) {
      h = mix(h, hash_of(o.dtype, o.shape));
      if (!is_contiguous(o))
        for (int64_t st : o.strides) h = mix(h, static_cast<uint64_t>(st));
    }
    key.push_back(h);
  }
  for (const Node* n : w.order) {
    key.push_back(n->hash);
    for (const Tensor& t : n->inputs)
      key.push_back(uint64_t{t.node()->position} << 32 | uint64_t{t.index()} << 1 |
                    (t.node()->evaluated ? 1 : 0));
  }
  for (const auto& [n, k] : w.outputs) key.push_back(uint64_t{n->position} << 32 | k);
}

/// Four chains side by side: each step of one waits for the last.
uint64_t hash_key(const std::vector<uint64_t>& key) {
  uint64_t h[4] = {key.size(), 1, 2, 3};
  for (size_t i = 0; i < key.size(); ++i) h[i % 4] = mix(h[i % 4], key[i]);
  return mix(mix(h[0], h[1]), mix(h[2], h[3]));
}

struct Hashes {
  uint64_t structure = 0;  ///< of ops and connections, never 0
  uint64_t sizes = 0;      ///< with sizes: all but strides, donations, what is asked for, switches
};

/// In the order of recording, which does not depend on the order of what is asked for: a trainer
/// that goes on from a file has its variables in another one.
Hashes hashes_of(const Work& w) {
  std::vector<uint64_t> numbers(w.order.size()), leaves(w.leaves.size());
  uint64_t structure = w.leaves.size(), sizes = 0, next = 0;
  for (const Node* n : as_recorded(w.order)) {
    numbers[n->position] = ++next;
    structure = mix(structure, n->op->id);
    sizes = mix(sizes, n->hash);
    for (const Tensor& t : n->inputs) {
      const Node* from = t.node();
      uint64_t& number = (from->evaluated ? leaves : numbers)[from->position];
      if (number == 0) {
        number = ++next;
        structure = mix(structure, from->outputs[0].shape.size());
        for (const Output& o : from->outputs) sizes = mix(sizes, hash_of(o.dtype, o.shape));
      }
      structure = mix(structure, number << 1 | (from->evaluated ? 1 : 0));
    }
  }
  return {structure | 1, mix(structure, sizes)};
}

/// The pending nodes as a Graph whose inputs are the leaves.
Graph capture(const Work& w) {
  Tracing guard;
  Tensors inputs, made;
  std::vector<std::vector<Tensor>> leaf_outputs;
  for (const Node* n : w.leaves) {
    leaf_outputs.emplace_back();
    for (const Output& o : n->outputs) {
      inputs.push_back(make_placeholder(static_cast<int>(inputs.size()), o.dtype, o.shape));
      leaf_outputs.back().push_back(inputs.back());
    }
  }
  made.resize(w.order.size());
  Tensors in;
  for (const Node* n : as_recorded(w.order)) {
    in.clear();
    for (const Tensor& t : n->inputs) {
      const uint32_t p = t.node()->position;
      in.push_back(t.node()->evaluated ? leaf_outputs[p][t.index()]
                                       : Tensor(made[p].node(), t.index()));
    }
    made[n->position] = Tensor(clone(*n, in), 0);
    made[n->position].node()->origin = n->position + 1;
  }
  Tensors outputs;
  for (const auto& [n, k] : w.outputs) outputs.emplace_back(made[n->position].node(), k);
  return Graph(std::move(inputs), std::move(outputs));
}

std::vector<Shape> leaf_strides(const Work& w) {
  std::vector<Shape> strides;
  for (const Node* n : w.leaves)
    for (const Output& o : n->outputs) strides.push_back(is_contiguous(o) ? Shape() : o.strides);
  return strides;
}

std::vector<bool> input_donations(const Work& w) {
  std::vector<bool> d;
  for (size_t i = 0; i < w.leaves.size(); ++i)
    for (size_t k = 0; k < w.leaves[i]->outputs.size(); ++k) d.push_back(w.donated[i]);
  return d;
}

std::vector<Shape> leaf_shapes(const Work& w) {
  std::vector<Shape> shapes;
  for (const Node* n : w.leaves)
    for (const Output& o : n->outputs) shapes.push_back(o.shape);
  return shapes;
}

/// The first dimension that differs, for a warning. Leaves that do not: a size within the graph.
std::string changed_dimension(const std::vector<Shape>& first, const std::vector<Shape>& now) {
  for (size_t i = 0; i < std::min(first.size(), now.size()); ++i)
    for (size_t d = 0; d < std::min(first[i].size(), now[i].size()); ++d)
      if (first[i][d] != now[i][d])
        return cat({"dimension ", d, " of input ", i, " was ", first[i][d], " in ", first[i],
                    " and is now ", now[i][d]});
  return "a size that an op was given differs each time";
}

std::shared_ptr<const Plan> find_plan(Work& w) {
  Cache& c = cache();
  const uint64_t h = hash_key(w.key);
  const auto at = c.plans.find(h);
  const bool found = at != c.plans.end() && at->second.key == w.key;
  const bool simple =
      w.order.size() == 1 || !settings().passes || settings().reference || settings().eager;
  const auto hit = [&] {
    ++c.stats.hits;
    at->second.used = ++c.time;
    return at->second.plan;
  };
  if (found && (at->second.structure || simple)) return hit();
  uint64_t structure = 0;
  if (!simple) {
    const Hashes hashes = hashes_of(w);
    structure = hashes.structure;
    const auto known = c.structures.find(structure);
    const bool seen = c.seen.count(hashes.sizes) != 0;
    c.see(hashes.sizes);
    // The first shape of a structure is compiled at once, others at their second sight, and only so
    // many. What differs in donations or strides alone (a second step, in which averages have
    // memory of their own) is no other shape.
    if (known != c.structures.end() && settings().memory_limit == 0 &&
        (!seen || known->second.compiled >= kShapesPerStructure)) {
      structure = 0;
      if (seen && !known->second.warned && w.order.size() >= kWorthFusing) {
        known->second.warned = true;
        log_warning({"a graph of ", w.order.size(), " nodes keeps changing shape: ",
                     changed_dimension(known->second.leaves, leaf_shapes(w)),
                     ". It runs on kept kernels, without fusion; pad or bucket what changes",
                     where()});
      }
      if (found) return hit();
    }
  }
  CompileOptions options;
  options.passes = structure != 0;
  options.reference = settings().reference;
  options.precision = Precision::now();
  options.memory_limit = settings().memory_limit;
  auto plan = compile(capture(w), leaf_strides(w), input_donations(w), options);
  ++(structure ? c.stats.compilations : c.stats.plain);
  c.insert(h, {w.key, plan, structure, ++c.time});
  if (structure && c.structures[structure].leaves.empty())
    c.structures[structure].leaves = leaf_shapes(w);
  return plan;
}

void collect_inputs(Work& w) {
  for (const Node* n : w.leaves)
    for (const Output& o : n->outputs) {
      o.storage->check();
      w.in.push_back(const_cast<void*>(o.data()));
    }
}

/// Stands for memory that an update in place has taken over.
RefPtr<Storage> overwritten() {
  static const auto* s = [] {
    auto* made = new RefPtr<Storage>(RefPtr<Storage>::adopt(Storage::wrap(nullptr, nullptr, 0)));
    (*made)->poison("this value was written over by an update in place");
    return made;
  }();
  return *s;
}

void store(Work& w, const Plan& plan) {
  std::vector<std::pair<Node*, uint32_t>>
      leaf_of_input;  // only needed when a result lies in an input
  for (size_t r = 0; r < plan.results.size(); ++r) {
    const Plan::Result& result = plan.results[r];
    const auto& [n, k] = w.outputs[r];
    Output& o = n->outputs[k];
    o.strides = result.strides;
    o.offset = result.offset;
    if (result.place == Plan::Place::output) {
      o.storage = w.blocks[result.index];
    } else if (result.place == Plan::Place::constant) {
      const Tensor& t = plan.constants[result.index];
      const Output& from = t.node()->outputs[t.index()];
      o.storage = from.storage;
      o.offset += from.offset;
    } else {
      if (leaf_of_input.empty())
        for (Node* l : w.leaves)
          for (uint32_t j = 0; j < l->outputs.size(); ++j) leaf_of_input.emplace_back(l, j);
      const auto& [leaf, j] = leaf_of_input[result.index];
      o.storage = leaf->outputs[j].storage;
      o.offset += leaf->outputs[j].offset;
    }
  }
  // Memory that was written over no longer belongs to its old leaf.
  for (size_t i = 0, input = 0; i < w.leaves.size(); ++i)
    for (size_t k = 0; k < w.leaves[i]->outputs.size(); ++k, ++input)
      if (plan.overwrites[input] >= 0) w.leaves[i]->outputs[k].storage = overwritten();
  for (const auto& [n, k] : w.outputs) n->evaluated = true;
  for (const auto& [n, k] : w.outputs)
    if (k == 0 && !keeps_graph(n)) n->inputs.clear();
}

/// An Error that already says where it happened.
struct PlacedError : Error {
  using Error::Error;
};

/// Runs the plan; errors say in which layer and line the failing op was recorded. A plan serves any
/// graph of its structure, so these are looked up in the nodes of this evaluation.
void run_placed(const Work& w, const Plan& plan, int& failed) {
  try {
    plan.run(w.in, w.out, &failed);
  } catch (const PlacedError&) {
    throw;
  } catch (const Error& e) {
    const uint32_t origin = failed < 0 ? 0 : plan.steps[static_cast<size_t>(failed)].origin;
    if (origin == 0) throw;
    throw PlacedError(e.kind(), e.what() + place_of(*w.order[origin - 1]));
  }
}

void run_plan(Work& w, const Plan& plan) {
  collect_inputs(w);
  for (size_t bytes : plan.output_bytes) {
    w.blocks.push_back(RefPtr<Storage>::adopt(Storage::allocate(bytes)));
    w.out.push_back(w.blocks.back()->data());
  }
  int failed = -1;
  try {
    run_placed(w, plan, failed);
  } catch (const std::exception& e) {
    for (size_t i = 0, input = 0; i < w.leaves.size(); ++i)
      for (size_t k = 0; k < w.leaves[i]->outputs.size(); ++k, ++input)
        if (plan.overwrites[input] >= 0 && plan.overwrites[input] <= failed)
          w.leaves[i]->outputs[k].storage->poison(
              cat({"the value was lost when an update of it failed: ", e.what()}));
    throw;
  }
}

class WorkLease {
 public:
  WorkLease() : work_(spare_ ? std::move(spare_) : std::make_unique<Work>()) {}
  ~WorkLease() {
    work_->order.clear();
    work_->leaves.clear();
    work_->stack.clear();
    work_->key.clear();
    work_->outputs.clear();
    work_->in.clear();
    work_->out.clear();
    work_->blocks.clear();
    spare_ = std::move(work_);
  }
  Work& operator*() { return *work_; }

 private:
  static inline thread_local std::unique_ptr<Work> spare_;
  std::unique_ptr<Work> work_;
};

}  // namespace

bool eager() { return settings().eager; }
void set_eager(bool on) { settings().eager = on; }
void set_passes(bool on) { settings().passes = on; }
void set_reference_backend(bool on) { settings().reference = on; }

void set_memory_limit(size_t bytes) { settings().memory_limit = bytes; }
size_t memory_limit() { return settings().memory_limit; }

PlanStats plan_stats() {
  std::lock_guard lock(graph_mutex());
  PlanStats s = cache().stats;
  s.cached_plans = cache().plans.size();
  s.cached_bytes = cache().bytes;
  s.arena_bytes = memory_stats().arenas;
  return s;
}

void clear_plans() {
  std::lock_guard lock(graph_mutex());
  const PlanStats stats = cache().stats;
  cache() = Cache();
  cache().stats = stats;
}

std::vector<uint64_t> seen_structures() {
  std::lock_guard lock(graph_mutex());
  return {cache().seen_order.begin(), cache().seen_order.end()};
}

void restore_seen_structures(const std::vector<uint64_t>& seen) {
  std::lock_guard lock(graph_mutex());
  for (uint64_t h : seen) cache().see(h);
}

void eval(const Tensors& tensors) {
  Recording::values_read();
  bool pending = false;
  for (const Tensor& t : tensors) {
    if (!t.defined()) fail(Error::Kind::shape, {"[eval] a tensor is undefined", where()});
    pending = pending || !t.evaluated();
  }
  if (!pending) return;
  if (tracing())
    fail(Error::Kind::unsupported,
         {"[eval] a value was asked for while a graph is being traced; inside cond, while_loop, "
          "scan and Graph::trace only shapes are known",
          where()});
  WorkLease lease;
  Work& w = *lease;
  std::shared_ptr<const Plan> plan;
  {
    std::lock_guard lock(graph_mutex());
    const uint64_t mark = next_mark();
    visit(w, tensors, mark);
    if (w.order.size() > kLongGraph)
      warn_once({"a graph of ", w.order.size(),
                 " pending nodes was evaluated at once; evaluate more often", where()});
    find_outputs(w);
    find_donations(w);
    make_key(w);
    plan = find_plan(w);
    cache().stats.nodes += w.order.size();
  }
  run_plan(w, *plan);
  std::lock_guard lock(graph_mutex());
  store(w, *plan);
}

}  // namespace nacre
