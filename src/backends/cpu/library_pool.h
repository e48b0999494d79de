// A pool of the library, in blocks or over rows.
#pragma once

#include <memory>
#include <string>

#include "backends/cpu/dnnl.h"
#include "graph/kernel.h"

namespace nacre::cpu {

class LibraryPool final : public Kernel {
 public:
  explicit LibraryPool(std::unique_ptr<dnnl::Program> p) : program_(std::move(p)) {}
  /// Null if the library has no fast implementation.
  static std::unique_ptr<Kernel> make(const dnnl::BlockedPool& p) {
    auto program = dnnl::blocked_pool(p);
    return program ? std::make_unique<LibraryPool>(std::move(program)) : nullptr;
  }
  void run(const void* const* in, void* const* out, void* scratch) const override {
    program_->run(in[0], nullptr, out[0], scratch);
  }
  size_t scratch_bytes() const override { return program_->scratch_bytes(); }
  std::string description() const override { return "dnnl:" + program_->implementation(); }

 private:
  std::unique_ptr<dnnl::Program> program_;
};

}  // namespace nacre::cpu
