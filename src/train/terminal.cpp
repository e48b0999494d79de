#include "train/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

/// The mean of the pixels that fall into one cell of a smaller picture.
int mean_of(std::span<const uint8_t> pixels, int width, int x0, int x1, int y0, int y1) {
  int64_t sum = 0;
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) sum += pixels[static_cast<size_t>(y) * width + x];
  return static_cast<int>(sum / (int64_t{x1 - x0} * (y1 - y0)));
}

std::vector<int> scaled(std::span<const uint8_t> pixels, int width, int height, int to_width,
                        int to_height) {
  std::vector<int> out;
  const auto edge = [](int i, int from, int to) {
    return static_cast<int>(int64_t{i} * from / to);
  };
  for (int y = 0; y < to_height; ++y)
    for (int x = 0; x < to_width; ++x) {
      const int x0 = edge(x, width, to_width), y0 = edge(y, height, to_height);
      const int x1 = std::max(x0 + 1, edge(x + 1, width, to_width));
      const int y1 = std::max(y0 + 1, edge(y + 1, height, to_height));
      out.push_back(mean_of(pixels, width, x0, x1, y0, y1));
    }
  return out;
}

bool looks_like_number(std::string_view s) {
  return !s.empty() && s.find_first_of("0123456789") != s.npos &&
         s.find_first_not_of("0123456789.,+-% eEkMGx") == s.npos;
}

std::string spaces(int n) { return std::string(static_cast<size_t>(std::max(0, n)), ' '); }

}  // namespace

bool terminal_has_colour(int descriptor) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (no_colour && *no_colour) return false;
  return ::isatty(descriptor) && terminal && std::string_view(terminal) != "dumb";
}

std::string draw_grey(std::span<const uint8_t> pixels, int width, int height, int columns,
                      bool colour) {
  if (width < 1 || height < 1 || pixels.size() != static_cast<size_t>(width) * height)
    fail(Error::Kind::usage,
         {"[draw_grey] ", pixels.size(), " pixels are not a picture of ", width, " x ", height});
  const int w = std::min(width, std::max(1, columns));
  const int rows = std::max(1, static_cast<int>(std::lround(double(height) * w / width)));
  std::string out;
  if (colour) {
    const int h = rows + rows % 2;
    const std::vector<int> cells = scaled(pixels, width, height, w, std::max(2, h));
    for (int y = 0; y < h; y += 2) {
      for (int x = 0; x < w; ++x) {
        const int top = cells[static_cast<size_t>(y) * w + x],
                  low = cells[static_cast<size_t>(y + 1) * w + x];
        out += cat({"\x1b[38;2;", top, ";", top, ";", top, "m\x1b[48;2;", low, ";", low, ";", low,
                    "m\u2580"});
      }
      out += "\x1b[0m\n";
    }
    return out;
  }
  // A character is about twice as high as it is wide.
  constexpr std::string_view ramp = " .:-=+*#%@";
  const int h = std::max(1, (rows + 1) / 2);
  const std::vector<int> cells = scaled(pixels, width, height, w, h);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x)
      out += ramp[static_cast<size_t>(cells[static_cast<size_t>(y) * w + x]) * ramp.size() / 256];
    out += '\n';
  }
  return out;
}

TextTable::TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void TextTable::add(std::vector<std::string> row) {
  if (row.size() != rows_[0].size())
    fail(Error::Kind::internal,
         {"a row of ", row.size(), " cells in a table of ", rows_[0].size()});
  rows_.push_back(std::move(row));
}

std::string TextTable::str(int longest) const {
  const size_t columns = rows_[0].size();
  std::vector<std::vector<std::string>> cells = rows_;
  std::vector<int> widths(columns, 0);
  std::vector<char> numeric(columns, rows_.size() > 1);
  for (size_t r = 0; r < cells.size(); ++r)
    for (size_t c = 0; c < columns; ++c) {
      std::string& cell = cells[r][c];
      cell = printable(cell);
      std::replace_if(
          cell.begin(), cell.end(), [](char k) { return k == '\n' || k == '\t'; }, ' ');
      cell = clip(cell, longest);
      widths[c] = std::max(widths[c], display_width(cell));
      if (r > 0 && !cell.empty() && !looks_like_number(cell)) numeric[c] = false;
    }
  std::string out;
  for (size_t r = 0; r < cells.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < columns; ++c) {
      const std::string gap = spaces(widths[c] - display_width(cells[r][c]));
      line += (c ? "  " : "") + (numeric[c] ? gap + cells[r][c] : cells[r][c] + gap);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (r > 0) continue;
    for (size_t c = 0; c < columns; ++c)
      out += (c ? "  " : "") + std::string(static_cast<size_t>(widths[c]), '-');
    out += "\n";
  }
  return out;
}

std::string probability_bars(std::span<const std::pair<std::string, double>> items, int bar_columns,
                             bool utf8) {
  constexpr int kLongestName = 32;
  int widest = 0;
  std::vector<std::string> names;
  for (const auto& item : items) {
    names.push_back(clip(printable(item.first), kLongestName));
    widest = std::max(widest, display_width(names.back()));
  }
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    const double p = std::isnan(items[i].second) ? 0 : std::clamp(items[i].second, 0.0, 1.0);
    const int filled = static_cast<int>(std::lround(p * bar_columns));
    out += names[i] + spaces(widest - display_width(names[i])) + "  ";
    for (int c = 0; c < filled; ++c) out += utf8 ? "\u2588" : "#";
    char number[32];
    std::snprintf(number, sizeof(number), "%6.1f %%", 100 * items[i].second);
    out += spaces(bar_columns - filled) + number + "\n";
  }
  return out;
}

}  // namespace nacre
