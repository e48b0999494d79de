// What the parts of `nacre explain` share.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/commands.h"
#include "explain/page.h"
#include "nacre/explain.h"
#include "nacre/predict.h"

namespace nacre::cli {

/// "bee", or "value 0" of a model of values.
std::string class_name(const ModelInfo& info, int64_t c);
/// The column of a class given by name or number. Throws Error(usage).
int64_t class_of(const ModelInfo& info, const std::string& text);

/// The folder that a run of the command writes.
class Output {
 public:
  explicit Output(const ExplainArgs& a);
  /// Writes a picture; its bytes, for the page.
  std::string picture(const std::string& name, const Image& image);
  /// Writes page and JSON, and says where they are.
  void finish(const explain::Page& page, const Json& json, bool print);

 private:
  std::string folder_;
};

/// Text whose letters are safe in names of files.
std::string safe_name(std::string text);

void explain_table(const ExplainArgs& a, const Predictor& p);
void explain_layer(const ExplainArgs& a, const Predictor& p);
void maximise_unit(const ExplainArgs& a, const Predictor& p);
void show_maps(const ExplainArgs& a, const Predictor& p);

}  // namespace nacre::cli
