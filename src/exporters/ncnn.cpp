// A recorded network as layers of ncnn (https://github.com/Tencent/ncnn). Blobs there have no
// batch: the size that differs between a batch of one and of two is left out of every shape.
#include "exporters/ncnn.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/node.h"
#include "importers/problems.h"
#include "nacre/graph.h"
#include "nacre/ops.h"
#include "onnx/save.h"

namespace nacre {
namespace {

using onnx::Fields;
using Sizes = std::vector<int64_t>;
using Options = NcnnOptions;

int64_t product(const Sizes& s) {
  int64_t n = 1;
  for (const int64_t d : s) n *= d;
  return n;
}

/// A tensor that depends on the inputs, as a blob.
struct Blob {
  std::string name;
  Sizes shape;        ///< without the batch
  int64_t batch = 0;  ///< which dimension of the tensor that is; -1: it is part of another one
  int64_t rank() const { return std::ssize(shape); }
};

/// One node that is written, with its twin for a batch of two.
struct Use {
  const Node &n, &twin;
  Fields f;
  std::string op;
  Blob out;  ///< the name is missing
};

class Exporter {
 public:
  Exporter(const NetworkFunction& net, std::string_view what)
      : net_(net), what_(what), problems_(what) {}

  NcnnFiles run() {
    any_batch_ = std::all_of(net_.inputs.begin(), net_.inputs.end(),
                             [](const auto& in) { return in.any_batch; });
    const Recorded a = record(1), b = record(any_batch_ ? 2 : 1);
    count_uses(a.outputs);
    for (size_t k = 0; k < net_.inputs.size(); ++k) input(a.inputs[k], net_.inputs[k].name);
    for (size_t k = 0; k < net_.outputs.size(); ++k) {
      const Tensor &y = a.outputs[k], &twin = b.outputs[k];
      if (!depends(y.node())) {
        problems_.add("an output that no input changes", net_.outputs[k]);
        continue;
      }
      write({y}, {twin});
      const Blob& blob = blobs_.at(key(y));
      if (blob.batch != 0) problems_.add("an output whose first size is not the batch", blob.name);
      w_.output(blob.name, net_.outputs[k]);
    }
    problems_.finish("operators");
    return w_.finish();
  }

 private:
  using Key = std::pair<const Node*, uint32_t>;
  static Key key(const Tensor& t) { return {t.node(), t.index()}; }

  struct Recorded {
    Tensors inputs, outputs;
  };
  /// Not as Graph::trace does it: an ONNX network asks for the values of shapes while it runs.
  Recorded record(int64_t batch) const {
    Recorded r;
    for (const auto& in : net_.inputs) {
      Shape shape = in.shape;
      if (any_batch_) shape[0] = batch;
      r.inputs.push_back(make_placeholder(static_cast<int>(r.inputs.size()), in.dtype, shape));
    }
    NoGrad guard;
    r.outputs = net_.run(r.inputs);
    return r;
  }

  void input(const Tensor& t, const std::string& name) {
    Blob blob{"", {t.shape().begin() + (t.rank() > 0), t.shape().end()}, 0};
    if (t.rank() < 2 || t.rank() > 5 || t.size(0) != 1 || !is_float(t.dtype()))
      problems_.add("an input that is no number for each place, of 1 to 4 sizes and a batch", name);
    Options o;
    if (blob.rank() <= 4) o.sizes(blob.shape);
    blob.name = w_.add("Input", name, {}, o);
    blobs_[key(t)] = blob;
  }

  // ---- the graph

  bool depends(const Node* n) {
    const auto at = depends_.find(n);
    if (at != depends_.end()) return at->second;
    bool found = n->placeholder >= 0;
    if (!n->evaluated)
      for (const Tensor& t : n->inputs) found = depends(t.node()) || found;
    return depends_[n] = found;
  }

  /// How often what these tensors come from is read. Also asks depends() from below, so that it
  /// need not go deep.
  void count_uses(const Tensors& outputs) {
    std::vector<std::pair<const Node*, size_t>> open;
    const auto enter = [&](const Tensor& t) {
      ++uses_[t.node()];
      if (!counted_.insert(t.node()).second) return;
      open.emplace_back(t.node(), 0);
      kept_.push_back(t);
    };
    for (const Tensor& t : outputs) {
      enter(t);
      while (!open.empty()) {
        auto& [n, next] = open.back();
        if (n->evaluated || next == n->inputs.size()) {
          depends(n);
          open.pop_back();
        } else {
          enter(n->inputs[next++]);
        }
      }
    }
  }

