#include "ops/nn/window.h"

namespace nacre {
namespace {
struct GridAttrs {
  std::string mode = "bilinear", padding = "zeros";
  bool align_corners = false;
  void fields(FieldVisitor& v) {
    v("mode", mode);
    v("padding", padding);
    v("align_corners", align_corners);
  }
};
}  // namespace

/// Reads an image at the positions of a grid (Jaderberg et al. 2015). x: NxCxHxW; grid: NxH'xW'x2
/// of (x, y) in -1..1. mode: "bilinear" or "nearest" (half to even). padding, beyond the image:
/// "zeros", "border" (the nearest pixel) or "reflection". align_corners: -1 and 1 are the centres
/// of the corner pixels, else the corners of the image. Returns NxCxH'xW'.
API(Tensor grid_sample(In x, In grid, const std::string& mode = "bilinear",
                       const std::string& padding = "zeros", bool align_corners = false))

namespace {

/// Grid coordinates -1..1 as pixels, folded into the image as `padding` says.
Tensor pixels(const Tensor& g, int64_t size, const GridAttrs& a) {
  const double n = static_cast<double>(size);
  Tensor p = a.align_corners ? (g + 1.0) * ((n - 1) / 2) : ((g + 1.0) * n - 1.0) * 0.5;
  if (a.padding == "zeros") return p;
  if (a.padding == "reflection") {
    const double low = a.align_corners ? 0 : -0.5, span = a.align_corners ? n - 1 : n;
    if (span == 0) return p * 0.0;
    const Tensor from = abs(p - low);
    const Tensor turns = floor(from / span), rest = from - turns * span;
    p = where(eq(remainder(turns, 2.0), 0.0), rest, span - rest) + low;
  }
  return minimum(maximum(p, 0.0), n - 1);
}

}  // namespace

OP(grid_sample) = {
    .name = "grid_sample",
    .kind = OpKind::composite,
    .attrs = attr_type<GridAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<GridAttrs>();
          in.check_float(0);
          in.check_same_dtype();
          in.check_rank(0, 4);
          in.check_rank(1, 4);
          const Shape &x = in.shape(0), &g = in.shape(1);
          in.check(g[3] == 2, {"the grid has ", g[3], " coordinates, 2 are needed"});
          in.check(g[0] == x[0], {"batches of ", x[0], " and ", g[0], " differ"});
          in.check(x[2] >= 1 && x[3] >= 1, {"the image is empty"});
          in.check(a.mode == "bilinear" || a.mode == "nearest",
                   {"unknown mode '", a.mode, "', known are bilinear and nearest"});
          in.check(a.padding == "zeros" || a.padding == "border" || a.padding == "reflection",
                   {"unknown padding '", a.padding, "', known are zeros, border and reflection"});
          in.out(in.dtype(0), {x[0], x[1], g[1], g[2]});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const GridAttrs*>(attrs);
      const Shape &x = in[0].shape(), &g = in[1].shape();
      const int64_t n = x[0], c = x[1], h = x[2], w = x[3], points = g[1] * g[2];
      const Tensor flat = reshape(in[0], {n, c, h * w});
      const auto axis = [&](int64_t k, int64_t size) {
        return pixels(reshape(select(in[1], 3, k), {n, 1, points}), size, a);
      };
      const Tensor px = axis(0, w), py = axis(1, h);
      // Values at whole positions, zeros outside.
      const auto at = [&](const Tensor& ix, const Tensor& iy) {
        const Tensor cx = minimum(maximum(ix, 0.0), static_cast<double>(w - 1));
        const Tensor cy = minimum(maximum(iy, 0.0), static_cast<double>(h - 1));
        const Tensor index = cast(cy, DType::i64) * w + cast(cx, DType::i64);
        const Tensor inside = logical_and(eq(ix, cx), eq(iy, cy));
        return where(inside, gather(flat, 2, expand(index, {n, c, points})), 0.0);
      };
      Tensor y;
      if (a.mode == "nearest") {
        y = at(round(px), round(py));
      } else {
        const Tensor x0 = floor(px), y0 = floor(py), x1 = x0 + 1.0, y1 = y0 + 1.0;
        const Tensor tx = px - x0, ty = py - y0;
        y = at(x0, y0) * ((1.0 - tx) * (1.0 - ty)) + at(x1, y0) * (tx * (1.0 - ty)) +
            at(x0, y1) * ((1.0 - tx) * ty) + at(x1, y1) * (tx * ty);
      }
      return {reshape(y, {n, c, g[1], g[2]})};
    },
    .onnx = "GridSample",
    .samples =
        [](Samples& s) {
          const auto call = [](const char* mode, const char* padding, bool align) {
            return [=](const Tensors& x) {
              return Tensors{grid_sample(x[0], x[1], mode, padding, align)};
            };
          };
          const auto torch = [](const char* mode, const char* padding, const char* align) {
            return cat({"F.grid_sample({0}, {1}, '", mode, "', '", padding,
                        "', align_corners=", align, ")"});
          };
          const SampleInput image = s.uniform({2, 2, 4, 3}),
                            grid = s.uniform({2, 3, 2, 2}, -1.4, 1.4);
          for (const char* padding : {"zeros", "border", "reflection"}) {
            s.add({image, grid}, call("bilinear", padding, false),
                  torch("bilinear", padding, "False"));
            s.add({image, grid}, call("bilinear", padding, true),
                  torch("bilinear", padding, "True"));
            s.add({image, grid}, call("nearest", padding, false),
                  torch("nearest", padding, "False"));
          }
          s.add({s.uniform({0, 2, 4, 3}), s.uniform({0, 3, 2, 2})},
                call("bilinear", "zeros", false), "torch.zeros(0, 2, 3, 2)");
          s.bad({image, s.uniform({2, 3, 2, 3})}, call("bilinear", "zeros", false),
                "the grid has 3 coordinates");
          s.bad({image, s.uniform({1, 3, 2, 2})}, call("bilinear", "zeros", false),
                "batches of 2 and 1 differ");
          s.bad({image, grid}, call("cubic", "zeros", false), "unknown mode 'cubic'");
          s.bad({image, grid}, call("nearest", "wrap", false), "unknown padding 'wrap'");
          s.bad({s.uniform({2, 4, 3}), grid}, call("nearest", "zeros", false), "rank 3");
        },
};

