// The table of docs/performance.md is made of recorded results as its text says.
#include <gtest/gtest.h>

#include "tools/shell.h"

namespace nacre::test {
namespace {

const std::string kCompare = std::string(NACRE_SOURCE_DIR) + "/bench/compare";

/// A run of a round: milliseconds, of memory and first result too, so that rows can be told apart.
std::string run(int round, double ms) {
  const std::string n = std::to_string(ms);
  return R"({"round": )" + std::to_string(round) + R"(, "ms": )" + n + R"(, "first_ms": )" + n +
         R"(, "peak_mib": )" + n + R"(, "macs": 1000000, "peak_gflops": 100, "runs": 5})";
}

// In the single rounds the engine takes 3, 2 and 0.5 times as long as nacre, PyTorch 4 times.
const std::string kResults = R"({"machine": {"cpu": "A CPU", "threads": 2,
  "versions": {"torch": "9.9"}}, "left_out": ["vgg16-infer-1"], "rows": [
  {"name": "a-infer-1", "title": "Net A", "mode": "infer", "batch": 1, "date": "2026-01-02",
   "failures": {"ncnn": "no such\nlayer"}, "errors": {"nacre": 1e-7, "openvino": 2e-6},
   "runs": {"nacre": [)" + run(0, 1) +
                             "," + run(1, 1) + "," + run(2, 8) + R"(],
            "openvino": [)" + run(0, 3) +
                             "," + run(1, 2) + "," + run(2, 4) + R"(],
            "torch eager": [)" +
                             run(0, 4) + R"(]}},
  {"name": "b-train-8", "title": "Net B", "mode": "train", "batch": 8, "date": "2026-01-03",
   "failures": {}, "errors": {},
   "runs": {"nacre": [)" + run(0, 2) +
                             R"(], "torch compile": [)" + run(0, 1) + R"(], "old torch": [)" +
                             run(0, 3) + R"(]}},
  {"name": "c-train-8", "title": "Net C", "mode": "train", "batch": 8, "date": "2026-01-03",
   "failures": {"nacre": "it fell"}, "errors": {}, "runs": {}}]})";

struct Compare : ::testing::Test {
  void SetUp() override {
    if (run_command("python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))'").code)
      GTEST_SKIP() << "there is no Python";
    folder.write("results.json", kResults);
  }
  CommandResult table(const std::string& precision = "f32") {
    return run_command("python3 -B " + kCompare + " --table --precision " + precision + " --out " +
                       (folder / "results.json").string() + " --doc " +
                       (folder / "page.md").string());
  }
  TempFolder folder;
};

TEST_F(Compare, LeavesThePageWhereThereAreNoResults) {
  const std::string page = "<!-- bench/compare: begin -->\nkept\n<!-- bench/compare: end -->\n";
  for (const char* results : {"", "{}", "[]", "{\"rows\": 1}", "{\"rows\": [{}]}"}) {
    folder.write("results.json", results);
    folder.write("page.md", page);
    EXPECT_EQ(table().code, 1) << results;
    EXPECT_EQ(folder.read("page.md"), page) << results;
  }
}

TEST_F(Compare, MakesTheTableOfRecordedResults) {
  folder.write("page.md",
               "before\n<!-- bench/compare: begin -->\nthe table before\n<!-- bench/compare: end "
               "-->\nafter\n");
  const CommandResult made = table();
  ASSERT_EQ(made.code, 0) << made.output;
  const std::string page = folder.read("page.md");
  EXPECT_EQ(page.find("the table before"), std::string::npos);
  const auto holds = [&](const std::string& line) {
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n\nis not in\n\n" << page;
  };
  EXPECT_EQ(page.rfind("before\n", 0), 0u);
  holds("-->\nafter\n");
  holds("A CPU, 2 threads, f32; measured peak 100 GFLOP/s; torch 9.9; 2026-01-02 to 2026-01-03.");
  // 2 operations on a million pairs of numbers in a millisecond: 2 GFLOP/s of 100.
  holds(
      "| Net A | infer b1 | 1.00 | 3.00 (openvino) | 2.00 | 2 % | 1 / 3 | 1 / 3 | "
      "1e-07 / 2e-06 | 3 |");
  holds("| Net B | train b8 | 2.00 | 1.00 (torch compile) | 0.50 | 1 % | 2 / 1 | 2 / 1 | – | 1 |");
  holds("- inference, 1 workload: 2.00 times the best other, least 2.00\n");
  holds("- inference, 1 workload: 4.00 times the best form of PyTorch, least 4.00\n");
  holds(
      "## Where nacre is not ahead\n\n- Net B, train b8: 0.50 of torch compile (2.00 ms, it "
      "takes 1.00 ms)\n\n");
  holds("- training, 1 workload: 1.50 times the older PyTorch's eager form, least 1.50\n");
  holds("| workload | torch eager | torch compile | old torch | openvino |");
  holds("| Net A, infer b1 | 4.00 | – | – | 2.00 |");
  holds("- Net A, infer b1: ncnn: no such layer\n- Net C, train b8: nacre: it fell\n");
  holds("- not measured for lack of time: vgg16-infer-1\n");
}

TEST_F(Compare, PutsOtherPrecisionsElsewhereWithTheTimesOfF32) {
  std::string results = kResults;
  results.replace(results.find("\"openvino\": ["), 0, "\"nacre f32\": [" + run(0, 5) + "], ");
  folder.write("results.json", results);
  const std::string f32 = "<!-- bench/compare: begin -->\nkept\n<!-- bench/compare: end -->\n";
  folder.write("page.md", f32 +
                              "<!-- bench/compare bf16: begin -->\n"
                              "<!-- bench/compare bf16: end -->\n");
  const CommandResult made = table("bf16");
  ASSERT_EQ(made.code, 0) << made.output;
  const std::string page = folder.read("page.md");
  EXPECT_EQ(page.rfind(f32, 0), 0u) << page;
  for (const char* line :
       {"2 threads, bf16; measured peak of f32 100 GFLOP/s;",
        "| Net A | infer b1 | 1.00 | 5.00 | 3.00 (openvino) | 2.00 | 2 % |",
        "| Net B | train b8 | 2.00 | – | 1.00 (torch compile) |", "\n### Each framework\n"})
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n\nis not in\n\n" << page;
}

TEST_F(Compare, SaysWhatAPageLacks) {
  folder.write("page.md", "no markers\n");
  const CommandResult made = table();
  EXPECT_EQ(made.code, 1);
  EXPECT_NE(made.output.find("lacks the lines"), std::string::npos) << made.output;
  EXPECT_EQ(folder.read("page.md"), "no markers\n");
}

/// Programs that pretend: nacre takes 2 ms, OpenVINO 4 ms, the others fail in their own ways.
struct ComparePretended : Compare {
  void SetUp() override {
    Compare::SetUp();
    script("nacre", R"(case $1 in
  bench) echo '[{"p50_ms": 2, "runs": 5, "first_at": 0, "process_peak_bytes": 1048576,
                 "macs": 1000, "peak_gflops": 100}]' ;;
  convert) touch "$3" ;;
esac)");
    script("python", R"(case "$*" in
  *openvino_peer*) echo '{"p50_ms": 4, "runs": 5, "first_at": 0, "process_peak_bytes": 3145728}' ;;
  *onnxruntime_peer*) echo 'no JSON' ;;
  *torch_peer*) echo 'RuntimeError: no such layer' >&2; exit 1 ;;
  *input.npy*) echo '[1, 1, 32, 32]' ;;
  *) echo '{}' ;;