  void write(const Tensors& a, const Tensors& b) {
    std::vector<std::pair<Tensor, Tensor>> open;
    for (size_t k = a.size(); k-- > 0;) open.emplace_back(a[k], b[k]);
    while (!open.empty()) {
      const auto [x, y] = open.back();
      if (blobs_.contains(key(x)) || !depends(x.node())) {
        open.pop_back();
        continue;
      }
      const Node &n = *x.node(), &twin = *y.node();
      if (n.op != twin.op || n.inputs.size() != twin.inputs.size())
        fail(Error::Kind::unsupported,
             {what_, " computes differently for batches of 1 and of 2", place_of(n)});
      bool ready = true;
      for (size_t k = 0; k < n.inputs.size(); ++k)
        if (depends(n.inputs[k].node()) && !blobs_.contains(key(n.inputs[k]))) {
          open.emplace_back(n.inputs[k], twin.inputs[k]);
          ready = false;
        }
      if (!ready) continue;
      open.pop_back();
      node(n, twin);
    }
  }

  /// The shape of a result without the batch; false if it has none.
  bool shape_of(const Output& a, const Output& b, Blob& blob) const {
    int64_t at = any_batch_ ? -1 : 0;
    for (int64_t d = 0; d < a.shape.rank(); ++d) {
      if (a.shape[d] == b.shape[d]) continue;
      if (at >= 0 || b.shape[d] != 2 * a.shape[d]) return false;
      at = d;
    }
    if (at < 0 || a.shape.rank() == 0) return false;
    blob.batch = a.shape[at] == 1 ? at : -1;
    for (int64_t d = 0; d < a.shape.rank(); ++d)
      if (d != blob.batch) blob.shape.push_back(a.shape[d]);
    return true;
  }

  void node(const Node& n, const Node& twin) {
    Use u{n, twin, Fields(n), n.op->name, {}};
    std::string made, why;
    const bool known = shape_of(n.outputs[0], twin.outputs[0], u.out);
    if (!known)
      why = " that mixes the batch with other sizes";
    else if (u.out.shape.empty() || u.out.rank() > 4)
      why = cat({" whose result has ", u.out.rank(), " sizes beside the batch"});
    else if (!is_float(n.outputs[0].dtype))
      why = cat({" that gives ", name_of(n.outputs[0].dtype)});
    else
      made = rule(u);
    if (made.empty() && n.op->decompose && (n.outputs.size() == 1 || known)) {
      Tensors x, y;
      decompose(n, twin, x, y);
      if (written(x, y)) {
        for (size_t k = 0; k < x.size() && k < n.outputs.size(); ++k)
          if (blobs_.contains(key(x[k]))) blobs_[{&n, k}] = blobs_.at(key(x[k]));
        if (blobs_.contains({&n, 0})) return;
      }
    }
    if (made.empty()) {
      problems_.add(u.op + why + (why.empty() ? why_ : ""), n.layer ? *n.layer : u.op);
      made = "?";
    }
    why_.clear();
    u.out.name = made;
    for (uint32_t k = 0; k < n.outputs.size(); ++k) blobs_[{&n, k}] = u.out;
  }

  void decompose(const Node& n, const Node& twin, Tensors& x, Tensors& y) {
    const auto parts = [&](const Node& from) {
      MadeFor place(from);
      Tracing constants;
      const Tensors out =
          from.op->decompose(from.attrs.get(), Tensors(from.inputs.begin(), from.inputs.end()));
      kept_.insert(kept_.end(), out.begin(), out.end());
      return out;
    };
    x = parts(n);
    y = parts(twin);
    count_uses({x[0]});
  }

  /// The first of these.
  bool written(const Tensors& x, const Tensors& y) {
    write({x[0]}, {y[0]});
    return blobs_.contains(key(x[0]));
  }

  // ---- values

  const Blob& blob(const Use& u, size_t i) const { return blobs_.at(key(u.n.inputs[i])); }
  bool constant(const Use& u, size_t i) { return !depends(u.n.inputs[i].node()); }
  static std::vector<float> values(const Use& u, size_t i) {
    return cast(u.n.inputs[i], DType::f32).to_vector<float>();
  }

  std::string no(std::string_view why) {
    why_ = cat({" ", why});
    return "";
  }
  std::string layer(const Use& u, const std::string& type, const std::vector<std::string>& bottoms,
                    const Options& o = {}, std::string weights = "") {
    const std::string stem = u.n.layer && !u.n.layer->empty() ? *u.n.layer + "." + u.op : u.op;
    return w_.add(type, stem, bottoms, o, std::move(weights));
  }
  std::string reshaped(const Use& u, const std::string& x, const Sizes& to) {
    return layer(u, "Reshape", {x}, Options().sizes(to));
  }
  /// A dimension of a tensor as one of its blob; -1 for the batch.
  static int64_t place(const Blob& b, int64_t dim) {
    const int64_t rank = b.rank() + (b.batch >= 0), d = dim < 0 ? dim + rank : dim;
    return d == b.batch ? -1 : d - (b.batch >= 0 && d > b.batch);
  }

