#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cgroup.h"

#if defined(_OPENMP) && !defined(NACRE_STD_THREADS)
#define NACRE_OPENMP_POOL
#include <omp.h>
#endif

namespace nacre {
namespace {

int default_threads() {
  if (const char* s = std::getenv("NACRE_THREADS"))
    if (const int n = std::atoi(s); n >= 1 && n <= 1024) return n;
#ifdef NACRE_OPENMP_POOL
  const int cores = omp_get_num_procs();  // also right if OMP_PROC_BIND keeps this thread on one
#else
  cpu_set_t set;
  const int cores = sched_getaffinity(0, sizeof(set), &set) == 0
                        ? CPU_COUNT(&set)
                        : static_cast<int>(std::thread::hardware_concurrency());
#endif
  const double most = cgroup_cores();
  return std::max(1, most > 0 ? std::min(cores, static_cast<int>(std::lround(most))) : cores);
}

std::atomic<int>& thread_count() {
  static std::atomic<int> n = default_threads();
  return n;
}

thread_local bool inside = false;

}  // namespace

int num_threads() { return thread_count().load(std::memory_order_relaxed); }

void set_num_threads(int n) {
  thread_count() = std::max(1, n);
#ifdef NACRE_OPENMP_POOL
  omp_set_num_threads(std::max(1, n));
#endif
}

void unbind_thread() {
#ifdef NACRE_OPENMP_POOL
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> cores(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, cores.data());
    for (const int core : cores)
      if (core < CPU_SETSIZE) CPU_SET(core, &set);
  }
  if (CPU_COUNT(&set) > 0) sched_setaffinity(0, sizeof(set), &set);
#endif
}

void parallel_for(int64_t n, int64_t grain, LoopBody body) {
  if (n <= 0) return;
  const int64_t pieces = std::min<int64_t>(
      num_threads(), (n + std::max<int64_t>(1, grain) - 1) / std::max<int64_t>(1, grain));
  if (pieces <= 1 || inside) {
    body(0, n);
    return;
  }
  std::exception_ptr error;
  std::mutex mutex;
  const auto run = [&](int64_t i) {
    inside = true;
    try {
      body(n * i / pieces, n * (i + 1) / pieces);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
    inside = false;
  };
#ifdef NACRE_OPENMP_POOL
#pragma omp parallel for num_threads(static_cast <int>(pieces)) schedule(static, 1)
  for (int64_t i = 0; i < pieces; ++i) run(i);
#else
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < pieces; ++i) threads.emplace_back(run, i);
  run(0);
  for (auto& t : threads) t.join();
#endif
  if (error) std::rethrow_exception(error);
}

}  // namespace nacre
