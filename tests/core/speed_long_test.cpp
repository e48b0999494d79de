// Compiled plans beside the same source op by op (eager), and four threads beside one.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "base/parallel.h"
#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

class Threads {
 public:
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = num_threads();
};

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Least time that `steps` calls take in each of two modes, by turns, so that both have the same
/// machine. Each is called some times first.
struct Times {
  double first = 1e9, second = 1e9;
  double ratio() const { return second / first; }
};
Times by_turns(double (*clock)(), int rounds, int steps, const std::function<void()>& first,
               const std::function<void()>& second) {
  Times least;
  for (int round = -1; round < rounds; ++round)
    for (const auto& [run, best] : {std::pair{&first, &least.first}, {&second, &least.second}}) {
      const double start = clock();
      for (int i = 0; i < steps; ++i) (*run)();
      if (round >= 0) *best = std::min(*best, (clock() - start) / steps);
    }
  return least;
}

/// One step after another, in one of the modes.
std::function<void()> in_mode(bool eager, const std::function<void()>& step) {
  return [=] {
    set_eager(eager);
    step();
    set_eager(false);
  };
}

/// A model, and a step of training on noise with SGD.
std::function<void()> training(const char* model, const char* options, const Shape& input) {
  struct Job {
    std::unique_ptr<Module> net;
    Tensor x, y;
    SGD optimizer{net->trainable(), {.lr = 0.01, .momentum = 0.9}};
  };
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < input[0]; ++i) labels.push_back(i % 10);
  const std::shared_ptr<Job> job(new Job{make_model(model, options, Scope::init(Key(0))),
                                         normal(input, Key(1)), Tensor::from(labels, {input[0]})});
  eval(job->x);
  return [job] {
    Context ctx = Context::train(Key(2));
    const Tensor loss = cross_entropy((*job->net)(job->x, ctx), job->y);
    job->optimizer.step(grad(loss, values(job->net->trainable())));
    ctx.commit();
    State* states[] = {job->net->state().get(), job->optimizer.state().get()};
    State::commit(states, {loss});
  };
}

TEST(Speed, ManySmallOpsAreFasterCompiled) {
  const Threads one(1);
  const auto chain = [] {  // as in bench/small_ops.cpp
    const auto s = std::make_shared<Scope>(Scope::init(Key(0)));
    const Variable w = s->parameter("w", {256}, init::normal());
    return [=] {
      Tensor h = w.value();
      for (int i = 0; i < 40; ++i) h = tanh(h * 0.9 + 0.1) + h * h * 0.01;
      const Tensor loss = mean(h);
      Variable v = w;
      v.set(v.value() - 0.01 * grad(loss, {w.value()})[0]);
      s->state()->commit({loss});
    };
  };
  const Times t =
      by_turns(processor_seconds, 10, 20, in_mode(false, chain()), in_mode(true, chain()));
  std::printf("1 step of 320 small ops: %.0f us compiled, %.0f eager\n", 1e6 * t.first,
              1e6 * t.second);
  EXPECT_GE(t.ratio(), 1.2);
}

TEST(Speed, CompiledStepsAreNoSlowerThanEagerOnes) {
  const Threads one(1);
  const struct {
    const char *model, *options;
    Shape input;
    int rounds, steps;
  } all[] = {{"lenet5", "", {64, 1, 32, 32}, 8, 10}, {"resnet18", "", {2, 3, 224, 224}, 4, 1}};
  for (const auto& m : all) {
    const auto make = [&](bool eager) {
      return in_mode(eager, training(m.model, m.options, m.input));
    };
    const Times t = by_turns(processor_seconds, m.rounds, m.steps, make(false), make(true));
    std::printf("%s: %.2f ms compiled, %.2f eager\n", m.model, 1e3 * t.first, 1e3 * t.second);
    EXPECT_GE(t.ratio(), 1) << m.model;
    clear_plans();
  }
}

/// Cores that may be used; two threads of one core count as one.
size_t cores() {
  std::set<std::string> seen;
  std::ifstream info("/proc/cpuinfo");
  std::string package;
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("physical id")) package = line;
    if (line.starts_with("core id")) seen.insert(package + line);
  }
  const size_t threads = std::thread::hardware_concurrency();
  return seen.empty() ? threads : std::min(threads, seen.size());
}

TEST(Speed, FourThreadsOnResNet50) {
  if (cores() < 4) GTEST_SKIP() << "needs 4 cores";
  const auto net = make_model("resnet50", "", Scope::init(Key(0)));
  const Tensor x = normal({4, 3, 224, 224}, Key(1));
  eval(x);
  const auto forward = [&](int threads) {
    return [&, threads] {
      const Threads use(threads);
      const NoGrad guard;
      Context ctx = Context::eval();
      eval((*net)(x, ctx));
    };
  };
  const Times t = by_turns(wall_seconds, 5, 2, forward(4), forward(1));
  std::printf("resnet50: %.1f ms on 4 threads, %.1f on 1\n", 1e3 * t.first, 1e3 * t.second);
  EXPECT_GE(t.ratio(), 2.5);
}

}  // namespace
}  // namespace nacre
