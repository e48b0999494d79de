// Model files of every kind that a command takes.
#pragma once

#include <string>

#include "nacre/onnx.h"
#include "nacre/zoo.h"

namespace nacre::cli {

/// A network that becomes an ONNX model: .onnx, or a file of another framework (nacre/import.h).
bool is_onnx(const std::string& path);
std::unique_ptr<onnx::Network> load_network(const std::string& path);

/// A model of nacre's, or an ONNX model (a name that ends in .onnx). An ONNX file says nothing of
/// pictures and classes: pictures are resized to its input, with values from 0 to 1, and classes
/// are numbers, unless its metadata have "nacre.transform" or "nacre.classes" (one a line).
Model open_model(const std::string& path);

/// Shape of an input where the file leaves sizes open: those become 1. Throws Error(usage) if the
/// input is no tensor.
Shape usual_shape(const onnx::Port& port);

}  // namespace nacre::cli
