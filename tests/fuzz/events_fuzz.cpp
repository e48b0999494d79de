#include <bit>
#include <cstring>
#include <string>

#include "base/hash.h"
#include "fuzz.h"
#include "nacre/formats.h"

/// A record with good checksums around a message, so that inputs get past them.
static std::string framed(std::string_view message) {
  const auto masked = [](std::string_view s) {
    return std::rotr(nacre::crc32c(s), 15) + 0xa282ead8u;
  };
  std::string record(12, '\0');
  const uint64_t size = message.size();
  std::memcpy(record.data(), &size, 8);
  uint32_t crc = masked({record.data(), 8});
  std::memcpy(record.data() + 8, &crc, 4);
  record += message;
  crc = masked(message);
  return record.append(reinterpret_cast<const char*>(&crc), 4);
}

static void read_events(std::string_view input) {
  for (const nacre::Event& event : nacre::parse_events(input, "input"))
    for (const nacre::SummaryValue& v : event.values) touch(v.bytes.data(), v.bytes.size());
}

FUZZ_TARGET(events) {
  try {
    read_events(input);
  } catch (const nacre::Error&) {
  }
  read_events(framed(input));
}
