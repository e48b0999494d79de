// Tensor: a handle on a node of a graph that is built as your code runs.
//
//   Tensor x = Tensor::from({1.f, 2.f, 3.f}, {3});
//   Tensor y = exp(x) * 2.0;      // records two nodes, computes nothing
//   std::cout << y;               // now the graph is compiled (or found in the plan cache) and run
//
// Copying a Tensor copies the handle (16 bytes). Values never change once made. A Tensor that has
// been evaluated may be read by several threads; a pending graph belongs to the thread that builds
// it. Shapes and types are known, and errors thrown, at the line that makes a node; values are
// computed when asked for (item, data, to_vector, eval, printing).
#pragma once

#include <iosfwd>
#include <memory>
#include <source_location>
#include <vector>

#include "nacre/dtype.h"
#include "nacre/error.h"
#include "nacre/shape.h"

namespace nacre {

class Node;
struct Output;

class Tensor {
 public:
  /// Undefined: defined() is false, everything else throws.
  Tensor() = default;
  /// A scalar (rank 0). Its type gives way: 2.0 * x has the type of a floating x. It is an input of
  /// compiled plans, never a constant, so changing its value does not recompile.
  Tensor(double v);
  Tensor(float v) : Tensor(static_cast<double>(v)) {}
  Tensor(int v) : Tensor(static_cast<int64_t>(v)) {}
  Tensor(int64_t v);
  Tensor(bool v);

  Tensor(const Tensor& o) : node_(o.node_), index_(o.index_) {
    if (node_) retain();
  }
  Tensor(Tensor&& o) noexcept : node_(o.node_), index_(o.index_) { o.node_ = nullptr; }
  Tensor& operator=(const Tensor& o);
  Tensor& operator=(Tensor&& o) noexcept {
    Node* node = node_;
    const uint32_t index = index_;
    node_ = o.node_;
    index_ = o.index_;
    o.node_ = node;
    o.index_ = index;
    return *this;
  }
  ~Tensor() {
    if (node_) release();
  }

  /// A tensor with a copy of the given values, row-major. Throws Error if the count does not fit
  /// the shape.
  template <typename T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from_bytes(values.data(), values.size() * sizeof(T), shape, dtype_of<T>::value);
  }
  template <typename T>
  static Tensor from(std::initializer_list<T> values, const Shape& shape) {
    return from(std::vector<T>(values), shape);
  }
  static Tensor from(const std::vector<bool>& values, const Shape& shape);
  static Tensor from_bytes(const void* data, size_t bytes, const Shape& shape, DType dtype);
  /// A tensor over memory that somebody else owns (a mapped file, say). It is never written to.
  /// `strides` are in elements; empty means contiguous.
  static Tensor wrap(std::shared_ptr<const void> owner, const void* data, const Shape& shape,
                     DType dtype, const Shape& strides = {});
  /// A strong scalar of a given type: unlike Tensor(2.0), its type does not give way.
  static Tensor scalar(double v, DType dtype);

  bool defined() const { return node_ != nullptr; }
  DType dtype() const;
  const Shape& shape() const;
  int64_t rank() const { return shape().rank(); }
  int64_t size(int64_t dim) const { return shape()[dim]; }
  int64_t numel() const { return shape().numel(); }

  /// The value of a tensor with one element. Evaluates.
  double item() const;
  int64_t item_int() const;
  /// All values, row-major, converted to T (float, double, int32_t, int64_t, uint8_t, int8_t).
  /// Evaluates.
  template <typename T>
  std::vector<T> to_vector() const;
  /// Pointer to the values, row-major and contiguous; valid while this tensor lives. Evaluates.
  const void* data() const;
  /// As data(), for a tensor that has exactly this element type.
  template <typename T>
  const T* data_as() const {
    check_dtype(dtype_of<T>::value);
    return static_cast<const T*>(data());
  }
  /// True if the values have been computed.
  bool evaluated() const;

  /// This tensor as a leaf whose gradient may be asked for after its uses were evaluated. Graphs
  /// above such leaves are kept until grad() has been taken. Parameters of modules are such leaves.
  Tensor as_leaf() const;

  /// Values and type as text, long dimensions abbreviated. Evaluates.
  std::string str() const;