esac)");
    folder.write("page.md", "<!-- bench/compare: begin -->\n<!-- bench/compare: end -->\n");
  }
  void script(const std::string& name, const std::string& text) {
    folder.write(name, "#!/bin/bash\n" + text + "\n");
    std::filesystem::permissions(folder / name, std::filesystem::perms::owner_all);
  }
  CommandResult compare(const std::string& arguments) {
    return run_command("python3 -B " + kCompare + " --build " + folder.str() + " --python " +
                       (folder / "python").string() + " --doc " + (folder / "page.md").string() +
                       " --out " + (folder / "results.json").string() + " " + arguments);
  }
};

TEST_F(ComparePretended, GoesOnWhereAFrameworkFails) {
  std::filesystem::remove(folder / "results.json");
  const CommandResult r = compare("--workloads lenet5-infer-1,lenet5-train-64 --rounds 2");
  ASSERT_EQ(r.code, 0) << r.output;
  const std::string page = folder.read("page.md");
  for (const char* line :
       {"| LeNet-5 | infer b1 | 2.00 | 4.00 (openvino) | 2.00 |", "| 1 / 3 |", "| 2 |\n",
        "- LeNet-5, infer b1: torch eager: RuntimeError: no such layer\n",
        "- LeNet-5, infer b1: onnxruntime: printed no result: no JSON\n",
        "- LeNet-5, infer b1: ncnn: ", "| LeNet-5 | train b64 | 2.00 | – | – |",
        "for lack of time: lenet5-infer-64, mlp-train-64"})
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n" << page << r.output;

  const CommandResult more = compare("--workloads lenet5-* --rounds 1 --missing");
  ASSERT_EQ(more.code, 0) << more.output;
  EXPECT_EQ(more.output.rfind("lenet5-infer-64\n", 0), 0u) << more.output;
  EXPECT_EQ(more.output.find("lenet5-train-64\n"), std::string::npos) << more.output;
}

TEST_F(ComparePretended, RunsAnOlderPyTorchInTrainingInEveryRound) {
  std::filesystem::remove(folder / "results.json");
  script("old", R"(case "$*" in
  *torch_peer*eager*) echo '{"p50_ms": 9, "runs": 5, "first_at": 0, "process_peak_bytes": 1}' ;;
  *) echo 1.13.0 ;;
esac)");
  const CommandResult r =
      compare("--workloads lenet5-infer-1,lenet5-train-64 --rounds 2 --old-python " +
              (folder / "old").string());
  ASSERT_EQ(r.code, 0) << r.output;
  const std::string page = folder.read("page.md");
  for (const char* line :
       {"old torch 1.13.0;", "| LeNet-5 | train b64 | 2.00 | 9.00 (old torch) | 4.50 |",
        "| LeNet-5, infer b1 | – | 2.00 |"})
    EXPECT_NE(page.find(line), std::string::npos) << line << "\n" << page << r.output;
  EXPECT_NE(r.output.find("  2. old torch "), std::string::npos) << r.output;
}

TEST_F(ComparePretended, StopsInTimeAndKeepsWhatIsThere) {
  const CommandResult r = compare("--workloads lenet5-infer-1 --minutes 0.1");
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_NE(r.output.find("no time was left for lenet5-infer-1"), std::string::npos) << r.output;
  EXPECT_NE(folder.read("page.md").find("| Net A |"), std::string::npos);
}

TEST_F(Compare, NamesItsWorkloads) {
  const CommandResult list = run_command("python3 -B " + kCompare + " --list");
  EXPECT_EQ(list.code, 0);
  EXPECT_EQ(list.output.rfind("lenet5-infer-1 ", 0), 0u) << list.output;
  const CommandResult none = run_command("python3 -B " + kCompare + " --workloads lenet6");
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.output.find("no workload is called 'lenet6'"), std::string::npos) << none.output;
}

}  // namespace
}  // namespace nacre::test
