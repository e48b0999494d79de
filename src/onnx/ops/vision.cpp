// Sampling by coordinates, regions and boxes.
#include <algorithm>
#include <cmath>

#include "onnx/window.h"

namespace nacre::onnx {
namespace {

/// Coordinates mirrored between low and high until they are inside.
Tensor reflected(const Tensor& x, double low, double high) {
  const double span = high - low;
  if (span <= 0) return x * 0.0;
  const Tensor off = abs(x - low);
  const Tensor turns = floor(off / span), rest = off - turns * span;
  const Tensor even = eq(turns - floor(turns / 2.0) * 2.0, 0.0);
  return where(even, rest + low, high - rest);
}

Tensor cubic_weight(const Tensor& t) {
  constexpr double a = -0.75;
  const Tensor near = ((a + 2) * t - (a + 3)) * t * t + 1.0;
  const Tensor far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return where(t <= 1.0, near, where(t < 2.0, far, 0.0));
}

/// GridSample for any number of spatial dimensions and every mode.
Tensor sample_grid(const Call& c, const std::string& mode, const std::string& padding, bool align) {
  const Tensor &x = c[0], grid = cast(c[1], x.dtype());
  const int64_t n = x.rank() - 2;
  const int64_t batch = x.size(0), channels = x.size(1);
  const int64_t points = grid.shape().slice(1, n + 1).numel();
  const Tensor flat = reshape(grid, {batch, points, n});
  const Tensor values = reshape(x, {batch, channels, -1});
  struct Tap {
    Tensor at, weight;  // NxP; the weight undefined: 1
  };
  std::vector<std::vector<Tap>> taps;  // by dimension
  for (int64_t d = 0; d < n; ++d) {
    const auto size = static_cast<double>(x.size(2 + d));
    const Tensor g = select(flat, 2, n - 1 - d);  // the last number is the first dimension
    Tensor p = align ? (g + 1.0) * ((size - 1) / 2) : ((g + 1.0) * size - 1.0) / 2.0;
    const double low = align ? 0 : -0.5, high = align ? size - 1 : size - 0.5;
    if (mode != "cubic" && padding == "border") p = clip(p, 0, size - 1);
    if (mode != "cubic" && padding == "reflection") p = clip(reflected(p, low, high), 0, size - 1);
    std::vector<Tap> list;
    const auto add = [&](Tensor at, Tensor weight) {
      if (mode == "cubic" && padding == "reflection") at = reflected(at, low, high);
      if (padding == "zeros") {
        const Tensor inside = cast(logical_and(at >= 0.0, at <= size - 1), x.dtype());
        weight = weight.defined() ? weight * inside : inside;
      }
      list.push_back({cast(clip(at, 0, size - 1), DType::i64), weight});
    };
    if (mode == "nearest") {
      add(round(p), {});
    } else if (mode == "linear") {
      const Tensor f = floor(p), r = p - f;
      add(f, 1.0 - r);
      add(f + 1.0, r);
    } else {
      const Tensor f = floor(p);
      for (int k = -1; k <= 2; ++k)
        add(f + static_cast<double>(k), cubic_weight(abs(p - f - static_cast<double>(k))));
    }
    taps.push_back(std::move(list));
  }
  // Every combination of taps of the dimensions.
  Tensor y;
  const auto combine = [&](auto&& self, int64_t d, Tensor at, Tensor weight) -> void {
    if (d == n) {
      const Tensor index = expand(unsqueeze(at, 1), {batch, channels, points});
      Tensor part = gather(values, 2, index);
      if (weight.defined()) part = part * unsqueeze(weight, 1);
      y = y.defined() ? y + part : part;
      return;
    }
    for (const Tap& t : taps[static_cast<size_t>(d)]) {
      const Tensor next = at.defined() ? at * x.size(2 + d) + t.at : t.at;
      const Tensor w = !weight.defined()    ? t.weight
                       : t.weight.defined() ? weight * t.weight
                                            : weight;
      self(self, d + 1, next, w);
    }
  };
  combine(combine, 0, {}, {});
  Shape out = {batch, channels};
  for (int64_t d = 1; d <= n; ++d) out.push_back(grid.size(d));
  return reshape(y, out);
}

Values grid_values(Call& c) {
  std::string mode = c.s("mode", "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  const std::string padding = c.s("padding_mode", "zeros");
  const bool align = c.i("align_corners") != 0;
  const int64_t rank = c.rank(0);
  c.check(rank >= 3 && rank <= 5 && c.rank(1) == rank && c.shape(1).back() == rank - 2 &&
              c.shape(1)[0] == c.shape(0)[0] && c.shape(0).slice(2, rank).numel() > 0,
          {"input ", c.shape(0), " and grid ", c.shape(1)});
  c.check(mode == "linear" || mode == "nearest" || mode == "cubic", {"mode '", mode, "'"});
  c.check(padding == "zeros" || padding == "border" || padding == "reflection",
          {"padding_mode '", padding, "'"});
  if (rank == 4 && mode != "cubic")
    return {grid_sample(c[0], c[1], mode == "linear" ? "bilinear" : mode, padding, align)};
  return {sample_grid(c, mode, padding, align)};
}

Values affine(Call& c) {
  const Ints size = c.ints(1);
  const int64_t n = size.rank() - 2;
  c.check((n == 2 || n == 3) && c.rank(0) == 3 && c.shape(0)[1] == n && c.shape(0)[2] == n + 1,
          {"theta ", c.shape(0), " for a size of ", as_list(size)});
  const bool align = c.i("align_corners") != 0;
  // Columns of the base grid: the last spatial dimension first, then 1.
  Tensors columns;
  const Shape spatial = Shape(size).slice(2, size.rank());
  check_fits(spatial, DType::f64);
  for (int64_t d = n; d-- > 0;) {
    const auto s = static_cast<double>(spatial[d]);
    std::vector<double> at;
    for (int64_t k = 0; k < spatial[d]; ++k) {
      const auto p = static_cast<double>(k);
      at.push_back(align ? (s > 1 ? 2 * p / (s - 1) - 1 : 0) : (2 * p + 1) / s - 1);
    }
    Shape row(spatial.size(), 1);
    row[d] = spatial[d];
    columns.push_back(reshape(expand(Tensor::from(at, row), spatial), {spatial.numel()}));
  }
  columns.push_back(ones({spatial.numel()}, DType::f64));
  const Tensor base = cast(stack(columns, 1), c[0].dtype());
  Shape out = {size[0]};
  for (int64_t d : spatial) out.push_back(d);
  out.push_back(n);
  return {reshape(matmul(base, transpose(c[0])), out)};
}

Values roi_align(Call& c) {
  const Tensor& x = c[0];
  const Shape& s = x.shape();
  c.check(s.rank() == 4 && c.rank(1) == 2 && c.shape(1)[1] == 4 && c.rank(2) == 1 &&
              c.shape(2)[0] == c.shape(1)[0],
          {"X ", s, ", rois ", c.shape(1), ", batch_indices ", c.shape(2)});
  const std::vector<double> rois = c.reals(1);
  const Ints batch = c.ints(2);
  const int64_t oh = c.i("output_height", 1), ow = c.i("output_width", 1);
  const int64_t ratio = c.i("sampling_ratio");
  const double scale = c.f("spatial_scale", 1);
  const bool half = c.s("coordinate_transformation_mode",
                        c.opset < 16 ? "output_half_pixel" : "half_pixel") == "half_pixel";
  const bool largest = c.s("mode", "avg") == "max";
  c.check(oh > 0 && ow > 0 && oh < 1 << 16 && ow < 1 << 16 && ratio >= 0 && ratio < 1 << 10,
          {"output ", oh, "x", ow, " with ", ratio, " samples"});
  const int64_t h = s[2], w = s[3];
  Tensors all;
  for (int64_t r = 0; r < batch.rank(); ++r) {
    c.check(batch[r] >= 0 && batch[r] < s[0], {"batch index ", batch[r], " of ", s[0]});
    const double* roi = rois.data() + 4 * r;
    for (int k = 0; k < 4; ++k)
      c.check(std::abs(roi[k]) < 1e9, {"a region has a corner at ", roi[k]});
    const double shift = half ? 0.5 : 0;
    const double x1 = roi[0] * scale - shift, y1 = roi[1] * scale - shift;
    double width = roi[2] * scale - shift - x1, height = roi[3] * scale - shift - y1;
    if (!half) width = std::max(width, 1.0), height = std::max(height, 1.0);
    const double bh = height / static_cast<double>(oh), bw = width / static_cast<double>(ow);
    const auto count = [&](double bin) {
      return ratio ? ratio : std::max<int64_t>(1, static_cast<int64_t>(std::ceil(bin)));
    };
    const int64_t ny = count(bh), nx = count(bw);
    c.check(ny * nx <= 1 << 20, {"a region needs ", ny, "x", nx, " samples for each output"});
    std::vector<int64_t> at;
    std::vector<float> weight;
    for (int64_t py = 0; py < oh; ++py)
      for (int64_t px = 0; px < ow; ++px)
        for (int64_t iy = 0; iy < ny; ++iy)
          for (int64_t ix = 0; ix < nx; ++ix) {
            const auto place = [](double from, double bin, int64_t p, int64_t i, int64_t n) {
              return from + bin * (static_cast<double>(p) +
                                   (static_cast<double>(i) + 0.5) / static_cast<double>(n));
            };
            double y = place(y1, bh, py, iy, ny), z = place(x1, bw, px, ix, nx);
            const bool outside =
                y < -1 || y > static_cast<double>(h) || z < -1 || z > static_cast<double>(w);
            y = std::clamp(y, 0.0, static_cast<double>(h - 1));
            z = std::clamp(z, 0.0, static_cast<double>(w - 1));
            const auto ylow = static_cast<int64_t>(y), zlow = static_cast<int64_t>(z);
            const int64_t yhigh = std::min(ylow + 1, h - 1), zhigh = std::min(zlow + 1, w - 1);
            const double ly = y - static_cast<double>(ylow), lz = z - static_cast<double>(zlow);
            for (const auto& [i, v] : {std::pair(ylow * w + zlow, (1 - ly) * (1 - lz)),
                                       std::pair(ylow * w + zhigh, (1 - ly) * lz),
                                       std::pair(yhigh * w + zlow, ly * (1 - lz)),
                                       std::pair(yhigh * w + zhigh, ly * lz)}) {
              at.push_back(i);
              weight.push_back(outside ? 0.0f : static_cast<float>(v));
            }
          }
    const int64_t per = ny * nx * 4;
    const Tensor plane = reshape(select(x, 0, batch[r]), {s[1], h * w});
    const Tensor taps = index_select(plane, 1, Tensor::from(at, {oh * ow * per}));
    const Tensor parts =
        reshape(taps * cast(Tensor::from(weight, {oh * ow * per}), x.dtype()), {s[1], oh, ow, per});
    all.push_back(largest ? amax(parts, {3}) : sum(parts, {3}) / static_cast<double>(ny * nx));
  }
  return {all.empty() ? zeros({0, s[1], oh, ow}, x.dtype()) : stack(all, 0)};
}

/// The largest value of each bin of a region, whose borders are whole pixels.
Values max_roi_pool(Call& c) {
  const Tensor& x = c[0];
  const Shape& s = x.shape();
  const Ints size = c.is("pooled_shape");
  c.check(s.rank() == 4 && c.rank(1) == 2 && c.shape(1)[1] == 5 && size.rank() == 2 &&
              size[0] > 0 && size[1] > 0 && size.numel() < 1 << 16,
          {"X ", s, ", rois ", c.shape(1), ", pooled_shape ", as_list(size)});
  const std::vector<double> rois = c.reals(1);
  const double scale = c.f("spatial_scale", 1);
  Tensors all;
  for (int64_t r = 0; r < c.shape(1)[0]; ++r) {
    const double* roi = rois.data() + 5 * r;
    for (int k = 0; k < 5; ++k) c.check(std::abs(roi[k]) < 1e6, {"a region has ", roi[k]});
    const auto batch = static_cast<int64_t>(roi[0]);
    c.check(batch >= 0 && batch < s[0], {"batch index ", batch, " of ", s[0]});
    const auto edge = [&](int k) { return static_cast<int64_t>(std::round(roi[k] * scale)); };
    const int64_t x1 = edge(1), y1 = edge(2);
    const int64_t w = std::max<int64_t>(edge(3) - x1 + 1, 1);
    const int64_t h = std::max<int64_t>(edge(4) - y1 + 1, 1);
    const Tensor plane = select(x, 0, batch);
    Tensors bins;
    for (int64_t py = 0; py < size[0]; ++py)
      for (int64_t px = 0; px < size[1]; ++px) {
        const auto span = [](int64_t p, int64_t n, int64_t parts, int64_t from, int64_t limit) {
          const int64_t low = p * n / parts, high = ((p + 1) * n + parts - 1) / parts;
          return std::pair(std::clamp<int64_t>(low + from, 0, limit),
                           std::clamp<int64_t>(high + from, 0, limit));
        };
        const auto [top, bottom] = span(py, h, size[0], y1, s[2]);
        const auto [left, right] = span(px, w, size[1], x1, s[3]);
        bins.push_back(bottom <= top || right <= left
                           ? zeros({s[1]}, x.dtype())
                           : amax(slice(slice(plane, 1, top, bottom), 2, left, right), {1, 2}));
      }
    all.push_back(reshape(stack(bins, 1), {s[1], size[0], size[1]}));
  }
  return {all.empty() ? zeros({0, s[1], size[0], size[1]}, x.dtype()) : stack(all, 0)};
}

/// x (NxCxHxW) between its pixels at (ys, xs), NxP each, zero outside: NxCxP.
Tensor sample_bilinear(const Tensor& x, const Tensor& ys, const Tensor& xs) {
  const int64_t n = x.size(0), channels = x.size(1), h = x.size(2), w = x.size(3);
  const Tensor flat = reshape(x, {n, channels, h * w}), top = floor(ys), left = floor(xs);
  Tensor y;
  for (int dy = 0; dy < 2; ++dy)
    for (int dx = 0; dx < 2; ++dx) {
      const Tensor row = top + static_cast<double>(dy), column = left + static_cast<double>(dx);
      const auto within = [](const Tensor& v, int64_t size) {
        return logical_and(v >= 0.0, v <= static_cast<double>(size - 1));
      };
      const Tensor near = (1.0 - abs(ys - row)) * (1.0 - abs(xs - column));
      const Tensor weight = where(logical_and(within(row, h), within(column, w)), near, 0.0);
      const Tensor at = cast(clip(row, 0, static_cast<double>(h - 1)), DType::i64) * w +
                        cast(clip(column, 0, static_cast<double>(w - 1)), DType::i64);
      const Tensor index = expand(unsqueeze(at, 1), {n, channels, at.size(1)});
      const Tensor part = gather(flat, 2, index) * unsqueeze(weight, 1);
      y = y.defined() ? y + part : part;
    }
  return y;
}

/// Convolution whose taps are moved by offsets (Dai et al. 2017) and weighted (Zhu et al. 2019).
Values deform_conv(Call& c) {
  const Tensor &x = c[0], &weight = c[1], &offset = c[2];
  c.check(x.rank() == 4 && weight.rank() == 4 && offset.rank() == 4 && x.numel() > 0,
          {"X ", x.shape(), ", W ", weight.shape(), ", offset ", offset.shape()});
  const Shape kernel = weight.shape().slice(2, 4);
  c.check(c.is("kernel_shape", kernel) == kernel,
          {"kernel_shape is not that of the weight, ", as_list(kernel)});
  const Window o = window_of(c, x.shape(), kernel);
  const int64_t groups = c.i("group", 1), parts = c.i("offset_group", 1), taps = kernel.numel();
  const int64_t n = x.size(0), channels = x.size(1), oh = offset.size(2), ow = offset.size(3);
  c.check(groups > 0 && parts > 0 && channels % groups == 0 && channels % parts == 0 &&
              weight.size(0) % groups == 0 && weight.size(1) == channels / groups &&
              offset.size(0) == n && offset.size(1) == 2 * parts * taps &&
              (!c.has(4) || c.shape(4) == Shape{n, parts * taps, oh, ow}),
          {"group ", groups, ", offset_group ", parts, " for X ", x.shape(), ", W ", weight.shape(),
           ", offset ", offset.shape()});
  const int64_t points = taps * oh * ow;
  // Where the taps are without offsets, [taps, oh, ow].
  const auto grid = [&](int64_t d) {
    const int64_t out = d ? ow : oh;
    const Tensor place =
        reshape(arange(out) * o.stride[d] - o.low[d], d ? Shape{1, 1, ow} : Shape{1, oh, 1});
    const Tensor tap = d ? remainder(arange(taps), kernel[1]) : floor_div(arange(taps), kernel[1]);
    const Tensor at = place + reshape(tap * o.dilation[d], {taps, 1, 1});
    return cast(expand(at, {taps, oh, ow}), x.dtype());
  };
  const Tensor ys = grid(0), xs = grid(1);
  Tensors columns;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t each = channels / parts;
    const Tensor moves =
        reshape(slice(offset, 1, 2 * p * taps, 2 * (p + 1) * taps), {n, taps, 2, oh, ow});
    Tensor part = sample_bilinear(slice(x, 1, p * each, (p + 1) * each),
                                  reshape(select(moves, 2, 0) + ys, {n, points}),
                                  reshape(select(moves, 2, 1) + xs, {n, points}));
    if (c.has(4)) part = part * reshape(slice(c[4], 1, p * taps, (p + 1) * taps), {n, 1, points});
    columns.push_back(part);
  }
  const Tensor all = columns.size() == 1 ? columns[0] : concat(columns, 1);
  const int64_t inner = channels / groups * taps;
  const Tensor y = matmul(reshape(weight, {1, groups, weight.size(0) / groups, inner}),
                          reshape(all, {n, groups, inner, oh * ow}));
  const Tensor out = reshape(y, {n, weight.size(0), oh, ow});
  return {c.has(3) ? out + along_channels(c[3], 4) : out};
}

struct Box {
  float y1, x1, y2, x2;
  float area() const { return (y2 - y1) * (x2 - x1); }
};
float overlap(const Box& a, const Box& b) {
  const float h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const float w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (h <= 0 || w <= 0) return 0;
  const float both = h * w, either = a.area() + b.area() - both;
  return either > 0 ? both / either : 0;
}

Values suppress(Call& c) {
  const Shape &bs = c.shape(0), &ss = c.shape(1);
  c.check(bs.rank() == 3 && bs[2] == 4 && ss.rank() == 3 && ss[0] == bs[0] && ss[2] == bs[1],
          {"boxes ", bs, " and scores ", ss});
  const std::vector<float> coordinates = c[0].to_vector<float>(), scores = c[1].to_vector<float>();
  const int64_t most = c.has(2) ? c.integer(2) : 0;
  const double iou = c.has(3) ? c.real(3) : 0;
  const double least = c.has(4) ? c.real(4) : -INFINITY;
  const bool centre = c.i("center_point_box") != 0;
  std::vector<int64_t> out;
  const int64_t n = bs[1];
  for (int64_t b = 0; b < bs[0]; ++b) {
    std::vector<Box> boxes;
    for (int64_t k = 0; k < n; ++k) {
      const float* p = coordinates.data() + (b * n + k) * 4;
      if (centre)
        boxes.push_back({p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2});
      else
        boxes.push_back({std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]),
                         std::max(p[1], p[3])});
    }
    for (int64_t k = 0; k < ss[1]; ++k) {
      const float* score = scores.data() + (b * ss[1] + k) * n;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < n; ++i)
        if (score[i] > least) order.push_back(i);
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return score[i] > score[j]; });
      std::vector<int64_t> kept;
      for (int64_t i : order) {
        if (std::ssize(kept) >= most) break;
        const Box& box = boxes[static_cast<size_t>(i)];
        if (std::any_of(kept.begin(), kept.end(), [&](int64_t j) {
              return overlap(box, boxes[static_cast<size_t>(j)]) > iou;
            }))
          continue;
        kept.push_back(i);
        out.insert(out.end(), {b, k, i});
      }
    }
  }
  const auto rows = static_cast<int64_t>(out.size() / 3);
  return {Tensor::from(out, {rows, 3})};
}

