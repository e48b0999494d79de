#include <webp/decode.h>

#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {

Image decode_webp(const Source& source) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(source.bytes.data(), source.bytes.size(), &features) != VP8_STATUS_OK)
    source.damaged("WebP", "the header is not valid");
  source.check_size(features.width, features.height);
  if (features.has_animation)
    fail(Error::Kind::unsupported, {source.name, ": animated WebP is not read, only still"});
  const int channels = features.has_alpha ? 4 : 3;
  const int stride = features.width * channels;
  Bytes raw(static_cast<size_t>(stride) * static_cast<size_t>(features.height));
  const auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(source.bytes.data(), source.bytes.size(), raw.data(), raw.size(), stride))
    source.damaged("WebP", "the pixels are truncated or not valid");
  return from_u8(features.width, features.height, channels, raw);
}

}  // namespace nacre::data
