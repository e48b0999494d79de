#include "train/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr double kWidth = 560, kHeight = 300, kLeft = 66, kRight = 14, kTop = 14, kBottom = 42;
constexpr size_t kMostPoints = 500;
constexpr size_t kColours = 6;

/// Beyond this the differences of an axis would overflow.
bool can_be_drawn(double v) { return std::abs(v) <= 1e300; }

/// A value range and where it lies on the page.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  double operator()(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

std::string px(double v) { return format_number(std::round(v * 10) / 10, 6); }

std::string tag_text(double x, double y, const char* anchor, std::string_view text,
                     std::string_view extra = "") {
  return cat({"<text x=\"", px(x), "\" y=\"", px(y), "\" text-anchor=\"", anchor, "\"", extra, ">",
              html_escape(text), "</text>"});
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return cat({"<line x1=\"", px(x1), "\" y1=\"", px(y1), "\" x2=\"", px(x2), "\" y2=\"", px(y2),
              "\" class=\"", style, "\"/>"});
}

/// The smallest and largest point of each of a few hundred pieces, in order.
Series thinned(const Series& s) {
  const size_t n = std::min(s.xs.size(), s.ys.size());
  Series out{s.name};
  const size_t pieces = n > kMostPoints ? kMostPoints / 2 : n;
  for (size_t p = 0; p < pieces; ++p) {
    const size_t begin = p * n / pieces, end = (p + 1) * n / pieces;
    size_t low = begin, high = begin;
    for (size_t i = begin; i < end; ++i) {
      if (!(s.ys[i] >= s.ys[low])) low = i;  // a NaN is kept as a gap
      if (s.ys[i] > s.ys[high]) high = i;
    }
    const auto keep = [&](size_t i) { out.xs.push_back(s.xs[i]), out.ys.push_back(s.ys[i]); };
    keep(std::min(low, high));
    if (low != high) keep(std::max(low, high));
  }
  return out;
}

/// The number of a tick, with as many decimals as its neighbours need.
std::string tick_label(double v, const std::vector<double>& ticks) {
  if (ticks.size() < 2) return format_number(v);
  const double step = ticks[1] - ticks[0];
  const double largest = std::max(std::abs(ticks.front()), std::abs(ticks.back()));
  if (std::abs(v) < step / 2) v = 0;
  if (v == 0 && (largest >= 10000 || largest < 0.001)) return "0";
  if (largest >= 1e6) return format_number(v / 1e6) + "M";
  if (largest >= 10000) return format_number(v / 1000) + "k";
  if (largest < 0.001) return format_number(v);
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", decimals, v);
  return text;
}

/// The frame: grid lines, numbers and names of both axes.
std::string frame(const Axis& x, const Axis& y, const Chart& chart) {
  std::string out;
  const std::vector<double> rows = nice_ticks(y.low, y.high, 5);
  for (double v : rows) {
    out += line(x.from, y(v), x.to, y(v), "grid");
    out += tag_text(x.from - 8, y(v) + 4, "end", tick_label(v, rows));
  }
  const std::vector<double> columns = nice_ticks(x.low, x.high, 6);
  for (double v : columns) {
    out += line(x(v), y.from, x(v), y.from + 4, "axis");
    out += tag_text(x(v), y.from + 17, "middle", tick_label(v, columns));
  }
  out += line(x.from, y.from, x.to, y.from, "axis");
  out += tag_text((x.from + x.to) / 2, kHeight - 6, "middle", chart.x_label);
  if (!chart.y_label.empty()) {
    const std::string middle = px((y.from + y.to) / 2);
    out += tag_text(0, 0, "middle", chart.y_label,
                    " transform=\"translate(11 " + middle + ") rotate(-90)\"");
  }
  return out;
}

std::string json_numbers(const std::vector<double>& values) {
  std::string out = "[";
  for (double v : values)
    out += (out.size() > 1 ? "," : "") + (can_be_drawn(v) ? format_number(v, 6) : "null");
  return out + "]";
}

std::string path_of(const Series& s, const Axis& x, const Axis& y, size_t colour) {
  std::string d, dots;
  bool pen_down = false;
  for (size_t i = 0; i < s.xs.size(); ++i) {
    if (!can_be_drawn(s.ys[i]) || !can_be_drawn(s.xs[i])) {
      pen_down = false;
      continue;
    }
    const std::string at = px(x(s.xs[i])) + " " + px(y(s.ys[i]));
    d += (pen_down ? "L" : "M") + at;
    pen_down = true;
    const bool alone = i + 1 >= s.xs.size() || !can_be_drawn(s.ys[i + 1]);
    if (alone && (i == 0 || !can_be_drawn(s.ys[i - 1])))
      dots += cat({"<circle cx=\"", px(x(s.xs[i])), "\" cy=\"", px(y(s.ys[i])),
                   "\" r=\"3\" class=\"f", colour, "\"/>"});
  }
  return cat({"<path d=\"", d, "\" class=\"curve s", colour, "\"/>", dots});
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  if (!(high > low) || !std::isfinite(high - low) || count < 1) return {low};
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;
  const double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  // Counted in whole steps: adding the step up would drift.
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    ticks.push_back(i * step + 0.0);  // + 0.0 turns -0 into 0
  return ticks;
}

