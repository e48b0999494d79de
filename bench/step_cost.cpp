// What a training step costs besides its kernels: recording the graph, taking the gradient, finding
// the plan, storing the values.
//
//   step_cost [MODEL [BATCH [STEPS]]]      default: lenet5 64 200
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"
#include "runtime/profile.h"

using namespace nacre;

namespace {

double now() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "lenet5";
  const int64_t batch = argc > 2 ? std::atoll(argv[2]) : 64;
  const int steps = argc > 3 ? std::atoi(argv[3]) : 200;
  const bool mlp = name == "mlp";
  const auto net = make_model(name, mlp ? "in=784 hidden=512,512" : "", Scope::init(Key(0)));
  AdamW optimizer(net->trainable(), {});
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < batch; ++i) labels.push_back(i % 10);
  const Tensor x = normal(mlp ? Shape{batch, 784} : Shape{batch, 1, 32, 32}, Key(1)),
               y = Tensor::from(labels, {batch});
  eval({x, y});

  std::vector<double> record_time, grad_time, eval_time, step_time, kernel_time, nodes;
  const auto step = [&](bool keep) {
    const double t0 = now();
    Context ctx = Context::train(Key(2));
    const Tensor loss = cross_entropy((*net)(x, ctx), y);
    const double t1 = now();
    Tensors g = grad(loss, values(net->trainable()));
    const double t2 = now();
    optimizer.step(g);
    g.clear();  // as in optimizer.step(grad(...)): whoever holds gradients keeps their graphs
    ctx.commit();
    const double t3 = now();
    const uint64_t before = plan_stats().nodes;
    State* states[] = {net->state().get(), optimizer.state().get()};
    State::commit(states, {loss});
    const double t4 = now();
    if (!keep) return;
    record_time.push_back(t1 - t0 + t3 - t2);
    grad_time.push_back(t2 - t1);
    eval_time.push_back(t4 - t3);
    step_time.push_back(t4 - t0);
    nodes.push_back(static_cast<double>(plan_stats().nodes - before));
  };
  for (int i = 0; i < 10; ++i) step(false);
  // With and without the profiler by turns: the machine's mood is the same for both.
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < steps / 10; ++i) step(true);
    for (int i = 0; i < steps / 10; ++i) {
      set_profiling(true);
      step(false);
      double sum = 0;
      for (const ProfileLine& l : profile()) sum += l.microseconds;
      kernel_time.push_back(sum);
      set_profiling(false);
    }
  }
  const double n = median(nodes), record = median(record_time), gradient = median(grad_time),
               kernels = median(kernel_time), whole = median(step_time),
               look_up = median(eval_time) - kernels;
  const double around = record + gradient + look_up;
  std::printf("%s, batch %lld, medians of %zu steps, %.0f nodes a step\n", name.c_str(),
              static_cast<long long>(batch), step_time.size(), n);
  const auto line = [&](const char* what, double us) {
    std::printf("  %-28s %9.1f us %7.0f ns/node %6.2f %% of the step\n", what, us, us * 1000 / n,
                100 * us / whole);
  };
  line("recording", record);
  line("gradient", gradient);
  line("finding the plan, storing", look_up);
  line("together", around);
  line("kernels", kernels);
  line("step", whole);
  std::printf("  step / kernels: %.3f\n", whole / kernels);
}