Tensor grid_sample(In x, In grid, const std::string& mode, const std::string& padding,
                   bool align_corners) {
  return make(op_grid_sample, GridAttrs{mode, padding, align_corners}, {x, grid});
}

namespace {
struct AffineAttrs {
  int64_t height = 1, width = 1;
  bool align_corners = false;
  void fields(FieldVisitor& v) {
    v("height", height);
    v("width", width);
    v("align_corners", align_corners);
  }
};
}  // namespace

/// The grid of an affine map for grid_sample (Jaderberg et al. 2015). theta: Nx2x3, from output to
/// input coordinates (x, y, 1). Returns NxHxWx2.
API(Tensor affine_grid(In theta, int64_t height, int64_t width, bool align_corners = false))

OP(affine_grid) = {
    .name = "affine_grid",
    .kind = OpKind::composite,
    .attrs = attr_type<AffineAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<AffineAttrs>();
          in.check_float(0);
          in.check_rank(0, 3);
          in.check(in.shape(0)[1] == 2 && in.shape(0)[2] == 3, {"maps are Nx2x3"});
          in.check(a.height >= 1 && a.width >= 1 && a.height < (1 << 24) && a.width < (1 << 24),
                   {"a grid of ", a.height, " by ", a.width, " is impossible"});
          in.out(in.dtype(0), {in.shape(0)[0], a.height, a.width, 2});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const AffineAttrs*>(attrs);
      const auto axis = [&](int64_t n) {
        const double size = static_cast<double>(n);
        const Tensor i = cast(arange(n), in[0].dtype());
        if (!a.align_corners) return (i * 2.0 + 1.0) / size - 1.0;
        return n > 1 ? i * (2 / (size - 1)) - 1.0 : i * 0.0;
      };
      const Shape plane = {a.height, a.width};
      const Tensor x = expand(axis(a.width), plane);
      const Tensor y = expand(reshape(axis(a.height), {a.height, 1}), plane);
      const Tensor base =
          reshape(stack({x, y, ones(plane, in[0].dtype())}, 2), {a.height * a.width, 3});
      return {reshape(matmul(base, transpose(in[0])), {in[0].size(0), a.height, a.width, 2})};
    },
    .onnx = "AffineGrid",
    .samples =
        [](Samples& s) {
          const auto to = [](int64_t h, int64_t w, bool align) {
            return [=](const Tensors& x) { return Tensors{affine_grid(x[0], h, w, align)}; };
          };
          s.add({s.uniform({2, 2, 3})}, to(3, 4, false),
                "F.affine_grid({0}, (2, 1, 3, 4), align_corners=False)");
          s.add({s.uniform({1, 2, 3})}, to(2, 5, true),
                "F.affine_grid({0}, (1, 1, 2, 5), align_corners=True)");
          s.add({s.uniform({1, 2, 3})}, to(1, 1, false),
                "F.affine_grid({0}, (1, 1, 1, 1), align_corners=False)");
          s.bad({s.uniform({1, 3, 3})}, to(2, 2, false), "maps are Nx2x3");
          s.bad({s.uniform({2, 3})}, to(2, 2, false), "rank 2");
          s.bad({s.uniform({1, 2, 3})}, to(0, 2, false), "a grid of 0 by 2 is impossible");
        },
};

Tensor affine_grid(In theta, int64_t height, int64_t width, bool align_corners) {
  return make(op_affine_grid, AffineAttrs{height, width, align_corners}, {theta});
}

}  // namespace nacre
