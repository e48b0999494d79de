// A model of a table keeps the columns of its training part: for other files, rows without a
// target, rows from a pipe, and texts it never saw.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "nacre/formats.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::CommandResult;
using test::run_command;
using test::TempFolder;

CommandResult nacre(const std::string& arguments) {
  return run_command(std::string(NACRE_BUILD_DIR) + "/nacre " + arguments);
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The "label" of lines of JSON.
std::string labels(const CommandResult& r) {
  std::string all;
  for (size_t at = 0; (at = r.output.find("{\"input\"", at)) != std::string::npos; ++at)
    all +=
        parse_json(r.output.substr(at, r.output.find('\n', at) - at), "a line").at("label").text() +
        " ";
  return all;
}

TEST(CliTable, ASplitTableKeepsItsColumnsForOtherFiles) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "city,size,class\n";
  for (int i = 0; i < 40; ++i) rows += i % 2 ? "Oslo,1,yes\n" : "Paris,1,no\n";
  write_file_atomic(in("a.csv"), rows);
  const std::string model = in("run/model.safetensors");
  ASSERT_EQ(
      nacre("-q train mlp --data " + in("a.csv") + " --epochs 20 --lr 0.02 --out " + in("run"))
          .code,
      0);
  EXPECT_EQ(SafeTensors::open(model).metadata().count("table"), 1u);

  // Other categories, another order of the columns.
  write_file_atomic(in("b.csv"), "class,city,size\nno,Paris,1\nyes,Rome,1\nyes,Oslo,1\n");
  auto r = nacre("predict --json " + model + " " + in("b.csv"));
  EXPECT_TRUE(labels(r) == "no yes yes " || labels(r) == "no no yes ") << r.output;
  EXPECT_TRUE(holds(r.output, "'Rome'")) << r.output;
  write_file_atomic(in("c.csv"), "city,size,class\nParis,1,no\nOslo,1,yes\n");
  r = nacre("eval " + model + " --data " + in("c.csv"));
  EXPECT_TRUE(holds(r.output, "accuracy 100.00 %")) << r.output;

  // Without the target, from a pipe, with and without names.
  r = run_command("printf 'city,size\\nOslo,1\\nParis,1\\n' | " + std::string(NACRE_BUILD_DIR) +
                  "/nacre predict --json " + model + " -");
  EXPECT_EQ(labels(r), "yes no ") << r.output;
  r = run_command("printf 'Oslo,1\\nParis,1\\n' | " + std::string(NACRE_BUILD_DIR) +
                  "/nacre predict --json " + model + " -");
  EXPECT_EQ(labels(r), "yes no ") << r.output;

  write_file_atomic(in("d.csv"), "town,size,class\nParis,1,no\nOslo,1,yes\n");
  for (const std::string& command : {"predict " + model + " ", "eval " + model + " --data "}) {
    r = nacre(command + in("d.csv"));
    EXPECT_EQ(r.code, 1);
    EXPECT_TRUE(holds(r.output, "no column 'city'") && holds(r.output, "'town'")) << r.output;
  }
  write_file_atomic(in("e.csv"), "city,size,class\nParis,1,no\nOslo,1,perhaps\n");
  r = nacre("eval " + model + " --data " + in("e.csv"));
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(holds(r.output, "line 3: the class 'perhaps'")) << r.output;
}

TEST(CliTable, PicturesInATableAreAsBrightOneByOneAsTogether) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "p0,p1,p2,p3,label\n", dark = rows;
  for (int i = 0; i < 60; ++i) rows += i % 2 ? "200,200,9,9,top\n" : "9,9,200,200,bottom\n";
  write_file_atomic(in("a.csv"), rows);
  write_file_atomic(in("b.csv"), dark + "16,16,0,0,top\n");
  const std::string model = in("run/model.safetensors");
  ASSERT_EQ(nacre("-q train mlp --data " + in("a.csv") + " --epochs 2 --out " + in("run")).code, 0);
  const auto first = [](const CommandResult& r) {
    return parse_json(r.output.substr(0, r.output.find('\n')), "a line")
        .at("classes")
        .list()[0]
        .at("probability")
        .number();
  };
  // Together with a bright picture the dark one is divided by 255 anyway.
  write_file_atomic(in("c.csv"), dark + "16,16,0,0,top\n200,200,9,9,top\n");
  EXPECT_NEAR(first(nacre("predict --json " + model + " " + in("b.csv"))),
              first(nacre("predict --json " + model + " " + in("c.csv"))), 1e-6);
}

}  // namespace
}  // namespace nacre
