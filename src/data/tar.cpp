// Tar archives: blocks of 512 bytes, a header before each file (POSIX ustar; GNU long names; pax).
#include <algorithm>

#include "data/readers.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

constexpr uint64_t kTarBlock = 512;
constexpr uint64_t kMaxName = 1 << 16;

std::string_view text_field(std::string_view field) { return field.substr(0, field.find('\0')); }

/// Octal digits, or base 256 when the first bit is set.
bool number_field(std::string_view field, uint64_t& value) {
  value = 0;
  if (static_cast<uint8_t>(field[0]) & 0x80) {
    for (size_t i = field.size() - 8; i < field.size(); ++i)
      value = value << 8 | static_cast<uint8_t>(field[i]);
    return true;
  }
  for (const char c : field) {
    if (c == ' ' || c == '\0') continue;
    if (c < '0' || c > '7') return false;
    value = value * 8 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

bool checksum_fits(std::string_view header) {
  uint64_t want = 0, sum = 0;
  if (!number_field(header.substr(148, 8), want)) return false;
  for (size_t i = 0; i < kTarBlock; ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<uint8_t>(header[i]);
  return sum == want;
}

/// The path of a pax record list "length path=value\n...".
std::string pax_path(std::string_view records) {
  while (!records.empty()) {
    uint64_t length = 0;
    size_t i = 0;
    while (i < records.size() && records[i] >= '0' && records[i] <= '9' && length < kMaxName)
      length = length * 10 + static_cast<uint64_t>(records[i++] - '0');
    if (length <= i + 1 || length > records.size()) return {};
    const auto record = records.substr(i + 1, length - i - 2);
    if (record.starts_with("path=")) return std::string(record.substr(5));
    records.remove_prefix(length);
  }
  return {};
}

}  // namespace

std::vector<TarEntry> list_tar(std::string_view tar, const std::string& name) {
  std::vector<TarEntry> entries;
  std::string long_name;
  if (tar.size() < kTarBlock)
    fail(Error::Kind::data, {name, ": is not a tar file: it has ", tar.size(), " bytes"});
  for (uint64_t pos = 0; pos + kTarBlock <= tar.size();) {
    const auto header = tar.substr(pos, kTarBlock);
    if (header.find_first_not_of('\0') == header.npos) return entries;
    uint64_t length = 0;
    if (!checksum_fits(header) || !number_field(header.substr(124, 12), length))
      fail(Error::Kind::data,
           {name, ": is not a tar file, or damaged, at byte ", static_cast<unsigned long>(pos)});
    pos += kTarBlock;
    if (length > tar.size() - pos)
      fail(Error::Kind::data,
           {name, ": is truncated: an entry of ", static_cast<unsigned long>(length), " bytes at ",
            static_cast<unsigned long>(pos), ", there are ",
            static_cast<unsigned long>(tar.size() - pos)});
    const char kind = header[156];
    if (kind == 'L' && length <= kMaxName) {
      long_name = text_field(tar.substr(pos, length));
    } else if (kind == 'x' && length <= kMaxName) {
      long_name = pax_path(tar.substr(pos, length));
    } else {
      if (kind == '0' || kind == '\0') {
        std::string path = long_name;
        if (path.empty()) {
          const auto prefix = header.substr(257, 5) == "ustar" ? text_field(header.substr(345, 155))
                                                               : std::string_view();
          path = cat({prefix, prefix.empty() ? "" : "/", text_field(header.substr(0, 100))});
        }
        entries.push_back({path, tar.substr(pos, length)});
      }
      long_name.clear();
    }
    pos += std::min<uint64_t>((length + kTarBlock - 1) / kTarBlock * kTarBlock, tar.size() - pos);
  }
  return entries;
}

}  // namespace nacre::data
