// The text of a pipeline, which model files and settings hold.
#include <cctype>
#include <string>

#include "fuzz.h"
#include "nacre/transforms.h"

FUZZ_TARGET(transform) {
  const nacre::Transform transform = nacre::Transform::parse(input);
  const std::string text = transform.str();
  if (nacre::Transform::parse(text).str() != text) __builtin_trap();
  // What can be parsed can be run on a small picture; resize(9000) is right, but takes long.
  for (size_t i = 2; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      return std::isdigit(static_cast<unsigned char>(text[at]));
    };
    if (digit(i) && digit(i - 1) && digit(i - 2)) return;
    if (digit(i) && text[i - 1] == '+') return;  // 1e+05
  }
  nacre::Sample sample;
  sample.image.width = 5;
  sample.image.height = 4;
  sample.image.channels = 3;
  sample.image.pixels.assign(60, 0.25f);
  transform.apply(sample, true, nacre::Key(1));
}
