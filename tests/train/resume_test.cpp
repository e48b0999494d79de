// Training gives the same bits again: with any number of loader threads, stopped, killed, resumed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <thread>

#include "base/json.h"
#include "nacre/error.h"
#include "nacre/plan.h"
#include "nacre/train.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::TempFolder;

TrainConfig resumed_config() {
  TrainConfig c;
  c.model = "lenet5";
  c.data = std::string(NACRE_SOURCE_DIR) + "/data/digits";
  c.epochs = 2;
  c.batch = 128;
  c.lr = 2e-3;
  c.seed = 5;
  return c;
}

struct Result {
  std::vector<double> losses;
  std::vector<std::vector<float>> parameters;
  double accuracy = 0;
};

/// Runs; with stop_at > 0 the run stops after that step.
Result run(const TrainConfig& c, int64_t stop_at = 0) {
  clear_plans();  // as in a fresh process
  restore_seen_structures({});
  Result r;
  Trainer* self = nullptr;
  TrainCallbacks callbacks;
  callbacks.on_step = [&](const StepInfo& i) {
    r.losses.push_back(i.loss);
    if (i.step == stop_at) self->stop();
  };
  Trainer trainer(c, callbacks);
  self = &trainer;
  const Evaluation e = trainer.run();
  EXPECT_EQ(trainer.stopped(), stop_at > 0);
  if (!trainer.stopped()) r.accuracy = e.report.accuracy;
  for (const Variable& v : trainer.model().variables())
    r.parameters.push_back(v.value().to_vector<float>());
  return r;
}

void expect_equal(const Result& a, const Result& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.parameters, b.parameters);
  EXPECT_EQ(a.accuracy, b.accuracy);
}

TEST(Training, IsTheSameWithAnyNumberOfLoaderThreads) {
  TrainConfig c = resumed_config();
  c.workers = 0;
  const Result want = run(c);
  EXPECT_GT(want.accuracy, 0.3);
  EXPECT_LT(want.losses.back(), want.losses.front());
  expect_equal(run(c), want);
  for (const int64_t workers : {1, 4}) {
    c.workers = workers;
    expect_equal(run(c), want);
  }
  c.seed = 6;
  EXPECT_NE(run(c).losses, want.losses);
}

/// Stops at a step, in a new trainer goes on, and compares with an unbroken run.
void expect_resumes(TrainConfig c, int64_t stop_at) {
  TempFolder folder;
  c.out = folder / "whole";
  const Result want = run(c);
  c.out = folder / "parts";
  Result got = run(c, stop_at);
  ASSERT_GE(static_cast<int64_t>(got.losses.size()), stop_at);
  ASSERT_LT(got.losses.size(), want.losses.size());
  c.resume = true;
  const Result rest = run(c);
  got.losses.insert(got.losses.end(), rest.losses.begin(), rest.losses.end());
  got.parameters = rest.parameters;
  got.accuracy = rest.accuracy;
  expect_equal(got, want);
}

TEST(Resume, GoesOnInTheMiddleOfAnEpoch) { expect_resumes(resumed_config(), 4); }
TEST(Resume, GoesOnAfterTheFirstStep) { expect_resumes(resumed_config(), 1); }
TEST(Resume, GoesOnWithTheValidation) {
  expect_resumes(resumed_config(), 11);
}  // 11 steps an epoch
TEST(Resume, GoesOnInTheSecondEpoch) { expect_resumes(resumed_config(), 13); }

TEST(Resume, GoesOnInBf16) {
  TrainConfig c = resumed_config();
  const std::vector<double> f32 = run(c).losses;
  c.precision = "bf16";
  expect_resumes(c, 4);
  EXPECT_EQ(run(c).losses.size(), f32.size());
}

TEST(Resume, KeepsAveragesAccumulatedGradientsAndPlateaus) {
  TrainConfig c = resumed_config();
  c.model = "logistic_regression";
  c.ema = 0.9;
  c.accumulate = 4;  // does not divide the steps of an epoch
  c.schedule = "plateau:0";
  c.epochs = 3;
  expect_resumes(c, 15);
}

TEST(Resume, KeepsGradientsOfAnUnfinishedUpdate) {
  TempFolder folder;
  TrainConfig c = resumed_config();
  c.model = "logistic_regression";
  c.accumulate = 4;
  c.epochs = 3;
  c.out = folder / "whole";
  const Result want = run(c);
  c.out = folder / "parts";
  clear_plans();
  restore_seen_structures({});
  int64_t steps = 0;
  struct Broken {};
  TrainCallbacks callbacks;  // breaks off right after the checkpoint of the first epoch
  callbacks.on_step = [&](const StepInfo& i) {
    if (i.epoch == 1) throw Broken();
    steps = i.step;
  };
  {
    Trainer trainer(c, callbacks);
    EXPECT_THROW(trainer.run(), Broken);
  }
  ASSERT_NE(steps % 4, 0) << "the test wants an update that an epoch's end cuts";
  c.resume = true;
  const Result rest = run(c);
  EXPECT_EQ(rest.losses,
            std::vector<double>(want.losses.begin() + static_cast<long>(steps), want.losses.end()));
  EXPECT_EQ(rest.parameters, want.parameters);
}

std::map<int64_t, double> step_losses(const std::string& folder) {
  std::map<int64_t, double> losses;
  std::ifstream file(folder + "/metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const Json j = parse_json(line, "metrics.jsonl");
    if (!j.has("val_loss") && j.has("step")) {
      EXPECT_FALSE(losses.count(j.at("step").integer())) << line;
      losses[j.at("step").integer()] = j.at("loss").number();
    }
  }
  return losses;
}

