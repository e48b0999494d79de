// ncnn (https://github.com/Tencent/ncnn): layers with numbered options. Blobs there are [c, h, w],
// [h, w] or [w]; here they get a batch before that.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "importers/kinds.h"
#include "importers/ncnn_file.h"
#include "importers/onnx_builder.h"
#include "importers/problems.h"
#include "nacre/error.h"
#include "nacre/import.h"

namespace nacre {
namespace {

using Numbers = OnnxBuilder::Ints;
using Attributes = std::vector<OnnxBuilder::Attribute>;
constexpr int64_t kNone = -233;  // "not given", and padding SAME_UPPER

class NcnnImporter {
 public:
  NcnnImporter(NcnnWeights weights, std::string_view what)
      : what_(what), weights_(weights), net_("ncnn"), problems_(what) {}

  std::string run(const std::vector<NcnnLayer>& layers) {
    for (const NcnnLayer& layer : layers) {
      l_ = &layer;
      if (layer.tops.empty()) wrong({"makes nothing"});
      for (const std::string& b : layer.bottoms) ++reads_[b];
      if (layer.type != "Input" && layer.type != "MemoryData" && layer.bottoms.empty())
        wrong({"reads nothing"});
      translate();
    }
    problems_.finish("layers");
    weights_.finish();
    for (const NcnnLayer& layer : layers)
      for (const std::string& t : layer.tops)
        if (!reads_.contains(t)) net_.output(t, rank(t));
    return net_.finish();
  }

 private:
  [[noreturn]] void wrong(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, ": layer '", clip(printable(l_->name), 100), "' ", cat(why)});
  }
  void unsupported(std::string_view use) {
    problems_.add(cat({l_->type, " with ", use}), l_->name);
  }
  int rank(const std::string& blob) const {
    const auto at = ranks_.find(blob);
    return at == ranks_.end() ? 4 : at->second;
  }
  int rank() const { return rank(l_->bottoms[0]); }
  const std::string& x() const { return l_->bottoms[0]; }
  const std::string& y() const { return l_->tops[0]; }
  std::string weight_name(std::string_view part) const {
    return l_->name + "." + std::string(part);
  }
  /// The layer's first output, of this rank.
  void result(std::string_view op, const std::vector<std::string>& inputs,
              const Attributes& attributes, int rank) {
    net_.node(op, inputs, {y()}, attributes, l_->name);
    ranks_[y()] = rank;
  }
  /// [n], and sizes of one after it as the rank wants.
  std::string channels(const std::vector<float>& v, std::string_view part, int rank) {
    Numbers shape{std::ssize(v)};
    for (int d = 2; d < rank && v.size() > 1; ++d) shape.push_back(1);
    return net_.floats(v, shape, weight_name(part));
  }
  static int64_t outer(int64_t axis) { return axis < 0 ? axis : axis + 1; }

  /// What layers with weights may do at their end (option 9).
  void finish(const std::string& value, int rank) {
    const auto& p = l_->list(10);
    const auto at = [&](size_t i, double otherwise) { return i < p.size() ? p[i] : otherwise; };
    switch (l_->integer(9, 0)) {
      case 0:
        return result("Identity", {value}, {}, rank);
      case 1:
        return result("Relu", {value}, {}, rank);
      case 2:
        return result("LeakyRelu", {value}, {{"alpha", at(0, 0)}}, rank);
      case 3:
        return result("Clip", {value, net_.scalar(at(0, 0)), net_.scalar(at(1, 0))}, {}, rank);
      case 4:
        return result("Sigmoid", {value}, {}, rank);
      case 5:
        return result("Mul", {value, net_.make("Tanh", {net_.make("Softplus", {value})})}, {},
                      rank);
      case 6:
        return result("Mul",
                      {value, net_.make("HardSigmoid", {value},
                                        {{"alpha", at(0, 1.0 / 6)}, {"beta", at(1, 0.5)}})},
                      {}, rank);
      default:
        unsupported("an unknown activation");
    }
  }

