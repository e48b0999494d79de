#include "backends/cpu/elementwise/program.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "backends/cpu/elementwise/loops.h"
#include "backends/cpu/simd/convert.h"
#include "backends/cpu/simd/strided.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

constexpr int64_t kTile = 1024;
constexpr int64_t kGrain = 16;  // tiles: 16k elements per thread at least

enum class Family : uint8_t {
  unary_float,
  unary,
  binary_float,
  binary,
  compare,
  test,
  logical,
  bitwise,
  bitwise_not,
  logical_not,
  where,
  cast,
};

struct OpInfo {
  Ew op;
  Family family;
};

const OpInfo* find_op(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, OpInfo> all;
    const auto add = [&](Family family, std::initializer_list<std::pair<const char*, Ew>> list) {
      for (const auto& [text, op] : list) all[text] = {op, family};
    };
#define X(name) {#name, Ew::name##_},
    add(Family::unary_float, {NACRE_ELEMENTWISE_UNARY_FLOAT(X)});
    add(Family::unary, {NACRE_ELEMENTWISE_UNARY(X)});
    add(Family::binary_float, {NACRE_ELEMENTWISE_BINARY_FLOAT(X)});
    add(Family::binary, {NACRE_ELEMENTWISE_BINARY(X)});
    add(Family::compare, {NACRE_ELEMENTWISE_COMPARE(X)});
    add(Family::test, {NACRE_ELEMENTWISE_TEST(X)});
    add(Family::logical, {NACRE_ELEMENTWISE_LOGICAL(X)});
    add(Family::bitwise, {NACRE_ELEMENTWISE_BITWISE(X)});
    add(Family::bitwise_not, {X(bitwise_not)});
    add(Family::logical_not, {X(logical_not)});
    add(Family::where, {X(where)});
    add(Family::cast, {X(cast)});
#undef X
    return all;
  }();
  const auto it = table.find(name);
  return it == table.end() ? nullptr : &it->second;
}

size_t arity(Family f) {
  switch (f) {
    case Family::where:
      return 3;
    case Family::binary_float:
    case Family::binary:
    case Family::compare:
    case Family::logical:
    case Family::bitwise:
      return 2;
    default:
      return 1;
  }
}

/// True if the op takes operands of these types and gives `out`.
bool types_fit(const OpInfo& info, const std::vector<DType>& in, DType out) {
  const DType t = in[0];
  const bool truth = t == DType::boolean;
  const bool same = std::all_of(in.begin(), in.end(), [&](DType x) { return x == t; });
  switch (info.family) {
    case Family::unary_float:
    case Family::binary_float:
      return same && is_float(t) && out == t;
    case Family::unary:
      return !truth && out == t;
    case Family::binary: {
      const bool lattice = info.op == Ew::add_ || info.op == Ew::mul_ || info.op == Ew::maximum_ ||
                           info.op == Ew::minimum_;
      return same && out == t && (!truth || lattice);
    }
    case Family::compare:
      return same && out == DType::boolean;
    case Family::test:
      return is_float(t) && out == DType::boolean;
    case Family::logical:
      return same && truth && out == DType::boolean;
    case Family::bitwise: {
      const bool shift = info.op == Ew::shift_left_ || info.op == Ew::shift_right_;
      return same && !is_float(t) && out == t && !(truth && shift);
    }
    case Family::bitwise_not:
      return !is_float(t) && out == t;
    case Family::logical_not:
      return out == DType::boolean;
    case Family::where:
      return truth && in[1] == out && in[2] == out;
    case Family::cast:
      return true;
  }
  return false;
}

bool is_half(DType t) { return t == DType::bf16 || t == DType::f16; }

/// Bytes of an element while it is in a register: 16-bit floats are held as f32.
size_t register_size(DType t) { return is_half(t) ? 4 : size_of(t); }

