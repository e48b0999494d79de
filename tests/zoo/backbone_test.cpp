// Any model of the zoo under any head: classifier, segmenter, detector, encoder of a generator.
#include "nacre/backbone.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr int64_t kWidth = 4, kClasses = 3, kBatch = 2;

/// A head on the maps of a pyramid; forward is its loss against targets made from the picture.
struct Head {
  virtual ~Head() = default;
  virtual Tensor loss(const Tensors& maps, const Tensor& x, Context& ctx) = 0;
};

struct Classifier : Head {
  explicit Classifier(const Scope& s, const Shape&) : fc(s / "fc", {kWidth, kClasses}) {}
  Tensor loss(const Tensors& maps, const Tensor&, Context& ctx) override {
    Tensor sum_of;
    for (const Tensor& m : maps)
      sum_of = sum_of.defined() ? sum_of + mean(m, {2, 3}) : mean(m, {2, 3});
    return cross_entropy(fc(sum_of, ctx), Tensor::from({int64_t{0}, int64_t{2}}, {kBatch}));
  }
  Linear fc;
};

struct Segmenter : Head {
  explicit Segmenter(const Scope& s, const Shape&) : conv(s / "conv", {kWidth, kClasses}) {}
  Tensor loss(const Tensors& maps, const Tensor& x, Context& ctx) override {
    const Tensor y = interpolate(conv(maps[0], ctx), {x.size(2), x.size(3)}, "bilinear");
    const Tensor rows = reshape(permute(y, {0, 2, 3, 1}), {-1, kClasses});
    return cross_entropy(rows, cast(reshape(select(x, 1, 0) > 0.0, {-1}), DType::i64));
  }
  Conv2d conv;
};

/// At each place of each map: is there an object, and the four sides of its box.
struct Detector : Head {
  explicit Detector(const Scope& s, const Shape&) : conv(s / "conv", {kWidth, 5, 3, 1, 1}) {}
  Tensor loss(const Tensors& maps, const Tensor&, Context& ctx) override {
    Tensor all;
    for (const Tensor& m : maps) {
      const Tensor y = conv(m, ctx);
      const Tensor there = bce_with_logits(slice(y, 1, 0, 1), ones_like(slice(y, 1, 0, 1)));
      const Tensor part = there + mean(abs(exp(slice(y, 1, 1)) - 2.0));
      all = all.defined() ? all + part : part;
    }
    return all;
  }
  Conv2d conv;
};

/// Draws the picture again from the coarsest map.
struct Generator : Head {
  Generator(const Scope& s, const Shape& input) : conv(s / "conv", {kWidth, input[0], 3, 1, 1}) {}
  Tensor loss(const Tensors& maps, const Tensor& x, Context& ctx) override {
    return mse_loss(conv(interpolate(maps.back(), {x.size(2), x.size(3)}), ctx), x);
  }
  Conv2d conv;
};

std::unique_ptr<Head> make_head(const std::string& name, const Scope& s, const Shape& input) {
  if (name == "classifier") return std::make_unique<Classifier>(s, input);
  if (name == "segmenter") return std::make_unique<Segmenter>(s, input);
  if (name == "detector") return std::make_unique<Detector>(s, input);
  return std::make_unique<Generator>(s, input);
}

const std::vector<std::string> kHeads = {"classifier", "segmenter", "detector", "generator"};

