#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <ostream>
#include <unordered_set>

#include "base/spare.h"
#include "graph/node.h"
#include "graph/recording.h"
#include "graph/untraced.h"

namespace nacre {

thread_local std::source_location In::user_site;

std::source_location last_user_site() { return In::user_site; }

namespace {

thread_local bool no_grad = false;
thread_local uint64_t current_trace = 0;
/// The order of the node that this thread made last.
thread_local uint64_t clock_of_thread = 0;
uint32_t thread_number() {
  static std::atomic<uint32_t> threads{0};
  thread_local uint32_t mine = 0;
  if (mine == 0) mine = ++threads;
  return mine;
}
thread_local const std::string* module_path = nullptr;
thread_local const Node* made_for = nullptr;

[[noreturn]] void undefined() {
  fail(Error::Kind::shape, {"the tensor is undefined (default constructed)", where()});
}

int64_t checked_numel(const Shape& shape) {
  constexpr int64_t kMost = int64_t{1} << 48;
  int64_t n = 1;
  for (int64_t d : shape) {
    if (d < 0) fail(Error::Kind::shape, {"a shape has a negative dimension: ", as_list(shape)});
    if (__builtin_mul_overflow(n, d, &n) || n > kMost)
      fail(Error::Kind::memory, {"a shape is too large: ", as_list(shape)});
  }
  return n;
}

Node* new_node() {
  auto* n = new Node;
  if (made_for) {
    n->site = made_for->site;
    n->layer = made_for->layer;
    n->origin = made_for->origin;
  } else {
    n->site = last_user_site();
    n->layer = module_path;
  }
  n->trace = current_trace;
  n->thread = thread_number();
  n->order = ++clock_of_thread;
  Recording::made(n, made_for);
  return n;
}

void store_number(void* to, double v, int64_t i, DType dtype) {
  switch (dtype) {
    case DType::f32:
      *static_cast<float*>(to) = static_cast<float>(v);
      return;
    case DType::f64:
      *static_cast<double*>(to) = v;
      return;
    case DType::bf16:
      *static_cast<uint16_t*>(to) = f32_to_bf16(static_cast<float>(v));
      return;
    case DType::f16:
      *static_cast<uint16_t*>(to) = f32_to_f16(static_cast<float>(v));
      return;
    case DType::i8:
      *static_cast<int8_t*>(to) = static_cast<int8_t>(i);
      return;
    case DType::u8:
      *static_cast<uint8_t*>(to) = static_cast<uint8_t>(i);
      return;
    case DType::i32:
      *static_cast<int32_t*>(to) = static_cast<int32_t>(i);
      return;
    case DType::i64:
      *static_cast<int64_t*>(to) = i;
      return;
    case DType::boolean:
      *static_cast<bool*>(to) = i != 0;
      return;
  }
}

Tensor number(double v, int64_t i, DType dtype, bool weak) {
  Storage* s = Storage::allocate(8);
  store_number(s->data(), v, i, dtype);
  Tensor t = make_leaf(s, dtype, {});
  t.node()->weak = weak;
  t.node()->number = v;
  return t;
}

}  // namespace

// ---- nodes

using SpareNodes = Spare<sizeof(Node), alignof(Node)>;
void* Node::operator new(size_t) { return SpareNodes::take(); }
void Node::operator delete(void* p) { SpareNodes::give(p); }

void Node::destroy(Node* n) {
  // A long chain of nodes is released by a loop, not by recursion.
  struct List {
    std::vector<Node*> nodes;
    bool gone = false;  // the thread ends
    ~List() { gone = true; }
  };
  thread_local List list;
  thread_local bool busy = false;
  if (list.gone) return delete n;
  if (busy) return list.nodes.push_back(n);
  busy = true;
  delete n;
  while (!list.nodes.empty()) {
    Node* next = list.nodes.back();
    list.nodes.pop_back();
    delete next;
  }
  busy = false;
}

std::recursive_mutex& graph_mutex() {
  static std::recursive_mutex m;
  return m;
}

uint64_t next_mark() {
  static uint64_t mark = 0;
  return ++mark;
}

uint64_t hash_of(DType dtype, const Shape& shape) {
  uint64_t h = mix(static_cast<uint64_t>(dtype) + 1, shape.size());
  for (int64_t d : shape) h = mix(h, static_cast<uint64_t>(d));
  return h;
}

Tensor make_leaf(Storage* storage, DType dtype, const Shape& shape) {
  Node* n = new_node();
  Output& o = n->outputs.add();
  o.dtype = dtype;
  o.shape = shape;
  o.strides = contiguous_strides(shape);
  o.storage = RefPtr<Storage>::adopt(storage);
  n->evaluated = true;
  return Tensor(n, 0);
}

Tensor make_placeholder(int position, DType dtype, const Shape& shape) {
  Node* n = new_node();
  Output& o = n->outputs.add();
  o.dtype = dtype;
  o.shape = shape;
  n->placeholder = position;
  n->hash = mix(hash_of(dtype, shape), static_cast<uint64_t>(position));
  return Tensor(n, 0);
}

bool tracing() { return current_trace != 0; }
Tracing::Tracing() : before_(current_trace) {
  static std::atomic<uint64_t> count{0};
  id_ = current_trace = ++count;
}
Tracing::~Tracing() { current_trace = before_; }
Untraced::Untraced() : before_(current_trace) { current_trace = 0; }
Untraced::~Untraced() { current_trace = before_; }

namespace {
thread_local int differentiating = 0;
}
Differentiating::Differentiating() { ++differentiating; }
Differentiating::~Differentiating() { --differentiating; }
bool Differentiating::now() { return differentiating > 0; }

NoGrad::NoGrad() : before_(no_grad) { no_grad = true; }
NoGrad::~NoGrad() { no_grad = before_; }

namespace {
/// Nodes and plans refer to paths long after the modules are gone, so paths are kept for good.
const std::string* interned(const std::string& path) {
  static std::mutex mutex;
  static auto* paths = new std::unordered_set<std::string>;
  std::lock_guard lock(mutex);
  return &*paths->insert(path).first;
}

std::string place(const std::string* layer, const std::source_location& site) {
  std::string s;
  if (layer && !layer->empty()) s += " in layer " + *layer;
  // An argument of a std::function is made in a header of the standard library.
  if (site.line() && !std::strstr(site.file_name(), "/c++/"))
    s += cat({" at ", site.file_name(), ":", site.line()});
  return s;
}
}  // namespace

MadeFor::MadeFor(const Node& n) : before_(made_for) { made_for = &n; }
MadeFor::~MadeFor() { made_for = before_; }

ModulePath::ModulePath(const std::string& path) : before_(module_path) {
  module_path = interned(path);
}
ModulePath::~ModulePath() { module_path = before_; }
const std::string& ModulePath::current() {
  static const std::string none;
  return module_path ? *module_path : none;
}

std::string where() { return place(module_path, last_user_site()); }
std::string place_of(const Node& n) { return place(n.layer, n.site); }

std::vector<Node*> topological(std::span<const Tensor> roots) {
  std::lock_guard lock(graph_mutex());
  const uint64_t mark = next_mark();
  std::vector<Node*> order;
  std::vector<std::pair<Node*, size_t>> stack;
  for (const Tensor& r : roots) {
    if (!r.defined() || r.node()->mark == mark) continue;
    r.node()->mark = mark;
    stack.emplace_back(r.node(), 0);
    while (!stack.empty()) {
      auto& [n, next] = stack.back();
      if (next < n->inputs.size() && !n->evaluated) {
        Node* child = n->inputs[next++].node();
        if (child->mark != mark) {
          child->mark = mark;
          stack.emplace_back(child, 0);
        }
      } else {
        order.push_back(n);
        stack.pop_back();
      }
    }
  }
  return order;
}

std::vector<Node*> as_recorded(std::vector<Node*> nodes) {
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const Node* a, const Node* b) { return a->order < b->order; });
  return nodes;
}

