// Opens program files, checks every step against the shapes it names, places the values in memory,
// and runs them.
#include "nacre/runtime.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "embed/step.h"
#include "nacre/error.h"

namespace nacre {
namespace embed {
namespace {

constexpr size_t kMaxRank = 12;
constexpr uint64_t kMaxWork = uint64_t{1} << 36;  // bytes

class Reader {
 public:
  Reader(std::string_view bytes, std::string_view what) : rest_(bytes), what_(what) {}
  [[noreturn]] void damaged(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, " is not a valid program file: ", cat(why)});
  }
  std::string_view take(uint64_t n) {
    if (n > rest_.size()) damaged({"it ends early"});
    const std::string_view piece = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return piece;
  }
  template <typename T>
  T get() {
    T v;
    std::memcpy(&v, take(sizeof v).data(), sizeof v);
    return v;
  }
  std::string text() { return std::string(take(get<uint32_t>())); }
  /// A number of things that take at least `bytes` each.
  size_t count(size_t bytes) {
    const auto n = get<uint32_t>();
    if (n > rest_.size() / bytes) damaged({"it claims ", n, " things in ", rest_.size(), " bytes"});
    return n;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  std::string_view what_;
};

double load(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f32:
      return static_cast<const float*>(p)[i];
    case DType::i64:
      return static_cast<double>(static_cast<const int64_t*>(p)[i]);
    case DType::i32:
      return static_cast<const int32_t*>(p)[i];
    case DType::i8:
      return static_cast<const int8_t*>(p)[i];
    default:
      return static_cast<const uint8_t*>(p)[i];
  }
}

void store(float v, DType t, void* p, int64_t i) {
  const double bounded = v == v ? std::clamp<double>(v, -9e18, 9e18) : 0;
  switch (t) {
    case DType::i64:
      static_cast<int64_t*>(p)[i] = static_cast<int64_t>(bounded);
      break;
    case DType::i32:
      static_cast<int32_t*>(p)[i] =
          static_cast<int32_t>(std::clamp(bounded, -2147483648., 2147483647.));
      break;
    case DType::i8:
      static_cast<int8_t*>(p)[i] = static_cast<int8_t>(std::clamp(bounded, -128., 127.));
      break;
    case DType::u8:
      static_cast<uint8_t*>(p)[i] = static_cast<uint8_t>(std::clamp(bounded, 0., 255.));
      break;
    default:
      static_cast<uint8_t*>(p)[i] = v != 0;
  }
}

template <size_t N>
int64_t functions(const std::string_view (&)[N]) {
  return N;
}

const Kernel* find_kernel(Op op, int64_t function) {
  for (const Kernel* const* k = kernels; *k; ++k)
    if ((*k)->op == op && (*k)->function == function) return *k;
  return nullptr;
}

std::string name_of_kernel(Op op, int64_t function) {
  const std::string name(kOps[static_cast<size_t>(op)]);
  if (op == Op::unary) return cat({name, "_", kUnary[function]});
  return op == Op::binary ? cat({name, "_", kBinary[function]}) : name;
}

}  // namespace
}  // namespace embed

using embed::Op;
using embed::Step;
using embed::Value;

struct Runtime::Impl {
  std::string what, name, transform;
  std::shared_ptr<const void> owner;
  bool probabilities = false, batched = false;
  std::vector<std::string> classes;
  std::vector<Port> inputs, outputs;
  std::vector<int> input_values, output_values;
  std::vector<Value> values;
  std::vector<Step> steps;
  size_t weights = 0;
  int64_t arena = 0, scratch = 0;  // in values

  struct Work {
    std::unique_ptr<float[]> memory;
    Work* next = nullptr;
  };
  mutable std::mutex mutex;
  mutable Work* idle = nullptr;
  ~Impl() {
    while (idle) delete std::exchange(idle, idle->next);
  }

  void parse(std::string_view bytes);
  void check(Step& s, const embed::Reader& r);
  void place();
  const Shape& shape(int v) const { return values[static_cast<size_t>(v)].shape; }
  float* at(int v, float* work) const {
    const Value& value = values[static_cast<size_t>(v)];
    return value.constant ? const_cast<float*>(value.constant) : work + value.place;
  }
};