  /// A constant beside a result: its sizes as those of a blob of that rank.
  bool beside(const Tensor& t, const Blob& out, Sizes& shape) const {
    shape.assign(t.shape().begin(), t.shape().end());
    const int64_t rank = out.rank() + (out.batch >= 0);
    while (std::ssize(shape) < rank) shape.insert(shape.begin(), 1);
    if (std::ssize(shape) != rank) return false;
    if (out.batch < 0) return true;
    if (shape[static_cast<size_t>(out.batch)] != 1) return false;
    shape.erase(shape.begin() + out.batch);
    return true;
  }
  std::string stored(const Use& u, const std::vector<float>& v, const Sizes& shape) {
    return layer(u, "MemoryData", {}, Options().sizes(shape), NcnnWriter::plain(v));
  }
  /// Input i with as many sizes as the result; "" if it has no such form.
  std::string operand(const Use& u, size_t i) {
    if (constant(u, i)) {
      Sizes shape;
      return beside(u.n.inputs[i], u.out, shape) ? stored(u, values(u, i), shape) : "";
    }
    const Blob& b = blob(u, i);
    if (b.rank() == u.out.rank()) return b.batch == u.out.batch ? b.name : "";
    if (b.batch < 0 ? u.out.batch >= 0 : b.batch + u.out.rank() - b.rank() != u.out.batch)
      return "";
    Sizes wide(static_cast<size_t>(u.out.rank() - b.rank()), 1);
    wide.insert(wide.end(), b.shape.begin(), b.shape.end());
    return reshaped(u, b.name, wide);
  }

  // ---- operators

  /// The name of the result; "" if the op has no form here, or not with these attributes.
  std::string rule(const Use& u) {
    struct Unary {
      const char *op, *type;
      std::vector<double> numbers;
    };
    static const std::vector<Unary> simple = {
        {"relu", "ReLU", {}},       {"relu6", "Clip", {0, 6}},
        {"sigmoid", "Sigmoid", {}}, {"tanh", "TanH", {}},
        {"silu", "Swish", {}},      {"mish", "Mish", {}},
        {"erf", "Erf", {}},         {"hard_swish", "HardSwish", {1.0 / 6, 0.5}}};
    for (const Unary& s : simple)
      if (u.op == s.op) {
        Options o;
        for (size_t k = 0; k < s.numbers.size(); ++k) o.f(static_cast<int>(k), s.numbers[k]);
        return layer(u, s.type, {x(u)}, o);
      }
    static const std::map<std::string_view, int> unary = {
        {"abs", 0},   {"neg", 1},   {"floor", 2}, {"ceil", 3},        {"square", 4}, {"sqrt", 5},
        {"rsqrt", 6}, {"exp", 7},   {"log", 8},   {"sin", 9},         {"cos", 10},   {"tan", 11},
        {"asin", 12}, {"acos", 13}, {"atan", 14}, {"reciprocal", 15}, {"round", 18}};
    if (const auto at = unary.find(u.op); at != unary.end())
      return layer(u, "UnaryOp", {x(u)}, Options().i(0, at->second));
    static const std::map<std::string_view, int> binary = {
        {"add", 0}, {"sub", 1}, {"mul", 2}, {"div", 3}, {"maximum", 4}, {"minimum", 5}, {"pow", 6}};
    if (const auto at = binary.find(u.op); at != binary.end()) return two(u, at->second);
    static const std::map<std::string_view, int> reduction = {
        {"sum", 0}, {"mean", 3}, {"amax", 4}, {"amin", 5}, {"prod", 6}};
    if (const auto at = reduction.find(u.op); at != reduction.end()) return reduce(u, at->second);
    static const std::map<std::string_view, std::string (Exporter::*)(const Use&)> rules = {
        {"conv", &Exporter::conv},
        {"conv_input_grad", &Exporter::deconv},
        {"matmul", &Exporter::matmul},
        {"max_pool", &Exporter::pool},
        {"avg_pool", &Exporter::pool},
        {"adaptive_max_pool", &Exporter::adaptive},
        {"adaptive_avg_pool", &Exporter::adaptive},
        {"batch_norm_infer", &Exporter::batch_norm},
        {"layer_norm", &Exporter::layer_norm},
        {"group_norm", &Exporter::group_norm},
        {"local_response_norm", &Exporter::local_response},
        {"reshape", &Exporter::reshape},
        {"permute", &Exporter::permute},
        {"slice", &Exporter::slice},
        {"concat", &Exporter::concat},
        {"index_select", &Exporter::index_select},
        {"pad", &Exporter::pad},
        {"expand", &Exporter::expand},
        {"interpolate", &Exporter::interpolate},
        {"prelu", &Exporter::prelu},
        {"scaled_dot_product_attention", &Exporter::attention},
    };
    if (const auto at = rules.find(u.op); at != rules.end()) return (this->*at->second)(u);
    return options_only(u);
  }
  const std::string& x(const Use& u) const { return blob(u, 0).name; }

