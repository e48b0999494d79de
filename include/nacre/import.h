// Networks of other frameworks, as ONNX models: what onnx::load() reads and every ONNX program too.
//
//   std::string model = import_network("net.prototxt");          // with net.caffemodel beside it
//   auto net = onnx::parse(model, "net.prototxt");
//
// Nothing in a file is run, and no file but those named here is opened. Throws Error(data) for
// files that are damaged or contradict themselves, and Error(unsupported) with all layers that have
// no translation, by type and name. Functions are thread-safe. See docs/formats.md for the layers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

namespace onnx {
class Network;
}

/// True if import_network() reads files of this ending.
bool is_network_file(const std::string& path);

/// The bytes of an ONNX model. The ending of `path` says what it is:
///
///   .prototxt   Caffe; weights in the .caffemodel of the same stem
///   .param      ncnn; weights in the .bin of the same stem
///   -symbol.json  MXNet; weights in the .params of the last epoch: net-0012.params
///   .pdmodel    PaddlePaddle; weights in the .pdiparams of the same stem
///   __model__   PaddlePaddle; weights in __params__, or a file for each variable
///   predict_net.pb  Caffe2; weights in the init_net.pb that has the rest of the name
///   .pb         a frozen graph of TensorFlow's; it has its weights in it
///   .tflite     TFLite; it has its weights in it
///
/// Weights elsewhere are named by `weights`. Throws Error(usage) for other endings.
std::string import_network(const std::string& path, const std::string& weights = "");
/// The files that make up a network: its own, and that of its weights or all in their folder.
std::vector<std::string> network_files(const std::string& path);

/// The model with the sizes of its outputs, which import_network() knows only in part: for programs
/// that ask a file for them. `net` is the model as onnx::parse() reads it. Sizes that depend on a
/// batch or another size that the inputs leave open stay open; so do all where the shape of one
/// depends on values.
std::string with_output_shapes(std::string_view model, onnx::Network& net);

/// Caffe: the network as text, and a .caffemodel. In messages `what` names the network, `stored`
/// the weights, which `what` does if it is empty; so for the others.
std::string import_caffe(std::string_view network, std::string_view weights, std::string_view what,
                         std::string_view stored = "");

/// The hyper-parameters of a Caffe solver file, in nacre's words.
struct CaffeSolver {
  std::string network;    ///< the file that it names, as it stands there
  std::string optimizer;  ///< sgd, nesterov, adam, adagrad, rmsprop, adadelta
  double lr = 0, momentum = 0, weight_decay = 0;
  std::string
      schedule;  ///< "constant", "step:10000:0.1", ...; by Caffe's own name if nacre has none
  int64_t iterations = 0;
  double clip_norm = 0;
};
CaffeSolver read_caffe_solver(std::string_view text, std::string_view what);

/// ncnn: the .param file and the .bin file. Inputs and outputs get a first dimension for the batch,
/// which ncnn does not have.
std::string import_ncnn(std::string_view param, std::string_view bin, std::string_view what,
                        std::string_view stored = "");

/// A frozen GraphDef of TensorFlow's. Nodes that no other reads are outputs; inputs and outputs
/// keep their names, shapes and layout ([n, h, w, c] for pictures). Throws Error(unsupported) for
/// graphs with variables and for SavedModels, whose weights are elsewhere.
std::string import_graphdef(std::string_view graph, std::string_view what);

/// A TFLite model: its first subgraph. Tensors of 8 bits are rounded where TFLite rounds them
/// (QuantizeLinear and DequantizeLinear between operators), inputs and outputs have the file's
/// types.
std::string import_tflite(std::string_view model, std::string_view what);

/// MXNet: the symbol as JSON, and the .params file.
std::string import_mxnet(std::string_view symbol, std::string_view params, std::string_view what,
                         std::string_view stored = "");

/// Caffe2: the net that predicts, and the one that fills its weights.
std::string import_caffe2(std::string_view predict, std::string_view init, std::string_view what,
                          std::string_view stored = "");

/// PaddlePaddle: a program for inference, and its arrays in one file.
std::string import_paddle(std::string_view program, std::string_view params, std::string_view what,
                          std::string_view stored = "");

}  // namespace nacre
