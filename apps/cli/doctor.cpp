#include <sys/utsname.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "backends/cpu/info.h"
#include "base/json.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "graph/op_table.h"
#include "nacre/autograd.h"
#include "nacre/nn.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"

namespace nacre::cli {
namespace {

double memory_gib() {
  std::ifstream info("/proc/meminfo");
  std::string name;
  double kib = 0;
  info >> name >> kib;
  return kib / (1 << 20);
}

/// The largest difference between compiled kernels and references on a small convolution, forward
/// and backward.
double self_test() {
  const auto run = [] {
    const Tensor x = normal({2, 3, 8, 8}, Key(1)), w = normal({4, 3, 3, 3}, Key(2));
    const Tensor loss = sum(square(relu(conv2d(x, w))));
    const Tensors g = grad(loss, {w});
    return g[0].to_vector<double>();
  };
  const auto fast = run();
  set_reference_backend(true);
  const auto exact = run();
  set_reference_backend(false);
  double worst = 0, largest = 0;
  for (size_t i = 0; i < fast.size(); ++i) {
    worst = std::max(worst, std::fabs(fast[i] - exact[i]));
    largest = std::max(largest, std::fabs(exact[i]));
  }
  return worst / largest;
}

}  // namespace

int run_doctor(bool json) {
  utsname system{};
  uname(&system);
  const double error = self_test();
  const bool ok = error < 1e-5;
  const std::string bf16 = cpu::bf16_units();
  const std::vector<std::pair<std::string, std::string>> facts = {
      {"version", NACRE_VERSION},
      {"system", cat({system.sysname, " ", system.release, ", ", system.machine})},
      {"processor", cpu::processor()},
      {"vector units", cpu::vector_units()},
      {"bf16", bf16.empty() ? "no units: --precision bf16 computes in f32"
                            : "--precision bf16 multiplies on " + bf16},
      {"threads", std::to_string(num_threads())},
      {"memory", cat({memory_gib(), " GiB"})},
      {"libraries", cpu::libraries()},
      {"ops", std::to_string(builtin_ops().size())},
      {"models", std::to_string(all_models().size())},
      {"self-test", cat({ok ? "passed" : "FAILED",
                         ": a convolution's gradient differs from the reference by ", error})},
  };
  Json j = Json::object();
  for (const auto& [name, value] : facts) {
    j[name] = value;
    if (!json) std::printf("%-13s %s\n", name.c_str(), value.c_str());
  }
  if (json) std::printf("%s\n", print_json(j, 2).c_str());
  return ok ? 0 : 1;
}

}  // namespace nacre::cli
