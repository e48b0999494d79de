// How an op is defined: one struct that holds all that is known of it. See docs/add-an-op.md.
//
//   struct ScaleAttrs { double by = 1; void fields(FieldVisitor& v) { v("by", by); } };
//   OP(scale) = {
//       .name = "scale",
//       .attrs = attr_type<ScaleAttrs>(),
//       .infer = infer_same<0>,
//       .ref = [](Ref& r) { for (int64_t i = 0; i < r.out().n; ++i) r.out().d[i] = r.in(0).d[i] *
//       r.attrs<ScaleAttrs>().by; }, .vjp = [](Vjp& v) { v.dx(0) = scale(v.dy(),
//       v.attrs<ScaleAttrs>().by); }, .samples = [](Samples& s) { s.add({s.uniform({3, 4}, -1, 1)},
//       [](const Tensors& x) { return Tensors{scale(x[0], 3)}; }, "{0} * 3"); },
//   };
//   Tensor scale(In x, double by) { return make(op_scale, ScaleAttrs{by}, {x}); }
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "nacre/random.h"
#include "nacre/tensor.h"

namespace nacre {

class Graph;
class Json;

// ---- attributes

/// Visits the named fields of an attribute struct. Printing, hashing, comparing, saving and loading
/// are visitors.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void operator()(const char* name, bool& v) = 0;
  virtual void operator()(const char* name, int64_t& v) = 0;
  virtual void operator()(const char* name, double& v) = 0;
  virtual void operator()(const char* name, std::string& v) = 0;
  virtual void operator()(const char* name, Ints& v) = 0;
  virtual void operator()(const char* name, DType& v) = 0;
  virtual void operator()(const char* name, std::shared_ptr<const Graph>& v) = 0;
};

/// What nacre knows of an attribute struct: how to make, move and visit one.
struct AttrType {
  void* (*make)();
  void (*destroy)(void*);
  void (*visit)(void*, FieldVisitor&);
  size_t size;
  void (*move)(void* to, void* from);  ///< constructs at `to`
  void (*end)(void*);                  ///< undoes move
};

template <typename A>
inline constexpr AttrType attr_type_of = {
    [] { return static_cast<void*>(new A()); },
    [](void* a) { delete static_cast<A*>(a); },
    [](void* a, FieldVisitor& v) { static_cast<A*>(a)->fields(v); },
    sizeof(A),
    [](void* to, void* from) { new (to) A(std::move(*static_cast<A*>(from))); },
    [](void* a) { static_cast<A*>(a)->~A(); },
};
template <typename A>
constexpr const AttrType* attr_type() {
  return &attr_type_of<A>;
}

/// Shared, immutable attributes of a node.
class Attrs {
 public:
  Attrs() = default;
  /// Moves the struct out of `value`.
  Attrs(const AttrType* type, void* value);
  Attrs(const Attrs& o);
  Attrs(Attrs&& o) noexcept : box_(o.box_) { o.box_ = nullptr; }
  Attrs& operator=(Attrs o) noexcept {
    std::swap(box_, o.box_);
    return *this;
  }
  ~Attrs();
  const void* get() const { return box_ ? box_ + 1 : nullptr; }
  uint64_t hash() const { return box_ ? box_->hash : 0; }
  explicit operator bool() const { return box_ != nullptr; }

 private:
  struct alignas(16) Box {  // the struct follows it
    std::atomic<uint32_t> refs{1};
    const AttrType* type;
    uint64_t hash;
  };
  Box* box_ = nullptr;
};

// ---- the parts of a definition

struct OpDef;

