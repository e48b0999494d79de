#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

#include "base/file.h"
#include "base/text.h"
#include "nacre/error.h"
#include "train/report_style.h"

namespace nacre {
namespace {

constexpr int64_t kLargestMatrix = 30;

std::string section(const char* title, const std::string& body) {
  return body.empty() ? "" : cat({"<section><h2>", title, "</h2>", body, "</section>\n"});
}

/// 11689512 as "11,689,512".
std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  for (size_t i = s.size(); i > 3 + (n < 0);) s.insert(i -= 3, 1, ',');
  return s;
}

std::string class_name(const RunReport& r, int64_t c) {
  return c < static_cast<int64_t>(r.classes.size()) ? r.classes[static_cast<size_t>(c)]
                                                    : std::to_string(c);
}

std::string tiles(const RunReport& r) {
  std::string out;
  for (const auto& [label, value] : r.headline)
    out += cat({"<div class=\"tile\"><b>", html_escape(value), "</b><span>", html_escape(label),
                "</span></div>"});
  return out.empty() ? "" : "<div class=\"tiles\">" + out + "</div>\n";
}

std::string matrix_table(const RunReport& r) {
  const ConfusionMatrix& m = r.confusion;
  size_t longest = 0;
  std::string head = "<th></th>", rows;
  for (int64_t c = 0; c < m.classes; ++c) {
    longest = std::max(longest, class_name(r, c).size());
    head += "<th><span>" + html_escape(clip(class_name(r, c), 24)) + "</span></th>";
  }
  for (int64_t label = 0; label < m.classes; ++label) {
    int64_t all = 0;
    for (int64_t c = 0; c < m.classes; ++c) all += m.at(label, c);
    rows += "<tr><th>" + html_escape(clip(class_name(r, label), 24)) + "</th>";
    for (int64_t c = 0; c < m.classes; ++c) {
      const int64_t n = m.at(label, c);
      const double share = all ? static_cast<double>(n) / static_cast<double>(all) : 0;
      // Rare mistakes stay visible: the colour follows the square root.
      const int strength =
          static_cast<int>(std::lround(92 * (c == label ? share : std::sqrt(share))));
      rows += cat({"<td class=\"", c == label ? "hit" : "", strength > 55 ? " hi" : "",
                   n ? "" : " zero", "\" style=\"--v:", strength, "\" title=\"",
                   html_escape(class_name(r, label)), " taken for ", html_escape(class_name(r, c)),
                   ": ", n, " of ", all, "\">", n, "</td>"});
    }
    rows += "</tr>";
  }
  return cat(
      {"<p class=\"muted\">Rows are the true class, columns the predicted one.</p><div "
       "class=\"scroll\"><table class=\"matrix",
       longest > 5 || m.classes > 14 ? " tilt" : "", "\"><thead><tr>", head, "</tr></thead><tbody>",
       rows, "</tbody></table></div>"});
}

std::string worst_confusions(const RunReport& r) {
  struct Pair {
    int64_t count, label, predicted;
  };
  std::vector<Pair> pairs;
  for (int64_t a = 0; a < r.confusion.classes; ++a)
    for (int64_t b = 0; b < r.confusion.classes; ++b)
      if (a != b && r.confusion.at(a, b)) pairs.push_back({r.confusion.at(a, b), a, b});
  const size_t shown = std::min<size_t>(30, pairs.size());
  std::partial_sort(pairs.begin(), pairs.begin() + static_cast<ptrdiff_t>(shown), pairs.end(),
                    [](const Pair& x, const Pair& y) {
                      return std::tuple(-x.count, x.label, x.predicted) <
                             std::tuple(-y.count, y.label, y.predicted);
                    });
  std::string rows;
  for (size_t i = 0; i < shown; ++i)
    rows += cat({"<tr><td>", html_escape(class_name(r, pairs[i].label)), "</td><td>",
                 html_escape(class_name(r, pairs[i].predicted)), "</td><td class=\"n\">",
                 pairs[i].count, "</td></tr>"});
  return "<div class=\"scroll\"><table class=\"list\"><thead><tr><th>True</th><th>Predicted</th>"
         "<th class=\"n\">Times</th></tr></thead><tbody>" +
         rows + "</tbody></table></div>";
}

std::string score_cell(double v) {
  return cat({"<td><span class=\"meter\"><i style=\"width:", format_number(100 * v, 3),
              "%\"></i></span>", percent(v, 1), "</td>"});
}

std::string score_row(const std::string& name, const ClassScore& s, const char* style) {
  return cat({"<tr", style, "><td>", html_escape(name), "</td>", score_cell(s.precision),
              score_cell(s.recall), score_cell(s.f1), "<td class=\"n\">", grouped(s.support),
              "</td></tr>"});
}

std::string class_table(const RunReport& r) {
  const ClassificationReport scores = classification_report(r.confusion);
  std::string rows;
  for (size_t c = 0; c < scores.classes.size(); ++c)
    rows += score_row(class_name(r, static_cast<int64_t>(c)), scores.classes[c], "");
  rows += score_row("Mean over classes", scores.macro, " class=\"all\"");
  return "<div class=\"scroll\"><table class=\"list\"><thead><tr><th>Class</th><th>Precision</th>"
         "<th>Recall</th><th>F1</th><th class=\"n\">Samples</th></tr></thead><tbody>" +
         rows + "</tbody></table></div>";
}

/// Small pictures are shown with sharp pixels. The width stands in bytes 16 to 19 of a PNG.
bool is_tiny(const std::string& png) {
  return png.size() > 24 && png[16] == 0 && png[17] == 0 && png[18] == 0 &&
         static_cast<unsigned char>(png[19]) <= 96;
}

std::string picture(const std::string& png, const char* alt) {
  if (png.empty()) return "";
  return cat({"<img class=\"", is_tiny(png) ? "tiny" : "", "\" alt=\"", alt,
              "\" src=\"data:image/png;base64,", base64(png), "\">"});
}

std::string mistakes(const RunReport& r) {
  std::string out;
  bool reasons = false;
  for (const RunReport::Mistake& m : r.mistakes) {
    out += "<div class=\"mistake\">" + picture(m.png, "") +
           picture(m.reason_png, "where the model looked");
    reasons = reasons || !m.reason_png.empty();
    out += cat({"<div><b>", html_escape(m.predicted), "</b> ", percent(m.probability, 1), "<br>is ",
                html_escape(m.label)});
    if (!m.note.empty()) out += "<div class=\"note\">" + html_escape(clip(m.note, 120)) + "</div>";
    out += "</div></div>";
  }
  if (out.empty()) return out;
  return cat({"<p class=\"muted\">The wrong answers that the model was most sure of.",
              reasons
                  ? " Below each picture: what speaks for its answer in red, against it in blue."
                  : "",
              "</p><div class=\"mistakes\">"}) +
         out + "</div>";
}

std::string layer_table(const RunReport& r) {
  if (r.layers.empty()) return "";
  std::string rows;
  int64_t total = 0;
  for (const RunReport::Layer& l : r.layers) {
    rows += cat({"<tr><td>", html_escape(l.name), "</td><td>", html_escape(l.kind), "</td><td>",
                 html_escape(l.output), "</td><td class=\"n\">",
                 l.parameters ? grouped(l.parameters) : "", "</td></tr>"});
    total += l.parameters;
  }
  return cat({r.model.empty() ? "" : "<p class=\"muted\">" + html_escape(r.model) + "</p>",
              "<div class=\"scroll\"><table class=\"list\"><thead><tr><th>Layer</th><th>Kind</th>"
              "<th>Output</th><th class=\"n\">Parameters</th></tr></thead><tbody>",
              rows, "<tr class=\"all\"><td>All</td><td></td><td></td><td class=\"n\">",
              grouped(total), "</td></tr></tbody></table></div>"});
}

std::string kernels(const RunReport& r) {
  std::string out;
  for (const std::string& png : r.kernels)
    out += "<img alt=\"\" src=\"data:image/png;base64," + base64(png) + "\">";
  if (out.empty()) return out;
  return cat({"<p class=\"muted\">", html_escape(r.kernels_of),
              ": zero is middle grey, the largest weight black or white.</p>"
              "<div class=\"kernels\">",
              out, "</div>"});
}

std::string table(const RunReport::Table& t) {
  std::string head, rows;
  for (const std::string& c : t.columns) head += "<th>" + html_escape(c) + "</th>";
  for (const auto& row : t.rows) {
    rows += "<tr>";
    for (const std::string& cell : row) rows += "<td>" + html_escape(cell) + "</td>";
    rows += "</tr>";
  }
  if (rows.empty()) return "";
  return cat({t.note.empty() ? "" : "<p class=\"muted\">" + html_escape(t.note) + "</p>",
              "<div class=\"scroll\"><table class=\"list\"><thead><tr>", head,
              "</tr></thead><tbody>", rows, "</tbody></table></div>"});
}

std::string usage(const RunReport& r) {
  std::string out;
  for (const auto& [what, command] : r.usage)
    out += cat({"<div class=\"use\"><p>", html_escape(what), "</p><pre>", html_escape(command),
                "</pre></div>"});
  return out;
}

std::string facts(const std::vector<RunReport::Fact>& list) {
  std::string out;
  for (const auto& [label, value] : list)
    out += cat({"<dt>", html_escape(label), "</dt><dd>", html_escape(value), "</dd>"});
  return out.empty() ? "" : "<dl>" + out + "</dl>";
}

}  // namespace

