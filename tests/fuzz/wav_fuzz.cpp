// Clips of any bytes: a clip or an Error; what was read can be written, and made a picture of.
#include <cstdlib>

#include "fuzz.h"
#include "nacre/audio.h"

FUZZ_TARGET(wav) {
  const nacre::Clip clip =
      nacre::decode_wav({reinterpret_cast<const uint8_t*>(input.data()), input.size()}, "fuzz",
                        {.max_pixels = 1 << 14, .max_bytes = 1 << 20});
  touch(clip.samples.data(), clip.samples.size() * sizeof(float));
  const nacre::Clip again = nacre::decode_wav(nacre::encode_wav(clip));
  if (again.samples.size() != clip.samples.size() || again.rate != clip.rate) std::abort();
  const nacre::Image picture = nacre::log_mel(clip, {.mels = 4, .window = 16, .hop = 16});
  if (picture.height != 4 || picture.width < 1) std::abort();
}
