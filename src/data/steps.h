// The table of transform steps. A step is a row of a table: name, help, parameters and a function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "nacre/transforms.h"

namespace nacre::data {

struct Param {
  enum Kind { number, integer, list, word };
  std::string_view name;
  Kind kind;
  double preset = 0;            ///< default of a number or integer
  double low = 0, high = 0;     ///< bounds of numbers and of entries of lists
  std::string_view words = {};  ///< allowed words, separated by blanks; the first is the default
  bool required = false;
};

/// A number that has to be given.
inline Param needed(std::string_view name, double low, double high,
                    Param::Kind kind = Param::number) {
  return {name, kind, 0, low, high, {}, true};
}

/// A number that has a default.
inline Param number(std::string_view name, double preset, double low, double high) {
  return {name, Param::number, preset, low, high};
}

/// What pixels that come from outside a picture are filled with.
inline constexpr Param kFill = {"fill", Param::number, 0, -1e6, 1e6};

struct Value {
  double number = 0;
  std::vector<double> list;
  std::string word;
  bool given = false;
};

struct StepDef;

/// Values of a step's parameters, in the order of its definition.
class Args {
 public:
  Args(const StepDef& def, std::vector<Value> values) : def_(&def), values_(std::move(values)) {}
  double number(std::string_view name) const { return find(name).number; }
  float real(std::string_view name) const { return static_cast<float>(find(name).number); }
  int integer(std::string_view name) const { return static_cast<int>(find(name).number); }
  const std::vector<double>& list(std::string_view name) const { return find(name).list; }
  const std::string& word(std::string_view name) const { return find(name).word; }
  const std::vector<Value>& values() const { return values_; }

 private:
  const Value& find(std::string_view name) const;
  const StepDef* def_;
  std::vector<Value> values_;
};

struct StepDef {
  std::string_view name, help;
  std::vector<Param> params;
  bool train_only = false;
  void (*apply)(Sample&, const Args&, bool training, Rng&) = nullptr;
  void (*mix)(Batch&, const Args&, Rng&) = nullptr;
};

const std::vector<StepDef>& geometry_steps();
const std::vector<StepDef>& pixel_steps();
const std::vector<StepDef>& audio_steps();
const std::vector<StepDef>& other_steps();
const std::vector<StepDef>& batch_steps();

/// The step of fit_counts().
void counts_step(Sample& s, const Args& a, bool training, Rng& rng);

/// The step that appends to the features what fit_text() found in texts.
void text_features_step(Sample& s, const Args& a, bool training, Rng& rng);

Border border_from_name(std::string_view name);

}  // namespace nacre::data

struct nacre::Transform::Step {
  const data::StepDef* def;
  data::Args args;
};
