// What running costs: memory, compilations, growth; and that a failed plan changes nothing.
#include <gtest/gtest.h>

#include <map>

#include "compile/plan.h"
#include "graph/storage.h"
#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

std::vector<int64_t> labels(int64_t n) {
  std::vector<int64_t> y;
  for (int64_t i = 0; i < n; ++i) y.push_back(i % 10);
  return y;
}

struct LeNet {
  std::unique_ptr<Module> net = make_model("lenet5", "", Scope::init(Key(0)));
  AdamW optimizer{net->trainable(), {}};
  Tensor x = normal({16, 1, 32, 32}, Key(1)), y = Tensor::from(labels(16), {16});
  LeNet() { eval(x); }
  double step() {
    Context ctx = Context::train(Key(2));
    const Tensor loss = cross_entropy((*net)(x, ctx), y);
    optimizer.step(grad(loss, values(net->trainable())));
    ctx.commit();
    State* states[] = {net->state().get(), optimizer.state().get()};
    State::commit(states, {loss});
    return loss.item();
  }
};

TEST(Execution, TrainingStepsTakeNoNewBlocksAndNoNewPlans) {
  LeNet model;
  const double first = model.step();
  for (int i = 0; i < 10; ++i) model.step();
  const auto before = memory_stats();
  const auto plans = plan_stats();
  for (int i = 0; i < 50; ++i) model.step();
  EXPECT_EQ(memory_stats().heap_blocks, before.heap_blocks);
  EXPECT_EQ(memory_stats().live, before.live);
  EXPECT_EQ(plan_stats().compilations, plans.compilations);
  EXPECT_EQ(plan_stats().plain, plans.plain);
  EXPECT_LT(model.step(), first);
}

TEST(Execution, AScheduleAndDropoutCostOneCompilation) {
  const auto net = make_model("mlp", "in=16 hidden=8 dropout=0.5", Scope::init(Key(0)));
  AdamW optimizer(net->trainable(), {});
  Tensor x = normal({4, 16}, Key(1)), y = Tensor::from(labels(4), {4});
  eval(x);
  clear_plans();
  const auto rates = schedule::cosine(0.1, 40);
  for (int64_t t = 0; t < 40; ++t) {
    const auto start = plan_stats();
    Context ctx = Context::train(Key(static_cast<uint64_t>(t)));
    const Tensor loss = cross_entropy((*net)(x, ctx), y);
    optimizer.set_lr(rates->at(t));
    optimizer.step(grad(loss, values(net->trainable())));
    ctx.commit();
    State* states[] = {net->state().get(), optimizer.state().get()};
    const auto before = plan_stats();
    State::commit(states, {loss});
    const auto after = plan_stats();
    EXPECT_EQ(after.compilations - before.compilations, t == 0 ? 1u : 0u);
    // The first step also makes the optimiser's slots and the key of each mask.
    EXPECT_LE(before.compilations - start.compilations, t == 0 ? 4u : 0u);
    EXPECT_LE(after.plain - start.plain, t == 0 ? 3u : 0u);
  }
}

/// Optimisers whose rule changes with the step.
const std::map<std::string, int> kFurtherPlans = {{"radam", 1}, {"rprop", 1}};

TEST(Execution, AThousandStepsAreOneCompilation) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const Tensor x = normal({2, 1, 32, 32}, Key(1)), y = Tensor::from(labels(2), {2});
  eval({x, y});
  const auto trained = values(net->trainable());
  clear_plans();
  const auto before = plan_stats();
  for (int t = 0; t < 1000; ++t) {
    Context ctx = Context::train(Key(static_cast<uint64_t>(t)));
    const Tensors g = grad(cross_entropy((*net)(x, ctx), y), values(net->trainable()));
    for (size_t i = 0; i < g.size(); ++i) {
      Variable v = net->trainable()[i];
      v.set(v.value() - 0.001 * g[i]);
    }
    net->state()->commit();
  }
  const auto after = plan_stats();
  EXPECT_EQ(after.compilations - before.compilations, 1u);
  EXPECT_GE(after.hits - before.hits, 999u);
}

