// conv, conv_input_grad, conv_weight_grad: the library's kernel with reorders around it, or im2col.
#include <algorithm>
#include <cstring>

#include "backends/cpu/dnnl.h"
#include "backends/cpu/im2col.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"

namespace nacre::cpu {
namespace {

class LibraryConv final : public Kernel {
 public:
  explicit LibraryConv(std::unique_ptr<dnnl::Program> p) : program_(std::move(p)) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    program_->run(in[0], in[1], out[0], scratch);
  }
  size_t scratch_bytes() const override { return program_->scratch_bytes(); }
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

std::unique_ptr<Kernel> prepare(ConvPass pass, const Operand& x, const Operand& w, const Operand& y,
                                const ConvAttrs& a) {
  const Operand& result = pass == ConvPass::forward ? y : pass == ConvPass::input_grad ? x : w;
  const DType t = result.dtype;
  const int64_t rank = x.shape.rank() - 2;
  if (x.dtype != t || w.dtype != t || y.dtype != t || rank < 1 || rank > 3) return nullptr;
  if (x.numel() == 0 || w.numel() == 0 || y.numel() == 0)
    return std::make_unique<Zero>(result.bytes());
  if (dnnl::native(t)) {
    dnnl::Convolution c;
    c.pass = pass == ConvPass::forward      ? dnnl::Pass::forward
             : pass == ConvPass::input_grad ? dnnl::Pass::input_grad
                                            : dnnl::Pass::weight_grad;
    c.dtype = t;
    c.input = x.shape;
    c.weight = w.shape;
    c.output = y.shape;
    c.stride = a.stride;
    c.dilation = a.dilation;
    c.pad_low = a.pad_low;
    c.groups = a.groups;
    if (auto program = dnnl::convolution(c))
      return std::make_unique<LibraryConv>(std::move(program));
  }
  return make_im2col(t, pass, ConvGeometry(x.shape, w.shape, y.shape, a));
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
