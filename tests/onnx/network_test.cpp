// Imported networks as modules: values, shapes that change, gradients, messages.
#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/onnx.h"
#include "onnx/make_model.h"

namespace nacre::onnx {
namespace {

using std::string;

string message_of(const string& bytes) {
  try {
    parse(bytes, "m.onnx");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(OnnxNetwork, RunsForBatchesOfAnySize) {
  const auto net = parse(make::model(make::linear()), "m.onnx");
  Context ctx = Context::eval();
  EXPECT_EQ((*net)(ones({1, 3}), ctx).to_vector<float>(), (std::vector<float>{19, 32}));
  EXPECT_EQ((*net)(zeros({4, 3}), ctx).shape(), Shape({4, 2}));
  EXPECT_EQ(str(net->inputs()[0].type), "float ?x3");
}

TEST(OnnxNetwork, CanBeTrained) {
  const auto net = parse(make::model(make::linear()), "m.onnx");
  ASSERT_EQ(net->trainable().size(), 2u);
  EXPECT_EQ(net->parameter_count(), 8);
  Context ctx = Context::train(Key(0));
  const Tensors g = grad(sum((*net)(ones({5, 3}), ctx)), values(net->trainable()));
  EXPECT_EQ(g[0].to_vector<float>(), std::vector<float>(6, 5));
  EXPECT_EQ(g[1].to_vector<float>(), std::vector<float>(2, 5));
}

TEST(OnnxNetwork, OperatorsThatAreNotKnownAreListedOnce) {
  make::Parts p = make::linear();
  p.nodes.push_back(make::node("Frobnicate", {"y"}, {"z1"}, {}, "first"));
  p.nodes.push_back(make::node("Frobnicate", {"y"}, {"z2"}));
  p.nodes.push_back(make::node("Twist", {"y"}, {"z3"}, {}, "third", "org.example"));
  EXPECT_EQ(message_of(make::model(p)),
            "m.onnx needs 2 operators that nacre does not know: Frobnicate (2 times: node 'first' "
            "(Frobnicate), the node that makes 'z2' (Frobnicate)); org.example.Twist (1 time: node "
            "'third' (Twist))");
}

TEST(OnnxNetwork, WhatAnOperatorDoesNotReadIsRefused) {
  const auto run = [](const WireWriter& node) -> string {
    make::Parts p = make::linear();
    p.nodes = {node};
    Context ctx = Context::eval();
    try {
      (*parse(make::model(p), "m.onnx"))(ones({2, 3}), ctx);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(run(make::node("Relu", {"x"}, {"y"}, {make::attribute("bogus", 3)}, "n7")),
            "[Relu] attribute 'bogus' is not known in opset 17 (node 'n7', Relu)");
  EXPECT_EQ(run(make::node("LeakyRelu", {"x", "", "w"}, {"y"}, {}, "n7")),
            "[LeakyRelu] takes no input 2 ('w') (node 'n7', LeakyRelu)");
  EXPECT_EQ(run(make::node("LeakyRelu", {"x", "", ""}, {"y"})), "");
  // Of the first opset; it never meant anything for the values.
  EXPECT_EQ(run(make::node("Relu", {"x"}, {"y"}, {make::attribute("consumed_inputs", 0)})), "");
}

TEST(OnnxNetwork, WrongInputsAreNamed) {
  const auto net = parse(make::model(make::linear()), "m.onnx");
  Context ctx = Context::eval();
  const auto run = [&](const std::map<string, Value>& in) -> string {
    try {
      net->run(in, ctx);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(run({}), "input 'x' (float ?x3) is missing");
  EXPECT_EQ(run({{"x", ones({1, 3})}, {"picture", ones({1})}}),
            "the model has no input 'picture'; it has 'x'");
  EXPECT_EQ(run({{"z", ones({1, 3})}}), "the model has no input 'z'; did you mean 'x'?");
  EXPECT_EQ(run({{"x", ones({1, 3})}, {"w", ones({3, 2})}}),
            "the model has no input 'w'; did you mean 'x'?");  // a weight is none
  EXPECT_EQ(run({{"x", ones({3})}}), "input 'x' is float ?x3, what is given is float 3");
  EXPECT_EQ(run({{"x", ones({1, 3}, DType::i64)}}),
            "input 'x' is float ?x3, what is given is int64 1x3");
  EXPECT_NE(run({{"x", ones({1, 4})}}).find("input 'x' is float ?x3, what is given is float 1x4"),
            string::npos);
}

TEST(OnnxNetwork, BranchesSeeValuesAround) {
  const auto branch = [](const string& op) {
    return make::graph({{make::node(op, {"x", "w"}, {"r"})}, {}, {}, {make::value("r", {})}, {}});
  };
  make::Parts p = {{make::node("ReduceSum", {"x"}, {"s"}, {make::attribute("keepdims", 0)}),
                    make::node("Greater", {"s", "zero"}, {"c"}),
                    make::node("If", {"c"}, {"y"},
                               {make::attribute("then_branch", branch("Add")),
                                make::attribute("else_branch", branch("Mul"))})},
                   {make::tensor("w", {2}, {3, 4}), make::tensor("zero", {}, {0})},
                   {make::value("x", {2})},
                   {make::value("y", {2})},
                   {}};
  const auto net = parse(make::model(p), "m.onnx");
  Context ctx = Context::eval();
  EXPECT_EQ((*net)(Tensor::from({1.f, 2.f}, {2}), ctx).to_vector<float>(),
            (std::vector<float>{4, 6}));
  EXPECT_EQ((*net)(Tensor::from({-1.f, -2.f}, {2}), ctx).to_vector<float>(),
            (std::vector<float>{-3, -8}));
}

TEST(OnnxNetwork, FunctionsOfTheFile) {
  WireWriter f, opset;
  f.bytes(1, "Twice");
  f.bytes(4, "a");
  f.bytes(5, "b");
  f.message(7, make::node("Add", {"a", "a"}, {"b"}));
  opset.bytes(1, "");
  opset.integer(2, 17);
  f.message(9, opset);
  f.bytes(10, "local");
  make::Parts p = {{make::node("Twice", {"x"}, {"t"}, {}, "", "local"),
                    make::node("Twice", {"t"}, {"y"}, {}, "", "local")},
                   {},
                   {make::value("x", {2})},
                   {make::value("y", {2})},
                   {f}};
  Context ctx = Context::eval();
  EXPECT_EQ(
      (*parse(make::model(p), "m.onnx"))(Tensor::from({1.f, 2.f}, {2}), ctx).to_vector<float>(),
      (std::vector<float>{4, 8}));
}

}  // namespace
}  // namespace nacre::onnx
