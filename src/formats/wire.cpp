#include "formats/wire.h"

#include <cstring>

#include "nacre/error.h"

namespace nacre {

void WireReader::broken(const char* why) const {
  fail(Error::Kind::data, {what_, " is cut short or damaged: ", why});
}

uint64_t WireReader::varint(std::string_view& from) const {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (from.empty()) broken("it ends within a number");
    const auto b = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    v |= uint64_t{b & 0x7fu} << shift;
    if (b < 0x80) return v;
  }
  broken("a number has more than ten bytes");
}

std::string_view WireReader::take(uint64_t n) {
  if (n > rest_.size()) broken("a field is longer than what is left of its message");
  const std::string_view part = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return part;
}

bool WireReader::next() {
  if (rest_.empty()) return false;
  const uint64_t tag = varint(rest_);
  if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) broken("a field has an impossible number");
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = tag & 7;
  switch (type_) {
    case kVarint:
      number_ = varint(rest_);
      return true;
    case kFixed64:
      bytes_ = take(8);
      return true;
    case kBytes:
      bytes_ = take(varint(rest_));
      return true;
    case kFixed32:
      bytes_ = take(4);
      return true;
    default:
      broken("a field is of a type that does not exist");
  }
}

uint64_t WireReader::natural() const {
  if (type_ != kVarint) broken("a number is stored as something else");
  return number_;
}

float WireReader::real() const {
  if (type_ != kFixed32) broken("a number is stored as something else");
  float v;
  std::memcpy(&v, bytes_.data(), 4);
  return v;
}

double WireReader::real64() const {
  if (type_ != kFixed64) broken("a number is stored as something else");
  double v;
  std::memcpy(&v, bytes_.data(), 8);
  return v;
}

std::string_view WireReader::bytes() const {
  if (type_ != kBytes) broken("text or a message is stored as something else");
  return bytes_;
}

void WireReader::reals(std::vector<float>& out) const {
  if (type_ != kBytes) return out.push_back(real());
  if (bytes_.size() % 4) broken("a list of numbers is cut off");
  const size_t n = out.size();
  out.resize(n + bytes_.size() / 4);
  if (!bytes_.empty()) std::memcpy(out.data() + n, bytes_.data(), bytes_.size());
}

void WireReader::reals64(std::vector<double>& out) const {
  if (type_ != kBytes) return out.push_back(real64());
  if (bytes_.size() % 8) broken("a list of numbers is cut off");
  const size_t n = out.size();
  out.resize(n + bytes_.size() / 8);
  if (!bytes_.empty()) std::memcpy(out.data() + n, bytes_.data(), bytes_.size());
}

void WireWriter::varint(uint64_t v) {
  for (; v >= 0x80; v >>= 7) out_ += static_cast<char>(v | 0x80);
  out_ += static_cast<char>(v);
}

void WireWriter::integer(uint32_t field, int64_t v) {
  varint(uint64_t{field} << 3);
  varint(static_cast<uint64_t>(v));
}

void WireWriter::real(uint32_t field, float v) {
  varint(uint64_t{field} << 3 | 5);
  out_.append(reinterpret_cast<const char*>(&v), 4);
}

void WireWriter::real64(uint32_t field, double v) {
  varint(uint64_t{field} << 3 | 1);
  out_.append(reinterpret_cast<const char*>(&v), 8);
}

void WireWriter::bytes(uint32_t field, std::string_view v) {
  varint(uint64_t{field} << 3 | 2);
  varint(v.size());
  out_ += v;
}

void WireWriter::integers(uint32_t field, const std::vector<int64_t>& v) {
  WireWriter list;
  for (int64_t x : v) list.varint(static_cast<uint64_t>(x));
  bytes(field, list.out_);
}

void WireWriter::reals(uint32_t field, const std::vector<float>& v) {
  bytes(field, {reinterpret_cast<const char*>(v.data()), v.size() * 4});
}

void WireWriter::reals64(uint32_t field, const std::vector<double>& v) {
  bytes(field, {reinterpret_cast<const char*>(v.data()), v.size() * 8});
}

}  // namespace nacre
