// Drawing into pictures.
#include <algorithm>
#include <cmath>

#include "nacre/error.h"
#include "nacre/vision.h"

namespace nacre {
namespace {

struct Glyph {
  char letter;
  const char* rows;  ///< 7 rows of 5 pixels
};
constexpr Glyph kGlyphs[] = {
    {'!', "..#.. ..#.. ..#.. ..#.. ..#.. ..... ..#.."},
    {'"', ".#.#. .#.#. .#.#. ..... ..... ..... ....."},
    {'#', ".#.#. .#.#. ##### .#.#. ##### .#.#. .#.#."},
    {'$', "..#.. .#### #.#.. .###. ..#.# ####. ..#.."},
    {'%', "##..# ##..# ...#. ..#.. .#... #..## #..##"},
    {'&', ".##.. #..#. #.#.. .#... #.#.# #..#. .##.#"},
    {'\'', "..#.. ..#.. .#... ..... ..... ..... ....."},
    {'(', "...#. ..#.. .#... .#... .#... ..#.. ...#."},
    {')', ".#... ..#.. ...#. ...#. ...#. ..#.. .#..."},
    {'*', "..... #.#.# .###. ##### .###. #.#.# ....."},
    {'+', "..... ..#.. ..#.. ##### ..#.. ..#.. ....."},
    {',', "..... ..... ..... ..... .##.. ..#.. .#..."},
    {'-', "..... ..... ..... .###. ..... ..... ....."},
    {'.', "..... ..... ..... ..... ..... .##.. .##.."},
    {'/', "....# ....# ...#. ..#.. .#... #.... #...."},
    {'0', ".###. #...# #..## #.#.# ##..# #...# .###."},
    {'1', "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###."},
    {'2', ".###. #...# ....# ..##. .#... #.... #####"},
    {'3', "####. ....# ....# .###. ....# ....# ####."},
    {'4', "...#. ..##. .#.#. #..#. ##### ...#. ...#."},
    {'5', "##### #.... ####. ....# ....# #...# .###."},
    {'6', ".###. #.... #.... ####. #...# #...# .###."},
    {'7', "##### ....# ...#. ..#.. ..#.. .#... .#..."},
    {'8', ".###. #...# #...# .###. #...# #...# .###."},
    {'9', ".###. #...# #...# .#### ....# ....# .###."},
    {':', "..... .##.. .##.. ..... .##.. .##.. ....."},
    {';', "..... .##.. .##.. ..... .##.. ..#.. .#..."},
    {'<', "...#. ..#.. .#... #.... .#... ..#.. ...#."},
    {'=', "..... ..... ##### ..... ##### ..... ....."},
    {'>', ".#... ..#.. ...#. ....# ...#. ..#.. .#..."},
    {'?', ".###. #...# ....# ..##. ..#.. ..... ..#.."},
    {'@', ".###. #...# #.### #.#.# #.##. #.... .###."},
    {'A', ".###. #...# #...# ##### #...# #...# #...#"},
    {'B', "####. #...# #...# ####. #...# #...# ####."},
    {'C', ".#### #.... #.... #.... #.... #.... .####"},
    {'D', "####. #...# #...# #...# #...# #...# ####."},
    {'E', "##### #.... #.... ####. #.... #.... #####"},
    {'F', "##### #.... #.... ####. #.... #.... #...."},
    {'G', ".#### #.... #.... #.### #...# #...# .####"},
    {'H', "#...# #...# #...# ##### #...# #...# #...#"},
    {'I', ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###."},
    {'J', "..### ...#. ...#. ...#. ...#. #..#. .##.."},
    {'K', "#...# #..#. #.#.. ##... #.#.. #..#. #...#"},
    {'L', "#.... #.... #.... #.... #.... #.... #####"},
    {'M', "#...# ##.## #.#.# #.#.# #...# #...# #...#"},
    {'N', "#...# ##..# ##..# #.#.# #..## #..## #...#"},
    {'O', ".###. #...# #...# #...# #...# #...# .###."},
    {'P', "####. #...# #...# ####. #.... #.... #...."},
    {'Q', ".###. #...# #...# #...# #.#.# #..#. .##.#"},
    {'R', "####. #...# #...# ####. #.#.. #..#. #...#"},
    {'S', ".#### #.... #.... .###. ....# ....# ####."},
    {'T', "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#.."},
    {'U', "#...# #...# #...# #...# #...# #...# .###."},
    {'V', "#...# #...# #...# #...# .#.#. .#.#. ..#.."},
    {'W', "#...# #...# #...# #.#.# #.#.# ##.## #...#"},
    {'X', "#...# #...# .#.#. ..#.. .#.#. #...# #...#"},
    {'Y', "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#.."},
    {'Z', "##### ....# ...#. ..#.. .#... #.... #####"},
    {'[', ".###. .#... .#... .#... .#... .#... .###."},
    {'\\', "#.... #.... .#... ..#.. ...#. ....# ....#"},
    {']', ".###. ...#. ...#. ...#. ...#. ...#. .###."},
    {'^', "..#.. .#.#. #...# ..... ..... ..... ....."},
    {'_', "..... ..... ..... ..... ..... ..... #####"},
    {'`', ".#... ..#.. ..... ..... ..... ..... ....."},
    {'{', "...## ..#.. ..#.. .#... ..#.. ..#.. ...##"},
    {'|', "..#.. ..#.. ..#.. ..#.. ..#.. ..#.. ..#.."},
    {'}', "##... ..#.. ..#.. ...#. ..#.. ..#.. ##..."},
    {'~', "..... ..... .#... #.#.# ...#. ..... ....."},
};
constexpr const char* kBox = "##### #...# #...# #...# #...# #...# #####";
constexpr int kGlyphWidth = 5, kGlyphHeight = 7;

class Pen {
 public:
  Pen(Image& image, const Colour& colour) : image_(image), colour_(colour) {
    if (image.channels >= 3) return;
    colour_[0] = 0.299f * colour[0] + 0.587f * colour[1] + 0.114f * colour[2];
    colour_[1] = colour[3];
  }
  /// Pixels of the window for which inside(x, y) holds, as far as they are in the picture.
  template <typename F>
  void fill(int64_t x0, int64_t y0, int64_t x1, int64_t y1, F inside) {
    x0 = std::max<int64_t>(0, x0), x1 = std::min<int64_t>(image_.width, x1);
    y0 = std::max<int64_t>(0, y0), y1 = std::min<int64_t>(image_.height, y1);
    for (int64_t y = y0; y < y1; ++y)
      for (int64_t x = x0; x < x1; ++x)
        if (inside(x, y))
          std::copy_n(colour_.begin(), image_.channels,
                      &image_.pixels[image_.offset(static_cast<int>(x), static_cast<int>(y))]);
  }

 private:
  Image& image_;
  Colour colour_;
};

void check_thickness(double thickness, double least, const char* what) {
  if (!(thickness >= least && thickness <= 1e6))
    fail(Error::Kind::usage,
         {"[", what, "] the thickness is from ", least, " to 1e6, not ", thickness});
}

}  // namespace

void draw_line(Image& image, int x0, int y0, int x1, int y1, const Colour& colour,
               double thickness) {
  check_thickness(thickness, 1, "draw_line");
  const double dx = static_cast<double>(x1) - x0, dy = static_cast<double>(y1) - y0,
               square = dx * dx + dy * dy;
  const auto reach = thickness == 1 ? 0 : static_cast<int64_t>(std::ceil(thickness / 2));
  Pen(image, colour)
      .fill(std::min(x0, x1) - reach, std::min(y0, y1) - reach, std::max(x0, x1) + reach + 1,
            std::max(y0, y1) + reach + 1, [&](int64_t x, int64_t y) {
              const double px = static_cast<double>(x) - x0, py = static_cast<double>(y) - y0;
              if (thickness == 1) {  // the nearest pixel in each column or row
                const bool flat = std::abs(dx) >= std::abs(dy);
                const double slope = flat ? (dx != 0 ? dy / dx : 0) : dx / dy;
                return flat ? py == std::round(px * slope) : px == std::round(py * slope);
              }
              const double along =
                  square > 0 ? std::clamp((px * dx + py * dy) / square, 0.0, 1.0) : 0;
              return std::hypot(px - along * dx, py - along * dy) <= thickness / 2;
            });
}

void draw_rectangle(Image& image, int x, int y, int width, int height, const Colour& colour,
                    int thickness) {
  check_thickness(thickness, 0, "draw_rectangle");
  if (width < 0 || height < 0)
    fail(Error::Kind::shape, {"[draw_rectangle] a size of ", width, "x", height, " is negative"});
  const int64_t x1 = int64_t{x} + width, y1 = int64_t{y} + height;
  Pen(image, colour).fill(x, y, x1, y1, [&](int64_t u, int64_t v) {
    const int64_t edge = std::min(std::min(u - x, x1 - 1 - u), std::min(v - y, y1 - 1 - v));
    return thickness == 0 || edge < thickness;
  });
}

void draw_circle(Image& image, int x, int y, int radius, const Colour& colour, double thickness) {
  check_thickness(thickness, 0, "draw_circle");
  if (radius < 0) fail(Error::Kind::shape, {"[draw_circle] the radius ", radius, " is negative"});
  const int64_t reach = radius;
  Pen(image, colour)
      .fill(x - reach, y - reach, x + reach + 1, y + reach + 1, [&](int64_t u, int64_t v) {
        const double far = std::hypot(static_cast<double>(u) - x, static_cast<double>(v) - y);
        return far <= radius && (thickness == 0 || far > radius - thickness);
      });
}

void draw_text(Image& image, int x, int y, std::string_view text, const Colour& colour, int scale) {
  if (scale < 1 || scale > 1000)
    fail(Error::Kind::usage, {"[draw_text] the scale is from 1 to 1000, not ", scale});
  Pen pen(image, colour);
  int64_t left = x, top = y;
  for (char c : text) {
    if (c == '\n') {
      left = x;
      top += int64_t{kGlyphHeight + 1} * scale;
      continue;
    }
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const auto* glyph = std::find_if(std::begin(kGlyphs), std::end(kGlyphs),
                                     [c](const Glyph& g) { return g.letter == c; });
    const char* rows = glyph == std::end(kGlyphs) ? kBox : glyph->rows;
    if (c != ' ')
      pen.fill(left, top, left + int64_t{kGlyphWidth} * scale, top + int64_t{kGlyphHeight} * scale,
               [&](int64_t u, int64_t v) {
                 return rows[(v - top) / scale * (kGlyphWidth + 1) + (u - left) / scale] == '#';
               });
    left += int64_t{kGlyphWidth + 1} * scale;
  }
}

}  // namespace nacre
