// Values taken one after the other from the bytes of a file.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace nacre {

/// A base of readers, which have a function ends_early() that throws.
template <typename Reader>
class ByteCursor {
 protected:
  explicit ByteCursor(std::string_view all) : all_(all) {}

  std::string_view take(uint64_t n) {
    if (at_ > all_.size() || n > all_.size() - at_) static_cast<const Reader*>(this)->ends_early();
    const auto piece = all_.substr(at_, n);
    at_ += n;
    return piece;
  }
  /// In the machine's byte order.
  template <typename T>
  T get() {
    T v;
    std::memcpy(&v, take(sizeof(T)).data(), sizeof(T));
    return v;
  }
  uint64_t left() const { return all_.size() - at_; }

  std::string_view all_;
  size_t at_ = 0;
};

}  // namespace nacre
