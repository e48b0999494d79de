// Opens program files, checks every step against the shapes it names, places the values in memory,
// and runs them.
#include "nacre/runtime.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "base/file.h"
#include "base/hash.h"
#include "embed/format.h"
#include "embed/kernels.h"
#include "nacre/error.h"

namespace nacre {
namespace embed {
namespace {

constexpr size_t kMaxRank = 12;
constexpr int64_t kMaxSize = int64_t{1} << 33;    // values of one tensor
constexpr uint64_t kMaxWork = uint64_t{1} << 36;  // bytes

struct Value {
  Shape shape;
  int64_t size = 1;
  const float* constant = nullptr;
  int root = -1;  ///< the value in whose memory it lies
  int first = -1, last = -1;
  int64_t place = -1;  ///< in the work space, in values
  bool made = false;
};

struct Step {
  Op op = Op::reshape;
  std::vector<int> in;
  int out = 0;
  std::vector<int64_t> numbers;
  // Made ready when the file is opened.
  Window window{};
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides[3];
  int64_t outer = 0, n = 0, inner = 0, offset = 0;
};

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

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> s(shape.size());
  int64_t n = 1;
  for (size_t d = s.size(); d-- > 0; n *= shape.begin()[d]) s[d] = n;
  return s;
}

/// Strides of x where it is broadcast to `to`; empty if it cannot be.
bool broadcast(const Shape& x, const Shape& to, std::vector<int64_t>& strides) {
  if (x.size() > to.size()) return false;
  const std::vector<int64_t> own = strides_of(x);
  strides.assign(to.size(), 0);
  for (size_t d = 0; d < x.size(); ++d) {
    const size_t at = to.size() - x.size() + d;
    if (x.begin()[d] == to.begin()[at])
      strides[at] = x.begin()[d] == 1 ? 0 : own[d];
    else if (x.begin()[d] != 1)
      return false;
  }
  return true;
}

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

}  // namespace
}  // namespace embed

using embed::Op;
using embed::Step;
using embed::Value;
using embed::Window;

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
  int64_t arena = 0, panel = 0;  // in values

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
  void check_window(Step& s, size_t at, const embed::Reader& r);
  void place();
  void run_step(const Step& s, float* work) const;
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

void Runtime::Impl::check_window(Step& s, size_t at, const embed::Reader& r) {
  const Shape &x = shape(s.in[0]), &y = shape(s.out);
  if (x.size() != 4 || y.size() != 4) r.damaged({"a window moves over other than four dimensions"});
  Window& w = s.window;
  for (size_t d = 0; d < 2; ++d) {
    w.stride[d] = s.numbers[at + d];
    w.dilation[d] = s.numbers[at + 2 + d];
    w.low[d] = s.numbers[at + 4 + d];
    const int64_t high = s.numbers[at + 6 + d];
    w.in[d] = x.begin()[2 + d];
    w.out[d] = y.begin()[2 + d];
    constexpr int64_t kMost = 1 << 24;
    for (const int64_t v : {w.kernel[d], w.stride[d], w.dilation[d]})
      if (v < 1 || v > kMost) r.damaged({"a window has the impossible number ", v});
    if (w.low[d] < 0 || w.low[d] > kMost || high < 0 || high > kMost || w.in[d] > kMost)
      r.damaged({"a window has impossible padding"});
    const int64_t room = w.in[d] + w.low[d] + high - w.dilation[d] * (w.kernel[d] - 1) - 1;
    if (room < 0 || room / w.stride[d] + 1 != w.out[d])
      r.damaged({"a window gives ", w.out[d], " where it fits otherwise"});
  }
  if (x.begin()[0] != y.begin()[0]) r.damaged({"a window changes the batch"});
}

