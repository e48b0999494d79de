// Shape: a short list of int64 (sizes, strides, dimensions, offsets).
//
//   Shape s = {8, 3, 32, 32};
//   s.rank();        // 4
//   s[-1];           // 32, negative indices count from the end
//   s.numel();       // 24576
//
// Up to six entries live inside the object; longer lists use the heap. A value type; copying is
// cheap.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace nacre {

class Shape {
 public:
  Shape() = default;
  /// A list of one entry: sum(x, 1) sums over dimension 1.
  Shape(int v) { push_back(v); }
  Shape(std::initializer_list<int64_t> v) { assign(v.begin(), v.size()); }
  Shape(const std::vector<int64_t>& v) { assign(v.data(), v.size()); }
  Shape(const int64_t* v, size_t n) { assign(v, n); }
  explicit Shape(size_t n, int64_t value) {
    resize(n);
    for (auto& x : *this) x = value;
  }
  Shape(const Shape& o) { copy(o); }
  Shape(Shape&& o) noexcept { take(o); }
  Shape& operator=(const Shape& o) {
    if (this != &o) copy(o);
    return *this;
  }
  Shape& operator=(Shape&& o) noexcept {
    if (this != &o) {
      release();
      take(o);
    }
    return *this;
  }
  ~Shape() { release(); }

  size_t size() const { return size_; }
  int64_t rank() const { return static_cast<int64_t>(size_); }
  bool empty() const { return size_ == 0; }
  int64_t* begin() { return heap_ ? heap_ : inline_; }
  int64_t* end() { return begin() + size_; }
  const int64_t* begin() const { return heap_ ? heap_ : inline_; }
  const int64_t* end() const { return begin() + size_; }
  const int64_t* data() const { return begin(); }
  int64_t back() const { return begin()[size_ - 1]; }

  /// Entry i; a negative i counts from the end. Throws Error when out of range.
  int64_t operator[](int64_t i) const { return begin()[at(i)]; }
  int64_t& operator[](int64_t i) { return begin()[at(i)]; }

  void push_back(int64_t v) {
    resize(size_ + 1);
    begin()[size_ - 1] = v;
  }
  void insert(int64_t pos, int64_t v);
  void erase(int64_t pos);
  void resize(size_t n) {
    if (n > capacity_) grow(n);
    for (size_t i = size_; i < n; ++i) begin()[i] = 0;
    size_ = static_cast<uint32_t>(n);
  }
  Shape slice(int64_t from, int64_t to) const;

  /// Product of all entries (1 for an empty list). Shapes of tensors never overflow: they are
  /// checked when made.
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : *this) n *= d;
    return n;
  }

  /// "8x3x32x32", "scalar" for rank 0.
  std::string str() const;
  /// "[8, 3, 32, 32]".
  std::string list() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.size_ != b.size_) return false;
    const int64_t *x = a.begin(), *y = b.begin();
    for (uint32_t i = 0; i < a.size_; ++i)
      if (x[i] != y[i]) return false;
    return true;
  }

 private:
  static constexpr uint32_t kInline = 6;
  size_t at(int64_t i) const {
    const int64_t n = static_cast<int64_t>(size_);
    if (i < -n || i >= n) bad_index(i);
    return static_cast<size_t>(i < 0 ? i + n : i);
  }
  [[noreturn]] void bad_index(int64_t i) const;
  void grow(size_t n);
  void assign(const int64_t* v, size_t n) {
    if (n > capacity_) grow(n);
    size_ = static_cast<uint32_t>(n);
    int64_t* to = begin();
    for (size_t i = 0; i < n; ++i) to[i] = v[i];
  }
  [[gnu::cold]] void copy_long(const Shape& o);
  void copy(const Shape& o) {
    if (heap_ || o.heap_) return copy_long(o);
    size_ = o.size_;
    std::memcpy(inline_, o.inline_, sizeof(inline_));
  }
  void take(Shape& o) noexcept {
    size_ = o.size_;
    capacity_ = o.capacity_;
    heap_ = o.heap_;
    std::memcpy(inline_, o.inline_, sizeof(inline_));
    o.heap_ = nullptr;
    o.size_ = 0;
    o.capacity_ = kInline;
  }
  void release() {
    if (!heap_) return;
    delete[] heap_;
    heap_ = nullptr;
  }

  uint32_t size_ = 0, capacity_ = kInline;
  int64_t* heap_ = nullptr;
  int64_t inline_[kInline] = {};
};

/// Lists of integers that are not sizes (dimensions, strides, paddings) use the same type.
using Ints = Shape;

/// Row-major strides, in elements, of a contiguous tensor of this shape.
Shape contiguous_strides(const Shape& shape);

/// The shape that both broadcast to (NumPy's rule). Throws Error if there is none.
Shape broadcast_shapes(const Shape& a, const Shape& b);

/// Turns a dimension that may be negative into 0..rank-1. Throws Error if it is out of range.
int64_t normalize_dim(int64_t dim, int64_t rank);

/// normalize_dim for each entry, sorted; an empty list means all dimensions. Throws Error on
/// duplicates.
Ints normalize_dims(const Ints& dims, int64_t rank);

}  // namespace nacre
