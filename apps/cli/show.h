// What several commands print.
#pragma once

#include <string>

#include "base/json.h"
#include "nacre/train.h"

namespace nacre::cli {

/// "test accuracy 98.61 % (355 of 360), macro F1 0.986", of that part of the data.
std::string headline(const Evaluation& e, const std::string& part = "test");
Json evaluation_json(const Evaluation& e, int64_t top_k);
/// The first of stem, stem-2, stem-3, ... that does not exist.
std::string free_folder(const std::string& stem);
/// `folder`; where it is data/digits and the working folder has none, the digits that are installed
/// with the program.
std::string digits_at(const std::string& folder);
/// For an error about a file of a data set: which command names all of them; else nothing.
std::string data_hint(const Error& e, const std::string& data);
/// 0..1 pixels as grey bytes, brightest 255.
std::string draw(const Image& image, int columns);

}  // namespace nacre::cli
