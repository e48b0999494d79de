#include <algorithm>

#include "fuzz.h"
#include "nacre/import.h"

/// The .param file, a zero byte, and the .bin file.
FUZZ_TARGET(ncnn) {
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view weights = input.substr(std::min(end + 1, input.size()));
  const std::string model = nacre::import_ncnn(input.substr(0, end), weights, "input");
  touch(model.data(), model.size());
}
