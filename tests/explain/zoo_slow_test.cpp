// Relevance in every image classifier of the zoo.
#include "explain/small.h"

namespace nacre::test {
namespace {

/// A network of f64 whose batch norms are not those of a fresh one.
std::unique_ptr<Module> in_double(const ModelEntry& e) {
  auto net = make_model(e.name, e.tiny, Scope::init(Key(8), DType::f64));
  for (Variable v : net->variables())
    if (!v.is_parameter() && v.name().ends_with("running_mean"))
      v.set(uniform(v.value().shape(), Key(9).fold_in(v.name()), -0.2, 0.2, DType::f64));
    else if (!v.is_parameter() && v.name().ends_with("running_var"))
      v.set(uniform(v.value().shape(), Key(9).fold_in(v.name()), 0.5, 2, DType::f64));
  net->state()->commit();
  return net;
}

TEST(LrpOfTheZoo, RelevanceIsConserved) {
  int models = 0;
  for (const ModelEntry* e : all_models()) {
    const Shape& one = e->tiny_input.rank() ? e->tiny_input : e->input;
    const bool large = *e->tiny == 0 && one.rank() == 3 && one[1] > 64;
    if (one.rank() != 3 || e->regression || large) continue;
    const auto net = in_double(*e);
    Shape shape = {1};
    for (int64_t d : one) shape.push_back(d);
    const auto f = explain::scores_of(*net);
    const Tensor x = uniform(shape, Key(10), -1, 1, DType::f64);
    for (const char* rule : {"epsilon", "composite"}) {
      auto o = explain::LrpOptions::named(rule);
      o.epsilon = 1e-12;
      try {
        const auto r = explain::lrp(f, x, {1}, o);
        const double score = explain::class_scores(f, x, {1}).item();
        const double kept = sum(r.map).item() + r.bias.item();
        EXPECT_NEAR(kept, score, 1e-4 * std::max(1.0, std::fabs(score))) << e->name << " " << rule;
      } catch (const Error& error) {
        ADD_FAILURE() << e->name << ": " << error.what();
      }
    }
    ++models;
  }
  EXPECT_GE(models, 50);
}

}  // namespace
}  // namespace nacre::test
