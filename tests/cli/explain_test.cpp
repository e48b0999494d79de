#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"
#include "nacre/explain.h"
#include "nacre/image.h"
#include "nacre/zoo.h"

namespace nacre::test {
namespace {

class ExplainCommand : public ::testing::Test {
 protected:
  ExplainCommand() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    const auto net = make_model("cnn", "widths=4-8 classes=3", Scope::init(Key(1)));
    ModelInfo info;
    info.model = "cnn";
    info.options = model_options("cnn", "widths=4-8 classes=3");
    info.transform = "to_channels(1)|resize(20)|normalize(mean=0.3,std=0.2)";
    info.classes = {"ant", "bee", "cat"};
    info.input = {1, 20, 20};
    save_model(model, *net, info);
    Image photo(30, 30, 3, 0.2f);
    for (int i = 8; i < 20; ++i)
      for (int j = 5; j < 15; ++j) photo.at(j, i, i % 3) = 0.9f;
    write_png(picture, photo);
  }
  const std::string folder = std::string(NACRE_BUILD_DIR) + "/results/explain_command";
  const std::string model = folder + "/m.safetensors", picture = folder + "/a photo.png";
};

TEST_F(ExplainCommand, WritesAPageMapsAndJson) {
  const auto r = nacre("-q explain " + model + " '" + picture + "' --class bee --json --out " +
                       folder + "/why");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  const Json& one = j.at("pictures").list()[0];
  EXPECT_EQ(one.at("explained").text(), "bee");
  ASSERT_EQ(one.at("methods").size(), 7u);
  double cam = 0;
  for (const Json& m : one.at("methods").list()) {
    const Image map = read_image(folder + "/why/" + m.at("png").text());
    EXPECT_GE(map.width, 224);
    EXPECT_TRUE(m.has("sanity"));
    if (m.at("method").text() == "cam") cam = m.at("largest").number();
  }
  EXPECT_NE(cam, 0);
  const std::string page = read_file(folder + "/why/index.html", 1 << 24);
  EXPECT_TRUE(holds(page, "integrated_gradients"));
  EXPECT_FALSE(holds(page, "src=\"http")) << "the page has to stand alone";
  EXPECT_EQ(parse_json(read_file(folder + "/why/explanation.json", 1 << 24), "file").size(), 2u);
}

TEST_F(ExplainCommand, MapsAndWeightsMapBack) {
  const auto r =
      nacre("-q explain " + model + " '" + picture + "' --maps --json --out " + folder + "/maps");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  const Model m = load_model(model);
  int weights = 0;
  for (const Json& g : j.at("grids").list()) {
    if (g.at("kind").text() != "weight") continue;
    ++weights;
    const explain::Grid grid{g.at("planes").integer(),
                             g.at("height").integer(),
                             g.at("width").integer(),
                             g.at("columns").integer(),
                             static_cast<float>(g.at("low").number()),
                             static_cast<float>(g.at("high").number())};
    const auto back = explain::grid_values(read_image(folder + "/maps/" + g.at("png").text()), grid)
                          .to_vector<float>();
    const auto want = m.net->state()->find(g.at("name").text()).value().to_vector<float>();
    ASSERT_EQ(back.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(back[i], want[i], (grid.high - grid.low) / 255) << g.at("name").text();
  }
  EXPECT_EQ(weights, static_cast<int>(m.net->parameters().size()));
}

TEST_F(ExplainCommand, UnitsAreMaximisedAndShown) {
  const std::string start = "-q explain " + model + " --out " + folder;
  auto r = nacre(start + "/unit --unit bee --json");
  ASSERT_EQ(r.code, 0) << r.output;
  Json j = parse_json(r.output, "output");
  const auto& climb = j.at("objective").list();
  EXPECT_GT(climb.back().number(), climb.front().number());
  EXPECT_EQ(read_image(folder + "/unit/" + j.at("pictures").list()[0].at("png").text()).width, 220);
  EXPECT_EQ(nacre(start + "/inner --unit features.3:2").code, 0);
  expect_one_line(nacre(start + "/x --unit features.3:9"), 2, "no channel 9");
  expect_one_line(nacre(start + "/x --unit wasp"), 2, "no class 'wasp'");

  std::filesystem::create_directories(folder + "/photos/a");
  for (const char* name : {"1.png", "2.png", "3.png"})
    std::filesystem::copy_file(picture, folder + "/photos/a/" + name);
  r = nacre(start + "/layer --data " + folder + "/photos --layer features.3 --json");
  ASSERT_EQ(r.code, 0) << r.output;
  j = parse_json(r.output, "output");
  EXPECT_EQ(j.at("channels").size(), 4u);
  EXPECT_EQ(j.at("channels").list()[0].at("top").size(), 3u);
}

TEST_F(ExplainCommand, ColumnsOfATable) {
  std::ofstream table(folder + "/t.csv");
  table << "noise,size,colour,label\n";
  for (int i = 0; i < 240; ++i)  // the colour decides
    table << i * 37 % 101 << "," << i * 53 % 97 << "," << (i % 2 ? "red" : "blue") << ","
          << (i % 2 ? "yes" : "no") << "\n";
  table.close();
  const std::string run = folder + "/run", data = " --data " + folder + "/t.csv";
  ASSERT_EQ(nacre("-q train mlp" + data + " --epochs 20 --out " + run).code, 0);
  const auto r = nacre("-q explain " + run + "/model.safetensors" + data + " --json --out " +
                       folder + "/columns");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  EXPECT_GT(j.at("value").number(), 0.9);
  ASSERT_EQ(j.at("columns").size(), 3u);
  const Json& best = j.at("columns").list()[0];
  EXPECT_EQ(best.at("column").text(), "colour");
  EXPECT_GT(best.at("importance").number(), 0.2);
  const Json& curve = best.at("partial_dependence");
  EXPECT_EQ(curve.at("at").list()[1].text(), "red");
  // Of red, more are "yes" (the second class) than of blue.
  EXPECT_GT(curve.at("mean").list()[1].list()[1].number(),
            curve.at("mean").list()[0].list()[1].number() + 0.3);
}

TEST_F(ExplainCommand, FreeTextIsAColumnToo) {
  std::ofstream table(folder + "/free.csv");
  table << "number,comment,label\n";
  const char* words[] = {"river", "stone", "cloud", "paper", "green", "window", "market"};
  for (int i = 0; i < 300; ++i)  // one word among others decides
    table << i * 37 % 101 << "," << words[i % 7] << " " << words[i * 3 % 5] << " "
          << (i * 53 % 97 % 2 ? "excellent " : "terrible ") << words[i / 7 % 7] << " number " << i
          << "," << (i * 53 % 97 % 2 ? "good" : "bad") << "\n";
  table.close();
  const std::string run = folder + "/words", data = " --data " + folder + "/free.csv";
  ASSERT_EQ(nacre("-q train mlp" + data + " --target label --epochs 20 --out " + run).code, 0);
  const auto r = nacre("-q explain " + run + "/model.safetensors" + data + " --json --out " +
                       folder + "/comment");
  ASSERT_EQ(r.code, 0) << r.output;
  const Json j = parse_json(r.output, "output");
  const Json& best = j.at("columns").list()[0];
  EXPECT_EQ(best.at("column").text(), "comment");
  EXPECT_GT(best.at("importance").number(), 0.2);
  EXPECT_FALSE(best.has("partial_dependence"));
}

TEST_F(ExplainCommand, MistakesGetOneLine) {
  const std::string start = "-q explain " + model + " '" + picture + "' --out " + folder + "/x ";
  expect_one_line(nacre(start + "--method lrp,magic"), 2, "no method 'magic'; known are cam");
  expect_one_line(nacre(start + "--class dog"), 2, "no class 'dog': it knows ant, bee, cat");
  expect_one_line(nacre(start + "--class 7"), 2, "there is no class 7: the model has 3");
  expect_one_line(nacre(start + "--method grad_cam --layer fc"), 2, "not a stack of maps");
  expect_one_line(nacre(start + "--rule best"), 2, "no LRP rule 'best'");
  expect_one_line(nacre("-q explain " + model + " nowhere.png --out " + folder + "/x"), 1,
                  "nowhere.png");
  expect_one_line(nacre("-q explain " + model), 2, "say what to explain");
  expect_one_line(nacre(start + "--unit bee"), 2, "choose one");
}

}  // namespace
}  // namespace nacre::test
