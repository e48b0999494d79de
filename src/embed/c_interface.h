// What the two forms of the C interface share, the whole library's (predict/c.cpp) and the
// runtime's (apps/runtime/c.cpp): errors as codes, checked pointers, ports.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "nacre.h"
#include "nacre/dtype.h"
#include "nacre/error.h"
#include "nacre/shape.h"

namespace nacre::c {

static_assert(static_cast<int>(DType::boolean) == nacre_bool &&
              static_cast<int>(DType::i64) == nacre_i64 &&
              static_cast<int>(DType::f16) == nacre_f16);

inline thread_local std::string last_error;

/// The number that a caller gave as a type, which may be none of nacre_type's.
inline int type_of(const nacre_tensor& t) {
  int type = 0;
  static_assert(sizeof(type) == sizeof(t.type));
  std::memcpy(&type, &t.type, sizeof(type));
  return type;
}

inline nacre_status status_of(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::usage:
      return nacre_usage;
    case Error::Kind::shape:
      return nacre_shape;
    case Error::Kind::data:
      return nacre_data;
    case Error::Kind::io:
      return nacre_io;
    case Error::Kind::memory:
      return nacre_memory;
    case Error::Kind::numeric:
      return nacre_numeric;
    case Error::Kind::unsupported:
      return nacre_unsupported;
    case Error::Kind::cancelled:
    case Error::Kind::internal:
      break;
  }
  return nacre_internal;
}

inline nacre_status failed(nacre_status status, const char* text) noexcept {
  try {
    last_error = text;
  } catch (...) {
  }
  return status;
}

/// Runs `f`; what it throws becomes a code and a text.
template <typename F>
nacre_status guarded(F f) noexcept {
  last_error.clear();
  try {
    f();
    return nacre_ok;
  } catch (const Error& e) {
    return failed(status_of(e.kind()), e.what());
  } catch (const std::bad_alloc&) {
    return failed(nacre_memory, "out of memory");
  } catch (const std::exception& e) {
    return failed(nacre_internal, e.what());
  }
}

template <typename T>
T& given(T* p, const char* what) {
  if (!p) fail(Error::Kind::usage, {what, " is a null pointer"});
  return *p;
}

/// Port: name, dtype and shape, as Predictor and Runtime have them.
template <typename Port>
void describe(const std::vector<Port>& ports, size_t number, nacre_port* to, const char* what) {
  if (number >= ports.size())
    fail(Error::Kind::usage,
         {"the model has ", ports.size(), " ", what, "s, there is no number ", number});
  const Port& p = ports[number];
  if (p.shape.rank() > NACRE_MAX_RANK)
    fail(Error::Kind::unsupported, {what, " '", p.name, "' has rank ", p.shape.rank()});
  nacre_port& port = given(to, "port");
  port.name = p.name.c_str();
  port.type = static_cast<nacre_type>(p.dtype);
  port.rank = static_cast<int>(p.shape.rank());
  std::fill(std::begin(port.shape), std::end(port.shape), 0);
  std::copy(p.shape.begin(), p.shape.end(), port.shape);
}

}  // namespace nacre::c
