// The one place that knows oneDNN (C API of 2.x). Everything else sees prepared programs.
//
// A Program is one primitive with the reorders between the caller's plain layouts and those that
// the library chose. It never holds an implementation that the library calls "ref": those are up to
// 2,000 times slower, so the makers return null instead and the caller runs its own kernel.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre::cpu::dnnl {

class Program {
 public:
  struct Impl;
  explicit Program(std::shared_ptr<const Impl> impl);
  ~Program();
  /// c = f(a, b). Re-entrant; `scratch` has scratch_bytes() bytes, 64-byte aligned. `bias`: of
  /// programs that were made with one; `residual` too.
  void run(const void* a, const void* b, void* c, void* scratch, const void* bias = nullptr,
           const void* residual = nullptr) const;
  size_t scratch_bytes() const;
  /// The program for one b, kept in the layout that the library wants; run() then takes any b. Null
  /// if it wants the plain one.
  std::unique_ptr<Program> with_b(const void* b) const;
  /// The library's own name, for example "brgconv:avx512_core".
  const std::string& implementation() const;

 private:
  std::shared_ptr<const Impl> impl_;
  std::shared_ptr<const void> b_;  // packed
};

/// A plain (strided) tensor. Strides in elements.
struct Tensor {
  Shape shape, strides;
  DType dtype = DType::f32;
};

/// What a product ends with: f(a b + bias + residual), the bias one number for each column, the
/// residual of the shape of c, f GELU (with the error function) or nothing.
struct Epilogue {
  bool bias = false, residual = false, gelu = false;
};

/// c = a b over the last two dimensions; leading dimensions are equal or 1. All ranks are equal, no
/// dimension is 0. Null if the library has no fast implementation.
/// choose_b: b comes in the layout that the library likes best; for a b that is packed once
/// (Program::with_b).
std::unique_ptr<Program> matmul(const Tensor& a, const Tensor& b, const Tensor& c,
                                bool choose_b = false, const Epilogue& after = {});

enum class Pass { forward, input_grad, weight_grad };

/// How a convolution is computed: directly, or by Winograd's form (Lavin and Gray 2015; f32, 3x3,
/// stride 1, never if NACRE_WINOGRAD=0); or in whichever is expected to be faster.
enum class Form { expected, direct, winograd };

/// False if NACRE_WINOGRAD=0.
bool winograd_allowed();

/// A convolution of rank 1, 2 or 3 over contiguous [N, C, *S] with weights [O, C/groups, *K].
struct Convolution {
  Pass pass = Pass::forward;
  DType dtype = DType::f32;
  Shape input, weight, output;
  Ints stride, dilation, pad_low;
  int64_t groups = 1;
  Form form = Form::expected;
};

/// forward: (x, w) -> y; input_grad: (dy, w) -> dx; weight_grad: (x, dy) -> dw. Null if the library
/// has no fast implementation.
std::unique_ptr<Program> convolution(const Convolution& c);

/// Channels that a blocked layout pads to here.
int64_t channel_block();

/// A convolution of rank 2 of f32 whose operands keep their channels in blocks of channel_block(),
/// except that x may be plain. Shapes are the logical ones, [N, C, H, W], with whole blocks;
/// weights are plain. forward: (x, w) -> y = act(x * w + bias [+ y]), limited to [low, high];
/// input_grad: (dy, w) -> dx; weight_grad: (x, dy) -> dw.
struct BlockedConvolution {
  Pass pass = Pass::forward;
  Shape input, weight, output;
  Ints stride, dilation, pad_low;
  int64_t groups = 1;
  bool plain_input = false, bias = false;
  bool accumulate = false;  ///< y holds what is added
  bool swish = false;
  float low = -INFINITY, high = INFINITY;
};
/// Null if the library has no fast implementation.
std::unique_ptr<Program> blocked_convolution(const BlockedConvolution& c);

/// A pool over [N, C, H, W] in blocks, f32, or with `rows` over [N, H, W, C] of `dtype`: bf16, u8
/// or i8; run() takes no b. Null if the library has no fast implementation.
struct BlockedPool {
  Shape input, output;
  Ints kernel, stride, pad_low;
  bool average = false, include_pad = false, rows = false;
  DType dtype = DType::f32;
};
std::unique_ptr<Program> blocked_pool(const BlockedPool& p);

/// A convolution of rank 2 of bf16 whose operands are [N, H, W, C]; weights are plain, of
/// `weight_type` (bf16 or f32). forward: (x, w) -> y = act(x * w + bias [+ y]), limited to
/// [low, high], bias f32. input_grad: (dy, w) -> dx; weight_grad: (x, dy) -> dw, f32. Shapes are
/// the logical ones, [N, C, H, W].
struct RowsConvolution {
  Pass pass = Pass::forward;
  DType weight_type = DType::f32;
  Shape input, weight, output;
  Ints stride, dilation, pad_low;
  int64_t groups = 1;
  bool bias = false;
  bool accumulate = false;  ///< y holds what is added
  bool swish = false;
  float low = 0, high = 0;
};
/// Null if the library has no fast implementation.
std::unique_ptr<Program> rows_convolution(const RowsConvolution& c);

/// A convolution of rank 2 of 8-bit integers [N, H, W, C] by plain weights of i8, which are given
/// as b: what ConvInt8Attrs in ops/quantize/conv_int8.h says. Shapes are the logical ones, [N, C,
/// H, W].
struct Int8Convolution {
  DType input_type = DType::u8, output_type = DType::f32;
  Shape input, weight, output;
  Ints stride, dilation, pad_low;
  int64_t groups = 1;
  std::vector<float> scale;  ///< one for each channel of the result
  int32_t x_zero = 0, y_zero = 0;
  bool bias = false;        ///< f32, in units of the products
  bool accumulate = false;  ///< y, of 8 bits, holds the residual
  bool swish = false;       ///< without a residual
  bool rounded = false;
  float sum_low = 0, sum_high = 0, sum_scale = 1, residual_scale = 1;
  int32_t residual_zero = 0;
  float low = 0, high = 0;
};
/// Null if the library has no fast implementation, or no exact one (VNNI).
std::unique_ptr<Program> int8_convolution(const Int8Convolution& c);

/// True if the library computes this type natively and exactly here (bf16 and the 8-bit integers
/// depend on the processor).
bool native(DType t);
/// True if the library multiplies blocks of bf16 at once (AMX).
bool has_matrix_units();

/// C = A B + beta C, row-major; `ta` means that A is stored transposed. Uses one thread inside a
/// parallel region, else num_threads().
void sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, float beta, float* c, int64_t ldc);

/// "oneDNN 2.6.3".
std::string version();

}  // namespace nacre::cpu::dnnl
