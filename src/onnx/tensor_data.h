// From tensors of a file to values.
#pragma once

#include <string>
#include <string_view>

#include "onnx/proto.h"

namespace nacre::onnx {

/// Where tensors of a file come from.
struct DataSource {
  std::string_view what;  ///< names the file in messages
  std::string folder;     ///< of external data; "": they are refused
};

/// The value of a tensor. Throws Error(data) if its data do not have the size that type and
/// dimensions say, or lie outside of what the source allows.
Value decode(const TensorProto& t, const DataSource& source);
/// The dense tensor, zero where nothing is stored.
Value decode(const SparseTensorProto& t, const DataSource& source);

/// Bytes of a regular file in `folder` or below it. Refuses absolute paths, "..", links of both
/// kinds, devices and pipes; throws Error(data) if the range is not within the file.
std::string read_inside(const std::string& folder, const std::string& location, int64_t offset,
                        int64_t length);

/// The bits of v taken for numbers of another type of the same width: integers, bool, and floats of
/// 16 bits or more. Evaluates; throws Error(data) for other types.
Value bits_as(const Value& v, Elem to);

/// v rounded to a float8, float6 or float4 type, to nearest even; beyond its range the largest
/// number if `saturate`, else what ONNX's Cast gives (NaN or infinity). `mode` is for float8e8m0:
/// "up", "down" or "nearest".
float round_to(Elem type, float v, bool saturate, std::string_view mode = "up");
/// The float8, float6 or float4 number with these bits.
float float8(Elem type, uint8_t bits);

}  // namespace nacre::onnx
