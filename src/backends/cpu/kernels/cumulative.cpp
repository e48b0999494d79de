// cumsum, cumprod along one dimension.
#include <algorithm>
#include <type_traits>

#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/types.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

template <typename T, bool Product>
class Cumulative final : public Kernel {
 public:
  explicit Cumulative(const Axis& a) : a_(a) {}
  std::string description() const override { return "scan"; }
  bool may_alias(int, int) const override { return true; }
  void run(const void* const* in, void* const* out, void*) const override {
    const auto* x = static_cast<const T*>(in[0]);
    auto* y = static_cast<T*>(out[0]);
    const int64_t blocks = (a_.inner + kBlock - 1) / kBlock;
    const int64_t work = std::max<int64_t>(1, a_.size * std::min(a_.inner, kBlock));
    parallel_for(a_.outer * blocks, std::max<int64_t>(1, (1 << 14) / work),
                 [&](int64_t b, int64_t e) {
                   for (int64_t u = b; u < e; ++u) {
                     const int64_t i0 = u % blocks * kBlock;
                     const int64_t at = u / blocks * a_.size * a_.inner + i0;
                     block(x + at, y + at, std::min(kBlock, a_.inner - i0));
                   }
                 });
  }

 private:
  static constexpr int64_t kBlock = 64;
  // Integers wrap; f32 is summed in double, since long sums lose the small terms.
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;
  void block(const T* x, T* y, int64_t n) const {
    Sum sum[kBlock];
    std::fill_n(sum, n, Product ? Sum(1) : Sum(0));
    for (int64_t j = 0; j < a_.size; ++j, x += a_.inner, y += a_.inner)
      for (int64_t i = 0; i < n; ++i) {
        sum[i] = Product ? sum[i] * static_cast<Sum>(x[i]) : sum[i] + static_cast<Sum>(x[i]);
        y[i] = static_cast<T>(sum[i]);
      }
  }
  Axis a_;
};

}  // namespace

std::unique_ptr<Kernel> make_cumulative(Operands in, Operands out, int64_t dim, bool product) {
  if (in[0].dtype != out[0].dtype || in[0].dtype == DType::boolean) return nullptr;
  if (is_half(in[0].dtype))
    return in_f32(in, out,
                  [&](Operands i, Operands o) { return make_cumulative(i, o, dim, product); });
  const Axis a = in[0].shape.empty() ? Axis({1}, 0) : Axis(in[0].shape, dim);
  return for_type(in[0].dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    using T = decltype(zero);
    if (product) return std::make_unique<Cumulative<T, true>>(a);
    return std::make_unique<Cumulative<T, false>>(a);
  });
}

KERNEL(cumsum) {
  return q.all_contiguous() ? make_cumulative(q.in, q.out, q.integer("dim"), false) : nullptr;
}

KERNEL(cumprod) {
  return q.all_contiguous() ? make_cumulative(q.in, q.out, q.integer("dim"), true) : nullptr;
}

}  // namespace nacre::cpu
