// Program files: a network for one sample as a list of simple steps on f32 values, made by
// export_program() and run by Runtime. Little endian:
//
//   "NACREPRG", u32 version, u32 CRC-32C of all that follows
//   text name, text transform, u8 ends in a softmax, u8 first dimension is a batch
//   u32 count, then texts: class names
//   u32 count, then for each value: u8 rank, i64 sizes
//   u32 count, then for each input: text name, u8 dtype, u32 value;   the same for outputs
//   u32 count, then for each constant: u32 value, u64 offset in the data
//   u32 count, then for each step: u8 op, u8 inputs, u32 values, u32 result, u8 count, i64 numbers
//   zeros up to a multiple of 64, then the data
//
// A text is a u32 length and its bytes.
#pragma once

#include <cstdint>
#include <iterator>
#include <string_view>

namespace nacre::embed {

constexpr std::string_view kMagic = "NACREPRG";
constexpr uint32_t kVersion = 1;

/// What the numbers of a step mean stands beside it. Two-dimensional windows have two entries each.
enum class Op : uint8_t {
  reshape,   ///< the same values in another shape
  copy,      ///< offset, a stride for each dimension of the result: a view made dense
  unary,     ///< function
  binary,    ///< function; operands broadcast
  select,    ///< where(condition, a, b); operands broadcast
  conv,      ///< x, w[, bias]: groups, stride, dilation, low and high padding, activation
  max_pool,  ///< kernel, stride, dilation, low and high padding
  avg_pool,  ///< the same, then whether padding counts
  matmul,    ///< a, b[, bias]: activation; leading dimensions broadcast
  reduce,    ///< function, then dimensions
  softmax,   ///< dimension
  concat,    ///< dimension
  pad,       ///< x, value: low padding of each dimension
  take,      ///< x, indices: dimension; index_select
  gather,    ///< x, indices: dimension
  order,  ///< dimension, descending: the positions of the first values, as many as fit the result
  count
};

constexpr std::string_view kOps[] = {
    "reshape", "copy",   "unary",   "binary", "select", "conv", "max_pool", "avg_pool",
    "matmul",  "reduce", "softmax", "concat", "pad",    "take", "gather",   "order"};
static_assert(std::size(kOps) == static_cast<size_t>(Op::count));

// Functions by number; the names are those of nacre's ops.
constexpr std::string_view kUnary[] = {
    "neg",   "abs",         "relu",       "sigmoid",    "tanh", "exp",      "log",
    "sqrt",  "rsqrt",       "square",     "reciprocal", "erf",  "floor",    "ceil",
    "round", "trunc",       "sign",       "sin",        "cos",  "softplus", "log1p",
    "expm1", "logical_not", "to_integer", "to_boolean", "erfc"};
constexpr std::string_view kBinary[] = {"add",     "sub", "mul", "div",         "maximum",
                                        "minimum", "pow", "eq",  "ne",          "lt",
                                        "le",      "gt",  "ge",  "logical_and", "logical_or"};
constexpr std::string_view kReduce[] = {"sum", "mean", "amax", "amin"};
enum Activation : int64_t { kNone, kRelu, kRelu6 };

}  // namespace nacre::embed
