// A model of a table keeps the columns of its training part: for other files, rows without a
// target, rows from a pipe, and texts it never saw.
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"
#include "nacre/error.h"
#include "nacre/formats.h"
#include "nacre/image.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

using test::CommandResult;
using test::holds;
using test::nacre;
using test::run_command;
using test::TempFolder;

/// The "label" of lines of JSON.
std::string labels(const CommandResult& r) {
  std::string all;
  for (size_t at = 0; (at = r.output.find("{\"input\"", at)) != std::string::npos; ++at)
    all +=
        parse_json(r.output.substr(at, r.output.find('\n', at) - at), "a line").at("label").text() +
        " ";
  return all;
}

TEST(CliTable, NumbersThatNoFloatHolds) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "size,price\n";
  for (int i = 0; i < 100; ++i) rows += i == 47 ? "3.5e38,1\n" : cat({i, ",", 2 * i, "\n"});
  write_file_atomic(in("a.csv"), rows);
  auto r = nacre("train linear --data " + in("a.csv") + " --out " + in("run"));
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "'3.5e38', which counts as missing")) << r.output;
  write_file_atomic(in("b.csv"), "size\n1\n-1e39\n");
  test::expect_one_line(nacre("predict " + in("run/model.safetensors") + " " + in("b.csv")), 1,
                        "line 3: '-1e39' in the column 'size' is not a number");
}

TEST(CliPredict, ScoresThatAreNoNumbersAreAFailure) {
  TempFolder f;
  Model m;
  m.net = make_model("logistic_regression", "in=2 classes=2", Scope::init(Key(0)));
  for (Variable v : m.net->variables()) v.set(v.value() * std::numeric_limits<double>::quiet_NaN());
  m.info.model = "logistic_regression";
  m.info.options = "in=2 classes=2";
  m.info.classes = {"no", "yes"};
  m.info.input = {1, 1, 2};
  const std::string model = f / "m.safetensors";
  save_model(model, *m.net, m.info);
  f.write("d/no/a.pgm", "P5 2 1 255\nab");
  f.write("d/yes/b.pgm", "P5 2 1 255\nbc");
  test::expect_one_line(nacre("predict " + model + " " + (f / "d/no/a.pgm").string()), 1,
                        "the model gives no numbers");
  const auto r = nacre("eval " + model + " --data " + (f / "d").string());
  EXPECT_EQ(r.code, 1) << r.output;
  EXPECT_TRUE(holds(r.output, "the model gives no numbers")) << r.output;
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

  // An ONNX file has the columns too.
  ASSERT_EQ(nacre("convert " + model + " " + in("m.onnx")).code, 0);
  r = nacre("predict --json " + in("m.onnx") + " " + in("c.csv"));
  EXPECT_EQ(labels(r), "no yes ") << r.output;

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

TEST(CliTable, MissingNumbersBecomeTheMeanAndRowsWithoutATargetAreLeftOut) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "x,y,class\n";
  const char* missing[] = {"", "?", "NA", "nan"};
  for (int i = 0; i < 80; ++i)
    rows += cat({i % 2, ",", i % 10 ? "3" : missing[i / 20], ",", i % 2 ? "odd\n" : "even\n"});
  write_file_atomic(in("a.csv"), rows + "1,3,\n");
  EXPECT_TRUE(holds(nacre("data info " + in("a.csv")).output, "missing in 8 rows"));
  EXPECT_TRUE(holds(nacre("data check " + in("a.csv")).output, "rows with missing numbers"));
  const std::string model = in("run/model.safetensors");
  auto r =
      nacre("-q train mlp --data " + in("a.csv") + " --epochs 20 --lr 0.02 --out " + in("run"));
  EXPECT_TRUE(holds(r.output, "1 row is left out: no value of 'class'")) << r.output;
  EXPECT_TRUE(holds(r.output, "accuracy 100.00 %")) << r.output;
  write_file_atomic(in("b.csv"), "x,y\n1,\n1,3\n");
  r = nacre("predict --json " + model + " " + in("b.csv"));
  EXPECT_EQ(labels(r), "odd odd ") << r.output;
  // A missing y is its mean, 3.
  const std::string one = r.output.substr(0, r.output.find('\n')),
                    two = r.output.substr(r.output.find('\n') + 1);
  const auto of = [](const std::string& line) {
    return parse_json(line, "a line").at("classes").list()[0].at("probability").number();
  };
  EXPECT_DOUBLE_EQ(of(one), of(two));
}

