// The steps of recurrent layers and their gradient. The weights of the states are packed once (in a
// Program: once for all runs), then each step is one parallel loop over units: the product, the
// gates and the new states of a unit are made by one thread, in its cache.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "backends/cpu/copy.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/rnn/recurrence_loops.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

struct Sequences {
  Cell cell = Cell::lstm;
  int64_t steps = 0, batch = 0, hidden = 0;
  bool reverse = false, lengths = false;
  DType lengths_type = DType::i64;

  size_t states() const { return cell == Cell::lstm ? 2 : 1; }
  int64_t at(int64_t k) const { return reverse ? steps - 1 - k : k; }
};

/// What both passes share: how units are divided, and the lengths as i64.
template <class T>
class Recurrence : public Kernel {
 protected:
  Recurrence(const Sequences& p, bool forward) : p_(p), forward_(forward) {
    const int64_t lanes = loops_.lanes();
    const int64_t vectors = (p.hidden + lanes - 1) / lanes;
    s_.cell = p.cell;
    s_.batch = p.batch;
    s_.hidden = p.hidden;
    // Wide panels, unless threads would go without.
    const int64_t wide = std::clamp<int64_t>(vectors / num_threads(), 1, 4);
    const bool plain = gates_of(p.cell) == 1;
    s_.forward_vectors = plain ? wide : gates_of(p.cell);
    s_.backward_vectors = wide;
    const int64_t units = forward && !plain ? lanes : wide * lanes;  // of a panel
    panels_ = (p.hidden + units - 1) / units;
    const int64_t rows = forward ? p.hidden : s_.gates();
    panel_ = rows * (forward ? s_.forward_vectors : s_.backward_vectors) * lanes;
    grain_ = std::max<int64_t>(1, (int64_t{1} << 15) / std::max<int64_t>(1, panel_ * p.batch));
  }
  std::string description() const override { return "panels"; }

  size_t packed_bytes() const { return static_cast<size_t>(panels_ * panel_) * sizeof(T); }
  size_t lengths_bytes() const {
    return p_.lengths ? align64(static_cast<size_t>(p_.batch) * sizeof(int64_t)) : 0;
  }
  void pack(const void* w, T* panels) const {
    const auto pack = forward_ ? loops_.pack_forward : loops_.pack_backward;
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, panel_));
    parallel_for(panels_, grain, [&](int64_t from, int64_t to) {
      pack(s_, static_cast<const T*>(w), from, to, panels);
    });
  }
  const int64_t* read_lengths(const void* from, void* scratch) const {
    if (!p_.lengths) return nullptr;
    auto* to = static_cast<int64_t*>(scratch);
    for (int64_t i = 0; i < p_.batch; ++i)
      to[i] = p_.lengths_type == DType::i64 ? static_cast<const int64_t*>(from)[i]
                                            : static_cast<const int32_t*>(from)[i];
    return to;
  }
  int64_t state_size() const { return p_.batch * p_.hidden; }
  size_t state_bytes() const { return static_cast<size_t>(state_size()) * sizeof(T); }

  Sequences p_;
  bool forward_;
  RecurrenceShape s_;
  int64_t panels_ = 0, panel_ = 0, grain_ = 1;  // panels, elements of one, panels of a thread
  const RecurrenceLoops<T>& loops_ = recurrence_loops<T>();
};

template <class T>
class Forward final : public Recurrence<T> {
  using Base = Recurrence<T>;

 public:
  Forward(const Sequences& p, bool bias, bool keep) : Base(p, true), bias_(bias), keep_(keep) {}

  size_t scratch_bytes() const override {
    return (packed_ ? 0 : align64(this->packed_bytes())) + this->lengths_bytes() +
           2 * align64(this->state_bytes());
  }

  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    if (static_cast<size_t>(input) != 1 + this->p_.states()) return nullptr;
    auto made = std::make_unique<Forward>(*this);
    auto packed = aligned_array<T>(this->panels_ * this->panel_);
    this->pack(values, packed.get());
    made->packed_ = std::move(packed);
    return made;
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const Sequences& p = this->p_;
    const size_t w = 1 + p.states();
    auto* free = static_cast<char*>(scratch);
    const auto take = [&](size_t bytes) { return std::exchange(free, free + align64(bytes)); };
    const T* panels = packed_.get();
    if (!panels) {
      auto* own = reinterpret_cast<T*>(take(this->packed_bytes()));
      this->pack(in[w], own);
      panels = own;
    }
    T* state[2] = {reinterpret_cast<T*>(take(this->state_bytes())),
                   reinterpret_cast<T*>(take(this->state_bytes()))};
    const int64_t size = this->state_size(), kept = size * kept_of(p.cell);
    ForwardStep<T> step{};
    step.lengths = this->read_lengths(in[w + (bias_ ? 3 : 1)], free);
    if (bias_) {
      step.b_ih = static_cast<const T*>(in[w + 1]);
      step.b_hh = static_cast<const T*>(in[w + 2]);
    }
    std::memcpy(state[0], in[1], this->state_bytes());
    if (p.cell == Cell::lstm) {
      step.c = static_cast<T*>(out[2]);
      std::memcpy(step.c, in[2], this->state_bytes());
    }
    for (int64_t k = 0; k < p.steps; ++k) {
      step.t = p.at(k);
      step.gates = static_cast<const T*>(in[0]) + step.t * size * gates_of(p.cell);
      step.state = state[k % 2];
      step.next = state[1 - k % 2];
      step.y = static_cast<T*>(out[0]) + step.t * size;
      if (keep_) step.kept = static_cast<T*>(out[1 + p.states()]) + step.t * kept;
      parallel_for(this->panels_, this->grain_, [&](int64_t from, int64_t to) {
        this->loops_.forward(this->s_, step, panels, from, to);
      });
    }
    std::memcpy(out[1], state[p.steps % 2], this->state_bytes());
  }

 private:
  bool bias_, keep_;
  std::shared_ptr<const T[]> packed_;
};

