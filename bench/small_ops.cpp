// Many small ops: the same source run op by op (eager) and as compiled plans. The claim is at
// least 1.2 times.
#include <benchmark/benchmark.h>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/plan.h"

namespace {
using namespace nacre;

/// A long chain of elementwise ops on a vector, with its gradient and an update.
double step(Variable& w, State& state) {
  Tensor h = w.value();
  for (int i = 0; i < 40; ++i) h = tanh(h * 0.9 + 0.1) + h * h * 0.01;
  const Tensor loss = mean(h);
  const Tensors g = grad(loss, {w.value()});
  w.set(w.value() - 0.01 * g[0]);
  state.commit({loss});
  return loss.item();
}

void small_ops(benchmark::State& bench, bool eager) {
  const Scope s = Scope::init(Key(0));
  Variable w = s.parameter("w", {256}, init::normal());
  set_eager(eager);
  for (int i = 0; i < 5; ++i) step(w, *s.state());
  for (auto _ : bench) benchmark::DoNotOptimize(step(w, *s.state()));
  set_eager(false);
}
BENCHMARK_CAPTURE(small_ops, eager, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(small_ops, compiled, false)->Unit(benchmark::kMicrosecond);
}  // namespace
