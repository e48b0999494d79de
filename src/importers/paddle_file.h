// A program of PaddlePaddle and its arrays, as read from the wire (framework.proto).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nacre {

/// Types of elements and of variables.
enum class PaddleType : int64_t {
  boolean = 0,
  i16 = 1,
  i32 = 2,
  i64 = 3,
  f16 = 4,
  f32 = 5,
  f64 = 6,
  u8 = 20,
  i8 = 21,
  bf16 = 22,
};
/// The number that ONNX has for it. Throws Error(unsupported) if there is none.
int64_t onnx_number(PaddleType t);
/// Bytes of an element.
int64_t size_of(PaddleType t);

struct PaddleVariable {
  PaddleType type = PaddleType::f32;
  std::vector<int64_t> dims;  ///< -1: open
  bool stored = false;        ///< its values are in the file of arrays
};

struct PaddleOp {
  std::string type;
  std::map<std::string, std::vector<std::string>> inputs, outputs;  ///< variables by parameter
  struct Attribute {
    int64_t i = 0;
    double f = 0;
    std::string s;
    std::vector<int64_t> ints;
    std::vector<double> floats;
    bool is_real = false;
  };
  std::map<std::string, Attribute> attributes;

  int64_t i(const std::string& name, int64_t otherwise = 0) const;
  bool b(const std::string& name, bool otherwise = false) const { return i(name, otherwise); }
  double f(const std::string& name, double otherwise = 0) const;
  std::string s(const std::string& name, const std::string& otherwise = "") const;
  const std::vector<int64_t>& is(const std::string& name) const;
  /// The variables of a parameter; none if it is not given.
  const std::vector<std::string>& in(const std::string& parameter) const;
  const std::vector<std::string>& out(const std::string& parameter) const;
};

struct PaddleProgram {
  std::map<std::string, PaddleVariable> variables;
  std::vector<PaddleOp> ops;  ///< of the first block
};
PaddleProgram read_paddle_program(std::string_view bytes, std::string_view what);

struct PaddleArray {
  PaddleType type = PaddleType::f32;
  std::vector<int64_t> dims;
  std::string_view data;
};
/// Takes one array off the front of `bytes`.
PaddleArray read_paddle_array(std::string_view& bytes, std::string_view what);

}  // namespace nacre
