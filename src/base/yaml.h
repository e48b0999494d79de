// YAML for configuration files, read into and printed from Json.
//
// YAML 1.2's core schema: plain true/false, null, integers and numbers have their types, everything
// else is text (`yes` and `no` too). Anchors and aliases are copies that count against the limits;
// merge keys, tags other than the core ones, several documents and keys that are not text are
// refused.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace nacre {

inline constexpr JsonLimits kYamlLimits{.bytes = 1u << 20, .depth = 32, .values = 100'000};

/// Throws Error(data) that starts with "what:line:column: ".
Json parse_yaml(std::string_view text, std::string_view what,
                const JsonLimits& limits = kYamlLimits);
Json read_yaml_file(const std::string& path, const JsonLimits& limits = kYamlLimits);

/// Block style, lists of scalars on one line. parse_yaml() gives the same value back.
std::string print_yaml(const Json& value);

}  // namespace nacre
