// Models in other formats: as ncnn's files, and how far a converted model's outputs are from those
// it had before. ONNX files are written by nacre/onnx.h, files of weights by nacre/weights.h.
//
//   const NetworkFunction before = as_function(*onnx::load("net.onnx"));
//   for (const OutputDifference& d : compare_outputs(before, as_function(*after))) ...
//
// A function that is made from a network refers to it. Functions are thread-safe as far as the
// networks are: a forward pass is for one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/onnx.h"

namespace nacre {

/// A network as a function of its inputs, in their order.
struct NetworkFunction {
  struct Input {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;            ///< with a batch of one; other sizes that are not known are 1
    bool any_batch = true;  ///< the first size may be another one
  };
  std::vector<Input> inputs;
  std::vector<std::string> outputs;  ///< names
  std::function<Tensors(const Tensors&)> run;
};

/// A model of one input of this shape (without the batch) and one output, in evaluation mode.
NetworkFunction as_function(Module& net, const Shape& sample, DType dtype = DType::f32);
/// Throws Error(usage) if an input or output is no tensor.
NetworkFunction as_function(onnx::Network& net);

struct OutputDifference {
  std::string name;     ///< as it was before
  double absolute = 0;  ///< the largest; infinite if shapes differ, or NaN stands for a number
  double relative = 0;  ///< the same as a part of the output's largest value before
};

OutputDifference compare_values(const std::string& name, const Tensor& before, const Tensor& after);

struct CompareOptions {
  int64_t samples = 3;  ///< random inputs for each size of the batch
  uint64_t seed = 0;
};

/// The largest differences over random inputs, for a batch of 1 and, if both take it, of 2: values
/// are normally distributed, integers are 0 or 1. Inputs belong together by their order, outputs by
/// their names, or by their order if the names are others. Throws Error(usage) if numbers of inputs
/// or outputs differ.
std::vector<OutputDifference> compare_outputs(const NetworkFunction& before,
                                              const NetworkFunction& after,
                                              const CompareOptions& options = {});

/// The two files of an ncnn network.
struct NcnnFiles {
  std::string param, bin;
};
/// Writes what a network computes for one sample, as blobs of ncnn have no batch: their first size
/// is the second of nacre's. Throws Error(unsupported) with all operators that have no layer there,
/// and all uses of one, at once. `what` names the network in messages.
NcnnFiles to_ncnn(const NetworkFunction& net, std::string_view what);

}  // namespace nacre
