// Caffe's published networks against nacre's own, and training by a solver file.
#include <gtest/gtest.h>

#include "importers/caffe_writer.h"
#include "nacre/autograd.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

/// examples/mnist/lenet.prototxt of BVLC's Caffe.
const char* const kLeNet =
    "name: 'LeNet' layer { name: 'data' type: 'Input' top: 'data' input_param { shape: { dim: 64 "
    "dim: 1 dim: 28 dim: 28 } } }\n"
    "layer { name: 'conv1' type: 'Convolution' bottom: 'data' top: 'conv1' convolution_param { "
    "num_output: 20 kernel_size: 5 stride: 1 } }\n"
    "layer { name: 'pool1' type: 'Pooling' bottom: 'conv1' top: 'pool1' pooling_param { pool: MAX "
    "kernel_size: 2 stride: 2 } }\n"
    "layer { name: 'conv2' type: 'Convolution' bottom: 'pool1' top: 'conv2' convolution_param { "
    "num_output: 50 kernel_size: 5 stride: 1 } }\n"
    "layer { name: 'pool2' type: 'Pooling' bottom: 'conv2' top: 'pool2' pooling_param { pool: MAX "
    "kernel_size: 2 stride: 2 } }\n"
    "layer { name: 'ip1' type: 'InnerProduct' bottom: 'pool2' top: 'ip1' inner_product_param { "
    "num_output: 500 } }\n"
    "layer { name: 'relu1' type: 'ReLU' bottom: 'ip1' top: 'ip1' }\n"
    "layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip1' top: 'ip2' inner_product_param { "
    "num_output: 10 } }\n"
    "layer { name: 'prob' type: 'Softmax' bottom: 'ip2' top: 'prob' }\n";

struct LeNet : Module {
  explicit LeNet(const Scope& s)
      : Module(s),
        conv1(s / "conv1", {1, 20, 5}),
        conv2(s / "conv2", {20, 50, 5}),
        ip1(s / "ip1", {800, 500}),
        ip2(s / "ip2", {500, 10}) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const auto pool = [](const Tensor& t) { return max_pool2d(t, 2, {.stride = 2})[0]; };
    const Tensor y = flatten(pool(conv2(pool(conv1(x, ctx)), ctx)), 1);
    return softmax(ip2(relu(ip1(y, ctx)), ctx), 1);
  }
  Conv2d conv1, conv2;
  Linear ip1, ip2;
};

TEST(CaffeNetworks, LeNetGivesWhatTheOwnOneDoes) {
  LeNet own(Scope::init(Key(1)));
  const auto net = onnx::parse(import_caffe(kLeNet, test::caffemodel(own), "lenet"), "lenet");
  EXPECT_EQ(net->parameter_count(), 431080);  // as published
  const Tensor x = uniform({3, 1, 28, 28}, Key(2));
  Context ctx = Context::eval();
  NoGrad guard;
  EXPECT_TRUE(allclose((*net)(x, ctx), own(x, ctx), 1e-5, 1e-6));
}

TEST(CaffeNetworks, GroupedAlexNetGivesWhatTheOwnOneDoes) {
  const auto own =
      make_model("caffenet", "side=67 width=12 hidden=32 classes=7", Scope::init(Key(1)));
  const auto net = onnx::parse(
      import_caffe(test::caffenet_prototxt(67, 12, 32, 7), test::caffemodel(*own), "net"), "net");
  EXPECT_EQ(net->parameter_count(), own->parameter_count());
  const Tensor x = normal({2, 3, 67, 67}, Key(2));
  Context ctx = Context::eval();
  NoGrad guard;
  const Tensor want = (*own)(x, ctx), got = (*net)(x, ctx);
  ASSERT_EQ(got.shape(), want.shape());
  EXPECT_LT(amax(abs(got - want)).item(), 1e-5 * amax(abs(want)).item());
}

TEST(CaffeNetworks, ASolverFileTrains) {
  const CaffeSolver solver = read_caffe_solver(
      "net: 'lenet.prototxt' base_lr: 0.05 momentum: 0.9 weight_decay: 5e-4 lr_policy: 'step'\n"
      "gamma: 0.5 stepsize: 30 max_iter: 40",
      "solver");
  LeNet first(Scope::init(Key(3)));
  const auto net = onnx::parse(import_caffe(kLeNet, test::caffemodel(first), "lenet"), "lenet");
  const Tensor x = normal({8, 1, 28, 28}, Key(4));  // to be learnt by heart
  const Tensor target = one_hot(arange(8), 10);
  const auto optimizer = make_optimizer(solver.optimizer, net->trainable(), solver.lr,
                                        solver.weight_decay, solver.momentum);
  const auto schedule = schedule::parse(solver.schedule, solver.lr, 1, solver.iterations);
  double begin = 0, end = 0;
  for (int64_t k = 0; k < solver.iterations; ++k) {
    Context ctx = Context::train(Key(5).fold_in(static_cast<uint64_t>(k)));
    const Tensor loss = -mean(sum(target * log((*net)(x, ctx) + 1e-9), {1}));
    optimizer->set_lr(schedule->at(k));
    optimizer->step(grad(loss, values(net->trainable())));
    end = loss.item();
    if (k == 0) begin = end;
  }
  EXPECT_NEAR(begin, 2.3, 0.3);
  EXPECT_LT(end, 0.5);
}

}  // namespace
}  // namespace nacre
