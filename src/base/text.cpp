#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "nacre/error.h"

namespace nacre {
namespace {

template <typename... Args>
std::string print(const char* format, Args... args) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), format, args...);
  return buffer;
}

std::string scaled(double n, std::initializer_list<const char*> units, const char* gap) {
  auto unit = units.begin();
  // 999.5 would print as "1000".
  while (std::abs(n) >= 999.5 && unit + 1 != units.end()) n /= 1000, ++unit;
  const bool whole = unit == units.begin() || std::abs(n) >= 99.95;
  return print(whole ? "%.0f" : "%.1f", n) + (**unit ? gap : "") + *unit;
}

bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
         (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
         (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
         (c >= 0x20000 && c <= 0x3fffd);
}

bool is_zero_width(char32_t c) {
  return (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f);
}

int width_of(char32_t c) { return is_zero_width(c) ? 0 : is_wide(c) ? 2 : 1; }

}  // namespace

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e10) return "?";
  if (seconds < 9.95) return print("%.1fs", seconds);
  const auto s = static_cast<long long>(std::llround(seconds));
  if (s < 60) return print("%llds", s);
  if (s < 3600) return print("%lldm%02llds", s / 60, s % 60);
  if (s < 86400) return print("%lldh%02lldm", s / 3600, s / 60 % 60);
  return print("%lldd%02lldh", s / 86400, s / 3600 % 24);
}

std::string format_bytes(uint64_t bytes) {
  return scaled(static_cast<double>(bytes), {"B", "KB", "MB", "GB", "TB", "PB"}, " ");
}

uint64_t parse_bytes(const std::string& what, const std::string& text) {
  double value = -1;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end.ptr, text.data() + text.size());
  while (unit.starts_with(' ')) unit.erase(0, 1);
  for (const auto& [name, factor] :
       {std::pair("", 1.0), {"B", 1.0}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}})
    if (end.ec == std::errc() && unit == name && value >= 0 && value * factor < 1e18)
      return static_cast<uint64_t>(value * factor);
  fail(Error::Kind::usage,
       {what, " should be a number of B, KB, MB or GB, like 5MB, got '", text, "'"});
}

std::string format_count(double n) {
  if (!std::isfinite(n)) return "?";
  if (std::abs(n) < 100 && n != std::floor(n)) return print("%.1f", n);
  return scaled(n, {"", "k", "M", "G", "T"}, "");
}

std::string format_number(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return print("%.*g", digits, value);
}

char32_t next_character(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at++);
  if (first < 0x80) return first;
  const size_t more = first >= 0xf0 && first < 0xf5   ? 3
                      : first >= 0xe0 && first < 0xf0 ? 2
                      : first >= 0xc2 && first < 0xe0 ? 1
                                                      : 0;
  if (more == 0 || at + more > text.size()) return 0xfffd;
  char32_t c = first & (0x3fu >> more);
  for (size_t i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0xfffd;
    c = (c << 6) | (byte(at + i) & 0x3fu);
  }
  constexpr char32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0xfffd;
  at += more;
  return c;
}

size_t find_broken_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (next_character(text, at) == 0xfffd && text.substr(start, 3) != "\xef\xbf\xbd") return start;
  }
  return std::string_view::npos;
}

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) width += width_of(next_character(text, at));
  return width;
}

std::string clip(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns <= 3) return std::string(static_cast<size_t>(std::max(0, columns)), '.');
  int width = 0;
  size_t at = 0, end = 0;
  while (at < text.size()) {
    width += width_of(next_character(text, at));
    if (width > columns - 3) break;
    end = at;
  }
  return std::string(text.substr(0, end)) + "...";
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = next_character(text, at);
    // Direction overrides (U+202A to U+202E, U+2066 to U+2069) reorder what is shown.
    const bool steers = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) ||
                        (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    if (steers || c == 0xfffd)
      out += "?";
    else
      out += text.substr(start, at - start);
  }
  return out;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (char c : printable(text)) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < n; ++k)
      v |= uint32_t{static_cast<unsigned char>(bytes[i + k])} << (16 - 8 * k);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace nacre
