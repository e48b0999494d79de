// Projections of pictures.
#include <algorithm>
#include <cmath>

#include "data/geometry.h"
#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre {
namespace {

/// Solves a of n x (n + 1) by Gauss's elimination; false if it has no single solution.
template <size_t N>
bool solve(double (&a)[N][N + 1]) {
  for (size_t k = 0; k < N; ++k) {
    size_t best = k;
    for (size_t i = k; i < N; ++i)
      if (std::abs(a[i][k]) > std::abs(a[best][k])) best = i;
    if (!(std::abs(a[best][k]) > 1e-10)) return false;
    std::swap(a[k], a[best]);
    for (size_t i = 0; i < N; ++i) {
      if (i == k) continue;
      const double f = a[i][k] / a[k][k];
      for (size_t j = k; j <= N; ++j) a[i][j] -= f * a[k][j];
    }
  }
  for (size_t k = 0; k < N; ++k) a[k][N] /= a[k][k];
  return true;
}

[[noreturn]] void on_a_line() {
  fail(Error::Kind::numeric, {"three of the points lie on a line, so there is no single map"});
}

Projection inverse(const Projection& m) {
  const Projection adjoint = {
      m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
      m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
      m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3]};
  const double det = m[0] * adjoint[0] + m[1] * adjoint[3] + m[2] * adjoint[6];
  if (!(std::abs(det) > 1e-12))
    fail(Error::Kind::numeric, {"a projection with determinant ", det, " cannot be undone"});
  return adjoint;
}

}  // namespace

Projection affine(const std::array<Point, 3>& from, const std::array<Point, 3>& to) {
  double x[3][4], y[3][4];
  for (size_t k = 0; k < 3; ++k)
    for (auto [row, value] : {std::pair{x[k], to[k].x}, {y[k], to[k].y}}) {
      row[0] = from[k].x, row[1] = from[k].y, row[2] = 1, row[3] = value;
    }
  if (!solve(x) || !solve(y)) on_a_line();
  return {x[0][3], x[1][3], x[2][3], y[0][3], y[1][3], y[2][3], 0, 0, 1};
}

Projection projection(const std::array<Point, 4>& from, const std::array<Point, 4>& to) {
  double a[8][9] = {};
  for (size_t k = 0; k < 4; ++k) {
    const auto [x, y] = from[k];
    const auto [u, v] = to[k];
    const double first[] = {x, y, 1, 0, 0, 0, -x * u, -y * u, u};
    const double second[] = {0, 0, 0, x, y, 1, -x * v, -y * v, v};
    std::copy_n(first, 9, a[2 * k]);
    std::copy_n(second, 9, a[2 * k + 1]);
  }
  if (!solve(a)) on_a_line();
  return {a[0][8], a[1][8], a[2][8], a[3][8], a[4][8], a[5][8], a[6][8], a[7][8], 1};
}

Image warp(const Image& image, const Projection& forward, int width, int height, Border border,
           float fill) {
  if (image.empty()) fail(Error::Kind::shape, {"[warp] the picture is empty"});
  if (width < 1 || height < 1)
    fail(Error::Kind::shape, {"[warp] a picture of ", width, "x", height, " cannot be made"});
  const Projection m = inverse(forward);
  Image out(width, height, image.channels, fill);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double u = x + 0.5, v = y + 0.5, w = m[6] * u + m[7] * v + m[8];
      data::sample_at(image, (m[0] * u + m[1] * v + m[2]) / w, (m[3] * u + m[4] * v + m[5]) / w,
                      border, &out.pixels[out.offset(x, y)]);
    }
  return out;
}

}  // namespace nacre