template <class T>
class Backward final : public Recurrence<T> {
  using Base = Recurrence<T>;

 public:
  explicit Backward(const Sequences& p) : Base(p, false) {}

  size_t scratch_bytes() const override {
    return align64(this->packed_bytes()) + this->lengths_bytes();
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const Sequences& p = this->p_;
    const bool lstm = p.cell == Cell::lstm, gru = p.cell == Cell::gru;
    const int64_t size = this->state_size(), gates = size * gates_of(p.cell),
                  kept = size * kept_of(p.cell);
    size_t next = 1;
    const auto input = [&] { return static_cast<const T*>(in[next++]); };
    const T* before = lstm || gru ? input() : nullptr;
    auto* panels = static_cast<T*>(scratch);
    this->pack(input(), panels);
    const T *dy = input(), *dh = input(), *dc = lstm ? input() : nullptr;
    BackwardStep<T> step{};
    step.lengths = this->read_lengths(p.lengths ? in[next] : nullptr,
                                      static_cast<char*>(scratch) + align64(this->packed_bytes()));
    step.dh = static_cast<T*>(out[gru ? 2 : 1]);
    std::memcpy(step.dh, dh, this->state_bytes());
    if (lstm) {
      step.dc = static_cast<T*>(out[2]);
      std::memcpy(step.dc, dc, this->state_bytes());
    }
    const auto run_step = [&] {
      parallel_for(this->panels_, this->grain_, [&](int64_t from, int64_t to) {
        this->loops_.backward(this->s_, step, panels, from, to);
      });
    };
    for (int64_t k = p.steps; k-- > 0;) {
      step.t = p.at(k);
      step.kept = static_cast<const T*>(in[0]) + step.t * kept;
      step.before_row = p.hidden;
      step.before = gru ? before + step.t * size : before;
      if (lstm && k > 0) {
        step.before = static_cast<const T*>(in[0]) + p.at(k - 1) * kept + 4 * p.hidden;
        step.before_row = kept_of(p.cell) * p.hidden;
      }
      step.dy = dy + step.t * size;
      step.dgates = static_cast<T*>(out[0]) + step.t * gates;
      step.dsums = gru ? static_cast<T*>(out[1]) + step.t * gates : nullptr;
      run_step();
      step.sums = gru ? step.dsums : step.dgates;
    }
    step.kept = nullptr;
    run_step();
  }
};

std::optional<Cell> cell_of(const KernelQuery& q) {
  const std::string name = q.text("cell");
  if (name == "lstm") return Cell::lstm;
  if (name == "gru") return Cell::gru;
  if (name == "tanh") return Cell::tanh;
  if (name == "relu") return Cell::relu;
  return {};
}

std::unique_ptr<Kernel> make_recurrence(Operands in, Operands out, Cell cell, bool reverse,
                                        bool keep) {
  if (is_half(in[0].dtype))
    return in_f32(in, out, [&](Operands i, Operands o) {
      return make_recurrence(i, o, cell, reverse, keep);
    });
  Sequences p{cell, out[0].shape[0], out[0].shape[1], out[0].shape[2], reverse};
  const size_t w = 1 + p.states();
  p.lengths = (in.size() - w) % 2 == 0;
  p.lengths_type = in.back().dtype;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Forward<decltype(zero)>>(p, in.size() >= w + 3, keep);
  });
}

std::unique_ptr<Kernel> make_recurrence_grad(Operands in, Operands out, Cell cell, bool reverse) {
  if (is_half(in[0].dtype))
    return in_f32(
        in, out, [&](Operands i, Operands o) { return make_recurrence_grad(i, o, cell, reverse); });
  const Shape& state = out.back().shape;
  Sequences p{cell, out[0].shape[0], state[0], state[1], reverse};
  p.lengths = !is_float(in.back().dtype);
  p.lengths_type = in.back().dtype;
  return for_float(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Backward<decltype(zero)>>(p);
  });
}

}  // namespace

KERNEL(recurrence) {
  const auto cell = cell_of(q);
  if (!cell || !q.all_contiguous()) return nullptr;
  return make_recurrence(q.in, q.out, *cell, q.flag("reverse"), q.flag("keep"));
}

KERNEL(recurrence_grad) {
  const auto cell = cell_of(q);
  if (!cell || !q.all_contiguous()) return nullptr;
  return make_recurrence_grad(q.in, q.out, *cell, q.flag("reverse"));
}

}  // namespace nacre::cpu
