// The report of a run: one HTML file that needs nothing else, to look at or to send to somebody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nacre/metrics.h"
#include "train/svg_chart.h"

namespace nacre {

/// Everything is optional; sections without content are left out. All texts are plain text.
struct RunReport {
  using Fact = std::pair<std::string, std::string>;

  struct Layer {
    std::string name{}, kind{}, output{};  ///< "conv1", "Conv2d 3->64, 3x3", "64x32x32"
    int64_t parameters = 0;
  };
  struct Mistake {
    std::string png{};         ///< an encoded picture; may be empty
    std::string reason_png{};  ///< where the model looked; may be empty
    std::string label{}, predicted{};
    double probability = 0;  ///< that the model gave to `predicted`
    std::string note{};      ///< the file's name, or the text that was misread
  };

  struct Table {
    std::string title{}, note{};
    std::vector<std::string> columns{};
    std::vector<std::vector<std::string>> rows{};
  };

  std::string title{}, subtitle{}, model{};
  std::vector<Fact> headline{};  ///< the few numbers that matter: {"Test accuracy", "98.4 %"}
  std::vector<std::string> warnings{};
  std::vector<Chart> charts{};
  std::vector<std::string> classes{};
  ConfusionMatrix confusion{};
  std::optional<Calibration> calibration{};
  std::vector<Table> tables{};  ///< sections of their own, before the confusion matrix
  std::vector<Mistake> mistakes{};
  std::vector<Layer> layers{};
  std::string kernels_of{};            ///< the name of the first convolution's weight
  std::vector<std::string> kernels{};  ///< its kernels, encoded as PNG
  std::string config{};
  std::vector<Fact> environment{};
  std::vector<Fact>
      usage{};  ///< {"Predict one picture", "nacre predict model.safetensors cat.jpg"}
};

/// Light or dark as the reader's system is. Large matrices show their worst confusions instead.
std::string render_report(const RunReport& report);

void write_report(const std::string& path, const RunReport& report);

/// "97.53 %": a share as a report writes it.
std::string percent(double share, int decimals = 2);

}  // namespace nacre
