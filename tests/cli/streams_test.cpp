// What the program does when its output, its folder or its user has other plans.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/program.h"

namespace nacre {
namespace {

using test::expect_one_line;
using test::holds;
using test::kDigits;
using test::kProgram;
using test::nacre;
using test::run_command;
using test::TempFolder;

std::string train(const std::string& more) {
  return "-q train logistic_regression --data " + kDigits + " " + more;
}

TEST(Output, ThatIsLostIsAFailure) {
  for (const std::string command :
       {"zoo list --json", "zoo list", "zoo show lenet5 --json", "--help", "--version"}) {
    expect_one_line(run_command(kProgram + " " + command + " 2>&1 > /dev/full"), 1,
                    "cannot write the output");
    expect_one_line(run_command(kProgram + " " + command + " >&-"), 1, "cannot write the output");
  }
  expect_one_line(run_command(kProgram + " data info --json " + kDigits + " 2>&1 > /dev/full"), 1,
                  "no space");
}

TEST(Input, ThatDoesNotComeCanBeGivenUp) {
  TempFolder folder;
  const std::string run = folder / "run";
  ASSERT_EQ(nacre(train("--epochs 1 --out " + run)).code, 0);
  const std::string model = run + "/model.safetensors", pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& input : {pipe, "- < " + pipe}) {
    // Somebody holds the pipe open, and writes nothing.
    const auto r =
        run_command("sleep 20 > " + pipe + " & timeout -k 10 1 " + kProgram + " -q predict " +
                    model + " " + input + "; echo code $?; kill $! 2> /dev/null");
    EXPECT_TRUE(holds(r.output, "stopped on request")) << r.output;
    EXPECT_TRUE(holds(r.output, "code 124")) << r.output;  // of timeout: it ended at the request
  }
  expect_one_line(nacre("predict " + model + " - < /dev/null"), 1, "standard input is empty");
}

TEST(Options, OfEveryCommandMayStandBehindIt) {
  const auto r = nacre("zoo list --threads 2");
  EXPECT_EQ(r.code, 0) << r.output;
  const auto quiet = nacre("data info " + kDigits + " -q");
  EXPECT_EQ(quiet.code, 0) << quiet.output;
}

TEST(Resume, RefusesAnotherModelAndLeavesTheRunWhole) {
  TempFolder folder;
  const std::string run = folder / "run";
  ASSERT_EQ(nacre(train("--epochs 1 --out " + run)).code, 0);
  const std::string config = folder.read("run/config.yaml");
  expect_one_line(nacre("-q train mlp --resume " + run), 2, "mlp");
  expect_one_line(nacre("-q train --resume " + run + " --options bias=false"), 2, "bias=false");
  expect_one_line(nacre("-q train --resume " + run + " --data elsewhere"), 2, "elsewhere");
  expect_one_line(nacre("-q train --resume " + run + " --config nothere.yaml"), 2, "nothere.yaml");
  EXPECT_EQ(folder.read("run/config.yaml"), config);
  const auto r = nacre("-q train --epochs 2 --resume " + run);
  EXPECT_EQ(r.code, 0) << r.output;
}

TEST(Resume, SaysWhatIsMissing) {
  TempFolder folder;
  const std::string run = folder / "run";
  ASSERT_EQ(nacre(train("--epochs 1 --out " + run)).code, 0);
  std::filesystem::remove(run + "/model.safetensors");
  const auto again = nacre("-q train --resume " + run);
  EXPECT_EQ(again.code, 0);
  EXPECT_TRUE(holds(again.output, "is gone")) << again.output;
  EXPECT_TRUE(std::filesystem::exists(run + "/model.safetensors"));
  std::filesystem::remove(run + "/checkpoints/last.safetensors");
  const auto fresh = nacre("-q train --resume " + run);
  EXPECT_EQ(fresh.code, 0);
  EXPECT_TRUE(holds(fresh.output, "no checkpoint")) << fresh.output;
}

TEST(RunFolder, OverwritesNothing) {
  TempFolder folder;
  for (const std::string name : {"config.yaml", "model.safetensors", "metrics.jsonl", "report.html",
                                 "checkpoints/last.safetensors"}) {
    folder.write(name, "precious");
    expect_one_line(nacre(train("--epochs 1 --out " + folder.str())), 2, name);
    EXPECT_EQ(folder.read(name), "precious");
    std::filesystem::remove(folder / name);
  }
}

/// Starts the program with its output in a file.
pid_t start(const std::string& arguments, const std::string& output) {
  const std::string command = "exec " + kProgram + " " + arguments + " > " + output + " 2>&1";
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  return child;
}

int finish(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

template <typename Condition>
bool soon(Condition holds) {
  for (int i = 0; i < 3000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(RunFolder, BelongsToOneProcess) {
  TempFolder folder;
  const std::string run = folder / "run";
  const pid_t first = start(train("--epochs 100000 --out " + run), folder / "first.txt");
  ASSERT_TRUE(soon([&] { return !folder.read("run/metrics.jsonl").empty(); }));
  expect_one_line(nacre("-q train --resume " + run), 1, "another process");
  expect_one_line(nacre(train("--out " + run)), 1, "another process");
  kill(first, SIGINT);
  EXPECT_EQ(finish(first), 130);
}

TEST(CtrlC, StopsBetweenThePartsOfAnUpdate) {
  TempFolder folder;
  const std::string run = folder / "run";
  const pid_t child =
      start(train("--epochs 100000 --accumulate 100000 --out " + run), folder / "out.txt");
  ASSERT_TRUE(soon([&] { return !folder.read("run/metrics.jsonl").empty(); }));
  kill(child, SIGINT);
  EXPECT_EQ(finish(child), 130);
  EXPECT_TRUE(std::filesystem::exists(run + "/checkpoints/last.safetensors"));
}

TEST(CtrlC, StopsOtherWorkToo) {
  TempFolder folder;
  const std::string to = folder / "pictures";
  const pid_t child = start("data convert " + kDigits + " " + to, folder / "out.txt");
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(to + "/train/0"); }));
  kill(child, SIGTERM);
  EXPECT_EQ(finish(child), 130) << folder.read("out.txt");
}

}  // namespace
}  // namespace nacre
