// A node of the graph: an op, its attributes and inputs, and, once evaluated, its values.
//
// Kinds of nodes: op nodes; leaves (no op, values); placeholders (no op, no values: the inputs of a
// Graph).
#pragma once

#include <atomic>
#include <mutex>

#include "graph/storage.h"
#include "nacre/op.h"

namespace nacre {

struct Output {
  DType dtype = DType::f32;
  Shape shape;
  RefPtr<Storage> storage;  ///< set once evaluated
  Shape strides;            ///< in elements; meaningful once evaluated
  int64_t offset = 0;       ///< in elements
  const void* data() const {
    return static_cast<const char*>(storage->data()) +
           offset * static_cast<int64_t>(size_of(dtype));
  }
};

/// A fixed-size array with room for N entries inside the object.
template <typename T, size_t N>
class FixedArray {
 public:
  FixedArray() = default;
  ~FixedArray() { delete[] heap_; }
  FixedArray(const FixedArray&) = delete;
  FixedArray& operator=(const FixedArray&) = delete;
  void allocate(size_t n) {
    if (n > capacity_) grow(n);
    size_ = static_cast<uint32_t>(n);
  }
  /// One more entry; invalidates references to the others.
  T& add() {
    if (size_ == capacity_) grow(2 * size_t{size_});
    return begin()[size_++];
  }
  void clear() {
    for (auto& v : *this) T gone = std::move(v);
    size_ = 0;
  }
  T* begin() { return heap_ ? heap_ : inline_; }
  T* end() { return begin() + size_; }
  const T* begin() const { return heap_ ? heap_ : inline_; }
  const T* end() const { return begin() + size_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return begin()[i]; }
  const T& operator[](size_t i) const { return begin()[i]; }
  operator std::span<const T>() const { return {begin(), size_}; }

 private:
  void grow(size_t n) {
    T* bigger = new T[n];
    std::move(begin(), end(), bigger);
    delete[] heap_;
    heap_ = bigger;
    capacity_ = static_cast<uint32_t>(n);
  }
  T* heap_ = nullptr;
  uint32_t size_ = 0, capacity_ = N;
  T inline_[N];
};

/// The fields that walks over graphs read come first, within two cache lines.
class alignas(64) Node {
  std::atomic<uint32_t> refs_{0};

 public:
  std::atomic<uint32_t> holds{0};  ///< references that do not count as uses (see Parameter)
  // Scratch of traversals, guarded by graph_mutex().
  uint64_t mark = 0;
  uint32_t position = 0, uses = 0;

  const OpDef* op = nullptr;
  uint64_t hash = 0;  ///< of op, attributes, types and shapes; not of inputs
  Attrs attrs;
  uint64_t order = 0;  ///< above that of its inputs and of what its thread made before
  bool evaluated = false;
  /// Depends on a leaf made by as_leaf, so its graph outlives its evaluation.
  bool tracked = false;
  bool consumed = false;  ///< grad() went through it: the graph may go once evaluated
  bool leaf_of_grad = false;
  bool weak = false;  ///< a C++ number whose type gives way
  FixedArray<Tensor, 3> inputs;
  FixedArray<Output, 1> outputs;

  std::source_location site;
  const std::string* layer = nullptr;  ///< path of the module that made it; never goes; may be null
  uint32_t origin = 0;   ///< in a graph being compiled: 1 + position of the node of the evaluation
                         ///< for which it stands; 0: none
  uint32_t thread = 0;   ///< number of the thread that made it
  int placeholder = -1;  ///< position among the inputs of a Graph
  uint64_t trace = 0;    ///< the Tracing during which it was made; 0: none
  double number = 0;     ///< value of a weak scalar

  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    // Whoever holds the only reference shares it with nobody.
    if (refs_.load(std::memory_order_acquire) == 1 ||
        refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy(this);
  }
  uint32_t refs() const { return refs_.load(std::memory_order_relaxed); }

  static void* operator new(size_t bytes);
  static void operator delete(void* p);

