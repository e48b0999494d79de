// What losses share.
#pragma once

#include "ops/op.h"

namespace nacre {

/// A Reduction as an attribute: its number, checked by the shape rules below.
inline int64_t number_of(Reduction r) { return static_cast<int64_t>(r); }

/// Losses of items, reduced as an attribute says.
Tensor reduced(const Tensor& losses, int64_t reduction);
/// The same with weights of the items: a mean is divided by their sum.
Tensor reduced(const Tensor& losses, const Tensor& weights, int64_t reduction);

/// Adds the output of a loss whose items have this shape, in the type of input 0.
void infer_loss(Infer& in, int64_t reduction, const Shape& items);
/// Shape rule: so many inputs, all floating, of one type and one shape, one item for each element.
void infer_loss_of_pairs(Infer& in, int64_t reduction, size_t inputs = 2);
/// Checks targets [N, ...] of predictions [N, C, ...] and, with three inputs, weights [C].
void check_classes(Infer& in);

/// Predictions [N, C, ...] as a matrix with a row of C for each item.
Tensor rows_of_classes(const Tensor& x);

/// Class targets as items, with those equal to ignore_index masked out.
struct Targets {
  Tensor index;    ///< i64, 0 where ignored
  Tensor valid;    ///< bool
  Tensor weights;  ///< of the class, 0 where ignored; in the type of the predictions
};
Targets targets_of(const Tensor& target, int64_t ignore_index, const Tensor& class_weights,
                   DType dtype);

}  // namespace nacre
