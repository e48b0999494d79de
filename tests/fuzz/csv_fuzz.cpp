// Tables and labelled text: the first byte says which, and the task.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/readers.h"
#include "nacre/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 1) return 0;
  const std::string rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    if (bytes[0] % 4 == 3) {
      const auto d = nacre::data::text_dataset(rest, {}, "fuzz");
      for (int64_t i = 0; i < d->size() && i < 10; ++i) d->get(i);
      return 0;
    }
    nacre::CsvOptions options;
    options.task = static_cast<nacre::Task>(bytes[0] % 4);
    const auto d = nacre::data::csv_dataset(rest, options, "fuzz");
    for (int64_t i = 0; i < d->size() && i < 10; ++i) d->get(i);
    const auto& schema = *nacre::table_schema(*d);
    // Text that is not UTF-8 changes when written; else the schema comes back as it was.
    bool ascii = true;
    for (const char c : rest) ascii = ascii && c > 0;
    if (ascii && nacre::TableSchema::from_json(schema.to_json()) != schema) std::abort();
  } catch (const nacre::Error&) {
  }
  return 0;
}
