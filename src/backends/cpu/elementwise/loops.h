// The inner loops of elementwise programs: one instruction over n elements of a tile.
//
// Outputs may be the very array of an input of the same element size (in place), never overlap it
// otherwise. What is computed for an element does not depend on its position or on n. Truth values
// are bytes 0 and 1.
#pragma once

#include <cstdint>

#include "backends/cpu/elementwise/ops.h"
#include "nacre/dtype.h"

namespace nacre::cpu {

/// Arithmetic and functions of floats; b is null for unary instructions. `order` is the order of
/// polygamma.
void float_loop(Ew op, const float* a, const float* b, float* out, int64_t n, int64_t order);
void float_loop(Ew op, const double* a, const double* b, double* out, int64_t n, int64_t order);

/// Comparisons and tests of floats.
void float_test_loop(Ew op, const float* a, const float* b, uint8_t* out, int64_t n);
void float_test_loop(Ew op, const double* a, const double* b, uint8_t* out, int64_t n);

/// Instructions of integers and truth values (`type`), including comparisons, whose outputs are
/// truth values, and where, whose a is the condition. Division by zero gives 0, shifts by the
/// width or more shift everything out, arithmetic wraps.
void int_loop(Ew op, DType type, const void* a, const void* b, void* out, int64_t n);

/// out = condition ? a : b for elements of 1, 4 or 8 bytes.
void where_loop(size_t size, const uint8_t* condition, const void* a, const void* b, void* out,
                int64_t n);

/// Converts between register types (f32, f64, integers, bool).
void cast_loop(DType from, DType to, const void* in, void* out, int64_t n);

/// The functions without vector code: scalar, computed in double.
void rare_loop(Ew op, const float* a, const float* b, float* out, int64_t n, int64_t order);
void rare_loop(Ew op, const double* a, const double* b, double* out, int64_t n, int64_t order);

}  // namespace nacre::cpu