std::string line_chart(const Chart& chart) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Axis x{kInf, -kInf, kLeft, kWidth - kRight}, y{kInf, -kInf, kHeight - kBottom, kTop};
  std::vector<Series> series;
  for (const Series& s : chart.series) {
    series.push_back(thinned(s));
    const Series& t = series.back();
    for (size_t i = 0; i < t.xs.size(); ++i) {
      if (!can_be_drawn(t.xs[i]) || !can_be_drawn(t.ys[i])) continue;
      x.low = std::min(x.low, t.xs[i]), x.high = std::max(x.high, t.xs[i]);
      y.low = std::min(y.low, t.ys[i]), y.high = std::max(y.high, t.ys[i]);
    }
  }
  std::string head =
      cat({"<figure class=\"chart\"><figcaption>", html_escape(chart.title), "</figcaption>"});
  if (!(x.low <= x.high)) return head + "<p class=\"muted\">No values were recorded.</p></figure>";
  if (x.low == x.high) x.low -= 0.5, x.high += 0.5;
  // Room above and below; a curve near zero gets zero as its base.
  const double spread = y.high > y.low ? y.high - y.low : std::max(1e-9, std::abs(y.high) * 0.1);
  const bool near_zero = y.low >= 0 && y.low < spread;
  y.low = near_zero ? 0 : y.low - 0.06 * spread;
  y.high += 0.06 * spread;

  std::string body = frame(x, y, chart), legend, data;
  for (size_t i = 0; i < series.size(); ++i) {
    const Series& s = series[i];
    body += path_of(s, x, y, i % kColours);
    legend += cat({"<span><i class=\"b", i % kColours, "\"></i>", html_escape(s.name), "</span>"});
    data += cat({i ? "," : "", "{\"x\":", json_numbers(s.xs), ",\"y\":", json_numbers(s.ys), "}"});
  }
  const std::string scale = cat({"[", format_number(x.low, 9), ",", format_number(x.high, 9), ",",
                                 px(x.from), ",", px(x.to), ",", format_number(y.low, 9), ",",
                                 format_number(y.high, 9), ",", px(y.from), ",", px(y.to), "]"});
  return cat({head, "<svg viewBox=\"0 0 ", px(kWidth), " ", px(kHeight),
              "\" role=\"img\" aria-label=\"", html_escape(chart.title), "\" data-scale=\"", scale,
              "\" data-series=\"", html_escape("[" + data + "]"), "\">", body, "</svg>",
              "<div class=\"legend\">", legend, "</div></figure>"});
}

std::string calibration_chart(const Calibration& calibration) {
  const Axis x{0, 1, kLeft, kWidth - kRight}, y{0, 1, kHeight - kBottom, kTop};
  Chart chart{"Calibration", "confidence", "accuracy"};
  std::string body = frame(x, y, chart);
  const auto n = static_cast<double>(calibration.bins.size());
  for (size_t i = 0; i < calibration.bins.size(); ++i) {
    const auto& b = calibration.bins[i];
    if (b.count == 0) continue;
    const double left = x(static_cast<double>(i) / n), right = x(static_cast<double>(i + 1) / n);
    body += cat({"<rect x=\"", px(left + 1), "\" y=\"", px(y(b.accuracy)), "\" width=\"",
                 px(right - left - 2), "\" height=\"", px(y(0) - y(b.accuracy)),
                 "\" class=\"bar\"><title>", b.count, " predictions: confidence ",
                 format_number(b.confidence, 3), ", accuracy ", format_number(b.accuracy, 3),
                 "</title></rect>"});
  }
  body += line(x(0), y(0), x(1), y(1), "diagonal");
  return cat({"<figure class=\"chart\"><figcaption>Calibration</figcaption><svg viewBox=\"0 0 ",
              px(kWidth), " ", px(kHeight), "\" role=\"img\" aria-label=\"Calibration\">", body,
              "</svg><div class=\"legend\"><span><i class=\"b0\"></i>accuracy of predictions with "
              "that confidence</span><span><i class=\"dashed\"></i>perfect</span></div></figure>"});
}

}  // namespace nacre
