// One self-contained HTML page of pictures, tables and curves, in the style of training reports.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nacre/image.h"
#include "train/svg_chart.h"

namespace nacre::explain {

/// All texts are plain text.
struct Page {
  struct Figure {
    std::string png;            ///< an encoded picture
    std::string caption, note;  ///< a name, and a sentence below it
    bool warn = false;          ///< the note is a warning
  };
  struct Section {
    std::string title{}, text{};
    std::vector<Figure> figures{};
    std::vector<std::string> columns{};  ///< of the table
    bool numbers = false;                ///< all columns but the first hold numbers
    std::vector<std::vector<std::string>> rows{};
    std::vector<Chart> charts{};
  };
  std::string title{}, subtitle{};
  std::vector<std::pair<std::string, std::string>> tiles{};  ///< label and value
  std::vector<std::string> warnings{};
  std::vector<Section> sections{};
};

std::string render_page(const Page& page);

/// encode_png as a string.
std::string png_bytes(const Image& image);

}  // namespace nacre::explain
