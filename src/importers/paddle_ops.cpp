// The operators of PaddlePaddle.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "importers/paddle_importer.h"

namespace nacre {

void PaddleImporter::translate() {
  using Rule = void (PaddleImporter::*)();
  static const std::map<std::string_view, Rule> rules = {
      {"conv2d", &PaddleImporter::convolution},
      {"conv3d", &PaddleImporter::convolution},
      {"depthwise_conv2d", &PaddleImporter::convolution},
      {"conv2d_transpose", &PaddleImporter::convolution},
      {"depthwise_conv2d_transpose", &PaddleImporter::convolution},
      {"mul", &PaddleImporter::mul},
      {"fc", &PaddleImporter::mul},
      {"matmul", &PaddleImporter::matmul},
      {"matmul_v2", &PaddleImporter::matmul},
      {"bmm", &PaddleImporter::matmul},
      {"batch_norm", &PaddleImporter::batch_norm},
      {"sync_batch_norm", &PaddleImporter::batch_norm},
      {"instance_norm", &PaddleImporter::instance_norm},
      {"layer_norm", &PaddleImporter::layer_norm},
      {"pool2d", &PaddleImporter::pool},
      {"max_pool2d_with_index", &PaddleImporter::pool},
      {"reshape", &PaddleImporter::reshape},
      {"reshape2", &PaddleImporter::reshape},
      {"flatten_contiguous_range", &PaddleImporter::flatten},
      {"flatten", &PaddleImporter::flatten},
      {"flatten2", &PaddleImporter::flatten},
      {"concat", &PaddleImporter::concat},
      {"stack", &PaddleImporter::concat},
      {"split", &PaddleImporter::split},
      {"slice", &PaddleImporter::slice},
      {"strided_slice", &PaddleImporter::slice},
      {"scale", &PaddleImporter::scale},
      {"dropout", &PaddleImporter::dropout},
      {"arg_max", &PaddleImporter::arg_max},
      {"arg_min", &PaddleImporter::arg_max},
      {"lookup_table_v2", &PaddleImporter::look_up},
      {"lookup_table", &PaddleImporter::look_up},
      {"gather", &PaddleImporter::look_up},
      {"pad2d", &PaddleImporter::pad},
      {"pad3d", &PaddleImporter::pad},
      {"pad", &PaddleImporter::pad},
      {"fill_constant", &PaddleImporter::fill},
      {"assign_value", &PaddleImporter::fill},
      {"prelu", &PaddleImporter::prelu},
  };
  if (const auto at = rules.find(op_->type); at != rules.end()) {
    (this->*at->second)();
    return;
  }
  if (elements() || activations() || shapes() || reductions() || resizes()) return;
  problems_.add(op_->type, label());
  missing();
}

bool PaddleImporter::elements() {
  static const std::map<std::string_view, const char*> binary = {
      {"elementwise_add", "Add"},          {"elementwise_sub", "Sub"},
      {"elementwise_mul", "Mul"},          {"elementwise_div", "Div"},
      {"elementwise_pow", "Pow"},          {"elementwise_max", "Max"},
      {"elementwise_min", "Min"},          {"equal", "Equal"},
      {"greater_than", "Greater"},         {"less_than", "Less"},
      {"greater_equal", "GreaterOrEqual"}, {"less_equal", "LessOrEqual"}};
  if (const auto at = binary.find(op_->type); at != binary.end()) {
    // The second operand stands beside the first from `axis` on.
    const int64_t axis = op_->i("axis", -1), more = rank_in("X") - rank_in("Y");
    std::string y = in("Y");
    if (axis >= 0 && more > axis) {
      Ints behind;
      for (int64_t d = 0; d < more - axis; ++d) behind.push_back(rank_in("Y") + d);
      y = net_.make("Unsqueeze", {y, net_.ints(behind)});
    }
    result(at->second, {in("X"), y});
    return true;
  }
  if (op_->type == "sum") {
    std::vector<std::string> all;
    for (const std::string& v : op_->in("X")) all.push_back(name_of(v));
    if (all.empty()) wrong({"adds nothing"});
    result("Sum", all);
    return true;
  }
  if (op_->type == "where") {
    result("Where", {in("Condition"), in("X"), in("Y")});
    return true;
  }
  return false;
}

bool PaddleImporter::activations() {
  static const std::map<std::string_view, const char*> unary = {
      {"relu", "Relu"},       {"sigmoid", "Sigmoid"},
      {"tanh", "Tanh"},       {"exp", "Exp"},
      {"log", "Log"},         {"sqrt", "Sqrt"},
      {"abs", "Abs"},         {"floor", "Floor"},
      {"ceil", "Ceil"},       {"round", "Round"},
      {"sin", "Sin"},         {"cos", "Cos"},
      {"erf", "Erf"},         {"reciprocal", "Reciprocal"},
      {"sign", "Sign"},       {"softsign", "Softsign"},
      {"assign", "Identity"}, {"selu", "Selu"},
      {"logical_not", "Not"}, {"share_data", "Identity"}};
  const std::string& t = op_->type;
  if (const auto at = unary.find(t); at != unary.end()) {
    result(at->second, {in()});
    return true;
  }
  const auto real = [&](const char* name, double otherwise) { return op_->f(name, otherwise); };
  if (t == "square")
    result("Mul", {in(), in()});
  else if (t == "rsqrt")
    result("Reciprocal", {net_.make("Sqrt", {in()})});
  else if (t == "relu6")
    result("Clip", {in(), net_.scalar(0), net_.scalar(real("threshold", 6))});
  else if (t == "clip")
    result("Clip", {in(), net_.scalar(real("min", 0)), net_.scalar(real("max", 0))});
  else if (t == "leaky_relu")
    result("LeakyRelu", {in()}, {{"alpha", real("alpha", 0.02)}});
  else if (t == "elu")
    result("Elu", {in()}, {{"alpha", real("alpha", 1)}});
  else if (t == "hard_sigmoid")
    result("HardSigmoid", {in()}, {{"alpha", real("slope", 0.2)}, {"beta", real("offset", 0.5)}});
  else if (t == "hard_swish")
    result("Mul",
           {in(),
            net_.make("Div",
                      {net_.make("Clip", {net_.make("Add", {in(), net_.scalar(real("offset", 3))}),
                                          net_.scalar(0), net_.scalar(real("threshold", 6))}),
                       net_.scalar(real("scale", 6))})});
  else if (t == "swish" || t == "silu")
    result("Mul",
           {in(),
            net_.make("Sigmoid", {real("beta", 1) == 1
                                      ? in()
                                      : net_.make("Mul", {in(), net_.scalar(real("beta", 1))})})});
  else if (t == "mish")
    result("Mul", {in(), net_.make("Tanh", {net_.make("Softplus", {in()})})});
  else if (t == "softplus" && real("beta", 1) == 1)
    result("Softplus", {in()});
  else if (t == "pow" && !has("FactorTensor"))
    result("Pow", {in(), net_.scalar(real("factor", 1))});
  else if (t == "softmax" || t == "log_softmax")
    result(t == "softmax" ? "Softmax" : "LogSoftmax", {in()}, {{"axis", op_->i("axis", -1)}});
  else if (t == "gelu")
    gelu();
  else
    return false;
  return true;
}

void PaddleImporter::gelu() {
  const std::string half = net_.make("Mul", {in(), net_.scalar(0.5)});
  std::string inner;
  if (op_->b("approximate")) {
    const std::string cube = net_.make("Mul", {in(), net_.make("Mul", {in(), in()})});
    const std::string sum =
        net_.make("Add", {in(), net_.make("Mul", {cube, net_.scalar(0.044715)})});
    inner = net_.make("Tanh", {net_.make("Mul", {sum, net_.scalar(0.7978845608028654)})});
  } else {
    inner = net_.make("Erf", {net_.make("Mul", {in(), net_.scalar(M_SQRT1_2)})});
  }
  result("Mul", {half, net_.make("Add", {inner, net_.scalar(1)})});
}

bool PaddleImporter::shapes() {
  const std::string& t = op_->type;
  const Ints& axes = op_->is("axes");
  if (t == "transpose2" || t == "transpose")
    result("Transpose", {in()}, {{"perm", op_->is("axis")}});
  else if (t == "squeeze2" || t == "squeeze")
    result("Squeeze", axes.empty() ? std::vector{in()} : std::vector{in(), net_.ints(axes)});
  else if ((t == "unsqueeze2" || t == "unsqueeze") && !has("AxesTensor") && !has("AxesTensorList"))
    result("Unsqueeze", {in(), net_.ints(axes)});
  else if (t == "cast")
    result("Cast", {in()}, {{"to", onnx_number(static_cast<PaddleType>(op_->i("out_dtype", 5)))}});
  else if (t == "shape")
    result("Cast", {net_.make("Shape", {in("Input")})}, {{"to", int64_t{6}}});
  else if (t == "expand_v2" && !has("Shape") && !has("expand_shapes_tensor"))
    expand(op_->is("shape"));
  else if (t == "tile" && !has("RepeatTimes") && !has("repeat_times_tensor"))
    result("Tile", {in(), net_.ints(op_->is("repeat_times"))});
  else if (t == "pixel_shuffle")
    result("DepthToSpace", {in()},
           {{"blocksize", op_->i("upscale_factor", 1)}, {"mode", std::string("CRD")}});
  else
    return false;
  return true;
}

void PaddleImporter::expand(Ints to) {
  for (int64_t& d : to)
    if (d == -1) d = 1;  // as the input has it
  result("Expand", {in(), net_.ints(to)});
}

bool PaddleImporter::reductions() {
  static const std::map<std::string_view, const char*> ops = {{"reduce_mean", "ReduceMean"},
                                                              {"reduce_sum", "ReduceSum"},
                                                              {"reduce_max", "ReduceMax"},
                                                              {"reduce_min", "ReduceMin"},
                                                              {"reduce_prod", "ReduceProd"}};
  const auto at = ops.find(op_->type);
  if (at == ops.end() && op_->type != "mean") return false;
  const char* op = at == ops.end() ? "ReduceMean" : at->second;
  Ints axes = op_->is("dim");
  if (axes.empty() || op_->b("reduce_all") || op_->type == "mean") {
    axes.clear();
    for (int d = 0; d < rank_in(); ++d) axes.push_back(d);
  }
  const int64_t keep = op_->b("keep_dim");
  if (std::string_view(op) == "ReduceSum")
    result(op, {in(), net_.ints(axes)}, {{"keepdims", keep}});
  else
    result(op, {in()}, {{"axes", axes}, {"keepdims", keep}});
  return true;
}

bool PaddleImporter::resizes() {
  const std::string& t = op_->type;
  const bool nearest = t.starts_with("nearest_interp"), linear = t.starts_with("bilinear_interp"),
             cubic = t.starts_with("bicubic_interp");
  if (!nearest && !linear && !cubic) return false;
  const bool corners = op_->b("align_corners", true);
  if (rank_in() != 4 || has("OutSize") || has("SizeTensor") || has("Scale") ||
      (nearest && corners)) {
    unsupported("sizes that are computed, or nearest by corners");
    return true;
  }
  Attributes a{{"mode", std::string(nearest  ? "nearest"
                                    : linear ? "linear"
                                             : "cubic")},
               {"coordinate_transformation_mode",
                std::string(nearest                             ? "asymmetric"
                            : corners                           ? "align_corners"
                            : linear && op_->i("align_mode", 1) ? "asymmetric"
                                                                : "half_pixel")}};
  if (nearest) a.emplace_back("nearest_mode", std::string("floor"));
  const int64_t h = op_->i("out_h", -1), w = op_->i("out_w", -1);
  const auto at = op_->attributes.find("scale");
  std::vector<double> scales =
      at == op_->attributes.end() ? std::vector<double>{} : at->second.floats;
  if (scales.empty() && op_->f("scale") > 0) scales = {op_->f("scale")};
  if (scales.size() == 1) scales.push_back(scales[0]);
  if (scales.size() == 2) {
    if (!(scales[0] > 0) || !(scales[1] > 0)) wrong({"has impossible scales"});
    const float four[] = {1, 1, static_cast<float>(scales[0]), static_cast<float>(scales[1])};
    result("Resize", {in(), "", net_.floats(four, {4})}, a);
  } else if (h > 0 && w > 0) {
    const std::string before = net_.make(
        "Slice", {net_.make("Shape", {in()}), net_.ints({0}), net_.ints({2}), net_.ints({0})});
    result("Resize",
           {in(), "", "", net_.make("Concat", {before, net_.ints({h, w})}, {{"axis", int64_t{0}}})},
           a);
  } else {
    wrong({"has neither sizes nor scales"});
  }
  return true;
}

bool PaddleImporter::window(Attributes& a, size_t n) {
  const std::string how = op_->s("padding_algorithm", "EXPLICIT");
  if (how == "SAME") {
    a.emplace_back("auto_pad", std::string("SAME_UPPER"));
    return true;
  }
  Ints p = op_->is("paddings");
  if (how == "VALID" || p.empty()) p.assign(n, 0);
  Ints pads;
  if (p.size() == n) {
    pads = p;
    pads.insert(pads.end(), p.begin(), p.end());
  } else if (p.size() == 2 * n) {
    for (const size_t side : {0, 1})
      for (size_t d = 0; d < n; ++d) pads.push_back(p[2 * d + side]);
  } else {
    wrong({"has ", p.size(), " sizes of padding"});
  }
  for (const int64_t d : pads)
    if (d < 0 || d > 1 << 20) wrong({"has the impossible padding ", d});
  a.emplace_back("pads", pads);
  return false;
}

bool PaddleImporter::channels_last() const {
  const std::string layout = op_->s("data_format", op_->s("data_layout", "NCHW"));
  return layout == "NHWC" || layout == "NDHWC";
}

void PaddleImporter::convolution() {
  const bool transposed = op_->type.ends_with("_transpose");
  const Ints& w = dims(one("Filter"));
  if (channels_last()) return unsupported("channels last");
  if (w.size() < 3 || w.size() > 5) wrong({"has a filter of ", w.size(), " sizes"});
  const size_t n = w.size() - 2;
  const auto sizes = [&](const std::string& name) {
    Ints v = op_->is(name);
    if (v.empty()) v.assign(n, 1);
    if (v.size() != n) wrong({"has ", v.size(), " ", name});
    for (const int64_t d : v)
      if (d < 1 || d > 1 << 20) wrong({"has the impossible ", name, " ", d});
    return v;
  };
  Attributes a{{"kernel_shape", Ints(w.begin() + 2, w.end())},
               {"strides", sizes("strides")},
               {"dilations", sizes("dilations")},
               {"group", std::max<int64_t>(1, op_->i("groups", 1))}};
  window(a, n);
  if (transposed) {
    if (!op_->is("output_size").empty()) return unsupported("a given size of the output");
    if (!op_->is("output_padding").empty())
      a.emplace_back("output_padding", op_->is("output_padding"));
  }
  std::vector<std::string> inputs{in("Input"), in("Filter")};
  if (has("Bias")) inputs.push_back(in("Bias"));
  result(transposed ? "ConvTranspose" : "Conv", inputs, a, "Output");
}

void PaddleImporter::mul() {
  const bool fc = op_->type == "fc";
  const int64_t rows = op_->i(fc ? "in_num_col_dims" : "x_num_col_dims", 1);
  const std::string a = fc ? "Input" : "X", b = fc ? "W" : "Y";
  if (rank_in(b) != 2 || op_->i("y_num_col_dims", 1) != 1)
    return unsupported("a right side that is no matrix");
  std::string y = in(a);
  if (rows != rank_in(a) - 1) {
    if (rows != 1) return unsupported("these rows");
    y = net_.make("Flatten", {y}, {{"axis", int64_t{1}}});
  }
  y = net_.make("MatMul", {y, in(b)});
  if (fc && has("Bias")) y = net_.make("Add", {y, in("Bias")});
  const std::string activation = op_->s("activation_type");
  if (!activation.empty() && activation != "relu") return unsupported("an activation");
  result(activation.empty() ? "Identity" : "Relu", {y});
}

void PaddleImporter::matmul() {
  const bool old = op_->type == "matmul";
  std::vector<std::string> sides{in("X"), in("Y")};
  const int ranks[] = {rank_in("X"), rank_in("Y")};
  const char* turned[] = {old ? "transpose_X" : "trans_x", old ? "transpose_Y" : "trans_y"};
  for (const size_t k : {0, 1}) {
    if (!op_->b(turned[k]) || ranks[k] < 2) continue;
    Ints perm;
    for (int d = 0; d < ranks[k]; ++d) perm.push_back(d);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    sides[k] = net_.make("Transpose", {sides[k]}, {{"perm", perm}});
  }
  if (old && op_->f("alpha", 1) != 1)
    result("Mul", {net_.make("MatMul", sides), net_.scalar(op_->f("alpha", 1))});
  else
    result("MatMul", sides);
}

void PaddleImporter::batch_norm() {
  if (channels_last()) return unsupported("channels last");
  result("BatchNormalization", {in("X"), in("Scale"), in("Bias"), in("Mean"), in("Variance")},
         {{"epsilon", op_->f("epsilon", 1e-5)}}, "Y");
}

void PaddleImporter::instance_norm() {
  if (!has("Scale") || !has("Bias")) return unsupported("no scale");
  result("InstanceNormalization", {in("X"), in("Scale"), in("Bias")},
         {{"epsilon", op_->f("epsilon", 1e-5)}}, "Y");
}

void PaddleImporter::layer_norm() {
  const int r = rank_in();
  const int64_t from = op_->i("begin_norm_axis", 1);
  if (from < 1 || from >= r) wrong({"normalises from dimension ", from, " of ", r});
  Ints axes, shape;
  for (int64_t d = from; d < r; ++d) {
    axes.push_back(d);
    shape.push_back(dims(one("X"))[static_cast<size_t>(d)]);
  }
  if (axes.size() > 1 && std::any_of(shape.begin(), shape.end(), [](int64_t d) { return d < 1; }))
    return unsupported("sizes that are not known");
  const auto weight = [&](const std::string& parameter) {
    return axes.size() == 1 ? in(parameter)
                            : net_.make("Reshape", {in(parameter), net_.ints(shape)});
  };
  const Attributes over{{"axes", axes}, {"keepdims", int64_t{1}}};
  const std::string centred = net_.make("Sub", {in(), net_.make("ReduceMean", {in()}, over)});
  const std::string variance =
      net_.make("ReduceMean", {net_.make("Mul", {centred, centred})}, over);
  std::string y = net_.make(
      "Div",
      {centred,
       net_.make("Sqrt", {net_.make("Add", {variance, net_.scalar(op_->f("epsilon", 1e-5))})})});
  if (has("Scale")) y = net_.make("Mul", {y, weight("Scale")});
  if (has("Bias")) y = net_.make("Add", {y, weight("Bias")});
  result("Identity", {y}, {}, "Y");
}

void PaddleImporter::pool() {
  const bool max = op_->type != "pool2d" || op_->s("pooling_type") == "max";
  const Ints& k = op_->is("ksize");
  if (channels_last()) return unsupported("channels last");
  const bool adaptive = op_->b("adaptive");
  if (op_->b("global_pooling") || (adaptive && k == Ints{1, 1}))
    return result(max ? "GlobalMaxPool" : "GlobalAveragePool", {in()});
  if (k.size() != 2) wrong({"has a window of ", k.size(), " sizes"});
  for (const int64_t d : k)
    if (d < 1 || d > 1 << 20) wrong({"has the impossible window ", d});
  if (adaptive) {
    const Ints& x = dims(one("X"));
    if (x.size() != 4 || x[2] < 1 || x[3] < 1 || x[2] % k[0] || x[3] % k[1])
      return unsupported("adaptive sizes that do not divide");
    const Ints part{x[2] / k[0], x[3] / k[1]};
    return result(max ? "MaxPool" : "AveragePool", {in()},
                  {{"kernel_shape", part}, {"strides", part}});
  }
  Attributes a{{"kernel_shape", k}, {"strides", op_->is("strides")}};
  if (!window(a, 2)) a.emplace_back("ceil_mode", int64_t{op_->b("ceil_mode")});
  if (!max) a.emplace_back("count_include_pad", int64_t{!op_->b("exclusive", true)});
  result(max ? "MaxPool" : "AveragePool", {in()}, a);
}

std::string PaddleImporter::sizes(const std::string& list, const std::string& tensor) {
  if (!has(list)) return net_.make("Cast", {in(tensor)}, {{"to", int64_t{7}}});
  std::vector<std::string> parts;
  for (const std::string& v : op_->in(list))
    parts.push_back(net_.make(
        "Reshape", {net_.make("Cast", {name_of(v)}, {{"to", int64_t{7}}}), net_.ints({1})}));
  return net_.make("Concat", parts, {{"axis", int64_t{0}}});
}

void PaddleImporter::reshape() {
  if (has("ShapeTensor") || has("Shape"))
    return result("Reshape", {in(), sizes("ShapeTensor", "Shape")});
  result("Reshape", {in(), net_.ints(op_->is("shape"))});
}

void PaddleImporter::flatten() {
  if (op_->type != "flatten_contiguous_range")
    return result("Flatten", {in()}, {{"axis", op_->i("axis", 1)}});
  const int r = rank_in();
  int64_t from = op_->i("start_axis", 1), to = op_->i("stop_axis", -1);
  from += from < 0 ? r : 0;
  to += to < 0 ? r : 0;
  if (from < 0 || to < from || to >= r) wrong({"joins dimensions ", from, " to ", to, " of ", r});
  // What lies before is copied by its place; what lies behind by its size.
  Ints shape(static_cast<size_t>(from), 0);
  if (to == r - 1) {
    shape.push_back(-1);
    return result("Reshape", {in(), net_.ints(shape)});
  }
  const std::string all = net_.make("Shape", {in()});
  const std::string behind =
      net_.make("Slice", {all, net_.ints({to + 1}), net_.ints({INT64_MAX}), net_.ints({0})});
  shape.push_back(-1);
  result("Reshape",
         {in(), net_.make("Concat", {net_.ints(shape), behind}, {{"axis", int64_t{0}}})});
}

void PaddleImporter::concat() {
  if (has("AxisTensor")) return unsupported("an axis that is computed");
  const bool stack = op_->type == "stack";
  const int64_t axis = op_->i("axis", 0);
  std::vector<std::string> parts;
  for (const std::string& v : op_->in("X"))
    parts.push_back(stack ? net_.make("Unsqueeze", {name_of(v), net_.ints({axis})}) : name_of(v));
  if (parts.empty()) wrong({"joins nothing"});
  result("Concat", parts, {{"axis", axis}}, stack ? "Y" : "Out");
}

void PaddleImporter::split() {
  const auto& outs = op_->out("Out");
  const Ints& sections = op_->is("sections");
  if (has("AxisTensor") || has("SectionsTensorList") || outs.empty())
    return unsupported("sizes that are computed");
  std::vector<std::string> names, inputs{in()};
  for (const std::string& v : outs) names.push_back(net_.fresh(v));
  if (!sections.empty() && std::find(sections.begin(), sections.end(), -1) == sections.end())
    inputs.push_back(net_.ints(sections));
  else if (!sections.empty())
    return unsupported("sizes that are not known");
  net_.node("Split", inputs, names, {{"axis", op_->i("axis", 0)}}, outs[0]);
  for (size_t k = 0; k < outs.size(); ++k) give(names[k], "Out", k);
}

void PaddleImporter::slice() {
  const std::string x = in("Input");
  for (const char* computed : {"StartsTensor", "EndsTensor", "StridesTensor", "StridesTensorList"})
    if (has(computed)) return unsupported("places that are computed");
  std::vector<std::string> inputs{x};
  const Ints axes = op_->is("axes");
  const auto places = [&](const std::string& numbers, const std::string& computed) {
    if (has(computed)) return sizes(computed, "");
    if (op_->is(numbers).size() != axes.size())
      wrong({"has ", op_->is(numbers).size(), " ", numbers, " for ", axes.size(), " dimensions"});
    return net_.ints(op_->is(numbers));
  };
  inputs.push_back(places("starts", "StartsTensorList"));
  inputs.push_back(places("ends", "EndsTensorList"));
  inputs.push_back(net_.ints(axes));
  if (op_->type == "strided_slice") inputs.push_back(net_.ints(op_->is("strides")));
  const Ints gone = op_->is("decrease_axis");
  if (gone.empty()) return result("Slice", inputs);
  result("Squeeze", {net_.make("Slice", inputs), net_.ints(gone)});
}

void PaddleImporter::scale() {
  if (has("ScaleTensor")) return unsupported("a factor that is computed");
  const std::string by = net_.scalar(op_->f("scale", 1)), plus = net_.scalar(op_->f("bias", 0));
  const auto at = program_.variables.find(one("X"));
  std::string x = in();
  const int64_t type = at == program_.variables.end() ? 1 : onnx_number(at->second.type);
  if (type != 1) x = net_.make("Cast", {x}, {{"to", int64_t{1}}});
  const std::string y = op_->b("bias_after_scale", true)
                            ? net_.make("Add", {net_.make("Mul", {x, by}), plus})
                            : net_.make("Mul", {net_.make("Add", {x, plus}), by});
  if (type != 1) return result("Cast", {y}, {{"to", type}});
  result("Identity", {y});
}

void PaddleImporter::dropout() {
  if (op_->s("dropout_implementation", "downgrade_in_infer") == "upscale_in_train")
    return result("Identity", {in()});
  result("Mul", {in(), net_.scalar(1 - op_->f("dropout_prob", 0.5))});
}

void PaddleImporter::arg_max() {
  std::string x = in();
  if (op_->b("flatten")) x = net_.make("Reshape", {x, net_.ints({-1})});
  const std::string y = net_.make(op_->type == "arg_max" ? "ArgMax" : "ArgMin", {x},
                                  {{"axis", op_->b("flatten") ? 0 : op_->i("axis", -1)},
                                   {"keepdims", int64_t{op_->b("keepdims")}}});
  const auto type = static_cast<PaddleType>(op_->i("dtype", 3));
  if (type != PaddleType::i32) return result("Identity", {y});
  result("Cast", {y}, {{"to", int64_t{6}}});
}

void PaddleImporter::look_up() {
  if (op_->type == "gather") {
    if (has("Axis")) return unsupported("an axis that is computed");
    return result("Gather", {in(), in("Index")}, {{"axis", op_->i("axis", 0)}});
  }
  std::string ids = in("Ids");
  if (op_->type == "lookup_table") ids = net_.make("Squeeze", {ids, net_.ints({-1})});
  const int64_t padding = op_->i("padding_idx", -1);
  const std::string rows = net_.make("Gather", {in("W"), ids}, {{"axis", int64_t{0}}});
  if (padding == -1) return result("Identity", {rows});
  // The row of padding counts as zero.
  const std::string none =
      net_.make("Equal", {net_.make("Cast", {ids}, {{"to", int64_t{7}}}), net_.ints({padding})});
  const std::string keep = net_.make("Cast", {net_.make("Not", {none})}, {{"to", int64_t{1}}});
  result("Mul", {rows, net_.make("Unsqueeze", {keep, net_.ints({-1})})});
}

void PaddleImporter::pad() {
  const Ints& p = op_->is("paddings");
  const int r = rank_in();
  const std::string mode = op_->s("mode", "constant");
  const double value = op_->f(op_->type == "pad3d" ? "value" : "pad_value", 0);
  Ints pads(static_cast<size_t>(2 * std::max(r, 1)), 0);
  const auto set = [&](int dim, int64_t low, int64_t high) {
    pads[static_cast<size_t>(dim)] = low;
    pads[static_cast<size_t>(r + dim)] = high;
  };
  if (has("Paddings")) return unsupported("sizes that are computed");
  if (op_->type == "pad" && p.size() == pads.size()) {
    for (int d = 0; d < r; ++d)
      set(d, p[static_cast<size_t>(2 * d)], p[static_cast<size_t>(2 * d + 1)]);
  } else if (op_->type == "pad2d" && r == 4 && p.size() == 4 && !channels_last()) {
    set(2, p[0], p[1]);
    set(3, p[2], p[3]);
  } else if (op_->type == "pad3d" && r == 5 && p.size() == 6 && !channels_last()) {
    set(4, p[0], p[1]);
    set(3, p[2], p[3]);
    set(2, p[4], p[5]);
  } else {
    return unsupported("these sizes");
  }
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "replicate")
    return unsupported(cat({"the mode ", clip(printable(mode), 40)}));
  result("Pad", {in(), net_.ints(pads), net_.scalar(value)},
         {{"mode", mode == "replicate" ? std::string("edge") : mode}});
}

