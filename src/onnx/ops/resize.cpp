// Resize, and Upsample before it: each output is a weighted sum of inputs along each dimension.
#include <cmath>

#include "onnx/call.h"

namespace nacre::onnx {
namespace {

struct Axis {
  int64_t dim = 0, in = 0, out = 0;
  double scale = 1, roi_from = 0, roi_to = 1;
};

struct Style {
  std::string mode, coordinates, nearest;
  double cubic = -0.75, extrapolation = 0;
  bool exclude_outside = false, antialias = false;
};

double cubic_kernel(double t, double a) {
  t = std::abs(t);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

/// Where output o lies in the input.
double source(const Axis& x, const Style& s, int64_t o) {
  const double at = static_cast<double>(o), in = static_cast<double>(x.in);
  const double out = x.scale * in;  // not rounded, as in ONNX's own definition
  const std::string& c = s.coordinates;
  if (c == "asymmetric") return at / x.scale;
  if (c == "align_corners") return out == 1 ? 0 : at * (in - 1) / (out - 1);
  if (c == "tf_half_pixel_for_nn") return (at + 0.5) / x.scale;
  if (c == "tf_crop_and_resize") {
    if (x.out == 1) return 0.5 * (x.roi_from + x.roi_to) * (in - 1);
    return x.roi_from * (in - 1) +
           at * (x.roi_to - x.roi_from) * (in - 1) / (static_cast<double>(x.out) - 1);
  }
  if (c == "pytorch_half_pixel" && x.out <= 1) return 0;
  const double half = (at + 0.5) / x.scale - 0.5;
  if (c != "half_pixel_symmetric") return half;
  return in / 2 * (1 - static_cast<double>(x.out) / out) + half;
}

/// At least as many as an output has taps.
double most_taps(const Axis& x, const Style& s) {
  if (s.mode == "nearest") return 1;
  return (s.mode == "cubic" ? 4 : 2) / (s.antialias ? std::min(x.scale, 1.0) : 1.0) + 3;
}

/// Taps of one output: first input and weights.
std::pair<int64_t, std::vector<double>> taps(const Axis& x, const Style& s, double at) {
  if (s.mode == "nearest") {
    const double v = s.nearest == "round_prefer_ceil" ? std::floor(at + 0.5)
                     : s.nearest == "floor"           ? std::floor(at)
                     : s.nearest == "ceil"            ? std::ceil(at)
                                                      : std::ceil(at - 0.5);
    return {static_cast<int64_t>(v), {1.0}};
  }
  const double floor = std::floor(at), ratio = at - floor;
  const double shrink = s.antialias ? std::min(x.scale, 1.0) : 1.0;
  const double reach = s.mode == "cubic" ? 2 : 1;
  const auto first = static_cast<int64_t>(std::floor(-reach / shrink)) + 1;
  const int64_t last = s.mode == "cubic" ? 2 - first : 1 - first;
  std::vector<double> w;
  for (int64_t k = first; k <= last; ++k) {
    const double t = (static_cast<double>(k) - ratio) * shrink;
    w.push_back(s.mode == "cubic" ? cubic_kernel(t, s.cubic) : std::max(0.0, 1 - std::abs(t)));
  }
  return {static_cast<int64_t>(floor) + first, std::move(w)};
}

/// Entries that the table of one dimension may have: outputs, times what each is a sum of.
constexpr double kMaxTable = 1 << 26;

/// x resized along one dimension.
Tensor along(const Call& c, const Tensor& x, const Axis& a, const Style& s) {
  const double each = most_taps(a, s);
  c.check(each <= 1 << 16, {"shrinks too much for antialiasing"});
  c.check(each * static_cast<double>(a.out) <= kMaxTable, {"cannot resize ", a.in, " to ", a.out});
  std::vector<std::vector<int64_t>> index;
  std::vector<std::vector<float>> weight;
  std::vector<bool> outside(static_cast<size_t>(a.out));
  for (int64_t o = 0; o < a.out; ++o) {
    const double at = source(a, s, o);
    outside[static_cast<size_t>(o)] =
        s.coordinates == "tf_crop_and_resize" && (at < 0 || at > static_cast<double>(a.in - 1));
    auto [first, w] = taps(a, s, std::clamp(at, -1e9, 1e9));
    double sum = 0;
    for (size_t k = 0; k < w.size(); ++k) {
      const int64_t i = first + static_cast<int64_t>(k);
      if (s.exclude_outside && (i < 0 || i >= a.in)) w[k] = 0;
      sum += w[k];
    }
    index.resize(std::max(index.size(), w.size()));
    weight.resize(index.size());
    for (size_t k = 0; k < index.size(); ++k) {
      const int64_t i = first + static_cast<int64_t>(k);
      index[k].push_back(std::clamp<int64_t>(i, 0, a.in - 1));
      weight[k].push_back(sum != 0 ? static_cast<float>(w[k] / sum) : 0.0f);
    }
  }
  Shape row(x.shape().size(), 1);
  row[a.dim] = a.out;
  const bool nearest = s.mode == "nearest";
  Tensor y;
  for (size_t k = 0; k < index.size(); ++k) {
    Tensor part = index_select(x, a.dim, Tensor::from(index[k], {a.out}));
    if (!nearest) part = part * cast(Tensor::from(weight[k], row), x.dtype());
    y = y.defined() ? y + part : part;
  }
  if (std::find(outside.begin(), outside.end(), true) == outside.end()) return y;
  return where(Tensor::from(outside, row), Tensor::scalar(s.extrapolation, y.dtype()), y);
}

Value resized(const Call& c, const std::vector<Axis>& axes, const Style& s) {
  c.check(s.mode == "nearest" || s.mode == "linear" || s.mode == "cubic",
          {"mode '", s.mode, "' is not known"});
  Shape out = c.shape(0);
  for (const Axis& a : axes) {
    c.check(a.out >= 0 && a.out < int64_t{1} << 32 && (a.in > 0 || a.out == 0),
            {"cannot resize ", a.in, " to ", a.out});
    out[a.dim] = a.out;
  }
  check_fits(out, c[0].dtype());
  Tensor x = c[0];
  // Weighted sums of integers are rounded at the end.
  const bool whole = !is_float(x.dtype()) && s.mode != "nearest";
  if (whole) x = cast(x, DType::f32);
  for (const Axis& a : axes) {
    // Where nothing moves nothing is done; extrapolation concerns all axes with a region.
    if (a.in == a.out && a.scale == 1 && s.coordinates != "tf_crop_and_resize") continue;
    if (a.out == 0) {
      x = slice(x, a.dim, 0, 0);
      continue;
    }
    x = along(c, x, a, s);
  }
  return whole ? Value(cast(round(x), c[0].dtype()), c.in[0].elem()) : Value(x, c.in[0].elem());
}

std::vector<Axis> axes_by_scale(const Call& c, const std::vector<double>& scales) {
  c.check(static_cast<int64_t>(scales.size()) == c.rank(0),
          {scales.size(), " scales for ", c.rank(0), " dimensions"});
  std::vector<Axis> axes;
  for (size_t d = 0; d < scales.size(); ++d) {
    const int64_t in = c.shape(0)[static_cast<int64_t>(d)];
    c.check(scales[d] > 0, {"scale ", scales[d], " is not positive"});
    const double out = std::floor(static_cast<double>(in) * scales[d]);
    c.check(out < 0x1p32, {"scale ", scales[d], " of ", in});
    axes.push_back({static_cast<int64_t>(d), in, static_cast<int64_t>(out), scales[d]});
  }
  return axes;
}

Values resize(Call& c) {
  Style s;
  s.mode = c.s("mode", "nearest");
  const bool first_version = c.opset < 11;
  s.coordinates =
      c.s("coordinate_transformation_mode", first_version ? "asymmetric" : "half_pixel");
  s.nearest = c.s("nearest_mode", first_version ? "floor" : "round_prefer_floor");
  s.cubic = c.f("cubic_coeff_a", -0.75);
  s.extrapolation = c.f("extrapolation_value");
  s.exclude_outside = c.i("exclude_outside") != 0;
  s.antialias = c.i("antialias") != 0;
  if (first_version) return {resized(c, axes_by_scale(c, c.reals(1)), s)};
  const Shape& shape = c.shape(0);
  Ints dims = c.is("axes");
  if (dims.empty())
    for (int64_t d = 0; d < shape.rank(); ++d) dims.push_back(d);
  const bool by_size = c.has(3) && c.shape(3).numel();
  c.check(c.has(2) || by_size, {"has neither sizes nor scales"});
  std::vector<double> scales, roi = c.has(1) ? c.reals(1) : std::vector<double>();
  const Ints sizes = by_size ? c.ints(3) : Ints();
  if (!by_size) scales = c.reals(2);
  const size_t n = dims.size();
  c.check((by_size ? sizes.size() : scales.size()) == n,
          {by_size ? sizes.size() : scales.size(), " sizes or scales for ", n, " dimensions"});
  // A policy about the ratio of the sides turns sizes into one scale.
  const std::string policy = c.s("keep_aspect_ratio_policy", "stretch");
  double common = 0;
  for (size_t k = 0; by_size && policy != "stretch" && k < n; ++k) {
    const auto d = static_cast<int64_t>(k);
    const double one =
        static_cast<double>(sizes[d]) /
        static_cast<double>(std::max<int64_t>(1, shape[c.axis(dims[d], shape.rank())]));
    common = k == 0 ? one : policy == "not_larger" ? std::min(common, one) : std::max(common, one);
  }
  std::vector<Axis> axes;
  for (size_t k = 0; k < n; ++k) {
    Axis a;
    a.dim = c.axis(dims[static_cast<int64_t>(k)], shape.rank());
    a.in = shape[a.dim];
    if (!by_size) {
      a.scale = scales[k];
      c.check(a.scale > 0 && static_cast<double>(a.in) * a.scale < 0x1p32,
              {"scale ", a.scale, " of ", a.in});
      a.out = static_cast<int64_t>(std::floor(static_cast<double>(a.in) * a.scale));
    } else if (common > 0) {
      a.scale = common;
      a.out = static_cast<int64_t>(std::floor(static_cast<double>(a.in) * common + 0.5));
    } else {
      a.out = sizes[static_cast<int64_t>(k)];
      a.scale = static_cast<double>(a.out) / static_cast<double>(std::max<int64_t>(1, a.in));
    }
    if (s.coordinates == "tf_crop_and_resize") {
      c.check(roi.size() == 2 * n, {"roi has ", roi.size(), " entries"});
      a.roi_from = roi[k];
      a.roi_to = roi[n + k];
    }
    axes.push_back(a);
  }
  return {resized(c, axes, s)};
}

Values upsample(Call& c) {
  std::vector<double> scales = c.has(1) ? c.reals(1) : c.fs("scales");
  if (scales.empty()) scales = {1, 1, c.f("height_scale", 1), c.f("width_scale", 1)};
  std::string mode = c.s("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  return {resized(c, axes_by_scale(c, scales), {mode, "asymmetric", "floor"})};
}

}  // namespace

ONNX(Resize) = {"Resize", resize, "", "1,2"};
ONNX(Upsample) = {"Upsample", upsample, "", "1"};

}  // namespace nacre::onnx
