#include "base/late_library.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "nacre/error.h"

namespace nacre {
namespace {

TEST(LateLibrary, CallsTheFunctionOfThatName) {
  static constexpr LateLibrary library("libm.so.6", "libc6");
  const LateFunction<double(double)> cosine(library, "cos");
  EXPECT_EQ(cosine(0.5), std::cos(0.5));
  double (*const pointer)(double) = cosine;
  EXPECT_EQ(pointer(0.25), std::cos(0.25));
}

std::string said_by(const LateLibrary& library, const char* function) {
  try {
    library.find(function);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::unsupported);
    return e.what();
  }
  return "";
}

TEST(LateLibrary, NamesWhatIsMissing) {
  const std::string library = said_by({"libnone.so.1", "libnone1"}, "f");
  EXPECT_NE(library.find("libnone.so.1 of the package libnone1"), std::string::npos) << library;
  const std::string function = said_by({"libm.so.6", "libc6"}, "nosine");
  EXPECT_NE(function.find("nosine"), std::string::npos) << function;
}

}  // namespace
}  // namespace nacre
