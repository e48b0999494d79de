// When training goes wrong: a loss that is not finite is traced to its layer, and a broken
// checkpoint changes nothing.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "nacre/error.h"
#include "nacre/formats.h"
#include "nacre/train.h"
#include "tools/shell.h"
#include "train/trouble.h"

namespace nacre {
namespace {

using test::TempFolder;

TrainConfig trouble_config(const std::string& model) {
  TrainConfig c;
  c.model = model;
  c.data = std::string(NACRE_SOURCE_DIR) + "/data/digits";
  c.batch = 32;
  c.workers = 0;
  c.schedule = "constant";
  return c;
}

Batch batch_of(const Trainer& t) {
  DataLoader loader(t.data().train, t.transform(), shuffled(t.data().train->size()),
                    {.batch = 32, .workers = 0});
  loader.start(0);
  return *loader.next();
}

/// A user's model, wrong in one line.
struct Overflows : Module {
  static constexpr int line = __LINE__ + 5;
  explicit Overflows(const Scope& s) : Module(s), fc(s / "fc", {64, 10}) {}

  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor y = fc(flatten(x, 1), ctx);
    return square(exp(square(y) * 1e6 + 1e6));
  }
  Linear fc;
};

/// All values of this variable become `value`.
void fill(Trainer& t, const std::string& name, double value) {
  Variable v = t.model().state()->find(name);
  ASSERT_TRUE(v.defined()) << name;
  v.set(full(v.value().shape(), value));
  t.model().state()->commit();
}

/// The message of a step that has to fail.
std::string trouble(Trainer& t, const Batch& b) {
  try {
    t.step(b);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::numeric);
    return e.what();
  }
  return "no error";
}

std::vector<std::vector<float>> parameters(Trainer& t) {
  std::vector<std::vector<float>> list;
  for (const Variable& v : t.model().parameters()) list.push_back(v.value().to_vector<float>());
  return list;
}

#define EXPECT_PART(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "no '" << (part) << "' in " << (text)

TEST(LossThatIsNotFinite, NamesTheFirstLayer) {
  for (const int64_t accumulate : {1, 2}) {
    TrainConfig c = trouble_config("mlp");
    c.options = "hidden=16-16";
    c.accumulate = accumulate;
    c.ema = 0.9;
    Trainer t(c);
    const Batch b = batch_of(t);
    t.step(b);
    t.step(b);
    const std::string bias = "layers.2.bias";
    fill(t, bias, INFINITY);
    EXPECT_PART(trouble(t, b), "parameter '" + bias + "' was not finite");
    fill(t, bias, 3e38);
    fill(t, "layers.2.weight", 3e38);
    const auto before = parameters(t);
    const std::string text = trouble(t, b);
    EXPECT_PART(text, "step 4");
    EXPECT_PART(text, "layer layers.2 ");
    EXPECT_EQ(parameters(t), before) << "the parameters stay as they were";
  }
}

TEST(LossThatIsNotFinite, NamesTheLineOfAUsersModel) {
  Overflows net(Scope::init(Key(0)));
  EXPECT_PART(
      first_not_finite(net, batch_of(Trainer(trouble_config("logistic_regression"))), Key(1), 0.1),
      cat({"trouble_test.cpp:", Overflows::line, ")"}));
}

TEST(LearningRateFinder, SuggestsARateThatLearns) {
  TrainConfig c = trouble_config("logistic_regression");
  const LrCurve curve = find_lr(c, 1e-5, 10, 60);
  ASSERT_EQ(curve.lr.size(), curve.loss.size());
  ASSERT_GE(curve.lr.size(), 30u);
  EXPECT_NEAR(curve.lr[0], 1e-5, 1e-12);
  for (size_t k = 1; k < curve.lr.size(); ++k)
    EXPECT_NEAR(curve.lr[k] / curve.lr[k - 1], std::pow(1e6, 1.0 / 59), 1e-6);
  const auto loss_after = [&](double lr) {
    c.lr = lr;
    Trainer t(c);
    const Batch b = batch_of(t);
    double loss = 0;
    for (int k = 0; k < 20; ++k) loss = t.step(b);
    return loss;
  };
  const double suggested = loss_after(curve.suggestion);
  EXPECT_LT(suggested, loss_after(curve.suggestion / 30));
  EXPECT_LT(suggested, 0.5 * curve.loss[0]);
}

