// One step of a program: what of it is checked when a file is opened, and the kernel that runs it.
// Kernels are plain C++ with the compiler's vectors, one thread, no allocation; all values are f32,
// row-major.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "embed/format.h"
#include "nacre/error.h"
#include "nacre/shape.h"

namespace nacre::embed {

constexpr int64_t kMaxSize = int64_t{1} << 33;  // values of one tensor

using Sizes = std::span<const int64_t>;

struct Window {
  int64_t kernel[2], stride[2], dilation[2], low[2], in[2], out[2];
};

struct Value {
  Shape shape;
  int64_t size = 1;
  const float* constant = nullptr;
  int root = -1;  ///< the value in whose memory it lies
  int first = -1, last = -1;
  int64_t place = -1;  ///< in the work space, in values
  bool made = false;
};

struct Kernel;

struct Step {
  Op op = Op::reshape;
  const Kernel* kernel = nullptr;
  std::vector<int> in;
  int out = 0;
  std::vector<int64_t> numbers;
  // Made ready by the kernel's check.
  Window window{};
  std::vector<int64_t> sizes;  ///< of the result, unless the kernel sets others
  std::vector<int64_t> strides[3];
  int64_t outer = 0, n = 0, inner = 0, offset = 0;
};

std::vector<int64_t> strides_of(const Shape& shape);
/// Strides of x where it is broadcast to `to`; false if it cannot be.
bool broadcast(const Shape& x, const Shape& to, std::vector<int64_t>& strides);

/// A step that is checked against the shapes it names; what does not fit is Error(data).
class Check {
 public:
  Check(Step& step, const std::vector<Value>& values, size_t number, std::string_view what)
      : step(step), values_(values), number_(number), what_(what) {}

  Step& step;
  const Shape& x(size_t k) const { return value(step.in.at(k)).shape; }
  const Shape& y() const { return value(step.out).shape; }
  int64_t x_size(size_t k) const { return value(step.in.at(k)).size; }
  int64_t y_size() const { return value(step.out).size; }

  /// That many inputs and numbers, or more numbers.
  void need(size_t in, size_t numbers, bool more = false) const;
  void ensure(bool ok) const;
  [[noreturn]] void damaged(std::initializer_list<Piece> why) const;
  /// outer, n and inner about this dimension.
  void split(const Shape& x, int64_t dim);
  /// The window of x and y, whose numbers begin at `at`; its kernel is known.
  void window(size_t at);
  /// Asks for that many values of scratch space.
  void scratch(int64_t size) { scratch_ = std::max(scratch_, size); }
  int64_t scratch() const { return scratch_; }

 private:
  const Value& value(int v) const { return values_[static_cast<size_t>(v)]; }
  const std::vector<Value>& values_;
  size_t number_;
  std::string_view what_;
  int64_t scratch_ = 0;
};

/// A step that runs.
struct Call {
  const Step& step;
  const std::vector<Value>& values;
  float* memory;
  float* scratch;  ///< as much as any step asked for
  std::string_view what;

  const float* x(size_t k) const {
    const Value& v = value(step.in[k]);
    return v.constant ? v.constant : memory + v.place;
  }
  float* y() const { return memory + value(step.out).place; }
  const Shape& shape(size_t k) const { return value(step.in[k]).shape; }
  const Shape& shape() const { return value(step.out).shape; }
  int64_t size(size_t k) const { return value(step.in[k]).size; }
  int64_t size() const { return value(step.out).size; }
  /// The place of 0 to n - 1 that an index names, which may count from the end; throws Error(data)
  /// if it is none.
  int64_t place(float index, int64_t n) const {
    const float at = index < 0 ? index + static_cast<float>(n) : index;
    if (!(at >= 0 && at < static_cast<float>(n)))
      fail(Error::Kind::data,
           {what, ": index ", static_cast<double>(index), " does not name one of ", n, " entries"});
    return static_cast<int64_t>(at);
  }

 private:
  const Value& value(int v) const { return values[static_cast<size_t>(v)]; }
};

/// How one kind of step is checked and run; of unary and binary ones each function is a kernel.
struct Kernel {
  Op op;
  int64_t function;  ///< by its place in kUnary or kBinary
  void (*check)(Check&);
  void (*run)(const Call&);
};

/// The kernels that this program has, null behind the last: all (embed/all_kernels.cpp), unless
/// what is linked has a list of its own, as executables of one model do.
extern const Kernel* const kernels[];

}  // namespace nacre::embed
