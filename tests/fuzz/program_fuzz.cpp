// Program files, alone or behind an executable. What one says is run if it is little work.
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "embed/trailer.h"
#include "fuzz.h"
#include "nacre/runtime.h"

/// The checksum is made to fit: nothing would get past it.
FUZZ_TARGET(program) {
  constexpr size_t kSigned = 16;
  const std::string_view behind = nacre::embed::appended(input);
  const auto bytes = std::make_shared<std::string>(behind.empty() ? input : behind);
  if (bytes->size() > kSigned) {
    const uint32_t checksum = nacre::crc32c(std::string_view(*bytes).substr(kSigned));
    std::memcpy(bytes->data() + kSigned - sizeof checksum, &checksum, sizeof checksum);
  }
  const nacre::Runtime net(*bytes, bytes, "input");
  if (net.work_bytes() > 1 << 16) return;
  std::vector<std::vector<double>> values;
  const auto room_for = [&](const std::vector<nacre::Runtime::Port>& ports) {
    std::vector<double*> places;
    for (const auto& port : ports) {
      values.emplace_back(static_cast<size_t>(std::abs(port.shape.numel())));
      places.push_back(values.back().data());
    }
    return places;
  };
  const auto from = room_for(net.inputs()), to = room_for(net.outputs());
  const std::vector<const void*> in(from.begin(), from.end());
  const std::vector<void*> out(to.begin(), to.end());
  net.run(in, out);
  for (const auto& v : values) touch(v.data(), v.size() * sizeof(double));
}
