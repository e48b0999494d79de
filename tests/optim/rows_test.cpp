// Updates of a few rows of a table: what the pass "rows" makes of them against dense updates.
#include <gtest/gtest.h>

#include <map>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

constexpr int64_t kRows = 400, kWidth = 5;

/// A table of vectors, looked up at two places, with rows that occur several times.
struct Lookup {
  Scope scope = Scope::init(Key(0));
  Variable table = scope.parameter("table", {kRows, kWidth}, init::uniform(-1, 1));

  Tensor loss(int64_t step) const {
    const Tensor some = remainder(arange(0, 24) * 7 + step, 90);
    const Tensor more = reshape(cast(remainder(arange(0, 8) * 3 + step, 11), DType::i32), {2, 4});
    const Tensor a = embedding(table.value(), some, 3), b = embedding(table.value(), more);
    return sum(a * a * 0.7) + sum(tanh(b));
  }
};

using Make = std::unique_ptr<Optimizer> (*)(std::vector<Variable>);

/// The table after some steps, and how often rows were updated; `only` is a condition on steps.
std::vector<float> trained(Make make, bool passes, uint64_t& updates, bool conditional = false) {
  clear_plans();
  set_passes(passes);
  set_profiling(true);
  Lookup p;
  const auto o = make({p.table});
  for (int64_t t = 0; t < 6; ++t) {
    const Tensor loss = p.loss(t);
    o->step(grad(loss, {p.table.value()}), conditional ? Tensor(t != 2) : Tensor());
    State* states[] = {p.scope.state().get(), o->state().get()};
    State::commit(states, {loss});
  }
  updates = 0;
  for (const ProfileLine& l : profile())
    if (l.label.starts_with("update_rows")) updates += l.calls;
  set_profiling(false);
  set_passes(true);
  return p.table.value().to_vector<float>();
}

template <typename O, typename Options>
std::unique_ptr<Optimizer> with(std::vector<Variable> p, const Options& o) {
  return std::make_unique<O>(std::move(p), o);
}

TEST(Rows, UpdatesGiveTheBitsOfDenseOnes) {
  const std::map<std::string, std::pair<Make, uint64_t>> optimizers = {
      {"sgd", {[](auto p) { return with<SGD>(p, SGD::Options{.lr = 0.1}); }, 6}},
      {"adagrad", {[](auto p) { return with<Adagrad>(p, Adagrad::Options{.lr = 0.1}); }, 12}},
      {"sparse_adam", {[](auto p) { return with<SparseAdam>(p, AdamOptions{.lr = 0.1}); }, 18}}};
  for (const auto& [name, entry] : optimizers)
    for (const bool conditional : {false, true}) {
      uint64_t updates = 0, none = 0;
      const auto got = trained(entry.first, true, updates, conditional);
      const auto want = trained(entry.first, false, none, conditional);
      EXPECT_EQ(updates, entry.second) << name;
      EXPECT_EQ(none, 0u);
      EXPECT_EQ(got, want) << name << (conditional ? " with a condition" : "");
    }
}

/// These change rows without a gradient too.
TEST(Rows, WhatTouchesAllRowsStaysDense) {
  const Make dense[] = {
      [](auto p) { return with<SGD>(p, SGD::Options{.lr = 0.1, .momentum = 0.9}); },
      [](auto p) { return with<SGD>(p, SGD::Options{.lr = 0.1, .weight_decay = 0.1}); },
      [](auto p) { return with<Adam>(p, AdamOptions{.lr = 0.1}); }};
  for (const Make make : dense) {
    uint64_t updates = 0, none = 0;
    const auto got = trained(make, true, updates), want = trained(make, false, none);
    EXPECT_EQ(updates, 0u);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5);
  }
}

TEST(Rows, AGradientThatIsAskedForIsThere) {
  clear_plans();
  Lookup p;
  SGD o({p.table}, {.lr = 0.1});
  const Tensor before = p.table.value() + 0.0;
  eval(before);
  const Tensors g = grad(p.loss(0), {p.table.value()});
  o.step(g);
  State::commit(std::vector<State*>{p.scope.state().get()}, {g[0]});
  const auto now = p.table.value().to_vector<float>(), was = before.to_vector<float>(),
             slope = g[0].to_vector<float>();
  for (size_t i = 0; i < now.size(); ++i) EXPECT_FLOAT_EQ(now[i], was[i] - 0.1f * slope[i]);
}

TEST(Rows, AWrongIndexLeavesTheTableAsItWas) {
  clear_plans();
  Lookup p;
  SGD o({p.table}, {.lr = 0.1});
  const auto before = p.table.value().to_vector<float>();
  const Tensor index = Tensor::from(std::vector<int64_t>{1, kRows}, {2});
  o.step(grad(sum(embedding(p.table.value(), index)), {p.table.value()}));
  EXPECT_THROW(p.scope.state()->commit({}), Error);
  EXPECT_EQ(p.table.value().to_vector<float>(), before);
}

}  // namespace
}  // namespace nacre
