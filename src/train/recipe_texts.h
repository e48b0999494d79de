// The files of recipes/, which the build writes into the library, and how settings are read.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "nacre/train.h"

namespace nacre {

struct RecipeText {
  const char* name;  ///< of the file, without .yaml
  const char* text;
};
/// Sorted by name.
std::vector<RecipeText> recipe_texts();

/// What a file of settings says of itself, beside the settings: see nacre/recipes.h.
inline constexpr const char* kRecipeKey = "recipe";

/// Settings from a file's value; `what` names it in errors.
TrainConfig config_from(const Json& j, const std::string& what);

}  // namespace nacre
