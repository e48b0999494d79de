// TFLite's models, tables of FlatBuffers as in schema.fbs of TensorFlow, and how their operators
// are translated.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "importers/flatbuffer.h"
#include "importers/nhwc_builder.h"

namespace nacre {

struct LiteTensor {
  std::string name;
  int64_t type = 0;            ///< TensorType of the schema
  std::vector<int64_t> shape;  ///< -1 for open sizes
  std::string_view data;       ///< of constants
  std::vector<float> scales;   ///< empty: the values are numbers
  std::vector<int64_t> zeros;  ///< as many as scales
  int64_t axis = 0;            ///< of the scales
  bool sparse = false;

  /// Throws NoTranslation for types that ONNX lacks.
  Elem elem() const;
  bool quantised() const { return !scales.empty(); }
  bool same_scale(const LiteTensor& o) const {
    return scales == o.scales && zeros == o.zeros && type == o.type;
  }
};

struct LiteOperator {
  int64_t code = 0;                      ///< BuiltinOperator of the schema
  std::string custom;                    ///< name of a custom operator
  std::vector<int64_t> inputs, outputs;  ///< tensors; -1 for an input that is left out
  FlatTable options;
};

struct LiteModel {
  std::vector<LiteTensor> tensors;
  std::vector<LiteOperator> operators;
  std::vector<int64_t> inputs, outputs;
};

/// The first subgraph. Throws Error(data).
LiteModel read_tflite(std::string_view bytes, std::string_view what);

/// A factor as TFLite multiplies by it: part * 2^shift, with 31 bits.
struct FixedPoint {
  double part = 0;
  int shift = 0;
  explicit FixedPoint(double factor);
  /// The factor of a mean over so many.
  FixedPoint over(int64_t count) const;
};

enum class Halves { away, up };  ///< from zero, to the larger number
NhwcValue round_to_integers(NhwcBuilder& net, const NhwcValue& x, Halves halves);

/// One operator while it is translated. Tensors of integers that stand for numbers are given as
/// those numbers, and results are rounded back.
class LiteCall {
 public:
  LiteCall(const LiteModel& model, const LiteOperator& op, NhwcBuilder& builder,
           std::vector<NhwcValue>& numbers, std::vector<NhwcValue>& stored)
      : options(op.options),
        net(builder),
        model_(model),
        op_(op),
        numbers_(numbers),
        stored_(stored) {}

  const FlatTable& options;
  NhwcBuilder& net;

  size_t count() const { return op_.inputs.size(); }
  bool has(size_t i) const { return i < op_.inputs.size() && op_.inputs[i] >= 0; }
  const LiteTensor& tensor(size_t i) const { return model_.tensors[index(i)]; }
  const LiteTensor& result() const;
  size_t results() const { return op_.outputs.size(); }
  /// Input i as numbers.
  NhwcValue operator[](size_t i);
  /// Input i as the file has it.
  NhwcValue raw(size_t i);
  std::vector<NhwcValue> all();
  /// Constant integers.
  std::vector<int64_t> integers(size_t i, std::string_view what);
  int64_t integer(size_t i, std::string_view what);
  /// Whether what only moves values may move the integers: all have the same scale.
  bool moves_integers(size_t input) const;

  // What TFLite computes in integers of 8 bits, to the last bit (tflite_rounding.cpp).

  /// Whether it does so with these inputs, as far as they are there.
  bool in_bytes(std::initializer_list<size_t> inputs) const;
  /// Input i as integers from its zero point on, in f32.
  NhwcValue units(size_t i);
  /// What the product of units of inputs a and b is in steps of the result, for each scale of b.
  std::vector<FixedPoint> factors(size_t a, size_t b) const;
  /// Units times a factor, or one for each channel; `halves` are those of the second rounding.
  NhwcValue rounded(const NhwcValue& units, const std::vector<FixedPoint>& factors,
                    Halves halves = Halves::away);
  /// The result in steps of its scale, from its zero point on.
  void set_rounded(const NhwcValue& steps, int64_t activation = 0);

  /// A result, which is numbers, or the file's integers.
  void set(NhwcValue v, size_t output = 0);
  void set_raw(NhwcValue v, size_t output = 0);
  /// The activation that follows many operators (ActivationFunctionType of the schema).
  NhwcValue activated(NhwcValue v, int64_t kind);

 private:
  size_t index(size_t i) const;
  const LiteModel& model_;
  const LiteOperator& op_;
  std::vector<NhwcValue>&numbers_, &stored_;
};

using LiteTranslation = void (*)(LiteCall&);
/// Null if there is none.
LiteTranslation find_lite_operator(int64_t code);
/// "CONV_2D", or a number.
std::string name_of_lite_operator(int64_t code);

}  // namespace nacre
