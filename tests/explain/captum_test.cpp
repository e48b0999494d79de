// Against Captum on the same weights; see goldens/make.py.
#include "explain/small.h"

namespace nacre::test {
namespace {

class Captum : public ::testing::Test {
 protected:
  Captum() {
    const std::string folder = std::string(NACRE_SOURCE_DIR) + "/tests/explain/goldens/";
    weights = read_weights(folder + "captum.npz");
    net = std::make_unique<Small>(Scope::load(weights_source(weights.tensors)));
    f = explain::scores_of(*net);
    x = golden("x");
  }
  Tensor golden(const std::string& name) const {
    const Tensor t = weights_source(weights.tensors)(name, {}, DType::f32);
    EXPECT_TRUE(t.defined()) << name;
    return t;
  }
  /// The largest difference, in parts of the golden's largest value.
  void expect(const std::string& name, const Tensor& t, double bound = 2e-6) const {
    const Tensor want = golden("out." + name);
    const double most = amax(abs(want)).item();
    ASSERT_GT(most, 0);
    EXPECT_LE(farthest(t, want) / most, bound) << name;
  }

  Weights weights;
  std::unique_ptr<Small> net;
  explain::Scores f;
  Tensor x;
  const explain::Classes classes = {2, 0};
};

TEST_F(Captum, TheNetworkIsTheSame) { EXPECT_LE(farthest(f(x), golden("scores")), 1e-6); }

TEST_F(Captum, Gradients) {
  expect("saliency", explain::saliency(f, x, classes));
  expect("guided_backprop", explain::guided_backprop(f, x, classes));
  expect("smooth_grad", explain::smooth_grad(f, x, classes, golden("noise")));
  expect("integrated_gradients", explain::integrated_gradients(f, x, classes, {.steps = 20}).map);
  expect("integrated_gradients_baseline",
         explain::integrated_gradients(f, x, classes,
                                       {.steps = 20, .batch = 7, .baseline = golden("baseline")})
             .map);
}

TEST_F(Captum, GradCam) {
  expect("grad_cam", explain::grad_cam(*net, x, classes, "conv2"));
  expect("grad_cam", explain::grad_cam(*net, x, classes));
}

TEST_F(Captum, Occlusion) {
  expect("occlusion",
         explain::occlusion(f, x, classes, {.window = 3, .stride = 2, .fill = 0.5, .batch = 6}),
         5e-5);  // differences of scores: 1.2e-5
}

TEST_F(Captum, Relevance) {
  auto o = explain::LrpOptions::named("epsilon");
  o.epsilon = 1e-9;
  expect("lrp_epsilon", explain::lrp(f, x, classes, o).map, 1e-5);
  o.epsilon = 0.05;
  expect("lrp_epsilon_large", explain::lrp(f, x, classes, o).map, 1e-5);
  o = explain::LrpOptions::named("gamma");
  o.bias = false;
  o.epsilon = 1e-9;
  expect("lrp_gamma", explain::lrp(f, x, classes, o).map, 1e-5);
  o = explain::LrpOptions::named("zplus");
  o.bias = false;
  o.epsilon = 1e-9;
  expect("lrp_zplus", explain::lrp(f, x, classes, o).map, 1e-5);
}

TEST_F(Captum, ExactShapleyValues) {
  const Tensor map = explain::shap(f, slice(x, 0, 0, 1), {2},
                                   {.grid = 2, .shapley = {.samples = 8}, .fill = 0.25});
  // Captum gives each value of a cell the whole share of the cell. Shares are means of differences
  // of scores, whose rounding weighs more: 2.4e-6 with AVX2.
  expect("shap", map * 32.0, 4e-6);
}

}  // namespace
}  // namespace nacre::test
