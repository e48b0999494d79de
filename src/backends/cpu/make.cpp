#include "backends/cpu/make.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/types.h"

namespace nacre::cpu {
namespace {

constexpr size_t kMaxOperands = 8;

class InF32 final : public Kernel {
 public:
  InF32(Operands in, Operands out, const Make& make) : in_(in.begin(), in.end()) {
    out_.assign(out.begin(), out.end());
    auto wide_in = in_, wide_out = out_;
    for (auto* list : {&wide_in, &wide_out})
      for (auto& o : *list)
        if (is_half(o.dtype)) {
          o.dtype = DType::f32;
          o.strides = contiguous_strides(o.shape);
          scratch_ += align64(o.bytes());
        }
    inner_ = make(wide_in, wide_out);
    // Past the widened operands: first the dense copy of a strided input, then the inner kernel's.
    size_t after = inner_ ? inner_->scratch_bytes() : 0;
    for (const auto& o : in_) after = std::max(after, align64(o.bytes()));
    scratch_ += after;
  }
  bool made() const { return inner_ != nullptr; }

  void run(const void* const* in, void* const* out, void* scratch) const override {
    char* free = static_cast<char*>(scratch);
    const auto take = [&](const Operand& o) {
      auto* p = reinterpret_cast<float*>(free);
      free += align64(static_cast<size_t>(o.numel()) * sizeof(float));
      return p;
    };
    std::array<const void*, kMaxOperands> wide_in{};
    std::array<void*, kMaxOperands> wide_out{};
    for (size_t i = 0; i < in_.size(); ++i) {
      wide_in[i] = in[i];
      if (!is_half(in_[i].dtype)) continue;
      float* wide = take(in_[i]);
      const auto& o = in_[i];
      if (o.strides == contiguous_strides(o.shape)) {
        widen(o.dtype, in[i], wide, o.numel());
      } else {
        copy_dense(o.shape, o.strides, 2, in[i], free);
        widen(o.dtype, free, wide, o.numel());
      }
      wide_in[i] = wide;
    }
    for (size_t i = 0; i < out_.size(); ++i)
      wide_out[i] = is_half(out_[i].dtype) ? take(out_[i]) : out[i];
    inner_->run(wide_in.data(), wide_out.data(), free);
    for (size_t i = 0; i < out_.size(); ++i)
      if (is_half(out_[i].dtype))
        narrow(out_[i].dtype, static_cast<const float*>(wide_out[i]), out[i], out_[i].numel());
  }
  size_t scratch_bytes() const override { return scratch_; }
  std::string description() const override { return inner_->description() + " in f32"; }

 private:
  std::vector<Operand> in_, out_;
  std::unique_ptr<Kernel> inner_;
  size_t scratch_ = 0;
};

}  // namespace

Operand dense(DType t, Shape shape) {
  Operand o;
  o.dtype = t;
  o.strides = contiguous_strides(shape);
  o.shape = std::move(shape);
  return o;
}

std::unique_ptr<Kernel> in_f32(Operands in, Operands out, const Make& make) {
  if (in.size() > kMaxOperands || out.size() > kMaxOperands) return nullptr;
  auto kernel = std::make_unique<InF32>(in, out, make);
  return kernel->made() ? std::move(kernel) : nullptr;
}

}  // namespace nacre::cpu