TEST(Execution, TheSecondStepIsThePlanOfTheFirst) {
  for (const std::string& name : optimizer_names()) {
    const auto net = make_model("mlp", "in=16 hidden=64", Scope::init(Key(0)));
    const auto optimizer = make_optimizer(name, net->trainable(), 1e-3, 0.01);
    Average average(net->trainable(), 0.9);
    Tensor x = normal({256, 16}, Key(1)), y = Tensor::from(labels(256), {256});
    eval(x);
    clear_plans();
    PlanStats first;
    size_t peak = 0;
    for (int t = 0; t < 10; ++t) {
      if (t == 1) {
        first = plan_stats();
        peak = memory_stats().peak;
      }
      if (t == 0) reset_peak_memory();
      Context ctx = Context::train(Key(2));
      const Tensor loss = cross_entropy((*net)(x, ctx), y);
      optimizer->step(grad(loss, values(net->trainable())));
      average.update();
      State* states[] = {net->state().get(), optimizer->state().get(), average.state().get()};
      State::commit(states, {loss});
    }
    const auto further = kFurtherPlans.find(name);
    EXPECT_EQ(plan_stats().compilations - first.compilations,
              further == kFurtherPlans.end() ? 0u : static_cast<size_t>(further->second))
        << name;
    EXPECT_EQ(plan_stats().plain, first.plain) << name;
    EXPECT_LE(memory_stats().peak, peak) << name;
  }
}

TEST(Execution, OtherDonationsAndStridesAreNoOtherShape) {
  const auto f = [](const Tensor& x) { return sum(exp(x * 0.5) * x); };
  const Tensor kept = uniform({6, 6}, Key(0)), turned = transpose(uniform({6, 6}, Key(1)), 0, 1);
  eval({kept, turned});
  clear_plans();
  const auto before = plan_stats();
  Tensor given = Tensor::from(std::vector<float>(36, 0.5f), {6, 6});
  const Tensor results[] = {f(kept), f(turned), f(given)};
  given = Tensor();
  for (const Tensor& r : results) eval(r);
  EXPECT_EQ(plan_stats().plain, before.plain);
  EXPECT_EQ(plan_stats().compilations - before.compilations, 3u);
  // A new shape is still run as it comes.
  eval(f(Tensor::from(std::vector<float>(42, 0.5f), {7, 6})));
  EXPECT_GT(plan_stats().plain, before.plain);
}

TEST(Execution, TheOrderOfWhatIsAskedForIsNoOtherShape) {
  const auto f = [](const Tensor& x) { return Tensors{sum(exp(x)), sum(x * 2)}; };
  const auto at = [](int64_t n) { return Tensor::from(std::vector<float>(n, 0.5f), {n}); };
  clear_plans();
  eval(f(at(6)));
  const auto before = plan_stats();
  const Tensor x = at(7);
  eval(f(x));  // as it comes, and known from now on
  EXPECT_EQ(plan_stats().plain - before.plain, 1u);
  const Tensors r = f(x);
  eval({r[1], r[0]});
  EXPECT_EQ(plan_stats().plain - before.plain, 1u);
  EXPECT_EQ(plan_stats().compilations - before.compilations, 1u);
}

TEST(Execution, ManyShapesCompileLittleAndKeepFewPlans) {
  clear_plans();
  const auto before = plan_stats();
  Rng rng{Key(1)};
  for (int i = 0; i < 200; ++i) {
    const int64_t length = 1 + static_cast<int64_t>(rng.below(1000));
    const Tensor x = normal({length, 4}, Key(static_cast<uint64_t>(i)));
    eval(sum(exp(x * 0.1) * x));
  }
  EXPECT_LT(plan_stats().compilations - before.compilations, 60u);
  EXPECT_LE(plan_stats().compilations - before.compilations + plan_stats().plain - before.plain,
            600u);
}

TEST(Execution, TheLeastRecentlyUsedPlansGoFirst) {
  clear_plans();
  const Tensor x = normal({3, 5}, Key(1));
  eval(x);
  const auto hot = [&] { return sum(exp(x * 0.1) * x).item(); };
  const double want = hot();
  const auto compiled = plan_stats().compilations;
  for (int64_t i = 1; i <= 4300; ++i) {
    eval(neg(Tensor::from(std::vector<float>(static_cast<size_t>(i), 1.f), {i})));
    if (i % 100 == 0) {
      EXPECT_EQ(hot(), want);
    }
  }
  EXPECT_EQ(plan_stats().compilations, compiled);
  EXPECT_EQ(plan_stats().cached_plans, 4096u);
}