  std::string options_only(const Use& u) {
    const Fields& f = u.f;
    if (u.op == "leaky_relu") return layer(u, "ReLU", {x(u)}, Options().f(0, f.f("slope")));
    if (u.op == "elu") return layer(u, "ELU", {x(u)}, Options().f(0, f.f("alpha")));
    if (u.op == "selu") {
      const std::string y = layer(u, "ELU", {x(u)}, Options().f(0, 1.6732632423543772));
      return layer(u, "BinaryOp", {y}, Options().i(0, 2).i(1, 1).f(2, 1.0507009873554805));
    }
    if (u.op == "hard_sigmoid")
      return layer(u, "HardSigmoid", {x(u)}, Options().f(0, f.f("slope")).f(1, f.f("offset")));
    if (u.op == "clip") {
      Options o;
      if (!std::isinf(f.f("min"))) o.f(0, f.f("min"));
      if (!std::isinf(f.f("max"))) o.f(1, f.f("max"));
      return layer(u, "Clip", {x(u)}, o);
    }
    if (u.op == "gelu")
      return layer(u, "GELU", {x(u)}, Options().i(0, f.s("approximate") == "tanh"));
    if (u.op == "softplus") return layer(u, "BNLL", {x(u)});
    if (u.op == "softmax" || u.op == "log_softmax") {
      const int64_t axis = place(blob(u, 0), f.i("dim"));
      if (axis < 0) return no("over the batch");
      const std::string y = layer(u, "Softmax", {x(u)}, Options().i(0, axis).i(1, 1));
      return u.op == "softmax" ? y : layer(u, "UnaryOp", {y}, Options().i(0, 8));
    }
    if (u.op == "pixel_shuffle")
      return layer(u, "PixelShuffle", {x(u)}, Options().i(0, f.i("factor")));
    if (u.op == "channel_shuffle")
      return layer(u, "ShuffleChannel", {x(u)}, Options().i(0, f.i("groups")));
    if (u.op == "cast" || u.op == "contiguous" || u.op == "stop_gradient" || u.op == "identity")
      return x(u);
    return "";
  }

  std::string two(const Use& u, int op) {
    if (const std::string fused = op == 0 ? biased(u) : ""; !fused.empty()) return fused;
    for (const size_t side : {0, 1})
      if (constant(u, side) && u.n.inputs[side].numel() == 1 &&
          blob(u, 1 - side).shape == u.out.shape) {
        const double v = values(u, side)[0];
        const int turned = op == 1 ? 7 : op == 3 ? 8 : op == 6 ? 9 : op;
        return layer(u, "BinaryOp", {blob(u, 1 - side).name},
                     Options().i(0, side == 0 ? turned : op).i(1, 1).f(2, v));
      }
    const std::string a = operand(u, 0), b = operand(u, 1);
    if (a.empty() || b.empty()) return no("of operands whose batches are not the same size");
    return layer(u, "BinaryOp", {a, b}, Options().i(0, op));
  }

  /// The sum of a layer with weights and one value for each of its outputs, as that layer's bias.
  std::string biased(const Use& u) {
    for (const size_t side : {0, 1}) {
      if (constant(u, side) || !constant(u, 1 - side)) continue;
      const Node* from = u.n.inputs[side].node();
      const auto at = open_.find(blob(u, side).name);
      Sizes shape;
      if (at == open_.end() || uses_[from] != 1 || blob(u, side).shape != u.out.shape ||
          !beside(u.n.inputs[1 - side], u.out, shape))
        continue;
      const auto [index, axis] = at->second;
      const int64_t n = u.out.shape[axis];
      if (product(shape) != n || shape[axis] != n) continue;
      NcnnWriter::Layer& l = w_.layers()[index];
      l.options.i(l.type == "InnerProduct" ? 1 : 5, 1);
      l.weights += NcnnWriter::plain(values(u, 1 - side));
      open_.erase(at);
      return blob(u, side).name;
    }
    return "";
  }
  /// Says that the layer just added can take a bias, along this size of the blob.
  void takes_bias(const std::string& blob, size_t axis) {
    open_[blob] = {w_.layers().size() - 1, axis};
  }

  struct Window {
    int64_t kernel, stride, low, high, dilation;
  };
  /// Height and width; of one dimension the height is 1.
  static std::pair<Window, Window> windows(const Fields& f, const Sizes& kernel) {
    const size_t d = kernel.size() - 1;
    const auto one = [&](size_t k) {
      return Window{kernel[k], f.is("stride")[k], f.is("pad_low")[k], f.is("pad_high")[k],
                    f.is("dilation")[k]};
    };
    return {d ? one(0) : Window{1, 1, 0, 0, 1}, one(d)};
  }
  static bool negative(const Window& w) { return w.low < 0 || w.high < 0; }

