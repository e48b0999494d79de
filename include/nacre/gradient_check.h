// Is a gradient right? Compares grad() with central differences.
//
//   double off = gradient_error([](const Tensors& x) { return sum(bell(x[0])); }, {x});
//   // off < 1e-6 for a smooth f in f64
#pragma once

#include <functional>

#include "nacre/tensor.h"

namespace nacre {

/// The largest difference between the gradient of f and central differences of f with this step,
/// over all elements of `at`, relative to the largest element of the gradient (at least 1e-3).
/// f: gives one number, the same each time; at: f64 tensors (others are too coarse: Error(usage)).
/// Kinks nearer than the step count as errors; a NaN on either side gives NaN.
double gradient_error(const std::function<Tensor(const Tensors&)>& f, const Tensors& at,
                      double step = 1e-5);

}  // namespace nacre