  void window(Attributes& a, int kernel, int stride, int left, int dilation) {
    const auto pair = [&](int id, int id_h, int64_t otherwise, int64_t least) {
      const int64_t w = l_->integer(id, otherwise), h = l_->integer(id_h, w);
      if (w < least || h < least || w > 1 << 20 || h > 1 << 20)
        wrong({"has the impossible sizes ", h, "x", w});
      return Numbers{h, w};
    };
    a.emplace_back("kernel_shape", pair(kernel, kernel + 10, 0, 1));
    a.emplace_back("strides", pair(stride, stride + 10, 1, 1));
    if (dilation) a.emplace_back("dilations", pair(dilation, dilation + 10, 1, 1));
    const bool pool = l_->type == "Pooling";
    const int64_t l = l_->integer(left, 0), t = l_->integer(pool ? 13 : 14, l),
                  r = l_->integer(pool ? 14 : 15, l), b = l_->integer(pool ? 15 : 16, t);
    if (l == kNone || l == kNone - 1) {
      a.emplace_back("auto_pad", std::string(l == kNone ? "SAME_UPPER" : "SAME_LOWER"));
      return;
    }
    for (const int64_t pad : {l, t, r, b})
      if (pad < 0 || pad > 1 << 20) wrong({"has the impossible padding ", pad});
    a.emplace_back("pads", Numbers{t, l, b, r});
  }

  void convolution() {
    const bool transposed = l_->type.starts_with("Deconvolution");
    const int64_t out = l_->integer(0, 0), group = l_->integer(7, 1), size = l_->integer(6, 0);
    const int64_t kw = l_->integer(1, 0), kh = l_->integer(11, kw);
    if (kw < 1 || kh < 1 || kw > 1 << 15 || kh > 1 << 15 || out < 1 || group < 1 || out % group ||
        size < 1 || size % (out * kw * kh) || l_->bottoms.size() != 1)
      wrong({"has ", size, " weights for ", out, " outputs in ", group, " groups and a kernel of ",
             kh, "x", kw});
    if (!transposed && l_->number(18, 0) != 0) unsupported("padding by a value");
    if (transposed && (l_->integer(20, 0) || l_->integer(21, 0)))
      unsupported("a given size of the output");
    const int64_t in = size / (out * kw * kh);  // of a group
    std::vector<float> w = weights_.marked(size, l_->name);
    Numbers shape{out, in, kh, kw};
    if (transposed) {  // [group, out / group, in / group] becomes [group, in / group, out / group]
      const int64_t k = kh * kw, part = out / group;
      std::vector<float> turned(w.size());
      for (int64_t g = 0; g < group; ++g)
        for (int64_t o = 0; o < part; ++o)
          for (int64_t i = 0; i < in; ++i)
            std::copy_n(w.begin() + ((g * part + o) * in + i) * k, k,
                        turned.begin() + ((g * in + i) * part + o) * k);
      w = std::move(turned);
      shape = {group * in, part, kh, kw};
    }
    std::vector<std::string> inputs{x(), net_.floats(w, shape, weight_name("weight"))};
    if (l_->integer(5, 0))
      inputs.push_back(net_.floats(weights_.plain(out), {out}, weight_name("bias")));
    Attributes a{{"group", group}};
    window(a, 1, 3, 4, 2);
    if (transposed && (l_->integer(18, 0) || l_->integer(19, 0)))
      a.emplace_back("output_padding", Numbers{l_->integer(19, 0), l_->integer(18, 0)});
    finish(net_.make(transposed ? "ConvTranspose" : "Conv", inputs, a), 4);
  }

  void inner_product() {
    const int64_t out = l_->integer(0, 0), size = l_->integer(2, 0);
    if (out < 1 || size < 1 || size % out) wrong({"has ", size, " weights for ", out, " outputs"});
    const std::string w =
        net_.floats(weights_.marked(size, l_->name), {out, size / out}, weight_name("weight"));
    const bool rows = rank() == 3;  // [h, w] with w inputs: each row by itself
    std::vector<std::string> inputs{
        rank() == 2 || rows ? x() : net_.make("Flatten", {x()}, {{"axis", int64_t{1}}}), w};
    std::string bias;
    if (l_->integer(1, 0)) bias = net_.floats(weights_.plain(out), {out}, weight_name("bias"));
    if (rows) {
      std::string v =
          net_.make("MatMul", {x(), net_.make("Transpose", {w}, {{"perm", Numbers{1, 0}}})});
      if (!bias.empty()) v = net_.make("Add", {v, bias});
      return finish(v, 3);
    }
    if (!bias.empty()) inputs.push_back(bias);
    finish(net_.make("Gemm", inputs, {{"transB", int64_t{1}}}), 2);
  }

