// Moving pictures together with their labels.
#pragma once

#include "nacre/transforms.h"

namespace nacre::data {

/// (x, y) -> (xx x + xy y + x0, yx x + yy y + y0), in pixels, with pixel i covering i to i + 1.
struct Affine {
  double xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;
  /// First `first`, then this.
  Affine after(const Affine& first) const;
  /// Throws Error (numeric) if it has none.
  Affine inverse() const;
  /// The same about another point than the origin.
  Affine about(double x, double y) const;
};

Affine rotation(double degrees);

/// Index of a pixel that may lie outside 0..n-1; -1 is outside with Border::constant.
int border_index(int i, int n, Border border);

/// The values at a place, bilinear; false, and none, where it lies outside with Border::constant.
bool sample_at(const Image& image, double x, double y, Border border, float* values);

/// Moves picture (bilinear), mask (nearest) and labels by `forward`; the size stays.
void warp(Sample& sample, const Affine& forward, Border border, float fill);

/// Moves boxes and key points only, and clips them to the new size.
void move_labels(Sample& sample, const Affine& forward, int width, int height);

/// Throws Error (shape) unless the sample has a picture, and a mask of its size if any.
void need_image(const Sample& sample, std::string_view step);

}  // namespace nacre::data
