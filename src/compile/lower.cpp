// From a graph to a plan: kernels, then lifetimes, then places in memory.
#include <algorithm>
#include <unordered_map>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "graph/attrs.h"
#include "graph/node.h"

namespace nacre {
namespace {

using Place = Plan::Place;

constexpr int kAttempts = 6;      // to keep a memory limit
constexpr double kShrink = 0.97;  // of what is aimed at, besides the excess

struct Buffer {
  Place place = Place::arena;
  uint32_t index = 0;
  size_t bytes = 0;
  bool donated = false;  ///< an input that may be overwritten
  bool escapes = false;  ///< a result lies in it
  int first = -1, last = -1;
  int merged = -1;     ///< shares the memory of that buffer
  int64_t offset = 0;  ///< in the arena
};

struct Value {
  int buffer = -1;
  int64_t offset = 0;  // elements
  Operand operand;
};

struct RawStep {
  std::shared_ptr<const Kernel> kernel;
  std::vector<Value> in, out;
  const OpDef* op;
  Attrs attrs;
  bool reference;
  uint32_t origin;
  const std::string* layer;
  int64_t macs;
};

class Lowering {
 public:
  Lowering(const Graph& graph, std::span<const Shape> strides, const std::vector<bool>& donated,
           const CompileOptions& options)
      : graph_(graph), options_(options) {
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const Tensor& t = graph.inputs()[i];
      Buffer b;
      b.place = Place::input;
      b.index = static_cast<uint32_t>(i);
      b.donated = i < donated.size() && donated[i];
      Operand o{
          t.dtype(), t.shape(),
          i < strides.size() && !strides[i].empty() ? strides[i] : contiguous_strides(t.shape())};
      b.bytes = o.bytes();
      values_[t.node()] = {{add(b), 0, std::move(o)}};
    }
  }

  std::shared_ptr<Plan> run() {
    for (const Node* n : order()) {
      origin_ = n->origin;
      lower(n);
    }
    results();
    lifetimes();
    if (options_.share_memory) share();
    place();
    return finish();
  }

 private:
  int add(Buffer b) {
    buffers_.push_back(b);
    return static_cast<int>(buffers_.size()) - 1;
  }

  /// Inputs first. Elementwise nodes, updates of rows and Adam's at the end of the graph that
  /// nothing else waits for (the optimiser's update) come last of all: a plan that throws midway
  /// has then not yet written into a donated buffer.
  std::vector<const Node*> order() {
    const std::vector<Node*> nodes = graph_.nodes();
    std::unordered_map<const Node*, bool> needed_early;
    for (size_t i = nodes.size(); i-- > 0;) {
      const Node* n = nodes[i];
      const bool movable = n->op && !n->evaluated &&
                           (n->op->kind == OpKind::elementwise || n->op->kind == OpKind::view ||
                            is_op(n, "update_rows") || is_op(n, "adam_update"));
      bool& early = needed_early[n];
      early = early || !movable;
      for (const Tensor& t : n->inputs) needed_early[t.node()] = needed_early[t.node()] || early;
    }
    std::vector<const Node*> early, late;
    for (const Node* n : nodes) (needed_early[n] ? early : late).push_back(n);
    early.insert(early.end(), late.begin(), late.end());
    return early;
  }

  const Value& value(const Tensor& t) { return values_.at(t.node())[t.index()]; }

  void lower(const Node* n) {
    if (!n->op || n->evaluated) {
      if (n->placeholder >= 0 && !n->evaluated) return;
      constant(n);
      return;
    }
    if (n->op->view && as_view(n)) return;
    std::vector<Value> in;
    std::vector<Operand> in_ops, out_ops;
    for (const Tensor& t : n->inputs) {
      in.push_back(value(t));
      in_ops.push_back(in.back().operand);
    }
    for (const Output& o : n->outputs)
      out_ops.push_back({o.dtype, o.shape, contiguous_strides(o.shape)});
    KernelQuery q{*n->op, n->attrs.get(), in_ops, out_ops, n->attrs.hash()};
    auto kernel = find_kernel(q, options_);
    if (!kernel && !q.all_contiguous()) {
      for (size_t i = 0; i < in.size(); ++i) {
        if (in[i].operand.contiguous()) continue;
        in[i] = copied(in[i]);
        in_ops[i] = in[i].operand;
      }
      kernel = find_kernel(q, options_);
    }
    const bool reference = !kernel;
    if (!kernel) kernel = reference_kernel(q);
    for (size_t i = 0; i < in.size(); ++i)
      if (const void* values = constant_values(in[i]))
        if (auto ready = kernel->with_constant(static_cast<int>(i), values))
          kernel = std::move(ready);
    emit(n, std::move(kernel), std::move(in), out_ops, reference);
  }

