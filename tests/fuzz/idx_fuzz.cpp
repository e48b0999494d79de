// IDX files: the first byte says which of the two files the rest is; the other is a good one.
#include <cstdint>
#include <string>

#include "data/readers.h"
#include "nacre/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 1) return 0;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::string images("\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\2abcd", 20);
  const std::string labels("\0\0\x08\x01\0\0\0\2\1\0", 10);
  try {
    nacre::data::IdxFormat format;
    format.transposed = (bytes[0] & 2) != 0;
    const auto d = bytes[0] & 1 ? nacre::data::idx_dataset(images, rest, format, "fuzz", "labels")
                                : nacre::data::idx_dataset(rest, labels, format, "fuzz", "labels");
    for (int64_t i = 0; i < d->size() && i < 10; ++i) d->get(i);
  } catch (const nacre::Error&) {
  }
  return 0;
}