void Runtime::Impl::check(Step& s, const embed::Reader& r) {
  const auto need = [&](size_t in, size_t numbers, bool more = false) {
    if (s.in.size() != in || (more ? s.numbers.size() < numbers : s.numbers.size() != numbers))
      r.damaged({"a step has ", s.in.size(), " inputs and ", s.numbers.size(), " numbers"});
  };
  const auto ensure = [&](bool ok) {
    if (!ok) r.damaged({"step ", steps.size(), " does not fit its shapes"});
  };
  const auto function = [&](size_t count) {
    ensure(s.numbers[0] >= 0 && s.numbers[0] < static_cast<int64_t>(count));
  };
  const Shape& y = shape(s.out);
  const int64_t size = values[static_cast<size_t>(s.out)].size;
  s.sizes.assign(y.begin(), y.end());
  const auto split = [&](const Shape& x, int64_t dim) {
    ensure(dim >= 0 && dim < x.rank());
    s.outer = s.inner = 1;
    for (int64_t d = 0; d < x.rank(); ++d)
      (d < dim ? s.outer : d == dim ? s.n : s.inner) *= d == dim ? 1 : x[d];
    s.n = x[dim];
  };
  if (s.op != Op::conv && s.op != Op::matmul && s.op != Op::concat && s.in.empty()) need(1, 0);
  switch (s.op) {
    case Op::reshape:
      need(1, 0);
      ensure(values[static_cast<size_t>(s.in[0])].size == size);
      break;
    case Op::copy: {
      need(1, 1 + y.size());
      int64_t low = s.numbers[0], high = low;
      const int64_t most = values[static_cast<size_t>(s.in[0])].size;
      for (size_t d = 0; d < y.size(); ++d) {
        const int64_t stride = s.numbers[1 + d];
        ensure(std::abs(stride) <= most && y.begin()[d] <= embed::kMaxSize);
        if (y.begin()[d] > 1) {
          ensure(stride == 0 || y.begin()[d] <= most);
          (stride < 0 ? low : high) += stride * (y.begin()[d] - 1);
        }
        ensure(low >= 0 && high < most);
      }
      ensure(low >= 0 && high < most);
      s.strides[0].assign(s.numbers.begin() + 1, s.numbers.end());
      break;
    }
    case Op::unary:
      need(1, 1);
      function(std::size(embed::kUnary));
      ensure(shape(s.in[0]) == y);
      break;
    case Op::binary:
    case Op::select: {
      const bool three = s.op == Op::select;
      need(three ? 3 : 2, three ? 0 : 1);
      if (!three) function(std::size(embed::kBinary));
      for (size_t k = 0; k < s.in.size(); ++k)
        ensure(embed::broadcast(shape(s.in[k]), y, s.strides[k]));
      break;
    }
    case Op::conv: {
      need(s.in.size() == 3 ? 3 : 2, 10);
      const Shape &x = shape(s.in[0]), &w = shape(s.in[1]);
      const int64_t groups = s.numbers[0];
      ensure(x.size() == 4 && w.size() == 4 && y.size() == 4 && groups > 0);
      ensure(x[1] % groups == 0 && y[1] % groups == 0 && w[1] == x[1] / groups && w[0] == y[1]);
      if (s.in.size() == 3) ensure(values[static_cast<size_t>(s.in[2])].size == y[1]);
      ensure(s.numbers[9] >= 0 && s.numbers[9] <= embed::kRelu6);
      s.window.kernel[0] = w[2];
      s.window.kernel[1] = w[3];
      check_window(s, 1, r);
      panel = std::max(panel, w[1] * w[2] * w[3] * embed::kPanel);
      break;
    }
    case Op::max_pool:
    case Op::avg_pool: {
      need(1, s.op == Op::avg_pool ? 11 : 10);
      s.window.kernel[0] = s.numbers[0];
      s.window.kernel[1] = s.numbers[1];
      check_window(s, 2, r);
      ensure(shape(s.in[0])[1] == y[1]);
      break;
    }
    case Op::matmul: {
      need(s.in.size() == 3 ? 3 : 2, 1);
      ensure(s.numbers[0] >= 0 && s.numbers[0] <= embed::kRelu6);
      const Shape &a = shape(s.in[0]), &b = shape(s.in[1]);
      const auto rank = y.rank();
      ensure(rank >= 2 && a.rank() >= 2 && b.rank() >= 2);
      ensure(a[-1] == b[-2] && y[-2] == a[-2] && y[-1] == b[-1]);
      if (s.in.size() == 3) ensure(values[static_cast<size_t>(s.in[2])].size == y[-1]);
      const Shape batch = y.slice(0, rank - 2);
      ensure(embed::broadcast(a.slice(0, a.rank() - 2), batch, s.strides[0]) &&
             embed::broadcast(b.slice(0, b.rank() - 2), batch, s.strides[1]));
      s.sizes.resize(static_cast<size_t>(rank - 2));
      panel = std::max(panel, a[-1] * embed::kPanel);
      break;
    }
    case Op::reduce: {
      need(1, 2, true);
      function(std::size(embed::kReduce));
      // Neighbouring dimensions: the writer moves others together.
      const Shape& x = shape(s.in[0]);
      split(x, s.numbers[1]);
      for (size_t k = 2; k < s.numbers.size(); ++k) {
        ensure(s.numbers[k] == s.numbers[k - 1] + 1 && s.numbers[k] < x.rank());
        s.n *= x[s.numbers[k]];
        s.inner /= x[s.numbers[k]];
      }
      ensure(size == s.outer * s.inner);
      break;
    }
    case Op::softmax:
      need(1, 1);
      ensure(shape(s.in[0]) == y);
      split(y, s.numbers[0]);
      break;
    case Op::concat: {
      ensure(!s.in.empty() && s.numbers.size() == 1);
      split(y, s.numbers[0]);
      int64_t sum = 0;
      for (const int v : s.in) {
        Shape x = shape(v);
        ensure(x.rank() == y.rank());
        sum += x[s.numbers[0]];
        x[s.numbers[0]] = y[s.numbers[0]];
        ensure(x == y);
      }
      ensure(sum == y[s.numbers[0]]);
      break;
    }
    case Op::pad: {
      need(2, y.size());
      const Shape& x = shape(s.in[0]);
      ensure(x.rank() == y.rank() && values[static_cast<size_t>(s.in[1])].size == 1);
      s.strides[0] = embed::strides_of(y);
      for (int64_t d = 0; d < y.rank(); ++d) {
        const int64_t low = s.numbers[static_cast<size_t>(d)];
        ensure(low >= 0 && low <= y[d] && x[d] <= y[d] - low);
        s.offset += low * s.strides[0][static_cast<size_t>(d)];
      }
      s.sizes.assign(x.begin(), x.end());
      break;
    }
    case Op::take: {
      need(2, 1);
      const Shape& x = shape(s.in[0]);
      split(x, s.numbers[0]);
      ensure(size == s.outer * s.inner * values[static_cast<size_t>(s.in[1])].size);
      break;
    }
    case Op::count:
      break;
  }
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
  if (static_cast<uint64_t>(arena + panel) > embed::kMaxWork / 4)
    fail(Error::Kind::memory, {what, " wants ", (arena + panel) / (1 << 28),
                               " GiB of work space, at most 64 are given"});
}

