// matmul: oneDNN for f32 and native bf16, an own kernel for vectors, OpenBLAS for f64, plain loops
// for integers.
#include <algorithm>
#include <vector>

#include "backends/cpu/copy.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/kernel_macros.h"
#include "backends/cpu/make.h"
#include "backends/cpu/simd/shift_conv.h"
#include "base/parallel.h"

namespace nacre::cpu {
namespace {

// One operand of a batch of products: strides in elements, batch strides 0 where it is broadcast.
struct View {
  int64_t rows = 0, cols = 0, row = 0, col = 0;
  Shape batch;

  bool gemm_ready() const { return (col == 1 && row >= cols) || (row == 1 && col >= rows); }
  bool transposed() const { return !(col == 1 && row >= cols); }
  int64_t leading() const { return std::max<int64_t>(1, transposed() ? col : row); }
};

View view_of(const Operand& o, const Shape& batch) {
  View v;
  v.rows = o.shape[-2];
  v.cols = o.shape[-1];
  v.row = o.strides[-2];
  v.col = o.strides[-1];
  // The stride of a dimension of size 1 means nothing; make it one that suits a product.
  if (v.cols == 1) v.col = v.rows == 1 || v.row >= 1 ? 1 : v.col;
  if (v.rows == 1) v.row = v.col == 1 ? v.cols : 1;
  v.batch = Shape(batch.size(), 0);
  for (int64_t i = 1; i <= o.shape.rank() - 2; ++i)
    if (o.shape[-2 - i] != 1) v.batch[-i] = o.strides[-2 - i];
  return v;
}

struct Problem {
  Shape batch;
  View a, b, c;
  bool pack_a = false, pack_b = false;

  Problem(Operands in, Operands out) {
    batch = out[0].shape.slice(0, out[0].shape.rank() - 2);
    Operand x = in[0], y = in[1];
    a = view_of(x, batch);
    b = view_of(y, batch);
    if ((pack_a = !a.gemm_ready())) x.strides = contiguous_strides(x.shape), a = view_of(x, batch);
    if ((pack_b = !b.gemm_ready())) y.strides = contiguous_strides(y.shape), b = view_of(y, batch);
    c = view_of(out[0], batch);
    merge();
  }

  void drop(int64_t i) {
    batch.erase(i);
    for (View* v : {&a, &b, &c}) v->batch.erase(i);
  }
  // Fewer batch dimensions: those of size 1 go, neighbours that continue each other become one, and
  // rows of `a` that continue over the batch while `b` stays become more rows.
  void merge() {
    for (int64_t i = batch.rank(); i-- > 0;)
      if (batch[i] == 1) drop(i);
    for (int64_t i = batch.rank() - 1; i-- > 0;) {
      const auto continues = [&](const View& v) {
        return v.batch[i] == v.batch[i + 1] * batch[i + 1];
      };
      if (!continues(a) || !continues(b) || !continues(c)) continue;
      batch[i + 1] *= batch[i];
      drop(i);
    }
    if (batch.empty() || b.batch[-1] != 0) return;
    const int64_t row = a.rows == 1 ? a.batch[-1] : a.row;
    if (a.col != 1 || row < a.cols || a.batch[-1] != a.rows * row) return;
    a.row = row;
    a.rows *= batch[-1];
    c.rows *= batch[-1];
    drop(batch.rank() - 1);
  }
};

dnnl::Tensor tensor(const View& v, const Shape& batch, DType t) {
  dnnl::Tensor r;
  r.dtype = t;
  r.shape = batch;
  r.strides = v.batch;
  // Where the operand is broadcast its dimension has size 1, and any stride beyond the others will
  // do.
  int64_t block = std::max(v.rows * v.row, v.cols * v.col);
  for (int64_t i = 0; i < batch.rank(); ++i) block = std::max(block, batch[i] * v.batch[i]);
  for (int64_t i = 0; i < batch.rank(); ++i)
    if (v.batch[i] == 0) r.shape[i] = 1, r.strides[i] = block;
  r.shape.push_back(v.rows);
  r.shape.push_back(v.cols);
  r.strides.push_back(v.row);
  r.strides.push_back(v.col);
  return r;
}

// Packs inputs that no library takes, then calls the product.
class Product : public Kernel {
 public:
  Product(Operands in, Problem p) : p_(std::move(p)), in_(in.begin(), in.end()) {
    if (p_.pack_a) packed_ += align64(in_[0].bytes());
    if (p_.pack_b) packed_ += align64(in_[1].bytes());
  }
  void run(const void* const* in, void* const* out, void* scratch) const final {
    char* free = static_cast<char*>(scratch);
    const void* operands[2] = {in[0], in[1]};
    const bool pack[2] = {p_.pack_a, p_.pack_b};
    for (int i = 0; i < 2; ++i) {
      if (!pack[i]) continue;
      copy_dense(in_[i].shape, in_[i].strides, size_of(in_[i].dtype), in[i], free);
      operands[i] = free;
      free += align64(in_[i].bytes());
    }
    multiply(operands[0], operands[1], in + 2, out[0], free);
  }
  size_t scratch_bytes() const override { return packed_; }

