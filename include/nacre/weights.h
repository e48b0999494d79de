// Weights of models as other programs keep them: named arrays, whatever the file.
//
//   Weights w = read_weights("resnet18.pth");          // the content says what kind of file it is
//   for (const auto& [name, array] : w.tensors) ...
//   load_state(*net, w.tensors);                       // into a model, by name: see zoo.h
//   write_weights("resnet18.safetensors", w.tensors);  // the ending says what is written
//
// Nothing in a file is ever run. Counts are checked against the bytes that exist before memory is
// taken; arrays that lie in the file as memory wants them are not copied but mapped. Files that are
// not what they claim to be throw Error(data), what nacre has no place for Error(unsupported), with
// all names concerned. Functions are thread-safe.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nacre/formats.h"

namespace nacre {

struct Weights {
  std::string format;  ///< "safetensors", "npy", "npz", "pytorch", "gguf", "mxnet"
  std::vector<NamedTensor> tensors;
  /// Texts that the file has of itself; numbers and lists of GGUF files as JSON.
  std::map<std::string, std::string> metadata;
};

struct WeightsOptions {
  /// Dotted path of the dict that is wanted, where a PyTorch checkpoint holds several
  /// ("ema.state_dict"). Empty: the only one that holds tensors, or else the one called state_dict,
  /// model_state_dict, model, net, network, params or weights, or else all, by their dotted paths.
  std::string prefix;
  /// Take "module." away where all names have it, as DataParallel puts it there.
  bool drop_module = true;
};

/// The arrays of a file. A .npy file has one, named "array".
Weights read_weights(const std::string& path, const WeightsOptions& options = {});
/// The same from bytes that `owner` keeps alive. `what` names them in messages.
Weights parse_weights(std::string_view bytes, std::shared_ptr<const void> owner,
                      std::string_view what, const WeightsOptions& options = {});

/// A PyTorch checkpoint: a zip archive (torch 1.6 and newer, TorchScript archives too), the plain
/// form before that, and the tar form before torch 0.2.
Weights parse_torch(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what, const WeightsOptions& options = {});

/// A GGUF file of llama.cpp, versions 2 and 3. Quantised tensors (q4_0, q4_1, q5_0, q5_1, q8_0)
/// become f32.
Weights parse_gguf(std::string_view bytes, std::shared_ptr<const void> owner,
                   std::string_view what);

/// A .params file of MXNet; "arg:" and "aux:" before names go.
Weights parse_mxnet(std::string_view bytes, std::shared_ptr<const void> owner,
                    std::string_view what);

/// Arrays of PyTorch's checkpoints that no model needs: the counts beside running statistics
/// ("num_batches_tracked") and the table that follows from Swin's windows
/// ("relative_position_index").
bool is_idle_array(std::string_view name);

/// Writes a file of the kind that `format` says ("safetensors", "npz", "npy"), or its ending. With
/// npy `path` is a folder, which gets a file for each array. For NumPy, which has no bf16, that
/// becomes f32. Throws Error(usage) for other kinds, and for names that cannot be those of files.
void write_weights(const std::string& path, std::span<const NamedTensor> tensors,
                   const std::map<std::string, std::string>& metadata = {},
                   std::string_view format = "");

}  // namespace nacre
