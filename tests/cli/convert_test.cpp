// nacre convert.
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/program.h"
#include "nacre/weights.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

using test::expect_one_line;
using test::holds;
using test::nacre;
using test::TempFolder;

const std::string kGoldens = std::string(NACRE_SOURCE_DIR) + "/tests/formats/goldens/";

TEST(Convert, EveryKindIntoEveryOther) {
  TempFolder folder;
  const std::string from = kGoldens + "state.pth";
  const Weights first = read_weights(from);
  for (const char* to : {"a.safetensors", "b.npz", "c.safetensors"}) {
    const std::string last =
        *to == 'a' ? from : (folder / (*to == 'b' ? "a.safetensors" : "b.npz")).string();
    const auto r = nacre("convert " + last + " " + (folder / to).string());
    ASSERT_EQ(r.code, 0) << r.output;
    EXPECT_TRUE(holds(r.output, "16 arrays, 85 values")) << r.output;
  }
  const SafeTensors read = SafeTensors::open(folder / "c.safetensors");
  EXPECT_EQ(read.metadata().at("format"), "pt");
  for (const auto& [name, array] : first.tensors) {
    const RawTensor& t = read.at(name);
    EXPECT_EQ(t.shape, array.shape) << name;
    // bf16 went through NumPy as f32.
    EXPECT_EQ(t.dtype, array.dtype == DType::bf16 ? DType::f32 : array.dtype) << name;
    EXPECT_EQ(cast(copied_tensor(t), DType::f64).to_vector<double>(),
              cast(copied_tensor(array), DType::f64).to_vector<double>())
        << name;
  }
  const auto r = nacre("convert --to npy " + from + " " + (folder / "d").string());
  ASSERT_EQ(r.code, 0) << r.output;
  EXPECT_EQ(load_npy(folder / "d/conv.weight.npy").shape, (Shape{2, 3, 2}));
}