  /// A product with a constant right side, [k, n] or turned, and a constant row that is added.
  void gemm() {
    const int64_t n = l_->integer(8, 0), k = l_->integer(9, 0), kind = l_->integer(10, 0);
    const bool bias = l_->integer(6, 0) && kind != -1;
    int64_t size = 0;
    if (l_->integer(4, 0) || !l_->integer(5, 0) || l_->integer(2, 0) || l_->integer(11, 0) ||
        l_->integer(14, 0) || l_->integer(18, 0) || l_->bottoms.size() != 1 ||
        (bias && kind != 4 && kind != 0))
      return unsupported("these operands");
    if (n < 1 || k < 1 || __builtin_mul_overflow(n, k, &size))
      wrong({"multiplies by a matrix of ", k, "x", n});
    const bool turned = l_->integer(3, 0);
    std::string w = net_.floats(weights_.marked(size, l_->name),
                                turned ? Numbers{n, k} : Numbers{k, n}, weight_name("weight"));
    if (turned) w = net_.make("Transpose", {w}, {{"perm", Numbers{1, 0}}});
    std::string v = net_.make("MatMul", {x(), w});
    if (l_->number(0, 1) != 1) v = net_.make("Mul", {v, net_.scalar(l_->number(0, 1))});
    if (bias) {
      const int64_t count = kind == 4 ? n : 1;
      std::string c = net_.floats(weights_.marked(count, l_->name), {count}, weight_name("bias"));
      if (l_->number(1, 1) != 1) c = net_.make("Mul", {c, net_.scalar(l_->number(1, 1))});
      v = net_.make("Add", {v, c});
    }
    result("Identity", {v}, {}, rank());
  }

  void pooling() {
    const bool max = l_->integer(0, 0) == 0;
    const bool one = l_->integer(7, 0) && l_->integer(8, 0) == 1 && l_->integer(18, 1) == 1;
    if (l_->integer(7, 0) && !one) return unsupported("adaptive sizes");
    const std::string global = max ? "GlobalMaxPool" : "GlobalAveragePool";
    if (l_->integer(4, 0))
      return result("Flatten", {net_.make(global, {x()})}, {{"axis", int64_t{1}}}, 2);
    if (one) return result(global, {x()}, {}, 4);
    Attributes a;
    const int64_t mode = l_->integer(5, 0);
    if (mode < 0 || mode > 3) return unsupported("an unknown padding");
    window(a, 1, 2, 3, 0);
    if (mode >= 2) {
      std::erase_if(a, [](const auto& one) { return one.first == "pads"; });
      a.emplace_back("auto_pad", std::string(mode == 2 ? "SAME_UPPER" : "SAME_LOWER"));
    }
    if (mode == 0) a.emplace_back("ceil_mode", int64_t{1});
    if (!max) a.emplace_back("count_include_pad", int64_t{l_->integer(6, 0) != 0});
    result(max ? "MaxPool" : "AveragePool", {x()}, a, 4);
  }

  void binary() {
    static constexpr const char* ops[] = {"Add", "Sub", "Mul", "Div", "Max",
                                          "Min", "Pow", "Sub", "Div", "Pow"};
    const int64_t op = l_->integer(0, 0);
    if (op < 0 || op >= std::ssize(ops)) return unsupported("an unknown operation");
    std::string a = x(), b;
    if (l_->integer(1, 0)) {
      b = net_.scalar(l_->number(2, 0));
    } else {
      if (l_->bottoms.size() != 2) wrong({"needs two inputs"});
      b = l_->bottoms[1];
    }
    int most = rank();
    if (!l_->integer(1, 0)) {
      // Where ranks differ, sizes of one follow: a vector is one value for each channel.
      most = std::max(rank(a), rank(b));
      for (std::string* v : {&a, &b}) {
        Numbers axes;
        for (int d = rank(*v); d < most; ++d) axes.push_back(d);
        if (!axes.empty()) *v = net_.make("Unsqueeze", {*v, net_.ints(axes)});
      }
    }
    if (op >= 7) std::swap(a, b);
    result(ops[op], {a, b}, {}, most);
  }

  void unary() {
    static constexpr const char* ops[] = {
        "Abs", "Neg", "Floor", "Ceil", "",     "Sqrt",       "",     "Exp", "Log",  "Sin",
        "Cos", "Tan", "Asin",  "Acos", "Atan", "Reciprocal", "Tanh", "",    "Round"};
    const int64_t op = l_->integer(0, 0);
    if (op == 4) return result("Mul", {x(), x()}, {}, rank());
    if (op == 6) return result("Reciprocal", {net_.make("Sqrt", {x()})}, {}, rank());
    if (op < 0 || op >= std::ssize(ops) || !*ops[op]) return unsupported("an unknown operation");
    result(ops[op], {x()}, {}, rank());
  }

