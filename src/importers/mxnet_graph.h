// The symbol of an MXNet network: nodes with options as texts.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

struct MxnetNode {
  std::string op, name;  ///< op "null": a variable
  std::map<std::string, std::string> options;
  struct Input {
    size_t node, output;
  };
  std::vector<Input> inputs;

  bool has(const std::string& option) const;  ///< and is not None
  std::string text(const std::string& option, const std::string& otherwise) const;
  // Throw Error(data) if the option is something else.
  double number(const std::string& option, double otherwise) const;
  int64_t integer(const std::string& option, int64_t otherwise) const;
  bool boolean(const std::string& option, bool otherwise) const;
  /// "(1, 2)", "[1, 2]" or "1"; None among them is `none`.
  std::vector<int64_t> integers(const std::string& option, int64_t none = 0) const;
};

struct MxnetGraph {
  std::vector<MxnetNode> nodes;         ///< inputs come before those that read them
  std::vector<MxnetNode::Input> heads;  ///< outputs of the network
};

/// Throws Error(data) for text that is no symbol or that contradicts itself.
MxnetGraph read_mxnet_symbol(std::string_view json, std::string_view what);

/// The arrays of the last epoch beside a symbol: "net-0012.params" for "net-symbol.json". Throws
/// Error(io) if there are none.
std::string mxnet_params_beside(const std::string& symbol);

/// The arrays of recurrent layers out of the one in which they lie: for each layer the weights of
/// inputs, those of states and the biases, of all directions, with gates in ONNX's order.
struct MxnetRnn {
  int64_t width = 0;  ///< of the first layer's inputs
  struct Layer {
    std::vector<float> weight, recurrence, bias;
  };
  std::vector<Layer> layers;  ///< none if the array does not have the size for them
};
MxnetRnn split_mxnet_rnn(std::span<const float> all, int64_t gates, int64_t size, int64_t layers,
                         int64_t directions);

// ONNX's names of operators on each element; null for others.
const char* mxnet_unary(std::string_view op);
const char* mxnet_binary(std::string_view op);
struct MxnetScalar {
  const char* op = nullptr;
  bool turned = false;  ///< the number stands on the left
};
MxnetScalar mxnet_scalar(std::string_view op);
/// Layers whose second input is the label.
bool is_mxnet_loss(std::string_view op);

}  // namespace nacre