Values centre_crop_pad(Call& c) {
  const Shape& s = c.shape(0);
  const Ints want = c.ints(1);
  Ints axes = c.is("axes");
  if (axes.empty())
    for (int64_t d = 0; d < s.rank(); ++d) axes.push_back(d);
  c.check(axes.size() == want.size(), {want.rank(), " sizes for ", axes.rank(), " axes"});
  Ints low(s.size(), 0), high = low;
  for (int64_t k = 0; k < axes.rank(); ++k) {
    const int64_t d = c.axis(axes[k], s.rank()), more = want[k] - s[d];
    c.check(want[k] >= 0, {"a size of ", want[k]});
    low[d] = more >= 0 ? more / 2 : -(-more / 2);
    high[d] = more - low[d];
  }
  return {Value(pad(c[0], low, high), c.in[0].elem())};
}

/// Windows (columns of CxK numbers) added up where they lie in the picture, of any dimensions.
Values col2im(Call& c) {
  const Ints size = c.ints(1), kernel = c.ints(2), ones_(kernel.size(), 1);
  const int64_t n = size.rank();
  const Ints stride = c.is("strides", ones_), dilation = c.is("dilations", ones_);
  const Ints pads = c.is("pads", Ints(2 * size.size(), 0));
  const bool fits = n > 0 && kernel.rank() == n && stride.rank() == n && dilation.rank() == n &&
                    pads.rank() == 2 * n && c.rank(0) == 3;
  c.check(fits, {"input ", c.shape(0), ", image_shape ", as_list(size), ", block_shape ",
                 as_list(kernel), " or attributes do not fit"});
  if (n == 2 && pads[0] == pads[2] && pads[1] == pads[3])
    return {fold(c[0], size, kernel, stride, {pads[0], pads[1]}, dilation)};
  Shape whole;                            // the picture and its borders
  double taps = 1, places = 1;            // of a window, and of windows
  Tensor at = zeros({1, 1}, DType::i64);  // [taps, windows]
  for (int64_t d = 0; d < n; ++d) {
    const int64_t span = size[d] + pads[d] + pads[n + d];
    const double reach = static_cast<double>(dilation[d]) * static_cast<double>(kernel[d] - 1) + 1;
    c.check(size[d] > 0 && kernel[d] > 0 && stride[d] > 0 && dilation[d] > 0 && pads[d] >= 0 &&
                pads[n + d] >= 0 && span < int64_t{1} << 40 && reach <= static_cast<double>(span),
            {"blocks of ", as_list(kernel), " do not fit a picture of ", as_list(size)});
    const int64_t blocks = (span - static_cast<int64_t>(reach)) / stride[d] + 1;
    taps *= static_cast<double>(kernel[d]);
    places *= static_cast<double>(blocks);
    c.check(taps * places <= static_cast<double>(c.shape(0).numel()),
            {"the blocks of ", as_list(kernel), " are more than the input ", c.shape(0), " has"});
    const Tensor tap = reshape(arange(kernel[d]) * dilation[d], {1, kernel[d], 1, 1});
    const Tensor place = reshape(arange(blocks) * stride[d], {1, 1, 1, blocks});
    const int64_t rows = at.size(0), columns = at.size(1);
    at = reshape(reshape(at, {rows, 1, columns, 1}) * span + tap + place,
                 {rows * kernel[d], columns * blocks});
    whole.push_back(span);
  }
  const Shape& s = c.shape(0);
  const auto k = static_cast<int64_t>(taps), windows = static_cast<int64_t>(places);
  c.check(s[1] % k == 0 && s[2] == windows,
          {"input ", s, " for blocks of ", as_list(kernel), " at ", windows, " places"});
  const Shape columns = {s[0], s[1] / k, k * windows};
  check_fits(whole, c[0].dtype());
  Shape out = {s[0], s[1] / k};
  for (int64_t d : whole) out.push_back(d);
  const Tensor index = expand(reshape(at, {1, 1, k * windows}), columns);
  const Tensor y = scatter(zeros({s[0], s[1] / k, whole.numel()}, c[0].dtype()), 2, index,
                           reshape(c[0], columns), "add");
  Ints low = {0, 0}, high = {0, 0};
  for (int64_t d = 0; d < n; ++d) {
    low.push_back(-pads[d]);
    high.push_back(-pads[n + d]);
  }
  return {pad(reshape(y, out), low, high)};
}

}  // namespace

ONNX(GridSample) = {"GridSample", grid_values};
ONNX(AffineGrid) = {"AffineGrid", affine};
ONNX(RoiAlign) = {"RoiAlign", roi_align};
ONNX(MaxRoiPool) = {"MaxRoiPool", max_roi_pool};
ONNX(DeformConv) = {"DeformConv", deform_conv};
ONNX(NonMaxSuppression) = {"NonMaxSuppression", suppress};
ONNX(CenterCropPad) = {"CenterCropPad", centre_crop_pad};
ONNX(Col2Im) = {"Col2Im", col2im};

}  // namespace nacre::onnx
