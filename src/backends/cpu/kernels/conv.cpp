// conv, conv_input_grad, conv_weight_grad: the library's kernel with reorders around it, our direct
// kernel, that for depthwise ones, that for many images or a product over columns, whichever was
// measured or a cost model expects to be fastest.
#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/cpu/batch_conv.h"
#include "backends/cpu/depthwise_conv.h"
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/dnnl.h"
#include "backends/cpu/im2col.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/simd/batch_conv.h"
#include "backends/cpu/simd/shift_conv.h"
#include "backends/cpu/tuning.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"
#include "nacre/error.h"

namespace nacre::cpu {
namespace {

class LibraryConv final : public Kernel {
 public:
  explicit LibraryConv(std::unique_ptr<dnnl::Program> p) : program_(std::move(p)) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    program_->run(in[0], in[1], out[0], scratch);
  }
  size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    auto packed = input == 1 ? program_->with_b(values) : nullptr;
    return packed ? std::make_unique<LibraryConv>(std::move(packed)) : nullptr;
  }
  std::string description() const override { return "dnnl:" + program_->implementation(); }

 private:
  std::unique_ptr<dnnl::Program> program_;
};

// A convolution without products: all results are zero.
class Zero final : public Kernel {
 public:
  explicit Zero(size_t bytes) : bytes_(bytes) {}
  void run(const void* const*, void* const* out, void*) const override {
    std::memset(out[0], 0, bytes_);
  }
  std::string description() const override { return "zero"; }

 private:
  size_t bytes_;
};

// What each way is expected to take, in nanoseconds of one core that does 200 GFLOP/s at its best.
// The rates were measured on AVX-512 machines; only their ratios matter.
struct Costs {
  double library, direct, depthwise, batch, im2col;
};

double share_used(int64_t n, int64_t block) {
  return static_cast<double>(n) / static_cast<double>((n + block - 1) / block * block);
}

Costs costs(ConvPass pass, const ConvGeometry& g) {
  const auto real = [](int64_t v) { return static_cast<double>(v); };
  const double flops =
      2.0 * real(g.batch * g.out_channels * g.out_plane() * g.group_in() * g.taps());
  const double plain =
      4.0 * real(g.batch * (g.in_channels * g.in_plane() + g.out_channels * g.out_plane()));
  const double columns = 4.0 * real(g.batch * g.in_channels * g.taps() * g.out_plane());
  const bool to_input = pass == ConvPass::input_grad;
  Costs c{};

  // The library pads channels to its block (a few input channels only where they are summed into
  // nothing else, those of pictures nowhere) and our plain layout costs it a reorder.
  const int64_t block = dnnl::channel_block();
  const bool few =
      g.group_in() < block && !to_input && (pass == ConvPass::forward || g.group_in() <= 4);
  const double used =
      share_used(g.group_out(), block) * (few ? 1.0 : share_used(g.group_in(), block));
  c.library = flops / (180 * used) + plain / 15;

  // The direct kernel computes the garbage between rows, and for the gradient of the input all
  // products with padding.
  const int64_t results = to_input ? g.group_in() : g.group_out();
  const int64_t width = to_input ? g.in[2] : g.out[2];
  double useful = real(width) / real(width + (g.kernel[2] - 1) * g.dilation[2]);
  if (to_input) useful *= real(g.out_plane()) / real(g.in_plane());
  const int64_t rows = shift_rows(results);
  if (pass == ConvPass::weight_grad)
    c.direct = flops / (120 * useful) + plain / 20;
  else
    c.direct = flops / ((rows > 4 ? 140 : 80) * useful * share_used(results, rows)) + plain / 40;
  if (g.stride[1] != 1 || g.stride[2] != 1) c.direct = std::numeric_limits<double>::infinity();

  // An image in each lane; the gradient of the input adds to memory what each pixel gives it.
  const int64_t lanes = batch_lanes(), units = (g.batch + lanes - 1) / lanes * g.groups;
  const double busy = share_used(g.batch, lanes) * share_used(units, num_threads());
  c.batch = flops / (150 * busy) * (to_input ? 1 + 4 / real(g.group_out()) : 1) + plain / 15;

  // Depthwise ones are as much copying as computing: ours of each row, the library's of all.
  c.depthwise = std::numeric_limits<double>::infinity();
  if (g.group_in() == 1 && g.group_out() == 1) {
    const double rows = real(g.batch * g.in_channels * (g.in[1] + g.out[1])) / 2;
    c.library = flops / 45 + plain / 9;
    c.direct = c.batch = std::numeric_limits<double>::infinity();
    c.depthwise = 8 * rows + flops / 60 + plain / 20;
  }

  const double full = std::min(1.0, real(g.group_out()) / 64);
  c.im2col = flops / (150 * full) + columns / (to_input ? 7.5 : 20);
  return c;
}

