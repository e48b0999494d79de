// The adapter that runs an op's reference kernel: operands become doubles or 64-bit integers,
// whatever their type.
#include <cmath>

#include "compile/plan.h"
#include "graph/node.h"

namespace nacre {
namespace {

template <typename T, typename To>
void gather(const void* from, const Operand& o, To* to) {
  const auto* p = static_cast<const T*>(from);
  const int64_t n = o.numel(), rank = o.shape.rank();
  Shape at(static_cast<size_t>(rank), 0);
  int64_t offset = 0;
  for (int64_t k = 0; k < n; ++k) {
    to[k] = static_cast<To>(p[offset]);
    for (int64_t d = rank - 1; d >= 0; --d) {
      offset += o.strides[d];
      if (++at[d] < o.shape[d]) break;
      offset -= o.strides[d] * o.shape[d];
      at[d] = 0;
    }
  }
}

RefTensor blank(const Operand& o) {
  RefTensor t;
  t.dtype = o.dtype;
  t.shape = o.shape;
  t.n = o.numel();
  if (t.floating()) {
    t.dv.resize(static_cast<size_t>(t.n));
    t.d = t.dv.data();
  } else {
    t.iv.resize(static_cast<size_t>(t.n));
    t.i = t.iv.data();
  }
  return t;
}

RefTensor load(const void* p, const Operand& o) {
  RefTensor t = blank(o);
  std::vector<uint16_t> half;
  switch (o.dtype) {
    case DType::f32:
      gather<float>(p, o, t.d);
      break;
    case DType::f64:
      gather<double>(p, o, t.d);
      break;
    case DType::bf16:
    case DType::f16:
      half.resize(static_cast<size_t>(t.n));
      gather<uint16_t>(p, o, half.data());
      for (int64_t k = 0; k < t.n; ++k) {
        const uint16_t bits = half[static_cast<size_t>(k)];
        t.d[k] = o.dtype == DType::bf16 ? bf16_to_f32(bits) : f16_to_f32(bits);
      }
      break;
    case DType::i8:
      gather<int8_t>(p, o, t.i);
      break;
    case DType::u8:
      gather<uint8_t>(p, o, t.i);
      break;
    case DType::i32:
      gather<int32_t>(p, o, t.i);
      break;
    case DType::i64:
      gather<int64_t>(p, o, t.i);
      break;
    case DType::boolean:
      gather<uint8_t>(p, o, t.i);
      break;
  }
  return t;
}

void store(const RefTensor& t, void* p) {
  for (int64_t k = 0; k < t.n; ++k) switch (t.dtype) {
      case DType::f32:
        static_cast<float*>(p)[k] = static_cast<float>(t.d[k]);
        break;
      case DType::f64:
        static_cast<double*>(p)[k] = t.d[k];
        break;
      case DType::bf16:
        static_cast<uint16_t*>(p)[k] = f32_to_bf16(static_cast<float>(t.d[k]));
        break;
      case DType::f16:
        static_cast<uint16_t*>(p)[k] = f32_to_f16(static_cast<float>(t.d[k]));
        break;
      case DType::i8:
        static_cast<int8_t*>(p)[k] = static_cast<int8_t>(t.i[k]);
        break;
      case DType::u8:
        static_cast<uint8_t*>(p)[k] = static_cast<uint8_t>(t.i[k]);
        break;
      case DType::i32:
        static_cast<int32_t*>(p)[k] = static_cast<int32_t>(t.i[k]);
        break;
      case DType::i64:
        static_cast<int64_t*>(p)[k] = t.i[k];
        break;
      case DType::boolean:
        static_cast<uint8_t*>(p)[k] = t.i[k] != 0;
        break;
    }
}

/// A reference of scalars applied to broadcast operands.
void elementwise(const OpDef& op, Ref& r) {
  RefTensor& y = r.out();
  const Shape strides_y = contiguous_strides(y.shape);
  const auto index = [&](int64_t k, const Shape& s) {
    int64_t i = 0;
    const Shape strides = contiguous_strides(s);
    for (int64_t d = 1; d <= s.rank(); ++d) {
      const int64_t at = k / strides_y[-d] % y.shape[-d];
      if (s[-d] != 1) i += at * strides[-d];
    }
    return i;
  };
  for (int64_t k = 0; k < y.n; ++k) {
    const int64_t a = index(k, r.in(0).shape), b = r.inputs() > 1 ? index(k, r.in(1).shape) : 0;
    double d = 0;
    int64_t i = 0;
    if (r.in(0).floating()) {
      d = op.f1 ? op.f1(r.in(0).d[a]) : op.f2(r.in(0).d[a], r.in(1).d[b]);
      i = static_cast<int64_t>(d);
    } else {
      i = op.i1 ? op.i1(r.in(0).i[a]) : op.i2(r.in(0).i[a], r.in(1).i[b]);
      d = static_cast<double>(i);
    }
    if (y.floating())
      y.d[k] = d;
    else
      y.i[k] = i;
  }
}

class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(const KernelQuery& q)
      : op_(q.op),
        attrs_(q.attrs),
        in_(q.in.begin(), q.in.end()),
        out_(q.out.begin(), q.out.end()) {}
  void run(const void* const* in, void* const* out, void*) const override {
    std::vector<RefTensor> x, y;
    for (size_t k = 0; k < in_.size(); ++k) x.push_back(load(in[k], in_[k]));
    for (const Operand& o : out_) y.push_back(blank(o));
    Ref r(op_, attrs_, std::move(x), std::move(y));
    if (op_.ref)
      op_.ref(r);
    else
      elementwise(op_, r);
    for (size_t k = 0; k < out_.size(); ++k) store(r.out(k), out[k]);
  }
  std::string description() const override { return "reference"; }

 private:
  const OpDef& op_;
  const void* attrs_;
  std::vector<Operand> in_, out_;
};

}  // namespace

std::unique_ptr<Kernel> reference_kernel(const KernelQuery& q) {
  const bool floats = !q.in.empty() && is_float(q.in[0].dtype);
  const bool scalar = q.op.kind == OpKind::elementwise && !q.in.empty() &&
                      (floats ? q.op.f1 || q.op.f2 : q.op.i1 || q.op.i2);
  if (!q.op.ref && !scalar)
    fail(Error::Kind::unsupported, {"[", q.op.name, "] is not implemented for type ",
                                    q.in.empty() ? q.out[0].dtype : q.in[0].dtype});
  return std::make_unique<ReferenceKernel>(q);
}

}  // namespace nacre
