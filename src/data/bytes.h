// Byte buffers for the readers of data: every access is checked.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nacre::data {

using Bytes = std::vector<uint8_t>;

/// The bytes of a string, as decoders take them.
inline std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// Reads numbers one after another; throws Error (data) past the end.
class ByteReader {
 public:
  ByteReader(std::span<const uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {}
  size_t position() const { return pos_; }
  size_t left() const { return bytes_.size() - pos_; }
  void seek(size_t pos);
  void skip(size_t n) { take(n); }
  std::span<const uint8_t> take(size_t n);
  uint8_t u8() { return take(1)[0]; }
  uint16_t le16();
  uint32_t le32();
  uint16_t be16();
  uint32_t be32();

 private:
  std::span<const uint8_t> bytes_;
  std::string_view name_;
  size_t pos_ = 0;
};

}  // namespace nacre::data
