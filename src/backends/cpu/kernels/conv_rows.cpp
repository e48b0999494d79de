// conv_rows and its gradients, of bf16: the library's kernels; the gradient of the weight as
// products of matrices over pixels, one for each tap, which is 2 to 9 times as fast as its own.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/copy.h"
#include "backends/cpu/fused_conv.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "ops/nn/rows.h"

namespace nacre::cpu {
namespace {

bool takes_conv_rows(const KernelQuery& q) {
  if (!dnnl::native(DType::bf16) || !q.all_contiguous() || q.in[0].dtype != DType::bf16)
    return false;
  for (const auto list : {q.in, q.out})
    for (const Operand& o : list)
      if (o.numel() == 0) return false;
  return true;
}

dnnl::RowsConvolution described(const KernelQuery& q, const Shape& input, const Operand& weight,
                                const Shape& output) {
  dnnl::RowsConvolution c;
  c.weight_type = weight.dtype;
  c.input = without_rows(input);
  c.weight = weight.shape;
  c.output = without_rows(output);
  c.stride = q.ints("stride");
  c.dilation = q.ints("dilation");
  c.pad_low = q.ints("pad_low");
  c.groups = q.integer("groups");
  c.low = -INFINITY;
  c.high = INFINITY;
  return c;
}

/// dw[o][c][tap] = sum over pixels of dy[pixel][o] x[pixel moved by the tap][c].
class WeightGrad final : public Kernel {
 public:
  WeightGrad(const KernelQuery& q, std::unique_ptr<dnnl::Program> product, bool together)
      : x_(q.in[0].shape),
        y_(q.in[1].shape),
        w_(q.out[0].shape),
        stride_(q.ints("stride")),
        dilation_(q.ints("dilation")),
        pad_(q.ints("pad_low")),
        product_(std::move(product)),
        together_(together) {}

  /// The pixels of x that one tap reads are x itself.
  static bool plain(const KernelQuery& q) {
    const Shape& w = q.out[0].shape;
    return w[2] == 1 && w[3] == 1 && q.in[0].shape[1] == q.in[1].shape[1] &&
           q.in[0].shape[2] == q.in[1].shape[2] && q.ints("stride") == Ints{1, 1} &&
           q.ints("pad_low") == Ints{0, 0};
  }
  /// Of few channels, the taps of a pixel lie beside each other and there is one product.
  static bool few(const Shape& w) { return w[1] <= 16; }

  std::string description() const override { return "products:" + product_->implementation(); }
  size_t scratch_bytes() const override {
    return align64(columns_bytes()) + align64(sums_bytes()) + product_->scratch_bytes();
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    const auto* x = static_cast<const uint16_t*>(in[0]);
    auto* columns = static_cast<uint16_t*>(scratch);
    auto* sums = reinterpret_cast<float*>(static_cast<char*>(scratch) + align64(columns_bytes()));
    char* rest = reinterpret_cast<char*>(sums) + align64(sums_bytes());
    const int64_t taps = w_[2] * w_[3], one = w_[0] * w_[1];
    if (together_) {
      gather_all(x, columns);
      product_->run(in[1], columns, sums, rest);
    } else {
      for (int64_t t = 0; t < taps; ++t) {
        gather(x, t, columns);
        product_->run(in[1], columns, sums + t * one, rest);
      }
    }
    auto* dw = static_cast<float*>(out[0]);
    parallel_for(w_[0], std::max<int64_t>(1, (1 << 14) / (taps * w_[1])),
                 [&](int64_t from, int64_t to) {
                   for (int64_t o = from; o < to; ++o)
                     for (int64_t t = 0; t < taps; ++t) {
                       const float* row =
                           together_ ? sums + (o * taps + t) * w_[1] : sums + t * one + o * w_[1];
                       float* to_row = dw + o * w_[1] * taps + t;
                       for (int64_t c = 0; c < w_[1]; ++c) to_row[c * taps] = row[c];
                     }
                 });
  }

 private:
  size_t columns_bytes() const {
    const int64_t pixels = y_[0] * y_[1] * y_[2];
    return static_cast<size_t>(pixels * w_[1] * (together_ ? w_[2] * w_[3] : 1)) * 2;
  }
  size_t sums_bytes() const { return static_cast<size_t>(w_.numel()) * sizeof(float); }

  /// All taps of a pixel beside each other, zeros outside. A row of taps is one copy where it lies
  /// inside.
  void gather_all(const uint16_t* x, uint16_t* to) const {
    const int64_t channels = w_[1], height = y_[1], width = y_[2], line = w_[3] * channels;
    parallel_for(y_[0] * height, std::max<int64_t>(1, (1 << 12) / (width * w_[2])),
                 [&](int64_t from, int64_t upto) {
                   for (int64_t r = from; r < upto; ++r)
                     for (int64_t t = 0; t < w_[2]; ++t) {
                       const int64_t h = r % height * stride_[0] + t * dilation_[0] - pad_[0];
                       const bool outside = h < 0 || h >= x_[1];
                       const uint16_t* row = x + (r / height * x_[1] + h) * x_[2] * channels;
                       uint16_t* p = to + (r * width * w_[2] + t) * line;
                       for (int64_t i = 0; i < width; ++i, p += w_[2] * line)
                         copy_taps(row, outside, i * stride_[1] - pad_[1], p);
                     }
                 });
  }