  void emit(const Node* n, std::shared_ptr<const Kernel> kernel, std::vector<Value> in,
            const std::vector<Operand>& out_ops, bool reference) {
    RawStep step{std::move(kernel), std::move(in), {},       n->op,      n->attrs,
                 reference,         origin_,       n->layer, macs_of(*n)};
    bool anything = false;
    auto& vals = values_[n];
    vals.clear();
    for (const Operand& o : out_ops) {
      Buffer b;
      b.bytes = o.bytes();
      anything = anything || b.bytes > 0;
      vals.push_back({add(b), 0, o});
      step.out.push_back(vals.back());
    }
    if (anything || n->op->kind == OpKind::control) steps_.push_back(std::move(step));
  }

  void constant(const Node* n) {
    const Output& o = n->outputs[0];
    Buffer b;
    b.place = Place::constant;
    b.index = static_cast<uint32_t>(constants_.size());
    constants_.emplace_back(const_cast<Node*>(n), 0);
    Operand operand{o.dtype, o.shape, o.strides};
    b.bytes = operand.bytes();
    values_[n] = {{add(b), 0, std::move(operand)}};
  }

  /// Where the values of a constant lie; null for other values.
  const void* constant_values(const Value& v) const {
    const Buffer& b = buffers_[static_cast<size_t>(v.buffer)];
    if (b.place != Place::constant) return nullptr;
    const Tensor& t = constants_[b.index];
    return static_cast<const char*>(t.node()->outputs[t.index()].data()) +
           v.offset * static_cast<int64_t>(size_of(v.operand.dtype));
  }

  bool as_view(const Node* n) {
    Value base = value(n->inputs[0]);
    const Output& o = n->outputs[0];
    auto view = n->op->view(n->attrs.get(), base.operand.shape, base.operand.strides, o.shape);
    if (!view) {
      base = copied(base);
      view = n->op->view(n->attrs.get(), base.operand.shape, base.operand.strides, o.shape);
      if (!view) return false;
    }
    values_[n] = {{base.buffer, base.offset + view->offset, {o.dtype, o.shape, view->strides}}};
    return true;
  }

  /// A contiguous copy of a strided value.
  Value copied(const Value& v) {
    const OpDef* op = find_op("contiguous");
    Operand in[] = {v.operand},
            out[] = {{v.operand.dtype, v.operand.shape, contiguous_strides(v.operand.shape)}};
    KernelQuery q{*op, nullptr, in, out, 0};
    auto kernel = find_kernel(q, options_);
    const bool reference = !kernel;
    if (!kernel) kernel = reference_kernel(q);
    Buffer b;
    b.bytes = out[0].bytes();
    Value result{add(b), 0, out[0]};
    if (b.bytes)
      steps_.push_back({std::move(kernel), {v}, {result}, op, {}, reference, origin_, nullptr, 0});
    return result;
  }

  void results() {
    for (const Tensor& t : graph_.outputs()) {
      origin_ = t.node()->origin;
      Value v = value(t);
      Buffer* b = &buffers_[static_cast<size_t>(v.buffer)];
      // A view of a part of an intermediate would keep all of it alive; a broadcast one is no
      // memory to write to; and constants stay the plan's own.
      bool broadcast = false;
      for (int64_t d = 0; d < v.operand.shape.rank(); ++d)
        broadcast = broadcast || (v.operand.strides[d] == 0 && v.operand.shape[d] > 1);
      if (b->place == Place::constant || broadcast ||
          (b->place == Place::arena && v.operand.bytes() != b->bytes)) {
        v = copied(v);
        b = &buffers_[static_cast<size_t>(v.buffer)];
      }
      b->escapes = true;
      if (b->place == Place::arena) {
        b->place = Place::output;
        b->index = static_cast<uint32_t>(outputs_++);
      }
      results_.push_back(v);
    }
  }

