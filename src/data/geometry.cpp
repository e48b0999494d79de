#include "data/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "nacre/error.h"

namespace nacre {
namespace data {
namespace {

constexpr double kKept = 0.1;  // part of a box that must stay visible

/// out(x, y) = in(source(x, y)), for whole pixels of the picture or of the mask.
template <typename T, typename Source>
std::vector<T> gather(const std::vector<T>& in, int channels, int in_width, int width, int height,
                      T fill, Source source) {
  const auto n = static_cast<size_t>(channels);
  std::vector<T> out(static_cast<size_t>(width) * static_cast<size_t>(height) * n, fill);
  T* q = out.data();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x, q += n) {
      const auto [u, v] = source(x, y);
      if (u < 0 || v < 0) continue;
      const T* p =
          in.data() +
          (static_cast<size_t>(v) * static_cast<size_t>(in_width) + static_cast<size_t>(u)) * n;
      if (n == 3)
        q[0] = p[0], q[1] = p[1], q[2] = p[2];
      else
        std::copy(p, p + n, q);
    }
  return out;
}

/// A window that lies inside.
template <typename T>
std::vector<T> window(const std::vector<T>& in, int channels, int in_width, int x, int y, int width,
                      int height) {
  const auto n = static_cast<size_t>(channels), row = static_cast<size_t>(width) * n;
  std::vector<T> out;
  out.reserve(row * static_cast<size_t>(height));
  for (int j = y; j < y + height; ++j) {
    const T* p =
        in.data() +
        (static_cast<size_t>(j) * static_cast<size_t>(in_width) + static_cast<size_t>(x)) * n;
    out.insert(out.end(), p, p + row);
  }
  return out;
}

template <typename Source>
void gather(Sample& s, int width, int height, float fill, Source source) {
  Image& image = s.image;
  image.pixels = gather(image.pixels, image.channels, image.width, width, height, fill, source);
  image.width = width;
  image.height = height;
  if (s.mask.classes.empty()) return;
  s.mask.classes = gather(s.mask.classes, 1, s.mask.width, width, height, Mask::kIgnore, source);
  s.mask.width = width;
  s.mask.height = height;
}

bool is_whole(double v) { return v == std::floor(v) && std::abs(v) < 1e6; }

}  // namespace

Affine Affine::after(const Affine& f) const {
  return {xx * f.xx + xy * f.yx, xx * f.xy + xy * f.yy, xx * f.x0 + xy * f.y0 + x0,
          yx * f.xx + yy * f.yx, yx * f.xy + yy * f.yy, yx * f.x0 + yy * f.y0 + y0};
}

Affine Affine::inverse() const {
  const double det = xx * yy - xy * yx;
  if (!(std::abs(det) > 1e-12))
    fail(Error::Kind::numeric, {"an affine map with determinant ", det, " cannot be undone"});
  return {yy / det,  -xy / det, (xy * y0 - yy * x0) / det,
          -yx / det, xx / det,  (yx * x0 - xx * y0) / det};
}

Affine Affine::about(double x, double y) const {
  return Affine{1, 0, x, 0, 1, y}.after(*this).after({1, 0, -x, 0, 1, -y});
}

Affine rotation(double degrees) {
  const double a = degrees * std::numbers::pi / 180;
  return {std::cos(a), std::sin(a), 0, -std::sin(a), std::cos(a), 0};
}

int border_index(int i, int n, Border border) {
  if (i >= 0 && i < n) return i;
  switch (border) {
    case Border::constant:
      return -1;
    case Border::edge:
      return std::clamp(i, 0, n - 1);
    case Border::wrap:
      return (i % n + n) % n;
    case Border::reflect: {
      if (n == 1) return 0;
      const int period = 2 * (n - 1), k = (i % period + period) % period;
      return k < n ? k : period - k;
    }
  }
  return -1;
}

void need_image(const Sample& s, std::string_view step) {
  if (s.image.empty()) fail(Error::Kind::shape, {"[", step, "] the sample has no picture"});
  if (!s.mask.classes.empty() && (s.mask.width != s.image.width || s.mask.height != s.image.height))
    fail(Error::Kind::shape, {"[", step, "] the mask has ", s.mask.width, "x", s.mask.height,
                              " pixels, the picture ", s.image.width, "x", s.image.height});
}

void move_labels(Sample& s, const Affine& m, int width, int height) {
  const auto place = [&](double x, double y) {
    return std::pair(m.xx * x + m.xy * y + m.x0, m.yx * x + m.yy * y + m.y0);
  };
  std::vector<Box> kept;
  for (Box b : s.boxes) {
    double left = 1e300, right = -1e300, top = 1e300, bottom = -1e300;
    for (const double fx : {0.0, 1.0})
      for (const double fy : {0.0, 1.0}) {
        const auto [x, y] = place(b.x + fx * b.width, b.y + fy * b.height);
        left = std::min(left, x), right = std::max(right, x);
        top = std::min(top, y), bottom = std::max(bottom, y);
      }
    const double area = (right - left) * (bottom - top);
    left = std::max(left, 0.0), top = std::max(top, 0.0);
    right = std::min<double>(right, width), bottom = std::min<double>(bottom, height);
    if (right <= left || bottom <= top || (right - left) * (bottom - top) < kKept * area) continue;
    b.x = static_cast<float>(left), b.y = static_cast<float>(top);
    b.width = static_cast<float>(right - left), b.height = static_cast<float>(bottom - top);
    kept.push_back(b);
  }
  s.boxes = std::move(kept);
  for (Keypoint& k : s.keypoints) {
    const auto [x, y] = place(k.x, k.y);
    k.x = static_cast<float>(x), k.y = static_cast<float>(y);
    k.visible = k.visible && x >= 0 && y >= 0 && x <= width && y <= height;
  }
}

bool sample_at(const Image& image, double u, double v, Border border, float* q) {
  const int width = image.width, height = image.height;
  const bool outside = u < 0 || v < 0 || u >= width || v >= height;
  if (!(std::abs(u) < 1e8 && std::abs(v) < 1e8) || (outside && border == Border::constant))
    return false;
  // Inside, neighbours beyond the edge are the edge itself.
  const Border rule = border == Border::constant ? Border::edge : border;
  const int left = static_cast<int>(std::floor(u - 0.5));
  const int top = static_cast<int>(std::floor(v - 0.5));
  const auto fx = static_cast<float>(u - 0.5 - left), fy = static_cast<float>(v - 0.5 - top);
  const int x0 = border_index(left, width, rule), x1 = border_index(left + 1, width, rule);
  const int y0 = border_index(top, height, rule), y1 = border_index(top + 1, height, rule);
  const float* a = &image.pixels[image.offset(x0, y0)];
  const float* b = &image.pixels[image.offset(x1, y0)];
  const float* c = &image.pixels[image.offset(x0, y1)];
  const float* d = &image.pixels[image.offset(x1, y1)];
  for (int k = 0; k < image.channels; ++k)
    q[k] = (1 - fy) * ((1 - fx) * a[k] + fx * b[k]) + fy * ((1 - fx) * c[k] + fx * d[k]);
  return true;
}

void warp(Sample& s, const Affine& forward, Border border, float fill) {
  const Affine back = forward.inverse();
  const int width = s.image.width, height = s.image.height, channels = s.image.channels;
  Image out(width, height, channels, fill);
  std::vector<int32_t> classes(s.mask.classes.size(), Mask::kIgnore);
  const Border rule = border == Border::constant ? Border::edge : border;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double u = back.xx * (x + 0.5) + back.xy * (y + 0.5) + back.x0;
      const double v = back.yx * (x + 0.5) + back.yy * (y + 0.5) + back.y0;
      if (!sample_at(s.image, u, v, border, &out.pixels[out.offset(x, y)]) || classes.empty())
        continue;
      const int mx = border_index(static_cast<int>(std::floor(u)), width, rule);
      const int my = border_index(static_cast<int>(std::floor(v)), height, rule);
      const auto row = static_cast<size_t>(width);
      classes[static_cast<size_t>(y) * row + static_cast<size_t>(x)] =
          s.mask.classes[static_cast<size_t>(my) * row + static_cast<size_t>(mx)];
    }
  s.image = std::move(out);
  s.mask.classes = std::move(classes);
  move_labels(s, forward, width, height);
}

}  // namespace data

