#include <algorithm>

#include "fuzz.h"
#include "nacre/import.h"

/// The length of the program in four bytes, the program, and the arrays.
FUZZ_TARGET(paddle) {
  uint32_t length = 0;
  input.copy(reinterpret_cast<char*>(&length), sizeof(length));
  const std::string_view rest = input.substr(std::min<size_t>(4, input.size()));
  const size_t end = std::min<size_t>(length, rest.size());
  const std::string model = nacre::import_paddle(rest.substr(0, end), rest.substr(end), "input");
  touch(model.data(), model.size());
}
