#include "ops/nn/window.h"

namespace nacre {
namespace {

constexpr int64_t kLimit = int64_t{1} << 31;  // keeps products of two of them inside 64 bits

int64_t extent(int64_t kernel, int64_t dilation) { return dilation * (kernel - 1) + 1; }

}  // namespace

Ints per_dimension(const char* op, const char* what, const Ints& list, int64_t rank) {
  if (list.rank() == rank) return list;
  if (list.rank() == 1) return Ints(static_cast<size_t>(rank), list[0]);
  fail(Error::Kind::shape, {"[", op, "] ", what, " ", as_list(list), " has ", list.rank(),
                            " entries, 1 or ", rank, " are needed", where()});
}

SlidingWindow resolve_window(const char* op, const Shape& spatial, const Ints& kernel,
                             const Ints& stride, const Ints& padding, const Ints& dilation,
                             bool same, bool ceil_mode) {
  const int64_t rank = spatial.rank();
  SlidingWindow w;
  w.kernel = per_dimension(op, "kernel", kernel, rank);
  w.stride = per_dimension(op, "stride", stride, rank);
  w.dilation = per_dimension(op, "dilation", dilation, rank);
  const auto check = [&](const char* what, const Ints& list, int64_t least) {
    for (int64_t v : list)
      if (v < least || v > kLimit)
        fail(Error::Kind::shape,
             {"[", op, "] ", what, " ", as_list(list), " has an entry below ", least, where()});
  };
  check("kernel", w.kernel, 1);
  check("stride", w.stride, 1);
  check("dilation", w.dilation, 1);
  if (same) {
    w.pad_low = w.pad_high = Ints(static_cast<size_t>(rank), 0);
    for (int64_t d = 0; d < rank; ++d) {
      const int64_t out = (spatial[d] + w.stride[d] - 1) / w.stride[d];
      const int64_t total = std::max<int64_t>(
          0, (out - 1) * w.stride[d] + extent(w.kernel[d], w.dilation[d]) - spatial[d]);
      w.pad_low[d] = total / 2;
      w.pad_high[d] = total - total / 2;
    }
  } else if (padding.rank() == 2 * rank) {
    w.pad_low = padding.slice(0, rank);
    w.pad_high = padding.slice(rank, 2 * rank);
  } else {
    w.pad_low = w.pad_high = per_dimension(op, "padding", padding, rank);
  }
  check("padding", w.pad_low, 0);
  check("padding", w.pad_high, 0);
  if (!ceil_mode) return w;
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t e = extent(w.kernel[d], w.dilation[d]), s = w.stride[d];
    const int64_t room = spatial[d] + w.pad_low[d] + w.pad_high[d] - e;
    if (room < 0 && -room < s) w.pad_high[d] -= room;  // one window, of which a part lies outside
    if (room < 0 || room % s == 0) continue;
    const int64_t last = (room / s + 1) * s;  // start of the partial window
    if (last < spatial[d] + w.pad_low[d]) w.pad_high[d] = last + e - spatial[d] - w.pad_low[d];
  }
  return w;
}

Shape windowed_shape(const Infer& in, const Shape& spatial, const SlidingWindow& w) {
  const int64_t rank = spatial.rank();
  for (const Ints* list : {&w.kernel, &w.stride, &w.dilation, &w.pad_low, &w.pad_high})
    in.check(list->rank() == rank,
             {"a window attribute ", as_list(*list), " does not have ", rank, " entries"});
  Shape out;
  for (int64_t d = 0; d < rank; ++d) {
    in.check(w.kernel[d] >= 1 && w.stride[d] >= 1 && w.dilation[d] >= 1 && w.pad_low[d] >= 0 &&
                 w.pad_high[d] >= 0 && w.kernel[d] <= kLimit && w.stride[d] <= kLimit &&
                 w.dilation[d] <= kLimit && w.pad_low[d] <= kLimit && w.pad_high[d] <= kLimit,
             {"a window attribute of dimension ", d, " is out of range"});
    const int64_t e = extent(w.kernel[d], w.dilation[d]);
    const int64_t room = spatial[d] + w.pad_low[d] + w.pad_high[d] - e;
    in.check(room >= 0, {"the window of ", e, " is larger than the padded input of ",
                         spatial[d] + w.pad_low[d] + w.pad_high[d]});
    out.push_back(room / w.stride[d] + 1);
  }
  return out;
}

Shape with_spatial(int64_t n, int64_t c, const Shape& spatial) {
  Shape s = {n, c};
  for (int64_t v : spatial) s.push_back(v);
  return s;
}

}  // namespace nacre
