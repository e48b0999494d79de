// Where the networks of other frameworks are, and what these compute with them.
#pragma once

#include <string>

namespace nacre {

inline const std::string kGoldens = std::string(NACRE_SOURCE_DIR) + "/tests/importers/goldens/";

}  // namespace nacre