void PaddleImporter::fill() {
  if (has("ShapeTensor") || has("ShapeTensorList") || has("ValueTensor"))
    return unsupported("sizes that are computed");
  const auto type = static_cast<PaddleType>(op_->i("dtype", 5));
  const Ints& shape = op_->is("shape");
  int64_t count = 1;
  for (const int64_t d : shape)
    if (d < 0 || __builtin_mul_overflow(count, d, &count) || count > 1 << 28)
      wrong({"has an impossible shape"});
  const std::string to = net_.fresh(out());
  if (op_->type == "fill_constant") {
    const std::string text = op_->s("str_value");
    const double v = text.empty() ? op_->f("value", 0) : std::strtod(text.c_str(), nullptr);
    std::string one = net_.scalar(v);
    if (type != PaddleType::f32) one = net_.make("Cast", {one}, {{"to", onnx_number(type)}});
    return result("Expand", {one, net_.ints(shape)});
  }
  const auto at = op_->attributes.find("fp32_values");
  std::vector<double> values;
  if (at != op_->attributes.end()) values = at->second.floats;
  for (const char* name : {"int32_values", "int64_values", "bool_values", "values"})
    if (const auto a = op_->attributes.find(name); a != op_->attributes.end())
      values.insert(values.end(), a->second.ints.begin(), a->second.ints.end());
  if (std::ssize(values) != count) return unsupported("values of this type");
  const std::vector<float> v(values.begin(), values.end());
  result("Cast", {net_.floats(v, shape)}, {{"to", onnx_number(type)}});
}

void PaddleImporter::prelu() {
  const std::string mode = op_->s("mode", "all");
  const int r = rank_in();
  if (mode == "all")
    return result("PRelu", {in(), net_.make("Reshape", {in("Alpha"), net_.ints({1})})});
  if (mode != "channel" || r < 2) return unsupported(cat({"the mode ", clip(printable(mode), 40)}));
  Ints shape{-1};
  for (int d = 2; d < r; ++d) shape.push_back(1);
  result("PRelu", {in(), net_.make("Reshape", {in("Alpha"), net_.ints(shape)})});
}

}  // namespace nacre