 protected:
  /// more: the inputs that follow a and b.
  virtual void multiply(const void* a, const void* b, const void* const* more, void* c,
                        void* scratch) const = 0;
  Problem p_;

 private:
  std::vector<Operand> in_;
  size_t packed_ = 0;
};

class LibraryProduct final : public Product {
 public:
  LibraryProduct(Operands in, Operands out, Problem p, std::unique_ptr<dnnl::Program> program,
                 const dnnl::Epilogue& after)
      : Product(in, std::move(p)),
        in_(in.begin(), in.end()),
        out_(out.begin(), out.end()),
        program_(std::move(program)),
        after_(after) {}
  /// Null if the library has no fast implementation.
  static std::unique_ptr<Kernel> make(Operands in, Operands out, Problem p,
                                      const dnnl::Epilogue& after = {}) {
    auto program = program_of(p, in, out, after, false);
    return program
               ? std::make_unique<LibraryProduct>(in, out, std::move(p), std::move(program), after)
               : nullptr;
  }
  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    if (input != 1 || p_.pack_b || p_.c.rows < 2) return nullptr;
    const auto program = program_of(p_, in_, out_, after_, true);
    auto packed = program ? program->with_b(values) : nullptr;
    return packed ? std::make_unique<LibraryProduct>(in_, out_, p_, std::move(packed), after_)
                  : nullptr;
  }
  size_t scratch_bytes() const override {
    return Product::scratch_bytes() + program_->scratch_bytes();
  }
  std::string description() const override { return "dnnl:" + program_->implementation(); }

 private:
  static std::unique_ptr<dnnl::Program> program_of(const Problem& p, Operands in, Operands out,
                                                   const dnnl::Epilogue& after, bool choose_b) {
    const DType t = in[0].dtype;
    return dnnl::matmul(tensor(p.a, p.batch, t), tensor(p.b, p.batch, t),
                        tensor(p.c, p.batch, out[0].dtype), choose_b, after);
  }
  void multiply(const void* a, const void* b, const void* const* more, void* c,
                void* scratch) const override {
    program_->run(a, b, c, scratch, after_.bias ? more[0] : nullptr,
                  after_.residual ? more[after_.bias] : nullptr);
  }
  std::vector<Operand> in_, out_;
  std::unique_ptr<dnnl::Program> program_;
  dnnl::Epilogue after_;
};

// A loop over the batch; large batches are shared out among threads, else each product is.
template <typename T>
class LoopProduct final : public Product {
 public:
  using Product::Product;
  std::string description() const override {
    return std::is_same_v<T, float> ? "dnnl:sgemm" : std::is_same_v<T, double> ? "blas" : "loops";
  }

