#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "exporters/ncnn.h"
#include "nacre/error.h"

namespace nacre {

NcnnOptions& NcnnOptions::i(int id, int64_t v) {
  text_ += cat({" ", id, "=", v});
  return *this;
}

NcnnOptions& NcnnOptions::f(int id, double v) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(v));
  std::string text(digits, end.ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";  // else it would be an integer
  text_ += cat({" ", id, "=", text});
  return *this;
}

NcnnOptions& NcnnOptions::is(int id, const std::vector<int64_t>& v) {
  text_ += cat({" ", -23300 - id, "=", v.size()});
  for (const int64_t n : v) text_ += cat({",", n});
  return *this;
}

NcnnOptions& NcnnOptions::sizes(const std::vector<int64_t>& shape) {
  static constexpr int ids[4][4] = {{0}, {1, 0}, {2, 1, 0}, {2, 11, 1, 0}};
  for (size_t d = shape.size(); d-- > 0;) i(ids[shape.size() - 1][d], shape[d]);
  return *this;
}

int64_t NcnnOptions::order_number(const std::vector<int64_t>& order) {
  // Dimensions count from the innermost; the outermost of the result changes slowest, from the
  // outermost of the input downwards, and the rest goes through these.
  static constexpr int64_t three[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
                                          {2, 0, 1}, {1, 2, 0}, {2, 1, 0}};
  const int64_t n = std::ssize(order);
  std::vector<int64_t> inner;
  for (size_t k = order.size(); k-- > 0;) inner.push_back(n - 1 - order[k]);
  if (n == 2) return inner[0];
  int64_t base = 0;
  if (n == 4) {
    base = 6 * (3 - inner[3]);
    for (int k = 0; k < 3; ++k) inner[k] -= inner[k] > inner[3];
  }
  for (int64_t k = 0; k < 6; ++k)
    if (std::equal(three[k], three[k] + 3, inner.begin())) return base + k;
  return -1;
}

std::string NcnnWriter::plain(const std::vector<float>& v) {
  return {reinterpret_cast<const char*>(v.data()), 4 * v.size()};
}

std::string NcnnWriter::marked(const std::vector<float>& v) {
  return std::string(4, '\0') + plain(v);
}

std::string NcnnWriter::fresh(const std::string& stem) {
  std::string name = stem;
  for (char& c : name)
    if (static_cast<unsigned char>(c) <= ' ') c = '_';  // words of the file end at white space
  const int64_t n = names_[name]++;
  return n ? fresh(cat({name, "_", n})) : name;
}

std::string NcnnWriter::add(const std::string& type, const std::string& stem,
                            const std::vector<std::string>& bottoms, const NcnnOptions& options,
                            std::string weights) {
  const std::string name = fresh(stem);
  layers_.push_back({type, name, bottoms, {name}, options, std::move(weights)});
  return name;
}

void NcnnWriter::output(const std::string& blob, const std::string& name) {
  outputs_.emplace_back(blob, name);
}

void NcnnWriter::split() {
  // Names stay where they are in memory while their lists move.
  std::map<std::string, std::vector<std::string*>> readers;
  for (Layer& l : layers_)
    for (std::string& b : l.bottoms) readers[b].push_back(&b);
  for (auto& [blob, name] : outputs_) readers[blob].push_back(&blob);
  std::vector<Layer> all;
  for (Layer& l : layers_) {
    const std::string top = l.tops[0];
    all.push_back(std::move(l));
    const auto& at = readers[top];
    if (at.size() < 2) continue;
    Layer copies{"Split", fresh("split_" + top), {top}, {}, {}, ""};
    for (std::string* reader : at) copies.tops.push_back(*reader = fresh(top + "_copy"));
    all.push_back(std::move(copies));
  }
  layers_ = std::move(all);
}

NcnnFiles NcnnWriter::finish() {
  split();
  // Results that the network gives take the names of its outputs; what has such a name makes room.
  std::map<std::string, std::string> renamed;
  std::set<std::string> taken;
  for (const auto& [blob, name] : outputs_) {
    std::string clean = name;
    for (char& c : clean)
      if (static_cast<unsigned char>(c) <= ' ') c = '_';
    renamed[blob] = clean;
    taken.insert(clean);
  }
  for (const Layer& l : layers_)
    for (const std::string& t : l.tops)
      if (taken.contains(t) && !renamed.contains(t)) renamed[t] = fresh(t + "_inner");
  NcnnFiles files;
  size_t blobs = 0;
  for (Layer& l : layers_) {
    for (auto* names : {&l.bottoms, &l.tops})
      for (std::string& n : *names)
        if (const auto at = renamed.find(n); at != renamed.end()) n = at->second;
    blobs += l.tops.size();
    files.param += cat({l.type, " ", l.name, " ", l.bottoms.size(), " ", l.tops.size()});
    for (const auto* names : {&l.bottoms, &l.tops})
      for (const std::string& n : *names) files.param += " " + n;
    files.param += l.options.str() + "\n";
    files.bin += l.weights;
  }
  files.param = cat({"7767517\n", layers_.size(), " ", blobs, "\n", files.param});
  return files;
}

}  // namespace nacre