/// Where the tile of a value is.
struct Place {
  enum Kind : uint8_t { direct_input, splat, row, plane, loaded, slot, output } kind = slot;
  int index = 0;      ///< number of the input or output
  size_t offset = 0;  ///< of the slot in the piece's scratch
};

struct Inst {
  OpInfo info;
  DType in_type, out_type;
  int count;
  int src[3];
  int dst;
  int64_t order;
  bool idle = false;  ///< a cast whose operand already is what its readers want
};

class ElementwiseKernel final : public Kernel {
 public:
  static std::unique_ptr<Kernel> make(std::span<const ProgramStep> steps,
                                      std::span<const int> outputs, std::span<const Operand> in,
                                      std::span<const Operand> out) {
    auto k = std::unique_ptr<ElementwiseKernel>(new ElementwiseKernel);
    if (!k->build(steps, outputs, in, out)) return nullptr;
    return k;
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    if (numel_ == 0) return;
    const int64_t tiles = (numel_ + kTile - 1) / kTile;
    const int64_t pieces = std::clamp<int64_t>(tiles / kGrain, 1, threads_);
    if (pieces == 1) return piece(in, out, static_cast<char*>(scratch), 0, numel_);
    parallel_for(pieces, 1, [&](int64_t from, int64_t to) {
      for (int64_t p = from; p < to; ++p) {
        const int64_t begin = tiles * p / pieces * kTile;
        const int64_t end = std::min(numel_, tiles * (p + 1) / pieces * kTile);
        piece(in, out, static_cast<char*>(scratch) + static_cast<size_t>(p) * bytes_, begin, end);
      }
    });
  }

  size_t scratch_bytes() const override {
    const int64_t tiles = (numel_ + kTile - 1) / kTile;
    return bytes_ * static_cast<size_t>(std::clamp<int64_t>(tiles / kGrain, 1, threads_));
  }

  bool may_alias(int in, int out) const override {
    const Operand &a = in_[static_cast<size_t>(in)], &b = out_[static_cast<size_t>(out)];
    return a.dtype == b.dtype && a.shape == b.shape &&
           layouts_[static_cast<size_t>(in)].contiguous();
  }

  std::string description() const override { return "simd"; }

 private:
  bool build(std::span<const ProgramStep> steps, std::span<const int> outputs,
             std::span<const Operand> in, std::span<const Operand> out);
  void place_values(std::span<const int> outputs);
  bool must_wait(int step, int output) const;
  void skip_casts(std::span<const int> outputs);
  bool repeats(size_t input) const;
  bool is_row(size_t input) const;
  int64_t plane_of(size_t input) const;
  bool same_plane(size_t input, int64_t before, int64_t begin, int64_t n) const;
  void fetch(const void* const* in, void* const* out, int64_t begin, size_t part,
             size_t parts) const;
  void piece(const void* const* in, void* const* out, char* scratch, int64_t begin,
             int64_t end) const;
  void execute(const Inst& inst, const char* const* at, char* dst, int64_t n) const;
  const char* row_tile(size_t input, const void* memory, int64_t begin, int64_t n,
                       char* slot) const;
  void load(size_t input, const void* memory, int64_t begin, int64_t n, void* slot) const;

  int64_t numel_ = 0;
  int threads_ = 1;
  size_t bytes_ = 0;  ///< scratch of one thread
  std::vector<Operand> in_, out_;
  std::vector<Layout> layouts_;
  std::vector<DType> types_;  ///< of each value
  std::vector<Inst> insts_;
  std::vector<Place> places_;                ///< of each value
  std::vector<int> last_use_;                ///< of each value: the last step that reads it
  std::vector<std::vector<int>> loads_;      ///< inputs to load before each step
  std::vector<std::pair<int, int>> stores_;  ///< (value, output) copied after the last step
};