void Runtime::Impl::parse(std::string_view bytes) {
  embed::Reader r(bytes, what);
  if (!bytes.starts_with(embed::kMagic)) r.damaged({"it does not start like one"});
  r.take(embed::kMagic.size());
  const auto version = r.get<uint32_t>();
  if (version != embed::kVersion)
    fail(Error::Kind::unsupported,
         {what, " has version ", version, " of program files, ", embed::kVersion, " is read"});
  const auto checksum = r.get<uint32_t>();
  if (crc32c(r.rest()) != checksum) r.damaged({"its checksum does not fit, so it was changed"});
  name = r.text();
  transform = r.text();
  probabilities = r.get<uint8_t>() != 0;
  batched = r.get<uint8_t>() != 0;
  for (size_t n = r.count(4); n > 0; --n) classes.push_back(r.text());
  for (size_t n = r.count(1); n > 0; --n) {
    Value v;
    const size_t rank = r.get<uint8_t>();
    if (rank > embed::kMaxRank) r.damaged({"a value has ", rank, " dimensions"});
    for (size_t d = 0; d < rank; ++d) {
      const auto size = r.get<int64_t>();
      if (size < 1 || size > embed::kMaxSize / v.size)
        r.damaged({"a value has the impossible size ", size});
      v.shape.push_back(size);
      v.size *= size;
    }
    v.root = static_cast<int>(values.size());
    values.push_back(std::move(v));
  }
  const auto value = [&] {
    const auto v = r.get<uint32_t>();
    if (v >= values.size()) r.damaged({"it names value ", v, " of ", values.size()});
    return static_cast<int>(v);
  };
  for (auto [ports, list] : {std::pair{&inputs, &input_values}, {&outputs, &output_values}})
    for (size_t n = r.count(9); n > 0; --n) {
      Port p;
      p.name = r.text();
      const auto type = r.get<uint8_t>();
      p.dtype = static_cast<DType>(type);
      if (type >= kDTypeCount || p.dtype == DType::f64 || p.dtype == DType::f16 ||
          p.dtype == DType::bf16)
        r.damaged({"a port has the type ", static_cast<int>(type)});
      list->push_back(value());
      p.shape = shape(list->back());
      if (batched && (p.shape.empty() || p.shape[0] != 1))
        r.damaged({"the port '", p.name, "' is of no single sample"});
      if (batched) p.shape[0] = -1;
      ports->push_back(std::move(p));
    }
  if (outputs.empty()) r.damaged({"it has no outputs"});
  for (const int v : input_values)
    if (std::exchange(values[static_cast<size_t>(v)].made, true))
      r.damaged({"two inputs are one value"});
  std::vector<std::pair<int, uint64_t>> constants;
  for (size_t n = r.count(12); n > 0; --n) {
    const int v = value();
    if (std::exchange(values[static_cast<size_t>(v)].made, true))
      r.damaged({"a constant is made twice"});
    constants.emplace_back(v, r.get<uint64_t>());
  }
  for (size_t n = r.count(7); n > 0; --n) {
    Step s;
    const auto op = r.get<uint8_t>();
    if (op >= static_cast<uint8_t>(Op::count)) r.damaged({"a step has the number ", int{op}});
    s.op = static_cast<Op>(op);
    for (int k = r.get<uint8_t>(); k > 0; --k) {
      s.in.push_back(value());
      if (!values[static_cast<size_t>(s.in.back())].made)
        r.damaged({"a step reads a value before it is made"});
    }
    s.out = value();
    if (std::exchange(values[static_cast<size_t>(s.out)].made, true))
      r.damaged({"a value is made twice"});
    for (int k = r.get<uint8_t>(); k > 0; --k) s.numbers.push_back(r.get<int64_t>());
    check(s, r);
    steps.push_back(std::move(s));
  }
  for (const int v : output_values)
    if (!values[static_cast<size_t>(v)].made) r.damaged({"nothing makes an output"});
  const size_t used = bytes.size() - r.rest().size();
  r.take((64 - used % 64) % 64);
  const std::string_view data = r.rest();
  for (const auto& [v, offset] : constants) {
    Value& c = values[static_cast<size_t>(v)];
    const auto size = static_cast<uint64_t>(c.size) * 4;
    if (offset % 4 || offset > data.size() || size > data.size() - offset)
      r.damaged({"a constant of ", size, " bytes at ", offset, " does not lie in the ", data.size(),
                 " bytes of data"});
    c.constant = reinterpret_cast<const float*>(data.data() + offset);
    weights += size;
  }
  if (reinterpret_cast<uintptr_t>(data.data()) % alignof(float))
    fail(Error::Kind::internal, {what, " lies at an odd place in memory"});
  place();
}

