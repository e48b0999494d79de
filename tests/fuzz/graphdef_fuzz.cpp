#include "fuzz.h"
#include "nacre/import.h"

FUZZ_TARGET(graphdef) {
  const std::string model = nacre::import_graphdef(input, "input");
  touch(model.data(), model.size());
}