/// One step of training changes neck and head, and all stays finite.
void expect_step(const std::string& model, const std::string& options, const Shape& input,
                 const std::vector<std::string>& heads) {
  const Scope s = Scope::init(Key(1));
  Backbone body(s / "body", model, options, input);
  ASSERT_GE(body.stages().size(), 1u);
  FeaturePyramid neck(s / "neck", {body.channels(), kWidth});
  std::vector<std::unique_ptr<Head>> list;
  for (const std::string& name : heads) list.push_back(make_head(name, s / name, input));
  const Tensor x = normal({kBatch, input[0], input[1], input[2]}, Key(2));
  std::vector<Variable> parameters;
  for (const Variable& v : s.state()->variables())
    if (v.is_parameter()) parameters.push_back(v);
  SGD optimizer(parameters, {.lr = 1e-3});
  Context ctx = Context::train(Key(3));
  const Tensors features = body.features(x, ctx);
  for (size_t k = 0; k < features.size(); ++k) {
    EXPECT_EQ(features[k].size(1), body.stages()[k].channels);
    EXPECT_NEAR(static_cast<double>(features[k].size(2)) * body.stages()[k].stride,
                static_cast<double>(input[2]), 1e-6)
        << body.stages()[k].name;
  }
  const Tensors maps = neck.maps(features, ctx);
  Tensor loss;
  for (const auto& head : list) {
    const Tensor part = head->loss(maps, x, ctx);
    loss = loss.defined() ? loss + part : part;
  }
  const auto before = s.state()->find("neck.layer_blocks.0.0.bias").value().to_vector<float>();
  optimizer.step(grad(loss, values(parameters)));
  ctx.commit();
  State* states[] = {s.state().get(), optimizer.state().get()};
  State::commit(states, {loss});
  EXPECT_TRUE(std::isfinite(loss.item()));
  bool finite = true;
  for (const Variable& v : parameters)
    for (const float p : v.value().to_vector<float>()) finite = finite && std::isfinite(p);
  EXPECT_TRUE(finite);
  if (heads != std::vector<std::string>{"generator"}) {  // which sees the coarsest map alone
    EXPECT_NE(s.state()->find("neck.layer_blocks.0.0.bias").value().to_vector<float>(), before);
  }
}

class Backbones : public ::testing::TestWithParam<const ModelEntry*> {};

/// Models of pictures, each small form once.
std::vector<const ModelEntry*> models() {
  std::vector<const ModelEntry*> list;
  std::set<std::pair<const void*, std::string>> seen;
  for (const ModelEntry* e : all_models())
    if (!e->fit && e->input.rank() == 3 &&
        seen.emplace(reinterpret_cast<const void*>(e->make), model_options(e->name, e->tiny))
            .second)
      list.push_back(e);
  return list;
}

TEST_P(Backbones, BearAllHeads) {
  const ModelEntry& e = *GetParam();
  expect_step(e.name, e.tiny, e.tiny_input.empty() ? e.input : e.tiny_input, kHeads);
}

INSTANTIATE_TEST_SUITE_P(All, Backbones, ::testing::ValuesIn(models()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(BackboneMatrix, EachHeadAloneOnSixBackbones) {
  for (const char* model :
       {"resnet18", "vgg11", "mobilenet_v2", "densenet121", "convnext_tiny", "swin_t"})
    for (const std::string& head : kHeads) {
      SCOPED_TRACE(std::string(model) + " " + head);
      const ModelEntry& e = find_model(model);
      expect_step(model, e.tiny, e.tiny_input, {head});
    }
}

TEST(BackboneStages, AreThoseOfThePapers) {
  struct Case {
    const char *model, *options;
    Shape input;
    std::vector<int64_t> channels;
    std::vector<double> strides;
  };
  const Case cases[] = {
      {"resnet50", "", {3, 64, 64}, {64, 256, 512, 1024, 2048}, {2, 4, 8, 16, 32}},
      {"efficientnet_b0", "", {3, 64, 64}, {16, 24, 40, 112, 1280}, {2, 4, 8, 16, 32}},
      {"swin_t", "", {3, 224, 224}, {96, 192, 384, 768}, {4, 8, 16, 32}},
      {"vit_b_16", "layers=1", {3, 224, 224}, {768}, {16}}};
  for (const Case& c : cases) {
    const auto net = make_model(
        c.model, c.options, Scope::load([](const std::string&, const Shape& shape, DType dtype) {
          return zeros(shape, dtype);
        }));
    const auto stages = feature_stages(*net, c.input);
    std::vector<int64_t> channels;
    std::vector<double> strides;
    std::string names;
    for (const FeatureStage& s : stages) {
      channels.push_back(s.channels);
      strides.push_back(s.stride);
      names += s.name + " ";
    }
    EXPECT_EQ(channels, c.channels) << c.model << ": " << names;
    EXPECT_EQ(strides, c.strides) << c.model << ": " << names;
  }
}

TEST(BackboneStages, RefuseWhatMakesNoMaps) {
  const auto refused = [](const char* model, const Shape& input) {
    try {
      Backbone(Scope::init(Key(0)), model, "", input);
    } catch (const Error& e) {
      return e.kind() == Error::Kind::usage;
    }
    return false;
  };
  EXPECT_TRUE(refused("mlp", {1, 28, 28}));
  EXPECT_TRUE(refused("lenet5", {1, 32, 30}));
}

}  // namespace
}  // namespace nacre
