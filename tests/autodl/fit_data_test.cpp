// What fit takes, what it finds in the data, and what its report says of the result.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "autodl/task.h"
#include "autodl/trial_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/zip.h"
#include "nacre/error.h"
#include "nacre/image.h"
#include "tools/shell.h"
#include "train/report.h"
#include "trials.h"

namespace nacre {
namespace {

using test::run_command;
using test::TempFolder;

const std::string kFitProgram = std::string(NACRE_BUILD_DIR) + "/nacre";

/// A picture of 8x8 pixels: noise, and a bright upper or lower half.
Image half_lit(bool upper, uint64_t number) {
  Image image(8, 8, 1);
  Rng rng(Key(number).fold_in(upper));
  for (size_t i = 0; i < 64; ++i)
    image.pixels[i] = static_cast<float>(rng.uniform(0, 0.6) + ((i < 32) == upper ? 0.3 : 0));
  return image;
}

std::string png_of_half(bool upper, uint64_t number) {
  const auto png = encode_png(half_lit(upper, number));
  return {png.begin(), png.end()};
}

/// Two clouds of points, 8 deviations apart; `noise` of the lines have the other's name.
std::string clouds_csv(int rows, const std::set<int>& noise = {}, double apart = 4) {
  std::ostringstream out;
  out << "x,y,kind\n";
  Rng rng(Key(6));
  for (int i = 0; i < rows; ++i) {
    const bool right = i % 2;
    out << rng.normal() + (right ? apart : -apart) << "," << rng.normal() << ","
        << (right != (noise.count(i + 2) > 0) ? "right" : "left") << "\n";
  }
  return out.str();
}

FitOptions options_for(const TempFolder& folder, const std::string& data, int64_t trials) {
  FitOptions o;
  o.data = folder / data;
  o.out = folder / ("run of " + data) / "model.safetensors";
  o.trials = trials;
  return o;
}

const Finding* found(const std::vector<Finding>& list, const std::string& code) {
  for (const Finding& f : list)
    if (f.code == code) return &f;
  return nullptr;
}

std::vector<uint8_t> weights_of(const std::string& file) {
  std::vector<uint8_t> bytes;
  const Model m = load_model(file);
  for (const Variable& v : m.net->variables()) {
    const auto values = v.value().to_vector<float>();
    const auto* from = reinterpret_cast<const uint8_t*>(values.data());
    bytes.insert(bytes.end(), from, from + 4 * values.size());
  }
  return bytes;
}

// ---- forms of data

TEST(FitData, AZipOfAFolderPerClassIsAsTheFolder) {
  TempFolder folder;
  AtomicFile file(folder / "halves.zip");
  ZipWriter zip(file);
  for (const bool upper : {false, true})
    for (uint64_t k = 0; k < 20; ++k) {
      const std::string name = cat({"halves/", upper ? "upper/" : "lower/", k, ".png"});
      folder.write(name, png_of_half(upper, k));
      zip.add(name, png_of_half(upper, k), "", true);
    }
  zip.add("halves/notes.doc", "junk", "", true);
  zip.add("__MACOSX/halves/upper/._1.png", "junk", "", true);
  zip.finish();
  file.commit();
  const FitOptions packed = options_for(folder, "halves.zip", 1),
                   unpacked = options_for(folder, "halves", 1);
  const FitResult a = fit(packed), b = fit(unpacked);
  EXPECT_EQ(a.test.classes, (std::vector<std::string>{"lower", "upper"}));
  EXPECT_EQ(a.test.labels.size(), 8u);
  EXPECT_GE(a.test.report.accuracy, 0.75);
  EXPECT_EQ(weights_of(packed.out), weights_of(unpacked.out));
  ASSERT_TRUE(found(a.plan.findings, "ignored"));
  EXPECT_EQ(found(a.plan.findings, "unreadable"), nullptr);
}

TEST(FitData, IdxFilesKeepTheirTestPart) {
  TempFolder folder;
  const auto write = [&](const std::string& stem, int count, uint64_t from) {
    const auto big = [](int v) { return std::string(3, '\0') + static_cast<char>(v); };
    std::string labels, pixels;
    for (int i = 0; i < count; ++i) {
      const Image image = half_lit(i % 2, from + static_cast<uint64_t>(i));
      labels += static_cast<char>(i % 2);
      for (const float v : image.pixels) pixels += static_cast<char>(std::lround(255 * v));
    }
    folder.write("idx/" + stem + "-labels-idx1-ubyte",
                 std::string("\0\0\x08\x01", 4) + big(count) + labels);
    folder.write("idx/" + stem + "-images-idx3-ubyte",
                 std::string("\0\0\x08\x03", 4) + big(count) + big(8) + big(8) + pixels);
  };
  write("train", 60, 0);
  write("t10k", 26, 1000);
  const FitOptions o = options_for(folder, "idx", 1);
  const FitResult r = fit(o);
  EXPECT_EQ(r.plan.train + r.plan.held_out, 60);
  EXPECT_EQ(r.test.labels.size(), 26u);
  EXPECT_GE(r.test.report.accuracy, 0.8);
  const auto again =
      run_command(kFitProgram + " eval '" + o.out + "' --data " + o.data + " --json");
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_NEAR(parse_json(again.output, "eval").at("accuracy").number(), r.test.report.accuracy,
              1e-6);
}

TEST(FitData, TextFilesOfAFolderPerClass) {
  TempFolder folder;
  const char* const topics[2][4] = {{"goal", "team", "match", "player"},
                                    {"flour", "oven", "sugar", "butter"}};
  Rng rng(Key(9));
  AtomicFile file(folder / "letters.zip");
  ZipWriter zip(file);
  for (int k = 0; k < 60; ++k) {
    std::string text = "a text on";
    for (int word = 0; word < 5; ++word) text += std::string(" ") + topics[k % 2][rng.below(4)];
    const std::string name = cat({"letters/", k % 2 ? "cooking/" : "sport/", k, ".txt"});
    folder.write(name, text + "\n");
    zip.add(name, text + "\n", "", true);
  }
  zip.finish();
  file.commit();
  const FitOptions o = options_for(folder, "letters", 1);
  const FitResult r = fit(o);
  EXPECT_EQ(r.test.classes, (std::vector<std::string>{"cooking", "sport"}));
  EXPECT_EQ(r.test.report.accuracy, 1);
  const FitOptions packed = options_for(folder, "letters.zip", 1);
  fit(packed);
  EXPECT_EQ(weights_of(packed.out), weights_of(o.out));
  folder.write("new.txt", "sugar and butter from the oven\nthe team of that player\n");
  const auto said =
      run_command(kFitProgram + " predict '" + o.out + "' " + (folder / "new.txt").string());
  ASSERT_EQ(said.code, 0) << said.output;
  EXPECT_LT(said.output.find("cooking"), said.output.find("sport")) << said.output;
}

// ---- findings

TEST(FitData, UnevenClassesAndFilesThatCannotBeReadAreNamed) {
  TempFolder folder;
  for (uint64_t k = 0; k < 60; ++k)
    folder.write(cat({"p/upper/", k, ".png"}), png_of_half(true, k));
  for (uint64_t k = 0; k < 5; ++k)
    folder.write(cat({"p/lower/", k, ".png"}), png_of_half(false, k));
  folder.write("p/lower/cut.png", png_of_half(false, 5).substr(0, 60));
  folder.write("p/upper/copy.png", png_of_half(false, 1));  // of a picture of the other class
  const FitOptions o = options_for(folder, "p", 1);
  const FitResult r = fit(o);
  const Finding* uneven = found(r.plan.findings, "imbalance");
  ASSERT_TRUE(uneven);
  EXPECT_NE(uneven->text.find("largest class has 61 samples, the smallest 6"), std::string::npos)
      << uneven->text;
  const Finding* cut = found(r.plan.findings, "unreadable");
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->count, 1);
  EXPECT_NE(cut->examples.at(0).find("lower/cut.png"), std::string::npos) << cut->examples[0];
  const Finding* conflict = found(r.plan.findings, "conflict");
  ASSERT_TRUE(conflict);
  EXPECT_NE(conflict->examples.at(0).find("lower/1.png"), std::string::npos);
  EXPECT_NE(conflict->examples.at(0).find("upper/copy.png"), std::string::npos);
  EXPECT_EQ(r.plan.train + r.plan.held_out + r.plan.test, 66);
  EXPECT_NE(r.commands.at(0).find("--on-error skip"), std::string::npos) << r.commands[0];
  const std::string page = read_file(r.report, 1 << 26);
  for (const std::string& text : {uneven->text, cut->text, conflict->text})
    EXPECT_NE(page.find(text), std::string::npos) << text;
}

TEST(FitData, SamplesThatAreInTwoPartsAreNamed) {
  TempFolder folder;
  const std::string rows = clouds_csv(80);
  folder.write("parts/train.csv", rows);
  const size_t first = rows.find('\n') + 1;  // line 2
  folder.write("parts/test.csv", rows.substr(0, rows.find('\n', first) + 1) +
                                     "9,9,right\n-9,9,left\n8,8,right\n-8,8,left\n");
  const FitResult r = fit(options_for(folder, "parts", 1));
  const Finding* twice = found(r.plan.findings, "duplicate");
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->count, 1);
  EXPECT_NE(twice->examples.at(0).find("train.csv line 2 = "), std::string::npos)
      << twice->examples[0];
  EXPECT_NE(twice->examples[0].find("test.csv line 2"), std::string::npos);
  EXPECT_EQ(r.test.labels.size(), 5u);
}

