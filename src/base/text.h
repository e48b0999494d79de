// Numbers and strings for people to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nacre {

/// "0.4s", "12s", "3m05s", "1h02m", "2d03h".
std::string format_duration(double seconds);

/// "812 B", "1.4 KB", "3.1 GB" (steps of 1000).
std::string format_bytes(uint64_t bytes);

/// The other way round: "500KB", "1.5 GB", "2000000". Throws Error(usage), which names `what`.
uint64_t parse_bytes(const std::string& what, const std::string& text);

/// "950", "12.4k", "3.1M".
std::string format_count(double n);

/// A number with at most `digits` significant ones, without needless zeros.
std::string format_number(double value, int digits = 4);

/// Columns that UTF-8 text takes on a terminal; wide (East Asian) characters take two.
int display_width(std::string_view text);

/// The text cut to `columns`, with "..." at the end if something was cut.
std::string clip(std::string_view text, int columns);

/// The text with control characters and broken UTF-8 replaced, so that names from files cannot
/// steer a terminal. Newlines and tabs stay.
std::string printable(std::string_view text);

/// Text with & < > " ' escaped and control characters and broken UTF-8 replaced, for HTML and SVG.
std::string html_escape(std::string_view text);

/// Base64 with padding (RFC 4648).
std::string base64(std::string_view bytes);

/// Where the text stops to be UTF-8; npos if all of it is.
size_t find_broken_utf8(std::string_view text);

/// The next character of UTF-8 text at `at`, which is moved on; 0xFFFD for a broken byte.
char32_t next_character(std::string_view text, size_t& at);

}  // namespace nacre