bool ElementwiseKernel::build(std::span<const ProgramStep> steps, std::span<const int> outputs,
                              std::span<const Operand> in, std::span<const Operand> out) {
  if (steps.empty() || out.empty() || outputs.size() != out.size()) return false;
  const Shape& shape = out[0].shape;
  numel_ = shape.numel();
  threads_ = num_threads();
  in_.assign(in.begin(), in.end());
  out_.assign(out.begin(), out.end());
  for (const Operand& o : in) {
    layouts_.push_back(make_layout(o.shape, o.strides, shape));
    types_.push_back(o.dtype);
  }
  for (const ProgramStep& s : steps) {
    const OpInfo* info = find_op(s.op);
    if (!info || s.in.size() != arity(info->family)) return false;
    Inst inst{*info,     DType::f32, s.dtype, static_cast<int>(s.in.size()),
              {0, 0, 0}, 0,          s.order, false};
    std::vector<DType> operand_types;
    for (size_t i = 0; i < s.in.size(); ++i) {
      if (s.in[i] < 0 || static_cast<size_t>(s.in[i]) >= types_.size()) return false;
      inst.src[i] = s.in[i];
      operand_types.push_back(types_[static_cast<size_t>(s.in[i])]);
    }
    if (!types_fit(*info, operand_types, s.dtype)) return false;
    inst.in_type = operand_types[0];
    inst.dst = static_cast<int>(types_.size());
    types_.push_back(s.dtype);
    insts_.push_back(inst);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    if (outputs[i] < 0 || static_cast<size_t>(outputs[i]) >= insts_.size()) return false;
    if (!(out[i].shape == shape) ||
        insts_[static_cast<size_t>(outputs[i])].out_type != out[i].dtype)
      return false;
  }
  skip_casts(outputs);
  last_use_.assign(types_.size(), -1);
  for (size_t s = 0; s < insts_.size(); ++s)
    for (int i = 0; i < insts_[s].count && !insts_[s].idle; ++i)
      last_use_[static_cast<size_t>(insts_[s].src[i])] = static_cast<int>(s);
  place_values(outputs);
  return true;
}

/// In a register a 16-bit float is an f32 already, so readers of it widened read it itself. What is
/// only stored as a 16-bit float is rounded where it is stored.
void ElementwiseKernel::skip_casts(std::span<const int> outputs) {
  const size_t inputs = in_.size();
  std::vector<int> source(types_.size()), readers(types_.size(), 0);
  for (const Inst& inst : insts_)
    for (int i = 0; i < inst.count; ++i) ++readers[static_cast<size_t>(inst.src[i])];
  for (size_t v = 0; v < inputs; ++v) source[v] = static_cast<int>(v);
  for (size_t s = 0; s < insts_.size(); ++s) {
    Inst& inst = insts_[s];
    const size_t v = inputs + s;
    for (int i = 0; i < inst.count; ++i) inst.src[i] = source[static_cast<size_t>(inst.src[i])];
    const bool kept =
        std::find(outputs.begin(), outputs.end(), static_cast<int>(s)) != outputs.end();
    const bool cast = inst.info.family == Family::cast;
    const bool widens = cast && is_half(inst.in_type) && inst.out_type == DType::f32 && !kept;
    const bool stored =
        cast && inst.in_type == DType::f32 && is_half(inst.out_type) && kept && readers[v] == 0;
    inst.idle = widens || stored;
    source[v] = widens ? inst.src[0] : static_cast<int>(v);
  }
}

/// True if all tiles of an input are the same: rows of one size that divides a tile, repeated.
bool ElementwiseKernel::repeats(size_t input) const {
  const Layout& l = layouts_[input];
  return is_row(input) && kTile % l.sizes[1] == 0;
}

/// True for one row, repeated: a tile that lies within it is read where it is.
bool ElementwiseKernel::is_row(size_t input) const {
  return layouts_[input].sizes.rank() == 2 && layouts_[input].strides == Shape{0, 1};
}

