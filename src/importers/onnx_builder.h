// Builds the bytes of an ONNX model: what the importers translate networks into, so that the
// meaning of operators stands in one place.
//
//   OnnxBuilder net("caffe");
//   net.input("data", {-1, 3, 224, 224});
//   net.node("Relu", {"data"}, {"y"});
//   net.output("y");
//   std::string bytes = net.finish();
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/wire.h"
#include "nacre/formats.h"

namespace nacre {

class OnnxBuilder {
 public:
  using Ints = std::vector<int64_t>;
  using Attribute =
      std::pair<std::string, std::variant<int64_t, double, std::string, Ints, std::vector<float>>>;

  explicit OnnxBuilder(std::string producer) : producer_(std::move(producer)) {}

  /// Sizes of -1 are not known. The type is one of TensorProto.DataType.
  void input(const std::string& name, const Ints& shape, int64_t type = 1);
  /// An input of any shape.
  void input(const std::string& name, int64_t type);
  /// A rank of -1 is not known.
  void output(const std::string& name, int rank, int64_t type = 1);
  /// Constants; the name is the result, made up if it is empty.
  std::string floats(std::span<const float> values, const Ints& shape, std::string name = "");
  std::string scalar(double value) {
    const auto v = static_cast<float>(value);
    return floats({&v, 1}, {});
  }
  std::string ints(const Ints& values);
  std::string array(const RawTensor& values, std::string name);
  /// Row-major bytes of this type of TensorProto.DataType.
  std::string constant(std::string_view bytes, const Ints& shape, int64_t type, std::string name);
  void node(std::string_view op, const std::vector<std::string>& inputs,
            const std::vector<std::string>& outputs, const std::vector<Attribute>& attributes = {},
            std::string_view name = "");
  /// A node with one output of a new name, which is returned.
  std::string make(std::string_view op, const std::vector<std::string>& inputs,
                   const std::vector<Attribute>& attributes = {});
  std::string fresh(std::string_view stem);
  /// The model, of opset 13.
  std::string finish() const;

 private:
  std::string producer_;
  std::string graph_;  ///< fields of the graph so far: nodes, constants, inputs
  std::string outputs_;
  uint64_t made_ = 0;
  std::set<std::string> names_;  ///< of nodes
};

}  // namespace nacre
