// The first line is the header inference-header-content-length (empty: none), the rest the body.
#include "serve/protocol.h"

#include "fuzz.h"

FUZZ_TARGET(serve) {
  const size_t line = input.find('\n');
  if (line == input.npos) return;
  std::optional<std::string_view> header;
  if (line > 0) header = input.substr(0, line);
  const auto request = nacre::serve::parse_infer(input.substr(line + 1), header);
  for (const auto& in : request.inputs)
    if (in.bytes.size() != static_cast<size_t>(in.shape.numel()) * nacre::size_of(in.dtype))
      __builtin_trap();
}
