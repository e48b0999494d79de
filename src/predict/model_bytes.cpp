// How large a model is: all of its files together.
#include <filesystem>
#include <set>

#include "base/file.h"
#include "nacre/import.h"
#include "nacre/predict.h"
#include "onnx/proto.h"
#include "predict/network.h"

namespace nacre {
namespace {

using onnx::TensorProto;
using Locations = std::set<std::string>;

void collect(const std::vector<TensorProto>& tensors, Locations& found) {
  for (const TensorProto& t : tensors)
    if (t.external) found.insert(std::filesystem::path(t.location).lexically_normal());
}

void collect(const onnx::SparseTensorProto& t, Locations& found) {
  collect(std::vector{t.values, t.indices}, found);
}

void collect(const onnx::GraphProto& graph, Locations& found);

void collect(const std::vector<onnx::AttributeProto>& attributes, Locations& found) {
  for (const onnx::AttributeProto& a : attributes) {
    collect(a.tensors, found);
    for (const auto& t : a.sparse) collect(t, found);
    for (const auto& g : a.graphs) collect(*g, found);
  }
}

void collect(const onnx::GraphProto& graph, Locations& found) {
  collect(graph.initializers, found);
  for (const auto& [name, t] : graph.sparse_initializers) collect(t, found);
  for (const onnx::NodeProto& n : graph.nodes) collect(n.attributes, found);
}

}  // namespace

uint64_t bytes_of_model(const std::string& path) {
  uint64_t sum = 0;
  for (const std::string& file : network_files(path)) sum += std::filesystem::file_size(file);
  if (!path.ends_with(".onnx")) return sum;
  const auto file = MappedFile::open(path);
  const onnx::ModelProto model = onnx::parse_model(file->bytes(), path);
  Locations found;
  collect(model.graph, found);
  for (const auto& f : model.functions) {
    collect(f->defaults, found);
    for (const onnx::NodeProto& n : f->nodes) collect(n.attributes, found);
  }
  for (const std::string& location : found)
    sum += std::filesystem::file_size(std::filesystem::path(path).parent_path() / location);
  return sum;
}

}  // namespace nacre