TEST(CliTable, ValuesArePredictedInTheirOwnUnits) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "x,price\n", wrong = rows;
  for (int i = 0; i < 200; ++i) rows += cat({i, ".5,", 20000 + 100 * i, "\n"});
  for (int i = 0; i < 50; ++i) wrong += cat({i, ".5,", i, "\n"});
  write_file_atomic(in("a.csv"), rows);
  write_file_atomic(in("wrong.csv"), wrong);
  write_file_atomic(in("b.csv"), "x\n50.5\n");
  auto r = nacre("-q train linear_regression --data " + in("a.csv") +
                 " --lr 0.2 --epochs 40 --out " + in("run"));
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_FALSE(holds(r.output, "better guess")) << r.output;
  const std::string model = in("run/model.safetensors");
  r = nacre("predict --json " + model + " " + in("b.csv"));
  EXPECT_NEAR(parse_json(r.output, "a line").at("values").list()[0].number(), 25000, 250);
  r = nacre("eval " + model + " --data " + in("wrong.csv"));
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(holds(r.output, "the mean of these values would be a better guess")) << r.output;
}

TEST(CliTable, ARunGoesOnWhereItsDataWereMoved) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "x,class\n", other = rows;
  for (int i = 0; i < 60; ++i) rows += cat({i, i % 2 ? ",odd\n" : ",even\n"});
  for (int i = 0; i < 60; ++i) other += cat({i, i % 3 ? ",odd\n" : ",even\n"});
  write_file_atomic(in("a.csv"), rows);
  write_file_atomic(in("other.csv"), other);
  const auto first = nacre("train mlp --epochs 2 --data " + in("a.csv") + " --out " + in("run"));
  ASSERT_EQ(first.code, 0);
  EXPECT_TRUE(holds(first.output, "these are 2 steps in all")) << first.output;
  std::filesystem::rename(in("a.csv"), in("b.csv"));
  const std::string resume = "-q train --resume " + in("run") + " --epochs 4";
  test::expect_one_line(nacre(resume), 2, "does not exist; if it was moved, add --data");
  // The same rows, but other classes.
  test::expect_one_line(nacre(resume + " --data " + in("other.csv")), 2, "does not hold the data");
  const auto r = nacre(resume + " --data " + in("b.csv"));
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(f.read("run/config.yaml"), "b.csv"));
  EXPECT_EQ(nacre(resume).code, 0);
}

TEST(CliTable, RowsWithoutATargetAreLeftOutOfAnEvaluation) {
  TempFolder f;
  const auto in = [&](const char* name) { return (f / name).string(); };
  std::string rows = "x,class\n";
  for (int i = 0; i < 60; ++i) rows += i % 2 ? "1,odd\n" : "0,even\n";
  std::string texts = "x,words,class\n";
  for (int i = 0; i < 120; ++i) texts += cat({i % 2, ",text", i, i % 2 ? ",odd\n" : ",even\n"});
  write_file_atomic(in("texts.csv"), texts);
  EXPECT_TRUE(
      holds(nacre("-q train mlp --epochs 1 --data " + in("texts.csv") + " --out " + in("t")).output,
            "left out, more than 100 texts: 'words'"));
  write_file_atomic(in("a.csv"), rows);
  write_file_atomic(in("b.csv"), rows + "1,\n0,?\n");
  ASSERT_EQ(nacre("-q train mlp --data " + in("a.csv") + " --out " + in("run")).code, 0);
  const auto r = nacre("eval " + in("run/model.safetensors") + " --data " + in("b.csv"));
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(holds(r.output, "2 rows are left out") && holds(r.output, "of 60")) << r.output;
}

TEST(CliTable, GreyAndColouredPicturesOfAnySizeAreTrainedTogether) {
  TempFolder f;
  const auto in = [&](const std::string& name) { return (f / name).string(); };
  for (int i = 0; i < 40; ++i) {
    const bool dark = i % 2;
    make_folders(in(dark ? "set/dark" : "set/bright"));
    // A few are grey, and one in ten is larger.
    write_png(in(cat({dark ? "set/dark/" : "set/bright/", i, ".png"})),
              Image(i % 10 ? 28 : 30, 28, i < 4 ? 1 : 3, dark ? 0.1f : 0.9f));
  }
  const std::string info = nacre("data info " + in("set")).output;
  EXPECT_TRUE(holds(info, "others of other sizes and channels")) << info;
  const std::string found = nacre("data check " + in("set")).output;
  EXPECT_TRUE(holds(found, "pictures differ: 4 of 1 channel, 36 of 3 channels")) << found;
  EXPECT_TRUE(holds(found, "28 to 30 pixels wide and 28 to 28 high")) << found;
  write_png(in("dark.png"), Image(50, 40, 1, 0.1f));
  write_png(in("bright.png"), Image(20, 40, 4, 0.9f));
  for (const char* name : {"lenet5", "mlp"}) {
    const auto r = nacre(
        cat({"-q train ", name, " --data ", in("set"), " --epochs 8 --batch 8 --out ", in(name)}));
    EXPECT_TRUE(holds(r.output, "accuracy 100.00 %")) << r.output;
    EXPECT_EQ(labels(nacre("predict --json " + in(name) + "/model.safetensors " + in("dark.png") +
                           " " + in("bright.png"))),
              "dark bright ");
  }
}

}  // namespace
}  // namespace nacre