/// Elements in which a row is repeated whole times before another one comes, 0 if not so: a number
/// for each channel that lies innermost. Tiles within them are the same.
int64_t ElementwiseKernel::plane_of(size_t input) const {
  const Layout& l = layouts_[input];
  const int64_t rank = l.sizes.rank();
  if (rank < 3 || l.strides[rank - 1] != 1 || l.strides[rank - 2] != 0 ||
      kTile % l.sizes[rank - 1] != 0)
    return 0;
  return l.sizes[rank - 2] * l.sizes[rank - 1];
}

/// True if the output may share memory with an input that a later step still reads.
bool ElementwiseKernel::must_wait(int step, int output) const {
  for (size_t i = 0; i < in_.size(); ++i)
    if (last_use_[i] > step && may_alias(static_cast<int>(i), output)) return true;
  return false;
}

void ElementwiseKernel::place_values(std::span<const int> outputs) {
  const size_t inputs = in_.size(), steps = insts_.size();
  const int64_t tile = std::min(kTile, numel_);
  places_.resize(types_.size());
  loads_.resize(steps);
  std::unordered_map<size_t, std::vector<size_t>> free;  // slots by element size
  const auto acquire = [&](DType t) {
    const size_t size = register_size(t);
    auto& list = free[size];
    if (!list.empty()) {
      const size_t offset = list.back();
      list.pop_back();
      return offset;
    }
    const size_t offset = bytes_;
    bytes_ += (static_cast<size_t>(tile) * size + 63) / 64 * 64;
    return offset;
  };
  // An output of a full-width type is computed in place, once, unless that could hurt an input.
  std::vector<bool> pinned(types_.size(), false);
  std::vector<int> target(steps, -1);
  for (size_t o = 0; o < outputs.size(); ++o) {
    const size_t s = static_cast<size_t>(outputs[o]);
    if (insts_[s].idle) {
      pinned[static_cast<size_t>(insts_[s].src[0])] = true;
      stores_.emplace_back(insts_[s].src[0], static_cast<int>(o));
    } else if (target[s] < 0 && !is_half(out_[o].dtype) &&
               !must_wait(outputs[o], static_cast<int>(o))) {
      target[s] = static_cast<int>(o);
    } else {
      pinned[inputs + s] = true;
      stores_.emplace_back(static_cast<int>(inputs + s), static_cast<int>(o));
    }
  }
  for (size_t i = 0; i < inputs; ++i) {
    const bool direct = layouts_[i].contiguous() && !is_half(types_[i]);
    const bool splat = layouts_[i].splat() || repeats(i);
    const bool row = !splat && is_row(i) && !is_half(types_[i]);
    const bool plane = !splat && !row && plane_of(i) > 0;
    places_[i].kind = direct  ? Place::direct_input
                      : splat ? Place::splat
                      : row   ? Place::row
                      : plane ? Place::plane
                              : Place::loaded;
    places_[i].index = static_cast<int>(i);
    if (splat || row || plane) places_[i].offset = acquire(types_[i]);
  }
  std::vector<bool> ready(inputs, false);
  for (size_t s = 0; s < steps; ++s) {
    const Inst& inst = insts_[s];
    // What an idle cast stores is loaded before it.
    if (inst.idle && is_half(inst.in_type)) continue;
    for (int i = 0; i < inst.count; ++i) {
      const size_t v = static_cast<size_t>(inst.src[i]);
      if (v >= inputs || ready[v] || places_[v].kind != Place::loaded) continue;
      ready[v] = true;
      places_[v].offset = acquire(types_[v]);
      loads_[s].push_back(static_cast<int>(v));
    }
    if (inst.idle) continue;
    Place& dst = places_[inputs + s];
    if (target[s] >= 0) {
      dst.kind = Place::output;
      dst.index = target[s];
    } else {
      dst.kind = Place::slot;
      dst.offset = acquire(inst.out_type);
    }
    const auto release = [&](size_t v) {
      const Place& p = places_[v];
      if ((p.kind == Place::loaded || p.kind == Place::slot) && !pinned[v])
        free[register_size(types_[v])].push_back(p.offset);
    };
    for (int i = 0; i < inst.count; ++i) {
      const int v = inst.src[i];
      const bool again = std::find(inst.src, inst.src + i, v) != inst.src + i;
      if (!again && last_use_[static_cast<size_t>(v)] == static_cast<int>(s))
        release(static_cast<size_t>(v));
    }
    if (last_use_[inputs + s] < 0) release(inputs + s);
  }
}