/// The shape rule's view of a node in the making: reads types and shapes of inputs, adds outputs.
class Infer {
 public:
  struct Input {
    DType dtype;
    const Shape* shape;
  };
  Infer(const OpDef& op, const void* attrs, std::span<const Input> in, Node& made)
      : op(op), attrs_(attrs), in_(in), made_(made) {}
  const OpDef& op;
  size_t inputs() const { return in_.size(); }
  /// Of input i. Throw if there are fewer: graph files may give any number of inputs.
  DType dtype(size_t i) const { return input(i).dtype; }
  const Shape& shape(size_t i) const { return *input(i).shape; }
  int64_t rank(size_t i) const { return shape(i).rank(); }
  template <typename A>
  const A& attrs() const {
    return *static_cast<const A*>(attrs_);
  }
  void out(DType dtype, const Shape& shape);
  /// Shape of output k, which was added before.
  Shape& out_shape(size_t k);
  /// Throws an Error "[op] <text> (inputs ...)" that names shapes, layer and user line.
  [[noreturn]] void fail(std::initializer_list<Piece> text) const;
  void check(bool ok, std::initializer_list<Piece> text) const {
    if (!ok) fail(text);
  }
  void check_float(size_t i) const;
  void check_index(size_t i) const;  ///< i32 or i64
  void check_rank(size_t i, int64_t rank) const;
  void check_same_dtype() const;

 private:
  const Input& input(size_t i) const {
    if (i >= in_.size()) fail({"takes more inputs than the ", in_.size(), " that it got"});
    return in_[i];
  }
  const void* attrs_;
  std::span<const Input> in_;
  Node& made_;
};

/// One operand of a reference kernel: floats of any width as double, everything else as int64,
/// row-major.
struct RefTensor {
  DType dtype = DType::f32;
  Shape shape;
  int64_t n = 0;
  std::vector<double> dv;
  std::vector<int64_t> iv;
  double* d = nullptr;   ///< set if the type is floating
  int64_t* i = nullptr;  ///< set otherwise
  bool floating() const { return is_float(dtype); }
};

/// A reference kernel's view: inputs filled, outputs allocated and zero.
class Ref {
 public:
  Ref(const OpDef& op, const void* attrs, std::vector<RefTensor> in, std::vector<RefTensor> out)
      : op(op), in_(std::move(in)), out_(std::move(out)), attrs_(attrs) {}
  const OpDef& op;
  size_t inputs() const { return in_.size(); }
  size_t outputs() const { return out_.size(); }
  const RefTensor& in(size_t k = 0) const { return in_[k]; }
  RefTensor& out(size_t k = 0) { return out_[k]; }
  template <typename A>
  const A& attrs() const {
    return *static_cast<const A*>(attrs_);
  }
  /// Calls f(x, y) with x = values of in(k) and y = values of out(j), both double* or both
  /// int64_t*.
  template <typename F>
  void typed(F f, size_t k = 0, size_t j = 0) {
    if (out_[j].floating())
      f(static_cast<const double*>(in_[k].d), out_[j].d);
    else
      f(static_cast<const int64_t*>(in_[k].i), out_[j].i);
  }
  [[noreturn]] void fail(Error::Kind kind, std::initializer_list<Piece> text) const;

 private:
  std::vector<RefTensor> in_, out_;
  const void* attrs_;
};

/// The gradient rule's view of a node: reads inputs, outputs and output gradients, sets input
/// gradients, all as graphs.
class Vjp {
 public:
  /// `dx` has an undefined tensor for each input.
  Vjp(Node* node, std::span<const Tensor> dy, std::span<Tensor> dx, const std::vector<bool>& wants);
  const Tensor& x(size_t i) const { return in_[i]; }
  size_t inputs() const { return in_.size(); }
  Tensor y(size_t k = 0) const { return Tensor(node_, static_cast<uint32_t>(k)); }
  /// Gradient of output k; zeros if nothing depends on it.
  Tensor dy(size_t k = 0) const;
  bool has_dy(size_t k) const { return dy_[k].defined(); }
  /// Gradient of input i, to be set. Left undefined it means zero. Elementwise ops may leave it in
  /// the broadcast shape.
  Tensor& dx(size_t i) { return dx_[i]; }
  bool wants(size_t i) const { return wants_[i]; }
  template <typename A>
  const A& attrs() const {
    return *static_cast<const A*>(attrs_);
  }

