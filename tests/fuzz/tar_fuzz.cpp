#include "data/readers.h"
#include "fuzz.h"
#include "memory_file.h"

FUZZ_TARGET(tar) {
  const MemoryFile file(input);  // also of a .tar.gz or .zip
  const auto d =
      nacre::data::open_archive(file.path(), true, {.max_side = 64, .max_pixels = 4096}).train;
  for (int64_t i = 0; i < d->size() && i < 4; ++i) {
    try {
      d->get(i);
    } catch (const nacre::Error&) {
    }
  }
}
