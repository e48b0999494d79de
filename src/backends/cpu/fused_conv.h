// A convolution of the library with a bias, an addition and an activation in it.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "backends/cpu/dnnl.h"
#include "base/parallel.h"
#include "graph/kernel.h"

namespace nacre::cpu {

/// Inputs: x, weight, then bias and what is added, as far as they are there.
class FusedConv final : public Kernel {
 public:
  FusedConv(std::unique_ptr<dnnl::Program> p, bool bias, int residual, size_t bytes)
      : program_(std::move(p)), bias_(bias), residual_(residual), bytes_(bytes) {}
  void run(const void* const* in, void* const* out, void* scratch) const override {
    if (residual_ && in[residual_] != out[0]) {  // the kernel adds to what is there
      const auto* from = static_cast<const char*>(in[residual_]);
      auto* to = static_cast<char*>(out[0]);
      parallel_for(static_cast<int64_t>(bytes_), 1 << 18, [&](int64_t b, int64_t e) {
        std::memcpy(to + b, from + b, static_cast<size_t>(e - b));
      });
    }
    program_->run(in[0], in[1], out[0], scratch, bias_ ? in[2] : nullptr);
  }
  size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  bool may_alias(int in, int) const override { return residual_ && in == residual_; }
  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    auto packed = input == 1 ? program_->with_b(values) : nullptr;
    return packed ? std::make_unique<FusedConv>(std::move(packed), bias_, residual_, bytes_)
                  : nullptr;
  }
  std::string description() const override { return "dnnl:" + program_->implementation(); }

 private:
  std::unique_ptr<dnnl::Program> program_;
  bool bias_;
  int residual_;  // number of the input; 0: none
  size_t bytes_;
};

}  // namespace nacre::cpu
