// Tests of the small form of each model: training, files and the compiler.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "compile/plan.h"
#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/graph.h"
#include "nacre/optim.h"
#include "nacre/plan.h"
#include "nacre/zoo.h"
#include "tools/shell.h"
#include "zoo/shapes.h"

namespace nacre::test {

/// The small form of a model and a batch of 16 for it.
struct Tiny {
  const ModelEntry& entry;
  std::unique_ptr<Module> net;
  Shape input;
  Tensor x;

  explicit Tiny(const ModelEntry& e)
      : entry(e),
        net(make_model(e.name, e.tiny, Scope::init(Key(1)))),
        input(with_batch(16, e.tiny_input.empty() ? e.input : e.tiny_input)),
        x(normal(input, Key(2))) {
    eval(x);
  }
  Tensor run() {
    NoGrad guard;
    Context ctx = Context::eval();
    return (*net)(x, ctx);
  }
  /// The least loss of `steps` steps of Adam; with `shuffle` the targets change places each step.
  double train(int64_t steps, bool shuffle, double rate = 1e-2) {
    const int64_t outputs = run().size(-1);
    const auto o = make_optimizer("adam", net->trainable(), rate);
    Rng rng{Key(3)};
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < 16; ++i) labels.push_back(i % outputs);
    auto features = flatten(x, 1);
    const auto row_sums = mean(features, {1}).to_vector<float>();
    std::vector<float> targets;  // a linear function of the input
    for (float v : row_sums)
      for (int64_t k = 0; k < outputs; ++k) targets.push_back(3 * v);
    double least = INFINITY;
    for (int64_t t = 0; t < steps && (shuffle || least > 0.01); ++t) {
      if (shuffle) {
        rng.shuffle(labels.begin(), labels.end());
        rng.shuffle(targets.begin(), targets.end());
      }
      Context ctx = Context::train(Key(static_cast<uint64_t>(t)));
      const Tensor y = (*net)(x, ctx);
      const Tensor loss = entry.regression ? mse_loss(y, Tensor::from(targets, {16, outputs}))
                                           : cross_entropy(y, Tensor::from(labels, {16}));
      o->step(grad(loss, values(net->trainable())));
      ctx.commit();
      State* states[] = {net->state().get(), o->state().get()};
      State::commit(states, {loss});
      least = std::min(least, loss.item());
    }
    return least;
  }
};

/// What identifies a small form: models of one file may share it.
inline std::pair<const void*, std::string> form_of(const ModelEntry& e) {
  return {reinterpret_cast<const void*>(e.make), model_options(e.name, e.tiny)};
}

/// Below this mean cross-entropy each of 16 is right, since a wrong one alone costs ln 2: all
/// models of classes have the target of 100 % of the batch.
constexpr double kAllRight = 0.69 / 16;

/// The loss to which the small form of a model learns a batch; each form is trained once.
inline double learned_loss(const ModelEntry& e) {
  static std::map<std::pair<const void*, std::string>, double> known;
  const auto [at, fresh] = known.try_emplace(form_of(e), 0);
  if (!fresh) return at->second;
  at->second = Tiny(e).train(400, false);
  // Networks without normalisation need the smaller steps.
  if (!(at->second < kAllRight)) at->second = Tiny(e).train(400, false, 1e-3);
  return at->second;
}

struct Size {
  int64_t parameters = 0, macs = 0;
};
/// Of a model as published; every variable is one zero, seen under its shape: this needs no memory.
inline Size published_form(const ModelEntry& e) {
  static const float zero = 0;
  const auto net =
      make_model(e.name, "", Scope::load([](const std::string&, const Shape& shape, DType dtype) {
                   return Tensor::wrap(nullptr, &zero, shape, dtype, Shape(shape.size(), 0));
                 }));
  return {net->parameter_count(), e.macs ? count_macs(*net, with_batch(1, e.input)) : 0};
}

/// Runs of reference kernels.
inline uint64_t references() {
  uint64_t n = 0;
  for (const auto& [op, runs] : reference_runs()) n += runs;
  return n;
}

/// Models without those whose small form is that of another one: those whose small form is quick
/// to train, or the others.
inline std::vector<const ModelEntry*> tiny_models(bool quick, int64_t most_macs = 600000) {
  std::vector<const ModelEntry*> list;
  std::set<std::pair<const void*, std::string>> seen;
  for (const ModelEntry* e : all_models()) {
    if (e->fit) continue;  // see tabular_test.cpp
    if (!seen.insert(form_of(*e)).second) continue;
    const auto net = make_model(e->name, e->tiny, Scope::init(Key(0)));
    const int64_t macs =
        count_macs(*net, with_batch(1, e->tiny_input.empty() ? e->input : e->tiny_input));
    if (quick == (macs <= most_macs)) list.push_back(e);
  }
  return list;
}

