#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/parallel.h"

namespace nacre {
namespace {

/// Sets the number of threads and puts the old one back.
class Threads {
 public:
  explicit Threads(int n) : old_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(old_); }

 private:
  int old_;
};

TEST(Parallel, EachIndexOnce) {
  for (const int threads : {1, 2, 3, 8})
    for (const int64_t n : {0, 1, 2, 7, 64, 1001}) {
      const Threads set(threads);
      std::vector<int> hits(static_cast<size_t>(n), 0);
      parallel_for(n, 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
      });
      EXPECT_EQ(hits, std::vector<int>(static_cast<size_t>(n), 1)) << n << " on " << threads;
    }
}

TEST(Parallel, PiecesRespectTheGrain) {
  const Threads set(4);
  std::atomic<int> pieces = 0;
  parallel_for(100, 60, [&](int64_t begin, int64_t end) {
    EXPECT_GE(end - begin, 50);
    ++pieces;
  });
  EXPECT_LE(pieces, 2);
}

TEST(Parallel, NestedLoopsStayOnTheirThread) {
  const Threads set(4);
  std::atomic<int64_t> sum = 0;
  parallel_for(4, 1, [&](int64_t, int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(100, 1, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      sum += end - begin;
    });
  });
  EXPECT_EQ(sum, 400);
}

TEST(Parallel, ExceptionsArriveAndTheNextLoopWorks) {
  const Threads set(4);
  EXPECT_THROW(parallel_for(8, 1,
                            [](int64_t begin, int64_t) {
                              if (begin >= 4) throw std::runtime_error("piece");
                            }),
               std::runtime_error);
  std::atomic<int64_t> sum = 0;
  parallel_for(8, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  EXPECT_EQ(sum, 8);
}

TEST(Parallel, LoopsOfSeveralThreadsAtOnce) {
  const Threads set(3);
  std::vector<int64_t> sums(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < sums.size(); ++t)
    threads.emplace_back([&sums, t] {
      for (int round = 0; round < 20; ++round) {
        std::atomic<int64_t> sum = 0;
        parallel_for(1000, 10, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) sum += i;
        });
        sums[t] += sum;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sums, std::vector<int64_t>(4, 20 * 999 * 1000 / 2));
}

}  // namespace
}  // namespace nacre
