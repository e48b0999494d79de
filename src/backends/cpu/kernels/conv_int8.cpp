// conv_int8: the library's kernels. Their scales are part of the code that the library makes, so
// they are made for good when the scales are known.
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/dnnl.h"
#include "backends/cpu/kernel_macros.h"
#include "base/parallel.h"
#include "ops/nn/rows.h"

namespace nacre::cpu {
namespace {

class ConvInt8 final : public Kernel {
 public:
  /// moved: the residual is of the other type of 8 bits than the result, and is moved by 128.
  ConvInt8(dnnl::Int8Convolution c, std::shared_ptr<const dnnl::Program> program, bool moved,
           size_t bytes)
      : conv_(std::move(c)), program_(std::move(program)), moved_(moved), bytes_(bytes) {}

  /// Null if the library has no fast implementation.
  static std::unique_ptr<Kernel> make(dnnl::Int8Convolution c, bool moved, size_t bytes) {
    auto program = dnnl::int8_convolution(c);
    if (!program) return nullptr;
    return std::make_unique<ConvInt8>(std::move(c), std::move(program), moved, bytes);
  }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    if (const int i = residual(); i && in[i] != out[0]) {  // the kernel adds to what is there
      const auto* from = static_cast<const unsigned char*>(in[i]);
      auto* to = static_cast<unsigned char*>(out[0]);
      parallel_for(static_cast<int64_t>(bytes_), 1 << 18, [&](int64_t b, int64_t e) {
        if (!moved_)
          std::memcpy(to + b, from + b, static_cast<size_t>(e - b));
        else
          for (int64_t k = b; k < e; ++k) to[k] = from[k] ^ 0x80;
      });
    }
    const void* bias = conv_.bias ? in[3] : nullptr;
    if (ready_)
      program_->run(in[0], in[1], out[0], scratch, bias);
    else
      dnnl::int8_convolution(scaled(in[2]))->run(in[0], in[1], out[0], scratch, bias);
  }
  size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  bool may_alias(int in, int) const override { return residual() && in == residual() && !moved_; }

  /// The weights come first, and are packed when the scales are known.
  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    if (input == 1) {
      auto made = std::make_unique<ConvInt8>(conv_, program_, moved_, bytes_);
      made->weights_ = values;
      return made;
    }
    if (input != 2) return nullptr;
    auto c = scaled(values);
    std::shared_ptr<const dnnl::Program> program = dnnl::int8_convolution(c);
    if (weights_)
      if (auto packed = program->with_b(weights_)) program = std::move(packed);
    auto made = std::make_unique<ConvInt8>(std::move(c), std::move(program), moved_, bytes_);
    made->ready_ = true;
    return made;
  }
  std::string description() const override { return "dnnl:" + program_->implementation(); }

 private:
  int residual() const { return conv_.accumulate ? 3 + conv_.bias : 0; }
  dnnl::Int8Convolution scaled(const void* scales) const {
    auto c = conv_;
    const auto* values = static_cast<const float*>(scales);
    c.scale.assign(values, values + c.weight[0]);
    for (float& s : c.scale)  // one NaN tells the library that the scale comes later
      if (std::isnan(s)) s = std::numeric_limits<float>::quiet_NaN();
    return c;
  }

  dnnl::Int8Convolution conv_;
  std::shared_ptr<const dnnl::Program> program_;
  bool moved_;
  size_t bytes_;
  const void* weights_ = nullptr;
  bool ready_ = false;  // the program has the scales
};

/// So many products of 8-bit integers have a sum that fits 32 bits.
constexpr int64_t kMostProducts = (int64_t{1} << 31) / (255 * 128);

}  // namespace

KERNEL(conv_int8) {
  if (!q.all_contiguous() || !dnnl::native(DType::i8)) return nullptr;
  for (const auto list : {q.in, q.out})
    for (const Operand& o : list)
      if (o.numel() == 0) return nullptr;
  if (q.in[1].shape.slice(1, 4).numel() > kMostProducts) return nullptr;
  const auto number = [&](const char* name) { return static_cast<float>(q.number(name)); };
  const auto whole = [&](const char* name) { return static_cast<int32_t>(q.integer(name)); };
  dnnl::Int8Convolution c;
  c.input_type = q.in[0].dtype;
  c.output_type = q.out[0].dtype;
  c.input = without_rows(q.in[0].shape);
  c.weight = q.in[1].shape;
  c.output = without_rows(q.out[0].shape);
  c.stride = q.ints("stride");
  c.dilation = q.ints("dilation");
  c.pad_low = q.ints("pad_low");
  c.groups = q.integer("groups");
  c.scale.assign(static_cast<size_t>(c.weight[0]), 1);
  c.x_zero = whole("x_zero");
  c.y_zero = whole("y_zero");
  c.bias = q.flag("bias");
  c.accumulate = q.flag("residual");
  c.swish = q.flag("swish");
  c.rounded = q.flag("rounded");
  c.sum_low = number("sum_low");
  c.sum_high = number("sum_high");
  c.sum_scale = number("sum_scale");
  c.residual_scale = number("residual_scale");
  c.residual_zero = whole("residual_zero");
  c.low = number("low");
  c.high = number("high");
  // The library adds in place, to results of the same type.
  if (c.accumulate && c.output_type == DType::f32) return nullptr;
  const bool moved = c.accumulate && q.in.back().dtype != c.output_type;
  if (moved) c.residual_zero += c.output_type == DType::u8 ? 128 : -128;
  return ConvInt8::make(std::move(c), moved, q.out[0].bytes());
}

}  // namespace nacre::cpu