void ElementwiseKernel::load(size_t input, const void* memory, int64_t begin, int64_t n,
                             void* slot) const {
  const DType t = types_[input];
  const Layout& layout = layouts_[input];
  if (!is_half(t)) return gather(layout, size_of(t), memory, begin, n, slot);
  const uint16_t* half = static_cast<const uint16_t*>(memory);
  if (layout.contiguous()) return widen16(t, half + begin, static_cast<float*>(slot), n);
  uint16_t buffer[kTile];
  gather(layout, 2, memory, begin, n, buffer);
  widen16(t, buffer, static_cast<float*>(slot), n);
}

/// Elements [begin, begin + n) of a repeated row; in `slot` where they go over its end.
const char* ElementwiseKernel::row_tile(size_t input, const void* memory, int64_t begin, int64_t n,
                                        char* slot) const {
  const int64_t size = layouts_[input].sizes[1], at = begin % size;
  if (at + n <= size)
    return static_cast<const char*>(memory) + static_cast<size_t>(at) * size_of(types_[input]);
  gather(layouts_[input], size_of(types_[input]), memory, begin, n, slot);
  return slot;
}

/// True if the tile before, a whole one, and that of n elements at `begin` lie in one plane.
bool ElementwiseKernel::same_plane(size_t input, int64_t before, int64_t begin, int64_t n) const {
  const int64_t size = plane_of(input);
  return before >= 0 && before / size == (begin + n - 1) / size;
}

/// Asks for a part of the dense operands' next tile, so that reading memory and computing overlap:
/// the processor itself does not look beyond a page, which a tile of f32 is.
void ElementwiseKernel::fetch(const void* const* in, void* const* out, int64_t begin, size_t part,
                              size_t parts) const {
  constexpr size_t line = 64;
  for (const Place& p : places_) {
    if (p.kind != Place::direct_input && p.kind != Place::output) continue;
    const auto index = static_cast<size_t>(p.index);
    const bool input = p.kind == Place::direct_input;
    const size_t size = size_of(input ? in_[index].dtype : out_[index].dtype),
                 lines = kTile * size / line;
    const char* at = static_cast<const char*>(input ? in[index] : out[index]) +
                     static_cast<size_t>(begin) * size;
    for (size_t i = lines * part / parts; i < lines * (part + 1) / parts; ++i)
      __builtin_prefetch(at + i * line, 0, 2);
  }
}