void crop(Sample& s, int x, int y, int width, int height, Border border, float fill) {
  data::need_image(s, "crop");
  if (width < 1 || height < 1 || std::abs(int64_t{x}) > (1 << 30) ||
      std::abs(int64_t{y}) > (1 << 30))
    fail(Error::Kind::shape,
         {"[crop] a window of ", width, "x", height, " at (", x, ", ", y, ") cannot be cut"});
  const int w = s.image.width, h = s.image.height;
  if (s.mask.classes.empty() && x >= 0 && y >= 0 && width <= w - x && height <= h - y) {
    s.image.pixels = data::window(s.image.pixels, s.image.channels, w, x, y, width, height);
    s.image.width = width;
    s.image.height = height;
  } else {
    data::gather(s, width, height, fill, [&](int i, int j) {
      return std::pair(data::border_index(x + i, w, border), data::border_index(y + j, h, border));
    });
  }
  data::move_labels(s, {1, 0, -double(x), 0, 1, -double(y)}, width, height);
}

void flip(Sample& s, bool vertical) {
  data::need_image(s, "flip");
  const int w = s.image.width, h = s.image.height;
  data::gather(s, w, h, 0, [&](int x, int y) {
    return vertical ? std::pair(x, h - 1 - y) : std::pair(w - 1 - x, y);
  });
  const data::Affine map =
      vertical ? data::Affine{1, 0, 0, 0, -1, double(h)} : data::Affine{-1, 0, double(w), 0, 1, 0};
  data::move_labels(s, map, w, h);
}