class TinyZoo : public ::testing::TestWithParam<const ModelEntry*> {};

TEST_P(TinyZoo, LearnsABatchButNotShuffledTargets) {
  const auto before = references();
  EXPECT_EQ(Tiny(*GetParam()).run().size(0), 16);
  const double least = learned_loss(*GetParam());
  std::printf("%s: small form learns a batch to a loss of %.2g\n", GetParam()->name, least);
  EXPECT_LT(least, kAllRight);
  Tiny fails(*GetParam());
  EXPECT_GT(fails.train(100, true), kAllRight);
  EXPECT_EQ(references(), before) << "an op of the model ran without a kernel";
}

TEST_P(TinyZoo, SurvivesAGraphFileBitForBit) {
  test::TempFolder folder;
  Tiny a(*GetParam());
  NoGrad guard;
  const Graph graph = Graph::trace(
      [&](const Tensors& in) {
        Context ctx = Context::eval();
        return Tensors{(*a.net)(in[0], ctx)};
      },
      {a.x});
  graph.save(folder / "graph");
  eval(graph.call({a.x}));  // where another model had its structure, it is compiled when seen again
  const auto want = graph.call({a.x})[0].to_vector<float>();
  EXPECT_EQ(Graph::load(folder / "graph").call({a.x})[0].to_vector<float>(), want);
  EXPECT_EQ(a.run().to_vector<float>(), want);
  for (const Pass& pass : passes()) {
    if (std::set<std::string>{"fold", "algebra", "cse", "fuse"}.count(pass.name) == 0) continue;
    EXPECT_LE(run_passes(graph, {}, {&pass, 1}).nodes().size(), graph.nodes().size()) << pass.name;
  }
}

TEST_P(TinyZoo, SurvivesAFileBitForBit) {
  test::TempFolder folder;
  const ModelEntry& e = *GetParam();
  Tiny a(e);
  a.train(3, true);
  ModelInfo info;
  info.model = e.name;
  info.options = e.tiny;
  info.transform = "normalize(mean=0.5,std=0.25)";
  info.classes = {"a", "b, \"c\""};
  info.input = {1, 2, 3};
  info.extra["score"] = "0.5";
  save_model(folder / "m.safetensors", *a.net, info);
  const Model b = load_model(folder / "m.safetensors");
  EXPECT_EQ(b.info.model, info.model);
  EXPECT_EQ(b.info.transform, info.transform);
  EXPECT_EQ(b.info.classes, info.classes);
  EXPECT_EQ(b.info.input, info.input);
  EXPECT_EQ(b.info.extra.at("score"), "0.5");
  const auto want = a.run().to_vector<float>();
  Context ctx = Context::eval();
  EXPECT_EQ((*b.net)(a.x, ctx).to_vector<float>(), want);

  // What was loaded can be trained on.
  const auto o = make_optimizer("sgd", b.net->trainable(), 1e-2);
  Context train = Context::train(Key(1));
  const Tensor loss = mean(square((*b.net)(a.x, train) - 3));
  o->step(grad(loss, values(b.net->trainable())));
  train.commit();
  b.net->state()->commit({loss});
  EXPECT_NE((*b.net)(a.x, ctx).to_vector<float>(), want);

  std::filesystem::resize_file(folder / "m.safetensors",
                               std::filesystem::file_size(folder / "m.safetensors") - 1);
  EXPECT_THROW(load_model(folder / "m.safetensors"), Error);
}

TEST_P(TinyZoo, ComputesTheSameHoweverItIsCompiled) {
  Tiny a(*GetParam());
  a.train(3, true);
  a.run().to_vector<float>();  // so that the next run takes the optimised plan
  const auto optimised = a.run().to_vector<float>();
  set_passes(false);
  const auto plain = a.run().to_vector<float>();
  set_eager(true);
  const auto eager = a.run().to_vector<float>();
  set_eager(false);
  set_passes(true);
  set_reference_backend(true);
  const auto reference = a.run().to_vector<float>();
  set_reference_backend(false);
  EXPECT_EQ(plain, eager);
  float largest = 0, worst = 0;
  ASSERT_EQ(optimised.size(), reference.size());
  for (size_t i = 0; i < reference.size(); ++i) {
    largest = std::max(largest, std::fabs(reference[i]));
    worst = std::max(worst, std::fabs(reference[i] - optimised[i]));
  }
  EXPECT_GT(largest, 0);
  EXPECT_LE(worst, 1e-5f * largest);
}

}  // namespace nacre::test