  void eltwise() {
    const int64_t op = l_->integer(0, 0);
    const auto& by = l_->list(1);
    if (!by.empty() && by.size() != l_->bottoms.size())
      wrong({"has ", by.size(), " coefficients for ", l_->bottoms.size(), " inputs"});
    std::vector<std::string> inputs = l_->bottoms;
    for (size_t i = 0; op == 1 && i < by.size(); ++i)
      inputs[i] = net_.make("Mul", {inputs[i], net_.scalar(by[i])});
    if (op == 1) return result("Sum", inputs, {}, rank());
    if (op == 2) return result("Max", inputs, {}, rank());
    if (op != 0 || inputs.size() < 2) return unsupported("an unknown operation");
    std::string v = inputs[0];
    for (size_t i = 1; i + 1 < inputs.size(); ++i) v = net_.make("Mul", {v, inputs[i]});
    result("Mul", {v, inputs.back()}, {}, rank());
  }

  void norm() {
    if (l_->type == "BatchNorm") {
      const int64_t n = l_->integer(0, 0);
      const auto slope = weights_.plain(n), mean = weights_.plain(n), var = weights_.plain(n),
                 bias = weights_.plain(n);
      return result("BatchNormalization",
                    {x(), net_.floats(slope, {n}, weight_name("weight")),
                     net_.floats(bias, {n}, weight_name("bias")),
                     net_.floats(mean, {n}, weight_name("running_mean")),
                     net_.floats(var, {n}, weight_name("running_var"))},
                    {{"epsilon", l_->number(1, 0)}}, rank());
    }
    if (l_->type == "InstanceNorm") {
      const int64_t n = l_->integer(0, 0);
      const bool affine = l_->integer(2, 1);
      const auto w = affine ? weights_.plain(n) : std::vector<float>();
      const auto b = affine ? weights_.plain(n) : std::vector<float>();
      if (!affine) return unsupported("no weights");
      return result("InstanceNormalization",
                    {x(), net_.floats(w, {n}, weight_name("weight")),
                     net_.floats(b, {n}, weight_name("bias"))},
                    {{"epsilon", l_->number(1, 0.001)}}, rank());
    }
    // Scale, and Bias, which is its second half.
    const bool scale = l_->type == "Scale";
    const int64_t n = l_->integer(0, 0);
    std::string v = x();
    if (scale && n == kNone) {
      if (l_->bottoms.size() != 2) wrong({"needs two inputs"});
      return result("Mul", {x(), l_->bottoms[1]}, {}, rank());
    }
    if (scale) v = net_.make("Mul", {v, channels(weights_.plain(n), "weight", rank())});
    if (!scale || l_->integer(1, 0))
      return result("Add", {v, channels(weights_.plain(n), "bias", rank())}, {}, rank());
    result("Identity", {v}, {}, rank());
  }

  void reshape() {
    Numbers dims{0};
    bool copies = false;
    for (const int id : {2, 11, 1, 0}) {
      const int64_t d = l_->integer(id, kNone);
      if (d == kNone) continue;
      copies = copies || d == 0;
      dims.push_back(d);
    }
    if (l_->integer(3, 0)) return unsupported("a permutation");
    if (dims.size() == 1) wrong({"has no sizes"});
    if (copies && std::ssize(dims) != rank())
      return unsupported("sizes of an input of another rank");
    result("Reshape", {x(), net_.ints(dims)}, {}, static_cast<int>(dims.size()));
  }

