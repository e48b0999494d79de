// Derivatives. Gradients are graphs built from public ops, so they can be differentiated again, and
// the compiler sees forward, backward and update as one program.
//
//   Tensors g = grad(loss, {w, b});
//   Tensor penalty = sum(square(grad(sum(f(x)), {x})[0]));   // second order
//
// grad() of a tensor whose graph has already been evaluated works if the graph was kept: above
// leaves made by Tensor::as_leaf (all parameters of modules are), until the first grad() through it
// has been evaluated too.
#pragma once

#include <functional>

#include "nacre/tensor.h"

namespace nacre {

/// Gradients of `output` (one element, floating) with respect to each of `inputs`. An input that
/// does not influence the output has gradient zeros. Throws Error if the output is not a scalar or
/// its graph is gone.
Tensors grad(const Tensor& output, const Tensors& inputs);

/// Sums of vector-Jacobian products: d(sum_k outputs[k] * cotangents[k]) / d(inputs). An undefined
/// cotangent is zero.
Tensors vjp(const Tensors& outputs, const Tensors& inputs, const Tensors& cotangents);

/// Jacobian-vector products of `f` at `at` along `tangents`, forward mode: one tensor for each
/// output of f. Built from two reverse passes (vjp is linear in its cotangent; its transpose is the
/// jvp).
Tensors jvp(const std::function<Tensors(const Tensors&)>& f, const Tensors& at,
            const Tensors& tangents);

/// Gradient checkpointing: returns f(inputs), but the values inside f are not kept for the backward
/// pass; they are computed again when the gradient needs them. Random numbers drawn inside from
/// explicit keys are the same both times. Tensors that f captures besides its inputs (parameters)
/// get gradients too.
Tensors checkpoint(const std::function<Tensors(const Tensors&)>& f, const Tensors& inputs);

/// The value of t, with no gradient through it.
Tensor stop_gradient(In t);

}  // namespace nacre
