// What the methods share: scores of classes, checks, and maps in the size of a picture.
#pragma once

#include "nacre/explain.h"

namespace nacre::explain {

/// The score of its class for each row of y, [n]. Throws Error(shape) unless y is [n, classes], and
/// Error(usage) for classes out of range or a wrong number of them.
Tensor pick(const Tensor& y, const Classes& classes);

/// One entry for each of n samples.
Classes for_each(const Classes& classes, int64_t n);

/// d(sum of the class scores) / dx, of each sample its own.
Tensor gradient(const Scores& f, const Tensor& x, const Classes& classes);

/// `fill` (or zeros, if undefined) in the shape of x.
Tensor like(const Tensor& fill, const Tensor& x);

/// Throws Error(shape) unless x is [n, channels, h, w] with at least one value.
void check_pictures(const char* method, const Tensor& x);

/// The output of a layer and the scores of one pass.
struct Tapped {
  Tensor maps, scores;
};
/// Throws Error(usage) that names layers if there is no such layer or its output is no stack of
/// maps.
Tapped tap(Module& net, const Tensor& x, const std::string& layer);

/// Calls of one size for `count` items, as many as `most` at once: plans are made for a shape. The
/// last call may reach behind the end; those items count for nothing.
struct Calls {
  Calls(size_t count, size_t most)
      : calls((count + most - 1) / most), size(calls ? (count + calls - 1) / calls : 0) {}
  size_t calls, size;
};

}  // namespace nacre::explain
