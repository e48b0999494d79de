// Caffe2 (https://caffe2.ai): a net that predicts and one that fills its weights, as protocol
// buffers; fields as in caffe2.proto.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "importers/kinds.h"
#include "importers/onnx_builder.h"
#include "importers/problems.h"
#include "nacre/error.h"
#include "nacre/import.h"

namespace nacre {
namespace {

using Numbers = OnnxBuilder::Ints;
using Attributes = std::vector<OnnxBuilder::Attribute>;
constexpr size_t kMostOps = 1'000'000;

struct Argument {
  double f = 0;
  int64_t i = 0;
  std::string s;
  std::vector<float> floats;
  Numbers ints;
};

struct Op {
  std::string type, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Argument> arguments;

  const Argument* find(const std::string& argument) const {
    const auto at = arguments.find(argument);
    return at == arguments.end() ? nullptr : &at->second;
  }
  int64_t i(const std::string& argument, int64_t otherwise = 0) const {
    const Argument* a = find(argument);
    return a ? a->i : otherwise;
  }
  double f(const std::string& argument, double otherwise = 0) const {
    const Argument* a = find(argument);
    return a ? a->f : otherwise;
  }
  std::string s(const std::string& argument, const std::string& otherwise = "") const {
    const Argument* a = find(argument);
    return a ? a->s : otherwise;
  }
  Numbers ints(const std::string& argument) const {
    const Argument* a = find(argument);
    return a ? a->ints : Numbers{};
  }
};

struct Net {
  std::vector<Op> ops;
  std::vector<std::string> inputs, outputs;
};

Op read_operator(std::string_view bytes, std::string_view what) {
  Op op;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 1) op.inputs.emplace_back(r.bytes());
    if (r.field() == 2) op.outputs.emplace_back(r.bytes());
    if (r.field() == 3) op.name = r.bytes();
    if (r.field() == 4) op.type = r.bytes();
    if (r.field() != 5) continue;
    std::string name;
    Argument a;
    for (WireReader v(r.bytes(), what); v.next();) {
      if (v.field() == 1) name = v.bytes();
      if (v.field() == 2) a.f = v.real();
      if (v.field() == 3) a.i = v.integer();
      if (v.field() == 4) a.s = v.bytes();
      if (v.field() == 5) v.reals(a.floats);
      if (v.field() == 6) v.integers([&](int64_t n) { a.ints.push_back(n); });
    }
    op.arguments.emplace(std::move(name), std::move(a));
  }
  return op;
}

Net read_net(std::string_view bytes, std::string_view what) {
  Net net;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 2) net.ops.push_back(read_operator(r.bytes(), what));
    if (r.field() == 7) net.inputs.emplace_back(r.bytes());
    if (r.field() == 8) net.outputs.emplace_back(r.bytes());
    if (net.ops.size() > kMostOps) fail(Error::Kind::data, {what, " has too many operators"});
  }
  return net;
}

class Caffe2Importer {
 public:
  Caffe2Importer(const Net& net, std::string_view what)
      : source_(net), what_(what), net_("caffe2"), problems_(what) {}

  std::string run(const Net& init) {
    if (source_.ops.empty()) fail(Error::Kind::data, {what_, " has no operators"});
    for (const Op& op : init.ops) {
      op_ = &op;
      fill();
    }
    inputs();
    for (const Op& op : source_.ops) {
      op_ = &op;
      translate();
    }
    problems_.finish("operators");
    if (source_.outputs.empty()) fail(Error::Kind::data, {what_, " names no outputs"});
    std::set<std::string> named;
    for (const std::string& o : source_.outputs) {
      if (!named.insert(o).second) continue;
      const auto at = values_.find(o);
      if (at == values_.end())
        fail(Error::Kind::data, {what_, ": nothing makes the output '", printed(o), "'"});
      net_.node("Identity", {at->second.name}, {at->second.name == o ? o + "_output" : o});
      net_.output(at->second.name == o ? o + "_output" : o, at->second.rank);
    }
    return net_.finish();
  }

 private:
  struct Value {
    std::string name;
    int rank = 4;
  };
  struct Weight {
    Numbers shape;
    bool constant = false;  ///< one number everywhere
  };