  std::string conv(const Use& u) {
    if (!constant(u, 1) || constant(u, 0)) return no("with weights that are computed");
    const Blob& in = blob(u, 0);
    const Shape& ws = u.n.inputs[1].shape();
    if (in.batch != 0 || ws.rank() < 3 || ws.rank() > 4) return no("of three dimensions");
    const auto [h, v] = windows(u.f, {ws.begin() + 2, ws.end()});
    if (negative(h) || negative(v)) return no("with negative padding");
    const int64_t groups = u.f.i("groups");
    Options o;
    o.i(0, ws[0]).i(1, v.kernel).i(11, h.kernel).i(2, v.dilation).i(12, h.dilation);
    o.i(3, v.stride).i(13, h.stride).i(4, v.low).i(15, v.high).i(14, h.low).i(16, h.high);
    o.i(6, ws.numel());
    if (groups > 1) o.i(7, groups);
    const bool row = ws.rank() == 3;
    const std::string from = row ? reshaped(u, in.name, {in.shape[0], 1, in.shape[1]}) : in.name;
    const std::string made = layer(u, groups > 1 ? "ConvolutionDepthWise" : "Convolution", {from},
                                   o, NcnnWriter::marked(values(u, 1)));
    if (row) return reshaped(u, made, u.out.shape);
    takes_bias(made, 0);
    return made;
  }

  std::string deconv(const Use& u) {
    if (!constant(u, 1) || constant(u, 0)) return no("with weights that are computed");
    const Shape& ws = u.n.inputs[1].shape();
    if (blob(u, 0).batch != 0 || ws.rank() != 4) return no("of other than two dimensions");
    const auto [h, v] = windows(u.f, {ws[2], ws[3]});
    if (negative(h) || negative(v)) return no("with negative padding");
    const int64_t groups = u.f.i("groups"), in = ws[0] / groups, out = ws[1], k = ws[2] * ws[3];
    const auto extra = [&](const Window& w, size_t d) {
      return u.out.shape[d] - ((blob(u, 0).shape[d] - 1) * w.stride + w.dilation * (w.kernel - 1) +
                               1 - w.low - w.high);
    };
    // [groups, in, out] becomes [groups, out, in].
    const std::vector<float> w = values(u, 1);
    std::vector<float> turned(w.size());
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t i = 0; i < in; ++i)
        for (int64_t j = 0; j < out; ++j)
          std::copy_n(w.begin() + ((g * in + i) * out + j) * k, k,
                      turned.begin() + ((g * out + j) * in + i) * k);
    Options o;
    o.i(0, out * groups).i(1, v.kernel).i(11, h.kernel).i(2, v.dilation).i(12, h.dilation);
    o.i(3, v.stride).i(13, h.stride).i(4, v.low).i(15, v.high).i(14, h.low).i(16, h.high);
    o.i(6, ws.numel()).i(18, extra(v, 2)).i(19, extra(h, 1));
    if (groups > 1) o.i(7, groups);
    const std::string made = layer(u, groups > 1 ? "DeconvolutionDepthWise" : "Deconvolution",
                                   {x(u)}, o, NcnnWriter::marked(turned));
    takes_bias(made, 0);
    return made;
  }

  std::string matmul(const Use& u) {
    if (constant(u, 1) && u.n.inputs[1].rank() == 2) {
      const Blob& in = blob(u, 0);
      const int64_t k = u.n.inputs[1].size(0), n = u.n.inputs[1].size(1);
      if (in.shape.back() != k) return no("over the batch");
      const std::vector<float> w = values(u, 1);
      std::vector<float> turned(w.size());
      for (int64_t i = 0; i < k; ++i)
        for (int64_t j = 0; j < n; ++j)
          turned[static_cast<size_t>(j * k + i)] = w[static_cast<size_t>(i * n + j)];
      const int64_t rows = product(in.shape) / k;
      const bool flat = in.rank() == 1 || (in.rank() == 2 && rows > 1);
      const std::string from =
          flat ? in.name : reshaped(u, in.name, rows > 1 ? Sizes{rows, k} : Sizes{k});
      std::string made = layer(u, "InnerProduct", {from}, Options().i(0, n).i(2, n * k),
                               NcnnWriter::marked(turned));
      takes_bias(made, flat ? u.out.shape.size() - 1 : 0);
      if (flat) return made;
      const auto open = open_.at(made);
      open_.erase(made);
      made = reshaped(u, made, u.out.shape);
      open_[made] = {open.first, u.out.shape.size() - 1};
      return made;
    }
    if (u.out.rank() < 2 || u.out.batch >= u.out.rank() - 1) return no("over the batch");
    const std::string a = operand(u, 0), b = operand(u, 1);
    if (a.empty() || b.empty()) return no("of operands of different ranks");
    return layer(u, "MatMul", {a, b});
  }

