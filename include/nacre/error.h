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

/// A piece of a message: text, a number, a shape or a type. It refers to its argument and becomes
/// text only when the message is made, so a check that holds costs next to nothing. Use it within
/// one expression.
class Piece {
 public:
  Piece(std::string_view s) : kind_(Kind::text), text_(s) {}
  Piece(const char* s) : Piece(std::string_view(s)) {}
  Piece(const std::string& s) : Piece(std::string_view(s)) {}
  /// "8x3x32x32"; see as_list for other lists of numbers.
  Piece(const Shape& s) : kind_(Kind::shape), shape_(&s) {}
  Piece(DType t) : Piece(name_of(t)) {}
  Piece(double v) : kind_(Kind::real), real_(v) {}
  Piece(int v) : Piece(static_cast<long long>(v)) {}
  Piece(long v) : Piece(static_cast<long long>(v)) {}
  Piece(long long v) : kind_(Kind::integer), integer_(v) {}
  Piece(unsigned v) : Piece(static_cast<unsigned long>(v)) {}
  Piece(unsigned long v) : kind_(Kind::natural), natural_(v) {}
  std::string text() const;

 private:
  enum class Kind : uint8_t { text, shape, list, real, integer, natural };
  friend Piece as_list(const Shape& s);
  Kind kind_;
  union {
    std::string_view text_;
    const Shape* shape_;
    double real_;
    long long integer_;
    unsigned long natural_;
  };
};

/// "[2, 1]".
inline Piece as_list(const Shape& s) {
  Piece p(s);
  p.kind_ = Piece::Kind::list;
  return p;
}

/// The pieces as one string: cat({"got ", n, " rows"}).
std::string cat(std::initializer_list<Piece> pieces);

[[noreturn]] void fail(Error::Kind kind, std::initializer_list<Piece> pieces);

}  // namespace nacre
