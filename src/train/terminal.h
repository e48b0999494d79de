// Pictures, tables and bars as text for a terminal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nacre {

/// Whether to colour what goes to a stream: it is a terminal, NO_COLOR is not set, TERM is not
/// dumb.
bool terminal_has_colour(int descriptor);

/// A grey picture (row-major, 0 is black, 255 is white), scaled down to at most `columns`
/// characters. With colour two rows share a line (half blocks, 24-bit colour); without, a line is
/// two rows of plain characters from dark to light.
std::string draw_grey(std::span<const uint8_t> pixels, int width, int height, int columns,
                      bool colour);

/// A table whose columns are as wide as their longest cell; columns of numbers stand to the right.
/// Cells are made printable. Every row has as many cells as the header.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header);
  void add(std::vector<std::string> row);
  /// Ends with a newline. Cells longer than `longest` columns are cut.
  std::string str(int longest = 60) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// A line for each (name, probability): name, bar, per cent.
std::string probability_bars(std::span<const std::pair<std::string, double>> items, int bar_columns,
                             bool utf8);

}  // namespace nacre
