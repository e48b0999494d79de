// What the readers of arrays share: checks of shapes, and tensors that are safe to use.
#pragma once

#include <memory>
#include <string_view>

#include "nacre/formats.h"

namespace nacre {

/// Bytes of a tensor of this shape. Throws Error(data), naming `what`, for negative sizes, more
/// than 32 dimensions and products beyond what memory can hold (zero sizes counted as one).
uint64_t checked_bytes(const Shape& shape, DType dtype, std::string_view what);

/// A tensor over the first checked_bytes() of `bytes`. Copied if it is not aligned or has booleans
/// other than 0 and 1; else it points into `bytes`.
RawTensor tensor_over(std::string_view bytes, DType dtype, const Shape& shape,
                      const std::shared_ptr<const void>& owner);

/// Memory for a tensor; fill it through the returned pointer.
char* allocate_tensor(RawTensor& tensor);

}  // namespace nacre