  void permute() {
    static const Numbers orders[] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3},
                                     {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}};
    const int64_t kind = l_->integer(0, 0);
    if (rank() == 3 && (kind == 0 || kind == 1))
      return result("Transpose", {x()}, {{"perm", kind ? Numbers{0, 2, 1} : Numbers{0, 1, 2}}}, 3);
    if (rank() == 5 && kind >= 0 && kind < 24) return permute_four(kind);
    if (rank() != 4 || kind < 0 || kind > 5) return unsupported("an unknown order");
    result("Transpose", {x()}, {{"perm", orders[kind]}}, 4);
  }

  /// Four sizes: the outermost of the result is c, d, h or w in six cases each.
  void permute_four(int64_t kind) {
    Numbers rest;  // of the others the innermost first
    for (int64_t d = 4; d > 0; --d)
      if (d != 1 + kind / 6) rest.push_back(d);
    static constexpr int64_t of_three[6][3] = {{0, 1, 2}, {1, 0, 2}, {0, 2, 1},
                                               {2, 0, 1}, {1, 2, 0}, {2, 1, 0}};
    Numbers perm{0, 1 + kind / 6};
    for (int k = 2; k >= 0; --k) perm.push_back(rest[static_cast<size_t>(of_three[kind % 6][k])]);
    result("Transpose", {x()}, {{"perm", perm}}, 5);
  }

  void reduction() {
    static constexpr const char* ops[] = {"ReduceSum",  "ReduceL1",  "ReduceSumSquare",
                                          "ReduceMean", "ReduceMax", "ReduceMin",
                                          "ReduceProd", "ReduceL1",  "ReduceL2"};
    const int64_t op = l_->integer(0, 0);
    const bool keep = l_->integer(4, 0);
    Numbers axes;
    if (l_->integer(1, 1)) {
      for (int64_t d = 1; d < rank(); ++d) axes.push_back(d);
    } else {
      for (const double a : l_->list(3)) {
        if (a != std::floor(a) || a < 1 - rank() || a >= rank() - 1)
          wrong({"reduces the size ", a, " of ", rank() - 1});
        axes.push_back(outer(static_cast<int64_t>(a)));
      }
    }
    if (op < 0 || op >= std::ssize(ops) || axes.empty()) return unsupported("an unknown operation");
    const Attributes kept{{"keepdims", int64_t{keep}}};
    std::string v;
    if (op == 0) {
      v = net_.make("ReduceSum", {x(), net_.ints(axes)}, kept);
    } else {
      v = net_.make(ops[op], {x()}, {{"axes", axes}, {"keepdims", int64_t{keep}}});
    }
    // All sizes gone leave one.
    const int left = rank() - (keep ? 0 : static_cast<int>(axes.size()));
    if (left == 1) v = net_.make("Unsqueeze", {v, net_.ints({1})});
    if (l_->number(2, 1) != 1) v = net_.make("Mul", {v, net_.scalar(l_->number(2, 1))});
    result("Identity", {v}, {}, std::max(2, left));
  }

  void matmul() {
    if (l_->bottoms.size() != 2) wrong({"needs two inputs"});
    const int a = rank(x()), b = rank(l_->bottoms[1]);
    if (a < 3 || b != a) return unsupported("operands of different ranks");
    std::string right = l_->bottoms[1];
    if (l_->integer(0, 0)) {
      Numbers perm;
      for (int d = 0; d < b; ++d) perm.push_back(d);
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      right = net_.make("Transpose", {right}, {{"perm", perm}});
    }
    result("MatMul", {x(), right}, {}, a);
  }

  /// Mean and variance over the last sizes: as many as hold the weights.
  void layer_norm() {
    const int64_t n = l_->integer(0, 0);
    const bool affine = l_->integer(2, 1);
    if (n < 1) wrong({"normalises ", n, " values"});
    std::vector<float> w(1, 1.0f), b(1, 0.0f);
    if (affine) {
      w = weights_.plain(n);
      b = weights_.plain(n);
    }
    const Attributes last{{"axes", Numbers{-1}}, {"keepdims", int64_t{1}}};
    // What ncnn does to [c, h, w] with as many weights as h * w is left out.
    const std::string centred = net_.make("Sub", {x(), net_.make("ReduceMean", {x()}, last)});
    const std::string variance =
        net_.make("ReduceMean", {net_.make("Mul", {centred, centred})}, last);
    const std::string root =
        net_.make("Sqrt", {net_.make("Add", {variance, net_.scalar(l_->number(1, 0.001))})});
    const std::string scaled =
        net_.make("Mul", {net_.make("Div", {centred, root}),
                          net_.floats(w, {std::ssize(w)}, weight_name("weight"))});
    result("Add", {scaled, net_.floats(b, {std::ssize(b)}, weight_name("bias"))}, {}, rank());
  }

  void group_norm() {
    const int64_t groups = l_->integer(0, 1), n = l_->integer(1, 0);
    if (groups < 1 || n < 1 || n % groups) wrong({"has ", n, " channels in ", groups, " groups"});
    const std::vector<float> ones(static_cast<size_t>(std::min<int64_t>(groups, 1 << 20)), 1.0f),
        zeros(ones.size(), 0.0f);
    const std::string rows = net_.make("Reshape", {x(), net_.ints({0, groups, -1})});
    std::string v = net_.make(
        "InstanceNormalization",
        {rows, net_.floats(ones, {std::ssize(ones)}), net_.floats(zeros, {std::ssize(zeros)})},
        {{"epsilon", l_->number(2, 0.001)}});
    v = net_.make("Reshape", {v, net_.make("Shape", {x()})});
    if (!l_->integer(3, 1)) return result("Identity", {v}, {}, rank());
    v = net_.make("Mul", {v, channels(weights_.plain(n), "weight", rank())});
    result("Add", {v, channels(weights_.plain(n), "bias", rank())}, {}, rank());
  }

  void slice() {
    const int64_t axis = outer(l_->integer(1, 0));
    const auto& parts = l_->list(0);
    const bool equal = std::all_of(parts.begin(), parts.end(), [](double p) { return p == kNone; });
    if (parts.size() != l_->tops.size())
      wrong({"has ", parts.size(), " sizes for ", l_->tops.size(), " outputs"});
    if (equal) {
      net_.node("Split", {x()}, l_->tops, {{"axis", axis}}, l_->name);
    } else {
      int64_t from = 0;
      for (size_t i = 0; i < parts.size(); ++i) {
        const bool last = i + 1 == parts.size();
        if ((parts[i] < 1 && !(last && parts[i] == kNone)) || parts[i] > 1e9)
          return unsupported("sizes that are not known");
        const int64_t to = parts[i] == kNone ? INT64_MAX : from + static_cast<int64_t>(parts[i]);
        net_.node("Slice", {x(), net_.ints({from}), net_.ints({to}), net_.ints({axis})},
                  {l_->tops[i]});
        from = to;
      }
    }
    for (const std::string& t : l_->tops) ranks_[t] = rank();
  }

  void crop() {
    const auto integers = [](const std::vector<double>& list) {
      Numbers out;
      for (const double v : list) out.push_back(static_cast<int64_t>(std::clamp(v, -1e9, 1e9)));
      return out;
    };
    const Numbers from = integers(l_->list(9));
    Numbers to = integers(l_->list(10)), axes = integers(l_->list(11));
    std::replace(to.begin(), to.end(), kNone, INT64_MAX);
    for (int64_t& a : axes) a = outer(a);
    if (from.empty() || from.size() != to.size() || from.size() != axes.size())
      return unsupported("anything but starts, ends and axes");
    result("Slice", {x(), net_.ints(from), net_.ints(to), net_.ints(axes)}, {}, rank());
  }

  void concat() {
    std::vector<std::string> parts = l_->bottoms;
    // Stored values are those of one sample: each of a batch has them.
    const auto computed = std::find_if(parts.begin(), parts.end(),
                                       [&](const auto& p) { return !stored_.contains(p); });
    for (std::string& p : parts) {
      if (computed == parts.end() || !stored_.contains(p)) continue;
      Numbers ones(static_cast<size_t>(rank(p) - 1), 1);
      const std::string batch = net_.make("Slice", {net_.make("Shape", {*computed}), net_.ints({0}),
                                                    net_.ints({1}), net_.ints({0})});
      p = net_.make("Expand",
                    {p, net_.make("Concat", {batch, net_.ints(ones)}, {{"axis", int64_t{0}}})});
    }
    result("Concat", parts, {{"axis", outer(l_->integer(0, 0))}}, rank());
  }

  void interp() {
    const int64_t kind = l_->integer(0, 0), h = l_->integer(3, 0), w = l_->integer(4, 0);
    if (kind < 1 || kind > 2 || l_->bottoms.size() != 1) return unsupported("an unknown filter");
    Attributes a{
        {"mode", std::string(kind == 1 ? "nearest" : "linear")},
        {"coordinate_transformation_mode", std::string(kind == 1           ? "asymmetric"
                                                       : l_->integer(6, 0) ? "align_corners"
                                                                           : "half_pixel")}};
    if (kind == 1) a.emplace_back("nearest_mode", std::string("floor"));
    if (h > 0 && w > 0) {
      // The first two sizes are those of the input.
      const std::string before = net_.make(
          "Slice", {net_.make("Shape", {x()}), net_.ints({0}), net_.ints({2}), net_.ints({0})});
      return result(
          "Resize",
          {x(), "", "", net_.make("Concat", {before, net_.ints({h, w})}, {{"axis", int64_t{0}}})},
          a, 4);
    }
    const float scales[] = {1, 1, static_cast<float>(l_->number(1, 1)),
                            static_cast<float>(l_->number(2, 1))};
    if (!(scales[2] > 0) || !(scales[3] > 0)) wrong({"has impossible scales"});
    result("Resize", {x(), "", net_.floats(scales, {4})}, a, 4);
  }

  void padding() {
    const int64_t kind = l_->integer(4, 0);
    if (l_->integer(6, 0) || l_->integer(7, 0) || l_->integer(8, 0))
      return unsupported("values or channels of their own");
    if (kind < 0 || kind > 2 || rank() != 4) return unsupported("an unknown type");
    static constexpr const char* modes[] = {"constant", "edge", "reflect"};
    const Numbers pads{0, 0, l_->integer(0, 0), l_->integer(2, 0),
                       0, 0, l_->integer(1, 0), l_->integer(3, 0)};
    result("Pad", {x(), net_.ints(pads), net_.scalar(l_->number(5, 0))},
           {{"mode", std::string(modes[kind])}}, 4);
  }

  void shuffle_channels() {
    const int64_t group = l_->integer(0, 1);
    if (group < 1 || group > 10'000 || l_->integer(1, 0)) return unsupported("these groups");
    std::vector<std::string> parts, wide;
    for (int64_t g = 0; g < group; ++g) parts.push_back(net_.fresh("Split"));
    net_.node("Split", {x()}, parts, {{"axis", int64_t{1}}});
    for (const std::string& p : parts) wide.push_back(net_.make("Unsqueeze", {p, net_.ints({2})}));
    result("Reshape",
           {net_.make("Concat", wide, {{"axis", int64_t{2}}}), net_.make("Shape", {x()})}, {}, 4);
  }

  void gelu() {
    const std::string half = net_.make("Mul", {x(), net_.scalar(0.5)});
    std::string inner;
    if (l_->integer(0, 0)) {
      const std::string cube = net_.make("Mul", {x(), net_.make("Mul", {x(), x()})});
      const std::string sum =
          net_.make("Add", {x(), net_.make("Mul", {cube, net_.scalar(0.044715)})});
      inner = net_.make("Tanh", {net_.make("Mul", {sum, net_.scalar(0.7978845608028654)})});
    } else {
      inner = net_.make("Erf", {net_.make("Mul", {x(), net_.scalar(0.7071067811865476)})});
    }
    result("Mul", {half, net_.make("Add", {inner, net_.scalar(1)})}, {}, rank());
  }

  void input() {
    Numbers shape{-1};
    for (const int id : {2, 11, 1, 0})
      if (const int64_t d = l_->integer(id, 0); l_->has(id) && d != kNone)
        shape.push_back(d > 0 ? d : -1);
    if (shape.size() == 1) shape.resize(4, -1);
    net_.input(y(), shape);
    ranks_[y()] = static_cast<int>(shape.size());
  }

  void memory_data() {
    Numbers shape{1};
    int64_t count = 1;
    for (const int id : {2, 11, 1, 0})
      if (const int64_t d = l_->integer(id, 0); d > 0) {
        shape.push_back(d);
        if (__builtin_mul_overflow(count, d, &count)) wrong({"has impossible sizes"});
      }
    const auto v =
        l_->integer(21, 1) == 0 ? weights_.marked(count, l_->name) : weights_.plain(count);
    net_.node("Identity", {net_.floats(v, shape, weight_name("data"))}, {y()});
    stored_.insert(y());
    ranks_[y()] = static_cast<int>(shape.size());
  }

  void translate() {
    const std::string& t = l_->type;
    if (t == "Input") return input();
    if (t == "MemoryData") return memory_data();
    if (t == "Convolution" || t == "ConvolutionDepthWise" || t == "Deconvolution" ||
        t == "DeconvolutionDepthWise") {
      if (l_->integer(8, 0)) refuse_quantised();
      return convolution();
    }
    if (t == "InnerProduct") {
      if (l_->integer(8, 0)) refuse_quantised();
      return inner_product();
    }
    if (t == "Gemm") return gemm();
    if (t == "Pooling") return pooling();
    if (t == "BatchNorm" || t == "InstanceNorm" || t == "Scale" || t == "Bias") return norm();
    if (t == "BinaryOp") return binary();
    if (t == "UnaryOp") return unary();
    if (t == "Eltwise") return eltwise();
    if (t == "Reshape") return reshape();
    if (t == "Permute") return permute();
    if (t == "Slice") return slice();
    if (t == "Crop") return crop();
    if (t == "Interp") return interp();
    if (t == "Padding") return padding();
    if (t == "ShuffleChannel") return shuffle_channels();
    if (t == "GELU") return gelu();
    if (t == "MatMul") return matmul();
    if (t == "Reduction") return reduction();
    if (t == "LayerNorm") return layer_norm();
    if (t == "GroupNorm") return group_norm();
    simple();
  }
  [[noreturn]] void refuse_quantised() const {
    fail(Error::Kind::unsupported, {what_, ": layer '", clip(printable(l_->name), 100),
                                    "' is quantised to 8 bits, which is not supported"});
  }

  void simple() {
    const std::string& t = l_->type;
    if (t == "ReLU") {
      const double slope = l_->number(0, 0);
      return slope == 0 ? result("Relu", {x()}, {}, rank())
                        : result("LeakyRelu", {x()}, {{"alpha", slope}}, rank());
    }
    if (t == "PReLU")
      return result("PRelu", {x(), channels(weights_.plain(l_->integer(0, 0)), "weight", rank())},
                    {}, rank());
    if (t == "ELU") return result("Elu", {x()}, {{"alpha", l_->number(0, 0.1)}}, rank());
    if (t == "Sigmoid" || t == "AbsVal" || t == "Noop" || t == "TanH" || t == "BNLL" || t == "Erf")
      return result(t == "AbsVal" ? "Abs"
                    : t == "Erf"  ? "Erf"
                    : t == "Noop" ? "Identity"
                    : t == "TanH" ? "Tanh"
                    : t == "BNLL" ? "Softplus"
                                  : "Sigmoid",
                    {x()}, {}, rank());
    if (t == "Swish") return result("Mul", {x(), net_.make("Sigmoid", {x()})}, {}, rank());
    if (t == "Mish")
      return result("Mul", {x(), net_.make("Tanh", {net_.make("Softplus", {x()})})}, {}, rank());
    if (t == "HardSigmoid" || t == "HardSwish") {
      const Attributes a{{"alpha", l_->number(0, 0.2)}, {"beta", l_->number(1, 0.5)}};
      return t == "HardSigmoid"
                 ? result("HardSigmoid", {x()}, a, rank())
                 : result("Mul", {x(), net_.make("HardSigmoid", {x()}, a)}, {}, rank());
    }
    if (t == "Clip")
      return result("Clip",
                    {x(), net_.scalar(l_->number(0, -3.4e38)), net_.scalar(l_->number(1, 3.4e38))},
                    {}, rank());
    if (t == "Softmax")
      return result("Softmax", {x()}, {{"axis", outer(l_->integer(0, 0))}}, rank());
    if (t == "Concat") return concat();
    if (t == "Flatten") return result("Flatten", {x()}, {{"axis", int64_t{1}}}, 2);
    if (t == "Dropout") return result("Mul", {x(), net_.scalar(l_->number(0, 1))}, {}, rank());
    if (t == "LRN" && l_->integer(0, 0) == 0)
      return result("LRN", {x()},
                    {{"size", l_->integer(1, 5)},
                     {"alpha", l_->number(2, 1)},
                     {"beta", l_->number(3, 0.75)},
                     {"bias", l_->number(4, 1)}},
                    4);
    if (t == "PixelShuffle")
      return result("DepthToSpace", {x()},
                    {{"blocksize", l_->integer(0, 1)},
                     {"mode", std::string(l_->integer(1, 0) ? "DCR" : "CRD")}},
                    4);
    if (t == "Split") {
      for (const std::string& top : l_->tops) {
        net_.node("Identity", {x()}, {top});
        ranks_[top] = rank();
        if (stored_.contains(x())) stored_.insert(top);
      }
      return;
    }
    problems_.add(t, l_->name);
    for (const std::string& top : l_->tops) ranks_[top] = rank();
  }

  std::string_view what_;
  NcnnWeights weights_;
  OnnxBuilder net_;
  Problems problems_;
  std::map<std::string, int> ranks_, reads_;
  std::set<std::string> stored_;  ///< blobs that are constants
  const NcnnLayer* l_ = nullptr;
};

}  // namespace

std::string import_ncnn(std::string_view param, std::string_view bin, std::string_view what,
                        std::string_view stored) {
  if (stored.empty()) stored = what;
  return with_name(what, stored, [&] {
    return NcnnImporter(NcnnWeights(bin, stored), what).run(read_ncnn_param(param, what));
  });
}

const NetworkKind kNcnnFiles = {
    ".param", "ncnn", [](const std::string& path) { return beside(path, ".param", ".bin"); },
    [](const std::string& path, const std::string& weights) {
      return read_text_network(path, weights, import_ncnn);
    }};

}  // namespace nacre