void Runtime::Impl::run_step(const Step& s, float* work) const {
  float* y = at(s.out, work);
  const int64_t size = values[static_cast<size_t>(s.out)].size;
  const float* x[3] = {};
  for (size_t k = 0; k < std::min<size_t>(3, s.in.size()); ++k) x[k] = at(s.in[k], work);
  float* panels = work + arena;
  switch (s.op) {
    case Op::reshape:
      if (x[0] != y) std::copy_n(x[0], size, y);
      break;
    case Op::copy:
      embed::copy(s.sizes, x[0] + s.numbers[0], s.strides[0], y);
      break;
    case Op::unary:
      embed::unary(s.numbers[0], size, x[0], y);
      break;
    case Op::binary:
      embed::binary(s.numbers[0], s.sizes, x[0], s.strides[0], x[1], s.strides[1], y);
      break;
    case Op::select:
      embed::select(s.sizes, x[0], s.strides[0], x[1], s.strides[1], x[2], s.strides[2], y);
      break;
    case Op::conv: {
      const Shape &w = shape(s.in[1]), &out = shape(s.out);
      embed::conv(s.window, out[0], s.numbers[0], w[1], w[0] / s.numbers[0], x[0], x[1], x[2], y,
                  s.numbers[9], panels);
      break;
    }
    case Op::max_pool:
    case Op::avg_pool: {
      const Shape& out = shape(s.out);
      if (s.op == Op::max_pool)
        embed::max_pool(s.window, out[0] * out[1], x[0], y);
      else
        embed::avg_pool(s.window, out[0] * out[1], s.numbers[10] != 0, x[0], y);
      break;
    }
    case Op::matmul: {
      const Shape &a = shape(s.in[0]), &out = shape(s.out);
      const int64_t m = a[-2], k = a[-1], n = out[-1];
      const int64_t count = size / (m * n);
      for (int64_t q = 0; q < count; ++q) {
        int64_t left = q, at_a = 0, at_b = 0;
        for (size_t d = s.sizes.size(); d-- > 0; left /= s.sizes[d]) {
          at_a += left % s.sizes[d] * s.strides[0][d];
          at_b += left % s.sizes[d] * s.strides[1][d];
        }
        embed::gemm(m, n, k, x[0] + at_a * m * k, x[1] + at_b * k * n, x[2], y + q * m * n,
                    s.numbers[0], panels);
      }
      break;
    }
    case Op::reduce:
      embed::reduce(s.numbers[0], s.outer, s.n, s.inner, x[0], y);
      break;
    case Op::softmax:
      embed::softmax(s.outer, s.n, s.inner, x[0], y);
      break;
    case Op::concat: {
      for (const int v : s.in) {
        const int64_t piece = values[static_cast<size_t>(v)].size / s.outer;
        const float* from = at(v, work);
        for (int64_t o = 0; o < s.outer; ++o)
          std::copy_n(from + o * piece, piece, y + o * s.n * s.inner);
        y += piece;
      }
      break;
    }
    case Op::pad:
      std::fill_n(y, size, *x[1]);
      embed::scatter(s.sizes, x[0], y + s.offset, s.strides[0]);
      break;
    case Op::take: {
      const int64_t count = values[static_cast<size_t>(s.in[1])].size;
      for (int64_t o = 0; o < s.outer; ++o)
        for (int64_t i = 0; i < count; ++i, y += s.inner) {
          const float wanted = x[1][i];
          if (!(wanted >= 0 && wanted < static_cast<float>(s.n)))
            fail(Error::Kind::data,
                 {what, ": index ", static_cast<double>(wanted), " is not in 0 to ", s.n - 1});
          std::copy_n(x[0] + (o * s.n + static_cast<int64_t>(wanted)) * s.inner, s.inner, y);
        }
      break;
    }
    case Op::count:
      break;
  }
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
size_t Runtime::weight_bytes() const { return impl_->weights; }
size_t Runtime::work_bytes() const { return static_cast<size_t>(impl_->arena + impl_->panel) * 4; }

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
    fresh->memory.reset(new float[static_cast<size_t>(m.arena + m.panel)]);
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
    for (const Step& s : m.steps) m.run_step(s, memory);
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