  std::string attention(const Use& u) {
    if (u.f.b("causal") || u.n.inputs.size() > 3) return no("with a mask");
    for (const size_t k : {0, 1, 2})
      if (constant(u, k) || blob(u, k).rank() != u.out.rank() || u.out.rank() < 2 ||
          blob(u, k).batch != u.out.batch || u.out.batch >= u.out.rank() - 1)
        return no("of these operands");
    std::string s = layer(u, "MatMul", {x(u), blob(u, 1).name}, Options().i(0, 1));
    s = layer(u, "BinaryOp", {s}, Options().i(0, 2).i(1, 1).f(2, u.f.f("scale")));
    s = layer(u, "Softmax", {s}, Options().i(0, u.out.rank() - 1).i(1, 1));
    return layer(u, "MatMul", {s, blob(u, 2).name});
  }

  std::string pool(const Use& u) {
    const Blob& in = blob(u, 0);
    if (in.batch != 0 || in.rank() != 3) return no("of other than two dimensions");
    const bool max = u.op == "max_pool";
    const Ints kernel = u.f.is("kernel");
    const auto [h, v] = windows(u.f, {kernel[0], kernel[1]});
    if (h.dilation != 1 || v.dilation != 1) return no("with gaps in its window");
    if (negative(h) || negative(v)) return no("with negative padding");
    Options o;
    o.i(0, !max).i(1, v.kernel).i(11, h.kernel).i(2, v.stride).i(12, h.stride);
    o.i(3, v.low).i(14, v.high).i(13, h.low).i(15, h.high).i(5, 1);
    if (!max) o.i(6, u.f.b("include_pad"));
    return layer(u, "Pooling", {x(u)}, o);
  }

  std::string adaptive(const Use& u) {
    const Blob& in = blob(u, 0);
    if (in.batch != 0 || in.rank() != 3) return no("of other than two dimensions");
    const int64_t h = u.out.shape[1], v = u.out.shape[2];
    Options o;
    o.i(0, u.op == "adaptive_avg_pool");
    if (h == 1 && v == 1) return layer(u, "Pooling", {x(u)}, o.i(7, 1).i(8, 1).i(18, 1));
    if (in.shape[1] % h || in.shape[2] % v) return no("to sizes that do not divide the input's");
    const int64_t kh = in.shape[1] / h, kv = in.shape[2] / v;
    return layer(u, "Pooling", {x(u)}, o.i(1, kv).i(11, kh).i(2, kv).i(12, kh).i(5, 1));
  }

  std::string reduce(const Use& u, int op) {
    const Blob& in = blob(u, 0);
    Ints dims = u.f.is("dims");
    if (dims.empty())
      for (int64_t d = 0; d < u.n.inputs[0].rank(); ++d) dims.push_back(d);
    Sizes axes;
    for (const int64_t d : dims) axes.push_back(place(in, d));
    std::sort(axes.begin(), axes.end());
    if (axes[0] < 0) return no("over the batch");
    const bool keep = u.f.b("keepdim");
    if (op == 3 && in.batch == 0 && in.rank() == 3 && axes == Sizes{1, 2})
      return layer(u, "Pooling", {x(u)},
                   keep ? Options().i(0, 1).i(7, 1).i(8, 1).i(18, 1) : Options().i(0, 1).i(4, 1));
    return layer(u, "Reduction", {x(u)}, Options().i(0, op).i(1, 0).is(3, axes).i(4, keep).i(5, 1));
  }

  std::string batch_norm(const Use& u) {
    for (const size_t k : {1, 2, 3, 4})
      if (!constant(u, k)) return no("with weights that are computed");
    if (blob(u, 0).batch != 0) return no("over the batch");
    std::string weights;
    for (const size_t k : {1, 3, 4, 2}) weights += NcnnWriter::plain(values(u, k));
    return layer(u, "BatchNorm", {x(u)}, Options().i(0, u.out.shape[0]).f(1, u.f.f("eps")),
                 weights);
  }

  std::string layer_norm(const Use& u) {
    const Blob& in = blob(u, 0);
    const int64_t r = u.f.i("normalized_rank");
    if (in.batch > in.rank() - r) return no("over the batch");
    int64_t n = 1;
    for (int64_t d = in.rank() - r; d < in.rank(); ++d) n *= in.shape[static_cast<size_t>(d)];
    Options o;
    o.i(0, n).f(1, u.f.f("eps")).i(2, u.n.inputs.size() > 1);
    std::string weights;
    if (u.n.inputs.size() > 1) {
      if (!constant(u, 1) || (u.n.inputs.size() > 2 && !constant(u, 2)))
        return no("with weights that are computed");
      weights = NcnnWriter::plain(values(u, 1));
      weights += NcnnWriter::plain(u.n.inputs.size() > 2 ? values(u, 2)
                                                         : std::vector<float>(size_t(n), 0.0f));
    }
    if (r == 1 && in.rank() < 4) return layer(u, "LayerNorm", {x(u)}, o, weights);
    const int64_t rows = product(in.shape) / n;
    const std::string flat = reshaped(u, x(u), rows > 1 ? Sizes{rows, n} : Sizes{n});
    return reshaped(u, layer(u, "LayerNorm", {flat}, o, weights), u.out.shape);
  }

