// full, arange, linspace: tensors without inputs.
#include "backends/cpu/kernel_macros.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

// A number as an element of type t: whole types truncate, bool is "not zero".
void put(DType t, void* to, int64_t k, double v) {
  switch (t) {
    case DType::f32:
      static_cast<float*>(to)[k] = static_cast<float>(v);
      return;
    case DType::f64:
      static_cast<double*>(to)[k] = v;
      return;
    case DType::bf16:
      static_cast<uint16_t*>(to)[k] = f32_to_bf16(static_cast<float>(v));
      return;
    case DType::f16:
      static_cast<uint16_t*>(to)[k] = f32_to_f16(static_cast<float>(v));
      return;
    case DType::i8:
      static_cast<int8_t*>(to)[k] = static_cast<int8_t>(static_cast<int64_t>(v));
      return;
    case DType::u8:
      static_cast<uint8_t*>(to)[k] = static_cast<uint8_t>(static_cast<int64_t>(v));
      return;
    case DType::i32:
      static_cast<int32_t*>(to)[k] = static_cast<int32_t>(static_cast<int64_t>(v));
      return;
    case DType::i64:
      static_cast<int64_t*>(to)[k] = static_cast<int64_t>(v);
      return;
    case DType::boolean:
      static_cast<bool*>(to)[k] = static_cast<int64_t>(v) != 0;
      return;
  }
}

// The first `half` elements are counted from the start, the others back from the last.
class Range final : public Kernel {
 public:
  Range(const Operand& out, double start, double step, double last, int64_t half)
      : type_(out.dtype), n_(out.numel()), half_(half), start_(start), step_(step), last_(last) {}
  std::string description() const override { return "range"; }
  void run(const void* const*, void* const* out, void*) const override {
    parallel_for(n_, 1 << 15, [&](int64_t b, int64_t e) {
      for (int64_t k = b; k < e; ++k)
        put(type_, out[0], k,
            k < half_ ? start_ + static_cast<double>(k) * step_
                      : last_ - static_cast<double>(n_ - 1 - k) * step_);
    });
  }

 private:
  DType type_;
  int64_t n_, half_;
  double start_, step_, last_;
};

}  // namespace

KERNEL(full) { return std::make_unique<Range>(q.out[0], 0, 0, q.number("value"), 0); }

KERNEL(arange) {
  return std::make_unique<Range>(q.out[0], q.number("start"), q.number("step"), 0,
                                 q.out[0].numel());
}

KERNEL(linspace) {
  const double start = q.number("start"), stop = q.number("stop");
  const int64_t n = q.out[0].numel();
  const double step = n > 1 ? (stop - start) / static_cast<double>(n - 1) : 0;
  // From the nearer end, so that both are exact.
  return std::make_unique<Range>(q.out[0], start, step, stop, (n + 1) / 2);
}

}  // namespace nacre::cpu
