// The two files of an ncnn network: layers as text (.param), weights in their order (.bin).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

struct NcnnLayer {
  std::string type, name;
  std::vector<std::string> bottoms, tops;
  std::map<int, std::vector<double>> values;  ///< by number; lists of -23300 - number too

  bool has(int id) const { return values.contains(id); }
  double number(int id, double otherwise) const;
  /// Throws Error(data) for numbers that are no integers.
  int64_t integer(int id, int64_t otherwise) const;
  const std::vector<double>& list(int id) const;
};

/// Throws Error(data), naming `what` and the line.
std::vector<NcnnLayer> read_ncnn_param(std::string_view text, std::string_view what);

/// Weights, taken from the front of a .bin file.
class NcnnWeights {
 public:
  NcnnWeights(std::string_view bytes, std::string_view what) : rest_(bytes), what_(what) {}
  /// Plain f32 values.
  std::vector<float> plain(int64_t count);
  /// Values with a mark of their type before them: f32 or f16; others throw Error(unsupported).
  std::vector<float> marked(int64_t count, std::string_view layer);
  /// Throws if weights are left.
  void finish() const;

 private:
  std::string_view take(uint64_t bytes);
  std::string_view rest_, what_;
};

}  // namespace nacre