  std::string group_norm(const Use& u) {
    const Blob& in = blob(u, 0);
    if (in.batch != 0 || in.rank() > 3) return no("of these sizes");
    const bool affine = u.n.inputs.size() > 1;
    std::string weights;
    for (size_t k = 1; k < u.n.inputs.size(); ++k) {
      if (!constant(u, k)) return no("with weights that are computed");
      weights += NcnnWriter::plain(values(u, k));
    }
    if (u.n.inputs.size() == 2)
      weights += NcnnWriter::plain(std::vector<float>(static_cast<size_t>(in.shape[0]), 0.0f));
    return layer(u, "GroupNorm", {x(u)},
                 Options().i(0, u.f.i("groups")).i(1, in.shape[0]).f(2, u.f.f("eps")).i(3, affine),
                 weights);
  }

  std::string local_response(const Use& u) {
    if (u.f.i("size") % 2 == 0 || blob(u, 0).batch != 0) return no("over an even number");
    const Options o = Options().i(0, 0).i(1, u.f.i("size")).f(2, u.f.f("alpha"));
    return layer(u, "LRN", {x(u)}, Options(o).f(3, u.f.f("beta")).f(4, u.f.f("k")));
  }

  std::string reshape(const Use& u) {
    return blob(u, 0).shape == u.out.shape ? x(u) : reshaped(u, x(u), u.out.shape);
  }

  std::string permute(const Use& u) {
    const Blob& in = blob(u, 0);
    Sizes order, large;
    for (const int64_t d : u.f.is("dims"))
      if (const int64_t axis = place(in, d); axis >= 0) order.push_back(axis);
    for (const int64_t axis : order)
      if (in.shape[static_cast<size_t>(axis)] > 1) large.push_back(axis);
    if (std::is_sorted(large.begin(), large.end()))
      return in.shape == u.out.shape ? x(u) : reshaped(u, x(u), u.out.shape);
    return layer(u, "Permute", {x(u)}, Options().i(0, NcnnOptions::order_number(order)));
  }

  std::string slice(const Use& u) {
    const Blob& in = blob(u, 0);
    Sizes starts, ends, axes;
    for (int64_t d = 0; d < u.n.inputs[0].rank(); ++d) {
      const int64_t from = u.f.is("starts")[d], n = u.f.is("sizes")[d], axis = place(in, d);
      const Ints& steps = u.f.is("steps");
      if (!steps.empty() && steps[d] != 1 && n != 1) return no("with a step");
      if (axis < 0 ? from == 0 : from == 0 && n == in.shape[static_cast<size_t>(axis)]) continue;
      if (axis < 0) return no("of the batch");
      starts.push_back(from);
      ends.push_back(from + n);
      axes.push_back(axis);
    }
    if (axes.empty()) return x(u);
    return layer(u, "Crop", {x(u)}, Options().is(9, starts).is(10, ends).is(11, axes));
  }

  /// Entries by numbers that are known: neighbours, each one several times, or a product with ones
  /// where an entry goes.
  std::string index_select(const Use& u) {
    if (constant(u, 0) || !constant(u, 1)) return no("by numbers that are computed");
    const Blob& in = blob(u, 0);
    const int64_t axis = place(in, u.f.i("dim"));
    if (axis < 0) return no("of the batch");
    const int64_t size = in.shape[static_cast<size_t>(axis)];
    Sizes at;
    for (const int64_t i : cast(u.n.inputs[1], DType::i64).to_vector<int64_t>())
      at.push_back(i < 0 ? i + size : i);
    const int64_t n = std::ssize(at);
    bool neighbours = true, spread = in.batch == 0 && in.rank() == 3 && axis > 0;
    for (int64_t i = 0; i < n; ++i) {
      neighbours = neighbours && at[static_cast<size_t>(i)] == at[0] + i;
      spread = spread && at[static_cast<size_t>(i)] == i * size / n;
    }
    Sizes now = in.shape;
    now[static_cast<size_t>(axis)] = n;
    std::string y;
    if (neighbours) {
      y = layer(u, "Crop", {in.name}, Options().is(9, {at[0]}).is(10, {at[0] + n}).is(11, {axis}));
    } else if (spread) {
      y = layer(u, "Interp", {in.name}, Options().i(0, 1).i(3, now[1]).i(4, now[2]));
    } else {
      int64_t outer = 1, inner = 1;
      for (int64_t d = 0; d < in.rank(); ++d)
        (d < axis ? outer : inner) *= d == axis ? 1 : in.shape[static_cast<size_t>(d)];
      std::vector<float> ones(static_cast<size_t>(n * size), 0.0f);
      for (int64_t i = 0; i < n; ++i)
        ones[static_cast<size_t>(i * size + at[static_cast<size_t>(i)])] = 1;
      const std::string rows = reshaped(u, in.name, {outer, size, inner});
      y = layer(u, "MatMul", {stored(u, ones, {1, n, size}), rows});
      return reshaped(u, y, u.out.shape);
    }
    return now == u.out.shape ? y : reshaped(u, y, u.out.shape);
  }