// ---- handles

namespace {
thread_local SharedNumbers* shared_numbers = nullptr;
}
SharedNumbers::SharedNumbers() : before_(shared_numbers) { shared_numbers = this; }
SharedNumbers::~SharedNumbers() { shared_numbers = before_; }
Tensor SharedNumbers::number(double v, int64_t i, DType dtype) {
  SharedNumbers* s = shared_numbers;
  if (!s) return nacre::number(v, i, dtype, true);
  if (s->next_ == s->made_.size()) s->made_.push_back(nacre::number(v, i, dtype, true));
  const Tensor& known = s->made_[s->next_++];
  return known.node()->number == v && known.dtype() == dtype ? known
                                                             : nacre::number(v, i, dtype, true);
}

Tensor::Tensor(double v) : Tensor(SharedNumbers::number(v, static_cast<int64_t>(v), DType::f32)) {}
Tensor::Tensor(int64_t v) : Tensor(SharedNumbers::number(static_cast<double>(v), v, DType::i64)) {}
Tensor::Tensor(bool v) : Tensor(SharedNumbers::number(v, v, DType::boolean)) {}
Tensor::Tensor(Node* node, uint32_t index) : node_(node), index_(index) { node_->retain(); }
Tensor& Tensor::operator=(const Tensor& o) {
  if (o.node_) o.node_->retain();
  if (node_) node_->release();
  node_ = o.node_;
  index_ = o.index_;
  return *this;
}
void Tensor::retain() const { node_->retain(); }
void Tensor::release() { node_->release(); }

