// The files that an ncnn network is in the making: layers with numbered options, and their weights.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nacre/convert.h"

namespace nacre {

/// Options of a layer as text: "0=64 1=3 -23309=2,0,1".
class NcnnOptions {
 public:
  NcnnOptions& i(int id, int64_t v);
  NcnnOptions& f(int id, double v);
  NcnnOptions& is(int id, const std::vector<int64_t>& v);
  /// Of 1 to 4 sizes, the outermost first: ncnn's w, h, d and c.
  NcnnOptions& sizes(const std::vector<int64_t>& shape);
  /// The number that ncnn gives a new order of 2 to 4 dimensions.
  static int64_t order_number(const std::vector<int64_t>& order);
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

class NcnnWriter {
 public:
  struct Layer {
    std::string type, name;
    std::vector<std::string> bottoms, tops;
    NcnnOptions options;
    std::string weights;
  };

  /// Adds a layer with one result; returns the name of that.
  std::string add(const std::string& type, const std::string& stem,
                  const std::vector<std::string>& bottoms, const NcnnOptions& options = {},
                  std::string weights = "");
  Layer& last() { return layers_.back(); }
  std::vector<Layer>& layers() { return layers_; }
  /// Gives a result the name of an output of the network.
  void output(const std::string& blob, const std::string& name);
  NcnnFiles finish();

  static std::string plain(const std::vector<float>& v);
  /// As layers store their main weights: after a mark of their type.
  static std::string marked(const std::vector<float>& v);

 private:
  std::string fresh(const std::string& stem);
  /// Each blob is read once in ncnn: those read more often are copied.
  void split();

  std::vector<Layer> layers_;
  std::vector<std::pair<std::string, std::string>> outputs_;
  std::map<std::string, int64_t> names_;
};

}  // namespace nacre
