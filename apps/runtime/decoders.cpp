// The runtime has no libraries that decode pictures: it reads PGM, PPM and BMP.
#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

[[noreturn]] void none(const Source& source, const char* format) {
  fail(Error::Kind::unsupported,
       {source.name, ": the runtime reads PGM, PPM and BMP pictures, not ", format});
}

}  // namespace

Image decode_png(const Source& source) { none(source, "PNG"); }
Image decode_jpeg(const Source& source) { none(source, "JPEG"); }
Image decode_webp(const Source& source) { none(source, "WebP"); }

}  // namespace nacre::data

namespace nacre {

std::vector<uint8_t> encode_png(const Image&, int) {
  fail(Error::Kind::unsupported, {"the runtime writes no PNG pictures"});
}

}  // namespace nacre
