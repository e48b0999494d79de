#include "backends/cpu/im2col.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/copy.h"
#include "backends/cpu/gemm.h"
#include "base/parallel.h"

namespace nacre::cpu {

ConvGeometry::ConvGeometry(const Shape& x, const Shape& w, const Shape& y, const ConvAttrs& a)
    : batch(x[0]), in_channels(x[1]), out_channels(y[1]), groups(a.groups) {
  const int64_t rank = x.rank() - 2;
  for (int64_t i = 0; i < rank; ++i) {
    const auto at = static_cast<size_t>(3 - rank + i);
    in[at] = x[2 + i];
    out[at] = y[2 + i];
    kernel[at] = w[2 + i];
    stride[at] = a.stride[i];
    dilation[at] = a.dilation[i];
    pad[at] = a.pad_low[i];
  }
}

ConvPlane ConvGeometry::plane() const {
  const auto last = [](const std::array<int64_t, 3>& v) { return ConvPlane::Sizes{v[1], v[2]}; };
  return {last(in), last(out), last(kernel), last(stride), last(dilation), last(pad)};
}

namespace {

// The outputs o in [first, last) whose input o * stride + offset lies in [0, size).
struct Range {
  int64_t first, last;
};
Range inside(int64_t outputs, int64_t size, int64_t stride, int64_t offset) {
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t last = size - offset <= 0 ? 0 : (size - offset - 1) / stride + 1;
  return {std::min(first, outputs), std::max(std::min(first, outputs), std::min(last, outputs))};
}

// Calls row(tap_row, out_row, source) for each row of the column matrix of rows [r0, r1) of
// outputs: `source` is the offset of the input row, or -1 if all of it is padding.
template <typename F>
void each_row(const ConvGeometry& g, int64_t r0, int64_t r1, F row) {
  int64_t tap = 0;
  for (int64_t c = 0; c < g.group_in(); ++c)
    for (int64_t kd = 0; kd < g.kernel[0]; ++kd)
      for (int64_t kh = 0; kh < g.kernel[1]; ++kh)
        for (int64_t kw = 0; kw < g.kernel[2]; ++kw, ++tap)
          for (int64_t r = r0; r < r1; ++r) {
            const int64_t d = r / g.out[1] * g.stride[0] - g.pad[0] + kd * g.dilation[0];
            const int64_t h = r % g.out[1] * g.stride[1] - g.pad[1] + kh * g.dilation[1];
            const bool in = d >= 0 && d < g.in[0] && h >= 0 && h < g.in[1];
            row(tap, r, in ? ((c * g.in[0] + d) * g.in[1] + h) * g.in[2] : -1,
                kw * g.dilation[2] - g.pad[2]);
          }
}

template <typename T>
class Im2col final : public Kernel {
 public:
  Im2col(ConvPass pass, const ConvGeometry& g) : pass_(pass), g_(g), workers_(num_threads()) {
    // Columns of about 512 KiB stay in the second-level cache.
    const int64_t row_bytes = depth() * g.out[2] * static_cast<int64_t>(sizeof(T));
    rows_ = std::clamp<int64_t>((1 << 19) / std::max<int64_t>(1, row_bytes), 1,
                                std::max<int64_t>(1, g.out[0] * g.out[1]));
    column_bytes_ = align64(static_cast<size_t>(rows_ * row_bytes));
    weight_ = g.out_channels * depth();
  }
  size_t scratch_bytes() const override {
    const size_t partial = pass_ == ConvPass::weight_grad ? align64(weight_ * sizeof(T)) : 0;
    return static_cast<size_t>(workers_) * (column_bytes_ + partial);
  }
  std::string description() const override { return "im2col"; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* a = static_cast<const T*>(in[0]);
    const auto* b = static_cast<const T*>(in[1]);
    auto* c = static_cast<T*>(out[0]);
    // Bands of the gradient of the input overlap, so one worker makes all of an image.
    const int64_t bands = pass_ == ConvPass::input_grad ? 1 : (out_rows() + rows_ - 1) / rows_;
    const int64_t units = g_.batch * g_.groups * bands;
    const auto worker = [&](int64_t w, int64_t of) {
      T* columns = reinterpret_cast<T*>(static_cast<char*>(scratch) +
                                        static_cast<size_t>(w) * column_bytes_);
      for (int64_t u = units * w / of; u < units * (w + 1) / of; ++u) {
        const int64_t n = u / bands / g_.groups, group = u / bands % g_.groups;
        const int64_t r0 = u % bands * rows_, r1 = std::min(out_rows(), r0 + rows_);
        if (pass_ == ConvPass::forward)
          forward(a, b, c, n, group, r0, r1, columns);
        else if (pass_ == ConvPass::input_grad)
          input_grad(a, b, c, n, group, columns);
        else
          weight_grad(a, b, partial(scratch, w), n, group, r0, r1, columns);
      }
    };
    if (pass_ == ConvPass::weight_grad)
      for (int64_t w = 0; w < workers_; ++w) std::fill_n(partial(scratch, w), weight_, T{});
    // One unit alone leaves the threads to the matrix product.
    if (units == 1)
      worker(0, 1);
    else
      parallel_for(workers_, 1, [&](int64_t w0, int64_t w1) {
        for (int64_t w = w0; w < w1; ++w) worker(w, workers_);
      });
    if (pass_ != ConvPass::weight_grad) return;
    std::copy_n(partial(scratch, 0), weight_, c);
    for (int64_t w = 1; w < workers_; ++w) {
      const T* p = partial(scratch, w);
      for (int64_t i = 0; i < weight_; ++i) c[i] += p[i];
    }
  }

