#include "data/readers.h"
#include "fuzz.h"
#include "memory_file.h"

FUZZ_TARGET(tar) {
  const MemoryFile file(input);
  for (const auto& entry : nacre::data::list_tar(file.path(), 0, input.size()))
    touch(input.data() + entry.offset, entry.size);
  const auto d = nacre::data::tar_dataset(file.path(), {.max_side = 64, .max_pixels = 4096});
  for (int64_t i = 0; i < d->size() && i < 4; ++i) {
    try {
      d->get(i);
    } catch (const nacre::Error&) {
    }
  }
}
