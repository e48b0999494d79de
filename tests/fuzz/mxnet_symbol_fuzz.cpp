#include <algorithm>

#include "fuzz.h"
#include "nacre/import.h"

/// The symbol, a zero byte, and the .params file.
FUZZ_TARGET(mxnet_symbol) {
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view weights = input.substr(std::min(end + 1, input.size()));
  const std::string model = nacre::import_mxnet(input.substr(0, end), weights, "input");
  touch(model.data(), model.size());
}