Tensor Tensor::scalar(double v, DType dtype) {
  return number(v, static_cast<int64_t>(v), dtype, false);
}

Tensor Tensor::from_bytes(const void* data, size_t bytes, const Shape& shape, DType dtype) {
  const size_t want = static_cast<size_t>(checked_numel(shape)) * size_of(dtype);
  if (bytes != want)
    fail(Error::Kind::shape,
         {"a tensor of shape ", shape, " and type ", dtype, " needs ", want / size_of(dtype),
          " values, got ", bytes / size_of(dtype), where()});
  Storage* s = Storage::allocate(want);
  if (want) std::memcpy(s->data(), data, want);
  return make_leaf(s, dtype, shape);
}

Tensor Tensor::from(const std::vector<bool>& values, const Shape& shape) {
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  return from_bytes(bytes.data(), bytes.size(), shape, DType::boolean);
}

Tensor Tensor::wrap(std::shared_ptr<const void> owner, const void* data, const Shape& shape,
                    DType dtype, const Shape& strides) {
  const int64_t n = checked_numel(shape);
  if (!strides.empty() && strides.size() != shape.size())
    fail(Error::Kind::shape, {"strides ", as_list(strides), " do not fit shape ", as_list(shape)});
  Tensor t = make_leaf(
      Storage::wrap(std::move(owner), data, static_cast<size_t>(n) * size_of(dtype)), dtype, shape);
  if (!strides.empty()) t.node()->outputs[0].strides = strides;
  return t;
}

const Output& Tensor::out() const {
  if (!node_) undefined();
  return node_->outputs[index_];
}

[[gnu::flatten]] DType Tensor::dtype() const { return out().dtype; }
[[gnu::flatten]] const Shape& Tensor::shape() const { return out().shape; }
bool Tensor::evaluated() const { return node_ && node_->evaluated; }

void Tensor::check_dtype(DType want) const {
  if (dtype() != want)
    fail(Error::Kind::shape, {"the tensor has type ", dtype(), ", asked for ", want, where()});
}

Tensor Tensor::as_leaf() const {
  if (!node_) undefined();
  if (!evaluated()) eval(*this);
  Node* n = new_node();
  n->outputs.add() = out();
  n->evaluated = n->tracked = n->leaf_of_grad = true;
  return Tensor(n, 0);
}

MadeSince::MadeSince() : thread_(thread_number()), start_(clock_of_thread) {}

Node* clone(const Node& n, std::span<const Tensor> inputs) {
  for (const Tensor& t : inputs) clock_of_thread = std::max(clock_of_thread, t.node()->order);
  Node* c = new_node();
  c->op = n.op;
  c->attrs = n.attrs;
  c->hash = n.hash;
  c->site = n.site;
  c->layer = n.layer;
  c->origin = n.origin;
  c->placeholder = n.placeholder;
  for (const Output& from : n.outputs) {
    Output& o = c->outputs.add();
    o.dtype = from.dtype;
    o.shape = from.shape;
  }
  c->inputs.allocate(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) c->inputs[i] = inputs[i];
  return c;
}

