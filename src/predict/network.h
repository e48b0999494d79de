// Networks in ONNX's terms, for what looks at their inputs and outputs by name.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nacre/onnx.h"
#include "nacre/zoo.h"

namespace nacre {

/// The network of a file for which is_onnx() is true; `weights` as import_network() takes them.
std::unique_ptr<onnx::Network> load_network(const std::string& path,
                                            const std::string& weights = "");

/// Bytes of all files that a model was read from: its own, those of its weights, and the external
/// data that an ONNX model names.
uint64_t bytes_of_model(const std::string& path);

/// Shape of an input where the file leaves sizes open: those become 1. Throws Error(usage) if the
/// input is no tensor.
Shape usual_shape(const onnx::Port& port);

/// Shapes of all inputs by name: those that are given ("NAME=1x3x224x224"; of the first input the
/// sizes alone do), else usual_shape(). Throws Error(usage) for a text that is none, an input that
/// the network does not have, and sizes that differ from those of the file.
std::map<std::string, Shape> input_shapes(const onnx::Network& net,
                                          const std::vector<std::string>& given);

/// Whether a picture of this shape has its channels last, as TensorFlow's have: 224x224x3.
bool has_channels_last(const Shape& picture);

/// What an ONNX file keeps of a model file, for open_model().
std::map<std::string, std::string> onnx_metadata(const ModelInfo& info);

}  // namespace nacre
