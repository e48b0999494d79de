// The one exception type of nacre.
//
//   try { model(x); } catch (const nacre::Error& e) { std::cerr << e.what() << "\n"; }
//
// The text is one sentence that says what was wrong, with the values that were wrong, for example
// "[conv2d] input has 3 channels, weight expects 64 (input 8x3x32x32, weight 128x64x3x3) at
// train.cpp:41".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre {

class Error : public std::runtime_error {
 public:
  enum class Kind {
    usage,        ///< an option or value that cannot be meant (exit code 2)
    shape,        ///< shapes, types or attributes that do not fit together
    data,         ///< a file or request whose content is not what it claims to be
    io,           ///< reading or writing failed
    memory,       ///< an allocation that failed or that a limit forbids
    numeric,      ///< NaN, infinity, a singular matrix
    cancelled,    ///< stopped on request
    unsupported,  ///< valid, but not implemented
    internal,     ///< a bug in nacre
  };
  Error(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

/// A piece of a message: text, a number, a shape or a type.
class Piece {
 public:
  Piece(const char* s) : text_(s) {}
  Piece(std::string s) : text_(std::move(s)) {}
  Piece(std::string_view s) : text_(s) {}
  Piece(const Shape& s) : text_(s.str()) {}
  Piece(DType t) : text_(name_of(t)) {}
  Piece(double v);
  Piece(int v) : text_(std::to_string(v)) {}
  Piece(long v) : text_(std::to_string(v)) {}
  Piece(long long v) : text_(std::to_string(v)) {}
  Piece(unsigned v) : text_(std::to_string(v)) {}
  Piece(unsigned long v) : text_(std::to_string(v)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The pieces as one string: cat({"got ", n, " rows"}).
std::string cat(std::initializer_list<Piece> pieces);

[[noreturn]] void fail(Error::Kind kind, std::initializer_list<Piece> pieces);

}  // namespace nacre
