#include "importers/problems.h"

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {

void Problems::finish(std::string_view things) const {
  if (found_.empty()) return;
  std::string list;
  size_t shown = 0;
  for (const auto& [type, layers] : found_) {
    if (++shown > 50) break;
    list += cat({shown > 1 ? "; " : "", clip(printable(type), 80), " (", layers.size(),
                 layers.size() == 1 ? " time" : " times", ", first '",
                 clip(printable(layers[0]), 80), "')"});
  }
  fail(Error::Kind::unsupported,
       {what_, " has ", found_.size(), " kinds of ", things, " without a translation: ", list});
}

}  // namespace nacre
