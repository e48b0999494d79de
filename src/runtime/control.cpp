#include "runtime/control.h"

#include <cstring>

#include "graph/node.h"

namespace nacre {
namespace {

constexpr size_t align(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// A compiled subgraph, called with pointers. The outputs of subgraphs are contiguous and blocks of
/// their own.
class SubPlan {
 public:
  SubPlan(const Graph& graph, const CompileOptions& options) {
    CompileOptions inner = options;
    inner.label += "-sub";
    plan_ = compile(graph, {}, {}, inner);
    for (const Tensor& t : graph.outputs())
      bytes_.push_back(static_cast<size_t>(t.numel()) * size_of(t.dtype()));
    // A block that is exactly one result is written straight to its destination.
    direct_.assign(plan_->output_bytes.size(), -1);
    for (size_t r = 0; r < plan_->results.size(); ++r)
      if (plan_->results[r].place == Plan::Place::output && direct_[plan_->results[r].index] < 0)
        direct_[plan_->results[r].index] = static_cast<int>(r);
  }
  void run(std::span<void* const> in, std::span<void* const> out) const {
    thread_local std::vector<void*> blocks;
    std::vector<void*> mine;
    mine.swap(blocks);  // subplans nest
    mine.clear();
    for (int r : direct_) mine.push_back(out[static_cast<size_t>(r)]);
    plan_->run(in, mine);
    for (size_t r = 0; r < plan_->results.size(); ++r) {
      const Plan::Result& result = plan_->results[r];
      const bool written =
          result.place == Plan::Place::output && direct_[result.index] == static_cast<int>(r);
      if (written || bytes_[r] == 0) continue;
      const void* from =
          result.place == Plan::Place::output ? mine[result.index] : in[result.index];
      std::memcpy(out[r], from, bytes_[r]);
    }
    mine.swap(blocks);
  }
  const std::vector<size_t>& bytes() const { return bytes_; }

 private:
  std::shared_ptr<const Plan> plan_;
  std::vector<size_t> bytes_;
  std::vector<int> direct_;
};

std::vector<void*> pointers(const void* const* in, size_t n) {
  std::vector<void*> list(n);
  for (size_t i = 0; i < n; ++i) list[i] = const_cast<void*>(in[i]);
  return list;
}

class CondKernel : public Kernel {
 public:
  CondKernel(const KernelQuery& q, const CompileOptions& o)
      : then_(*q.graph("then_graph"), o),
        else_(*q.graph("else_graph"), o),
        in_(q.in.size() - 1),
        out_(q.out.size()) {}
  void run(const void* const* in, void* const* out, void*) const override {
    const bool yes = *static_cast<const uint8_t*>(in[0]) != 0;
    (yes ? then_ : else_).run(pointers(in + 1, in_), {out, out_});
  }
  std::string description() const override { return "control"; }

 private:
  SubPlan then_, else_;
  size_t in_, out_;
};

/// Two sets of buffers for loop-carried values, taken in turn.
class Carries {
 public:
  Carries(void* scratch, std::span<const size_t> bytes) {
    auto* p = static_cast<char*>(scratch);
    for (auto& set : sets_)
      for (size_t b : bytes) {
        set.push_back(p);
        p += align(b);
      }
  }
  static size_t bytes(std::span<const size_t> sizes) {
    size_t n = 0;
    for (size_t b : sizes) n += 2 * align(b);
    return n;
  }
  std::vector<void*>& now() { return sets_[at_]; }
  std::vector<void*>& next() { return sets_[1 - at_]; }
  void turn() { at_ = 1 - at_; }

 private:
  std::vector<void*> sets_[2];
  int at_ = 0;
};

class WhileKernel : public Kernel {
 public:
  WhileKernel(const KernelQuery& q, const CompileOptions& o)
      : test_(*q.graph("test"), o),
        body_(*q.graph("body"), o),
        in_(q.in.size()),
        carried_(body_.bytes()) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    Carries carries(scratch, carried_);
    auto* flag = static_cast<uint8_t*>(scratch) + Carries::bytes(carried_);
    std::vector<void*> args = pointers(in, in_);
    for (size_t k = 0; k < carried_.size(); ++k) {
      std::memcpy(carries.now()[k], in[k], carried_[k]);
      args[k] = carries.now()[k];
    }
    int64_t count = 0;
    for (;;) {
      void* result[] = {flag};
      test_.run(args, result);
      if (!*flag) break;
      body_.run(args, carries.next());
      carries.turn();
      for (size_t k = 0; k < carried_.size(); ++k) args[k] = carries.now()[k];
      ++count;
    }
    for (size_t k = 0; k < carried_.size(); ++k) std::memcpy(out[k], args[k], carried_[k]);
    *static_cast<int64_t*>(out[carried_.size()]) = count;
  }
  size_t scratch_bytes() const override { return Carries::bytes(carried_) + 64; }
  std::string description() const override { return "control"; }

 private:
  SubPlan test_, body_;
  size_t in_;
  std::vector<size_t> carried_;
};

class ScanKernel : public Kernel {
 public:
  ScanKernel(const KernelQuery& q, const CompileOptions& o)
      : body_(*q.graph("body"), o),
        in_(q.in.size()),
        carries_(static_cast<size_t>(q.integer("carries"))),
        xs_(static_cast<size_t>(q.integer("xs"))),
        length_(q.integer("length")),
        reverse_(q.flag("reverse")),
        keep_(q.flag("keep")),
        carried_(body_.bytes().begin(), body_.bytes().begin() + static_cast<int64_t>(carries_)),
        ys_(body_.bytes().begin() + static_cast<int64_t>(carries_), body_.bytes().end()) {
    for (size_t k = 0; k < xs_; ++k)
      x_bytes_.push_back(length_ ? q.in[carries_ + k].bytes() / static_cast<size_t>(length_) : 0);
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    Carries carries(scratch, carried_);
    std::vector<void*> args = pointers(in, in_), results(carries_ + ys_.size());
    for (size_t k = 0; k < carries_; ++k) std::memcpy(carries.now()[k], in[k], carried_[k]);
    for (int64_t step = 0; step < length_; ++step) {
      const auto t = static_cast<size_t>(reverse_ ? length_ - 1 - step : step);
      for (size_t k = 0; k < carries_; ++k) {
        args[k] = carries.now()[k];
        results[k] = carries.next()[k];
        if (keep_)
          std::memcpy(static_cast<char*>(out[carries_ + ys_.size() + k]) + t * carried_[k], args[k],
                      carried_[k]);
      }
      for (size_t k = 0; k < xs_; ++k)
        args[carries_ + k] =
            static_cast<char*>(const_cast<void*>(in[carries_ + k])) + t * x_bytes_[k];
      for (size_t k = 0; k < ys_.size(); ++k)
        results[carries_ + k] = static_cast<char*>(out[carries_ + k]) + t * ys_[k];
      body_.run(args, results);
      carries.turn();
    }
    for (size_t k = 0; k < carries_; ++k) std::memcpy(out[k], carries.now()[k], carried_[k]);
  }
  size_t scratch_bytes() const override { return Carries::bytes(carried_); }
  std::string description() const override { return "control"; }

 private:
  SubPlan body_;
  size_t in_, carries_, xs_;
  int64_t length_;
  bool reverse_, keep_;
  std::vector<size_t> carried_, ys_, x_bytes_;
};

}  // namespace

std::unique_ptr<Kernel> control_kernel(const KernelQuery& q, const CompileOptions& options) {
  if (!q.all_contiguous()) return nullptr;
  const std::string_view op = q.op.name;
  if (op == "cond") return std::make_unique<CondKernel>(q, options);
  if (op == "while_loop") return std::make_unique<WhileKernel>(q, options);
  if (op == "scan") return std::make_unique<ScanKernel>(q, options);
  return nullptr;
}

}  // namespace nacre