void rotate90(Sample& s, int turns) {
  data::need_image(s, "rotate90");
  const int k = (turns % 4 + 4) % 4;
  if (k == 0) return;
  const int w = s.image.width, h = s.image.height;
  const int out_w = k % 2 ? h : w, out_h = k % 2 ? w : h;
  data::gather(s, out_w, out_h, 0, [&](int x, int y) {
    return k == 1   ? std::pair(w - 1 - y, x)
           : k == 2 ? std::pair(w - 1 - x, h - 1 - y)
                    : std::pair(y, h - 1 - x);
  });
  const data::Affine maps[] = {{},
                               {0, 1, 0, -1, 0, double(w)},
                               {-1, 0, double(w), 0, -1, double(h)},
                               {0, -1, double(h), 1, 0, 0}};
  data::move_labels(s, maps[k], out_w, out_h);
}

void rotate(Sample& s, double degrees, Border border, float fill) {
  data::need_image(s, "rotate");
  const double turns = std::remainder(degrees, 360) / 90;
  if (turns == std::floor(turns) && (s.image.width == s.image.height || std::fmod(turns, 2) == 0))
    return rotate90(s, static_cast<int>(turns));
  data::warp(s, data::rotation(degrees).about(s.image.width / 2.0, s.image.height / 2.0), border,
             fill);
}

void translate(Sample& s, double dx, double dy, Border border, float fill) {
  data::need_image(s, "translate");
  if (data::is_whole(dx) && data::is_whole(dy))
    return crop(s, -static_cast<int>(dx), -static_cast<int>(dy), s.image.width, s.image.height,
                border, fill);
  data::warp(s, {1, 0, dx, 0, 1, dy}, border, fill);
}

void resize(Sample& s, int width, int height, Resample method) {
  data::need_image(s, "resize");
  const int w = s.image.width, h = s.image.height;
  s.image = resize(s.image, width, height, method);
  if (!s.mask.classes.empty()) {
    s.mask.classes =
        data::gather(s.mask.classes, 1, w, width, height, Mask::kIgnore, [&](int x, int y) {
          return std::pair(static_cast<int>((2 * int64_t{x} + 1) * w / (2 * int64_t{width})),
                           static_cast<int>((2 * int64_t{y} + 1) * h / (2 * int64_t{height})));
        });
    s.mask.width = width;
    s.mask.height = height;
  }
  data::move_labels(s, {double(width) / w, 0, 0, 0, double(height) / h, 0}, width, height);
}

}  // namespace nacre
