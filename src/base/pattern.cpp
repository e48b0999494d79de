#include "base/pattern.h"

#include <re2/re2.h>

#include "base/text.h"
#include "nacre/error.h"

namespace nacre {

struct Pattern::Impl {
  explicit Impl(const std::string& expression) : regex(expression, RE2::Quiet) {}
  RE2 regex;
};

Pattern::Pattern(const std::string& expression) : impl_(std::make_shared<Impl>(expression)) {
  if (!impl_->regex.ok())
    fail(Error::Kind::usage, {"'", clip(printable(expression), 80),
                              "' is not a regular expression: ", printable(impl_->regex.error())});
}

bool Pattern::found_in(std::string_view text) const {
  return RE2::PartialMatch({text.data(), text.size()}, impl_->regex);
}

std::string Pattern::quoted(std::string_view text) {
  return RE2::QuoteMeta({text.data(), text.size()});
}

}  // namespace nacre
