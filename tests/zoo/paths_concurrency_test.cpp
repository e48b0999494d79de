// Paths of one network that run at the same time.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "nacre/op.h"
#include "nacre/ops.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr int kPaths = 3;

/// Where threads wait until all paths are being computed.
struct Meeting {
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0, left_alone = 0;
} meeting;

// x, once all paths have come here.
const OpDef op_meet_all_paths = {
    .name = "meet_all_paths",
    .infer = [](Infer& in) { in.out(in.dtype(0), in.shape(0)); },
    .ref =
        [](Ref& r) {
          std::unique_lock lock(meeting.mutex);
          ++meeting.inside;
          meeting.changed.notify_all();
          if (!meeting.changed.wait_for(lock, std::chrono::seconds(20),
                                        [] { return meeting.inside >= kPaths; }))
            ++meeting.left_alone;
          for (int64_t i = 0; i < r.out().n; ++i) r.out().d[i] = r.in(0).d[i];
        },
};

TEST(Multipath, PathsRunAtTheSameTime) {
  NoGrad guard;
  const auto net = make_model("multipath", "channels=1 stages=1", Scope::init(Key(0)));
  const Tensor x = normal({4, 1, 32, 32}, Key(1));
  const auto record = [&](Tensors& paths) {
    Context ctx = Context::eval();
    for (int p = 1; p <= kPaths; ++p) ctx.taps["stage1.path" + std::to_string(p)] = {};
    const Tensor y = (*net)(x, ctx);
    for (const auto& [name, path] : ctx.taps) paths.push_back(path);
    return y;
  };
  Tensors paths, again;
  const std::vector<float> serial = record(again).to_vector<float>();

  const Tensor y = record(paths);
  ASSERT_EQ(paths.size(), static_cast<size_t>(kPaths));
  std::vector<std::thread> threads;
  for (const Tensor& path : paths)
    threads.emplace_back([path] { eval(Tensors{path, make(op_meet_all_paths, {path})}); });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(meeting.inside, kPaths);
  EXPECT_EQ(meeting.left_alone, 0);

  const std::vector<float> concurrent = y.to_vector<float>();  // of the paths' values
  ASSERT_EQ(concurrent.size(), serial.size());
  for (size_t i = 0; i < serial.size(); ++i) EXPECT_NEAR(concurrent[i], serial[i], 1e-6);
}

}  // namespace
}  // namespace nacre
