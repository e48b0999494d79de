// How a program of PaddlePaddle's is translated, one operator after the other.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "importers/onnx_builder.h"
#include "importers/paddle_file.h"
#include "importers/problems.h"
#include "nacre/error.h"

namespace nacre {

using PaddleArrays = std::map<std::string, PaddleArray>;

class PaddleImporter {
 public:
  PaddleImporter(const PaddleProgram& program, const PaddleArrays& arrays, std::string_view what)
      : program_(program), arrays_(arrays), what_(what), net_("paddle"), problems_(what) {}

  std::string run();

 private:
  using Ints = OnnxBuilder::Ints;
  using Attributes = std::vector<OnnxBuilder::Attribute>;

  [[noreturn]] void wrong(std::initializer_list<Piece> why) const;
  std::string label() const;
  void unsupported(std::string_view use);
  void missing();

  // ---- variables

  bool has(const std::string& parameter) const { return !op_->in(parameter).empty(); }
  const std::string& one(const std::string& parameter, size_t k = 0) const;
  /// The name of a variable's value in the model.
  std::string name_of(const std::string& variable);
  std::string in(const std::string& parameter = "X") { return name_of(one(parameter)); }
  const Ints& dims(const std::string& variable) const;
  int rank(const std::string& variable) const { return static_cast<int>(dims(variable).size()); }
  int rank_in(const std::string& parameter = "X") const { return rank(one(parameter)); }
  const std::string& out(const std::string& parameter = "Out", size_t k = 0) const;
  void give(const std::string& value, const std::string& parameter = "Out", size_t k = 0);
  /// A node whose result is the output.
  void result(std::string_view op, const std::vector<std::string>& inputs,
              const Attributes& attributes = {}, const std::string& parameter = "Out");

  void feed();

  // ---- operators, in paddle_ops.cpp

  void translate();
  bool elements();
  bool activations();
  void gelu();
  bool shapes();
  void expand(Ints to);
  bool reductions();
  /// The sizes before height and width, and these.
  bool resizes();
  /// Pads of a window, as [low..., high...].
  bool window(Attributes& a, size_t n);
  bool channels_last() const;
  void convolution();
  /// The first dimensions as rows, times a matrix.
  void mul();
  void matmul();
  void batch_norm();
  void instance_norm();
  void layer_norm();
  void pool();
  /// A list of one-element tensors, or a tensor, as sizes of i64.
  std::string sizes(const std::string& list, const std::string& tensor);
  void reshape();
  void flatten();
  void concat();
  void split();
  void slice();
  void scale();
  void dropout();
  void arg_max();
  void look_up();
  void pad();
  /// Equal numbers of a known shape, or stored ones.
  void fill();
  void prelu();

  const PaddleProgram& program_;
  const PaddleArrays& arrays_;
  std::string_view what_;
  OnnxBuilder net_;
  Problems problems_;
  std::map<std::string, std::string> values_;  ///< of variables, in the model
  std::vector<std::string> fetched_;
  const PaddleOp* op_ = nullptr;
};

}  // namespace nacre
