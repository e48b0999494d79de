// Conversion between element types.
#pragma once

#include "nacre/onnx.h"

namespace nacre::onnx {

/// Cast of ONNX: to and from text too. `saturate` and `round_mode` are for float8, see round_to.
Value cast_value(const Value& v, Elem to, bool saturate = true, std::string_view round_mode = "up");

/// The type called "FLOAT", "INT64", ... as opsets before 6 write it.
Elem elem_named(std::string_view name);

}  // namespace nacre::onnx