TEST(LossThatIsNotFinite, NamesABatchOrParameterThatIsNot) {
  Trainer t(trouble_config("lenet5"));
  const Batch b = batch_of(t);
  Batch broken = b;
  broken.x[5] = NAN;
  EXPECT_PART(trouble(t, broken), "the batch holds values that are not finite");
  EXPECT_TRUE(std::isfinite(t.step(b))) << "one bad batch does no harm to the parameters";
  fill(t, "conv2.bias", INFINITY);
  EXPECT_PART(trouble(t, b), "parameter 'conv2.bias' was not finite");
}

TEST(LossThatIsNotFinite, MayBeTheLossAlone) {
  TrainConfig c = trouble_config("logistic_regression");
  c.l2 = 1e38;
  Trainer t(c);
  for (const Variable& v : t.model().parameters()) fill(t, v.name(), 3);
  EXPECT_PART(trouble(t, batch_of(t)), "the model's output is finite, its loss is not");
}

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(BrokenCheckpoint, ChangesNothing) {
  TempFolder folder;
  TrainConfig c = trouble_config("logistic_regression");
  c.ema = 0.9;
  c.accumulate = 2;
  const std::string good = folder / "good", bad = folder / "bad", before = folder / "before",
                    after = folder / "after";
  Trainer first(c);
  const Batch b = batch_of(first);
  for (int i = 0; i < 3; ++i) first.step(b);  // one part of an update is pending
  first.save_checkpoint(good);

  Trainer t(c);
  for (int i = 0; i < 4; ++i) t.step(b);
  t.save_checkpoint(before);
  const SafeTensors file = SafeTensors::open(good);
  const auto refused = [&](const std::vector<NamedTensor>& tensors, const std::string& what,
                           std::map<std::string, std::string> metadata) {
    save_safetensors(bad, tensors, metadata);
    try {
      t.load_checkpoint(bad);
      ADD_FAILURE() << what << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::data) << what << ": " << e.what();
    }
    t.save_checkpoint(after);
    EXPECT_TRUE(content(after) == content(before)) << what << " changed the trainer";
  };
  std::set<std::string> kinds;
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const std::string name = file.tensors()[i].first;
    kinds.insert(name.substr(0, name.find('/')));
    auto tensors = file.tensors();
    tensors[i].second.shape.push_back(1);
    refused(tensors, "another shape of " + name, file.metadata());
    tensors = file.tensors();
    tensors.erase(tensors.begin() + static_cast<long>(i));
    refused(tensors, "no " + name, file.metadata());
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"model", "optimizer", "average", "pending"}));
  for (const char* field : {"\"history\"", "\"steps\"", "\"schedule\"", "\"best_loss\""}) {
    auto metadata = file.metadata();
    std::string& position = metadata.at("position");
    position.replace(position.find(field), 2, "\"x");
    refused(file.tensors(), std::string("no ") + field, metadata);
  }

  const std::string whole = content(good);
  for (size_t i = 0; i < whole.size(); i += 101) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    std::ofstream(bad, std::ios::binary) << damaged;
    EXPECT_THROW(t.load_checkpoint(bad), Error) << "byte " << i;
  }

  t.load_checkpoint(good);
  t.save_checkpoint(after);
  EXPECT_EQ(SafeTensors::open(after).tensors().size(), file.tensors().size());
  EXPECT_EQ(t.step(b), first.step(b));
  EXPECT_EQ(parameters(t), parameters(first));
}

}  // namespace
}  // namespace nacre
