#include "data/bytes.h"

#include "nacre/error.h"

namespace nacre::data {

void ByteReader::seek(size_t pos) {
  if (pos > bytes_.size())
    fail(Error::Kind::data, {name_, ": points at byte ", static_cast<unsigned long>(pos), " of ",
                             static_cast<unsigned long>(bytes_.size())});
  pos_ = pos;
}

std::span<const uint8_t> ByteReader::take(size_t n) {
  if (n > left())
    fail(Error::Kind::data,
         {name_, ": is truncated: needs ", static_cast<unsigned long>(n), " bytes at ",
          static_cast<unsigned long>(pos_), ", has ", static_cast<unsigned long>(left())});
  const auto piece = bytes_.subspan(pos_, n);
  pos_ += n;
  return piece;
}

uint16_t ByteReader::le16() {
  const auto b = take(2);
  return static_cast<uint16_t>(b[0] | b[1] << 8);
}
uint32_t ByteReader::le32() {
  const uint32_t low = le16();
  return low | static_cast<uint32_t>(le16()) << 16;
}
uint16_t ByteReader::be16() {
  const auto b = take(2);
  return static_cast<uint16_t>(b[0] << 8 | b[1]);
}
uint32_t ByteReader::be32() {
  const uint32_t high = be16();
  return high << 16 | be16();
}

}  // namespace nacre::data
