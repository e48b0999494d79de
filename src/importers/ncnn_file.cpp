#include "importers/ncnn_file.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

#include "base/text.h"
#include "nacre/dtype.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kArray = -23300;
constexpr int64_t kMostLayers = 1'000'000;  // layers, and blobs of one

/// "id=value" and "-233id=count,value,...".
bool read_value(const std::string& word, NcnnLayer& layer) {
  const size_t eq = word.find('=');
  if (eq == std::string::npos) return false;
  int id = 0;
  const auto done = std::from_chars(word.data(), word.data() + eq, id);
  if (done.ec != std::errc() || done.ptr != word.data() + eq) return false;
  std::vector<double> values;
  for (size_t at = eq; at < word.size();) {
    const size_t end = std::min(word.find(',', at + 1), word.size());
    const std::string piece = word.substr(at + 1, end - at - 1);
    char* stop = nullptr;
    values.push_back(std::strtod(piece.c_str(), &stop));
    if (piece.empty() || *stop || !std::isfinite(values.back())) return false;
    at = end;
  }
  if (id <= kArray) {
    if (values.empty() || values[0] != static_cast<double>(values.size() - 1)) return false;
    values.erase(values.begin());
    id = kArray - id;
  } else if (values.size() != 1) {
    return false;
  }
  return id >= 0 && id < 32 && layer.values.emplace(id, std::move(values)).second;
}

}  // namespace

double NcnnLayer::number(int id, double otherwise) const {
  const auto at = values.find(id);
  return at == values.end() || at->second.empty() ? otherwise : at->second[0];
}

int64_t NcnnLayer::integer(int id, int64_t otherwise) const {
  const double v = number(id, static_cast<double>(otherwise));
  if (v != std::floor(v) || std::abs(v) > 2147483648.0)
    fail(Error::Kind::data, {"layer '", clip(printable(name), 100), "' has ", v, " for number ", id,
                             ", which should be an integer"});
  return static_cast<int64_t>(v);
}

const std::vector<double>& NcnnLayer::list(int id) const {
  static const std::vector<double> none;
  const auto at = values.find(id);
  return at == values.end() ? none : at->second;
}

std::vector<NcnnLayer> read_ncnn_param(std::string_view text, std::string_view what) {
  int number = 0;
  const auto damaged = [&](std::string_view why) {
    fail(Error::Kind::data, {what, ":", number, ": ", why});
  };
  const auto next = [&](std::string& line) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++number;
      if (line.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
    return false;
  };
  std::string line;
  if (!next(line) || std::strtol(line.c_str(), nullptr, 10) != 7767517)
    damaged("the magic number 7767517 is missing");
  int64_t layers = 0, blobs = 0;
  if (!next(line) || !(std::istringstream(line) >> layers >> blobs) || layers < 1 || blobs < 1 ||
      layers > kMostLayers || blobs > kMostLayers)
    damaged("numbers of layers and blobs are missing");
  std::vector<NcnnLayer> out;
  std::set<std::string> made;
  while (next(line)) {
    std::istringstream words(line);
    NcnnLayer layer;
    int64_t bottoms = -1, tops = -1;
    if (!(words >> layer.type >> layer.name >> bottoms >> tops) || bottoms < 0 || tops < 0 ||
        bottoms > static_cast<int64_t>(line.size()) || tops > static_cast<int64_t>(line.size()))
      damaged("a layer should be: type, name, numbers of inputs and outputs");
    for (int64_t i = 0; i < bottoms + tops; ++i) {
      std::string blob;
      if (!(words >> blob)) damaged("the layer names too few inputs and outputs");
      if (i < bottoms) {
        if (!made.contains(blob)) damaged("the layer reads a blob that no layer before it makes");
        layer.bottoms.push_back(blob);
      } else {
        if (!made.insert(blob).second) damaged("the layer makes a blob that is there already");
        layer.tops.push_back(blob);
      }
    }
    for (std::string word; words >> word;)
      if (!read_value(word, layer))
        damaged(cat({"'", clip(printable(word), 60), "' is no number=value"}));
    out.push_back(std::move(layer));
    if (std::ssize(out) > layers) damaged("there are more layers than the file says");
  }
  if (std::ssize(out) != layers)
    damaged(cat({"there are ", out.size(), " layers, the file says ", layers}));
  return out;
}

std::string_view NcnnWeights::take(uint64_t bytes) {
  if (bytes > rest_.size())
    fail(Error::Kind::data, {what_, ": the weights end ", bytes - rest_.size(), " bytes early"});
  const auto piece = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return piece;
}

std::vector<float> NcnnWeights::plain(int64_t count) {
  if (count < 0 || static_cast<uint64_t>(count) > rest_.size() / 4)
    fail(Error::Kind::data,
         {what_, ": a layer wants ", count, " weights, ", rest_.size() / 4, " are left"});
  std::vector<float> values(static_cast<size_t>(count));
  const auto bytes = take(4 * values.size());
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<float> NcnnWeights::marked(int64_t count, std::string_view layer) {
  uint32_t mark = 0;
  std::memcpy(&mark, take(4).data(), 4);
  if (mark == 0 || mark == 0x0002C056) return plain(count);
  if (mark != 0x01306B47)
    fail(Error::Kind::unsupported,
         {what_, ": the weights of layer '", clip(printable(layer), 100), "' are ",
          mark == 0x000D4B38 ? "8-bit integers" : "quantised", ", which is not supported"});
  if (count < 0 || static_cast<uint64_t>(count) > rest_.size() / 2)
    fail(Error::Kind::data,
         {what_, ": a layer wants ", count, " weights, ", rest_.size() / 2, " are left"});
  const auto bytes = take((2 * static_cast<uint64_t>(count) + 3) / 4 * 4);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values[i] = f16_to_f32(half);
  }
  return values;
}

void NcnnWeights::finish() const {
  if (!rest_.empty())
    fail(Error::Kind::data, {what_, ": ", rest_.size(), " bytes are left after the last layer's"});
}

}  // namespace nacre
