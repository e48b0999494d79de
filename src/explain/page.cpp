#include "explain/page.h"

#include "base/text.h"
#include "nacre/error.h"
#include "train/report_style.h"

namespace nacre::explain {
namespace {

constexpr const char* kStyle = R"css(
.maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:16px}
.map{border:1px solid var(--line);border-radius:10px;overflow:hidden;font-size:13px}
.map img{display:block;width:100%;background:var(--bg);image-rendering:pixelated}
.map>div{padding:8px 12px}
.map .bad{color:var(--warn)}
.list.numbers th+th,.list.numbers td+td{text-align:right}
)css";

std::string figure(const Page::Figure& f) {
  std::string out = cat({"<div class=\"map\"><img alt=\"", html_escape(f.caption),
                         "\" src=\"data:image/png;base64,", base64(f.png), "\"><div><b>",
                         html_escape(f.caption), "</b>"});
  if (!f.note.empty())
    out += cat({"<div class=\"", f.warn ? "bad" : "muted", "\">", html_escape(f.note), "</div>"});
  return out + "</div></div>";
}

std::string table(const Page::Section& s) {
  std::string head, rows;
  for (const std::string& c : s.columns) head += "<th>" + html_escape(c) + "</th>";
  for (const auto& row : s.rows) {
    rows += "<tr>";
    for (const std::string& cell : row) rows += "<td>" + html_escape(cell) + "</td>";
    rows += "</tr>";
  }
  return "<div class=\"scroll\"><table class=\"list" + std::string(s.numbers ? " numbers" : "") +
         "\"><thead><tr>" + head + "</tr></thead><tbody>" + rows + "</tbody></table></div>";
}

}  // namespace

std::string png_bytes(const Image& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  return {bytes.begin(), bytes.end()};
}

std::string render_page(const Page& p) {
  std::string out =
      cat({"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n<title>",
           html_escape(p.title), "</title><style>", kReportStyle, kStyle,
           "</style></head>\n<body><main>\n<header><h1>", html_escape(p.title), "</h1>"});
  if (!p.subtitle.empty()) out += "<div class=\"sub\">" + html_escape(p.subtitle) + "</div>";
  out += "</header>\n";
  for (const std::string& w : p.warnings)
    out += "<p class=\"warning\">" + html_escape(w) + "</p>\n";
  if (!p.tiles.empty()) {
    out += "<div class=\"tiles\">";
    for (const auto& [label, value] : p.tiles)
      out += cat({"<div class=\"tile\"><b>", html_escape(value), "</b><span>", html_escape(label),
                  "</span></div>"});
    out += "</div>\n";
  }
  for (const Page::Section& s : p.sections) {
    out += "<section><h2>" + html_escape(s.title) + "</h2>";
    if (!s.text.empty()) out += "<p class=\"muted\">" + html_escape(s.text) + "</p>";
    if (!s.figures.empty()) {
      out += "<div class=\"maps\">";
      for (const Page::Figure& f : s.figures) out += figure(f);
      out += "</div>";
    }
    if (!s.rows.empty()) out += table(s);
    if (!s.charts.empty()) {
      out += "<div class=\"charts\">";
      for (const Chart& c : s.charts) out += line_chart(c);
      out += "</div>";
    }
    out += "</section>\n";
  }
  return out + "<footer>Made by nacre.</footer>\n</main><script>" + kReportScript +
         "</script></body></html>\n";
}

}  // namespace nacre::explain
