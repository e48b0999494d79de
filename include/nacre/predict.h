// Predictor: a trained model in the hands of a program: a picture, a clip, a row or tensors in,
// labels with probabilities or values out.
//
//   const Predictor flowers("flowers.safetensors");
//   const Prediction p = flowers.predict(flowers.picture(bytes));
//   std::printf("%s %.1f %%\n", p.label().c_str(), 100 * p.classes[0].probability);
//
//   const Predictor prices("prices.onnx");
//   prices.predict(prices.row_by_name({{"rooms", "3"}, {"city", "Oslo"}})).values[0];
//
// Opens every file that the program opens: model files of nacre's, ONNX, and networks of other
// frameworks. The network is compiled once for each of a few batch sizes, with its weights as
// constants (nacre/program.h); what cannot be compiled runs as a module. Immutable: any number of
// threads may call one Predictor.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/data.h"
#include "nacre/zoo.h"

namespace nacre {

/// True for a network that becomes an ONNX model: .onnx, or a file that import_network() reads.
bool is_onnx(const std::string& path);

/// A model of nacre's, or another network. An ONNX file says nothing of pictures and classes:
/// pictures are resized to its input, with values from 0 to 1, and classes are numbers, unless its
/// metadata have "nacre.transform" and "nacre.classes" (one a line), as `nacre convert` writes them
/// with all else that a model file holds. Throws Error(io, data, unsupported), and Error(usage) for
/// a network without inputs or outputs.
Model open_model(const std::string& path);

struct Prediction {
  struct Class {
    std::string label;
    double probability;  ///< NaN if the model gave values that are not finite
  };
  std::vector<Class> classes;  ///< best first; empty if the model gives values
  std::vector<float> values;   ///< what the network gave: values, or scores of the classes
  /// The best class. Throws Error(usage) if the model gives values.
  const std::string& label() const;
};

class Predictor {
 public:
  /// Throws as open_model.
  explicit Predictor(const std::string& path);
  /// `name` is used in messages.
  explicit Predictor(Model model, std::string name = "the model");
  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  const ModelInfo& info() const;
  const Transform& transform() const;
  /// The columns that a model of a table was trained on; null for others.
  const TableSchema* schema() const;
  /// The network itself. Its forward pass is for one thread at a time.
  Module& net() const;

  /// An input or output of the network: -1 is a size that a call chooses, the first one the batch.
  struct Port {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
  };
  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  /// Whether samples can be run together: every input and output has one row for each.
  bool batches() const;
  /// Bytes of parameters and buffers.
  size_t bytes() const;

  // ---- what a caller has, as a sample; each throws Error(data) if it is not what it should be
  /// The bytes of a picture file or a WAV clip. Throws Error(usage) if the model takes rows of a
  /// table.
  Sample picture(std::string_view bytes, std::string_view name = "picture",
                 const DecodeLimits& limits = {}) const;
  /// A row of a table, in the order of the training part's columns without the target. An empty
  /// cell is a missing value. `remark` gets a sentence on texts that training never saw.
  Sample row(const std::vector<std::string>& cells, std::string* remark = nullptr) const;
  /// A row by names of columns; the target may be among them.
  Sample row_by_name(const std::vector<std::pair<std::string, std::string>>& cells,
                     std::string* remark = nullptr) const;

  // ---- prediction
  /// What the network gets for a sample: transformed, of the shape info().input. Throws
  /// Error(data) if it does not fit.
  std::vector<float> prepare(Sample sample) const;
  /// Predicts a sample, or several in few runs. `top`: the number of classes to keep; 0 is all.
  Prediction predict(Sample sample, size_t top = 0) const;
  std::vector<Prediction> predict(std::vector<Sample> samples, size_t top = 0) const;
  /// What one row of the first output says.
  Prediction interpret(std::span<const float> values, size_t top = 0) const;
  /// The outputs for tensors in the order of inputs(), any number of rows. The last bits of a row
  /// depend on how many run together. Throws Error(shape) if number, types or shapes do not fit.
  Tensors run(const Tensors& inputs) const;
  /// The check that run() begins with.
  void check(const Tensors& inputs) const;
  /// Compiles for all batches of up to that many rows, so that no later call has to.
  void warm_up(int64_t rows) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The model as the bytes of a program file, for Runtime (runtime.h): for one sample, with the
/// batch norms in the convolutions. Throws Error(unsupported) that names all ops that Runtime has
/// no step for.
std::string export_program(const Predictor& p);

}  // namespace nacre
