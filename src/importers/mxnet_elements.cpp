// The operators of MXNet that work on each element, by the names that they have had, as those of
// ONNX.
#include <map>
#include <string_view>

#include "importers/mxnet_graph.h"

namespace nacre {

const char* mxnet_unary(std::string_view op) {
  static const std::map<std::string_view, const char*> unary = {
      {"relu", "Relu"},
      {"sigmoid", "Sigmoid"},
      {"tanh", "Tanh"},
      {"exp", "Exp"},
      {"log", "Log"},
      {"sqrt", "Sqrt"},
      {"abs", "Abs"},
      {"negative", "Neg"},
      {"floor", "Floor"},
      {"ceil", "Ceil"},
      {"rint", "Round"},
      {"sin", "Sin"},
      {"cos", "Cos"},
      {"tan", "Tan"},
      {"erf", "Erf"},
      {"sign", "Sign"},
      {"softsign", "Softsign"},
      {"reciprocal", "Reciprocal"},
      {"arctan", "Atan"},
      {"arcsin", "Asin"},
      {"arccos", "Acos"},
      {"_copy", "Identity"},
      {"identity", "Identity"},
      {"BlockGrad", "Identity"},
      {"stop_gradient", "Identity"},
      {"make_loss", "Identity"},
      {"MakeLoss", "Identity"},
      {"Dropout", "Identity"},
      {"LinearRegressionOutput", "Identity"},
      {"MAERegressionOutput", "Identity"},
      {"SVMOutput", "Identity"},
      {"LogisticRegressionOutput", "Sigmoid"},
      {"amp_cast", "Identity"}};
  const auto at = unary.find(op);
  return at == unary.end() ? nullptr : at->second;
}

MxnetScalar mxnet_scalar(std::string_view op) {
  static const std::map<std::string_view, MxnetScalar> scalars = {
      {"_plus_scalar", {"Add", false}},    {"_minus_scalar", {"Sub", false}},
      {"_rminus_scalar", {"Sub", true}},   {"_mul_scalar", {"Mul", false}},
      {"_div_scalar", {"Div", false}},     {"_rdiv_scalar", {"Div", true}},
      {"_power_scalar", {"Pow", false}},   {"_rpower_scalar", {"Pow", true}},
      {"_maximum_scalar", {"Max", false}}, {"_minimum_scalar", {"Min", false}}};
  const auto at = scalars.find(op);
  return at == scalars.end() ? MxnetScalar{} : at->second;
}

const char* mxnet_binary(std::string_view op) {
  static const std::map<std::string_view, const char*> binary = {{"elemwise_add", "Add"},
                                                                 {"broadcast_add", "Add"},
                                                                 {"broadcast_plus", "Add"},
                                                                 {"_plus", "Add"},
                                                                 {"_Plus", "Add"},
                                                                 {"_add", "Add"},
                                                                 {"elemwise_sub", "Sub"},
                                                                 {"broadcast_sub", "Sub"},
                                                                 {"broadcast_minus", "Sub"},
                                                                 {"_minus", "Sub"},
                                                                 {"_Minus", "Sub"},
                                                                 {"_sub", "Sub"},
                                                                 {"elemwise_mul", "Mul"},
                                                                 {"broadcast_mul", "Mul"},
                                                                 {"_mul", "Mul"},
                                                                 {"_Mul", "Mul"},
                                                                 {"elemwise_div", "Div"},
                                                                 {"broadcast_div", "Div"},
                                                                 {"_div", "Div"},
                                                                 {"_Div", "Div"},
                                                                 {"broadcast_power", "Pow"},
                                                                 {"_power", "Pow"},
                                                                 {"broadcast_maximum", "Max"},
                                                                 {"_maximum", "Max"},
                                                                 {"broadcast_minimum", "Min"},
                                                                 {"_minimum", "Min"},
                                                                 {"add_n", "Sum"},
                                                                 {"ElementWiseSum", "Sum"},
                                                                 {"_grad_add", "Add"}};
  const auto at = binary.find(op);
  return at == binary.end() ? nullptr : at->second;
}

bool is_mxnet_loss(std::string_view op) {
  return op == "SoftmaxOutput" || op == "Softmax" || op == "LinearRegressionOutput" ||
         op == "LogisticRegressionOutput" || op == "MAERegressionOutput" || op == "SVMOutput";
}

}  // namespace nacre