TEST(FitData, WrongLabelsAreFound) {
  TempFolder folder;
  const std::set<int> wrong = {17, 40, 41, 98, 120, 163};  // lines
  folder.write("noise.csv", clouds_csv(400, wrong, 10));
  const FitOptions o = options_for(folder, "noise.csv", 1);
  const FitTask task = make_task(o);  // those of the test part are nobody's to judge
  std::set<std::string> expected;
  for (int64_t i = 0; i < task.pool->size(); ++i)
    for (const int line : wrong)
      if (task.pool->name(i).ends_with(cat({" line ", line})))
        expected.insert(std::to_string(line));
  ASSERT_GE(expected.size(), 3u);
  const FitResult r = fit(o);
  const std::string page = read_file(r.report, 1 << 26);
  std::set<std::string> named;
  const std::regex suspect(
      "noise\\.csv line ([0-9]+) \\((left, rather right|right, rather left)\\)");
  for (std::sregex_iterator it(page.begin(), page.end(), suspect), end; it != end; ++it)
    named.insert((*it)[1]);
  EXPECT_EQ(named, expected);
}

// ---- the report

TEST(FitReport, SaysHowFarTheModelCanBeTrusted) {
  TempFolder folder;
  folder.write("near.csv", clouds_csv(400, {}, 0.8));
  const FitOptions o = options_for(folder, "near.csv", 2);
  const FitResult r = fit(o);
  const std::string page = read_file(r.report, 1 << 26);
  // The same rows again, from the file and by the program.
  const FitTask task = make_task(o);
  std::string rows = "x,y\n";
  for (int64_t i = 0; i < task.test->size(); ++i) {
    const auto cells = task.test->get(i).features;
    rows += cat({Piece(static_cast<double>(cells[0])).text(), ",",
                 Piece(static_cast<double>(cells[1])).text(), "\n"});
  }
  folder.write("rows.csv", rows);
  const auto said = run_command(kFitProgram + " -q predict --json '" + o.out + "' " +
                                (folder / "rows.csv").string());
  ASSERT_EQ(said.code, 0) << said.output;
  struct Answer {
    std::string own, label, name;
    double sure;
  };
  std::vector<Answer> answers, mistakes;
  std::stringstream lines(said.output);
  for (std::string line; std::getline(lines, line);) {
    const Json j = parse_json(line, "predict");
    const auto i = static_cast<int64_t>(answers.size());
    const Json& best = j.at("classes").list().at(0);
    answers.push_back({task.test->classes().at(static_cast<size_t>(task.test->label(i))),
                       best.at("label").text(), task.test->name(i),
                       best.at("probability").number()});
    if (answers.back().own != answers.back().label) mistakes.push_back(answers.back());
  }
  ASSERT_EQ(answers.size(), 80u);
  // Expected calibration error: 15 bins of confidence (Guo et al. 2017).
  double error = 0, largest = 0;
  for (int bin = 0; bin < 15; ++bin) {
    double n = 0, right = 0, sure = 0;
    for (const Answer& a : answers)
      if (a.sure > bin / 15.0 && a.sure <= (bin + 1) / 15.0)
        ++n, right += a.own == a.label, sure += a.sure;
    if (n == 0) continue;
    error += std::abs(right - sure) / static_cast<double>(answers.size());
    largest = std::max(largest, std::abs(right - sure) / n);
  }
  const std::string line = cat({"Expected calibration error ", percent(error, 1),
                                ", largest gap of a bin ", percent(largest, 1)});
  EXPECT_NE(page.find(line), std::string::npos) << line;
  ASSERT_GE(mistakes.size(), 5u);
  ASSERT_LE(mistakes.size(), 24u);  // so many are shown
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Answer& a, const Answer& b) { return a.sure > b.sure; });
  size_t at = page.find("Worst mistakes");
  for (const Answer& m : mistakes) {
    at = page.find(cat({"<b>", m.label, "</b> ", percent(m.sure, 1), "<br>is ", m.own}), at);
    ASSERT_NE(at, std::string::npos) << m.name << " " << m.sure;
    EXPECT_NE(page.substr(at, 300).find(m.name), std::string::npos) << m.name;
    ++at;
  }
}

