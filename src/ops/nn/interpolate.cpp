#include <algorithm>

#include "ops/nn/resample.h"
#include "ops/nn/window.h"

namespace nacre {
namespace {
struct InterpolateAttrs {
  Ints size;
  std::string mode = "nearest";
  bool align_corners = false;
  void fields(FieldVisitor& v) {
    v("size", size);
    v("mode", mode);
    v("align_corners", align_corners);
  }
};
}  // namespace

/// Resizes the spatial dimensions. x: NxCx and one to three spatial dimensions; size: their new
/// sizes, one entry or one for each. mode: "nearest" (index floor(o n / size)), "nearest-exact"
/// (that of the pixel's centre), "linear" (also called "bilinear" and "trilinear" where the input
/// has two or three spatial dimensions), "bicubic" (two dimensions, a = -0.75), "area" (means).
/// align_corners maps the centres of the corner pixels on each other, otherwise the corners of the
/// image. No smoothing before shrinking, but by "area".
API(Tensor interpolate(In x, const Ints& size, const std::string& mode = "nearest",
                       bool align_corners = false))

OP(interpolate) = {
    .name = "interpolate",
    .kind = OpKind::composite,
    .attrs = attr_type<InterpolateAttrs>(),
    .infer =
        [](Infer& in) {
          const auto& a = in.attrs<InterpolateAttrs>();
          const Shape& x = in.shape(0);
          const int64_t rank = x.rank() - 2;
          in.check_float(0);
          in.check(rank >= 1 && rank <= 3, {"the input has rank ", x.rank(), ", 3 to 5 are known"});
          in.check(a.size.rank() == rank, {"size ", as_list(a.size), " needs ", rank, " entries"});
          for (int64_t d = 0; d < rank; ++d) {
            in.check(a.size[d] >= 1 && a.size[d] < (int64_t{1} << 31),
                     {"size ", as_list(a.size), " has an entry below 1"});
            in.check(x[2 + d] >= 1, {"input has an empty spatial dimension"});
          }
          const bool smooth = a.mode == "linear" || (a.mode == "bilinear" && rank == 2) ||
                              (a.mode == "trilinear" && rank == 3) ||
                              (a.mode == "bicubic" && rank == 2);
          in.check(smooth || a.mode == "nearest" || a.mode == "nearest-exact" || a.mode == "area",
                   {"mode '", a.mode, "' is not one for ", rank, " spatial dimensions"});
          in.check(smooth || !a.align_corners, {"align_corners needs a linear or cubic mode"});
          in.out(in.dtype(0), with_spatial(x[0], x[1], a.size));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const InterpolateAttrs*>(attrs);
      const Grid grid = a.align_corners ? Grid::align_corners : Grid::half_pixel;
      Tensor y = in[0];
      for (int64_t d = 0; d < a.size.rank(); ++d) {
        const int64_t dim = 2 + d, size = a.size[d];
        if (y.size(dim) == size) continue;
        if (a.mode == "nearest" || a.mode == "nearest-exact")
          y = resample_nearest(y, dim, size, a.mode == "nearest-exact");
        else if (a.mode == "area")
          y = resample_area(y, dim, size);
        else if (a.mode == "bicubic")
          y = resample_cubic(y, dim, size, grid);
        else
          y = resample_linear(y, dim, size, grid);
      }
      return {y};
    },
    .onnx = "Resize",
    .samples =
        [](Samples& s) {
          const auto to = [](Ints size, const char* mode, bool align = false) {
            return [=](const Tensors& x) { return Tensors{interpolate(x[0], size, mode, align)}; };
          };
          const auto torch = [](const char* size, const char* mode, const char* align = "None") {
            return cat(
                {"F.interpolate({0}, ", size, ", mode='", mode, "', align_corners=", align, ")"});
          };
          const SampleInput image = s.uniform({2, 2, 3, 4}), line = s.uniform({1, 2, 5});
          s.add({image}, to({5, 7}, "nearest"), torch("(5, 7)", "nearest"));
          s.add({image}, to({2, 3}, "nearest-exact"), torch("(2, 3)", "nearest-exact"));
          s.add({image}, to({6, 3}, "bilinear"), torch("(6, 3)", "bilinear", "False"));
          s.add({image}, to({5, 2}, "bilinear", true), torch("(5, 2)", "bilinear", "True"));
          s.add({image}, to({1, 1}, "bilinear", true), torch("(1, 1)", "bilinear", "True"));
          s.add({image}, to({5, 7}, "bicubic"), torch("(5, 7)", "bicubic", "False"));
          s.add({image}, to({5, 2}, "bicubic", true), torch("(5, 2)", "bicubic", "True"));
          s.add({image}, to({2, 3}, "area"), torch("(2, 3)", "area"));
          s.add({line}, to({8}, "linear"), torch("8", "linear", "False"));
          s.add({line}, to({5}, "nearest"), torch("5", "nearest"));
          s.add({s.uniform({1, 1, 2, 3, 2})}, to({3, 2, 4}, "trilinear"),
                torch("(3, 2, 4)", "trilinear", "False"));
          s.add({s.uniform({0, 1, 2, 3})}, to({4}, "bilinear")).oracle =
              "an empty batch gives an empty batch";
          s.bad({image}, to({0, 2}, "nearest"), "below 1");
          s.bad({image}, to({2, 2}, "trilinear"),
                "mode 'trilinear' is not one for 2 spatial dimensions");
          s.bad({image}, to({2, 2}, "nearest", true), "align_corners needs");
          s.bad({image}, to({2, 2, 2}, "nearest"), "size [2, 2, 2] has 3 entries");
          s.bad({s.uniform({2, 3})}, to({2}, "nearest"), "rank 2");
        },
};

Tensor interpolate(In x, const Ints& size, const std::string& mode, bool align_corners) {
  const int64_t rank = std::max<int64_t>(1, x->rank() - 2);
  return make(
      op_interpolate,
      InterpolateAttrs{per_dimension("interpolate", "size", size, rank), mode, align_corners}, {x});
}

}  // namespace nacre