void Runtime::Impl::check(Step& s, const embed::Reader& r) {
  if (s.in.empty()) r.damaged({"a step has no inputs"});
  int64_t function = 0;
  if (s.op == Op::unary || s.op == Op::binary) {
    if (s.numbers.size() != 1)
      r.damaged({"a step of a function has ", s.numbers.size(), " numbers"});
    function = s.numbers[0];
    const int64_t known =
        s.op == Op::unary ? embed::functions(embed::kUnary) : embed::functions(embed::kBinary);
    if (function < 0 || function >= known) r.damaged({"a step has the function ", function});
  }
  s.kernel = embed::find_kernel(s.op, function);
  if (!s.kernel)
    fail(Error::Kind::unsupported,
         {what, " needs the kernel ", embed::name_of_kernel(s.op, function),
          ", which is not in this program; it holds the kernels of one model only"});
  const Shape& y = shape(s.out);
  s.sizes.assign(y.begin(), y.end());
  embed::Check c(s, values, steps.size(), what);
  s.kernel->check(c);
  scratch = std::max(scratch, c.scratch());
}

void Runtime::Impl::place() {
  const auto of = [&](int v) -> Value& { return values[static_cast<size_t>(v)]; };
  const auto root = [&](int v) {
    while (of(v).root != v) v = of(v).root;
    return v;
  };
  const int end = static_cast<int>(steps.size());
  const auto touch = [&](int v, int when) {
    Value& x = of(root(v));
    if (x.first < 0) x.first = when;
    x.last = std::max(x.last, when);
  };
  // Lives first, then what may take over the memory of an input that nobody reads any more.
  for (int k = 0; k < end; ++k) {
    Step& s = steps[static_cast<size_t>(k)];
    if (s.op == Op::reshape && !of(root(s.in[0])).constant) of(s.out).root = root(s.in[0]);
  }
  for (const int v : input_values) touch(v, -1), of(root(v)).first = 0;
  for (int k = 0; k < end; ++k) {
    const Step& s = steps[static_cast<size_t>(k)];
    for (const int v : s.in) touch(v, k);
    touch(s.out, k);
  }
  for (const int v : output_values) touch(v, end);
  for (int k = 0; k < end; ++k) {
    const Step& s = steps[static_cast<size_t>(k)];
    if (s.op != Op::unary && s.op != Op::binary) continue;
    for (const int v : s.in) {
      Value &x = of(root(v)), &y = of(root(s.out));
      if (x.constant || root(v) == root(s.out) || x.last != k || x.size != y.size ||
          of(v).size != y.size || of(s.out).root != s.out)
        continue;
      x.last = std::max(x.last, y.last);
      of(s.out).root = root(v);
      break;
    }
  }
  std::vector<Value*> order;
  for (Value& v : values)
    if (!v.constant && v.root == static_cast<int>(&v - values.data()) && v.first >= 0)
      order.push_back(&v);
  std::stable_sort(order.begin(), order.end(),
                   [](const Value* a, const Value* b) { return a->size > b->size; });
  const auto rounded = [](int64_t n) { return (n + 15) / 16 * 16; };
  std::vector<const Value*> placed;
  std::vector<std::pair<int64_t, int64_t>> busy;
  for (Value* v : order) {
    busy.clear();
    for (const Value* p : placed)
      if (p->first <= v->last && v->first <= p->last)
        busy.emplace_back(p->place, p->place + rounded(p->size));
    std::sort(busy.begin(), busy.end());
    int64_t at = 0;
    for (const auto& [from, to] : busy) {
      if (at + rounded(v->size) <= from) break;
      at = std::max(at, to);
    }
    v->place = at;
    arena = std::max(arena, at + rounded(v->size));
    placed.push_back(v);
  }
  for (Value& v : values)
    if (!v.constant && v.first < 0) v.place = of(root(static_cast<int>(&v - values.data()))).place;
  for (Value& v : values)
    if (!v.constant && v.root != static_cast<int>(&v - values.data()))
      v.place = of(root(v.root)).place;
  if (static_cast<uint64_t>(arena + scratch) > embed::kMaxWork / 4)
    fail(Error::Kind::memory, {what, " wants ", (arena + scratch) / (1 << 28),
                               " GiB of work space, at most 64 are given"});
}

Runtime::Runtime(const std::string& path) : impl_(std::make_unique<Impl>()) {
  const auto map = MappedFile::open(path);
  impl_->what = path;
  impl_->owner = map;
  impl_->parse(map->bytes());
}

Runtime::Runtime(std::string_view bytes, std::shared_ptr<const void> owner, std::string_view what)
    : impl_(std::make_unique<Impl>()) {
  impl_->what = what;
  impl_->owner = std::move(owner);
  impl_->parse(bytes);
}