TEST(Convert, IntoAModelThatCanBeUsed) {
  TempFolder folder;
  folder.write("names.txt", "no\nyes\n");
  const std::string out = folder / "m.safetensors";
  const auto r = nacre("convert " + kGoldens + "mlp.pth " + out +
                       " --model mlp --options 'in=3 hidden=4 classes=2' --classes " +
                       (folder / "names.txt").string());
  ASSERT_EQ(r.code, 0) << r.output;
  const Model m = load_model(out);
  EXPECT_EQ(m.info.classes, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(m.net->variables()[0].value().to_vector<float>(),
            copied_tensor(read_weights(kGoldens + "mlp.pth").tensors[0].second).to_vector<float>());
}

TEST(Convert, NetworksOfOtherFrameworks) {
  TempFolder folder;
  const std::string networks = std::string(NACRE_SOURCE_DIR) + "/tests/importers/goldens/";
  const std::string out = (folder / "m.onnx").string();
  for (const char* name :
       {"tiny.prototxt", "vision.param", "texts-symbol.json", "paddle_pictures.pdmodel",
        "paddle_folder/__model__", "tiny_predict_net.pb"}) {
    const auto r = nacre("convert " + networks + name + " " + out);
    ASSERT_EQ(r.code, 0) << r.output;
    EXPECT_TRUE(holds(r.output, "ONNX, opset 13")) << r.output;
  }
  EXPECT_EQ(nacre("zoo show " + networks + "tiny.prototxt").code, 0);
  const auto weights = nacre("convert " + networks + "old.prototxt " + (folder / "w.npz").string());
  ASSERT_EQ(weights.code, 0) << weights.output;
  EXPECT_EQ(load_npz(folder / "w.npz").size(), 4u);
  expect_one_line(nacre("convert " + networks + "tiny.prototxt " + out + " --weights " + networks +
                        "old.caffemodel"),
                  1, "has no weights in the .caffemodel");
}

TEST(Convert, ChecksWhatItWrote) {
  TempFolder folder;
  const std::string networks = std::string(NACRE_SOURCE_DIR) + "/tests/importers/goldens/";
  for (const std::string& job :
       {"lenet5 " + (folder / "m.onnx").string(),
        networks + "tiny.prototxt " + (folder / "t.onnx").string(),
        kGoldens + "state.pth " + (folder / "s.npz").string(),
        kGoldens + "state.pth --to npy " + (folder / "npy").string(),
        kGoldens + "mlp.pth --model mlp --options 'in=3 hidden=4 classes=2' " +
            (folder / "m.safetensors").string()}) {
    const auto r = nacre("convert --check " + job);
    EXPECT_EQ(r.code, 0) << r.output;
    EXPECT_TRUE(holds(r.output, ": largest difference 0, 0 of the largest value\n")) << r.output;
  }
}

TEST(Convert, ToNcnn) {
  TempFolder folder;
  const std::string param = (folder / "m.param").string();
  const auto r = nacre("convert mobilenet_v3_small --check " + param);
  EXPECT_EQ(r.code, 0) << r.output;
  EXPECT_TRUE(holds(r.output, "ncnn, 171 layers")) << r.output;
  EXPECT_EQ(nacre("convert lenet5 --to ncnn --check " + param).code, 0);
  const std::string onnx = (folder / "m.onnx").string();
  EXPECT_EQ(nacre("convert " + param + " " + onnx + " --check").code, 0);
  EXPECT_EQ(nacre("convert " + onnx + " " + param + " --check").code, 0);
  expect_one_line(nacre("convert lenet5 --to ncnn " + (folder / "m.bin").string()), 2, ".param");
}

TEST(Convert, OptionsMakeAModelOfTheZoo) {
  TempFolder folder;
  const std::string out = (folder / "m.onnx").string();
  auto r = nacre("convert resnet20 " + out + " --options 'classes=5 width=8' --check");
  EXPECT_EQ(r.code, 0) << r.output;
  const auto net = make_model("resnet20", "classes=5 width=8", Scope::init(Key(0)));
  EXPECT_TRUE(holds(r.output, cat({net->parameter_count(), " parameters"}))) << r.output;
  r = nacre("convert lenet5 " + out + " --options side=28 --to program");
  EXPECT_EQ(r.code, 2) << r.output;
  expect_one_line(nacre("convert resnet20 " + out + " --options bogus=5"), 2, "'bogus'");
  for (const char* to : {"w.npz", "w.safetensors", "w.npy"}) {
    const std::string path = (folder / to).string();
    const std::string kind = path.substr(path.rfind('.') + 1);
    r = nacre("convert lenet5 " + path + " --to " + kind + " --options classes=3");
    EXPECT_EQ(r.code, 0) << r.output;
    EXPECT_TRUE(holds(r.output, "10 arrays")) << r.output;
  }
  expect_one_line(nacre("convert lenet99 " + (folder / "w.npz").string()), 1, "lenet99");
  ASSERT_EQ(nacre("convert lenet5 " + out + " --options classes=3").code, 0);
  expect_one_line(nacre("convert " + out + " " + (folder / "m.npz").string() + " --options a=3"), 2,
                  "has its own");
}

TEST(Convert, Mistakes) {
  TempFolder folder;
  const std::string out = (folder / "m.safetensors").string();
  expect_one_line(nacre("convert " + kGoldens + "evil.pth " + out), 1, "posix.system");
  expect_one_line(nacre("convert " + kGoldens + "mlp.pth " + out + " --model lenet5"), 1,
                  "10 missing: conv1.weight");
  expect_one_line(nacre("convert " + kGoldens + "mlp.pth " + out + " --model lenet5 --partial"), 1,
                  "has nothing for lenet5");
  expect_one_line(nacre("convert " + kGoldens + "mlp.pth " + out + " --partial"), 2, "--model");
  expect_one_line(nacre("convert " + kGoldens + "mlp.pth " + (folder / "x.pkl").string()), 2,
                  ".safetensors, .npz or .npy");
  expect_one_line(nacre("convert " + kGoldens + "two.pth " + out + " --prefix critic"), 2,
                  "'critic'");
  expect_one_line(nacre("convert " + kGoldens + "torch.tfevents " + out), 1, "no file of weights");
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace nacre