 private:
  void multiply(const void* a, const void* b, const void* const*, void* c, void*) const override {
    const int64_t count = p_.batch.numel();
    const int64_t flops = p_.c.rows * p_.c.cols * std::max<int64_t>(1, p_.a.cols);
    const bool share = count >= num_threads() && (!std::is_integral_v<T> || count > 1);
    if constexpr (std::is_integral_v<T>) {
      if (!share) {
        const int64_t grain =
            std::max<int64_t>(1, (1 << 16) * p_.c.rows / std::max<int64_t>(1, flops));
        for (int64_t i = 0; i < count; ++i)
          parallel_for(p_.c.rows, grain, [&](int64_t r0, int64_t r1) { one(i, a, b, c, r0, r1); });
        return;
      }
    }
    if (!share) {
      for (int64_t i = 0; i < count; ++i) one(i, a, b, c, 0, p_.c.rows);
      return;
    }
    const int64_t grain = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(1, flops));
    parallel_for(count, grain, [&](int64_t i0, int64_t i1) {
      for (int64_t i = i0; i < i1; ++i) one(i, a, b, c, 0, p_.c.rows);
    });
  }
  // Rows [r0, r1) of product i of the batch.
  void one(int64_t i, const void* a, const void* b, void* c, int64_t r0, int64_t r1) const {
    int64_t ao = r0 * p_.a.row, bo = 0, co = r0 * p_.c.row;
    for (int64_t d = p_.batch.rank(); d-- > 0; i /= p_.batch[d]) {
      const int64_t at = i % p_.batch[d];
      ao += at * p_.a.batch[d];
      bo += at * p_.b.batch[d];
      co += at * p_.c.batch[d];
    }
    gemm<T>(p_.a.transposed(), p_.b.transposed(), r1 - r0, p_.c.cols, p_.a.cols,
            static_cast<const T*>(a) + ao, p_.a.leading(), static_cast<const T*>(b) + bo,
            p_.b.leading(), 0, static_cast<T*>(c) + co, p_.c.cols);
  }
};

// One large product: each thread makes some of the rows or of the columns, whichever are more. The
// library's sgemm packs what a thread reads and is 5 to 20 % faster than its matmul on one thread;
// on several it is not when it shares out the work itself. Of sums of few terms matmul is faster
// (512x64 by 64x784: 205 GFLOP/s, sgemm 149). With AVX2 it does not pack what a part of a product
// reads (1024x2048 by 2048x512: 62 to 130 GFLOP/s in two parts, 143 to 154 whole).
class LargeProduct final : public Product {
 public:
  LargeProduct(Operands in, Operands out, Problem p)
      : Product(in, std::move(p)), in_(in.begin(), in.end()), out_(out.begin(), out.end()) {}
  static bool fits(const Problem& p) {
    return dnnl::channel_block() == 16 && p.batch.numel() == 1 &&
           std::min({p.c.rows, p.c.cols, p.a.cols}) >= 256;
  }
  std::unique_ptr<Kernel> with_constant(int input, const void* values) const override {
    const auto library = LibraryProduct::make(in_, out_, p_);
    return library ? library->with_constant(input, values) : nullptr;
  }
  std::string description() const override { return "dnnl:sgemm"; }

 private:
  void multiply(const void* a, const void* b, const void* const*, void* c, void*) const override {
    const bool by_rows = p_.c.rows >= p_.c.cols;
    const int64_t n = by_rows ? p_.c.rows : p_.c.cols, threads = num_threads();
    // Whole lines.
    const int64_t piece = (n + 16 * threads - 1) / (16 * threads) * 16;
    parallel_for((n + piece - 1) / piece, 1, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * piece, count = std::min(n, end * piece) - first;
      const auto* x = static_cast<const float*>(a) + (by_rows ? first * p_.a.row : 0);
      const auto* y = static_cast<const float*>(b) + (by_rows ? 0 : first * p_.b.col);
      gemm<float>(p_.a.transposed(), p_.b.transposed(), by_rows ? count : p_.c.rows,
                  by_rows ? p_.c.cols : count, p_.a.cols, x, p_.a.leading(), y, p_.b.leading(), 0,
                  static_cast<float*>(c) + first * (by_rows ? p_.c.cols : 1), p_.c.cols);
    });
  }
  std::vector<Operand> in_, out_;
};

// A row by a matrix or a matrix by a column, bound by memory: each thread streams its own part of
// the matrix.
class VectorProduct final : public Product {
 public:
  using Product::Product;
  std::string description() const override { return "gemv"; }
  // The vector has to be dense.
  static bool fits(const Problem& p) {
    return (p.c.rows == 1 && p.a.col == 1) || (p.c.cols == 1 && p.b.row == 1);
  }

