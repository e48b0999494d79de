// "Did you mean": the known name that a mistyped one is nearest to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nacre {

/// The name that becomes `typed` by the fewest insertions, deletions and replacements of letters;
/// empty if all need more than three.
std::string nearest_name(std::string_view typed, const std::vector<std::string>& names);

}  // namespace nacre