Runtime::~Runtime() = default;
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;

const std::string& Runtime::name() const { return impl_->name; }
const std::string& Runtime::transform() const { return impl_->transform; }
const std::vector<std::string>& Runtime::classes() const { return impl_->classes; }
const std::vector<Runtime::Port>& Runtime::inputs() const { return impl_->inputs; }
const std::vector<Runtime::Port>& Runtime::outputs() const { return impl_->outputs; }
bool Runtime::batches() const { return impl_->batched; }
size_t Runtime::steps() const { return impl_->steps.size(); }
std::vector<std::string> Runtime::kernels() const {
  std::set<std::string> names;
  for (const Step& s : impl_->steps) names.insert(embed::name_of_kernel(s.op, s.kernel->function));
  return {names.begin(), names.end()};
}
size_t Runtime::weight_bytes() const { return impl_->weights; }
size_t Runtime::work_bytes() const {
  return static_cast<size_t>(impl_->arena + impl_->scratch) * 4;
}

void Runtime::run(std::span<const void* const> in, std::span<void* const> out, int64_t rows) const {
  const Impl& m = *impl_;
  if (in.size() != m.inputs.size() || out.size() != m.outputs.size())
    fail(Error::Kind::usage, {m.what, " has ", m.inputs.size(), " inputs and ", m.outputs.size(),
                              " outputs, not ", in.size(), " and ", out.size()});
  if (rows < 1 || (rows > 1 && !m.batched))
    fail(Error::Kind::usage, {m.what, " cannot take ", rows, " samples in one call"});
  Impl::Work* work = nullptr;
  {
    std::lock_guard lock(m.mutex);
    work = m.idle;
    if (work) m.idle = work->next;
  }
  if (!work) {
    auto fresh = std::make_unique<Impl::Work>();
    fresh->memory.reset(new float[static_cast<size_t>(m.arena + m.scratch)]);
    work = fresh.release();
  }
  const auto give_back = [&m](Impl::Work* w) {
    std::lock_guard lock(m.mutex);
    w->next = m.idle;
    m.idle = w;
  };
  const std::unique_ptr<Impl::Work, decltype(give_back)> held(work, give_back);
  float* memory = work->memory.get();
  for (int64_t row = 0; row < rows; ++row) {
    for (size_t k = 0; k < in.size(); ++k) {
      const Value& v = m.values[static_cast<size_t>(m.input_values[k])];
      float* to = memory + v.place;
      const DType type = m.inputs[k].dtype;
      if (type == DType::f32)
        std::copy_n(static_cast<const float*>(in[k]) + row * v.size, v.size, to);
      else
        for (int64_t i = 0; i < v.size; ++i)
          to[i] = static_cast<float>(embed::load(in[k], type, row * v.size + i));
    }
    for (const Step& s : m.steps) s.kernel->run({s, m.values, memory, memory + m.arena, m.what});
    for (size_t k = 0; k < out.size(); ++k) {
      const int number = m.output_values[k];
      const int64_t size = m.values[static_cast<size_t>(number)].size;
      const float* from = m.at(number, memory);
      const DType type = m.outputs[k].dtype;
      if (type == DType::f32)
        std::copy_n(from, size, static_cast<float*>(out[k]) + row * size);
      else
        for (int64_t i = 0; i < size; ++i) embed::store(from[i], type, out[k], row * size + i);
    }
  }
}

std::vector<std::pair<size_t, double>> Runtime::best(std::span<const float> scores,
                                                     size_t most) const {
  const Impl& m = *impl_;
  if (m.classes.empty()) fail(Error::Kind::usage, {m.what, " gives values and has no classes"});
  if (scores.size() != m.classes.size())
    fail(Error::Kind::usage,
         {scores.size(), " scores are given for ", m.classes.size(), " classes"});
  std::vector<std::pair<size_t, double>> all;
  double top = -INFINITY, sum = 0;
  for (const float s : scores) top = std::max<double>(top, s);
  for (size_t k = 0; k < scores.size(); ++k) {
    all.emplace_back(k,
                     m.probabilities ? static_cast<double>(scores[k]) : std::exp(scores[k] - top));
    sum += all.back().second;
  }
  if (!m.probabilities)
    for (auto& [k, p] : all) p /= sum;
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second > b.second || (a.second == a.second && b.second != b.second);
  });
  all.resize(std::min(all.size(), most));
  return all;
}

}  // namespace nacre
