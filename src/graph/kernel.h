// What the compiler asks of a backend, and what a backend fills in.
//
// A backend provides one prepare function per op it implements. It is asked once per (op,
// attributes, types, shapes, strides); the Kernel it returns is kept and run many times, from any
// thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre {

struct OpDef;
class Graph;

/// One input or output of a kernel. Strides are in elements. Outputs are always contiguous.
struct Operand {
  DType dtype = DType::f32;
  Shape shape;
  Shape strides;
  int64_t numel() const { return shape.numel(); }
  size_t bytes() const { return static_cast<size_t>(numel()) * size_of(dtype); }
  /// True if the elements lie in row-major order without gaps (strides of dimensions of size 1 do
  /// not matter).
  bool contiguous() const;
};

/// The question "can you run this?", with everything a kernel may depend on.
struct KernelQuery {
  const OpDef& op;
  const void* attrs;  ///< the op's attribute struct, or null
  std::span<const Operand> in, out;
  uint64_t attrs_hash = 0;

  // Attributes by the name that the op gave them. Throw Error(internal) if there is no such
  // attribute.
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;
  bool flag(std::string_view name) const;
  Ints ints(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::shared_ptr<const Graph> graph(std::string_view name) const;

  bool all_contiguous() const;
  /// True if every floating input and output has this type.
  bool all_float(DType t) const;
};

/// A prepared computation. run() is const and re-entrant; all its temporary memory is `scratch`.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// in and out point to the first element of each operand. Throws Error on bad data (an index out
  /// of range).
  virtual void run(const void* const* in, void* const* out, void* scratch) const = 0;
  /// Bytes of scratch, 64-byte aligned, that run() wants.
  virtual size_t scratch_bytes() const { return 0; }
  /// The same kernel for an input whose values never change, with what depends on them alone made
  /// ready; null if there is nothing to gain. run() then does not look at that input.
  virtual std::unique_ptr<Kernel> with_constant(int input, const void* values) const {
    (void)input, (void)values;
    return nullptr;
  }
  /// True if output `out` may share memory with input `in` (same bytes, same order).
  virtual bool may_alias(int in, int out) const {
    (void)in, (void)out;
    return false;
  }
  /// What runs, for profiles and dumps: "dnnl:brgemm", "simd", "reference".
  virtual std::string description() const = 0;
};

/// Returns null if the question is not one for this backend (type, layout, rank).
using PrepareFn = std::unique_ptr<Kernel> (*)(const KernelQuery&);

/// One entry of a backend's table, made by the build from
/// src/backends/<backend>/kernels/<file>.cpp.
struct KernelEntry {
  std::string_view op;
  PrepareFn prepare;
};

}  // namespace nacre
