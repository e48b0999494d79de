// The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding): a message
// is a list of (field number, value).
//
//   for (WireReader r(bytes, "model.onnx"); r.next();)
//     if (r.field() == 7) read_graph(r.bytes());
//
// Nothing is copied: bytes() points into the message. Lengths are checked against the bytes that
// exist; whatever is malformed throws Error(data).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

class WireReader {
 public:
  /// `what` names the file in messages and has to outlive the reader.
  WireReader(std::string_view message, std::string_view what) : rest_(message), what_(what) {}

  /// Reads the next field; false at the end of the message.
  bool next();
  uint32_t field() const { return field_; }
  /// Whether bytes() has a value: text or a message.
  bool is_message() const { return type_ == kBytes; }

  // The value of the field; throw if it is of another wire type.
  uint64_t natural() const;
  int64_t integer() const { return static_cast<int64_t>(natural()); }
  float real() const;
  double real64() const;
  std::string_view bytes() const;
  /// Bytes that the value takes in the message.
  size_t wire_size() const { return type_ == kVarint ? 1 : bytes_.size(); }

  // Repeated numbers, which stand alone or packed into one field: calls f for each.
  template <typename F>
  void integers(F f) const {
    if (type_ != kBytes) return f(integer());
    for (std::string_view rest = bytes_; !rest.empty();) f(static_cast<int64_t>(varint(rest)));
  }
  void reals(std::vector<float>& out) const;
  void reals64(std::vector<double>& out) const;

 private:
  static constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
  [[noreturn]] void broken(const char* why) const;
  uint64_t varint(std::string_view& from) const;
  std::string_view take(uint64_t n);

  std::string_view rest_, what_, bytes_;
  uint32_t field_ = 0, type_ = 0;
  uint64_t number_ = 0;
};

/// Builds a message.
class WireWriter {
 public:
  void integer(uint32_t field, int64_t v);
  void real(uint32_t field, float v);
  void real64(uint32_t field, double v);
  void bytes(uint32_t field, std::string_view v);
  void message(uint32_t field, const WireWriter& m) { bytes(field, m.out_); }
  void integers(uint32_t field, const std::vector<int64_t>& v);
  void reals(uint32_t field, const std::vector<float>& v);
  void reals64(uint32_t field, const std::vector<double>& v);
  const std::string& str() const { return out_; }

 private:
  void varint(uint64_t v);
  std::string out_;
};

}  // namespace nacre
