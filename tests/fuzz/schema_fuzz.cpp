// The columns of a table, as a model file holds them.
#include "fuzz.h"
#include "nacre/data.h"

FUZZ_TARGET(schema) {
  const auto schema = nacre::TableSchema::from_json(input);
  if (nacre::TableSchema::from_json(schema.to_json()) != schema) __builtin_trap();
}