// ---- making nodes

thread_local Recording* Recording::current_ = nullptr;

Recording::Recording(std::span<Node* const> known) : before_(current_) {
  for (size_t i = 0; i < known.size(); ++i) entries_[known[i]] = {-1, static_cast<int>(i)};
  current_ = this;
}
Recording::~Recording() { current_ = before_; }

void Recording::note(const Node* n, const Node* stands_for) {
  int position = kNone;
  if (stands_for) {
    const auto at = entries_.find(stands_for);
    position = at == entries_.end() ? kUnknown : at->second.stands_for;
  }
  entries_[n] = {count_++, position};  // over what had this address before
}

const Recording::Entry* Recording::find(const Node* n) const {
  const auto at = entries_.find(n);
  return at == entries_.end() || at->second.number < 0 ? nullptr : &at->second;
}

Node* make_again(const OpDef& op, const Attrs& attrs, uint64_t hash,
                 std::span<const OutputType> outputs, std::span<Tensor> inputs, const Node* like) {
  bool tracked = false;
  for (const Tensor& t : inputs) {
    tracked |= t.node()->tracked;
    clock_of_thread = std::max(clock_of_thread, t.node()->order);
  }
  const Node* before = made_for;
  if (like) made_for = like;
  Node* n = new_node();
  made_for = before;
  n->op = &op;
  n->attrs = attrs;
  n->hash = hash;
  n->tracked = tracked && !no_grad;
  n->outputs.allocate(outputs.size());
  for (size_t k = 0; k < outputs.size(); ++k) {
    n->outputs[k].dtype = outputs[k].dtype;
    n->outputs[k].shape = outputs[k].shape;
  }
  n->inputs.allocate(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) n->inputs[i] = std::move(inputs[i]);
  return n;
}

namespace {

/// Takes the handles out of `movable` if it is given; it then is `in`.
Node* make_node(const OpDef& op, Attrs attrs, std::span<const Tensor> in,
                Tensor* movable = nullptr) {
  bool tracked = false;
  FixedArray<Infer::Input, 8> types;
  types.allocate(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined())
      fail(Error::Kind::shape, {"[", op.name, "] an input is an undefined tensor", where()});
    const Node* x = in[i].node();
    const Output& o = x->outputs[in[i].index()];
    types[i] = {o.dtype, &o.shape};
    tracked |= x->tracked;
    clock_of_thread = std::max(clock_of_thread, x->order);
  }
  std::unique_ptr<Node> made(new_node());
  Node* n = made.get();
  Infer infer(op, attrs.get(), types, *n);
  op.infer(infer);
  if (n->outputs.size() == 0) infer.fail({"has no output"});
  uint64_t h = mix(op.id, attrs.hash());
  for (const Output& o : n->outputs) {
    checked_numel(o.shape);
    h = mix(h, hash_of(o.dtype, o.shape));
  }
  n->op = &op;
  n->attrs = std::move(attrs);
  n->hash = h;
  n->tracked = tracked && !no_grad;
  n->inputs.allocate(in.size());
  Tensor* to = n->inputs.begin();
  if (movable)
    for (size_t i = 0; i < in.size(); ++i) to[i] = std::move(movable[i]);
  else
    for (size_t i = 0; i < in.size(); ++i) to[i] = in[i];
  return made.release();
}

}  // namespace

Tensor make(const OpDef& op, Attrs attrs, std::span<const Tensor> in) {
  Tensor t(make_node(op, std::move(attrs), in), 0);
  if (eager() && !tracing()) eval(t);
  return t;
}

Tensor make_from(const OpDef& op, Attrs attrs, std::span<Tensor> in) {
  Tensor t(make_node(op, std::move(attrs), in, in.data()), 0);
  if (eager() && !tracing()) eval(t);
  return t;
}

Tensors make_all(const OpDef& op, Attrs attrs, std::span<const Tensor> in) {
  Node* n = make_node(op, std::move(attrs), in);
  Tensors out;
  out.reserve(n->outputs.size());
  for (uint32_t i = 0; i < n->outputs.size(); ++i) out.emplace_back(n, i);
  if (eager() && !tracing()) eval(out);
  return out;
}

}  // namespace nacre