// ---- time

TEST(FitTime, TreesEndWithWhatTheyHave) {
  // Many columns: growing then takes longer than predicting, which a sanitizer makes slow.
  TempFolder folder;
  folder.write("near.csv", [] {
    std::ostringstream out;
    for (int k = 0; k < 120; ++k) out << "x" << k << ",";
    out << "kind\n";
    Rng rng(Key(2));
    for (int i = 0; i < 2400; ++i) {
      for (int k = 0; k < 120; ++k) out << rng.normal() + (k == 0 ? 2 * (i % 2) : 0) << ",";
      out << (i % 2 ? "more\n" : "less\n");
    }
    return out.str();
  }());
  const FitTask folds = make_task(options_for(folder, "near.csv", 0));
  ASSERT_EQ(folds.folds.size(), 5u);
  FitTask held_out = folds;
  held_out.folds.clear();
  held_out.val = held_out.test;
  const std::pair<std::string, std::string> models[] = {
      {"boosted_trees", "depth=3 patience=0 rounds"},
      {"random_forest", "min_leaf=50 columns=1 trees"}};
  // A slow machine needs more time for the first rounds, none has enough for all of them.
  const auto run_in = [](int64_t seconds, const FitTask& task, const TrainConfig& config,
                         TrialLimits limits) {
    for (;; seconds *= 2) {
      limits.deadline = steady_seconds() + static_cast<double>(seconds);
      TrialOutcome outcome = run_trial(task, config, limits);
      if (outcome.end != TrialOutcome::End::late || seconds > 60) return outcome;
    }
  };
  for (const auto& [model, options] : models) {
    TrainConfig config = TrainConfig::for_model(model);
    config.options = options + "=90000";
    TrialLimits limits;
    limits.save = folder / "cut.safetensors";
    const TrialOutcome parts = run_in(3, folds, config, limits);
    ASSERT_EQ(parts.end, TrialOutcome::End::done) << model << ": " << parts.reason;
    EXPECT_TRUE(parts.rounds > 0 && parts.rounds < 90000) << parts.rounds;
    EXPECT_GT(parts.score, 0.6);
    const TrialOutcome cut = run_in(2, held_out, config, limits);
    ASSERT_EQ(cut.end, TrialOutcome::End::done) << model << ": " << cut.reason;
    ASSERT_TRUE(cut.rounds > 0 && cut.rounds < 90000) << cut.rounds;
    // The same model with that number from the beginning.
    config.options = cat({options, "=", cut.rounds});
    limits.deadline = steady_seconds() + 600;
    limits.save = folder / "whole.safetensors";
    const TrialOutcome whole = run_trial(held_out, config, limits);
    EXPECT_EQ(whole.rounds, 0);
    EXPECT_EQ(whole.value, cut.value);
    EXPECT_EQ(weights_of(folder / "cut.safetensors"), weights_of(folder / "whole.safetensors"));
  }
}

