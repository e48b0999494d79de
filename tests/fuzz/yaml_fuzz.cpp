#include "base/yaml.h"

#include "fuzz.h"

FUZZ_TARGET(yaml) {
  const nacre::Json value = nacre::parse_yaml(input, "input");
  // What was read can be printed and read again (NaN differs from itself, so texts are compared).
  const std::string text = nacre::print_yaml(value);
  if (nacre::print_yaml(nacre::parse_yaml(text, "printed")) != text) __builtin_trap();
}