TEST(Execution, PlansOfLongGraphsAreKeptUpToABoundInBytes) {
  clear_plans();
  size_t most = 0;
  for (int64_t i = 1; i <= 300; ++i) {  // 1,200 steps each; a hundred of them fit
    Tensor x = zeros({i});
    for (int k = 0; k < 600; ++k) x = exp(x * 0.5);
    eval(x);
    most = std::max(most, plan_stats().cached_bytes);
  }
  EXPECT_LE(most, size_t{256} << 20);
  EXPECT_GT(most, size_t{200} << 20);
  EXPECT_LT(plan_stats().cached_plans, 300u);
  clear_plans();
  EXPECT_EQ(plan_stats().cached_bytes, 0u);
}

TEST(Execution, TheDimensionThatKeepsChangingIsNamed) {
  clear_plans();
  const Tensor w = normal({4, 4}, Key(1));
  ::testing::internal::CaptureStderr();
  for (int round = 0; round < 2; ++round)
    for (int64_t length = 10; length < 22; ++length) {
      Tensor x = normal({2, length, 4}, Key(2));
      eval(x);
      x = matmul(x, w);
      for (int i = 0; i < 20; ++i) x = exp(x * 0.1) - 1.0;
      eval(x);
    }
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("dimension 1 of input"), std::string::npos) << text;
  EXPECT_NE(text.find("x4 and is now "), std::string::npos) << text;
}

TEST(Execution, RunningStatisticsDoNotGrow) {
  const Scope s = Scope::init(Key(0));
  const Variable mean_of = s.buffer("mean", {8}, init::zeros());
  Tensor x = normal({8}, Key(1));
  eval(x);
  size_t live = 0;
  for (int i = 0; i < 10000; ++i) {
    NoGrad guard;
    Variable v = mean_of;
    v.set(0.9 * v.value() + 0.1 * x);
    s.state()->commit();
    if (i == 100) live = memory_stats().live;
  }
  EXPECT_EQ(memory_stats().live, live);
  const auto got = mean_of.value().to_vector<float>(), want = x.to_vector<float>();
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(got[i], want[i], 1e-5);
}

TEST(Execution, AFailedStepLeavesParametersAndTrainingGoesOn) {
  const Scope s = Scope::init(Key(0));
  Embedding table(s / "table", {10, 4});
  SGD optimizer(table.trainable(), {.lr = 0.1, .momentum = 0.9});
  const auto step = [&](std::vector<int64_t> index) {
    Context ctx = Context::train(Key(0));
    const auto n = static_cast<int64_t>(index.size());
    const Tensor loss = mean(square(table(Tensor::from(index, {n}), ctx)));
    optimizer.step(grad(loss, values(table.trainable())));
    State* states[] = {table.state().get(), optimizer.state().get()};
    State::commit(states, {loss});
    return loss.item();
  };
  double loss = step({1, 2, 3});
  for (int i = 0; i < 3; ++i) {
    const auto before = table.weight.value().to_vector<float>();
    const auto momentum = optimizer.state()->variables()[0].value().to_vector<float>();
    EXPECT_THROW(step({1, 2, 99}), Error);
    EXPECT_EQ(table.weight.value().to_vector<float>(), before);
    EXPECT_EQ(optimizer.state()->variables()[0].value().to_vector<float>(), momentum);
    const double next = step({1, 2, 3});
    EXPECT_LT(next, loss);
    loss = next;
  }
}

/// The ops that the plan of f on x runs, each with a space after it.
std::string ops_run(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  const Graph graph = Graph::trace([&](const Tensors& in) { return Tensors{f(in[0])}; }, {x});
  const auto plan = compile(graph, {}, {false}, {});
  std::string list;
  for (const Plan::Step& s : plan->steps) list += cat({s.op->name, " "});
  return list;
}

TEST(Execution, RangesAndWindowsAreComputedOnceIfTheyAreSmall) {
  const auto range = [](int64_t n) {
    return ops_run([&](const Tensor& x) { return x + arange(0, n, 1, DType::f64); },
                   zeros({n}, DType::f64));
  };
  EXPECT_EQ(range(1 << 17), "add ");  // 1 MiB
  EXPECT_EQ(range((1 << 17) + 1), "arange add ");
  EXPECT_EQ(ops_run([](const Tensor& x) { return x * hann_window(400); }, zeros({400})), "mul ");
  // A fill stays a number that is expanded.
  EXPECT_EQ(ops_run([](const Tensor& x) { return x * full({400}, 2); }, zeros({400})), "mul ");
  const Tensor x = zeros({8}, DType::f64);
  Tensor y = x + arange(0, 8, 1, DType::f64);
  EXPECT_EQ(y.to_vector<double>(), (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace nacre
