#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "cli/program.h"
#include "nacre/image.h"
#include "nacre/zoo.h"

namespace nacre::test {
namespace {

class ExplainCommand : public testing::Test {
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

TEST_F(ExplainCommand, MistakesGetOneLine) {
  const std::string start = "-q explain " + model + " '" + picture + "' --out " + folder + "/x ";
  expect_one_line(nacre(start + "--method lrp,magic"), 2, "no method 'magic'; known are cam");
  expect_one_line(nacre(start + "--class dog"), 2, "no class 'dog': it knows ant, bee, cat");
  expect_one_line(nacre(start + "--class 7"), 2, "there is no class 7: the model has 3");
  expect_one_line(nacre(start + "--method grad_cam --layer fc"), 2, "not a stack of maps");
  expect_one_line(nacre(start + "--rule best"), 2, "no LRP rule 'best'");
  expect_one_line(nacre("-q explain " + model + " nowhere.png --out " + folder + "/x"), 1,
                  "nowhere.png");
  EXPECT_EQ(nacre("-q explain " + model).code, 2);
}

}  // namespace
}  // namespace nacre::test
