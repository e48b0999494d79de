// Between tensors and the arrays of files.
#include "nacre/tensor.h"
#include "nacre/formats.h"

namespace nacre {

RawTensor raw_tensor(const Tensor& t) { return {t.dtype(), t.shape(), t.data(), nullptr}; }

Tensor copied_tensor(const RawTensor& data) {
  return Tensor::from_bytes(data.data, data.bytes(), data.shape, data.dtype);
}

Tensor shared_tensor(const RawTensor& data) {
  return Tensor::wrap(data.owner, data.data, data.shape, data.dtype);
}

}  // namespace nacre
