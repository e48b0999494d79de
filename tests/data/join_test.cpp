// Joins against a plain one in memory, what is said of broken sources, and memory that does not
// grow with the files.
#include "nacre/join.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "nacre/data.h"
#include "nacre/error.h"
#include "nacre/random.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::run_command;
using test::TempFolder;

const std::string kProgram = std::string(NACRE_BUILD_DIR) + "/nacre";

JoinOptions options(const TempFolder& f, std::vector<std::string> sources) {
  JoinOptions o;
  for (const std::string& s : sources) o.sources.push_back(f / s);
  o.on = {"id"};
  o.out = f / "all.csv";
  return o;
}

TEST(Join, PutsTablesJsonAndTextsSideBySide) {
  TempFolder f;
  f.write("a.csv", "id;name;size\n1;\"Ann; \"\"A\"\"\";2\n2;Bob;3\n9;Cy;4\n2;Bo;5\n;Di;6\n");
  f.write("b.jsonl",
          "{\"id\": 2, \"size\": 7.5, \"at\": {\"town\": \"Oslo\", \"zip\": null}}\n\n"
          "{\"size\": 1}\n{\"id\": \"1\", \"tags\": [1, \"x\"], \"ok\": true}\n"
          "{\"id\": 2, \"at\": {\"town\": \"Rome\"}}\n");
  f.write("letters/1.txt", "dear\nall,\n");
  f.write("letters/9.md", "bye");
  JoinOptions o = options(f, {"a.csv", "b.jsonl", "letters"});
  const JoinResult r = join_tables(o);
  EXPECT_EQ(f.read("all.csv"),
            "id,name,size,b.size,at.town,tags,ok,letters\n"
            "1,\"Ann; \"\"A\"\"\",2,,,\"[1, \"\"x\"\"]\",true,\"dear\nall,\"\n"
            "2,Bob,3,7.5,Oslo,,,\n2,Bob,3,,Rome,,,\n"
            "9,Cy,4,,,,,bye\n"
            "2,Bo,5,7.5,Oslo,,,\n2,Bo,5,,Rome,,,\n"
            ",Di,6,,,,,\n");
  EXPECT_EQ(r.rows, 7);
  EXPECT_EQ(r.sources[0].rows, 5);
  EXPECT_EQ(r.sources[1].rows, 4);
  EXPECT_EQ(r.sources[1].keyless, 1);
  EXPECT_EQ(r.sources[1].without, 2);
  EXPECT_EQ(r.sources[2].rows, 2);
  EXPECT_THROW(join_tables(o), Error);  // the result exists
  o.out = f / "inner.csv";
  o.inner = true;
  EXPECT_EQ(join_tables(o).rows, 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(f.str()), {}), 5);
}

TEST(Join, ReadsTextsFromAColumnOfPathsInsideItsFolderOnly) {
  TempFolder f;
  f.write("a/a.csv", "id,kind,note\n1,x,notes/one.txt\n2,y,\n");
  f.write("a/notes/one.txt", "much noise");
  f.write("b.tsv", "client\tage\n2\t40\n1\t30\n");
  JoinOptions o = options(f, {"a/a.csv", "b.tsv"});
  o.on = {"id", "client"};
  o.texts = {"note"};
  join_tables(o);
  EXPECT_EQ(f.read("all.csv"), "id,kind,note,age\n1,x,much noise,30\n2,y,,40\n");
  f.write("secret.txt", "secret");
  f.write("a/a.csv", "id,kind,note\n1,x,../secret.txt\n");
  o.out = f / "no.csv";
  EXPECT_THROW(join_tables(o), Error);
  EXPECT_FALSE(std::filesystem::exists(f / "no.csv"));
}