TEST(FitTime, SupportVectorsAndNetworksAreLateAndSayNothing) {
  TempFolder folder;
  folder.write("near.csv", clouds_csv(2400, {}, 0.3));
  FitTask task = make_task(options_for(folder, "near.csv", 0));
  for (const char* model : {"svm", "mlp"}) {
    TrialLimits limits;
    limits.deadline = steady_seconds();
    const TrialOutcome out = run_trial(task, TrainConfig::for_model(model), limits);
    EXPECT_EQ(out.end, TrialOutcome::End::late) << model;
    EXPECT_EQ(out.reason, kLate);
  }
}

// ---- what newcomers try

TEST(FitData, OddInputIsNamed) {
  TempFolder folder;
  std::string constant = "x,price\n", empty = "x,y,kind\n", own = "x,name\n", names = "id,kind\n";
  for (int i = 0; i < 60; ++i) {
    constant += cat({i, ",3.5\n"});
    empty += cat({",,", i % 2 ? "a" : "b", "\n"});
    own += cat({i % 7, ",n", i, "\n"});
  }
  for (int i = 0; i < 150; ++i) names += cat({"customer", i, ",", i % 2 ? "a" : "b", "\n"});
  struct Case {
    const char* file;
    std::string text, target, said;
  };
  const Case cases[] = {
      {"empty.csv", "", "", "0 bytes"},
      {"header.csv", "x,kind\n", "", "holds no training samples"},
      {"row.csv", "x,kind\n1,a\n", "", "holds 1 sample to learn from; at least 10 are needed"},
      {"six.csv", "x,kind\n1,a\n2,a\n3,b\n4,b\n5,c\n6,c\n", "",
       "holds 6 samples to learn from; at least 10 are needed"},
      {"constant.csv", constant, "", "all 60 training samples have the value 3.5 in 'price'"},
      {"values.csv", empty, "", "no column but the target has a value"},
      {"own.csv", own, "name", "classes from, fewer than two of each"},
      {"names.csv", names, "kind", "has no column to learn from"},
      {"target.csv", clouds_csv(40), "sort", "no column 'sort'; there are 'x', 'y', 'kind'"},
      {"junk.zip", "no zip", "", "is not a valid zip archive"},
  };
  for (const Case& c : cases) {
    folder.write(c.file, c.text);
    FitOptions o = options_for(folder, c.file, 1);
    o.target = c.target;
    try {
      fit(o);
      ADD_FAILURE() << c.file << " was taken";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(c.said), std::string::npos) << e.what();
    }
  }
  // A column without values is named and does no harm.
  const std::string rows = clouds_csv(60), header = "x,y,kind";
  folder.write(
      "more.csv",
      header + ",more" + std::regex_replace(rows.substr(header.size()), std::regex("t\n"), "t,\n"));
  FitOptions o = options_for(folder, "more.csv", 1);
  o.target = "kind";
  const FitResult r = fit(o);
  ASSERT_TRUE(found(r.plan.findings, "empty_column"));
  EXPECT_EQ(found(r.plan.findings, "empty_column")->examples, std::vector<std::string>{"more"});
  EXPECT_GT(r.test.report.accuracy, 0.9);
}