 private:
  int64_t depth() const { return g_.group_in() * g_.taps(); }
  int64_t out_rows() const { return g_.out[0] * g_.out[1]; }
  T* partial(void* scratch, int64_t w) const {
    return reinterpret_cast<T*>(static_cast<char*>(scratch) +
                                static_cast<size_t>(workers_) * column_bytes_ +
                                static_cast<size_t>(w) * align64(weight_ * sizeof(T)));
  }

  void unfold(const T* x, int64_t r0, int64_t r1, T* columns) const {
    const int64_t width = g_.out[2], step = g_.stride[2], stride = (r1 - r0) * width;
    each_row(g_, r0, r1, [&](int64_t tap, int64_t r, int64_t source, int64_t offset) {
      T* to = columns + tap * stride + (r - r0) * width;
      if (source < 0) {
        std::fill_n(to, width, T{});
        return;
      }
      const Range in = inside(width, g_.in[2], step, offset);
      std::fill_n(to, in.first, T{});
      const T* from = x + source + in.first * step + offset;
      if (step == 1)
        std::copy_n(from, in.last - in.first, to + in.first);
      else
        for (int64_t i = in.first; i < in.last; ++i, from += step) to[i] = *from;
      std::fill_n(to + in.last, width - in.last, T{});
    });
  }

  void fold(const T* columns, int64_t r0, int64_t r1, T* x) const {
    const int64_t width = g_.out[2], step = g_.stride[2], stride = (r1 - r0) * width;
    each_row(g_, r0, r1, [&](int64_t tap, int64_t r, int64_t source, int64_t offset) {
      if (source < 0) return;
      const T* from = columns + tap * stride + (r - r0) * width;
      const Range in = inside(width, g_.in[2], step, offset);
      for (int64_t i = in.first; i < in.last; ++i) x[source + i * step + offset] += from[i];
    });
  }

  int64_t input_at(int64_t n, int64_t group) const {
    return (n * g_.in_channels + group * g_.group_in()) * g_.in_plane();
  }
  int64_t output_at(int64_t n, int64_t group) const {
    return (n * g_.out_channels + group * g_.group_out()) * g_.out_plane();
  }
  int64_t weight_at(int64_t group) const { return group * g_.group_out() * depth(); }

  void forward(const T* x, const T* w, T* y, int64_t n, int64_t group, int64_t r0, int64_t r1,
               T* columns) const {
    const int64_t count = (r1 - r0) * g_.out[2];
    unfold(x + input_at(n, group), r0, r1, columns);
    gemm<T>(false, false, g_.group_out(), count, depth(), w + weight_at(group), depth(), columns,
            count, 0, y + output_at(n, group) + r0 * g_.out[2], g_.out_plane());
  }

  void input_grad(const T* dy, const T* w, T* dx, int64_t n, int64_t group, T* columns) const {
    T* to = dx + input_at(n, group);
    std::fill_n(to, g_.group_in() * g_.in_plane(), T{});
    for (int64_t r0 = 0; r0 < out_rows(); r0 += rows_) {
      const int64_t r1 = std::min(out_rows(), r0 + rows_), count = (r1 - r0) * g_.out[2];
      gemm<T>(true, false, depth(), count, g_.group_out(), w + weight_at(group), depth(),
              dy + output_at(n, group) + r0 * g_.out[2], g_.out_plane(), 0, columns, count);
      fold(columns, r0, r1, to);
    }
  }

  void weight_grad(const T* x, const T* dy, T* dw, int64_t n, int64_t group, int64_t r0, int64_t r1,
                   T* columns) const {
    const int64_t count = (r1 - r0) * g_.out[2];
    unfold(x + input_at(n, group), r0, r1, columns);
    gemm<T>(false, true, g_.group_out(), depth(), count, dy + output_at(n, group) + r0 * g_.out[2],
            g_.out_plane(), columns, count, 1, dw + weight_at(group), depth());
  }

  ConvPass pass_;
  ConvGeometry g_;
  int64_t workers_, rows_ = 1;
  int64_t weight_ = 0;
  size_t column_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_im2col(DType t, ConvPass pass, const ConvGeometry& g) {
  switch (t) {
    case DType::f32:
      return std::make_unique<Im2col<float>>(pass, g);
    case DType::f64:
      return std::make_unique<Im2col<double>>(pass, g);
    case DType::i32:
      return std::make_unique<Im2col<int32_t>>(pass, g);
    case DType::i64:
      return std::make_unique<Im2col<int64_t>>(pass, g);
    default:
      return nullptr;
  }
}

}  // namespace nacre::cpu