TEST(Join, EqualsAPlainOneWhateverTheMemory) {
  TempFolder f;
  Rng rng{Key(1)};
  std::multimap<int64_t, std::string> right;
  std::ofstream a(f / "a.csv"), b(f / "b.csv");
  a << "id,x\n";
  b << "y,id\n";
  for (int i = 0; i < 60000; ++i) {
    const auto id = static_cast<int64_t>(rng.below(50000));
    const std::string y = std::to_string(i) + std::string(rng.below(60), 'y');
    b << y << "," << id << "\n";
    right.emplace(id, y);
  }
  std::string want = "id,x,y\n";
  for (int i = 0; i < 30000; ++i) {
    const auto id = static_cast<int64_t>(rng.below(60000));
    a << id << "," << i << "\n";
    const auto [from, to] = right.equal_range(id);
    const std::string start = std::to_string(id) + "," + std::to_string(i) + ",";
    if (from == to) want += start + "\n";
    for (auto at = from; at != to; ++at) want += start + at->second + "\n";
  }
  a.close();
  b.close();
  for (const uint64_t memory : {uint64_t{1} << 20, uint64_t{1} << 30}) {
    JoinOptions o = options(f, {"a.csv", "b.csv"});
    o.memory = memory;
    join_tables(o);
    EXPECT_TRUE(f.read("all.csv") == want) << memory;
    std::filesystem::remove(f / "all.csv");
  }
}

TEST(Join, SaysWhatIsWrong) {
  TempFolder f;
  f.write("a.csv", "id,x\n1,2\n");
  const auto says = [&](const std::string& name, const std::string& text, const std::string& want) {
    f.write(name, text);
    try {
      join_tables(options(f, {"a.csv", name}));
      ADD_FAILURE() << want;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(want), std::string::npos) << e.what();
    }
    EXPECT_FALSE(std::filesystem::exists(f / "all.csv"));
  };
  says("b.csv", "key,y\n1,2\n", "no column 'id' to join on; it has key, y");
  says("b.csv", "id,y\n1,2,3\n", "line 2 has 3 cells");
  says("b.csv", "id,id\n1,2\n", "two columns called 'id'");
  says("b.csv", "id,y\n1,\"2\n", "never closed");
  says("b.csv", "id,y\n1,\xff\n", "line 2 is not UTF-8");
  says("b.jsonl", "{\"id\": 1}\n[1]\n", "line 2 holds a list");
  says("b.jsonl", "{\"id\": 1\n", "line 1");
  says("b.xlsx", "", "no source of a join");
  f.write("b/1.txt", "one");
  f.write("b/2.txt", "two");
  says("b/1.md", "other", "");
  says("b", "", "has two texts for the key '1', 1.txt and 1.md; there should be one");
  const auto r =
      run_command(kProgram + " data join " + (f / "a.csv").string() + " --on id --out x");
  EXPECT_EQ(r.code, 2) << r.output;
}

/// Bytes that the program takes at most for a join of two files of so many rows.
long peak_kilobytes(const TempFolder& f, int rows) {
  {
    Rng rng{Key(2)};
    std::ofstream a(f / "a.csv"), b(f / "b.jsonl");
    a << "id,x,y\n";
    const std::string filler(80, 'f');
    for (int i = 0; i < rows; ++i) {
      a << i << "," << rng.below(1000) << "," << filler << "\n";
      b << "{\"id\": " << (i * 7919L) % rows << ", \"z\": \"" << filler << "\"}\n";
    }
  }
  const pid_t child = fork();
  if (child == 0) {
    freopen("/dev/null", "w", stdout);
    execl(kProgram.c_str(), "nacre", "data", "join", (f / "a.csv").c_str(), (f / "b.jsonl").c_str(),
          "--on", "id", "--out", (f / "all.csv").c_str(), nullptr);
    _exit(1);
  }
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  EXPECT_EQ(status, 0);
  std::ifstream all(f / "all.csv");
  int64_t lines = 0;
  for (std::string line; std::getline(all, line);) ++lines;
  EXPECT_EQ(lines, rows + 1);
  std::filesystem::remove(f / "all.csv");
  return used.ru_maxrss;
}

TEST(Join, TakesNoMoreMemoryForMore) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer has memory of its own";
#endif
  TempFolder f;
  const long little = peak_kilobytes(f, 1000), much = peak_kilobytes(f, 600000);  // 125 MB
  EXPECT_LT(much, 200 << 10);
  EXPECT_LT(much - little, 80 << 10);
}

}  // namespace
}  // namespace nacre
