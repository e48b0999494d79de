// Recipes: settings of training that come with nacre, a file for each model and data set, with the
// result that was published for them and the one that nacre reached.
//
//   TrainConfig c = find_recipe("resnet20-cifar10").config;
//   c.data = "cifar-10-batches-bin";
//   Trainer(c).run();
//
// The files are those of the folder recipes/. Besides the settings of TrainConfig they have a part
// `recipe` with the texts below. All functions may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "nacre/train.h"

namespace nacre {

struct Recipe {
  std::string name;       ///< "resnet20-cifar10"
  std::string about;      ///< one sentence
  std::string data;       ///< which data set, and in what form
  std::string source;     ///< of the settings and of the published result
  std::string published;  ///< that result: "91.25 % accuracy"; empty: nobody published one
  std::string measured;   ///< nacre's result with these settings; empty: not measured
  std::string time;       ///< what that took, and on what machine
  std::string text;       ///< the file
  TrainConfig config;     ///< `data` is for the user to fill in
};

/// All of them, sorted by name.
std::vector<Recipe> all_recipes();
/// By name; Error(usage) names the known ones if there is none.
Recipe find_recipe(const std::string& name);
/// From the text of a file. `name` is its name without .yaml. Throws Error(usage) if a part is
/// missing or unknown, or a setting is not one of TrainConfig.
Recipe parse_recipe(const std::string& name, const std::string& text);

}  // namespace nacre