 private:
  Node* node_;
  std::span<const Tensor> in_, dy_;
  std::span<Tensor> dx_;
  const std::vector<bool>& wants_;
  const void* attrs_;
};

/// Result of a view op: where the elements of the output lie in the memory of input 0 (strides and
/// offset in elements).
struct View {
  Shape strides;
  int64_t offset = 0;
};

// ---- samples

/// How the values of one input of a sample are made. What makes samples is neither inline nor
/// compiled for speed: only tests run it, and it would be a third of the time to compile ops.
struct SampleInput {
  [[gnu::cold]] SampleInput();
  [[gnu::cold]] SampleInput(const SampleInput&);
  [[gnu::cold]] SampleInput(SampleInput&&) noexcept;
  [[gnu::cold]] SampleInput& operator=(const SampleInput&);
  [[gnu::cold]] SampleInput& operator=(SampleInput&&) noexcept;
  [[gnu::cold]] ~SampleInput();

  enum class Kind { uniform, integers, boolean, values, key } kind = Kind::uniform;
  Shape shape;
  double low = -1, high = 1;  ///< integers: low..high-1
  std::vector<double> values;
  DType dtype = DType::f32;  ///< f32 stands for "the floating type under test"
  bool differentiable = true;
};

struct OpSample {
  std::vector<SampleInput> inputs;
  std::function<Tensors(const Tensors&)> call;
  /// The same in Python with torch: inputs are {0}, {1}, ...; several outputs as a tuple. Empty:
  /// see `oracle`.
  std::string torch;
  /// Where no torch expression exists: the other oracle, in words.
  std::string oracle;
  bool check_grad = true;
  /// Relative tolerance against torch and between float types, in units of eps * c; 1 unless a
  /// reason is given.
  double slack = 1;
};

/// Collects the samples of an op.
class Samples {
 public:
  using Call = std::function<Tensors(const Tensors&)>;

  [[gnu::cold]] SampleInput uniform(Shape shape, double low = -1, double high = 1) const;
  /// Values of the floating type under test, given one by one: special cases.
  [[gnu::cold]] SampleInput at(std::vector<double> values, Shape shape) const;
  [[gnu::cold]] SampleInput at(std::vector<double> values) const;
  [[gnu::cold]] SampleInput integers(Shape shape, int64_t low, int64_t high,
                                     DType dtype = DType::i64) const;
  [[gnu::cold]] SampleInput ints_at(std::vector<double> values, Shape shape,
                                    DType dtype = DType::i64) const;
  [[gnu::cold]] SampleInput boolean(Shape shape) const;
  [[gnu::cold]] SampleInput key(uint64_t seed) const;
  /// Adds a sample; returns it, to set oracle, slack or check_grad.
  [[gnu::cold]] OpSample& add(std::initializer_list<SampleInput> inputs, Call call,
                              std::string_view torch = {});
  [[gnu::cold]] OpSample& add(std::vector<SampleInput> inputs, Call call,
                              std::string_view torch = {});
  /// Adds a call that must throw an Error of kind shape whose text contains `text`.
  [[gnu::cold]] void bad(std::initializer_list<SampleInput> inputs, Call call,
                         std::string_view text);
  [[gnu::cold]] void bad(std::vector<SampleInput> inputs, Call call, std::string_view text);

  std::vector<OpSample> list;
  std::vector<std::pair<OpSample, std::string>> bad_list;
};

// ---- the definition

enum class OpKind : uint8_t {
  compute,      ///< has a reference kernel
  elementwise,  ///< a reference of scalars; inputs broadcast to the output; the fuser takes it
  view,         ///< the output lies in the memory of input 0 where strides allow it
  composite,    ///< has a decomposition; a backend may claim it whole
  control,      ///< holds subgraphs, run by the executor
};