  // The node behind the handle, for code that walks graphs.
  Node* node() const { return node_; }
  uint32_t index() const { return index_; }
  Tensor(Node* node, uint32_t index);
  friend bool same(const Tensor& a, const Tensor& b) {
    return a.node_ == b.node_ && a.index_ == b.index_;
  }

 private:
  void check_dtype(DType want) const;
  const Output& out() const;
  void retain() const;
  void release();
  Node* node_ = nullptr;
  uint32_t index_ = 0;
};

using Tensors = std::vector<Tensor>;

/// An argument of an op. Made implicitly from a Tensor or a number, it notes the line of your code
/// that made it, which error messages and plan dumps then name.
class In {
 public:
  In(const Tensor& t, std::source_location at = std::source_location::current()) : t_(&t) {
    note(at);
  }
  In(Tensor&& t, std::source_location at = std::source_location::current())
      : own_(std::move(t)), t_(&own_) {
    note(at);
  }
  In(double v, std::source_location at = std::source_location::current()) : own_(v), t_(&own_) {
    note(at);
  }
  In(float v, std::source_location at = std::source_location::current())
      : In(static_cast<double>(v), at) {}
  In(int v, std::source_location at = std::source_location::current())
      : In(static_cast<int64_t>(v), at) {}
  In(int64_t v, std::source_location at = std::source_location::current()) : own_(v), t_(&own_) {
    note(at);
  }
  In(bool v, std::source_location at = std::source_location::current()) : own_(v), t_(&own_) {
    note(at);
  }
  In(const In& o) : own_(o.own_), t_(o.own_.defined() ? &own_ : o.t_) {}
  In(In&& o) noexcept : own_(std::move(o.own_)), t_(own_.defined() ? &own_ : o.t_) {}
  In& operator=(const In&) = delete;

  const Tensor& get() const { return *t_; }
  operator const Tensor&() const { return *t_; }
  const Tensor* operator->() const { return t_; }
  /// The tensor, moved out if it was made for this argument; it is not to be used again.
  Tensor take() {
    if (own_.defined()) return std::move(own_);
    return *t_;
  }

 private:
  // Library sources are compiled so that their file names start with '<': only lines of users are
  // noted.
  static void note(const std::source_location& at) {
    if (at.file_name()[0] != '<') user_site = at;
  }
  static thread_local std::source_location user_site;
  friend std::source_location last_user_site();
  Tensor own_;
  const Tensor* t_;
};

/// A list of tensors as an argument of an op.
class Ins {
 public:
  Ins(std::initializer_list<Tensor> v, std::source_location at = std::source_location::current())
      : v_(v) {
    if (!v_.empty()) In(v_.front(), at);
  }
  Ins(Tensors v, std::source_location at = std::source_location::current()) : v_(std::move(v)) {
    if (!v_.empty()) In(v_.front(), at);
  }
  const Tensors& get() const { return v_; }
  operator const Tensors&() const { return v_; }
  size_t size() const { return v_.size(); }
  const Tensor& operator[](size_t i) const { return v_[i]; }

 private:
  Tensors v_;
};

/// The line of user code that last called into nacre on this thread.
std::source_location last_user_site();

/// Computes the values of these tensors in one plan. Tensors of pending nodes in between to which
/// you still hold handles are computed too. Throws Error; then nothing has changed, see
/// docs/architecture.md.
void eval(const Tensors& tensors);
inline void eval(const Tensor& t) { eval(Tensors{t}); }

Tensor operator+(In a, In b);
Tensor operator-(In a, In b);
Tensor operator*(In a, In b);
Tensor operator/(In a, In b);
Tensor operator-(In a);
Tensor operator<(In a, In b);
Tensor operator<=(In a, In b);
Tensor operator>(In a, In b);
Tensor operator>=(In a, In b);
Tensor& operator+=(Tensor& a, In b);
Tensor& operator-=(Tensor& a, In b);
Tensor& operator*=(Tensor& a, In b);
Tensor& operator/=(Tensor& a, In b);

std::ostream& operator<<(std::ostream& os, const Tensor& t);

/// While one lives on a thread, new nodes there are not tracked: their graphs are released once
/// evaluated, and grad() does not reach through them.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace nacre
