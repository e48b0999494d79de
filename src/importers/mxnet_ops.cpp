// The operators of MXNet.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "importers/mxnet_importer.h"

namespace nacre {

void MxnetImporter::translate() {
  using Rule = void (MxnetImporter::*)();
  static const std::map<std::string_view, Rule> rules = {
      {"Convolution", &MxnetImporter::convolution},
      {"Deconvolution", &MxnetImporter::convolution},
      {"FullyConnected", &MxnetImporter::fully_connected},
      {"BatchNorm", &MxnetImporter::batch_norm},
      {"BatchNorm_v1", &MxnetImporter::batch_norm},
      {"Activation", &MxnetImporter::activation},
      {"LeakyReLU", &MxnetImporter::leaky},
      {"Pooling", &MxnetImporter::pooling},
      {"Pooling_v1", &MxnetImporter::pooling},
      {"Concat", &MxnetImporter::concat},
      {"concat", &MxnetImporter::concat},
      {"stack", &MxnetImporter::stack},
      {"Reshape", &MxnetImporter::reshape},
      {"reshape", &MxnetImporter::reshape},
      {"transpose", &MxnetImporter::transpose},
      {"SwapAxis", &MxnetImporter::transpose},
      {"slice_axis", &MxnetImporter::slice},
      {"slice", &MxnetImporter::slice},
      {"crop", &MxnetImporter::slice},
      {"SliceChannel", &MxnetImporter::split},
      {"split", &MxnetImporter::split},
      {"Pad", &MxnetImporter::pad},
      {"pad", &MxnetImporter::pad},
      {"UpSampling", &MxnetImporter::up_sampling},
      {"mean", &MxnetImporter::reduce},
      {"sum", &MxnetImporter::reduce},
      {"max", &MxnetImporter::reduce},
      {"min", &MxnetImporter::reduce},
      {"prod", &MxnetImporter::reduce},
      {"sum_axis", &MxnetImporter::reduce},
      {"dot", &MxnetImporter::product},
      {"batch_dot", &MxnetImporter::product},
      {"_linalg_gemm2", &MxnetImporter::product},
      {"L2Normalization", &MxnetImporter::l2},
      {"LayerNorm", &MxnetImporter::layer_norm},
      {"RNN", &MxnetImporter::rnn},
  };
  if (const auto at = rules.find(n_->op); at != rules.end()) {
    (this->*at->second)();
    return;
  }
  if (elements() || simple()) return;
  problems_.add(n_->op, n_->name);
  const auto outputs =
      std::clamp<int64_t>(n_->has("num_outputs") ? n_->integer("num_outputs", 1) : 1, 1, 100);
  for (int64_t k = 0; k < outputs; ++k) give(net_.fresh("missing"), -1);
}

bool MxnetImporter::elements() {
  if (const char* op = mxnet_unary(n_->op)) {
    same(op);
    return true;
  }
  if (const auto [op, turned] = mxnet_scalar(n_->op); op) {
    std::string a = x(), b = net_.scalar(n_->number("scalar", 1));
    if (turned) std::swap(a, b);
    make(op, {a, b}, {}, rank());
    return true;
  }
  if (const char* op = mxnet_binary(n_->op)) {
    std::vector<std::string> all;
    int most = -1;
    for (size_t i = 0; i < in_.size(); ++i) {
      all.push_back(x(i));
      most = std::max(most, rank(i));
    }
    if (all.size() < 2 && n_->op != "add_n") wrong({"needs two inputs"});
    make(op, all, {}, most);
    return true;
  }
  return false;
}

bool MxnetImporter::simple() {
  const std::string& op = n_->op;
  if (op == "Flatten" || op == "flatten")
    make("Flatten", {x()}, {{"axis", int64_t{1}}}, 2);
  else if (op == "square")
    make("Mul", {x(), x()}, {}, rank());
  else if (op == "rsqrt")
    make("Reciprocal", {net_.make("Sqrt", {x()})}, {}, rank());
  else if (op == "SoftmaxOutput" || op == "Softmax" || op == "SoftmaxActivation")
    softmax_layer();
  else if (op == "softmax" || op == "log_softmax")
    softmax();
  else if (op == "clip")
    make("Clip", {x(), net_.scalar(n_->number("a_min", 0)), net_.scalar(n_->number("a_max", 1))},
         {}, rank());
  else if (op == "Embedding")
    embedding();
  else if (op == "LRN")
    same("LRN", {{"size", bounded("nsize", 5, 1)},
                 {"alpha", n_->number("alpha", 1e-4)},
                 {"beta", n_->number("beta", 0.75)},
                 {"bias", n_->number("knorm", 2)}});
  else if (op == "InstanceNorm")
    make("InstanceNormalization", {x(), x(1), x(2)}, {{"epsilon", n_->number("eps", 1e-3)}},
         rank());
  else if (op == "expand_dims")
    make("Unsqueeze", {x(), net_.ints({n_->integer("axis", 0)})}, {}, rank() < 0 ? -1 : rank() + 1);
  else if (op == "squeeze" && n_->has("axis"))
    make("Squeeze", {x(), net_.ints(n_->integers("axis"))}, {},
         rank() < 0 ? -1 : rank() - static_cast<int>(n_->integers("axis").size()));
  else if (op == "_zeros")
    values_[at_].push_back({"", -1, nullptr, true});
  else if (op == "_contrib_BilinearResize2D")
    resize();
  else if (op == "_contrib_AdaptiveAvgPooling2D" &&
           n_->integers("output_size") == Ints(n_->integers("output_size").size(), 1))
    same("GlobalAveragePool");
  else if (op == "depth_to_space")
    same("DepthToSpace", {{"blocksize", bounded("block_size", 1, 1)}});
  else if (op == "argmax")
    make("Cast",
         {net_.make("ArgMax", {x()},
                    {{"axis", n_->integer("axis", 0)},
                     {"keepdims", int64_t{n_->boolean("keepdims", false)}}})},
         {{"to", int64_t{1}}}, rank() - !n_->boolean("keepdims", false));
  else
    return false;
  return true;
}

void MxnetImporter::convolution() {
  const bool transposed = n_->op == "Deconvolution";
  const Ints kernel = n_->integers("kernel");
  const size_t d = kernel.size();
  if (d < 1 || d > 3) return unsupported("a kernel of these dimensions");
  const std::string layout = n_->text("layout", "NCHW");
  if (layout != "NCHW" && layout != "NCW" && layout != "NCDHW")
    return unsupported("the layout " + layout);
  const Ints k = sizes("kernel", d, 1, 1);
  const int64_t out = bounded("num_filter", 0, 1), group = bounded("num_group", 1, 1);
  const Shape& w = array(1).shape;
  bool fits = w.rank() == static_cast<int64_t>(d) + 2 && out % group == 0 && w[0] % group == 0 &&
              (transposed ? w[1] == out / group : w[0] == out);
  for (size_t i = 0; fits && i < d; ++i) fits = w[static_cast<int64_t>(2 + i)] == k[i];
  if (!fits) wrong({"has a weight of ", w, " for ", out, " outputs in ", group, " groups"});
  Attributes a{{"kernel_shape", k},
               {"strides", sizes("stride", d, 1, 1)},
               {"dilations", sizes("dilate", d, 1, 1)},
               {"group", group}};
  a.emplace_back("pads", twice(sizes("pad", d, 0, 0)));
  if (transposed) {
    const Ints target = n_->integers("target_shape");
    if (std::any_of(target.begin(), target.end(), [](int64_t n) { return n != 0; }))
      return unsupported("a given size of the output");
    a.emplace_back("output_padding", sizes("adj", d, 0, 0));
  }
  std::vector<std::string> inputs{x(), x(1)};
  if (!n_->boolean("no_bias", transposed)) {
    if (array(2).shape != Shape{out}) wrong({"has a bias of ", array(2).shape});
    inputs.push_back(x(2));
  }
  make(transposed ? "ConvTranspose" : "Conv", inputs, a, static_cast<int>(d) + 2);
}

void MxnetImporter::fully_connected() {
  const int64_t out = bounded("num_hidden", 0, 1);
  const Shape& w = array(1).shape;
  if (w.rank() != 2 || w[0] != out) wrong({"has a weight of ", w, " for ", out, " outputs"});
  const bool bias = !n_->boolean("no_bias", false);
  if (bias && array(2).shape != Shape{out}) wrong({"has a bias of ", array(2).shape});
  if (n_->boolean("flatten", true) || rank() == 2) {
    std::vector<std::string> inputs{
        rank() == 2 ? x() : net_.make("Flatten", {x()}, {{"axis", int64_t{1}}}), x(1)};
    if (bias) inputs.push_back(x(2));
    return make("Gemm", inputs, {{"transB", int64_t{1}}}, 2);
  }
  const std::string turned = net_.make("Transpose", {x(1)}, {{"perm", Ints{1, 0}}});
  if (!bias) return make("MatMul", {x(), turned}, {}, rank());
  make("Add", {net_.make("MatMul", {x(), turned}), x(2)}, {}, rank());
}

void MxnetImporter::batch_norm() {
  if (n_->integer("axis", 1) != 1) return unsupported("another axis");
  const auto gamma = floats(1);
  for (const size_t i : {2, 3, 4})
    if (array(i).shape != array(1).shape || array(1).shape.rank() != 1)
      wrong({"has arrays of different shapes"});
  const std::vector<float> ones(gamma.size(), 1.0f);
  const std::string scale = n_->boolean("fix_gamma", true)
                                ? net_.floats(ones, {std::ssize(ones)}, net_.fresh(in(1).name))
                                : x(1);
  make("BatchNormalization", {x(), scale, x(2), x(3), x(4)}, {{"epsilon", n_->number("eps", 1e-3)}},
       rank());
  if (n_->boolean("output_mean_var", false)) unsupported("statistics as outputs");
}

void MxnetImporter::activation() {
  static const std::map<std::string_view, const char*> kinds = {{"relu", "Relu"},
                                                                {"sigmoid", "Sigmoid"},
                                                                {"tanh", "Tanh"},
                                                                {"softrelu", "Softplus"},
                                                                {"softsign", "Softsign"}};
  const std::string kind = n_->text("act_type", "");
  const auto at = kinds.find(kind);
  if (at == kinds.end()) return unsupported("the kind " + clip(printable(kind), 40));
  same(at->second);
}

void MxnetImporter::leaky() {
  const std::string kind = n_->text("act_type", "leaky");
  const double slope = n_->number("slope", 0.25);
  if (kind == "leaky") return same("LeakyRelu", {{"alpha", slope}});
  if (kind == "elu") return same("Elu", {{"alpha", slope}});
  if (kind == "selu") return same("Selu");
  if (kind == "rrelu")  // without randomness the mean slope
    return same(
        "LeakyRelu",
        {{"alpha", (n_->number("lower_bound", 0.125) + n_->number("upper_bound", 0.334)) / 2}});
  if (kind == "prelu") {
    const int r = known();
    if (r) make("PRelu", {x(), channels(1, r)}, {}, r);
    return;
  }
  if (kind != "gelu") return unsupported("the kind " + clip(printable(kind), 40));
  const std::string inner = net_.make("Erf", {net_.make("Mul", {x(), net_.scalar(M_SQRT1_2)})});
  make("Mul",
       {net_.make("Mul", {x(), net_.scalar(0.5)}), net_.make("Add", {inner, net_.scalar(1)})}, {},
       rank());
}

void MxnetImporter::pooling() {
  const std::string kind = n_->text("pool_type", "max");
  if (kind != "max" && kind != "avg" && kind != "sum")
    return unsupported("the kind " + clip(printable(kind), 40));
  const bool max = kind == "max";
  if (n_->boolean("global_pool", false)) {
    if (kind != "sum") return same(max ? "GlobalMaxPool" : "GlobalAveragePool");
    Ints axes;
    for (int d = 2; d < known(); ++d) axes.push_back(d);
    return make("ReduceSum", {x(), net_.ints(axes)}, {{"keepdims", int64_t{1}}}, rank());
  }
  const size_t d = n_->integers("kernel").size();
  if (d < 1 || d > 3) return unsupported("a kernel of these dimensions");
  const Ints k = sizes("kernel", d, 1, 1);
  Attributes a{{"kernel_shape", k}, {"strides", sizes("stride", d, 1, 1)}};
  const std::string convention = n_->text("pooling_convention", "valid");
  if (convention == "same") {
    a.emplace_back("auto_pad", std::string("SAME_UPPER"));
  } else {
    a.emplace_back("pads", twice(sizes("pad", d, 0, 0)));
    a.emplace_back("ceil_mode", int64_t{convention == "full"});
  }
  const int r = static_cast<int>(d) + 2;
  if (max) return make("MaxPool", {x()}, a, r);
  a.emplace_back("count_include_pad",
                 int64_t{kind == "sum" || n_->boolean("count_include_pad", true)});
  if (kind == "avg") return make("AveragePool", {x()}, a, r);
  if (convention != "valid") return unsupported("sums of windows that are cut");
  double area = 1;
  for (const int64_t n : k) area *= static_cast<double>(n);
  make("Mul", {net_.make("AveragePool", {x()}, a), net_.scalar(area)}, {}, r);
}

void MxnetImporter::concat() {
  std::vector<std::string> all;
  int r = -1;
  for (size_t i = 0; i < in_.size(); ++i) {
    all.push_back(x(i));
    r = std::max(r, rank(i));
  }
  if (all.empty()) wrong({"reads nothing"});
  make("Concat", all, {{"axis", n_->integer("dim", 1)}}, r);
}

void MxnetImporter::stack() {
  const int64_t axis = n_->integer("axis", 0);
  std::vector<std::string> all;
  for (size_t i = 0; i < in_.size(); ++i)
    all.push_back(net_.make("Unsqueeze", {x(i), net_.ints({axis})}));
  if (all.empty()) wrong({"reads nothing"});
  make("Concat", all, {{"axis", axis}}, rank() < 0 ? -1 : rank() + 1);
}

void MxnetImporter::embedding() {
  const auto whole = [&](int64_t v) {
    return net_.constant({reinterpret_cast<const char*>(&v), sizeof v}, {}, 7, net_.fresh("row"));
  };
  const std::string at = net_.make("Cast", {x()}, {{"to", int64_t{7}}});
  make("Gather", {x(1), net_.make("Clip", {at, whole(0), whole(bounded("input_dim", 1, 1) - 1)})},
       {{"axis", int64_t{0}}}, rank() < 0 ? -1 : rank() + 1);
}

void MxnetImporter::reshape() {
  const Ints want = n_->integers("shape");
  if (n_->boolean("reverse", false)) return unsupported("sizes from the right");
  if (want.empty()) return unsupported("no sizes");
  const std::string shape = net_.make("Shape", {x()});
  const auto part = [&](int64_t from, int64_t to) {
    return net_.make("Slice", {shape, net_.ints({from}), net_.ints({to}), net_.ints({0})});
  };
  std::vector<std::string> parts;
  int64_t at = 0;
  int r = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const int64_t d = want[i];
    ++r;
    if (d == 0 || d == -3) {
      const std::string one = part(at, at + 1);
      parts.push_back(d == 0 ? one : net_.make("Mul", {one, part(at + 1, at + 2)}));
      at += d == 0 ? 1 : 2;
    } else if (d == -2) {
      parts.push_back(part(at, INT64_MAX));
      const int left = rank() < 0 ? -1 : rank() - static_cast<int>(at);
      r = left < 0 ? -1000 : r - 1 + left;
    } else if (d == -4) {
      if (i + 2 >= want.size()) wrong({"splits a size into fewer than two"});
      Ints two{want[i + 1], want[i + 2]};
      if ((two[0] < 1 && two[0] != -1) || (two[1] < 1 && two[1] != -1) ||
          (two[0] == -1 && two[1] == -1))
        wrong({"splits a size into ", two[0], " and ", two[1]});
      for (const size_t k : {0, 1})
        parts.push_back(two[k] > 0 ? net_.ints({two[k]})
                                   : net_.make("Div", {part(at, at + 1), net_.ints({two[1 - k]})}));
      i += 2;
      ++at;
      ++r;
    } else if (d > 0 || d == -1) {
      parts.push_back(net_.ints({d}));
      ++at;
    } else {
      wrong({"has the impossible size ", d});
    }
  }
  make("Reshape", {x(), net_.make("Concat", parts, {{"axis", int64_t{0}}})}, {}, r < 0 ? -1 : r);
}

