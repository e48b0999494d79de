// Builds ONNX models from networks whose pictures are [n, h, w, c]: TensorFlow's and TFLite's.
// Convolutions and pools work on [n, c, h, w], as in ONNX; a value is held in either order, and
// what computes element by element stays in the order that its inputs have, so transposes stand
// only where a network itself needs the other order.
//
//   NhwcBuilder net("tensorflow", file.size());
//   NhwcValue x = net.input("x", Elem::f32, {-1, 28, 28, 1});
//   x = net.unary("Relu", net.conv(x, kernel, {}, {.strides = {1, 1}, .padding = "SAME"}));
//   net.output("y", x);
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "importers/onnx_builder.h"
#include "nacre/elem.h"

namespace nacre {

/// Bytes that a value takes in ONNX's raw data.
size_t width_of(Elem type);

/// Values that a file holds, row-major, in the bytes of ONNX.
struct ConstantData {
  std::string_view bytes;
  std::vector<int64_t> shape;
  Elem type = Elem::f32;
  std::shared_ptr<const std::string> owned;  ///< what `bytes` points into, if not into the file
  /// Integers that stand for numbers, with one scale, or one for each entry of the axis.
  std::vector<float> scales;
  std::vector<int64_t> zeros;
  int64_t axis = 0;
};

/// An edge of the network. Copies are the same edge.
struct NhwcEdge {
  Elem type = Elem::f32;
  int rank = -1;      ///< -1: not known
  int64_t last = -1;  ///< size of the last dimension, -1: not known, at most 2^40
  std::string plain;  ///< the ONNX value in the network's own order, "" if there is none yet
  std::string first;  ///< the one with channels first, of four dimensions
  std::vector<std::optional<int64_t>> parts;  ///< of a vector that is packed: what is known
  std::shared_ptr<const ConstantData> data;   ///< of constants
  std::string name;                           ///< of constants
  std::map<std::string, std::string> forms;   ///< of constants: what has been made of them
};
using NhwcValue = std::shared_ptr<NhwcEdge>;

/// A size from a file as NhwcEdge::last.
inline int64_t sane(int64_t size) { return size < 0 || size > int64_t{1} << 40 ? -1 : size; }

/// Thrown for a use of an operator that has no translation: "an axis that is computed".
struct NoTranslation {
  std::string use;
};

/// The window of a convolution or pool; all of two entries, height first.
struct NhwcWindow {
  std::vector<int64_t> kernel{}, strides{1, 1}, dilations{1, 1};
  std::string padding = "VALID";  ///< SAME, VALID, or EXPLICIT
  std::vector<int64_t> pads{};    ///< of EXPLICIT: top, left, bottom, right
  bool last = true;               ///< whether the network's pictures have channels last
};

/// The numbers of a StridedSlice. Bit i of a mask concerns entry i.
struct SliceMasks {
  int64_t begin = 0, end = 0, ellipsis = 0, new_axis = 0, shrink = 0;
};

class NhwcBuilder {
 public:
  using Ints = OnnxBuilder::Ints;
  using Values = std::vector<NhwcValue>;
  using Attributes = std::vector<OnnxBuilder::Attribute>;
  static constexpr int64_t kEnd = INT32_MAX;  ///< beyond the end of any dimension

  /// What is written of a file's constants is limited by its size, as they may be used often.
  NhwcBuilder(std::string producer, uint64_t file_size)
      : net_(std::move(producer)), budget_((uint64_t{64} << 20) + 8 * file_size) {}

  /// What the nodes that follow are called.
  void label(std::string_view name) { label_ = name; }
  NhwcValue input(const std::string& name, Elem type, const Ints& shape, bool has_shape = true);
  void output(const std::string& name, const NhwcValue& v);
  NhwcValue constant(const std::string& name, ConstantData data);
  NhwcValue integers(const Ints& values, Elem type = Elem::i64);
  /// One number of this type.
  NhwcValue number(double value, Elem type);
  std::string finish() const { return net_.finish(); }

  /// Constant integers or booleans, at most 2^16; false for anything else.
  static bool known(const NhwcValue& v, Ints& out);

  /// ONNX nodes, in the order that the inputs have.
  NhwcValue unary(std::string_view op, const NhwcValue& x, const Attributes& a = {});
  NhwcValue binary(std::string_view op, const NhwcValue& a, const NhwcValue& b);
  /// A node whose inputs and result have the network's own order.
  NhwcValue plain(std::string_view op, const Values& in, const Attributes& a, Elem type, int rank);
  NhwcValue clip(const NhwcValue& x, double low, double high);
  NhwcValue cast(const NhwcValue& x, Elem type);
  /// QuantizeLinear, or DequantizeLinear if `to` is f32, with one scale.
  NhwcValue rescale(const NhwcValue& x, float scale, int64_t zero, Elem to);