std::string percent(double share, int decimals) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f %%", decimals, 100 * share);
  return text;
}

std::string render_report(const RunReport& r) {
  std::string charts;
  for (const Chart& c : r.charts) charts += line_chart(c);
  std::string warnings;
  for (const std::string& w : r.warnings)
    warnings += "<p class=\"warning\">" + html_escape(w) + "</p>\n";

  std::string out =
      cat({"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n<title>",
           html_escape(r.title), "</title><style>", kReportStyle, "</style></head>\n<body><main>\n",
           "<header><h1>", html_escape(r.title), "</h1>"});
  if (!r.subtitle.empty()) out += "<div class=\"sub\">" + html_escape(r.subtitle) + "</div>";
  out += "</header>\n" + warnings + tiles(r);
  if (!charts.empty()) out += section("Training", "<div class=\"charts\">" + charts + "</div>");
  for (const RunReport::Table& t : r.tables) out += section(html_escape(t.title).c_str(), table(t));
  if (r.confusion.classes > 0) {
    if (r.confusion.classes <= kLargestMatrix)
      out += section("Confusion matrix", matrix_table(r));
    else
      out += section("Most frequent confusions", worst_confusions(r));
    out += section("Classes", class_table(r));
  }
  if (r.calibration)
    out += section("Can its confidence be trusted?",
                   cat({"<p class=\"muted\">Expected calibration error ",
                        percent(r.calibration->expected_error, 1), ", largest gap of a bin ",
                        percent(r.calibration->maximum_error, 1), ".</p><div class=\"single\">",
                        calibration_chart(*r.calibration), "</div>"}));
  out += section("Worst mistakes", mistakes(r));
  out += section("How to use it", usage(r));
  out += section("Layers", layer_table(r));
  out += section("Kernels of the first convolution", kernels(r));
  if (!r.config.empty())
    out += section("Configuration", "<pre>" + html_escape(r.config) + "</pre>");
  out += section("Environment", facts(r.environment));
  return out + "<footer>Made by nacre.</footer>\n</main><script>" + kReportScript +
         "</script></body></html>\n";
}

void write_report(const std::string& path, const RunReport& report) {
  write_file_atomic(path, render_report(report));
}

}  // namespace nacre
