// Reads the reference pictures of tests/data/goldens.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "nacre/image.h"

namespace nacre::testing {

inline std::string golden_path(const std::string& name) {
  return std::string(NACRE_SOURCE_DIR) + "/tests/data/goldens/" + name;
}

/// All cases of expected.txt, values 0..255.
inline const std::map<std::string, Image>& goldens() {
  static const auto all = [] {
    std::map<std::string, Image> cases;
    std::ifstream file(golden_path("expected.txt"));
    for (std::string line; std::getline(file, line);) {
      std::istringstream in(line);
      std::string name;
      int w = 0, h = 0, c = 0;
      in >> name >> w >> h >> c;
      Image image(w, h, c);
      for (float& p : image.pixels) in >> p;
      if (in) cases[name] = image;
    }
    return cases;
  }();
  return all;
}

struct Difference {
  double largest = 0, mean = 0;
};

/// Differences in grey levels (of 255) to a case of expected.txt.
inline Difference difference(const Image& image, const std::string& name) {
  const auto found = goldens().find(name);
  if (found == goldens().end()) return {1e9, 1e9};
  const Image& e = found->second;
  if (e.width != image.width || e.height != image.height || e.channels != image.channels)
    return {1e8, 1e8};
  Difference d;
  for (size_t i = 0; i < e.pixels.size(); ++i) {
    const double x = std::abs(e.pixels[i] - 255.0 * image.pixels[i]);
    d.largest = std::max(d.largest, x);
    d.mean += x / static_cast<double>(e.pixels.size());
  }
  return d;
}

}  // namespace nacre::testing
