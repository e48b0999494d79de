#include "fuzz.h"
#include "nacre/import.h"

FUZZ_TARGET(tflite) {
  const std::string model = nacre::import_tflite(input, "input");
  touch(model.data(), model.size());
}