 private:
  void multiply(const void* a, const void* b, const void* const*, void* c, void*) const override {
    const bool row = p_.c.rows == 1 && p_.a.col == 1;
    const View& matrix = row ? p_.b : p_.a;
    const int64_t n = row ? p_.c.cols : p_.c.rows, k = p_.a.cols, count = p_.batch.numel();
    // Whether an output is a dot product with a dense line of the matrix.
    const bool dots = row == matrix.transposed();
    const int64_t threads =
        std::max<int64_t>(1, std::min<int64_t>(num_threads(), n * k / (1 << 14)));
    const int64_t pieces = count >= threads ? 1 : threads;
    const int64_t piece = (n + 64 * pieces - 1) / (64 * pieces) * 64;
    const int64_t grain =
        std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, k * std::min(n, piece)));
    parallel_for(count * pieces, grain, [&](int64_t u0, int64_t u1) {
      for (int64_t u = u0; u < u1; ++u) {
        const int64_t j0 = u % pieces * piece, j1 = std::min(n, j0 + piece);
        if (j0 >= j1) continue;
        int64_t ao = 0, bo = 0, co = 0, i = u / pieces;
        for (int64_t d = p_.batch.rank(); d-- > 0; i /= p_.batch[d]) {
          const int64_t at = i % p_.batch[d];
          ao += at * p_.a.batch[d];
          bo += at * p_.b.batch[d];
          co += at * p_.c.batch[d];
        }
        const auto* x = static_cast<const float*>(row ? a : b) + (row ? ao : bo);
        const auto* m = static_cast<const float*>(row ? b : a) + (row ? bo : ao);
        auto* y = static_cast<float*>(c) + co + j0;
        if (dots)
          matrix_by_column(m + j0 * matrix.leading(), matrix.leading(), x, j1 - j0, k, y);
        else
          row_by_matrix(x, m + j0, matrix.leading(), k, j1 - j0, y);
      }
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_matmul(Operands in, Operands out) {
  const DType t = out[0].dtype;
  if (in[0].dtype != t || in[1].dtype != t || in[0].shape.rank() < 2 || in[1].shape.rank() < 2)
    return nullptr;
  Problem p(in, out);
  const bool empty = out[0].numel() == 0 || p.a.cols == 0;
  if (!empty && t == DType::f32 && VectorProduct::fits(p))
    return std::make_unique<VectorProduct>(in, std::move(p));
  if (!empty && t == DType::f32 && LargeProduct::fits(p))
    return std::make_unique<LargeProduct>(in, out, std::move(p));
  if (!empty && dnnl::native(t))
    if (auto kernel = LibraryProduct::make(in, out, p)) return kernel;
  switch (t) {
    case DType::f32:
      return std::make_unique<LoopProduct<float>>(in, std::move(p));
    case DType::f64:
      return std::make_unique<LoopProduct<double>>(in, std::move(p));
    case DType::i32:
      return std::make_unique<LoopProduct<int32_t>>(in, std::move(p));
    case DType::i64:
      return std::make_unique<LoopProduct<int64_t>>(in, std::move(p));
    case DType::bf16:
    case DType::f16:
      return in_f32(in, out, make_matmul);
    default:
      return nullptr;
  }
}

std::unique_ptr<Kernel> make_matmul_fused(Operands in, Operands out, bool bias, bool residual,
                                          bool gelu) {
  for (const Operand& o : in)
    if (o.dtype != DType::f32) return nullptr;
  for (const Operand& o : in.subspan(2))
    if (!o.contiguous()) return nullptr;
  if (out[0].numel() == 0 || in[0].shape[-1] == 0) return nullptr;
  const Problem p(in, out);
  if (VectorProduct::fits(p)) return nullptr;
  return LibraryProduct::make(in, out, p, {bias, residual, gelu});
}

KERNEL(matmul) { return make_matmul(q.in, q.out); }

KERNEL(matmul_f32) {
  const DType t = q.in[0].dtype;
  if (t != DType::bf16 || !dnnl::native(t) || q.out[0].numel() == 0 || q.in[0].shape[-1] == 0)
    return nullptr;
  return LibraryProduct::make(q.in, q.out, Problem(q.in, q.out));
}

KERNEL(matmul_fused) {
  return make_matmul_fused(q.in, q.out, q.flag("bias"), q.flag("residual"), q.flag("gelu"));
}

}  // namespace nacre::cpu