  /// The taps of one row, of which the first reads pixel `at`.
  void copy_taps(const uint16_t* row, bool outside, int64_t at, uint16_t* to) const {
    const int64_t channels = w_[1], taps = w_[3];
    if (!outside && dilation_[1] == 1 && at >= 0 && at + taps <= x_[2]) {
      std::memcpy(to, row + at * channels, static_cast<size_t>(taps * channels) * 2);
      return;
    }
    for (int64_t t = 0; t < taps; ++t, at += dilation_[1], to += channels) {
      if (outside || at < 0 || at >= x_[2])
        std::memset(to, 0, static_cast<size_t>(channels) * 2);
      else
        std::memcpy(to, row + at * channels, static_cast<size_t>(channels) * 2);
    }
  }

  /// The pixels of x that tap t reads; zeros outside.
  void gather(const uint16_t* x, int64_t t, uint16_t* to) const {
    const int64_t channels = w_[1], height = y_[1], width = y_[2];
    const int64_t down = t / w_[3] * dilation_[0] - pad_[0],
                  right = t % w_[3] * dilation_[1] - pad_[1];
    const auto bytes = static_cast<size_t>(channels) * 2;
    parallel_for(y_[0] * height, std::max<int64_t>(1, (1 << 14) / (width * channels)),
                 [&](int64_t from, int64_t upto) {
                   for (int64_t r = from; r < upto; ++r) {
                     const int64_t h = r % height * stride_[0] + down;
                     const bool outside = h < 0 || h >= x_[1];
                     const uint16_t* row = x + (r / height * x_[1] + h) * x_[2] * channels;
                     uint16_t* p = to + r * width * channels;
                     for (int64_t i = 0; i < width; ++i, p += channels) {
                       const int64_t at = i * stride_[1] + right;
                       if (outside || at < 0 || at >= x_[2])
                         std::memset(p, 0, bytes);
                       else
                         std::memcpy(p, row + at * channels, bytes);
                     }
                   }
                 });
  }

  Shape x_, y_, w_;
  Ints stride_, dilation_, pad_;
  std::unique_ptr<dnnl::Program> product_;
  bool together_;
};

class PlainWeightGrad final : public Kernel {
 public:
  explicit PlainWeightGrad(std::unique_ptr<dnnl::Program> p) : product_(std::move(p)) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    product_->run(in[1], in[0], out[0], scratch);
  }
  size_t scratch_bytes() const override { return product_->scratch_bytes(); }
  std::string description() const override { return "products:" + product_->implementation(); }

 private:
  std::unique_ptr<dnnl::Program> product_;
};

}  // namespace

KERNEL(conv_rows) {
  if (!takes_conv_rows(q)) return nullptr;
  auto c = described(q, q.in[0].shape, q.in[1], q.out[0].shape);
  c.bias = q.flag("bias");
  c.accumulate = q.flag("residual");
  c.swish = q.flag("swish");
  c.low = static_cast<float>(q.number("low"));
  c.high = static_cast<float>(q.number("high"));
  if (c.bias && q.in[2].dtype != DType::f32) return nullptr;
  if (c.accumulate && q.in.back().dtype != DType::bf16) return nullptr;
  auto program = dnnl::rows_convolution(c);
  if (!program) return nullptr;
  return std::make_unique<FusedConv>(std::move(program), c.bias, c.accumulate ? 2 + c.bias : 0,
                                     q.out[0].bytes());
}

KERNEL(conv_rows_input_grad) {
  if (!takes_conv_rows(q)) return nullptr;
  auto c = described(q, q.out[0].shape, q.in[1], q.in[0].shape);
  c.pass = dnnl::Pass::input_grad;
  auto program = dnnl::rows_convolution(c);
  return program ? std::make_unique<FusedConv>(std::move(program), false, 0, q.out[0].bytes())
                 : nullptr;
}

KERNEL(conv_rows_weight_grad) {
  if (!takes_conv_rows(q)) return nullptr;
  if (q.integer("groups") != 1) {
    auto c = described(q, q.in[0].shape, q.out[0], q.in[1].shape);
    c.pass = dnnl::Pass::weight_grad;
    auto program = dnnl::rows_convolution(c);
    return program ? std::make_unique<FusedConv>(std::move(program), false, 0, q.out[0].bytes())
                   : nullptr;
  }
  const Shape &y = q.in[1].shape, &w = q.out[0].shape;
  const int64_t pixels = y[0] * y[1] * y[2];
  const bool together = WeightGrad::few(w);
  const int64_t columns = together ? w[1] * w[2] * w[3] : w[1];
  auto product = dnnl::matmul({{w[0], pixels}, {1, w[0]}, DType::bf16},
                              {{pixels, columns}, {columns, 1}, DType::bf16},
                              {{w[0], columns}, {columns, 1}, DType::f32});
  if (!product) return nullptr;
  if (WeightGrad::plain(q)) return std::make_unique<PlainWeightGrad>(std::move(product));
  return std::make_unique<WeightGrad>(q, std::move(product), together);
}

}  // namespace nacre::cpu