// ---- workers that are started at once

struct Worker {
  pid_t pid = 0;
  ~Worker() {
    if (pid > 0 && kill(pid, SIGKILL) == 0) waitpid(pid, nullptr, 0);  // a test that failed
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  explicit Worker(const std::string& command) {
    pid = fork();
    if (pid == 0) {
      freopen("/dev/null", "w", stdout);
      freopen("/dev/null", "w", stderr);
      execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
      _exit(1);
    }
  }
  int wait() {
    int status = 0;
    waitpid(pid, &status, 0);
    pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
};

void expect_whole_study(const TempFolder& folder, size_t wanted, size_t workers) {
  const auto trials = Study::join(folder / "run" / "study.db").trials();
  EXPECT_GE(trials.size(), wanted);
  EXPECT_LT(trials.size(), wanted + workers);  // each may have had one at work
  for (const Trial& t : trials)                // who is behind half-way depends on who came first
    EXPECT_TRUE(t.state == Trial::State::done || t.state == Trial::State::pruned)
        << t.number << " " << t.note;
  EXPECT_EQ(load_model(folder / "run" / "model.safetensors").info.classes.size(), 2u);
}

TEST(FitWorkers, OneIsKilledAtWorkAndItsTrialIsTakenOver) {
  TempFolder folder;
  folder.write("near.csv", clouds_csv(600, {}, 0.7));  // time enough to join
  const std::string study = folder / "run" / "study.db";
  Worker joins(kFitProgram + " fit --join --study " + study);  // and waits for what comes
  Worker first(kFitProgram + " fit " + (folder / "near.csv").string() + " --trials 10 --out " +
               (folder / "run").string());
  // Killed when two trials are at work: one of them is its own.
  while (test::trials_in(study, Trial::State::running) < 2) {
    ASSERT_EQ(waitpid(joins.pid, nullptr, WNOHANG), 0) << "it ended before it had a trial";
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(joins.pid, SIGKILL);
  joins.wait();
  EXPECT_EQ(first.wait(), 0);
  expect_whole_study(folder, 10, 2);
}

TEST(FitWorkers, AreStartedByMpirun) {
  const std::string mpirun = run_command("command -v mpirun").output;
  if (mpirun.empty()) GTEST_SKIP() << "mpirun is not installed";
  TempFolder folder;
  folder.write("near.csv", clouds_csv(300, {}, 0.7));
  const std::string run = (folder / "run").string();
  // As root Open MPI has to be told that this is meant, and to start more than there are cores.
  const auto r = run_command(
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe "
      "mpirun -n 1 " +
      kFitProgram + " fit " + (folder / "near.csv").string() + " --trials 8 --out " + run +
      " : -n 2 " + kFitProgram + " fit --join --study " + run + "/study.db");
  EXPECT_EQ(r.code, 0) << r.output;
  expect_whole_study(folder, 8, 3);
}

}  // namespace
}  // namespace nacre