void MxnetImporter::transpose() {
  Ints axes = n_->op == "transpose" ? n_->integers("axes") : Ints{};
  if (n_->op == "SwapAxis") {
    const int r = known();
    for (int d = 0; d < r; ++d) axes.push_back(d);
    const int64_t a = n_->integer("dim1", 0), b = n_->integer("dim2", 0);
    if (!r) return;
    if (a < -r || a >= r || b < -r || b >= r) wrong({"exchanges ", a, " and ", b});
    std::swap(axes[static_cast<size_t>(a < 0 ? a + r : a)],
              axes[static_cast<size_t>(b < 0 ? b + r : b)]);
  }
  if (axes.empty()) return same("Transpose");
  for (int64_t& d : axes) d += d < 0 ? std::ssize(axes) : 0;
  make("Transpose", {x()}, {{"perm", axes}}, static_cast<int>(axes.size()));
}

void MxnetImporter::slice() {
  Ints from, to, axes, step;
  if (n_->op == "slice_axis") {
    axes = {n_->integer("axis", 0)};
    from = {n_->integer("begin", 0)};
    to = {n_->has("end") ? n_->integer("end", 0) : INT64_MAX};
    step = {1};
  } else {
    from = n_->integers("begin", 0);
    to = n_->integers("end", INT64_MAX);
    step = n_->integers("step", 1);
    if (step.empty()) step.assign(from.size(), 1);
    if (from.size() != to.size() || from.size() != step.size() || from.empty())
      wrong({"has ", from.size(), " starts and ", to.size(), " ends"});
    for (size_t d = 0; d < from.size(); ++d) axes.push_back(static_cast<int64_t>(d));
    if (std::any_of(step.begin(), step.end(), [](int64_t s) { return s < 1; }))
      return unsupported("a step backwards");
  }
  make("Slice", {x(), net_.ints(from), net_.ints(to), net_.ints(axes), net_.ints(step)}, {},
       rank());
}