TEST(Resume, AfterKillGivesTheSameCurve) {
  TempFolder folder;
  const std::string program = std::string(NACRE_BUILD_DIR) + "/nacre";
  const auto train = [&](const std::string& out) {
    return std::vector<std::string>{
        program,      "-q",       "train", "lenet5",  "--data", resumed_config().data, "--out",
        folder / out, "--epochs", "3",     "--batch", "128",    "--checkpoint-every",  "3"};
  };
  const auto start = [](const std::vector<std::string>& words) {
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> arguments;
      for (const auto& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
      arguments.push_back(nullptr);
      if (!freopen("/dev/null", "w", stdout)) _exit(126);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    return child;
  };
  const auto finish = [](pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  };
  ASSERT_EQ(finish(start(train("whole"))), 0);
  const auto want = step_losses(folder / "whole");
  ASSERT_GT(want.size(), 20u);
  const pid_t child = start(train("killed"));
  // The moment is some step, not a time: machines differ in speed.
  const size_t lines = 5 + static_cast<size_t>(getpid()) % 17;
  for (int i = 0; i < 3000; ++i) {
    std::ifstream file(folder / "killed" / "metrics.jsonl");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) >= lines) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(child, SIGKILL);
  EXPECT_EQ(finish(child), -SIGKILL);
  ASSERT_EQ(finish(start({program, "-q", "train", "--resume", folder / "killed"})), 0);
  EXPECT_EQ(step_losses(folder / "killed"), want) << "killed after line " << lines;
}

Error::Kind kind_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "nothing thrown";
  return Error::Kind::usage;
}

TEST(Training, ReportsALossThatIsNotFiniteAndKeepsTheCheckpoint) {
  TempFolder folder;
  TrainConfig c = resumed_config();
  c.optimizer = "sgd";
  c.lr = 1e-3;
  c.schedule = "constant";
  c.epochs = 1;
  c.out = folder / "run";
  const Result good = run(c);
  c.epochs = 2;
  c.lr = 1e30;
  c.resume = true;
  EXPECT_EQ(kind_of([&] { Trainer(c).run(); }), Error::Kind::numeric);
  Trainer again(c);
  again.load_checkpoint(folder / "run" / "checkpoints" / "last.safetensors");
  for (const Variable& v : again.model().variables())
    for (float x : v.value().to_vector<float>()) ASSERT_TRUE(std::isfinite(x));
  EXPECT_EQ(again.history().size(), 1u);
}

TEST(Training, RefusesAFolderInUseAndChangedData) {
  TempFolder folder;
  TrainConfig c = resumed_config();
  c.model = "logistic_regression";
  c.epochs = 1;
  folder.write("data/digits.csv", [&] {
    std::ifstream in(c.data + "/digits.csv");
    return std::string{std::istreambuf_iterator<char>(in), {}};
  }());
  c.data = folder / "data";
  c.out = folder / "run";
  run(c);
  EXPECT_EQ(kind_of([&] { Trainer(c).run(); }), Error::Kind::usage);
  std::string text = folder.read("data/digits.csv");
  text.resize(text.rfind('\n', text.size() - 2) + 1);  // one row less
  folder.write("data/digits.csv", text);
  c.resume = true;
  c.epochs = 2;
  EXPECT_EQ(kind_of([&] { Trainer(c).run(); }), Error::Kind::usage);
}

TEST(Training, GoesOnFromTheCheckpointBeforeADamagedOne) {
  TempFolder folder;
  TrainConfig c = resumed_config();
  c.model = "logistic_regression";
  c.epochs = 3;
  const Result want = run(c);
  c.out = folder / "run";
  run(c, 2 * 11 + 5);  // in the third epoch
  const std::string last = "run/checkpoints/last.safetensors";
  folder.write(last, folder.read(last).substr(0, 1000));
  c.resume = true;
  Trainer again(c);
  EXPECT_EQ(again.run().report.accuracy, want.accuracy);
  std::vector<std::vector<float>> parameters;
  for (const Variable& v : again.model().variables())
    parameters.push_back(v.value().to_vector<float>());
  EXPECT_EQ(parameters, want.parameters);
  std::filesystem::remove(folder / "run" / "checkpoints" / "previous.safetensors");
  folder.write(last, "damaged");
  EXPECT_EQ(kind_of([&] { Trainer(c).run(); }), Error::Kind::data);
}

TEST(Training, NeedsNoPartsThatAreNotWanted) {
  TempFolder folder;
  TrainConfig c = resumed_config();
  c.model = "logistic_regression";
  c.val_share = c.test_share = 0;
  c.ema = 0.9;
  c.out = folder / "run";
  Trainer t(c);
  const int64_t all = t.data().train->size();
  EXPECT_FALSE(t.data().val || t.data().test);
  const Evaluation e = t.run();
  EXPECT_EQ(static_cast<int64_t>(e.labels.size()),
            all);  // what is reported is of the training part
  EXPECT_GT(e.report.accuracy, 0.5);
  EXPECT_TRUE(std::isnan(t.history()[0].val_loss));
  EXPECT_NE(folder.read("run/report.html").find("Training accuracy"), std::string::npos);
  const Model m = load_model(folder / "run" / "model.safetensors");
  for (const Variable& v : t.model().variables())  // the averaged weights
    EXPECT_EQ(m.net->state()->find(v.name()).value().to_vector<float>(),
              v.value().to_vector<float>());
  c.patience = 2;
  c.out = folder / "other";
  EXPECT_EQ(kind_of([&] { Trainer{c}; }), Error::Kind::usage);
}

}  // namespace
}  // namespace nacre