struct OpDef {
  const char* name;
  OpKind kind = OpKind::compute;
  const AttrType* attrs = nullptr;
  /// Checks inputs and adds the outputs' types and shapes. Throws through Infer::fail.
  void (*infer)(Infer&) = nullptr;
  /// Reference kernel: what the op means, the oracle of tests, the fallback of every backend.
  void (*ref)(Ref&) = nullptr;
  /// Elementwise references, on doubles and on integers.
  double (*f1)(double) = nullptr;
  double (*f2)(double, double) = nullptr;
  int64_t (*i1)(int64_t) = nullptr;
  int64_t (*i2)(int64_t, int64_t) = nullptr;
  /// Strides of a view of an input with these strides; nullopt if it has to be copied first.
  std::optional<View> (*view)(const void* attrs, const Shape& in, const Shape& strides,
                              const Shape& out) = nullptr;
  /// A composite in terms of other ops.
  Tensors (*decompose)(const void* attrs, const Tensors& in) = nullptr;
  /// Gradient, built from public ops; null: a composite's gradient is that of its decomposition,
  /// others have none.
  void (*vjp)(Vjp&) = nullptr;
  /// Multiply-accumulates of one call, for ops that are made of them; null for others.
  int64_t (*macs)(const Node&) = nullptr;
  /// Names in ONNX, separated by commas; "" if it has none.
  const char* onnx = "";
  void (*samples)(Samples&) = nullptr;
  /// False for ops whose values depend on more than inputs and attributes; they are never merged or
  /// folded.
  bool pure = true;
  uint64_t id = hash_name(name);

  static constexpr uint64_t hash_name(const char* s) {
    uint64_t h = 0xcbf29ce484222325ull;
    while (*s) h = (h ^ static_cast<unsigned char>(*s++)) * 0x100000001b3ull;
    return h;
  }
};

/// Defines op_<name>. The build collects these into the table of ops.
#define OP(name)                \
  extern const OpDef op_##name; \
  const OpDef op_##name

/// Marks a public declaration: the build copies it, with the comment above it, into nacre/ops.h.
#define API(...)

// ---- making nodes

/// Adds a node to the graph and returns its first output. Throws Error if the shape rule is broken.
Tensor make(const OpDef& op, Attrs attrs, std::span<const Tensor> in);
/// As make, returning all outputs.
Tensors make_all(const OpDef& op, Attrs attrs, std::span<const Tensor> in);

template <typename A>
Attrs box(A a) {
  static_assert(alignof(A) <= 16);
  return Attrs(attr_type<A>(), &a);
}
inline Tensor make(const OpDef& op, std::initializer_list<Tensor> in) {
  return make(op, Attrs(), std::span(in.begin(), in.size()));
}
template <typename A>
Tensor make(const OpDef& op, A attrs, std::initializer_list<Tensor> in) {
  return make(op, box(std::move(attrs)), std::span(in.begin(), in.size()));
}
template <typename A>
Tensors make_all(const OpDef& op, A attrs, std::initializer_list<Tensor> in) {
  return make_all(op, box(std::move(attrs)), std::span(in.begin(), in.size()));
}

// Shape rules that many ops share.

/// Output 0 has the type and shape of input K.
template <size_t K>
void infer_same(Infer& in) {
  in.out(in.dtype(K), in.shape(K));
}
/// As infer_same<0>, for floating inputs only.
void infer_same_float(Infer& in);
/// All inputs of one type, broadcast together; the result has that type.
void infer_broadcast(Infer& in);
/// As infer_broadcast, with a bool result.
void infer_compare(Infer& in);

// ---- registration

/// The op of that name, built in or registered; null if there is none.
const OpDef* find_op(std::string_view name);
/// All ops: built in (sorted by name), then registered.
std::vector<const OpDef*> all_ops();
/// Adds an op that is not built in (a plug-in's). Its name must be new. The definition must outlive
/// the program's use of it.
void register_op(const OpDef& op);
/// Loads a shared library and calls its `extern "C" void nacre_register_ops()`.
void load_plugin(const std::string& path);

}  // namespace nacre
