#include "base/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "base/file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr size_t kPiece = size_t{1} << 30;   // zlib counts in 32 bits
constexpr size_t kAtOnce = size_t{1} << 24;  // unpacked without looking ahead

/// Feeds the next piece of the input.
void feed(z_stream& z, std::string_view& rest) {
  const size_t n = std::min(rest.size(), kPiece);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
  z.avail_in = static_cast<uInt>(n);
  rest.remove_prefix(n);
}

struct Inflater {
  z_stream z{};
  explicit Inflater(int window_bits) {
    if (inflateInit2(&z, window_bits) != Z_OK)
      fail(Error::Kind::memory, {"no memory to unpack compressed data"});
  }
  ~Inflater() { inflateEnd(&z); }
};

[[noreturn]] void too_large(std::string_view what, uint64_t cap) {
  fail(Error::Kind::data, {what, " unpacks to more than the limit of ", cap, " bytes"});
}

/// Bytes that the data unpack to, or cap + 1; what is damaged ends the count.
uint64_t count_unpacked(std::string_view packed, uint64_t cap, int window_bits) {
  Inflater inflater(window_bits);
  z_stream& z = inflater.z;
  std::string buffer(1 << 16, '\0');
  uint64_t used = 0;
  while (used <= cap) {
    if (z.avail_in == 0 && !packed.empty()) feed(z, packed);
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(buffer.size());
    const int status = inflate(&z, Z_NO_FLUSH);
    const uint64_t given = buffer.size() - z.avail_out;
    used += given;
    if (status == Z_STREAM_END) {
      if (window_bits <= 15 || z.avail_in == 0 || *z.next_in != 0x1f) return used;
      inflateReset(&z);
    } else if (status != Z_OK || (given == 0 && z.avail_in == 0 && packed.empty())) {
      return used;
    }
  }
  return cap + 1;
}

std::string unpack(std::string_view packed, uint64_t cap, int window_bits, std::string_view what) {
  const std::string_view whole = packed;
  bool counted = window_bits < 0;  // of an entry of a zip file the size is known
  Inflater inflater(window_bits);
  z_stream& z = inflater.z;
  std::string out;
  size_t used = 0;
  bool ended = false;
  while (!ended) {
    if (z.avail_in == 0 && !packed.empty()) feed(z, packed);
    if (used == out.size()) {
      if (used > cap) too_large(what, cap);
      // Room grows with what was unpacked, up to one byte beyond the cap, which shows the excess.
      uint64_t bigger = std::max<uint64_t>(65536, 2 * uint64_t{out.size()});
      if (used >= kAtOnce && !counted) {
        // What is too large is found before memory is taken for it.
        bigger = count_unpacked(whole, cap, window_bits) + 1;
        if (bigger > cap + 1) too_large(what, cap);
        counted = true;
      }
      out.resize(static_cast<size_t>(cap < bigger ? cap + 1 : bigger));
    }
    const size_t room = std::min(out.size() - used, kPiece);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&z, Z_NO_FLUSH);
    used += room - z.avail_out;
    const bool more = z.avail_in > 0 || !packed.empty();
    if (status == Z_STREAM_END) {
      // Another member may follow in gzip files; other bytes after the end are padding.
      if (window_bits > 15 && z.avail_in > 0 && *z.next_in == 0x1f) {
        inflateReset(&z);
      } else {
        ended = true;
      }
    } else if (status != Z_OK && !(status == Z_BUF_ERROR && more)) {
      fail(Error::Kind::data,
           {what, status == Z_BUF_ERROR ? " ends in the middle of compressed data"
                                        : " holds damaged compressed data"});
    } else if (!more && z.avail_out > 0) {
      fail(Error::Kind::data, {what, " ends in the middle of compressed data"});
    }
  }
  if (used > cap) too_large(what, cap);
  out.resize(used);
  return out;
}

std::string pack(std::string_view bytes, int window_bits) {
  z_stream z{};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    fail(Error::Kind::memory, {"no memory to compress ", bytes.size(), " bytes"});
  std::string out;
  std::string buffer(1 << 16, '\0');
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (z.avail_in == 0 && !bytes.empty()) feed(z, bytes);
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(buffer.size());
    status = deflate(&z, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.append(buffer.data(), buffer.size() - z.avail_out);
  }
  deflateEnd(&z);
  return out;
}

}  // namespace

std::string gunzip(std::string_view packed, uint64_t cap, std::string_view what) {
  return unpack(packed, cap, 15 + 32, what);
}

uint64_t most_unpacked(uint64_t packed, uint64_t cap) {
  constexpr uint64_t kRatio = 200, kAnyway = uint64_t{32} << 20;
  return std::min(cap, std::max(kAnyway, packed > cap / kRatio ? cap : packed * kRatio));
}

std::string read_gzip_file(const std::string& path, uint64_t cap) {
  const auto map = MappedFile::open(path);
  if (!map->bytes().starts_with("\x1f\x8b")) return read_file(path, cap);
  return gunzip(map->bytes(), most_unpacked(map->bytes().size(), cap), path);
}

std::string inflate_exact(std::string_view packed, uint64_t size, std::string_view what) {
  std::string out = unpack(packed, size, -15, what);
  if (out.size() != size)
    fail(Error::Kind::data, {what, " unpacks to ", out.size(), " bytes instead of ", size});
  return out;
}

std::string deflate(std::string_view bytes) { return pack(bytes, -15); }
std::string gzip(std::string_view bytes) { return pack(bytes, 15 + 16); }

uint32_t crc32_of(std::string_view bytes, std::string_view more) {
  uLong crc = ::crc32(0, nullptr, 0);
  for (std::string_view rest : {bytes, more})
    while (!rest.empty()) {
      const size_t n = std::min(rest.size(), kPiece);
      crc = ::crc32(crc, reinterpret_cast<const Bytef*>(rest.data()), static_cast<uInt>(n));
      rest.remove_prefix(n);
    }
  return static_cast<uint32_t>(crc);
}

}  // namespace nacre
