// A step of Adam, in place where p, m and v are not needed any more.
#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/simd/adam.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

template <typename T>
class Adam final : public Kernel {
 public:
  explicit Adam(const KernelQuery& q) : n_(q.in[0].numel()), conditional_(q.in.size() == 8) {
    const double beta1 = q.number("beta1"), beta2 = q.number("beta2");
    numbers_.beta1 = static_cast<T>(beta1);
    numbers_.rest1 = static_cast<T>(1 - beta1);
    numbers_.beta2 = static_cast<T>(beta2);
    numbers_.rest2 = static_cast<T>(1 - beta2);
    numbers_.eps = static_cast<T>(q.number("eps"));
  }
  bool may_alias(int in, int out) const override {
    return (in == 0 && out == 0) || (in == 2 && out == 1) || (in == 3 && out == 2);
  }
  std::string description() const override { return "simd"; }
  void run(const void* const* in, void* const* out, void*) const override {
    if (conditional_ && !*static_cast<const uint8_t*>(in[7])) {
      for (const auto& [from, to] : {std::pair(0, 0), std::pair(2, 1), std::pair(3, 2)})
        if (in[from] != out[to])
          std::memcpy(out[to], in[from], static_cast<size_t>(n_) * sizeof(T));
      return;
    }
    AdamNumbers<T> a = numbers_;
    a.rate = *static_cast<const T*>(in[4]);
    a.correction = *static_cast<const T*>(in[5]);
    a.shrink = *static_cast<const T*>(in[6]);
    const auto from = [&](int i) { return static_cast<const T*>(in[i]); };
    const auto to = [&](int i) { return static_cast<T*>(out[i]); };
    parallel_for((n_ + kPiece - 1) / kPiece, 16, [&](int64_t b, int64_t e) {
      const int64_t at = b * kPiece, n = std::min(n_, e * kPiece) - at;
      adam_step(a, from(0) + at, from(1) + at, from(2) + at, from(3) + at, to(0) + at, to(1) + at,
                to(2) + at, n);
    });
  }

 private:
  static constexpr int64_t kPiece = 1024;
  int64_t n_;
  bool conditional_;
  AdamNumbers<T> numbers_{};
};

}  // namespace

KERNEL(adam_update) {
  if (!q.all_contiguous()) return nullptr;
  return for_float(q.in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    return std::make_unique<Adam<decltype(zero)>>(q);
  });
}

}  // namespace nacre::cpu