  void lifetimes() {
    for (int s = 0; s < static_cast<int>(steps_.size()); ++s) {
      const auto touch = [&](const Value& v) {
        Buffer& b = buffers_[static_cast<size_t>(v.buffer)];
        if (b.first < 0) b.first = s;
        b.last = s;
      };
      for (const Value& v : steps_[static_cast<size_t>(s)].in) touch(v);
      for (const Value& v : steps_[static_cast<size_t>(s)].out) touch(v);
    }
  }

  Buffer& root(int b) { return buffers_[static_cast<size_t>(root_index(b))]; }
  int root_index(int b) {
    while (buffers_[static_cast<size_t>(b)].merged >= 0)
      b = buffers_[static_cast<size_t>(b)].merged;
    return b;
  }

  /// Lets a step write over an input that nobody reads afterwards.
  void share() {
    for (int s = 0; s < static_cast<int>(steps_.size()); ++s) {
      const RawStep& step = steps_[static_cast<size_t>(s)];
      for (size_t o = 0; o < step.out.size(); ++o) {
        const int out = step.out[o].buffer;
        if (buffers_[static_cast<size_t>(out)].bytes == 0) continue;
        for (size_t i = 0; i < step.in.size(); ++i) {
          const Value& v = step.in[i];
          const int in = root_index(v.buffer);
          Buffer& a = buffers_[static_cast<size_t>(in)];
          Buffer& b = buffers_[static_cast<size_t>(out)];
          if (in == out || a.last != s || a.escapes || a.bytes != b.bytes || v.offset != 0)
            continue;
          if (a.place != Place::arena && !(a.place == Place::input && a.donated)) continue;
          if (!v.operand.contiguous() ||
              !step.kernel->may_alias(static_cast<int>(i), static_cast<int>(o)))
            continue;
          int uses = 0;
          for (const Value& w : step.in) uses += root_index(w.buffer) == in;
          for (const Value& w : step.out) uses += root_index(w.buffer) == in;
          if (uses != 1) continue;
          // The output takes the input's memory; if it escapes and that was in the arena, the
          // memory is an output's.
          if (a.place == Place::arena) {
            a.place = b.place;
            a.index = b.index;
          } else if (b.place == Place::output) {
            free_outputs_.push_back(b.index);
          }
          a.escapes = b.escapes;
          a.last = b.last;
          b.merged = in;
          break;
        }
      }
    }
  }

  void place() {
    std::vector<int> list;
    for (size_t i = 0; i < buffers_.size(); ++i) {
      const Buffer& b = buffers_[i];
      if (b.merged < 0 && b.place == Place::arena && b.bytes && b.first >= 0)
        list.push_back(static_cast<int>(i));
    }
    for (const Buffer& b : buffers_)
      if (b.place == Place::arena || b.merged >= 0) sum_ += b.first >= 0 ? b.bytes : 0;
    std::stable_sort(list.begin(), list.end(), [&](int x, int y) {
      return buffers_[static_cast<size_t>(x)].bytes > buffers_[static_cast<size_t>(y)].bytes;
    });
    std::vector<const Buffer*> placed;
    std::vector<std::pair<int64_t, int64_t>> busy;
    for (int i : list) {
      Buffer& b = buffers_[static_cast<size_t>(i)];
      const auto size = static_cast<int64_t>((b.bytes + 63) / 64 * 64);
      busy.clear();
      for (const Buffer* p : placed)
        if (!options_.share_memory || (p->first <= b.last && b.first <= p->last))
          busy.emplace_back(p->offset, p->offset + static_cast<int64_t>((p->bytes + 63) / 64 * 64));
      std::sort(busy.begin(), busy.end());
      int64_t at = 0;
      for (const auto& [from, to] : busy) {
        if (at + size <= from) break;
        at = std::max(at, to);
      }
      b.offset = at;
      arena_ = std::max(arena_, at + size);
      placed.push_back(&b);
    }
  }

  Plan::Address address(const Value& v) {
    const Buffer& b = root(v.buffer);
    const int64_t bytes = v.offset * static_cast<int64_t>(size_of(v.operand.dtype));
    if (b.place == Place::arena) return {Place::arena, 0, b.offset + bytes};
    if (b.place == Place::output) return {Place::output, output_number_[b.index], bytes};
    return {b.place, b.index, bytes};
  }

