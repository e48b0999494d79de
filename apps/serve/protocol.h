// The bodies of the Open Inference Protocol (KServe v2): tensors as JSON, or as bytes behind it.
// https://github.com/kserve/open-inference-protocol
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre::serve {

/// "FP32" and so on; throws Error(data) naming `where` for types that do not exist or that nacre
/// does not compute in.
DType dtype_of_name(std::string_view name, std::string_view where);
std::string_view datatype_of(DType t);

/// The first 60 bytes of a text of a request, for messages.
std::string shown(std::string_view text);

struct InferInput {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::string bytes;  ///< values, row-major
};

struct InferRequest {
  std::string id;
  std::vector<InferInput> inputs;
  struct Output {
    std::string name;
    std::optional<bool> binary;
    int64_t classes = 0;  ///< best classes as text instead of the values; 0: values
  };
  std::vector<Output> outputs;  ///< empty: all
  bool binary = false;          ///< outputs that do not say
};

/// Reads a request. `json_bytes`: length of the JSON before the tensors' bytes, if the header
/// inference-header-content-length was given. Throws Error(data) that names the field.
InferRequest parse_infer(std::string_view body, std::optional<std::string_view> json_bytes);

/// What to write for numbers that JSON does not have.
enum class NotFinite { null, text, refuse };

struct InferOutput {
  std::string name, datatype;
  Shape shape;
  std::string bytes;               ///< values; of texts empty
  std::vector<std::string> texts;  ///< for BYTES
  DType dtype = DType::f32;
  bool binary = false;
};

struct InferResponse {
  std::string body;
  size_t json_bytes = 0;  ///< of the JSON before the bytes; 0: all is JSON
  int64_t not_finite = 0;
};

/// Throws Error(numeric) if a value is not finite and that is to be refused.
InferResponse write_infer(const std::string& model, const std::string& version,
                          const std::string& id, const std::vector<InferOutput>& outputs,
                          NotFinite how);

/// A number as JSON has it, in few digits that give the same f32 (or f64) back; `text` for what is
/// not finite. Counts those.
void append_number(std::string& out, double v, bool f64, NotFinite how, int64_t& not_finite);
void append_text(std::string& out, std::string_view text);

}  // namespace nacre::serve
