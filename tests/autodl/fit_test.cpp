// From data to a model: within the budget, the same again from a seed, and after a kill.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <sstream>
#include <thread>

#include "nacre/autodl.h"
#include "nacre/error.h"
#include "nacre/zoo.h"
#include "tools/shell.h"
#include "trials.h"

namespace nacre {
namespace {

using test::run_command;
using test::TempFolder;

const std::string kProgram = std::string(NACRE_BUILD_DIR) + "/nacre";

/// Two classes, divided by a circle: lines reach 65 % or so.
std::string circle_csv(int rows, const std::string& more = "") {
  std::ostringstream out;
  out << "x,y,colour" << (more.empty() ? "" : ",") << more << ",kind\n";
  Rng rng(Key(3));
  for (int i = 0; i < rows; ++i) {
    const double x = rng.uniform(-1, 1), y = rng.uniform(-1, 1);
    const bool in = x * x + y * y < 0.6;
    out << x << "," << y << "," << (rng.bernoulli(0.5) ? "red" : "blue");
    if (!more.empty()) out << "," << (in ? 1 : 0) + rng.uniform() / 2;
    out << "," << (in ? "in" : "out") << "\n";
  }
  return out.str();
}

FitOptions circle(const TempFolder& folder, int rows = 400) {
  folder.write("circle.csv", circle_csv(rows));
  FitOptions o;
  o.data = folder / "circle.csv";
  o.out = folder / "run" / "model.safetensors";
  o.trials = 4;
  return o;
}

TEST(Fit, FindsAModelThatPredictsWhatItWasNotShown) {
  TempFolder folder;
  FitOptions o = circle(folder);
  o.slice = "colour";
  int plans = 0, trials = 0;
  FitCallbacks callbacks;
  callbacks.on_plan = [&](const FitPlan& p) {
    ++plans;
    EXPECT_EQ(trials, 0);
    EXPECT_EQ(p.train + p.test, 400);
    EXPECT_EQ(p.folds, 5);
    EXPECT_GT(p.bytes, 0u);
    EXPECT_GT(p.trial_seconds, 0);
    EXPECT_TRUE(p.findings.empty());
  };
  callbacks.on_trial = [&](const FitTrial&, bool) { ++trials; };
  const FitResult r = fit(o, callbacks);
  EXPECT_EQ(plans, 1);
  EXPECT_EQ(trials, 4);
  EXPECT_FALSE(r.stopped);
  EXPECT_GT(r.test.report.accuracy, 0.9);  // 0.96 with this seed
  EXPECT_EQ(r.test.labels.size(), 80u);
  ASSERT_EQ(r.leaderboard.size(), 4u);
  EXPECT_GT(r.leaderboard[0].weight, 0);
  const std::string page = folder.read("run/report.html");
  for (const char* part : {"What was tried", "small network", "Confusion matrix", "By colour",
                           "curl", "nacre/predict.h", "nacre train"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  const Model m = load_model(o.out);
  EXPECT_EQ(m.info.classes, (std::vector<std::string>{"in", "out"}));
  // The file says of itself what `nacre train` writes too.
  EXPECT_EQ(m.info.extra.at("data"), "circle.csv");
  EXPECT_EQ(m.info.extra.at("seed"), "0");
  EXPECT_EQ(m.info.extra.at("part"), "test");
  EXPECT_NEAR(std::stod(m.info.extra.at("score")), r.test.report.accuracy, 1e-4);
  const Model best = load_model(folder / "run" / "trials" / "0.safetensors");
  EXPECT_EQ(best.info.extra.at("part"), "val");
  EXPECT_THROW(fit(o), Error);  // there is one already
}

TEST(Fit, GivesTheSameAgain) {
  TempFolder folder;
  FitOptions o = circle(folder, 200);
  const FitResult a = fit(o);
  o.out = folder / "again" / "model.safetensors";
  const FitResult b = fit(o);
  EXPECT_EQ(folder.read("run/model.safetensors"), folder.read("again/model.safetensors"));
  ASSERT_EQ(a.leaderboard.size(), b.leaderboard.size());
  for (size_t i = 0; i < a.leaderboard.size(); ++i)
    EXPECT_EQ(a.leaderboard[i].value, b.leaderboard[i].value);
  // and so does the command that it gives
  const std::string command = a.commands.at(0);
  ASSERT_EQ(command.rfind("nacre train", 0), 0u) << command;
  const auto result =
      run_command(kProgram + " -q" + command.substr(5, command.rfind(" --out ") - 5) + " --out " +
                  (folder / "by-hand").string());
  ASSERT_EQ(result.code, 0) << result.output;
  const Model mine = load_model(folder / "run" / "model.safetensors"),
              theirs = load_model(folder / "by-hand" / "model.safetensors");
  const std::string member = a.commands.size() > 1 ? "0." : "";
  for (const Variable& v : theirs.net->variables()) {
    const auto a_values = mine.net->state()->find(member + v.name()).value().to_vector<float>(),
               b_values = v.value().to_vector<float>();
    ASSERT_EQ(a_values.size(), b_values.size());
    EXPECT_EQ(std::memcmp(a_values.data(), b_values.data(), 4 * a_values.size()), 0) << v.name();
  }
}

TEST(Fit, GoesOnAfterAKillAndLosesNothing) {
  TempFolder folder;
  FitOptions o = circle(folder, 200);
  const FitResult whole = fit(o);
  const std::string want = folder.read("run/model.safetensors");
  for (const int finished : {1, 3}) {
    const std::string name = "killed" + std::to_string(finished);
    // What the fit was begun with need not be said again: it was begun with four trials.
    const std::string again = kProgram + " fit " + (folder / "circle.csv").string() + " --out " +
                              (folder / name).string();
    const std::string command = again + " --trials 4";
    const pid_t child = fork();
    if (child == 0) {
      freopen("/dev/null", "w", stderr);
      execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
      _exit(1);
    }
    const std::string place = folder / name / "study.db";
    while (test::trials_in(place, Trial::State::done) < finished &&
           waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto before = Study::join(place).trials();
    const auto result = run_command(again + " --resume");
    ASSERT_EQ(result.code, 0) << result.output;
    EXPECT_EQ(folder.read(name + "/model.safetensors"), want);
    const auto after = Study::join(place).trials();
    for (const Trial& t : before)
      if (t.state == Trial::State::done) {
        EXPECT_EQ(after[static_cast<size_t>(t.number)].seconds, t.seconds);  // not run again
      }
  }
}

/// Ten columns that say something of the class, ninety that do not, some cells missing.
std::string mostly_noise_csv(int rows) {
  std::ostringstream out;
  for (int c = 0; c < 100; ++c) out << "c" << c << ",";
  out << "kind\n";
  Rng rng(Key(5));
  for (int i = 0; i < rows; ++i) {
    double sum = 0;
    for (int c = 0; c < 100; ++c) {
      const double v = rng.normal();
      if (c % 10 == 3) sum += v;
      if (i % 37 == c) {
        out << "?,";
        continue;
      }
      out << v << ",";
    }
    out << (sum + 0.3 * rng.normal() > 0 ? "more" : "less") << "\n";
  }
  return out.str();
}

TEST(Fit, LeavesOutColumnsThatSayNothing) {
  TempFolder folder;
  folder.write("noise.csv", mostly_noise_csv(500));
  FitOptions o;
  o.data = folder / "noise.csv";
  o.out = folder / "run" / "model.safetensors";
  o.trials = 2;  // linear, with all columns and with some
  const FitResult r = fit(o);
  EXPECT_EQ(r.leaderboard.at(0).label, "linear, some columns");
  EXPECT_GT(r.leaderboard[0].score, r.leaderboard.at(1).score + 0.03);
  const Model m = load_model(o.out);
  const std::string step = m.info.transform.substr(0, m.info.transform.find(']'));
  ASSERT_EQ(step.rfind("columns([", 0), 0u) << step;
  int useful = 0, noise = 0;
  std::stringstream list(step.substr(9));
  for (std::string c; std::getline(list, c, ',');) ++(std::stoi(c) % 10 == 3 ? useful : noise);
  EXPECT_GE(useful, 9);
  EXPECT_LE(noise, 5);
  EXPECT_EQ(m.info.input, (Shape{useful + noise}));
  const std::string page = folder.read("run/report.html");
  EXPECT_NE(page.find("Columns that are used"), std::string::npos);
  EXPECT_NE(page.find("--transform selected"), std::string::npos);
  // Rows come with all columns, as before.
  const auto said = run_command(kProgram + " predict --json " + o.out + " " + o.data);
  EXPECT_EQ(said.code, 0) << said.output;
  EXPECT_EQ(std::count(said.output.begin(), said.output.end(), '\n'), 500) << said.output;
}

TEST(Fit, PreparesRowsByTheTrainingPartOfEachFold) {
  // Means, deviations, categories' columns and the choice among columns of a fold are the same
  // whatever stands in the rows that are held out of it.
  TempFolder folder;
  folder.write("noise.csv", mostly_noise_csv(300));
  const DataSplits data = open_dataset(folder / "noise.csv");
  Indices learned(200), held_out(100);
  std::iota(learned.begin(), learned.end(), 0);
  std::iota(held_out.begin(), held_out.end(), 200);
  const auto transform_of = [&](const char* transform, float change) {
    std::vector<Sample> others;
    for (int64_t i : held_out) {
      others.push_back(data.train->get(i));
      for (float& v : others.back().features) v = change == 0 ? v : change * others.back().label;
    }
    DataSplits parts;
    parts.train = subset(data.train, learned);
    parts.val = parts.test = from_samples(others, data.train->classes());
    TrainConfig c = TrainConfig::for_model("linear");
    c.transform = transform;
    return Trainer(c, parts).info().transform;
  };
  for (const char* transform : {"auto", "selected"})
    EXPECT_EQ(transform_of(transform, 0), transform_of(transform, 1e6f));
  EXPECT_NE(transform_of("auto", 0), transform_of("selected", 0));
}

TEST(Fit, ChoosesAFamilyByNestedCrossValidation) {
  TempFolder folder;
  FitOptions o = circle(folder, 120);
  o.trials = 3;
  o.nested = 2;
  int told = 0;
  FitCallbacks callbacks;
  callbacks.on_nested = [&](const NestedResult& n) {
    ++told;
    EXPECT_EQ(n.parts, 2);
    EXPECT_EQ(n.families.size(), 6u);
    int64_t chosen = 0;
    for (const FamilyScore& f : n.families) {
      chosen += f.chosen;
      EXPECT_TRUE(f.inner > 0.3 && f.inner <= 1 && f.outer > 0.3 && f.outer <= 1) << f.family;
      if (f.family == "linear") {
        EXPECT_EQ(f.chosen, 0);  // no line divides a circle
      }
    }
    EXPECT_EQ(chosen, 2);
  };
  const FitResult r = fit(o, callbacks);
  EXPECT_EQ(told, 1);
  ASSERT_EQ(r.leaderboard.size(), 3u);
  for (const FitTrial& t : r.leaderboard) EXPECT_EQ(t.model, r.nested.chosen);
  EXPECT_NE(folder.read("run/report.html").find("Families of models"), std::string::npos);
  // What was chosen is not chosen again.
  o.resume = true;
  o.trials = 4;
  const FitResult more = fit(o, callbacks);
  EXPECT_EQ(more.nested.chosen, r.nested.chosen);
  EXPECT_EQ(more.leaderboard.size(), 4u);
  o.nested = 1;
  EXPECT_THROW(fit(o), Error);
}

TEST(Fit, KeepsModelsOfDifferentStructure) {
  TempFolder folder;
  folder.write("easy.csv", [] {  // many models are right here
    std::ostringstream out;
    out << "x,y,kind\n";
    Rng rng(Key(4));
    for (int i = 0; i < 200; ++i) {
      const int kind = i % 2;
      out << rng.normal() + 4 * kind << "," << rng.normal() - 4 * kind << ","
          << "ab"[kind] << "\n";
    }
    return out.str();
  }());
  FitOptions o;
  o.data = folder / "easy.csv";
  o.out = folder / "run" / "model.safetensors";
  o.trials = 36;
  o.keep = 10;
  const FitResult r = fit(o);
  ASSERT_EQ(r.kept.size(), 11u);
  std::set<std::string> options;
  double best = 0;
  for (const FitTrial& t : r.leaderboard) best = std::max(best, t.score);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_GE(r.kept[i].score, best - 0.01 - 1e-9);
    const Model m = load_model(r.kept[i].file);
    EXPECT_TRUE(options.insert(m.info.model + " " + m.info.options).second) << m.info.options;
  }
  const Model all = load_model(folder / "run" / "models" / "ensemble.safetensors");
  EXPECT_EQ(all.info.model, "ensemble");
  EXPECT_GT(r.kept[10].test, 0.95);
  const auto said = run_command(kProgram + " eval " + r.kept[10].file + " --data " + o.data);
  EXPECT_EQ(said.code, 0) << said.output;
}

/// Rows that say little each, in so many columns that learning from all takes long.
TEST(Fit, ComesToAResultInLittleTimeFromMuch) {
  TempFolder folder;
  Rng rng(Key(8));
  std::string text;
  for (int i = 0; i < 6000; ++i) {
    const bool one = rng.bernoulli(0.5);
    text += one ? "1" : "0";
    int64_t word = 1;
    for (int k = 0; k < 20 && word < 3000; ++k) {
      word += 1 + static_cast<int64_t>(rng.below(280));
      if (word % 4 == 3 && !one) continue;  // a quarter of the words is of one class only
      text += " " + std::to_string(word) + ":1";
    }
    text += "\n";
  }
  folder.write("words.txt", text);
  FitOptions o;
  o.data = folder / "words.txt";
  o.out = folder / "run" / "model.safetensors";
  o.budget = 5;
  std::vector<std::string> labels;
  FitCallbacks callbacks;
  callbacks.on_trial = [&](const FitTrial& t, bool) {
    if (t.state == Trial::State::done) labels.push_back(t.label);
  };
  const FitResult r = fit(o, callbacks);
  EXPECT_GT(r.test.report.accuracy, 0.6);
  ASSERT_FALSE(labels.empty());
  EXPECT_EQ(labels[0], "linear, by margin, on part of the samples");
}

TEST(Fit, IsJoinedByAnotherProcess) {
  TempFolder folder;
  folder.write("circle.csv", circle_csv(400));
  const std::string run = (folder / "run").string();
  const pid_t child = fork();
  if (child == 0) {
    freopen("/dev/null", "w", stdout);
    freopen("/dev/null", "w", stderr);
    execl(kProgram.c_str(), "nacre", "fit", (folder / "circle.csv").c_str(), "--trials", "12",
          "--out", run.c_str(), nullptr);
    _exit(1);
  }
  const std::string place = run + "/study.db";
  const auto begun = [&] {
    try {
      return std::filesystem::exists(place) && !Study::join(place).trials().empty();
    } catch (const Error&) {
      return false;
    }
  };
  int status = 0;
  while (!begun() && waitpid(child, &status, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const int64_t here = join_fit(place);
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_GT(here, 0);
  const auto trials = Study::join(place).trials();
  // Both may have had one at work when the last was wanted.
  EXPECT_GE(trials.size(), 12u);
  EXPECT_LE(trials.size(), 13u);
  EXPECT_LT(here, static_cast<int64_t>(trials.size()));
  for (const Trial& t : trials)  // who is behind half-way depends on who came first
    EXPECT_TRUE(t.state == Trial::State::done || t.state == Trial::State::pruned) << t.note;
  EXPECT_EQ(load_model(run + "/model.safetensors").info.classes.size(), 2u);
}

TEST(Fit, KeepsWhatItHasWhenItIsInterrupted) {
  TempFolder folder;
  folder.write("circle.csv", circle_csv(400));
  const std::string run = (folder / "run").string();
  const pid_t child = fork();
  if (child == 0) {
    freopen((folder / "said").c_str(), "w", stderr);
    execl(kProgram.c_str(), "nacre", "fit", (folder / "circle.csv").c_str(), "--trials", "1000",
          "--out", run.c_str(), nullptr);
    _exit(1);
  }
  int status = 0;
  while (!std::filesystem::exists(run + "/model.safetensors") &&
         waitpid(child, &status, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(child, SIGINT);
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_NE(folder.read("said").find("--resume"), std::string::npos) << folder.read("said");
  EXPECT_EQ(load_model(run + "/model.safetensors").info.classes.size(), 2u);
  const auto more = run_command(kProgram + " fit " + (folder / "circle.csv").string() + " --out " +
                                run + " --resume --trials 3");
  EXPECT_EQ(more.code, 0) << more.output;
  EXPECT_NE(more.output.find("test accuracy"), std::string::npos) << more.output;
}

TEST(Fit, RefusesModelsThatTakeTooLong) {
  TempFolder folder;
  FitOptions o = circle(folder, 200);
  o.latency_limit = 1e-9;
  try {
    fit(o);
    FAIL() << "no model answers in a nanosecond";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("ms, the limit is"), std::string::npos) << e.what();
  }
  o.out = folder / "slow" / "model.safetensors";
  o.latency_limit = 10;
  EXPECT_EQ(fit(o).leaderboard.size(), 4u);
}

TEST(Fit, KeepsItsBudget) {
  TempFolder folder;
  FitOptions o = circle(folder, 600);
  o.trials = 0;
  o.budget = 6;
  const auto start = std::chrono::steady_clock::now();
  const FitResult r = fit(o);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 1.25 * o.budget);
  EXPECT_GT(r.test.report.accuracy, 0.8);
}

/// The test part is much larger than what choices are made on, and the best, the nearest
/// neighbours, take long to answer: that counts too.
TEST(Fit, KeepsItsBudgetWhereTheTestTakesLong) {
  TempFolder folder;
  Rng rng(Key(4));
  const auto rows = [&](int n) {
    std::ostringstream out;
    for (int k = 0; k < 24; ++k) out << "x" << k << ",";
    out << "kind\n";
    for (int i = 0; i < n; ++i) {
      const auto spot = rng.below(400);  // of one of 20 classes
      for (uint64_t k = 0; k < 24; ++k)
        out << static_cast<int>(Key(spot).fold_in(k).value() % 9 + rng.below(4)) << ",";
      out << "class" << spot % 20 << "\n";
    }
    return out.str();
  };
  folder.write("data/train.csv", rows(8000));
  folder.write("data/test.csv", rows(25000));
  FitOptions o;
  o.data = folder / "data";
  o.out = folder / "run" / "model.safetensors";
  o.budget = 10;
  const auto start = std::chrono::steady_clock::now();
  const FitResult r = fit(o);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 1.25 * o.budget);
  EXPECT_GT(r.test.report.accuracy, 0.1);  // guessing has 0.05
}

TEST(Fit, SaysWhatIsWrongWithTheData) {
  TempFolder folder;
  folder.write("leak.csv", circle_csv(200, "outcome"));
  FitOptions o;
  o.data = folder / "leak.csv";
  o.out = folder / "leak" / "model.safetensors";
  o.trials = 1;
  FitResult r = fit(o);
  const auto has = [&](const std::string& code, const std::string& example) {
    for (const Finding& f : r.plan.findings)
      if (f.code == code)
        for (const std::string& e : f.examples)
          if (e.find(example) != std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(has("leak", "outcome"));
  EXPECT_FALSE(has("leak", "x"));
  std::string twice = circle_csv(100);
  twice += twice.substr(twice.find('\n') + 1);
  folder.write("twice.csv", twice);
  o.data = folder / "twice.csv";
  o.out = folder / "twice" / "model.safetensors";
  r = fit(o);
  EXPECT_TRUE(has("duplicate", "twice"));
  folder.write("one.csv", "x,kind\n1,a\n2,a\n3,a\n4,a\n5,a\n6,a\n7,a\n8,a\n9,a\n10,a\n11,a\n");
  o.data = folder / "one.csv";
  o.target = "kind";
  o.out = folder / "one" / "model.safetensors";
  EXPECT_THROW(fit(o), Error);
}

TEST(Fit, RecordsTrialsThatDoNotFitAndGoesOn) {
  TempFolder folder;
  FitOptions o = circle(folder, 200);
  o.trials = 4;
  o.size_limit = 1200;  // a linear model has 4 inputs and 2 outputs
  const FitResult r = fit(o);
  EXPECT_EQ(r.leaderboard[0].model, "linear");
  int refused = 0;
  for (const FitTrial& t : r.leaderboard)
    refused += t.state == Trial::State::failed && t.note.find("limit") != std::string::npos;
  EXPECT_EQ(refused, 3);
  o.out = folder / "other" / "model.safetensors";
  o.size_limit = 0;
  o.memory_limit = 1000;
  try {
    fit(o);
    FAIL() << "nothing fits into 1000 bytes";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("memory"), std::string::npos) << e.what();
  }
}

TEST(Fit, PredictsMemoryOfAStepCloseToWhatItTakes) {
  const auto net = make_model("mlp", "in=100 hidden=256 classes=10", Scope::init(Key(0)));
  const size_t small = predicted_bytes(*net, {16, 100}, false),
               large = predicted_bytes(*net, {1024, 100}, false);
  const size_t parameters = 4 * (100 * 256 + 256 + 256 * 10 + 10);
  EXPECT_GT(small, 4 * parameters);
  // at least input and hidden layer more for each sample
  EXPECT_GT(large - small, (1024 - 16) * 4 * (100 + 256u));
  EXPECT_LT(large - small, (1024 - 16) * 4 * (100 + 8 * 256u));
  // and what the way back needs: all hidden layers are held
  const auto deep =
      make_model("mlp", "in=100 hidden=256-256-256-256 classes=10", Scope::init(Key(0)));
  EXPECT_GT(predicted_bytes(*deep, {1024, 100}, false) - predicted_bytes(*deep, {16, 100}, false),
            (1024 - 16) * 4 * (100 + 4 * 256u));
  for (const Variable& v : net->variables()) EXPECT_TRUE(v.value().defined());
  Context ctx = Context::eval();
  EXPECT_EQ((*net)(zeros({2, 100}), ctx).to_vector<float>().size(), 20u);  // as it was before
}

}  // namespace
}  // namespace nacre
