// Labs: experiments of a course, one file each in src/labs. A lab trains small networks on a data
// set and gives curves, tables and what they show in one sentence. The build collects them.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nacre/data.h"
#include "nacre/nn.h"
#include "nacre/op.h"
#include "train/report.h"

namespace nacre {

struct LabResult {
  std::string finding;  ///< what was seen, with the numbers
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<Chart> charts;
  std::vector<RunReport::Table> tables;
};

/// What an option may be, both ends included; of a list each value.
struct LabRange {
  const char* option;
  double least, most;
};

struct LabEntry {
  const char* name;
  const char* summary;     ///< one sentence
  const char* reading;     ///< papers: authors, title, year
  const AttrType* config;  ///< the options, a struct with fields(); all have `seed`
  LabResult (*run)(const std::string& data, const void* config);
  std::vector<LabRange>
      ranges{};  ///< of options; side, samples, epochs, batch, lr and seed have some
};

/// Defines lab_<name>. The build collects these into the table of labs.
#define LAB(name)                   \
  extern const LabEntry lab_##name; \
  const LabEntry lab_##name

/// All labs by name; Error(usage) names them if there is none.
std::vector<const LabEntry*> all_labs();
const LabEntry& find_lab(std::string_view name);
/// The options with their values, as text. Throws Error(usage) for one that there is not, or whose
/// value is out of its range.
std::string lab_options(const LabEntry& lab, std::string_view options = {});
/// Runs a lab on a data set of pictures. Throws Error, also Error(cancelled).
LabResult run_lab(const LabEntry& lab, const std::string& data, std::string_view options = {});
/// Writes results.json and report.html, which needs no other file, into a folder.
void write_lab(const std::string& folder, const LabEntry& lab, const std::string& data,
               const std::string& options, const LabResult& result);

// ---- what labs are made of

/// Pictures of few classes, split by class.
struct LabData {
  DatasetPtr train, test;
  Transform transform;
  Shape input;  ///< of one picture: CxHxW
  int64_t classes = 0;
};
/// Opens pictures in grey, `side` pixels wide and high, at most `samples` for training and as many
/// for the test (0: all), with mean 0 and deviation 1. Throws Error(usage) for other data.
LabData lab_pictures(const std::string& data, int64_t side, int64_t samples, uint64_t seed);

struct LabTraining {
  int64_t epochs = 10, batch = 64;
  double lr = 0.1, momentum = 0.9, weight_decay = 1e-4, clip_norm = 0;
  std::string schedule = "cosine";
  uint64_t seed = 0;
  std::vector<double> lr_scales{};  ///< factors on lr of net.trainable(); empty: 1
};
/// By epoch. Errors are shares of mistakes, in evaluation mode; of the training part, too.
struct LabCurve {
  std::vector<double> loss, train_error, test_error;
  double first_loss = 0;  ///< of the first batch
  double seconds = 0;     ///< of training
};
/// Trains with SGD and logs each epoch under `name`. A loss that is not finite ends the training:
/// the rest of the curve is NaN.
LabCurve train_in_lab(const std::string& name, Module& net, const LabData& data,
                      const LabTraining& t);
/// 1, 2, ..., as many as there are numbers.
std::vector<double> counted(const std::vector<double>& of);
/// "12.3 %".
std::string per_cent(double share);

}  // namespace nacre