  /// Outputs that took over a donated input's memory need no block: the others are numbered anew.
  void number_outputs() {
    std::vector<char> gone(outputs_, 0);
    for (uint32_t f : free_outputs_) gone[f] = 1;
    uint32_t next = 0;
    for (size_t i = 0; i < outputs_; ++i) output_number_.push_back(gone[i] ? next : next++);
  }

  std::shared_ptr<Plan> finish() {
    number_outputs();
    auto plan = std::make_shared<Plan>();
    plan->inputs = graph_.inputs().size();
    plan->constants = constants_;
    plan->overwrites.assign(plan->inputs, -1);
    plan->output_bytes.assign(outputs_ - free_outputs_.size(), 0);
    for (const Buffer& b : buffers_)
      if (b.merged < 0 && b.place == Place::output)
        plan->output_bytes[output_number_[b.index]] = b.bytes;
    size_t scratch = 0;
    for (size_t s = 0; s < steps_.size(); ++s) {
      RawStep& r = steps_[s];
      Plan::Step step;
      step.kernel = r.kernel;
      step.op = r.op;
      step.attrs = r.attrs;
      step.reference = r.reference;
      step.origin = r.origin;
      for (const Value& v : r.in) step.in.push_back(address(v));
      for (const Value& v : r.out) {
        step.out.push_back(address(v));
        if (step.out.back().place == Place::input && plan->overwrites[step.out.back().index] < 0)
          plan->overwrites[step.out.back().index] = static_cast<int>(s);
      }
      step.label = r.op->name;
      step.layer = r.layer;
      step.macs = r.macs;
      for (const Value& v : r.in) step.label += " " + v.operand.shape.str();
      for (const auto* list : {&r.in, &r.out})
        for (const Value& v : *list) step.bytes += v.operand.bytes();
      scratch = std::max(scratch, r.kernel->scratch_bytes());
      plan->reference_steps += r.reference;
      plan->steps.push_back(std::move(step));
    }
    plan->scratch_offset = static_cast<size_t>(arena_);
    plan->arena_bytes = static_cast<size_t>(arena_) + scratch;
    plan->sum_of_values = sum_;
    for (const Value& v : results_) {
      const Buffer& b = root(v.buffer);
      Plan::Result r{v.operand.dtype, v.operand.shape, v.operand.strides,
                     b.place,         b.index,         v.offset};
      if (b.place == Place::output) r.index = output_number_[b.index];
      plan->results.push_back(std::move(r));
    }
    return plan;
  }

  const Graph& graph_;
  const CompileOptions& options_;
  std::vector<Buffer> buffers_;
  std::unordered_map<const Node*, std::vector<Value>> values_;
  std::vector<RawStep> steps_;
  std::vector<Value> results_;
  Tensors constants_;
  std::vector<uint32_t> free_outputs_, output_number_;
  uint32_t origin_ = 0;  // of the node at hand
  size_t outputs_ = 0, sum_ = 0;
  int64_t arena_ = 0;
};

}  // namespace

std::shared_ptr<const Plan> compile(const Graph& graph, std::span<const Shape> strides,
                                    const std::vector<bool>& donated,
                                    const CompileOptions& options) {
  Tracing guard;
  CompileOptions tried = options;
  const size_t limit = options.passes ? options.memory_limit : 0;
  tried.memory_target = limit;
  size_t least = SIZE_MAX;
  for (int attempt = 1;; ++attempt) {
    const Graph g = run_passes(graph, tried);
    auto plan = Lowering(g, strides, donated, tried).run();
    if (limit == 0 || plan->arena_bytes <= limit) return plan;
    least = std::min(least, plan->arena_bytes);
    if (attempt == kAttempts)
      fail(Error::Kind::memory,
           {"a step takes ", least, " bytes of work space even if values are computed ",
            "again, the memory limit is ", limit, "; smaller batches take less"});
    // The pass does not know scratch memory, nor what is lost between places.
    const double excess = static_cast<double>(plan->arena_bytes) / static_cast<double>(limit);
    tried.memory_target = std::max<size_t>(
        1, static_cast<size_t>(static_cast<double>(tried.memory_target) * kShrink / excess));
  }
}

}  // namespace nacre
