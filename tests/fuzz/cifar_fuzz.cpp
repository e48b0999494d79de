// CIFAR records: the first byte says which variant.
#include <cstdint>
#include <string>

#include "data/readers.h"
#include "nacre/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 1) return 0;
  const int label_bytes = bytes[0] % 2 + 1;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    const auto d = nacre::data::cifar_dataset({rest}, label_bytes,
                                              std::vector<std::string>(10, "c"), 2, "fuzz");
    for (int64_t i = 0; i < d->size() && i < 10; ++i) d->get(i);
  } catch (const nacre::Error&) {
  }
  return 0;
}
