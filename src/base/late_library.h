// Functions of shared libraries that few runs need: such a library and all that it needs itself are
// loaded when the first of its functions is called, not when the program starts.
#pragma once

#include <atomic>

namespace nacre {

class LateLibrary {
 public:
  /// `file`: as the dynamic loader looks for it, "libpq.so.5"; `package`: Debian's, for the error.
  constexpr LateLibrary(const char* file, const char* package) : file_(file), package_(package) {}
  /// The address of a function. Throws Error(unsupported) if there is no such library or function.
  void* find(const char* function) const;

 private:
  const char *file_, *package_;
};

/// Stands for a function of the same name and type, which nothing then links to:
///   const LateFunction<decltype(::PQclear)> PQclear(library, "PQclear");
template <class F>
class LateFunction;

template <class R, class... A>
class LateFunction<R(A...)> {
 public:
  constexpr LateFunction(const LateLibrary& library, const char* name)
      : library_(library), name_(name) {}
  using Pointer = R (*)(A...);
  R operator()(A... a) const { return Pointer(*this)(a...); }
  operator Pointer() const {
    void* at = address_.load(std::memory_order_acquire);
    if (!at) address_.store(at = library_.find(name_), std::memory_order_release);
    return reinterpret_cast<Pointer>(at);
  }

 private:
  const LateLibrary& library_;
  const char* name_;
  mutable std::atomic<void*> address_ = nullptr;
};

}  // namespace nacre
