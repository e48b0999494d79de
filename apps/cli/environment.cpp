#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "base/log.h"
#include "cli/commands.h"
#include "compile/plan.h"
#include "nacre/plan.h"

namespace nacre::cli {

void check_environment() {
  const auto value = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text ? text : "");
  };
  if (const std::string text = value("NACRE_THREADS"); !text.empty()) {
    int n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < 1 || n > 1024)
      log_warning(
          {"NACRE_THREADS should be a number from 1 to 1024, got '", text, "': it is not used"});
  }
  (void)memory_limit();  // among what is read with it is NACRE_BACKEND, of which others are refused
  for (const char* name : {"NACRE_EAGER", "NACRE_WINOGRAD"})
    if (const std::string text = value(name); !text.empty() && text != "0" && text != "1")
      log_warning({name, " should be 0 or 1, got '", text, "': it is not used"});
  (void)log_level();  // reads NACRE_LOG, and warns itself
  std::stringstream list(value("NACRE_DISABLE_PASSES"));
  for (std::string item; std::getline(list, item, ',');) {
    const auto known = passes();
    const bool found = std::any_of(known.begin(), known.end(),
                                   [&](const Pass& pass) { return item == pass.name; });
    if (item.empty() || item == "all" || found) continue;
    std::string names;
    std::set<std::string_view> named;  // some passes run several times
    for (const Pass& pass : known)
      if (named.insert(pass.name).second) names += std::string(", ") + pass.name;
    log_warning({"NACRE_DISABLE_PASSES names '", item, "'; known are all", names});
  }
}

}  // namespace nacre::cli
