#include "base/json.h"
#include "fuzz.h"

FUZZ_TARGET(json) {
  const nacre::Json value = nacre::parse_json(input, "input");
  if (nacre::parse_json(nacre::print_json(value, 1), "printed") != value) __builtin_trap();
}
