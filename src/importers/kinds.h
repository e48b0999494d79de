// The kinds of files that import_network() reads. An importer defines its own below its code; one
// line here and one in import.cpp make it known.
#pragma once

#include <string>
#include <string_view>

namespace nacre {

struct NetworkKind {
  std::string_view ending;     ///< of the file's name
  std::string_view framework;  ///< for messages
  /// Where its weights are if nobody said: a file or a folder, or "" for those that hold them.
  std::string (*weights)(const std::string& path);
  /// The ONNX model of the network at `path`.
  std::string (*read)(const std::string& path, const std::string& weights);
};

extern const NetworkKind kCaffeFiles, kNcnnFiles, kGraphDefFiles, kTfliteFiles, kMxnetFiles,
    kPaddleFiles, kPaddleFolders, kCaffe2Files;

/// `path` with another ending: "net.param" with ".bin" for ".param".
std::string beside(const std::string& path, std::string_view ending, std::string_view other);
/// What `import` makes of a network that is a text and of weights in a file of their own.
std::string read_text_network(const std::string& path, const std::string& weights,
                              std::string (*import)(std::string_view, std::string_view,
                                                    std::string_view, std::string_view));
/// Of networks that have their weights in them.
inline std::string no_weights(const std::string&) { return ""; }
/// What `import` makes of such a network.
std::string read_whole_network(const std::string& path, const std::string& weights,
                               std::string (*import)(std::string_view, std::string_view));

}  // namespace nacre