void MxnetImporter::split() {
  const int64_t parts = bounded("num_outputs", 1, 1), axis = n_->integer("axis", 1);
  if (parts > 10'000) wrong({"has ", parts, " outputs"});
  const bool squeeze = n_->boolean("squeeze_axis", false);
  std::vector<std::string> names;
  for (int64_t k = 0; k < parts; ++k) names.push_back(net_.fresh(n_->name));
  net_.node("Split", {x()}, names, {{"axis", axis}}, n_->name);
  for (const std::string& name : names)
    if (squeeze)
      make("Squeeze", {name, net_.ints({axis})}, {}, rank() < 0 ? -1 : rank() - 1);
    else
      give(name, rank());
}

void MxnetImporter::pad() {
  const Ints pairs = n_->integers("pad_width");
  const std::string mode = n_->text("mode", "constant");
  if (pairs.empty() || pairs.size() % 2) wrong({"has ", pairs.size(), " widths"});
  Ints pads;
  for (const size_t side : {0, 1})
    for (size_t k = side; k < pairs.size(); k += 2) pads.push_back(pairs[k]);
  if (mode != "constant" && mode != "edge" && mode != "reflect")
    return unsupported("the mode " + clip(printable(mode), 40));
  make("Pad", {x(), net_.ints(pads), net_.scalar(n_->number("constant_value", 0))},
       {{"mode", mode}}, rank());
}

void MxnetImporter::up_sampling() {
  const int64_t scale = bounded("scale", 1, 1);
  if (scale > 1 << 12) wrong({"has the impossible scale ", scale});
  if (n_->text("sample_type", "nearest") == "bilinear") {
    const Shape& w = array(1).shape;
    const int64_t k = 2 * scale - scale % 2, pad = (scale - 1 + 1) / 2;
    if (w.rank() != 4 || w[1] != 1 || w[2] != k || w[3] != k)
      wrong({"has a weight of ", w, " for the scale ", scale});
    return make("ConvTranspose", {x(), x(1)},
                {{"kernel_shape", Ints{k, k}},
                 {"strides", Ints{scale, scale}},
                 {"pads", Ints{pad, pad, pad, pad}},
                 {"group", int64_t{w[0]}}},
                4);
  }
  if (in_.size() != 1) return unsupported("several inputs");
  const auto s = static_cast<float>(scale);
  const float scales[] = {1, 1, s, s};
  make("Resize", {x(), "", net_.floats(scales, {4})},
       {{"mode", std::string("nearest")},
        {"coordinate_transformation_mode", std::string("asymmetric")},
        {"nearest_mode", std::string("floor")}},
       4);
}

void MxnetImporter::resize() {
  if (n_->text("mode", "size") != "size" || n_->has("scale_height") || in_.size() != 1)
    return unsupported("sizes that are computed");
  const std::string before = net_.make(
      "Slice", {net_.make("Shape", {x()}), net_.ints({0}), net_.ints({2}), net_.ints({0})});
  const Ints to{bounded("height", 1, 1), bounded("width", 1, 1)};
  make("Resize",
       {x(), "", "", net_.make("Concat", {before, net_.ints(to)}, {{"axis", int64_t{0}}})},
       {{"mode", std::string("linear")},
        {"coordinate_transformation_mode",
         std::string(n_->boolean("align_corners", true) ? "align_corners" : "half_pixel")}},
       4);
}

void MxnetImporter::reduce() {
  static const std::map<std::string_view, const char*> ops = {
      {"mean", "ReduceMean"}, {"sum", "ReduceSum"}, {"sum_axis", "ReduceSum"},
      {"max", "ReduceMax"},   {"min", "ReduceMin"}, {"prod", "ReduceProd"}};
  Ints axes = n_->integers("axis");
  const bool keep = n_->boolean("keepdims", false);
  const int r = known();
  if (!r) return;
  for (int64_t& d : axes) {
    if (d < -r || d >= r) wrong({"reduces dimension ", d, " of ", r});
    d += d < 0 ? r : 0;
  }
  if (n_->boolean("exclude", false) || axes.empty()) {
    Ints others;
    for (int64_t d = 0; d < r; ++d)
      if (std::find(axes.begin(), axes.end(), d) == axes.end()) others.push_back(d);
    axes = others;
  }
  if (axes.empty()) return same("Identity");
  const int left = keep ? r : r - static_cast<int>(axes.size());
  // MXNet has no values without sizes: of nothing left stays one.
  const bool all = left == 0;
  const Attributes kept{{"keepdims", int64_t{keep}}};
  const char* op = ops.at(n_->op);
  std::string y;
  if (std::string_view(op) == "ReduceSum")
    y = net_.make(op, {x(), net_.ints(axes)}, kept);
  else
    y = net_.make(op, {x()}, {{"axes", axes}, {"keepdims", int64_t{keep}}});
  if (all) return make("Unsqueeze", {y, net_.ints({0})}, {}, 1);
  give(y, left);
}

void MxnetImporter::product() {
  const int r = n_->op == "dot" ? 2 : known();
  if (!r) return;
  if (n_->op == "dot" && (rank() > 2 || rank(1) > 2)) return unsupported("other than matrices");
  std::vector<std::string> sides{x(), x(1)};
  const char* turned[] = {"transpose_a", "transpose_b"};
  for (const size_t k : {0, 1}) {
    if (!n_->boolean(turned[k], false)) continue;
    Ints perm;
    for (int d = 0; d < r; ++d) perm.push_back(d);
    if (r < 2) wrong({"multiplies vectors"});
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    sides[k] = net_.make("Transpose", {sides[k]}, {{"perm", perm}});
  }
  std::string y = net_.make("MatMul", sides);
  if (n_->number("alpha", 1) != 1) y = net_.make("Mul", {y, net_.scalar(n_->number("alpha", 1))});
  give(y, r);
}

void MxnetImporter::softmax_layer() {
  const bool whole = n_->op != "SoftmaxActivation" && !n_->boolean("multi_output", false) &&
                     !n_->boolean("preserve_shape", false);
  if (n_->boolean("preserve_shape", false)) return same("Softmax", {{"axis", int64_t{-1}}});
  if (!whole && (n_->boolean("multi_output", false) || n_->text("mode", "instance") == "channel"))
    return same("Softmax", {{"axis", int64_t{1}}});
  if (rank() == 2) return same("Softmax", {{"axis", int64_t{1}}});
  // All but the batch together.
  const std::string flat = net_.make("Flatten", {x()}, {{"axis", int64_t{1}}});
  const std::string y = net_.make("Softmax", {flat}, {{"axis", int64_t{1}}});
  make("Reshape", {y, net_.make("Shape", {x()})}, {}, rank());
}

void MxnetImporter::softmax() {
  const double t = n_->number("temperature", 1);
  if (in_.size() != 1) return unsupported("lengths");
  const std::string v = t == 1 ? x() : net_.make("Div", {x(), net_.scalar(t)});
  make(n_->op == "softmax" ? "Softmax" : "LogSoftmax", {v}, {{"axis", n_->integer("axis", -1)}},
       rank());
}

void MxnetImporter::l2() {
  const std::string mode = n_->text("mode", "instance");
  const int r = known();
  if (!r) return;
  Ints axes;
  for (int d = mode == "spatial" ? 2 : 1; d < (mode == "channel" ? 2 : r); ++d) axes.push_back(d);
  const std::string sum = net_.make("ReduceSum", {net_.make("Mul", {x(), x()}), net_.ints(axes)},
                                    {{"keepdims", int64_t{1}}});
  make("Div",
       {x(), net_.make("Sqrt", {net_.make("Add", {sum, net_.scalar(n_->number("eps", 1e-10))})})},
       {}, r);
}

void MxnetImporter::layer_norm() {
  const int r = known();
  const int64_t axis = n_->integer("axis", -1);
  if (!r) return;
  if (axis != -1 && axis != r - 1) return unsupported("another axis");
  const Attributes last{{"axes", Ints{-1}}, {"keepdims", int64_t{1}}};
  const std::string centred = net_.make("Sub", {x(), net_.make("ReduceMean", {x()}, last)});
  const std::string variance =
      net_.make("ReduceMean", {net_.make("Mul", {centred, centred})}, last);
  const std::string root =
      net_.make("Sqrt", {net_.make("Add", {variance, net_.scalar(n_->number("eps", 1e-5))})});
  make("Add", {net_.make("Mul", {net_.make("Div", {centred, root}), x(1)}), x(2)}, {}, r);
}

void MxnetImporter::rnn() {
  const std::string mode = n_->text("mode", "lstm");
  const int64_t gates = mode == "lstm" ? 4 : mode == "gru" ? 3 : 1;
  if (gates == 1 && mode != "rnn_relu" && mode != "rnn_tanh")
    return unsupported("the kind " + clip(printable(mode), 40));
  for (size_t i = 2; i < in_.size(); ++i)
    if (!in(i).zero) return unsupported("a first state that is given");
  if (n_->has("projection_size")) return unsupported("a projection");
  const int64_t h = bounded("state_size", 0, 1), layers = bounded("num_layers", 1, 1);
  const int64_t dirs = n_->boolean("bidirectional", false) ? 2 : 1;
  const auto all = floats(1);
  if (h > 1 << 16 || layers > 1000) wrong({"has ", layers, " layers of ", h});
  const MxnetRnn arrays = split_mxnet_rnn(all, gates, h, layers, dirs);
  if (arrays.layers.empty()) wrong({"has ", all.size(), " weights for ", layers, " layers of ", h});
  if (mode == "rnn_relu") return unsupported("relu as its activation");
  std::string y = x();
  std::vector<std::string> states, cells;
  for (int64_t l = 0; l < layers; ++l) {
    const auto& [w, r, b] = arrays.layers[static_cast<size_t>(l)];
    const int64_t in = l ? h * dirs : arrays.width, g = gates * h;
    const std::string stem = cat({n_->name, "_", l});
    Attributes a{{"hidden_size", h},
                 {"direction", std::string(dirs == 2 ? "bidirectional" : "forward")}};
    if (gates == 3) a.emplace_back("linear_before_reset", int64_t{1});
    const std::vector<std::string> inputs{y, net_.floats(w, {dirs, g, in}, stem + "_weight"),
                                          net_.floats(r, {dirs, g, h}, stem + "_recurrence"),
                                          net_.floats(b, {dirs, 2 * g}, stem + "_bias")};
    std::vector<std::string> out{net_.fresh(stem), net_.fresh(stem)};
    if (gates == 4) out.push_back(net_.fresh(stem));
    net_.node(gates == 4 ? "LSTM" : gates == 3 ? "GRU" : "RNN", inputs, out, a, stem);
    // [steps, directions, batch, h] becomes [steps, batch, directions * h].
    y = net_.make("Reshape", {net_.make("Transpose", {out[0]}, {{"perm", Ints{0, 2, 1, 3}}}),
                              net_.ints({0, 0, -1})});
    states.push_back(out[1]);
    if (gates == 4) cells.push_back(out[2]);
  }
  give(y, 3);
  if (!n_->boolean("state_outputs", false)) return;
  give(net_.make("Concat", states, {{"axis", int64_t{0}}}), 3);
  if (gates == 4) give(net_.make("Concat", cells, {{"axis", int64_t{0}}}), 3);
}

}  // namespace nacre
