// What bf16 brings: runs of a model in f32 and in bf16 by turns, in one process.
//
//   build/bench/precision resnet50 train 8          # model, train or infer, batch[, runs]
//   build/bench/precision encoder train 8           # the Transformer of bench/workloads
//
// Prints medians in milliseconds: time passed, and time of all processors, which says more where
// other programs run. NACRE_WINOGRAD=0 keeps f32 to direct convolutions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/precision.h"
#include "nacre/program.h"
#include "nacre/zoo.h"
#include "workloads/transformer.h"

namespace {

using namespace nacre;

double passed() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
double of_processors() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// One model, run in one precision.
class Subject {
 public:
  Subject(const std::string& model, bool train, int64_t batch, const char* precision)
      : precision_(precision), train_(train) {
    const bool encoder = model == "encoder";
    const Scope scope = Scope::init(Key(0));
    net_ = encoder ? std::make_unique<workload::Transformer>(scope) : make_model(model, "", scope);
    Shape input = encoder ? Shape{128, workload::kWidth} : find_model(model).input;
    input.insert(0, batch);
    x_ = normal(input, Key(1));
    labels_ = randint({batch}, Key(2), 0, 10);
    eval({x_, labels_});
    const Precision now(precision_);
    if (train)
      optimizer_.emplace(net_->trainable(), SGD::Options{1e-3, 0.9, 0, false});
    else
      program_.emplace(Program::of(*net_, input));
  }

  void run() {
    const Precision now(precision_);
    if (!train_) return eval((*program_)({x_}));
    Context ctx = Context::train(Key(3));
    const Tensor y = (*net_)(x_, ctx);
    const Tensor loss = y.rank() == 2 ? cross_entropy(y, labels_) : mean(square(y));
    optimizer_->step(grad(loss, values(net_->trainable())));
    ctx.commit();
    State* states[] = {net_->state().get(), optimizer_->state().get()};
    State::commit(states, {loss});
  }

  const std::string& precision() const { return precision_; }

 private:
  std::string precision_;
  bool train_;
  std::unique_ptr<Module> net_;
  Tensor x_, labels_;
  std::optional<SGD> optimizer_;
  std::optional<Program> program_;
};

int measure(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s MODEL|encoder train|infer BATCH [RUNS]\n", argv[0]);
    return 2;
  }
  const int runs = argc > 4 ? std::max(1, std::atoi(argv[4])) : 9;
  const bool train = std::string(argv[2]) == "train";
  const int64_t batch = std::max(1, std::atoi(argv[3]));
  Subject subjects[] = {{argv[1], train, batch, "f32"}, {argv[1], train, batch, "bf16"}};
  std::vector<double> walls[2], times[2];
  for (int k = -3; k < runs; ++k)  // the first runs compile and pack
    for (int p = 0; p < 2; ++p) {
      const double wall = passed(), time = of_processors();
      subjects[p].run();
      if (k < 0) continue;
      walls[p].push_back(passed() - wall);
      times[p].push_back(of_processors() - time);
    }
  double medians[2][2];
  for (int p = 0; p < 2; ++p) {
    for (auto* list : {&walls[p], &times[p]}) std::sort(list->begin(), list->end());
    medians[p][0] = walls[p][walls[p].size() / 2];
    medians[p][1] = times[p][times[p].size() / 2];
    std::printf("%-5s %9.2f ms passed, %9.2f ms of processors\n", subjects[p].precision().c_str(),
                medians[p][0], medians[p][1]);
  }
  std::printf("ratio %9.2f           %12.2f\n", medians[0][0] / medians[1][0],
              medians[0][1] / medians[1][1]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return measure(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
}
