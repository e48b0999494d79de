// Labs in their smallest forms: that they run to the end, write their page, and what must hold
// whatever the size.
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "base/json.h"
#include "labs/lab.h"
#include "nacre/error.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre {
namespace {

const std::string kDigits = std::string(NACRE_SOURCE_DIR) + "/data/digits";

std::map<std::string, double> numbers(const LabResult& r) {
  return {r.numbers.begin(), r.numbers.end()};
}

TEST(Labs, AreListedAndRefuseWhatTheyDoNotHave) {
  std::vector<std::string> names;
  for (const LabEntry* lab : all_labs()) names.push_back(lab->name);
  EXPECT_EQ(names, (std::vector<std::string>{"degradation", "lightweight", "vanishing-gradient",
                                             "very-deep"}));
  try {
    find_lab("deep");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "there is no lab 'deep'; there are degradation, lightweight, vanishing-gradient, "
              "very-deep");
  }
  const LabEntry& lab = find_lab("degradation");
  EXPECT_NE(lab_options(lab, "epochs=3").find("depths=20-56"), std::string::npos);
  for (const char* wrong : {"depth=20", "depths=21", "epochs=x"})
    EXPECT_THROW(run_lab(lab, kDigits, wrong), Error) << wrong;
  EXPECT_THROW(run_lab(lab, std::string(NACRE_SOURCE_DIR) + "/docs", ""), Error);
}

TEST(Labs, SayWhatAnOptionMayBe) {
  const auto answer = [](const char* lab, const char* options) -> std::string {
    try {
      run_lab(find_lab(lab), kDigits, options);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::usage) << e.what();
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(answer("degradation", "depths=20-8-2"),
            "option depths of lab degradation should be from 8 to 1202, got 2");
  EXPECT_EQ(answer("degradation", "depths="),
            "option depths of lab degradation should not be empty");
  EXPECT_EQ(answer("degradation", "side=1"),
            "option side of lab degradation should be from 4 to 256, got 1");
  EXPECT_NE(answer("degradation", "samples=9").find("9 samples are too few for the 10 classes"),
            std::string::npos);
  for (const char* wrong : {"epochs=0", "batch=0", "samples=-1", "seed=-1", "lr=0", "width=0"})
    EXPECT_NE(answer("very-deep", wrong).find("should be from"), std::string::npos) << wrong;
  EXPECT_EQ(answer("very-deep", "survival=0"),
            "option survival of lab very-deep should be from 0.01 to 1, got 0");
  EXPECT_EQ(answer("vanishing-gradient", "depth=1"),
            "option depth of lab vanishing-gradient should be from 2 to 1000, got 1");
  EXPECT_EQ(answer("lightweight", "seconds=-1"),
            "option seconds of lab lightweight should be from 0 to 3600, got -1");
}

TEST(Labs, WriteAPageAndNumbers) {
  const test::TempFolder folder;
  const LabEntry& lab = find_lab("degradation");
  const std::string options = lab_options(lab, "depths=8-14 width=4 samples=60 epochs=2 batch=20");
  const LabResult r = run_lab(lab, kDigits, options);
  EXPECT_EQ(r.tables.at(0).rows.size(), 4u);
  EXPECT_EQ(r.charts.at(0).series.size(), 4u);
  write_lab(folder.str(), lab, kDigits, options, r);
  const Json j = parse_json(read_file(folder / "results.json", 1 << 20), "results.json");
  EXPECT_EQ(j.at("lab").text(), "degradation");
  EXPECT_EQ(j.at("numbers").at("plain-8 training error").number(),
            numbers(r).at("plain-8 training error"));
  EXPECT_EQ(j.at("charts").list().size(), 3u);
  const std::string page = read_file(folder / "report.html", 1 << 22);
  EXPECT_NE(page.find("residual-14"), std::string::npos);
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("src=\"http"), std::string::npos);
}

TEST(Labs, SeeGradientsVanish) {
  const auto n = numbers(
      run_lab(find_lab("vanishing-gradient"), kDigits, "depth=30 width=32 samples=100 epochs=0"));
  EXPECT_GT(n.at("sigmoid, Xavier, plain ratio"), 1e6);
  for (const char* remedy : {"relu, He, plain", "sigmoid, He, batch norm",
                             "sigmoid, Xavier, residual", "tanh, orthogonal, plain"}) {
    EXPECT_LT(n.at(std::string(remedy) + " ratio"), 1e2) << remedy;
    EXPECT_GT(n.at(std::string(remedy) + " ratio"), 1e-2) << remedy;
  }
}

TEST(Labs, KeepGradientsThroughHundredsOfLayers) {
  const auto n = numbers(run_lab(find_lab("very-deep"), kDigits,
                                 "depths=200 width=8 samples=64 epochs=2 batch=16 side=4"));
  EXPECT_GT(n.at("plain-200 gradients"), 1e3);
  EXPECT_LT(n.at("tanh-200 gradients"), 10);
  EXPECT_NEAR(n.at("residual-200 gradients"), 1, 1e-3);  // blocks add nothing at the start
  for (const char* form : {"tanh", "residual", "stochastic"})
    EXPECT_LT(n.at(std::string(form) + "-200 last loss"),
              n.at(std::string(form) + "-200 first loss"))
        << form;
}

TEST(Labs, CompareLightNetworks) {
  const LabResult r =
      run_lab(find_lab("lightweight"), kDigits,
              "models=resnet18+shufflenet_v2_x0_5 samples=60 epochs=1 full=false seconds=0.01");
  const auto n = numbers(r);
  EXPECT_EQ(n.at("resnet18 parameters"),
            static_cast<double>(
                make_model("resnet18",
                           std::string(find_model("resnet18").tiny) + " channels=1 classes=10",
                           Scope::init(Key(0)))
                    ->parameter_count()));
  EXPECT_GT(n.at("resnet18 MACs"), n.at("shufflenet_v2_x0_5 MACs"));
  EXPECT_GT(n.at("resnet18 latency"), 0);
  EXPECT_THROW(run_lab(find_lab("lightweight"), kDigits, "models=mlp"), Error);
}

TEST(Labs, NetworksOfTheDegradationHaveThePublishedParameters) {
  const auto count = [](const char* name) {
    return make_model(name, "projection=true",
                      Scope::load([](const std::string&, const Shape& shape, DType dtype) {
                        return zeros(shape, dtype);
                      }))
        ->parameter_count();
  };
  EXPECT_EQ(count("resnet20"), 272474);
  EXPECT_EQ(count("resnet56"), 855770);
  EXPECT_EQ(count("resnet110"), 1730714);
  EXPECT_EQ(count("resnet1202"), 19424026);
}

}  // namespace
}  // namespace nacre