  std::string concat(const Use& u) {
    const int64_t axis = place(u.out, u.f.i("dim"));
    if (axis < 0) return no("over the batch");
    std::vector<std::string> parts;
    for (size_t k = 0; k < u.n.inputs.size(); ++k) {
      parts.push_back(operand(u, k));
      if (parts.back().empty()) return no("of a constant that depends on the batch");
    }
    return layer(u, "Concat", parts, Options().i(0, axis));
  }

  std::string pad(const Use& u) {
    const Blob& in = blob(u, 0);
    const std::string& mode = u.f.s("mode");
    Ints low = u.f.is("low"), high = u.f.is("high");
    while (low.rank() <= in.rank()) {
      low.insert(0, 0);
      high.insert(0, 0);
    }
    const int type = mode == "constant" ? 0 : mode == "replicate" ? 1 : mode == "reflect" ? 2 : -1;
    if (in.batch != 0 || in.rank() != 3 || type < 0) return no(cat({"of the kind ", mode}));
    if (low[0] || high[0] || low[1] || high[1]) return no("of other than height and width");
    double value = 0;
    if (u.n.inputs.size() > 1) {
      if (!constant(u, 1)) return no("with a value that is computed");
      value = values(u, 1)[0];
    }
    // Negative numbers take away.
    Sizes starts, ends, axes;
    for (const int64_t d : {2, 3}) {
      if (low[d] >= 0 && high[d] >= 0) continue;
      starts.push_back(std::max<int64_t>(0, -low[d]));
      ends.push_back(in.shape[static_cast<size_t>(d - 1)] - std::max<int64_t>(0, -high[d]));
      axes.push_back(d - 1);
      low[d] = std::max<int64_t>(0, low[d]);
      high[d] = std::max<int64_t>(0, high[d]);
    }
    std::string left = in.name;
    if (!axes.empty())
      left = layer(u, "Crop", {left}, Options().is(9, starts).is(10, ends).is(11, axes));
    if (!low[2] && !low[3] && !high[2] && !high[3]) return left;
    Options o;
    o.i(0, low[2]).i(1, high[2]).i(2, low[3]).i(3, high[3]).i(4, type).f(5, value);
    return layer(u, "Padding", {left}, o);
  }

  std::string expand(const Use& u) {
    if (blob(u, 0).shape == u.out.shape) return x(u);
    const std::string a = operand(u, 0);
    if (a.empty()) return no("of these sizes");
    const std::vector<float> ones(static_cast<size_t>(product(u.out.shape)), 1.0f);
    return layer(u, "BinaryOp", {a, stored(u, ones, u.out.shape)}, Options().i(0, 2));
  }

  std::string interpolate(const Use& u) {
    const Blob& in = blob(u, 0);
    const std::string& mode = u.f.s("mode");
    const int type = mode == "nearest" ? 1 : mode == "linear" || mode == "bilinear" ? 2 : 0;
    if (in.batch != 0 || in.rank() != 3 || !type) return no(cat({"of the kind ", mode}));
    const int64_t h = u.out.shape[1], v = u.out.shape[2];
    Options o;
    o.i(0, type);
    if (h % in.shape[1] == 0 && v % in.shape[2] == 0)
      o.f(1, static_cast<double>(h / in.shape[1])).f(2, static_cast<double>(v / in.shape[2]));
    else
      o.i(3, h).i(4, v);
    return layer(u, "Interp", {x(u)}, o.i(6, u.f.b("align_corners")));
  }

  std::string prelu(const Use& u) {
    if (!constant(u, 1)) return no("with weights that are computed");
    if (blob(u, 0).batch != 0 || blob(u, 0).rank() > 3) return no("of these sizes");
    const auto w = values(u, 1);
    return layer(u, "PReLU", {x(u)}, Options().i(0, std::ssize(w)), NcnnWriter::plain(w));
  }

  const NetworkFunction& net_;
  std::string_view what_;
  NcnnWriter w_;
  Problems problems_;
  bool any_batch_ = true;
  std::map<Key, Blob> blobs_;
  std::map<const Node*, bool> depends_;
  std::map<const Node*, int64_t> uses_;
  std::set<const Node*> counted_;
  std::map<std::string, std::pair<size_t, size_t>> open_;  ///< blobs whose layers take a bias
  std::string why_;                                        ///< why the last rule gave nothing
  Tensors kept_;  ///< all that was looked at: another node at its address would be taken for it
};

}  // namespace

NcnnFiles to_ncnn(const NetworkFunction& net, std::string_view what) {
  return Exporter(net, what).run();
}

}  // namespace nacre