  /// `order` says which dimensions of the kernel are ONNX's (out, in of a group, h, w). The bias
  /// may be null.
  NhwcValue conv(const NhwcValue& x, const NhwcValue& kernel, const Ints& order,
                 const NhwcValue& bias, const NhwcWindow& w, int64_t groups);
  /// `order`: of (in, out, h, w); `size` is the shape of the result.
  NhwcValue conv_transpose(const NhwcValue& x, const NhwcValue& kernel, const Ints& order,
                           const NhwcValue& bias, const NhwcValue& size, const NhwcWindow& w);
  NhwcValue pool(bool max, const NhwcValue& x, const NhwcWindow& w);
  NhwcValue batch_norm(const Values& in, double epsilon, bool last);
  NhwcValue lrn(const NhwcValue& x, int64_t radius, double bias, double alpha, double beta);
  NhwcValue resize(const NhwcValue& x, const NhwcValue& size, bool nearest, bool align_corners,
                   bool half_pixel);
  NhwcValue depth_to_space(const NhwcValue& x, int64_t block, bool back, bool last);
  NhwcValue space_to_batch(const NhwcValue& x, const Ints& block, const Ints& pads);
  NhwcValue batch_to_space(const NhwcValue& x, const Ints& block, const Ints& crops);

  /// Products of the last two dimensions, which may be turned before.
  NhwcValue matmul(const NhwcValue& a, const NhwcValue& b, bool turn_a, bool turn_b);
  NhwcValue reduce(std::string_view op, const NhwcValue& x, const NhwcValue& axes, bool keep);
  NhwcValue arg(std::string_view op, const NhwcValue& x, int64_t axis, Elem type);
  NhwcValue softmax(std::string_view op, const NhwcValue& x, int64_t axis);
  NhwcValue concat(const Values& in, int64_t axis);
  NhwcValue pack(const Values& in, int64_t axis);
  Values unpack(const NhwcValue& x, int64_t axis, int64_t count);
  /// Parts of equal size, or of these.
  Values split(const NhwcValue& x, int64_t axis, int64_t count, const NhwcValue& sizes);
  NhwcValue reshape(const NhwcValue& x, const NhwcValue& shape);
  NhwcValue squeeze(const NhwcValue& x, const Ints& axes);
  NhwcValue unsqueeze(const NhwcValue& x, const Ints& axes);
  NhwcValue transpose(const NhwcValue& x, const Ints& order);
  /// `pads` is [rank, 2]; the value may be null.
  NhwcValue pad(const NhwcValue& x, const NhwcValue& pads, std::string_view mode,
                const NhwcValue& value);
  NhwcValue slice(const NhwcValue& x, const NhwcValue& begin, const NhwcValue& size);
  NhwcValue strided_slice(const NhwcValue& x, const NhwcValue& begin, const NhwcValue& end,
                          const NhwcValue& strides, const SliceMasks& masks);
  NhwcValue shape_of(const NhwcValue& x, Elem type);
  NhwcValue gather(const NhwcValue& x, const NhwcValue& at, int64_t axis);
  NhwcValue expand(const NhwcValue& x, const NhwcValue& shape);
  NhwcValue one_hot(const NhwcValue& x, const NhwcValue& depth, const NhwcValue& on,
                    const NhwcValue& off, int64_t axis);
  /// The k (a vector of one) largest along the last dimension, and where they are (i64).
  Values top_k(const NhwcValue& x, const NhwcValue& k);
  NhwcValue floor_div(const NhwcValue& a, const NhwcValue& b);
  NhwcValue floor_mod(const NhwcValue& a, const NhwcValue& b);

 private:
  static NhwcValue edge(std::string name, Elem type, int rank, bool first = false);
  std::string make(std::string_view op, const std::vector<std::string>& in,
                   const Attributes& a = {});
  void add(std::string_view op, const std::vector<std::string>& in,
           const std::vector<std::string>& out, const Attributes& a = {});
  std::string claim(std::string name);
  const std::string& plain_name(const NhwcValue& v);
  const std::string& first_name(const NhwcValue& v);
  const std::string& name_in(const NhwcValue& v, bool first) {
    return first ? first_name(v) : plain_name(v);
  }
  /// A constant with its dimensions in this order, then of this shape.
  const std::string& turned(const NhwcValue& v, const Ints& order, const Ints& shape);
  std::string ordered(const NhwcValue& v, const Ints& order);
  /// Integers as i64.
  std::string index_name(const NhwcValue& v);
  /// An operand of an operator that broadcasts, beside values with channels first.
  std::string operand(const NhwcValue& v, bool first);
  /// A constant in another shape, one size of which may be -1; null if that does not fit.
  NhwcValue reshaped(const NhwcValue& x, Ints shape);
  static bool is_first(const NhwcValue& v) { return v->plain.empty() && !v->first.empty(); }
  std::string cut(const std::string& x, const Ints& from, const Ints& to, const Ints& axes);
  std::string interleave(const std::vector<std::string>& parts, int64_t axis);

  OnnxBuilder net_;
  std::string label_;
  std::set<std::string> nodes_;  ///< names of nodes
  std::set<std::string> names_;
  uint64_t budget_;  ///< bytes of constants
};

}  // namespace nacre