std::unique_ptr<Kernel> library(ConvPass pass, const Operand& x, const Operand& w, const Operand& y,
                                const ConvAttrs& a, dnnl::Form form = dnnl::Form::expected) {
  dnnl::Convolution c;
  c.pass = pass == ConvPass::forward      ? dnnl::Pass::forward
           : pass == ConvPass::input_grad ? dnnl::Pass::input_grad
                                          : dnnl::Pass::weight_grad;
  c.dtype = x.dtype;
  c.input = x.shape;
  c.weight = w.shape;
  c.output = y.shape;
  c.stride = a.stride;
  c.dilation = a.dilation;
  c.pad_low = a.pad_low;
  c.groups = a.groups;
  c.form = form;
  auto program = dnnl::convolution(c);
  return program ? std::make_unique<LibraryConv>(std::move(program)) : nullptr;
}

std::unique_ptr<Kernel> prepare(ConvPass pass, const Operand& x, const Operand& w, const Operand& y,
                                const ConvAttrs& a) {
  const Operand& result = pass == ConvPass::forward ? y : pass == ConvPass::input_grad ? x : w;
  const DType t = result.dtype;
  const int64_t rank = x.shape.rank() - 2;
  if (x.dtype != t || w.dtype != t || y.dtype != t || rank < 1 || rank > 3) return nullptr;
  if (x.numel() == 0 || w.numel() == 0 || y.numel() == 0)
    return std::make_unique<Zero>(result.bytes());
  const ConvGeometry g(x.shape, w.shape, y.shape, a);
  if (t == DType::bf16 && dnnl::native(t)) return library(pass, x, w, y, a);
  if (t != DType::f32) return make_im2col(t, pass, g);

  const auto expected = [&]() -> std::unique_ptr<Kernel> {
    const Costs cost = costs(pass, g);
    std::unique_ptr<Kernel> kernel;
    if (cost.library <= std::min({cost.direct, cost.depthwise, cost.batch, cost.im2col})) {
      kernel = library(pass, x, w, y, a);
      // The library's own products over columns are slower than ours.
      if (kernel && kernel->description().find("gemm") == std::string::npos) return kernel;
    }
    if (cost.batch <= std::min({cost.direct, cost.depthwise, cost.im2col}) &&
        (kernel = make_batch_conv(pass, g)))
      return kernel;
    if (cost.depthwise <= cost.im2col && (kernel = make_depthwise_conv(pass, g))) return kernel;
    if (cost.direct <= cost.im2col && (kernel = make_direct_conv(pass, g))) return kernel;
    return make_im2col(t, pass, g);
  };
  const Way ways[] = {{"cost model", expected},
                      {"library", [&] { return library(pass, x, w, y, a, dnnl::Form::direct); }},
                      {"winograd", [&] { return library(pass, x, w, y, a, dnnl::Form::winograd); }},
                      {"direct", [&] { return make_direct_conv(pass, g); }},
                      {"batch", [&] { return make_batch_conv(pass, g); }},
                      {"depthwise", [&] { return make_depthwise_conv(pass, g); }},
                      {"im2col", [&] { return make_im2col(t, pass, g); }}};
  const auto work = [&] {
    constexpr const char* kNames[] = {"conv", "conv_input_grad", "conv_weight_grad"};
    return cat({kNames[static_cast<size_t>(pass)], " ", x.shape, " with ", w.shape, " to ", y.shape,
                ", stride ", a.stride, ", dilation ", a.dilation, ", pad ", a.pad_low, ", groups ",
                a.groups});
  };
  const Operand operands[] = {pass == ConvPass::input_grad ? y : x,
                              pass == ConvPass::weight_grad ? y : w};
  if (auto kernel = fastest(work, operands, Operands(&result, 1), ways)) return kernel;
  return expected();
}

template <typename F>
std::unique_ptr<Kernel> with_half(Operands in, Operands out, F make) {
  if (auto kernel = make(in, out)) return kernel;
  return is_half(out[0].dtype) ? in_f32(in, out, make) : nullptr;
}

}  // namespace

std::unique_ptr<Kernel> make_conv(Operands in, Operands out, const ConvAttrs& a) {
  return with_half(in, out, [&](Operands i, Operands o) {
    return prepare(ConvPass::forward, i[0], i[1], o[0], a);
  });
}

std::unique_ptr<Kernel> make_conv_input_grad(Operands in, Operands out, const ConvAttrs& a) {
  return with_half(in, out, [&](Operands i, Operands o) {
    return prepare(ConvPass::input_grad, o[0], i[1], i[0], a);
  });
}

std::unique_ptr<Kernel> make_conv_weight_grad(Operands in, Operands out, const ConvAttrs& a) {
  return with_half(in, out, [&](Operands i, Operands o) {
    return prepare(ConvPass::weight_grad, i[0], o[0], i[1], a);
  });
}

namespace {
ConvAttrs attrs_of(const KernelQuery& q) {
  return {q.ints("stride"), q.ints("dilation"), q.ints("pad_low"), q.integer("groups")};
}
}  // namespace

KERNEL(conv) { return q.all_contiguous() ? make_conv(q.in, q.out, attrs_of(q)) : nullptr; }

KERNEL(conv_input_grad) {
  return q.all_contiguous() ? make_conv_input_grad(q.in, q.out, attrs_of(q)) : nullptr;
}

KERNEL(conv_weight_grad) {
  return q.all_contiguous() ? make_conv_weight_grad(q.in, q.out, attrs_of(q)) : nullptr;
}

}  // namespace nacre::cpu
