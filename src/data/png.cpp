// PNG by libpng. Its errors jump, so functions that call setjmp own nothing.
#include <png.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "data/decode.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

struct PngReader {
  std::span<const uint8_t> bytes;
  size_t pos = 0;
  char message[128] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;
  png_uint_32 width = 0, height = 0;
  int depth = 0, channels = 0;
  size_t row_bytes = 0;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

template <typename State>
void on_error(png_structp png, png_const_charp text) {
  auto& state = *static_cast<State*>(png_get_error_ptr(png));
  std::snprintf(state.message, sizeof(state.message), "%s", text);
  std::longjmp(png_jmpbuf(png), 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t n) {
  auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (n > reader.bytes.size() - reader.pos) png_error(png, "the file is truncated");
  std::memcpy(out, reader.bytes.data() + reader.pos, n);
  reader.pos += n;
}

bool read_header(PngReader& r) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_set_read_fn(r.png, &r, on_read);
  png_set_user_limits(r.png, 0x7fffffff, 0x7fffffff);  // ours are checked afterwards
  png_set_chunk_malloc_max(r.png, 8 << 20);
  png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  png_read_info(r.png, r.info);
  int colour = 0, interlace = 0;
  png_get_IHDR(r.png, r.info, &r.width, &r.height, &r.depth, &colour, &interlace, nullptr, nullptr);
  return true;
}

bool prepare(PngReader& r) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_set_expand(r.png);
  if (r.depth == 16 && std::endian::native == std::endian::little) png_set_swap(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  r.channels = png_get_channels(r.png, r.info);
  r.depth = png_get_bit_depth(r.png, r.info);
  r.row_bytes = png_get_rowbytes(r.png, r.info);
  return true;
}

bool read_rows(PngReader& r, png_bytep* rows) {
  if (setjmp(png_jmpbuf(r.png))) return false;
  png_read_image(r.png, rows);
  png_read_end(r.png, nullptr);
  return true;
}

struct Writer {
  Bytes* out;
  char message[128] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void on_write(png_structp png, png_bytep bytes, size_t n) {
  auto& out = *static_cast<Writer*>(png_get_io_ptr(png))->out;
  out.insert(out.end(), bytes, bytes + n);
}

bool write_rows(Writer& w, const Image& image, int bits, png_bytep* rows) {
  if (setjmp(png_jmpbuf(w.png))) return false;
  constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                             PNG_COLOR_TYPE_RGB_ALPHA};
  png_set_write_fn(w.png, &w, on_write, [](png_structp) {});
  png_set_IHDR(w.png, w.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), bits, colours[image.channels - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w.png, w.info);
  png_write_image(w.png, rows);
  png_write_end(w.png, w.info);
  return true;
}

}  // namespace

Image decode_png(const Source& source) {
  PngReader r{source.bytes};
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error<PngReader>, on_warning);
  if (r.png) r.info = png_create_info_struct(r.png);
  if (!r.info) fail(Error::Kind::memory, {source.name, ": PNG decoder could not start"});
  if (!read_header(r)) source.damaged("PNG", r.message);
  source.check_size(r.width, r.height);
  if (!prepare(r)) source.damaged("PNG", r.message);
  // Deflate packs at most 1032 bytes into one, and expanding a bit makes at most 32.
  source.check_bytes(r.row_bytes * r.height / 32, source.bytes.size() * 1032 + 4096);
  Bytes raw(r.row_bytes * r.height);
  std::vector<png_bytep> rows(r.height);
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = raw.data() + y * r.row_bytes;
  if (!read_rows(r, rows.data())) source.damaged("PNG", r.message);
  const int width = static_cast<int>(r.width), height = static_cast<int>(r.height);
  if (r.depth == 8) return from_u8(width, height, r.channels, raw);
  Image image(width, height, r.channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    uint16_t v;
    std::memcpy(&v, raw.data() + 2 * i, 2);
    image.pixels[i] = static_cast<float>(v) / 65535.0f;
  }
  return image;
}

}  // namespace nacre::data

namespace nacre {

std::vector<uint8_t> encode_png(const Image& image, int bits) {
  if (bits != 8 && bits != 16)
    fail(Error::Kind::usage, {"[encode_png] bits is ", bits, ", must be 8 or 16"});
  if (image.width < 1 || image.height < 1 || image.channels < 1 || image.channels > 4)
    fail(Error::Kind::shape, {"[encode_png] cannot write a picture of ", image.width, "x",
                              image.height, " with ", image.channels, " channels"});
  const size_t step = static_cast<size_t>(bits / 8);
  data::Bytes raw(image.pixels.size() * step);
  const float top = bits == 8 ? 255.0f : 65535.0f;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const float p = image.pixels[i];
    const auto v = static_cast<uint32_t>(p > 0 ? std::min(p, 1.0f) * top + 0.5f : 0);  // NaN: 0
    if (bits == 16) raw[2 * i] = static_cast<uint8_t>(v >> 8);
    raw[step * i + step - 1] = static_cast<uint8_t>(v);
  }
  std::vector<png_bytep> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y)
    rows[y] = raw.data() + image.offset(0, static_cast<int>(y)) * step;
  data::Bytes out;
  data::Writer w{&out};
  w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, data::on_error<data::Writer>,
                                  data::on_warning);
  if (w.png) w.info = png_create_info_struct(w.png);
  if (!w.info) fail(Error::Kind::memory, {"[encode_png] encoder could not start"});
  if (!data::write_rows(w, image, bits, rows.data()))
    fail(Error::Kind::internal, {"[encode_png] ", w.message});
  return out;
}

}  // namespace nacre