void ElementwiseKernel::piece(const void* const* in, void* const* out, char* scratch, int64_t begin,
                              int64_t end) const {
  const size_t inputs = in_.size();
  constexpr size_t kInline = 32;
  const char* few[kInline];
  std::vector<const char*> many;
  const char** at = few;
  if (places_.size() > kInline) {
    many.resize(places_.size());
    at = many.data();
  }
  for (size_t v = 0; v < places_.size(); ++v) at[v] = scratch + places_[v].offset;
  const int64_t tile = std::min(kTile, end - begin);
  for (size_t i = 0; i < inputs; ++i)
    if (places_[i].kind == Place::splat) load(i, in[i], 0, tile, scratch + places_[i].offset);
  int64_t before = -1;  // begin of the tile before
  for (int64_t t = begin; t < end; t += kTile) {
    const int64_t n = std::min(kTile, end - t);
    for (size_t v = 0; v < places_.size(); ++v) {
      const Place& p = places_[v];
      const size_t offset = static_cast<size_t>(t) * size_of(types_[v]);
      if (p.kind == Place::direct_input)
        at[v] = static_cast<const char*>(in[p.index]) + offset;
      else if (p.kind == Place::output)
        at[v] = static_cast<const char*>(out[p.index]) + offset;
      else if (p.kind == Place::row)
        at[v] = row_tile(v, in[v], t, n, scratch + p.offset);
      else if (p.kind == Place::plane && !same_plane(v, before, t, n))
        load(v, in[v], t, n, scratch + p.offset);
    }
    before = t;
    for (size_t s = 0; s < insts_.size(); ++s) {
      if (t + 2 * kTile <= end) fetch(in, out, t + kTile, s, insts_.size());
      for (int i : loads_[s]) {
        const size_t v = static_cast<size_t>(i);
        load(v, in[v], t, n, scratch + places_[v].offset);
      }
      if (!insts_[s].idle) execute(insts_[s], at, const_cast<char*>(at[insts_[s].dst]), n);
    }
    for (const auto& [value, output] : stores_) {
      const size_t v = static_cast<size_t>(value);
      const DType type = out_[static_cast<size_t>(output)].dtype;
      const size_t size = size_of(type);
      char* to = static_cast<char*>(out[output]) + static_cast<size_t>(t) * size;
      if (is_half(type))
        narrow16(type, reinterpret_cast<const float*>(at[v]), reinterpret_cast<uint16_t*>(to), n);
      else
        std::memcpy(to, at[v], static_cast<size_t>(n) * size);
    }
  }
}

void ElementwiseKernel::execute(const Inst& inst, const char* const* at, char* dst,
                                int64_t n) const {
  const char* a = at[inst.src[0]];
  const char* b = inst.count > 1 ? at[inst.src[1]] : nullptr;
  const DType t = inst.in_type;
  const auto floats = [](const char* p) { return reinterpret_cast<const float*>(p); };
  const auto doubles = [](const char* p) { return reinterpret_cast<const double*>(p); };
  const auto bytes = [](const char* p) { return reinterpret_cast<const uint8_t*>(p); };
  switch (inst.info.family) {
    case Family::where:
      where_loop(register_size(inst.out_type), bytes(a), b, at[inst.src[2]], dst, n);
      return;  // a choice between rounded values needs no rounding
    case Family::cast:
      cast_loop(t, inst.out_type, a, dst, n);
      break;
    case Family::compare:
    case Family::test:
    case Family::logical_not:
      if (t == DType::f64)
        float_test_loop(inst.info.op, doubles(a), doubles(b), reinterpret_cast<uint8_t*>(dst), n);
      else if (is_float(t))
        float_test_loop(inst.info.op, floats(a), floats(b), reinterpret_cast<uint8_t*>(dst), n);
      else
        int_loop(inst.info.op, t, a, b, dst, n);
      return;
    default:
      if (t == DType::f64)
        float_loop(inst.info.op, doubles(a), doubles(b), reinterpret_cast<double*>(dst), n,
                   inst.order);
      else if (is_float(t))
        float_loop(inst.info.op, floats(a), floats(b), reinterpret_cast<float*>(dst), n,
                   inst.order);
      else
        int_loop(inst.info.op, t, a, b, dst, n);
  }
  if (is_half(inst.out_type)) round16(inst.out_type, reinterpret_cast<float*>(dst), n);
}

}  // namespace

bool elementwise_supported(std::string_view op) { return find_op(op) != nullptr; }

std::unique_ptr<Kernel> make_elementwise(std::span<const ProgramStep> steps,
                                         std::span<const int> outputs, std::span<const Operand> in,
                                         std::span<const Operand> out) {
  return ElementwiseKernel::make(steps, outputs, in, out);
}

}  // namespace nacre::cpu
