// Ensembles: the mean of their members, as a file too, and chosen so that they are better.
#include <gtest/gtest.h>

#include <cmath>

#include "autodl/blend.h"
#include "nacre/ensemble.h"
#include "nacre/error.h"
#include "tools/shell.h"

namespace nacre {
namespace {

Model member(const std::string& name, const std::string& options, const std::string& transform,
             uint64_t seed) {
  Model m;
  m.info.model = name;
  m.info.options = model_options(name, options);
  m.info.transform = transform;
  m.info.classes = {"a", "b", "c"};
  m.info.input = {2};
  m.net = make_model(name, options, Scope::init(Key(seed)));
  return m;
}

std::vector<float> probabilities(Model& m, std::vector<float> row) {
  Sample s;
  s.features = std::move(row);
  Transform::parse(m.info.transform).apply(s, false, Key(0));
  Context ctx = Context::eval();
  return softmax((*m.net)(Tensor::from(s.features, {1, 2}), ctx)).to_vector<float>();
}

TEST(Ensemble, IsTheMeanOfItsMembersEachWithItsOwnScaling) {
  test::TempFolder folder;
  const auto a = [] {
    return member("mlp", "in=2 classes=3 hidden=8-4", "impute([5,6])|standardize([5,6],[2,4])", 1);
  };
  const auto b = [] { return member("mlp", "in=2 classes=3 hidden=16", "", 2); };
  std::vector<Model> members;
  members.push_back(a());
  members.push_back(b());
  const Model both = make_ensemble(std::move(members), {1, 3});
  save_model(folder / "both.safetensors", *both.net, both.info);
  Model read = load_model(folder / "both.safetensors");
  EXPECT_EQ(read.info.classes.size(), 3u);
  for (const std::vector<float>& row : {std::vector<float>{1, 2}, {4, -3}}) {
    Model first = a(), second = b();
    const auto p = probabilities(first, row), q = probabilities(second, row),
               mean = probabilities(read, row);
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(mean[k], 0.25f * p[k] + 0.75f * q[k], 1e-6) << k;
  }
  std::vector<Model> alone;
  alone.push_back(a());
  Model one = make_ensemble(std::move(alone), {2});
  Model first = a();
  const auto p = probabilities(first, {NAN, 2}), q = probabilities(one, {NAN, 2});
  for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(p[k], q[k], 1e-6);
}

TEST(Ensemble, OfMembersThatUseTheSameColumnsTakesAllColumns) {
  const auto a = [] {
    return member("mlp", "in=2 classes=3 hidden=8",
                  "columns([3,1])|impute([5,6])|standardize([5,6],[2,4])", 1);
  };
  const auto b = [] { return member("mlp", "in=2 classes=3 hidden=16", "columns([3,1])", 2); };
  std::vector<Model> members;
  members.push_back(a());
  members.push_back(b());
  Model both = make_ensemble(std::move(members), {1, 1});
  const std::vector<float> row = {9, 2, NAN, 1};
  Model first = a(), second = b();
  const auto p = probabilities(first, row), q = probabilities(second, row),
             mean = probabilities(both, row);
  for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(mean[k], 0.5f * (p[k] + q[k]), 1e-6) << k;
  members.clear();
  members.push_back(a());
  members.push_back(member("mlp", "in=2 classes=3 hidden=16", "columns([3,2])", 2));
  EXPECT_THROW(make_ensemble(std::move(members), {1, 1}), Error);
}

TEST(Ensemble, OfMembersThatWeighCountsDifferently) {
  const auto a = [] { return member("mlp", "in=2 classes=3 hidden=8", "counts([1,2.5])", 1); };
  const auto b = [] { return member("mlp", "in=2 classes=3 hidden=8", "counts([2,1.5])", 2); };
  std::vector<Model> members;
  members.push_back(a());
  members.push_back(b());
  Model both = make_ensemble(std::move(members), {1, 1}), first = a(), second = b();
  for (const std::vector<float>& row : {std::vector<float>{2, 7}, {0, 3}, {0, 0}, {NAN, 1}}) {
    const auto p = probabilities(first, row), q = probabilities(second, row),
               mean = probabilities(both, row);
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(mean[k], 0.5f * (p[k] + q[k]), 1e-6) << k;
  }
}

TEST(Ensemble, RefusesMembersThatDoNotGoTogether) {
  std::vector<Model> members;
  members.push_back(member("mlp", "in=2 classes=3 hidden=4", "", 1));
  members.push_back(member("mlp", "in=2 classes=3 hidden=4", "", 2));
  members[1].info.classes = {"a", "b", "d"};
  EXPECT_THROW(make_ensemble(std::move(members), {1, 1}), Error);
  EXPECT_THROW(make_ensemble({}, {}), Error);
  for (const char* options :
       {"members=ensemble weights=1", "members=mlp weights=0.5|0.5", "members=mlp weights=-1",
        "members=mlp weights=nan", "members=no_such_model weights=1", "members= weights="})
    EXPECT_THROW(make_model("ensemble", options, Scope::init(Key(0))), Error) << options;
}

/// A task of 60 samples of two classes, whose candidates are made by hand.
FitTask task() {
  FitTask t;
  std::vector<Sample> samples(60);
  for (size_t i = 0; i < 60; ++i) {
    samples[i].features = {0};
    samples[i].label = static_cast<int64_t>(i % 2);
  }
  t.pool = t.train = t.val = from_samples(samples, {"a", "b"});
  return t;
}

/// Right with this probability but for every `n`-th sample from `first` on.
Candidate candidate(int first, int n, float sure) {
  Candidate c;
  for (int i = 0; i < 60; ++i) {
    const bool wrong = i % n == first;
    const float own = wrong ? 1 - sure : sure;
    c.scores.push_back(i % 2 == 0 ? own : 1 - own);
    c.scores.push_back(i % 2 == 0 ? 1 - own : own);
  }
  c.bytes = 100;
  return c;
}

TEST(Blend, TakesModelsThatErrElsewhere) {
  FitTask t = task();
  // Three that each miss a fifth, of which no sample is missed by two: together they miss none.
  const std::vector<Candidate> all = {candidate(0, 5, 0.8f), candidate(1, 5, 0.8f),
                                      candidate(2, 5, 0.8f)};
  std::vector<double> w = blend(t, all);
  for (double v : w) EXPECT_GT(v, 0);
  EXPECT_NEAR(w[0] + w[1] + w[2], 1, 1e-9);
  // Copies add nothing.
  w = blend(t, {all[0], all[0]});
  EXPECT_EQ(w, (std::vector<double>{1, 0}));
  // Nor may they, where the file would be too large.
  t.options.size_limit = 150;
  w = blend(t, all);
  EXPECT_EQ(w, (std::vector<double>{1, 0, 0}));
  EXPECT_TRUE(blend(t, {}).empty());
}

TEST(Blend, TakesNoMoreMembersThanThereIsTimeToTest) {
  std::vector<Candidate> all = {candidate(0, 5, 0.8f), candidate(1, 5, 0.8f),
                                candidate(2, 5, 0.8f)};
  for (Candidate& c : all) c.testing = 3;
  EXPECT_GT(blend(task(), all, 9)[2], 0);
  std::vector<double> w = blend(task(), all, 8);
  EXPECT_EQ(std::count(w.begin(), w.end(), 0.0), 1);
  w = blend(task(), all, 1);  // the best is tested in any case
  EXPECT_EQ(w, (std::vector<double>{1, 0, 0}));
}

}  // namespace
}  // namespace nacre