 private:
  static void destroy(Node* n);
};

/// Guards marks of nodes and the moment when values are stored in nodes.
std::recursive_mutex& graph_mutex();
/// A fresh value for Node::mark. Call with the mutex held.
uint64_t next_mark();

/// Tells the nodes that this thread makes while it lives from all others.
class MadeSince {
 public:
  MadeSince();
  bool operator()(const Node& n) const { return n.thread == thread_ && n.order > start_; }

 private:
  uint32_t thread_;
  uint64_t start_;
};

/// As make, taking the handles out of `in`.
Tensor make_from(const OpDef& op, Attrs attrs, std::span<Tensor> in);

/// " in layer conv1 at train.cpp:41", for messages; "" if nothing is known.
std::string place_of(const Node& n);

/// Multiply-accumulates of a node; those of a composite are counted in its parts.
int64_t macs_of(const Node& n);

/// While one lives on a thread, nodes are made in the stead of `n`: they take its layer, its line
/// and its origin.
class MadeFor {
 public:
  explicit MadeFor(const Node& n);
  ~MadeFor();
  MadeFor(const MadeFor&) = delete;
  MadeFor& operator=(const MadeFor&) = delete;

 private:
  const Node* before_;
};

/// The node again on other inputs of the same types and shapes.
Node* clone(const Node& n, std::span<const Tensor> inputs);

/// A leaf over a storage. Takes over the reference.
Tensor make_leaf(Storage* storage, DType dtype, const Shape& shape);
/// Input number `position` of a Graph.
Tensor make_placeholder(int position, DType dtype, const Shape& shape);

inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t h = a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2));
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93ull;
  return h ^ (h >> 32);
}
uint64_t hash_of(DType dtype, const Shape& shape);

/// While one lives on a thread, C++ numbers in expressions are made once: after restart(), number k
/// is the node that number k was before if its value is the same. An optimiser's numbers thus are
/// inputs of a plan once, not once for each parameter.
class SharedNumbers {
 public:
  SharedNumbers();
  ~SharedNumbers();
  SharedNumbers(const SharedNumbers&) = delete;
  SharedNumbers& operator=(const SharedNumbers&) = delete;
  void restart() { next_ = 0; }
  static Tensor number(double v, int64_t i, DType dtype);

 private:
  Tensors made_;
  size_t next_ = 0;
  SharedNumbers* before_;
};

/// True while nodes made on this thread are part of a plan being compiled: they are never run one
/// by one, and numbers in them are constants.
bool tracing();
class Tracing {
 public:
  Tracing();
  ~Tracing();
  uint64_t id() const { return id_; }

 private:
  uint64_t id_, before_;
};

/// While one lives on a thread, evaluated nodes keep their graphs: gradient rules that ask for
/// values must not cut what is still being differentiated.
class Differentiating {
 public:
  Differentiating();
  ~Differentiating();
  static bool now();
};

/// Graph::trace for ops that hold subgraphs: tensors from outside that `f` captures become further
/// inputs of the graph and are appended to `captured`. All outputs are contiguous.
Graph trace_closed(const std::function<Tensors(const Tensors&)>& f, const Tensors& like,
                   Tensors& captured);

/// NACRE_EAGER=1, or set_eager: each op runs at once with the passes off.
bool eager();

/// The nodes below the roots, inputs first, in an order that depends on nothing but the graph.
/// Iterative, so that deep graphs do not exhaust the stack. Evaluated nodes are not entered.
std::vector<Node*> topological(std::span<const Tensor> roots);
std::vector<Node*> topological(const Graph& graph);
/// The nodes in the order in which they were made (by one thread), inputs first too. Compiled in
/// this order, values are used as soon as in the program: the gradient of a weight is taken while
/// the activation that it needs is still there, and what a checkpoint computes again comes late.
std::vector<Node*> as_recorded(std::vector<Node*> nodes);

/// Where messages say things happened: " in conv1 (LeNet5) at train.cpp:41"; "" if nothing is
/// known.
std::string where();
/// The path of the module that runs on this thread, for messages and dumps.
class ModulePath {
 public:
  explicit ModulePath(const std::string& path);
  ~ModulePath();
  static const std::string& current();

 private:
  const std::string* before_;
};

}  // namespace nacre