  static std::string printed(const std::string& s) { return clip(printable(s), 100); }
  std::string label() const {
    return !op_->name.empty() ? op_->name : op_->outputs.empty() ? op_->type : op_->outputs[0];
  }
  [[noreturn]] void wrong(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data,
         {what_, ": operator '", printed(label()), "' (", printed(op_->type), ") ", cat(why)});
  }
  void unsupported(std::string_view use) {
    problems_.add(cat({op_->type, " with ", use}), label());
    for (const std::string& o : op_->outputs) values_[o] = {net_.fresh("missing"), 4};
  }

  // ---- the first net

  void fill() {
    if (op_->outputs.empty()) wrong({"fills nothing"});
    const std::string& name = op_->outputs[0];
    const Numbers shape = op_->ints("shape");
    uint64_t count = 1;
    if (shape.size() > 32) wrong({"fills ", shape.size(), " sizes"});
    for (const int64_t d : shape)
      if (d < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(d), &count) ||
          count > uint64_t{1} << 31)
        wrong({"fills an impossible shape"});
    const bool floats = op_->type == "GivenTensorFill",
               ints = op_->type == "GivenTensorInt64Fill" || op_->type == "GivenTensorIntFill",
               one = op_->type == "ConstantFill";
    if (!floats && !ints && !one) return problems_.add(op_->type, label());
    const Argument* values = op_->find("values");
    const size_t found = !values ? 0 : floats ? values->floats.size() : values->ints.size();
    if (!one && found != count) wrong({"fills ", count, " places with ", found, " values"});
    weights_[name] = {shape, one};
    fills_[name] = op_;
  }

  /// The value of a weight, stored once.
  Value stored(const std::string& name) {
    const Op& op = *fills_.at(name);
    const Weight& w = weights_.at(name);
    const int rank = static_cast<int>(w.shape.size());
    if (op.type == "GivenTensorFill")
      net_.floats(op.find("values")->floats, w.shape, name);
    else if (op.type != "ConstantFill")
      net_.constant({reinterpret_cast<const char*>(op.find("values")->ints.data()),
                     8 * op.find("values")->ints.size()},
                    w.shape, 7, name);
    else
      net_.node("Expand", {net_.scalar(op.f("value", 0)), net_.ints(w.shape)}, {name});
    return {name, rank};
  }

  /// What is given from outside: the first external input, and all that the first net leaves open.
  void inputs() {
    std::set<std::string> made;
    for (size_t k = 0; k < source_.inputs.size(); ++k) {
      const std::string& name = source_.inputs[k];
      const auto at = weights_.find(name);
      if (!made.insert(name).second || (at != weights_.end() && (k > 0 || !at->second.constant)))
        continue;
      Numbers shape;
      if (at != weights_.end() && at->second.shape.size() > 1) shape = at->second.shape;
      if (at != weights_.end()) weights_.erase(at);
      if (shape.empty()) shape = guessed(name);
      shape[0] = -1;
      net_.input(name, shape);
      values_[name] = {name, static_cast<int>(shape.size())};
    }
  }
  /// Sizes by the weights that an input meets.
  Numbers guessed(const std::string& name) const {
    for (const Op& op : source_.ops) {
      if (op.inputs.size() < 2 || op.inputs[0] != name) continue;
      const auto w = weights_.find(op.inputs[1]);
      if (w == weights_.end()) continue;
      if (op.type == "FC" && w->second.shape.size() == 2) return {-1, w->second.shape[1]};
      if (op.type == "Conv" && w->second.shape.size() == 4 && w->second.shape[1] < 1 << 20)
        return {-1, w->second.shape[1] * std::clamp<int64_t>(op.i("group", 1), 1, 1 << 20), -1, -1};
    }
    return {-1, -1, -1, -1};
  }

  // ---- the second net

  Value in(size_t k) {
    if (k >= op_->inputs.size()) wrong({"has ", op_->inputs.size(), " inputs, needs ", k + 1});
    const std::string& name = op_->inputs[k];
    if (const auto at = values_.find(name); at != values_.end()) return at->second;
    if (!weights_.contains(name))
      wrong({"reads '", printed(name), "', which nothing before it makes"});
    return values_[name] = stored(name);
  }
  std::string x(size_t k = 0) { return in(k).name; }
  int rank(size_t k = 0) { return in(k).rank; }
  const Numbers& shape(size_t k) const {
    if (k >= op_->inputs.size()) wrong({"has ", op_->inputs.size(), " inputs, needs ", k + 1});
    const auto at = weights_.find(op_->inputs[k]);
    if (at == weights_.end()) wrong({"has no weights '", printed(op_->inputs[k]), "'"});
    return at->second.shape;
  }
  void give(const std::string& name, int rank, size_t k = 0) {
    if (k >= op_->outputs.size()) wrong({"has no output ", k});
    values_[op_->outputs[k]] = {name, rank};
  }
  void make(std::string_view op, const std::vector<std::string>& inputs,
            const Attributes& attributes, int rank) {
    if (op_->outputs.empty()) wrong({"makes nothing"});
    const std::string name = net_.fresh(op_->outputs[0]);
    net_.node(op, inputs, {name}, attributes, label());
    give(name, rank);
  }
  void same(std::string_view op, const Attributes& attributes = {}) {
    make(op, {x()}, attributes, rank());
  }

  /// Height and width: `name` once, `names` twice, or with _h and _w.
  Numbers pair(const std::string& name, int64_t otherwise, int64_t least) const {
    Numbers v = op_->ints(name + "s");
    if (v.empty())
      v = {op_->i(name + "_h", op_->i(name, otherwise)),
           op_->i(name + "_w", op_->i(name, otherwise))};
    if (v.size() != 2) wrong({"has ", v.size(), " sizes of ", name});
    for (const int64_t d : v)
      if (d < least || d > 1 << 20) wrong({"has the impossible ", name, " ", d});
    return v;
  }
  /// [top, left, bottom, right].
  Numbers pads() const {
    Numbers v = op_->ints("pads");
    const int64_t all = op_->i("pad", 0);
    if (v.empty())
      v = {op_->i("pad_t", all), op_->i("pad_l", all), op_->i("pad_b", all), op_->i("pad_r", all)};
    if (v.size() != 4) wrong({"has ", v.size(), " pads"});
    for (const int64_t d : v)
      if (d < 0 || d > 1 << 20) wrong({"has the impossible padding ", d});
    return v;
  }

  void translate() {
    using Rule = void (Caffe2Importer::*)();
    static const std::map<std::string_view, Rule> rules = {
        {"Conv", &Caffe2Importer::convolution},
        {"ConvTranspose", &Caffe2Importer::convolution},
        {"FC", &Caffe2Importer::fully_connected},
        {"MaxPool", &Caffe2Importer::pool},
        {"AveragePool", &Caffe2Importer::pool},
        {"Concat", &Caffe2Importer::concat},
        {"Split", &Caffe2Importer::split},
        {"Reshape", &Caffe2Importer::reshape},
        {"Add", &Caffe2Importer::binary},
        {"Sub", &Caffe2Importer::binary},
        {"Mul", &Caffe2Importer::binary},
        {"Div", &Caffe2Importer::binary},
        {"ChannelShuffle", &Caffe2Importer::shuffle},
    };
    if (op_->s("order", "NCHW") != "NCHW") return unsupported("the order NHWC");
    if (const auto at = rules.find(op_->type); at != rules.end()) return (this->*at->second)();
    if (simple()) return;
    problems_.add(op_->type, label());
    for (const std::string& o : op_->outputs) values_[o] = {net_.fresh("missing"), 4};
  }

  bool simple() {
    static const std::map<std::string_view, const char*> unary = {{"Relu", "Relu"},
                                                                  {"Sigmoid", "Sigmoid"},
                                                                  {"Tanh", "Tanh"},
                                                                  {"Exp", "Exp"},
                                                                  {"Log", "Log"},
                                                                  {"Sqrt", "Sqrt"},
                                                                  {"Abs", "Abs"},
                                                                  {"Negative", "Neg"},
                                                                  {"Softplus", "Softplus"},
                                                                  {"Softsign", "Softsign"},
                                                                  {"Copy", "Identity"},
                                                                  {"Alias", "Identity"},
                                                                  {"StopGradient", "Identity"},
                                                                  {"Dropout", "Identity"}};
    const std::string& t = op_->type;
    if (const auto at = unary.find(t); at != unary.end())
      same(at->second);
    else if (t == "LeakyRelu")
      same("LeakyRelu", {{"alpha", op_->f("alpha", 0.01)}});
    else if (t == "Elu")
      same("Elu", {{"alpha", op_->f("alpha", 1)}});
    else if (t == "PRelu")
      make("PRelu", {x(), over_channels(1)}, {}, rank());
    else if (t == "Clip")
      make("Clip", {x(), net_.scalar(op_->f("min", -3.4e38)), net_.scalar(op_->f("max", 3.4e38))},
           {}, rank());
    else if (t == "Softmax")
      same("Softmax", {{"axis", op_->i("axis", 1)}});
    else if (t == "LRN")
      same("LRN", {{"size", std::max<int64_t>(1, op_->i("size", 1))},
                   {"alpha", op_->f("alpha", 0)},
                   {"beta", op_->f("beta", 0)},
                   {"bias", op_->f("bias", 1)}});
    else if (t == "SpatialBN")
      make("BatchNormalization", {x(), x(1), x(2), x(3), x(4)},
           {{"epsilon", op_->f("epsilon", 1e-5)}}, rank());
    else if (t == "InstanceNorm")
      make("InstanceNormalization", {x(), x(1), x(2)}, {{"epsilon", op_->f("epsilon", 1e-5)}},
           rank());
    else if (t == "AffineChannel")
      make("Add", {net_.make("Mul", {x(), over_channels(1)}), over_channels(2)}, {}, rank());
    else if (t == "Sum")
      sum();
    else if (t == "Flatten")
      make("Flatten", {x()}, {{"axis", op_->i("axis", 1)}}, 2);
    else if (t == "Transpose")
      same("Transpose",
           op_->ints("axes").empty() ? Attributes{} : Attributes{{"perm", op_->ints("axes")}});
    else if (t == "Squeeze")
      make("Squeeze", {x(), net_.ints(op_->ints("dims"))}, {},
           rank() - static_cast<int>(op_->ints("dims").size()));
    else if (t == "ExpandDims")
      make("Unsqueeze", {x(), net_.ints(op_->ints("dims"))}, {},
           rank() + static_cast<int>(op_->ints("dims").size()));
    else if (t == "ResizeNearest")
      resize();
    else if (t == "ReduceMean" || t == "ReduceMax")
      same(t, {{"axes", op_->ints("axes")}, {"keepdims", op_->i("keepdims", 1)}});
    else
      return false;
    return true;
  }

  /// A weight of one value for each channel beside the input.
  std::string over_channels(size_t k) {
    Numbers to{-1};
    for (int d = 2; d < rank(); ++d) to.push_back(1);
    return net_.make("Reshape", {x(k), net_.ints(to)});
  }

  void sum() {
    std::vector<std::string> all;
    for (size_t k = 0; k < op_->inputs.size(); ++k) all.push_back(x(k));
    if (all.empty()) wrong({"adds nothing"});
    make("Sum", all, {}, rank());
  }

  void convolution() {
    const bool transposed = op_->type == "ConvTranspose";
    const Numbers& w = shape(1);
    const int64_t group = op_->i("group", 1);
    if (w.size() != 4) return unsupported("other than two dimensions");
    if (group < 1 || w[0] < 1 || w[0] % group)
      wrong({"has ", w[0], " outputs in ", group, " groups"});
    const Numbers kernel = pair("kernel", 0, 1);
    if (kernel != Numbers{w[2], w[3]})
      wrong({"has a kernel of ", kernel[0], "x", kernel[1], " and weights of ", w[2], "x", w[3]});
    Attributes a{{"kernel_shape", kernel},
                 {"strides", pair("stride", 1, 1)},
                 {"dilations", pair("dilation", 1, 1)},
                 {"pads", pads()},
                 {"group", group}};
    if (op_->i("legacy_pad", 0) != 0) return unsupported("padding of the old kind");
    if (transposed) a.emplace_back("output_padding", pair("adj", 0, 0));
    std::vector<std::string> inputs{x(), x(1)};
    if (op_->inputs.size() > 2) inputs.push_back(x(2));
    make(transposed ? "ConvTranspose" : "Conv", inputs, a, 4);
  }

  void fully_connected() {
    if (op_->i("axis", 1) != 1 || op_->i("axis_w", 1) != 1) return unsupported("another axis");
    const std::string rows =
        rank() == 2 ? x() : net_.make("Flatten", {x()}, {{"axis", int64_t{1}}});
    if (shape(1).size() < 2) wrong({"has a weight of ", shape(1).size(), " sizes"});
    const std::string w =
        shape(1).size() == 2 ? x(1) : net_.make("Flatten", {x(1)}, {{"axis", int64_t{1}}});
    make("Gemm", {rows, w, x(2)}, {{"transB", int64_t{1}}}, 2);
  }

  void pool() {
    const bool max = op_->type == "MaxPool";
    if (op_->i("global_pooling", 0)) return same(max ? "GlobalMaxPool" : "GlobalAveragePool");
    Attributes a{{"kernel_shape", pair("kernel", 0, 1)},
                 {"strides", pair("stride", 1, 1)},
                 {"pads", pads()}};
    // 3: windows that are cut count, as in Caffe.
    const int64_t old = op_->i("legacy_pad", 0);
    if (old != 0 && old != 3) return unsupported("padding of the old kind");
    a.emplace_back("ceil_mode", int64_t{old == 3});
    if (!max) a.emplace_back("count_include_pad", op_->i("count_include_pad", 0));
    make(op_->type, {x()}, a, 4);
  }

  void concat() {
    const int64_t axis = op_->i("axis", 1);
    const bool add = op_->i("add_axis", 0);
    std::vector<std::string> all;
    for (size_t k = 0; k < op_->inputs.size(); ++k)
      all.push_back(add ? net_.make("Unsqueeze", {x(k), net_.ints({axis})}) : x(k));
    if (all.empty()) wrong({"joins nothing"});
    make("Concat", all, {{"axis", axis}}, rank() + add);  // the sizes of the parts are not given
  }

  void split() {
    const Numbers parts = op_->ints("split");
    if (op_->inputs.size() != 1) return unsupported("sizes that are computed");
    if (!parts.empty() && parts.size() != op_->outputs.size())
      wrong({"has ", parts.size(), " sizes for ", op_->outputs.size(), " outputs"});
    std::vector<std::string> names, inputs{x()};
    const int r = rank();
    for (const std::string& o : op_->outputs) names.push_back(net_.fresh(o));
    if (names.empty()) wrong({"makes nothing"});
    if (!parts.empty()) inputs.push_back(net_.ints(parts));
    net_.node("Split", inputs, names, {{"axis", op_->i("axis", 1)}}, label());
    for (size_t k = 0; k < names.size(); ++k) give(names[k], r, k);
  }

  void reshape() {
    const Numbers to = op_->ints("shape");
    if (op_->inputs.size() > 1 && to.empty())
      return make("Reshape", {x(), x(1)}, {}, static_cast<int>(shape(1).empty() ? 1 : shape(1)[0]));
    if (to.empty()) wrong({"has no shape"});
    make("Reshape", {x(), net_.ints(to)}, {}, static_cast<int>(to.size()));
  }

  void binary() {
    const int a = rank(0), b = rank(1);
    std::string right = x(1);
    // The second operand stands beside the first from `axis` on.
    const int64_t axis = op_->i("axis", -1);
    if (op_->i("broadcast", 0) && axis >= 0 && a - b > axis) {
      Numbers behind;
      for (int64_t d = 0; d < a - b - axis; ++d) behind.push_back(b + d);
      right = net_.make("Unsqueeze", {right, net_.ints(behind)});
    }
    make(op_->type, {x(), right}, {}, std::max(a, b));
  }

  void shuffle() {
    const int64_t group = op_->i("group", 1);
    if (group < 1 || group > 10'000) wrong({"has ", group, " groups"});
    std::vector<std::string> parts, wide;
    for (int64_t g = 0; g < group; ++g) parts.push_back(net_.fresh("Split"));
    net_.node("Split", {x()}, parts, {{"axis", int64_t{1}}});
    for (const std::string& p : parts) wide.push_back(net_.make("Unsqueeze", {p, net_.ints({2})}));
    make("Reshape", {net_.make("Concat", wide, {{"axis", int64_t{2}}}), net_.make("Shape", {x()})},
         {}, 4);
  }

  void resize() {
    const double h = op_->f("height_scale", 1), w = op_->f("width_scale", 1);
    if (!(h > 0) || !(w > 0) || op_->inputs.size() != 1) return unsupported("these scales");
    const float scales[] = {1, 1, static_cast<float>(h), static_cast<float>(w)};
    make("Resize", {x(), "", net_.floats(scales, {4})},
         {{"mode", std::string("nearest")},
          {"coordinate_transformation_mode", std::string("asymmetric")},
          {"nearest_mode", std::string("floor")}},
         4);
  }

  const Net& source_;
  std::string_view what_;
  OnnxBuilder net_;
  Problems problems_;
  std::map<std::string, Value> values_;
  std::map<std::string, Weight> weights_;
  std::map<std::string, const Op*> fills_;
  const Op* op_ = nullptr;
};

}  // namespace

std::string import_caffe2(std::string_view predict, std::string_view init, std::string_view what,
                          std::string_view stored) {
  if (stored.empty()) stored = what;
  return with_name(what, stored, [&] {
    const Net net = read_net(predict, what), first = read_net(init, stored);
    return Caffe2Importer(net, what).run(first);
  });
}

const NetworkKind kCaffe2Files = {
    "predict_net.pb", "Caffe2",
    [](const std::string& path) { return beside(path, "predict_net.pb", "init_net.pb"); },
    [](const std::string& path, const std::string& weights) {
      const auto net = MappedFile::open(path), init = MappedFile::open(weights);
      return import_caffe2(net->bytes(), init->bytes(), path, init->path());
    }};

}  // namespace nacre
