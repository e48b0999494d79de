// The table of all operators, made by the build from src/ops.
#pragma once

#include <span>

namespace nacre {

struct OpDef;

/// An operator with what its file says of it. All texts live as long as the program.
struct OpDocumented {
  const OpDef* def;
  const char* family;     ///< folder below src/ops: "math"
  const char* file;       ///< "src/ops/math/erf.cpp"
  const char* doc;        ///< its documentation, lines separated by \n
  const char* signature;  ///< its C++ declaration, "" for a node that no public function makes
};

/// Every operator that has an OP(name) line, in order of family and file.
std::span<const OpDocumented> builtin_ops();

}  // namespace nacre
