// Decompression with a bound on what comes out, and the compression that .npz files use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nacre {

/// Unpacks gzip or zlib data (several members in a row too). Throws Error(data), naming `what`, if
/// it is damaged, cut short, or unpacks to more than `cap` bytes.
std::string gunzip(std::string_view packed, uint64_t cap, std::string_view what);

/// What a file of `packed` bytes is let unpack to, at most `cap`: 200 times its size or 32 MiB.
/// Data do not reach that; bombs reach 1000 times.
uint64_t most_unpacked(uint64_t packed, uint64_t cap);

/// The unpacked content of a .gz file, at most what most_unpacked() lets it be; a file without
/// gzip's first two bytes is returned as it is.
std::string read_gzip_file(const std::string& path, uint64_t cap);

/// Unpacks a raw deflate stream that must give exactly `size` bytes.
std::string inflate_exact(std::string_view packed, uint64_t size, std::string_view what);

/// A raw deflate stream.
std::string deflate(std::string_view bytes);

/// A gzip file of these bytes, without time or name, so that equal input gives equal output.
std::string gzip(std::string_view bytes);

/// CRC-32 of zip and gzip, of two pieces one after the other.
uint32_t crc32_of(std::string_view bytes, std::string_view more = {});

}  // namespace nacre
