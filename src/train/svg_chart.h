// Charts as inline SVG, coloured by the style of the page they stand in (report_style.h).
#pragma once

#include <string>
#include <vector>

#include "nacre/metrics.h"

namespace nacre {

/// A curve; points that are not finite are gaps. xs ascend.
struct Series {
  std::string name{};
  std::vector<double> xs{}, ys{};
};

struct Chart {
  std::string title{}, x_label{}, y_label{};
  std::vector<Series> series{};
};

/// Lines with axes, grid and legend, and the points for the page's script. Curves of more than 500
/// points are thinned so that the extremes stay.
std::string line_chart(const Chart& chart);

/// Accuracy over confidence as bars, against the diagonal of perfect calibration.
std::string calibration_chart(const Calibration& calibration);

/// Round positions in [low, high], about `count` of them: multiples of 1, 2 or 5 times a power
/// of 10.
std::vector<double> nice_ticks(double low, double high, int count);

}  // namespace nacre
