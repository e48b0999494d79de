// ResNet-18 from a checkpoint of PyTorch's and from a safetensors file, by name: the scores are
// torchvision's for the same weights, which goldens/make.py makes by the formula of
// golden_values().
#include "nacre/weights.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/zip.h"
#include "fuzz/safetensors_bytes.h"
#include "tools/shell.h"
#include "zoo/golden.h"

namespace nacre {
namespace {

using std::string_literals::operator""s;

template <typename T>
std::string number(T v) {
  return {reinterpret_cast<const char*>(&v), sizeof v};
}

/// Writes what torch.save() writes of a state_dict: torch.load() reads it too.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& path) : file_(path), zip_(file_) {}
  void add(const std::string& name, const Shape& shape, const std::string& bytes,
           const std::string& storage) {
    const std::string key = std::to_string(count_++);
    const auto elements = static_cast<int>(shape.numel());
    items_ += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
              storage + "\n" + text(key) + text("cpu") + integer(elements) + "tQK\0"s + "(";
    for (const int64_t d : shape) items_ += integer(static_cast<int>(d));
    items_ += "t(";
    int stride = elements;
    for (const int64_t d : shape) items_ += integer(stride /= static_cast<int>(d));
    items_ +=
        "t\x89"
        "ccollections\nOrderedDict\n)RtR";
    zip_.add("archive/data/" + key, "", bytes, false);
  }
  void finish() {
    zip_.add("archive/data.pkl",
             "\x80\x02"
             "ccollections\nOrderedDict\n)R(",
             items_ + "u.", false);
    zip_.add("archive/version", "", "3\n", false);
    zip_.finish();
    file_.commit();
  }

 private:
  static std::string text(const std::string& s) {
    return "X" + number(static_cast<uint32_t>(s.size())) + s;
  }
  static std::string integer(int v) { return "J" + number(v); }

  AtomicFile file_;
  ZipWriter zip_;
  std::string items_;
  int count_ = 0;
};

test::Golden resnet18() {
  for (const test::Golden& g : test::goldens())
    if (g.model == "resnet18") return g;
  throw std::runtime_error("goldens.tsv has no resnet18");
}

std::string bytes_of(const std::vector<float>& v) {
  return {reinterpret_cast<const char*>(v.data()), 4 * v.size()};
}

/// The model with the weights of a file, which has them all and no others.
void expect_scores(const std::string& path, const char* format) {
  const Weights weights = read_weights(path);
  EXPECT_EQ(weights.format, format);
  const auto net = make_model("resnet18", "", Scope::init(Key(1)));
  load_state(*net, weights.tensors);
  EXPECT_EQ(net->parameter_count(), 11689512);
  EXPECT_LE(test::output_difference(resnet18(), *net), 1e-5);
}

class ResNet18 : public ::testing::Test {
 protected:
  const std::unique_ptr<Module> names_ = make_model("resnet18", "", Scope::init(Key(0)));
  const test::TempFolder folder_;
};

TEST_F(ResNet18, FromACheckpoint) {
  const std::string path = (folder_ / "resnet18.pth").string();
  Checkpoint file(path);
  for (const Variable& v : names_->variables()) {
    const Shape shape = v.value().shape();
    file.add(v.name(), shape, bytes_of(test::golden_values(v.name(), shape)), "FloatStorage");
    if (const size_t at = v.name().find("running_var"); at != std::string::npos)
      file.add(v.name().substr(0, at) + "num_batches_tracked", {}, number(int64_t{7}),
               "LongStorage");
  }
  file.finish();
  expect_scores(path, "pytorch");
}

TEST_F(ResNet18, FromSafetensors) {
  Json tensors = Json::object();
  std::string data;
  for (const Variable& v : names_->variables()) {
    const Shape shape = v.value().shape();
    Json entry = Json::object();
    entry["dtype"] = "F32";
    entry["shape"] = Json::array();
    for (const int64_t d : shape) entry["shape"].push_back(d);
    entry["data_offsets"] = Json::array();
    entry["data_offsets"].push_back(static_cast<int64_t>(data.size()));
    data += bytes_of(test::golden_values(v.name(), shape));
    entry["data_offsets"].push_back(static_cast<int64_t>(data.size()));
    tensors[v.name()] = entry;
  }
  folder_.write("resnet18.safetensors", safetensors_bytes({}, tensors, data));
  expect_scores((folder_ / "resnet18.safetensors").string(), "safetensors");
}

}  // namespace
}  // namespace nacre
