#include "nacre/precision.h"

#include "nacre/error.h"

namespace nacre {
namespace {
thread_local DType current = DType::f32;
}

Precision::Precision(DType type) : before_(current) {
  if (type != DType::f32 && type != DType::bf16)
    fail(Error::Kind::usage, {"[Precision] is f32 or bf16, not ", type});
  current = type;
}
Precision::Precision(const std::string& type)
    : Precision(type == "f32"    ? DType::f32
                : type == "bf16" ? DType::bf16
                                 : (fail(Error::Kind::usage,
                                         {"precision should be f32 or bf16, not '", type, "'"}),
                                    DType::f32)) {}
Precision::~Precision() { current = before_; }
DType Precision::now() { return current; }

}  // namespace nacre
