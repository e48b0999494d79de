// Runs a folder of ONNX test cases: <case>/model.onnx and
// <case>/test_data_set_0/{input,output}_k.pb, as ONNX's own backend tests lay them out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nacre/onnx.h"

namespace nacre::onnx {

/// A model, values for its inputs, and what its outputs have to be, as files have them.
struct Case {
  std::string name, model;
  std::vector<std::string> inputs, outputs;
};
/// Without a model if the folder has none.
Case read_case(const std::string& folder);
/// The cases of a file that goldens/make.py or newer.py wrote.
std::vector<Case> read_packed_cases(const std::string& path);

/// What went wrong with a case; "" if nothing did. Numbers may differ by 1e-3 of their size and by
/// `absolute`: the tolerances of ONNX's own runner (onnx/backend/test/runner).
std::string run_case(const Case& c, double absolute = 1e-7);

struct Tally {
  int passed = 0, failed = 0, skipped = 0;  ///< skipped: there is nothing to compare with
};

/// Runs all cases below `folder`. `exceptions`: cases that are known to fail, by name, with the
/// reason. Problems are cases that fail and stand not there, those that stand there and pass, and
/// those that are skipped.
Tally run_cases(const std::string& folder, const std::map<std::string, std::string>& exceptions,
                std::vector<std::string>& problems);
/// The same for cases of a file, whose zeros may be off by 1e-6.
Tally run_cases(const std::vector<Case>& cases,
                const std::map<std::string, std::string>& exceptions,
                std::vector<std::string>& problems);

/// Lines "folder/case: reason" of a file; those that begin with # are remarks.
std::map<std::string, std::map<std::string, std::string>> read_exceptions(const std::string& path);

}  // namespace nacre::onnx
