// The page of a benchmark: what each kernel reaches of what the machine can do.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "nacre/bench.h"
#include "train/report_style.h"

namespace nacre {
namespace {

constexpr double kWidth = 560, kHeight = 320, kLeft = 60, kRight = 14, kTop = 14, kBottom = 42;

std::string px(double v) { return format_number(std::round(v * 10) / 10, 6); }

/// Positions on logarithmic axes: operations per byte, and 1e9 operations a second.
struct Plane {
  double x_low, x_high, y_low, y_high;  // powers of ten
  double x(double v) const {
    return kLeft + (std::log10(v) - x_low) / (x_high - x_low) * (kWidth - kLeft - kRight);
  }
  double y(double v) const {
    return kHeight - kBottom -
           (std::log10(v) - y_low) / (y_high - y_low) * (kHeight - kTop - kBottom);
  }
};

/// Kernels as points below the roof that memory and arithmetic make (Williams, Waterman and
/// Patterson, Roofline, 2009). Areas grow with time.
std::string roofline(const BenchResult& r) {
  Plane p{-1, 3, 0, std::ceil(std::log10(std::max(10.0, r.peak_gflops)))};
  std::string points;
  for (const BenchLine& l : r.lines) {
    if (l.gflops <= 0 || l.gbytes <= 0) continue;
    p.x_high = std::max(p.x_high, std::ceil(std::log10(l.gflops / l.gbytes)));
    p.y_high = std::max(p.y_high, std::ceil(std::log10(l.gflops)));
  }
  const double whole = r.milliseconds(0.5);
  for (const BenchLine& l : r.lines) {
    if (l.gflops <= 0 || l.gbytes <= 0) continue;
    const double intensity = std::max(std::pow(10, p.x_low), l.gflops / l.gbytes),
                 speed = std::max(std::pow(10, p.y_low), l.gflops);
    const double radius = 3 + 14 * std::sqrt(std::min(1.0, l.milliseconds / whole));
    points += cat({"<circle class=\"f0\" fill-opacity=\".55\" cx=\"", px(p.x(intensity)),
                   "\" cy=\"", px(p.y(speed)), "\" r=\"", px(radius), "\"><title>",
                   html_escape(l.layer), " ", html_escape(l.work), ": ", format_number(l.gflops),
                   " GFLOP/s, ", format_number(l.milliseconds, 3), " ms</title></circle>"});
  }
  std::string grid;
  const auto text = [](double x, double y, const char* anchor, const std::string& words) {
    return cat({"<text x=\"", px(x), "\" y=\"", px(y), "\" text-anchor=\"", anchor, "\">", words,
                "</text>"});
  };
  const auto line = [](const char* style, double x1, double y1, double x2, double y2) {
    return cat({"<line class=\"", style, "\" x1=\"", px(x1), "\" y1=\"", px(y1), "\" x2=\"", px(x2),
                "\" y2=\"", px(y2), "\"/>"});
  };
  for (double e = p.x_low; e <= p.x_high; ++e) {
    const double x = p.x(std::pow(10, e));
    grid += line("grid", x, kTop, x, kHeight - kBottom) +
            text(x, kHeight - kBottom + 16, "middle", format_number(std::pow(10, e)));
  }
  for (double e = p.y_low; e <= p.y_high; ++e) {
    const double y = p.y(std::pow(10, e));
    grid += line("grid", kLeft, y, kWidth - kRight, y) +
            text(kLeft - 6, y + 4, "end", format_number(std::pow(10, e)));
  }
  grid += text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", "operations per byte");
  grid += cat({"<text transform=\"translate(14 ", px((kTop + kHeight - kBottom) / 2),
               ") rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>"});
  const double ridge = r.peak_gflops / std::max(1e-9, r.peak_gbytes);
  const double left = std::max(std::pow(10, p.x_low), std::pow(10, p.y_low) / r.peak_gbytes);
  const std::string roof =
      cat({"<polyline class=\"curve s1\" points=\"", px(p.x(left)), ",",
           px(p.y(left * r.peak_gbytes)), " ", px(p.x(ridge)), ",", px(p.y(r.peak_gflops)), " ",
           px(kWidth - kRight), ",", px(p.y(r.peak_gflops)), "\"/>"});
  return cat({"<figure><figcaption>Roofline</figcaption><svg viewBox=\"0 0 ", kWidth, " ", kHeight,
              "\" role=\"img\">", grid, roof, points, "</svg></figure>"});
}

std::string tile(const std::string& value, const char* label) {
  return cat({"<div class=\"tile\"><b>", html_escape(value), "</b><span>", label, "</span></div>"});
}

std::string number_cell(const std::string& text) {
  return "<td class=\"n\">" + html_escape(text) + "</td>";
}

std::string kernels(const BenchResult& r) {
  constexpr size_t kMost = 60;
  double whole = 0;
  for (const BenchLine& l : r.lines) whole += l.milliseconds;
  std::string rows;
  for (size_t i = 0; i < std::min(kMost, r.lines.size()); ++i) {
    const BenchLine& l = r.lines[i];
    rows += "<tr><td>" + html_escape(l.layer) + "</td><td>" + html_escape(l.work) + "</td><td>" +
            html_escape(l.kernel) + "</td>" + number_cell(format_number(l.calls)) +
            number_cell(format_number(l.milliseconds, 3)) +
            number_cell(format_number(100 * l.milliseconds / whole, 3) + " %") +
            number_cell(l.gflops > 0 ? format_number(l.gflops, 3) : "") +
            number_cell(format_number(l.gbytes, 3)) + "</tr>";
  }
  return "<div class=\"scroll\"><table class=\"list\"><thead><tr><th>layer</th><th>work</th>"
         "<th>kernel</th><th class=\"n\">calls</th><th class=\"n\">ms</th><th "
         "class=\"n\">share</th>"
         "<th class=\"n\">GFLOP/s</th><th class=\"n\">GB/s</th></tr></thead><tbody>" +
         rows + "</tbody></table></div>";
}

}  // namespace

std::string bench_page(const std::vector<std::pair<std::string, BenchResult>>& results) {
  std::string body;
  for (const auto& [name, r] : results) {
    body += cat({"<section><h2>", html_escape(name), "</h2><p class=\"muted\">",
                 r.train ? "Training" : "Inference", ", input ", r.input.str(), ", ", r.threads,
                 " threads, ", r.runs.size(), " runs</p><div class=\"tiles\">"});
    body += tile(format_number(r.milliseconds(0.5), 3) + " ms", "median") +
            tile(format_number(r.milliseconds(0.99), 3) + " ms", "99 of 100 within") +
            tile(format_number(r.samples_per_second(), 4), "samples a second") +
            tile(format_bytes(r.peak_bytes), "peak memory") +
            tile(format_number(r.gflops(), 4), "GFLOP/s") +
            tile(format_number(100 * r.share_of_peak(), 3) + " %", "of the peak");
    body += "</div>" + roofline(r) + kernels(r) + "</section>\n";
  }
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
         "name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>nacre "
         "bench</title><style>" +
         std::string(kReportStyle) + "</style></head>\n<body><main><header><h1>nacre bench</h1>" +
         (results.empty() ? std::string()
                          : cat({"<div class=\"sub\">This machine: ",
                                 format_number(results[0].second.peak_gflops), " GFLOP/s, ",
                                 format_number(results[0].second.peak_gbytes, 3),
                                 " GB/s from memory, measured</div>"})) +
         "</header>\n" + body + "</main></body></html>\n";
}

}  // namespace nacre
