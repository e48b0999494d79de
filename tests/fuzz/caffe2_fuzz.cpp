#include <algorithm>

#include "fuzz.h"
#include "nacre/import.h"

/// The length of the second net in four bytes, the net that predicts, and the first net.
FUZZ_TARGET(caffe2) {
  uint32_t length = 0;
  input.copy(reinterpret_cast<char*>(&length), sizeof(length));
  const std::string_view rest = input.substr(std::min<size_t>(4, input.size()));
  const size_t end = std::min<size_t>(length, rest.size());
  const std::string model = nacre::import_caffe2(rest.substr(0, end), rest.substr(end), "input");
  touch(model.data(), model.size());
}
