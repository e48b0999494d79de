// Pictures of any bytes: a picture or an Error.
#include <cstdint>
#include <cstdlib>

#include "nacre/error.h"
#include "nacre/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  try {
    const nacre::Image image =
        nacre::decode_image({bytes, size}, "fuzz", {.max_side = 4096, .max_pixels = 1 << 20});
    // What was read can be written, and read again with the same size.
    const nacre::Image again = nacre::decode_image(nacre::encode_png(image));
    if (again.pixels.size() != image.pixels.size()) std::abort();
  } catch (const nacre::Error&) {
  }
  return 0;
}
