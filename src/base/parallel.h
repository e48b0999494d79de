// Parallel loops over the cores that compute kernels may use.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace nacre {

/// Threads that compute loops use. Default: NACRE_THREADS, else the cores this process may run on.
int num_threads();
void set_num_threads(int n);

/// Lets this thread run on all cores of the OpenMP pool again. With OMP_PROC_BIND the runtime keeps
/// it on one when the program starts, and programs that it starts inherit that.
void unbind_thread();

/// The body of a loop: refers to a callable with (begin, end), which has to outlive it. Unlike
/// std::function it never allocates.
class LoopBody {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, LoopBody>) LoopBody(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, int64_t begin, int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, int64_t, int64_t);
};

/// Calls body(begin, end) over pieces of [0, n), at least `grain` long each, on up to num_threads()
/// threads. The pieces depend only on n, grain and num_threads(). Exceptions of a piece are
/// rethrown here. Runs in the OpenMP pool that the kernel library uses too; nested calls run on the
/// calling thread.
void parallel_for(int64_t n, int64_t grain, LoopBody body);

}  // namespace nacre
