#include "formats/raw.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "nacre/error.h"

namespace nacre {

uint64_t checked_bytes(const Shape& shape, DType dtype, std::string_view what) {
  constexpr uint64_t kLimit = uint64_t{1} << 62;
  if (shape.rank() > 32) fail(Error::Kind::data, {what, " has ", shape.rank(), " dimensions"});
  uint64_t most = size_of(dtype), bytes = most;
  for (int64_t d : shape) {
    if (d < 0) fail(Error::Kind::data, {what, " has the negative size ", d});
    const auto size = static_cast<uint64_t>(std::max<int64_t>(1, d));
    if (most > kLimit / size)
      fail(Error::Kind::data, {what, " has an impossible shape ", shape.list()});
    most *= size;
    bytes *= static_cast<uint64_t>(d);
  }
  return bytes;
}

char* allocate_tensor(RawTensor& tensor) {
  constexpr std::align_val_t kAlignment{64};
  const size_t bytes = std::max<size_t>(1, tensor.bytes());
  void* memory = ::operator new(bytes, kAlignment, std::nothrow);
  if (!memory) fail(Error::Kind::memory, {"no memory for an array of ", bytes, " bytes"});
  tensor.owner = std::shared_ptr<const void>(
      memory, [](const void* p) { ::operator delete(const_cast<void*>(p), kAlignment); });
  tensor.data = memory;
  return static_cast<char*>(memory);
}

RawTensor tensor_over(std::string_view bytes, DType dtype, const Shape& shape,
                      const std::shared_ptr<const void>& owner) {
  RawTensor tensor{dtype, shape, bytes.data(), owner};
  const size_t n = tensor.bytes();
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % size_of(dtype) == 0;
  const auto is_bool = [](char c) { return c == 0 || c == 1; };
  const bool odd =
      dtype == DType::boolean && !std::all_of(bytes.begin(), bytes.begin() + n, is_bool);
  if (aligned && !odd) return tensor;
  char* copy = allocate_tensor(tensor);
  if (n) std::memcpy(copy, bytes.data(), n);
  if (odd) std::transform(copy, copy + n, copy, [](char c) { return static_cast<char>(c != 0); });
  return tensor;
}

}  // namespace nacre
