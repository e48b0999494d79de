// Transfer: what is frozen stays, rates are those that were asked for, adapters are what their
// papers write, and runs with all that resume to the same bits.
#include "nacre/transfer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "nacre/autograd.h"
#include "nacre/plan.h"
#include "tools/shell.h"
#include "train/digits.h"
#include "train/transfer.h"

namespace nacre {
namespace {

using test::TempFolder;
using Values = std::map<std::string, std::vector<float>>;

Values values_of(const Module& net) {
  Values v;
  for (const Variable& p : net.variables()) v[p.name()] = p.value().to_vector<float>();
  return v;
}

/// 300 digits, five epochs of a small network with batch normalisation.
TrainConfig small() {
  TrainConfig c;
  c.model = "cnn";
  c.options = "widths=6-8 dropout=0 classes=10";
  c.transform = "to_channels(1)|normalize(mean=0.3,std=0.35)";
  c.epochs = 3;
  c.batch = 32;
  c.lr = 5e-3;
  c.seed = 2;
  c.workers = 0;
  return c;
}

DataSplits parts() {
  static const test::Digits d = test::digits(300);
  DataSplits s;
  s.train = d.train;
  s.test = subset(d.test, Indices(64, 0));
  return s;
}

/// A model file of the digits 0 to 4, for others to start from.
const std::string& five_digits() {
  static TempFolder folder;
  static const std::string path = [] {
    TrainConfig c = small();
    c.options = "widths=6-8 dropout=0 classes=5";
    c.epochs = 2;
    c.out = folder / "five";
    DataSplits all = parts(), five;
    std::vector<Sample> samples;
    for (int64_t i = 0; i < all.train->size(); ++i)
      if (all.train->label(i) < 5) samples.push_back(all.train->get(i));
    five.train = five.test = from_samples(samples, {"0", "1", "2", "3", "4"});
    Trainer(c, five).run();
    return c.out + "/model.safetensors";
  }();
  return path;
}

std::unique_ptr<Module> resnet() {
  return make_model("resnet18", "layers=1-1-1-1 width=8 classes=10", Scope::init(Key(1)));
}

TEST(Patterns, ChooseParametersAndNameWhatIsWrong) {
  const auto net = resnet();
  const Layers layers(*net, {3, 32, 32});
  EXPECT_EQ(layers.matching("stem"), std::vector<std::string>{"conv1.weight"});
  EXPECT_EQ(layers.matching("head"), (std::vector<std::string>{"fc.weight", "fc.bias"}));
  EXPECT_EQ(layers.matching("^conv1,^fc\\.b"),
            (std::vector<std::string>{"conv1.weight", "fc.bias"}));
  // A comma within brackets is of the pattern.
  EXPECT_EQ(layers.matching("^layer[1,2].{1,2}0.conv1").size(), 2u);
  for (const char* wrong : {"layer(", "conv7", "fc,conv7"})
    EXPECT_THROW(layers.matching(wrong), Error) << wrong;
  try {
    layers.matching("conv7");
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "pattern 'conv7' matches no parameter; their names begin with conv1, bn1, layer1, "
              "layer2, layer3, layer4, fc");
  }
}

TEST(Patterns, LayersGoByDepthWithTheirNormalisations) {
  const auto net = resnet();
  const Layers all(*net, {3, 32, 32});
  const auto layers = all.by_depth();
  ASSERT_EQ(layers.size(), 6u);  // stem, four blocks, head
  EXPECT_EQ(layers[0], (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias"}));
  EXPECT_EQ(layers[5], (std::vector<std::string>{"fc.weight", "fc.bias"}));
  const auto scales = all.lr_scales(net->parameters(), "fc\\.bias=2,layer4=0.1,layer=0", 0.5);
  const auto parameters = net->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& n = parameters[i].name();
    const double want = n == "fc.bias"            ? 2
                        : n == "fc.weight"        ? 1
                        : n.starts_with("layer4") ? 0.1 * 0.5
                        : n.starts_with("layer")  ? 0
                                                  : 1.0 / 32;
    EXPECT_DOUBLE_EQ(scales[i], want) << n;
  }
  for (const char* wrong : {"fc", "fc=", "=2", "fc=-1", "fc=nan", "fc=x", "nothing=1"})
    EXPECT_THROW(all.lr_scales(parameters, wrong), Error) << wrong;
  for (const char* wrong : {"fc", "fc@-1", "fc@x", "fc@1.5", "fc@2"})
    EXPECT_THROW(Unfreezing(all, wrong), Error) << wrong;
}

TEST(Freeze, KeepsBitsAndTakesNoMemoryOfTheOptimizer) {
  TrainConfig c = small();
  c.from = five_digits();
  c.freeze = "features.[0-4]";
  Trainer trainer(c, parts());
  const Values before = values_of(trainer.model());
  const Model source = load_model(five_digits());
  EXPECT_EQ(before.at("features.0.weight"),
            source.net->state()->find("features.0.weight").value().to_vector<float>());
  EXPECT_EQ(before.at("fc.weight").size(), 80u);  // of ten classes, where the file has five
  trainer.run();
  const Values after = values_of(trainer.model());
  for (const auto& [name, value] : before)  // with them the running means of their normalisations
    EXPECT_EQ(value == after.at(name), std::string("01234").find(name[9]) != std::string::npos)
        << name;
  for (const Variable& v : trainer.optimizer().state()->variables())
    EXPECT_EQ(v.name().find("features.0"), std::string::npos) << v.name();
  c.freeze = "features,fc";
  EXPECT_THROW(Trainer(c, parts()), Error);
}

TEST(Rates, ScaleTheStepsOfTheirParameters) {
  TrainConfig c = small();
  c.optimizer = "sgd";
  c.schedule = "constant";
  c.weight_decay = 0;
  c.epochs = 1;
  const auto moved = [&](const std::string& scales) {
    c.lr_scale = scales;
    Trainer trainer(c, parts());
    const Values before = values_of(trainer.model());
    DataLoader loader(trainer.data().train, trainer.transform(),
                      sequential(trainer.data().train->size()), {.batch = 32, .workers = 0});
    loader.start(0);
    trainer.step(*loader.next());
    Values after = values_of(trainer.model());
    for (auto& [name, value] : after)
      for (size_t i = 0; i < value.size(); ++i) value[i] -= before.at(name)[i];
    return after;
  };
  const Values plain = moved(""), scaled = moved("features.0=0.5,fc=3");
  double total = 0;
  for (const char* name : {"features.0.weight", "features.3.weight", "fc.weight"}) {
    const double factor = name[9] == '0' ? 0.5 : name[0] == 'f' && name[1] == 'c' ? 3 : 1;
    for (size_t i = 0; i < plain.at(name).size(); ++i) {
      EXPECT_NEAR(scaled.at(name)[i], factor * plain.at(name)[i], 1e-6) << name;
      total += std::abs(plain.at(name)[i]);
    }
  }
  EXPECT_GT(total, 0.01);
}

TEST(Unfreezing, SaysWhatIsNeverTrained) {
  TrainConfig c = small();
  c.epochs = 2;
  c.unfreeze = "head@0,features.3@1";
  ::testing::internal::CaptureStderr();
  Trainer fits(c, parts());
  EXPECT_EQ(::testing::internal::GetCapturedStderr().find("never"), std::string::npos);
  c.unfreeze = "head@0,features.3@9";
  ::testing::internal::CaptureStderr();
  Trainer late(c, parts());
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("warning: unfreeze 'head@0,features.3@9' never trains features.3.weight"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("the last of this run is 1"), std::string::npos) << said;
}

TEST(Unfreezing, TrainsLayersFromTheirEpochOn) {
  TrainConfig c = small();
  c.from = five_digits();
  c.unfreeze = "head@0,features.[3-9]@1";
  c.schedule = "constant";
  c.optimizer = "adam";
  c.weight_decay = 0;
  std::vector<Values> seen;
  Trainer* self = nullptr;
  TrainCallbacks callbacks;
  callbacks.on_step = [&](const StepInfo& i) {
    if (i.step == 1 || i.step == 9 || i.step == 10 || i.step == 27)
      seen.push_back(values_of(self->model()));
  };
  Trainer trainer(c, parts(), callbacks);  // 9 steps an epoch
  self = &trainer;
  const Values start = values_of(trainer.model());
  trainer.run();
  ASSERT_EQ(seen.size(), 4u);
  const auto moves = [&](const char* name, const Values& a, const Values& b) {
    double most = 0;
    for (size_t i = 0; i < a.at(name).size(); ++i)
      most = std::max(most, std::abs(static_cast<double>(a.at(name)[i]) - b.at(name)[i]));
    return most;
  };
  EXPECT_GT(moves("fc.weight", start, seen[0]), 0);
  for (const auto& [name, value] : start)
    EXPECT_EQ(value == seen[1].at(name), name.starts_with("features")) << name;
  // Adam's first step is as long as the learning rate, however many steps there were before.
  EXPECT_NEAR(moves("features.3.weight", seen[1], seen[2]), c.lr, 1e-5);
  EXPECT_EQ(start.at("features.0.weight"), seen[3].at("features.0.weight"));
  EXPECT_EQ(start.at("features.1.running_mean"), seen[3].at("features.1.running_mean"));
  EXPECT_NE(start.at("features.4.running_mean"), seen[3].at("features.4.running_mean"));
}

Tensor picture(const Shape& shape) { return normal(shape, Key(9)); }

Tensor output(Module& net, const Tensor& x) {
  NoGrad guard;
  Context ctx = Context::eval();
  return net(x, ctx);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  return static_cast<double>(amax(abs(a - b)).item());
}

TEST(Adapters, CorrectNothingAtTheStartAndAreInTheWeightsOnceMerged) {
  for (const auto kind : {Adapters::Kind::lora, Adapters::Kind::residual}) {
    const auto net = resnet();
    const Tensor x = picture({2, 3, 32, 32});
    const auto before = output(*net, x).to_vector<float>();
    Adapters adapters(*net, {3, 32, 32}, {.kind = kind, .rank = 2, .alpha = 6}, Key(0));
    {
      const Adapters::Use use(adapters);
      EXPECT_EQ(output(*net, x).to_vector<float>(), before);
    }
    for (Variable v : adapters.parameters()) {
      v.set(0.1 * normal(v.value().shape(), Key(7).fold_in(v.name())));
      adapters.state()->commit();
    }
    Tensor corrected;
    {
      const Adapters::Use use(adapters);
      corrected = output(*net, x);
      eval(corrected);
    }
    EXPECT_GT(largest_difference(corrected, output(*net, x)), 0.01);
    EXPECT_EQ(output(*net, x).to_vector<float>(), before);
    {
      const Adapters::Use use(&adapters, true);
      EXPECT_LT(largest_difference(corrected, output(*net, x)), 1e-5);
    }
    adapters.merge();
    EXPECT_LT(largest_difference(corrected, output(*net, x)), 1e-5);
    const Adapters::Use use(adapters);  // merged ones correct nothing
    EXPECT_LT(largest_difference(corrected, output(*net, x)), 1e-5);
  }
}

TEST(Adapters, AreWhatThePapersWrite) {
  // LoRA: W x + alpha / r * B (A x), for a linear layer.
  const auto mlp = make_model("mlp", "in=7 classes=4", Scope::init(Key(3)));
  Adapters lora(*mlp, {7}, {.rank = 3, .alpha = 6, .layers = "head"}, Key(0));
  ASSERT_EQ(lora.parameters().size(), 2u);
  EXPECT_TRUE(lora.parameters()[0].name().starts_with("lora_a."));
  Variable b = lora.parameters()[1];
  b.set(normal(b.value().shape(), Key(5)));
  lora.state()->commit();
  Context taps = Context::eval();
  const Tensor x = picture({5, 7});
  std::string head = lora.parameters()[1].name();
  head = head.substr(7, head.size() - 7 - 7);  // between "lora_b." and ".weight"
  std::vector<std::pair<std::string, Tensor>> outputs;
  taps.hook = [&](const std::string& path, const Tensor& y) {
    outputs.emplace_back(path, y);
    return Tensor();
  };
  const Tensor plain = (*mlp)(x, taps);
  const Variable w = mlp->state()->find(head + ".weight"),
                 bias = mlp->state()->find(head + ".bias");
  // The input of the last layer, from its output: solved for by what the layer before gave.
  Tensor hidden;
  for (const auto& [path, y] : outputs)
    if (y.rank() == 2 && y.size(1) == w.value().size(1) && path != head) hidden = y;
  ASSERT_TRUE(hidden.defined());
  if (largest_difference(matmul(hidden, transpose(w.value())) + bias.value(), plain) > 1e-5)
    hidden = relu(hidden);
  ASSERT_LT(largest_difference(matmul(hidden, transpose(w.value())) + bias.value(), plain), 1e-5);
  const Tensor want = plain + 2.0 * matmul(matmul(hidden, transpose(lora.parameters()[0].value())),
                                           transpose(b.value()));
  const Adapters::Use use(lora);
  EXPECT_LT(largest_difference(output(*mlp, x), want), 1e-4);
}

TEST(Adapters, OfResidualKindAreConvolutionsBesideAWayAround) {
  const auto net = make_model("lenet5", "", Scope::init(Key(3)));  // convolutions with biases
  Adapters adapters(*net, {1, 32, 32}, {.kind = Adapters::Kind::residual, .rank = 2}, Key(0));
  ASSERT_EQ(adapters.parameters().size(), 4u);
  for (Variable v : adapters.parameters())
    v.set(normal(v.value().shape(), Key(1).fold_in(v.name())));
  adapters.state()->commit();
  const Tensor x = picture({2, 1, 32, 32});
  Context ctx = Context::eval();
  ctx.hook = [&](const std::string& path, const Tensor& y) {
    const Variable a = adapters.state()->find("residual_a." + path + ".weight"),
                   b = adapters.state()->find("residual_b." + path + ".weight");
    if (!a.defined()) return Tensor();
    const auto one = [](const Variable& v) {
      return reshape(v.value(), {v.value().size(0), v.value().size(1), 1, 1});
    };
    return y + conv2d(conv2d(y, one(a), Tensor()), one(b), Tensor());
  };
  const Tensor want = (*net)(x, ctx);
  const Adapters::Use use(adapters);
  const double scale = static_cast<double>(amax(abs(want)).item());
  EXPECT_LT(largest_difference(output(*net, x), want), 1e-5 * scale);
  // Depthwise convolutions have groups, so only the others get adapters; networks without any none.
  const auto mobile = make_model("mobilenet_v1", "classes=3 width=0.25", Scope::init(Key(0)));
  const Adapters few(*mobile, {3, 64, 64}, {.kind = Adapters::Kind::residual}, Key(0));
  for (const Variable& v : few.parameters())
    EXPECT_GT(mobile->state()->find(v.name().substr(11)).value().size(1), 1) << v.name();
  const auto mlp = make_model("mlp", "in=7 classes=4", Scope::init(Key(3)));
  EXPECT_THROW(Adapters(*mlp, {7}, {.kind = Adapters::Kind::residual}, Key(0)), Error);
}

TEST(Adapters, TrainFewParametersAndLeaveAPlainModel) {
  TempFolder folder;
  TrainConfig c = small();
  c.from = five_digits();
  c.adapter = "lora";
  c.adapter_rank = 1;
  c.out = folder / "run";
  Trainer trainer(c, parts());
  const Values start = values_of(trainer.model());
  const Evaluation e = trainer.run();
  const Values end = values_of(trainer.model());
  const Model saved = load_model(c.out + "/model.safetensors");
  EXPECT_EQ(values_of(*saved.net), end);
  EXPECT_EQ(evaluate(*saved.net, trainer.data().test, trainer.transform()).scores, e.scores);
  // The change of a weight has rank 1: all of its 2x2 determinants are 0.
  const int64_t columns = 6 * 9;
  std::vector<double> change;
  for (size_t i = 0; i < start.at("features.3.weight").size(); ++i)
    change.push_back(static_cast<double>(end.at("features.3.weight")[i]) -
                     start.at("features.3.weight")[i]);
  double most = 0, determinant = 0;
  for (int64_t i = 0; i + 1 < 6; ++i)
    for (int64_t j = 0; j + 1 < columns; ++j) {
      const auto at = [&](int64_t r, int64_t k) {
        return change[static_cast<size_t>(r * columns + k)];
      };
      most = std::max(most, std::abs(at(i, j)));
      determinant = std::max(determinant,
                             std::abs(at(i, j) * at(i + 1, j + 1) - at(i, j + 1) * at(i + 1, j)));
    }
  EXPECT_GT(most, 1e-3);
  EXPECT_LT(determinant, 1e-6);
  c.from.clear();
  EXPECT_THROW(Trainer(c, parts()), Error);
}

TEST(L2SP, PullsTowardsTheStart) {
  Scope scope = Scope::init(Key(0));
  const Variable p = scope.parameter("p", {3}, init::constant(2));
  const Tensor start = Tensor::from(std::vector<float>{1, 2, 4}, {3});
  const Tensor penalty = distance_penalty({p}, {start}, 3);
  EXPECT_DOUBLE_EQ(penalty.item(), 7.5);
  EXPECT_EQ(grad(penalty, {p.value()})[0].to_vector<float>(), (std::vector<float>{3, 0, -6}));

  const auto distance = [&](double alpha) {
    TrainConfig c = small();
    c.from = five_digits();
    c.l2_sp = alpha;
    c.optimizer = "momentum";
    c.lr = 0.02;
    c.schedule = "constant";
    c.weight_decay = 0;
    Trainer trainer(c, parts());
    const Values start = values_of(trainer.model());
    trainer.run();
    const Values end = values_of(trainer.model());
    double sum = 0, head = 0;
    for (const auto& [name, value] : start)
      if (name.find("running") == std::string::npos)
        for (size_t i = 0; i < value.size(); ++i)
          (name.starts_with("fc") ? head : sum) += std::pow(value[i] - end.at(name)[i], 2);
    EXPECT_GT(head, 0.05);  // nothing holds what is new
    return sum;
  };
  EXPECT_LT(distance(1), 0.2 * distance(0));
  TrainConfig c = small();
  c.l2_sp = 1;
  EXPECT_THROW(Trainer(c, parts()), Error);
}

/// Stopped after a step and gone on with in a new trainer, when the file that it started from is
/// gone, a run has the losses and weights of one never stopped.
void expect_transfer_resumes(TrainConfig c, int64_t stop_at) {
  TempFolder folder;
  std::filesystem::copy_file(c.from, folder / "from.safetensors");
  c.from = folder / "from.safetensors";
  std::vector<double> losses;
  const auto run = [&](int64_t stop) {
    clear_plans();
    restore_seen_structures({});
    Trainer* self = nullptr;
    TrainCallbacks callbacks;
    callbacks.on_step = [&](const StepInfo& i) {
      losses.push_back(i.loss);
      if (i.step == stop) self->stop();
    };
    Trainer trainer(c, parts(), callbacks);
    self = &trainer;
    trainer.run();
    EXPECT_EQ(trainer.stopped(), stop > 0);
    return values_of(trainer.model());
  };
  c.out = folder / "whole";
  const Values want = run(0);
  const std::vector<double> all = losses;
  losses.clear();
  c.out = folder / "parts";
  run(stop_at);
  std::filesystem::remove(c.from);
  c.resume = true;
  EXPECT_EQ(run(0), want);
  EXPECT_EQ(losses, all);
}

TEST(TransferResume, WithFrozenLayersAndRates) {
  TrainConfig c = small();
  c.from = five_digits();
  c.freeze = "stem";
  c.lr_scale = "features.3=0.1";
  c.layer_decay = 0.7;
  expect_transfer_resumes(c, 13);
}

TEST(TransferResume, WithGradualUnfreezing) {
  TrainConfig c = small();
  c.from = five_digits();
  c.unfreeze = "head@0,features.[3-9]@1,features@2";
  c.accumulate = 3;  // the gradients of an update that an epoch's end cuts
  c.ema = 0.9;
  for (const int64_t stop : {5, 10, 14, 20}) expect_transfer_resumes(c, stop);
}

TEST(TransferResume, WithAdapters) {
  for (const char* kind : {"lora", "residual"}) {
    TrainConfig c = small();
    c.from = five_digits();
    c.adapter = kind;
    c.ema = 0.9;
    expect_transfer_resumes(c, 15);
  }
}

TEST(TransferResume, NearItsStart) {
  TrainConfig c = small();
  c.from = five_digits();
  c.l2_sp = 0.1;
  c.l2 = 0.01;
  expect_transfer_resumes(c, 12);
}

/// The message of the Error(usage) that a trainer of these settings throws.
std::string refusal(const TrainConfig& c) {
  try {
    Trainer(c, parts());
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::usage) << e.what();
    return e.what();
  }
  return "";
}

TEST(TransferResume, SaysWhichSettingsHaveToStay) {
  TempFolder folder;
  TrainConfig c = small();
  c.from = five_digits();
  c.epochs = 1;
  c.out = folder / "run";
  Trainer(c, parts()).run();
  c.resume = true;
  c.lr = 1e-4;
  c.epochs = 2;
  EXPECT_EQ(refusal(c), "");
  const auto changed = [&](const char* name, const char* value) {
    TrainConfig other = c;
    other.set(name, value);
    return refusal(other);
  };
  EXPECT_EQ(changed("seed", "7"),
            c.out + " was begun with the seed '2'; going on with '7' is not possible");
  for (const auto& [name, value] : {std::pair{"adapter", "lora"},
                                    {"l2_sp", "0.1"},
                                    {"freeze", "stem"},
                                    {"ema", "0.9"},
                                    {"optimizer", "sgd"}})
    EXPECT_NE(changed(name, value).find(std::string("was begun with the ") + name),
              std::string::npos)
        << name;
}

TEST(TransferSettings, WithoutEffectAreRefused) {
  TrainConfig c = small();
  c.adapter_rank = 2;
  EXPECT_EQ(refusal(c), "adapter_rank is of adapters; set adapter to lora or residual");
  c = small();
  c.adapter_layers = "fc";
  EXPECT_EQ(refusal(c), "adapter_layers is of adapters; set adapter to lora or residual");
  c = small();
  c.from = five_digits();
  c.adapter = "residual";
  c.adapter_alpha = 2;
  EXPECT_EQ(refusal(c), "adapter_alpha is of lora adapters; set adapter to lora");
}

TEST(TransferStart, SaysWhatWasTakenAndWhatStartsFresh) {
  Start start;
  const auto net = make_model("cnn", "widths=6-8 dropout=0 classes=3",
                              scope_from(five_digits(), Key(0), &start));
  EXPECT_EQ(start.text(), five_digits() +
                              ": 20 arrays are taken; fresh: fc.weight (5x8, the model wants 3x8), "
                              "fc.bias (5, the model wants 3)");
}

}  // namespace
}  // namespace nacre
