// JPEG by libjpeg. Its errors jump, so functions that call setjmp own nothing.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs the two above.
#include <jpeglib.h>

#include <jerror.h>

#include <csetjmp>
#include <cstring>

#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr int kMaxScans = 64;

struct JpegReader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = {};
  bool truncated = false;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
};

JpegReader& reader_of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

void on_error(j_common_ptr info) {
  JpegReader& r = reader_of(info);
  info->err->format_message(info, r.message);
  std::longjmp(r.jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) reader_of(info).truncated = true;
}

// A progressive file of a few bytes a scan could ask for hours of work.
void on_progress(j_common_ptr info) {
  JpegReader& r = reader_of(info);
  if (r.jpeg.input_scan_number <= kMaxScans) return;
  std::snprintf(r.message, sizeof(r.message), "has more than %d scans", kMaxScans);
  std::longjmp(r.jump, 1);
}

bool read_header(JpegReader& r, const uint8_t* bytes, unsigned long size) {
  if (setjmp(r.jump)) return false;
  jpeg_create_decompress(&r.jpeg);
  r.jpeg.client_data = &r;
  jpeg_mem_src(&r.jpeg, bytes, size);
  jpeg_save_markers(&r.jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&r.jpeg, TRUE);
  if (r.jpeg.jpeg_color_space == JCS_CMYK || r.jpeg.jpeg_color_space == JCS_YCCK)
    r.jpeg.out_color_space = JCS_CMYK;
  else
    r.jpeg.out_color_space = r.jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  return true;
}

bool read_rows(JpegReader& r, uint8_t* out) {
  if (setjmp(r.jump)) return false;
  r.progress.progress_monitor = on_progress;
  r.jpeg.progress = &r.progress;
  jpeg_start_decompress(&r.jpeg);
  const size_t step = size_t{r.jpeg.output_width} * static_cast<size_t>(r.jpeg.output_components);
  while (r.jpeg.output_scanline < r.jpeg.output_height) {
    JSAMPROW row = out + r.jpeg.output_scanline * step;
    jpeg_read_scanlines(&r.jpeg, &row, 1);
  }
  return true;
}

/// The orientation tag (0x0112) of the first EXIF directory; 1 if there is none or it is damaged.
int exif_orientation(std::span<const uint8_t> b) {
  if (b.size() < 14 || std::memcmp(b.data(), "Exif\0\0", 6) != 0) return 1;
  b = b.subspan(6);
  const bool little = b[0] == 'I';
  const auto number = [&](size_t at, size_t n) -> uint32_t {
    if (at > b.size() || n > b.size() - at) return 0;
    uint32_t v = 0;
    for (size_t i = 0; i < n; ++i) v = v << 8 | b[at + (little ? n - 1 - i : i)];
    return v;
  };
  const size_t directory = number(4, 4);
  const uint32_t entries = number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i)
    if (const size_t at = directory + 2 + size_t{12} * i; number(at, 2) == 0x0112) {
      const uint32_t value = number(at + 8, 2);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  return 1;
}

/// Adobe writes CMYK inverted: 255 is no ink.
Image from_cmyk(int width, int height, std::span<const uint8_t> cmyk, bool inverted) {
  Image image(width, height, 3);
  for (size_t i = 0; i < image.pixels.size() / 3; ++i)
    for (size_t c = 0; c < 3; ++c) {
      const float ink = cmyk[4 * i + c] / 255.0f, black = cmyk[4 * i + 3] / 255.0f;
      image.pixels[3 * i + c] = inverted ? ink * black : (1 - ink) * (1 - black);
    }
  return image;
}

}  // namespace

Image decode_jpeg(const Source& source) {
  JpegReader r;
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.jpeg.client_data = &r;
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  if (!read_header(r, source.bytes.data(), source.bytes.size())) source.damaged("JPEG", r.message);
  source.check_size(r.jpeg.image_width, r.jpeg.image_height);
  // A block of 8x8 takes at least one bit of some component, sampled at most 4x4 times coarser.
  source.check_bytes(uint64_t{r.jpeg.image_width} * r.jpeg.image_height,
                     source.bytes.size() * 8 * 64 * 16);
  const int width = static_cast<int>(r.jpeg.image_width);
  const int height = static_cast<int>(r.jpeg.image_height);
  const int components = r.jpeg.out_color_space == JCS_CMYK        ? 4
                         : r.jpeg.out_color_space == JCS_GRAYSCALE ? 1
                                                                   : 3;
  Bytes raw(static_cast<size_t>(width) * static_cast<size_t>(height) *
            static_cast<size_t>(components));
  if (!read_rows(r, raw.data())) source.damaged("JPEG", r.message);
  if (r.truncated) source.damaged("JPEG", "the file is truncated");
  Image image = components == 4 ? from_cmyk(width, height, raw, r.jpeg.saw_Adobe_marker)
                                : from_u8(width, height, components, raw);
  for (auto* m = r.jpeg.marker_list; m; m = m->next)
    if (const int o = exif_orientation({m->data, m->data_length}); o != 1)
      return upright(std::move(image), o);
  return image;
}

}  // namespace nacre::data
