// Parallel loops over the cores that compute kernels may use.
#pragma once

#include <cstdint>
#include <functional>

namespace nacre {

/// Threads that compute loops use. Default: NACRE_THREADS, else the cores this process may run on.
int num_threads();
void set_num_threads(int n);

/// Calls body(begin, end) over pieces of [0, n), at least `grain` long each, on up to num_threads()
/// threads. The pieces depend only on n, grain and num_threads(). Exceptions of a piece are
/// rethrown here. Runs in the OpenMP pool that the kernel library uses too; nested calls run on the
/// calling thread.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace nacre
