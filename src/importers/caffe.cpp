// Caffe (Jia et al. 2014): a network as text and its blobs as protocol buffers, fields as in
// caffe.proto.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>

#include "base/text.h"
#include "importers/kinds.h"
#include "importers/onnx_builder.h"
#include "importers/problems.h"
#include "importers/prototxt.h"
#include "nacre/error.h"
#include "nacre/import.h"

namespace nacre {
namespace {

using Numbers = OnnxBuilder::Ints;

struct Blob {
  Numbers shape;
  std::vector<float> values;
};
using Blobs = std::map<std::string, std::vector<Blob>, std::less<>>;

// ---- weights

Blob read_blob(std::string_view bytes, std::string_view what) {
  Blob blob;
  Numbers old(4, 0);
  bool has_shape = false, has_old = false;
  std::vector<double> wide;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() >= 1 && r.field() <= 4) {
      old[r.field() - 1] = r.integer();
      has_old = true;
    } else if (r.field() == 5) {
      r.reals(blob.values);
    } else if (r.field() == 8) {
      r.reals64(wide);
    } else if (r.field() == 7) {
      has_shape = true;
      for (WireReader s(r.bytes(), what); s.next();)
        if (s.field() == 1) s.integers([&](int64_t d) { blob.shape.push_back(d); });
    }
  }
  if (blob.values.empty()) blob.values.assign(wide.begin(), wide.end());
  if (!has_shape && has_old) blob.shape = old;
  uint64_t count = 1;
  if (blob.shape.size() > 32) fail(Error::Kind::data, {what, " holds a blob of too many sizes"});
  for (const int64_t d : blob.shape)
    if (d < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(d), &count))
      fail(Error::Kind::data, {what, " holds a blob of an impossible shape"});
  if (count != blob.values.size())
    fail(Error::Kind::data,
         {what, " holds a blob that claims ", count, " values and has ", blob.values.size()});
  return blob;
}

/// Blobs by the name of their layer, of both generations of layers (fields 100 and 2).
Blobs read_weights_file(std::string_view bytes, std::string_view what) {
  Blobs blobs;
  for (WireReader model(bytes, what); model.next();) {
    if (model.field() != 100 && model.field() != 2) continue;
    const bool old = model.field() == 2;
    std::string name;
    std::vector<Blob> list;
    for (WireReader layer(model.bytes(), what); layer.next();) {
      if (layer.field() == (old ? 4u : 1u)) name = layer.bytes();
      if (layer.field() == (old ? 6u : 7u)) list.push_back(read_blob(layer.bytes(), what));
    }
    if (!list.empty() && !blobs.emplace(name, std::move(list)).second)
      fail(Error::Kind::data, {what, " holds two layers named '", clip(printable(name), 100), "'"});
  }
  return blobs;
}

// ---- layers

/// The names of the first generation, CONVOLUTION, and those since, Convolution.
std::string type_of(const Prototxt& layer) {
  static const std::map<std::string, std::string> old = {{"CONVOLUTION", "Convolution"},
                                                         {"DECONVOLUTION", "Deconvolution"},
                                                         {"POOLING", "Pooling"},
                                                         {"INNER_PRODUCT", "InnerProduct"},
                                                         {"RELU", "ReLU"},
                                                         {"SIGMOID", "Sigmoid"},
                                                         {"TANH", "TanH"},
                                                         {"SOFTMAX", "Softmax"},
                                                         {"LRN", "LRN"},
                                                         {"CONCAT", "Concat"},
                                                         {"DROPOUT", "Dropout"},
                                                         {"ELTWISE", "Eltwise"},
                                                         {"FLATTEN", "Flatten"},
                                                         {"SPLIT", "Split"},
                                                         {"SLICE", "Slice"},
                                                         {"POWER", "Power"},
                                                         {"EXP", "Exp"},
                                                         {"ABSVAL", "AbsVal"},
                                                         {"BNLL", "BNLL"},
                                                         {"DATA", "Data"},
                                                         {"IMAGE_DATA", "ImageData"},
                                                         {"HDF5_DATA", "HDF5Data"},
                                                         {"MEMORY_DATA", "MemoryData"},
                                                         {"ACCURACY", "Accuracy"},
                                                         {"SOFTMAX_LOSS", "SoftmaxWithLoss"},
                                                         {"EUCLIDEAN_LOSS", "EuclideanLoss"},
                                                         {"SILENCE", "Silence"}};
  const std::string type = layer.text("type");
  const auto at = old.find(type);
  return at == old.end() ? type : at->second;
}

bool is_data(std::string_view type) {
  return type == "Data" || type == "ImageData" || type == "HDF5Data" || type == "MemoryData" ||
         type == "WindowData" || type == "DummyData";
}
bool is_loss(std::string_view type) {
  return type == "Accuracy" || type == "Silence" || type.ends_with("Loss") ||
         type == "SoftmaxWithLoss";
}

class CaffeImporter {
 public:
  CaffeImporter(Blobs blobs, std::string_view what)
      : what_(what), blobs_(std::move(blobs)), net_("caffe"), problems_(what) {}

  std::string run(const Prototxt& network) {
    inputs(network);
    auto layers = network.messages("layer");
    const auto old = network.messages("layers");
    layers.insert(layers.end(), old.begin(), old.end());
    if (layers.size() > 100'000) fail(Error::Kind::data, {what_, " has more than 100000 layers"});
    for (const Prototxt* layer : layers)
      if (is_used(*layer)) one(*layer);
    problems_.finish("layers");
    for (const std::string& top : order_)
      if (!read_.contains(top)) {
        net_.node("Identity", {values_.at(top).name}, {top});
        net_.output(top, values_.at(top).rank);
      }
    return net_.finish();
  }

 private:
  /// A blob of the network as it stands now: layers may work in place.
  struct Value {
    std::string name;
    int rank = 4;
  };

  [[noreturn]] void wrong(std::initializer_list<Piece> why) const {
    fail(Error::Kind::data, {what_, ": layer '", clip(printable(layer_), 100), "' ", cat(why)});
  }
  void unsupported(std::string_view what) { problems_.add(cat({type_, " with ", what}), layer_); }

  void make_input(const std::string& name, Numbers shape) {
    if (shape.empty()) shape.assign(4, -1);
    shape[0] = -1;  // any batch
    if (shape.size() > 32 || values_.contains(name))
      fail(Error::Kind::data,
           {what_, ": the input '", clip(printable(name), 100), "' is there twice"});
    net_.input(name, shape);
    values_[name] = {name, static_cast<int>(shape.size())};
  }
  void inputs(const Prototxt& network) {
    const auto names = network.texts("input");
    const auto shapes = network.messages("input_shape");
    const Numbers dims = network.integers("input_dim");
    for (size_t i = 0; i < names.size(); ++i) {
      Numbers shape;
      if (i < shapes.size()) {
        shape = shapes[i]->integers("dim");
      } else if (dims.size() >= 4 * (i + 1)) {
        shape.assign(dims.begin() + static_cast<std::ptrdiff_t>(4 * i),
                     dims.begin() + static_cast<std::ptrdiff_t>(4 * i + 4));
      }
      make_input(names[i], shape);
    }
  }

  /// Layers of training only are left out.
  static bool is_used(const Prototxt& layer) {
    for (const Prototxt* rule : layer.messages("include"))
      if (rule->text("phase") == "TRAIN") return false;
    for (const Prototxt* rule : layer.messages("exclude"))
      if (rule->text("phase") == "TEST") return false;
    return true;
  }

  void one(const Prototxt& layer) {
    layer_ = layer.text("name");
    type_ = type_of(layer);
    const auto bottoms = layer.texts("bottom"), tops = layer.texts("top");
    if (is_data(type_)) {
      if (!tops.empty() && !values_.contains(tops[0])) make_input(tops[0], {});
      if (tops.size() > 1) labels_.insert(tops[1]);
      return;
    }
    if (type_ == "Input") {
      const auto shapes = layer.message("input_param").messages("shape");
      for (size_t i = 0; i < tops.size(); ++i)
        make_input(tops[i], shapes.empty()
                                ? Numbers{}
                                : shapes[std::min(i, shapes.size() - 1)]->integers("dim"));
      return;
    }
    if (is_loss(type_) && type_ != "SoftmaxWithLoss") return;
    in_.clear();
    const size_t wanted = type_ == "SoftmaxWithLoss" ? 1 : bottoms.size();
    for (size_t i = 0; i < wanted && i < bottoms.size(); ++i) {
      const auto at = values_.find(bottoms[i]);
      if (at == values_.end()) {
        if (labels_.contains(bottoms[i])) return;  // belongs to the training
        wrong({"reads '", clip(printable(bottoms[i]), 100), "', which no layer before it makes"});
      }
      in_.push_back(at->second);
    }
    if (in_.empty() || tops.empty()) return problems_.add(type_, layer_);
    const std::vector<Value> out = translate(layer, tops);
    for (size_t i = 0; i < wanted; ++i)
      if (std::find(tops.begin(), tops.end(), bottoms[i]) == tops.end()) read_.insert(bottoms[i]);
    for (size_t i = 0; i < out.size() && i < tops.size(); ++i) {
      if (!values_.contains(tops[i])) order_.push_back(tops[i]);
      values_[tops[i]] = out[i];
    }
  }

  std::vector<Value> translate(const Prototxt& layer, const std::vector<std::string>& tops) {
    const Value& x = in_[0];
    const auto same = [&](std::string_view op,
                          std::vector<OnnxBuilder::Attribute> attributes = {}) {
      return std::vector<Value>{{net_.make(op, {x.name}, attributes), x.rank}};
    };
    if (type_ == "Convolution" || type_ == "Deconvolution") return {convolution(layer)};
    if (type_ == "InnerProduct") return {inner_product(layer.message("inner_product_param"))};
    if (type_ == "Pooling") return {pooling(layer.message("pooling_param"))};
    if (type_ == "BatchNorm") return {batch_norm(layer.message("batch_norm_param"))};
    if (type_ == "Scale") return {scale(layer.message("scale_param"))};
    if (type_ == "Bias") return {bias(layer.message("bias_param"))};
    if (type_ == "LRN") return {lrn(layer.message("lrn_param"))};
    if (type_ == "Eltwise") return {eltwise(layer.message("eltwise_param"))};
    if (type_ == "Power") return {power(layer.message("power_param"))};
    if (type_ == "Concat") return {concat(layer.message("concat_param"))};
    if (type_ == "Slice") return slice(layer.message("slice_param"), tops.size());
    if (type_ == "Crop") return {crop(layer.message("crop_param"))};
    if (type_ == "ReLU") {
      const double slope = layer.message("relu_param").number("negative_slope", 0);
      return slope == 0 ? same("Relu") : same("LeakyRelu", {{"alpha", slope}});
    }
    if (type_ == "PReLU") {
      const Blob& slope = blob(0);
      return {{net_.make("PRelu", {x.name, channels(slope, x.rank)}), x.rank}};
    }
    if (type_ == "ELU")
      return same("Elu", {{"alpha", layer.message("elu_param").number("alpha", 1)}});
    if (type_ == "Sigmoid") return same("Sigmoid");
    if (type_ == "TanH") return same("Tanh");
    if (type_ == "AbsVal") return same("Abs");
    if (type_ == "BNLL") return same("Softplus");
    if (type_ == "Dropout") return {x};
    if (type_ == "Split") return std::vector<Value>(tops.size(), x);
    if (type_ == "Softmax" || type_ == "SoftmaxWithLoss")
      return same("Softmax", {{"axis", layer.message("softmax_param").integer("axis", 1)}});
    if (type_ == "Exp" || type_ == "Log") return {exponential(layer)};
    if (type_ == "Flatten") {
      const Prototxt& p = layer.message("flatten_param");
      if (p.integer("axis", 1) != 1 || p.integer("end_axis", -1) != -1) unsupported("other axes");
      return {{net_.make("Flatten", {x.name}, {{"axis", int64_t{1}}}), 2}};
    }
    if (type_ == "Reshape") {
      const Prototxt& p = layer.message("reshape_param");
      if (p.integer("axis", 0) != 0 || p.integer("num_axes", -1) != -1) unsupported("other axes");
      const Numbers dims = p.message("shape").integers("dim");
      return {{net_.make("Reshape", {x.name, net_.ints(dims)}), static_cast<int>(dims.size())}};
    }
    if (type_ == "Permute") {
      Numbers order = layer.message("permute_param").integers("order");
      for (int64_t d = 0; d < x.rank; ++d)
        if (std::find(order.begin(), order.end(), d) == order.end()) order.push_back(d);
      return same("Transpose", {{"perm", order}});
    }
    problems_.add(type_, layer_);
    return std::vector<Value>(std::max<size_t>(1, tops.size()), x);
  }

  // ---- weights of this layer
  const Blob& blob(size_t i) const {
    const auto at = blobs_.find(layer_);
    if (at == blobs_.end()) wrong({"has no weights in the .caffemodel"});
    if (i >= at->second.size())
      wrong({"has ", at->second.size(), " blobs in the .caffemodel, needs ", i + 1});
    return at->second[i];
  }
  /// Values for each channel, with sizes of one after them as the rank of the input wants.
  std::string channels(const Blob& b, int rank, std::string name = "") {
    Numbers shape{static_cast<int64_t>(b.values.size())};
    if (b.values.size() > 1)
      for (int d = 2; d < rank; ++d) shape.push_back(1);
    return net_.floats(b.values, shape, std::move(name));
  }
  static int64_t count(const Blob& b) { return static_cast<int64_t>(b.values.size()); }

  /// A pair of sizes: `name` once or twice, or name_h and name_w.
  Numbers pair(const Prototxt& p, const std::string& name, const std::string& stem,
               int64_t otherwise) {
    if (p.has(stem + "_h") || p.has(stem + "_w"))
      return {p.integer(stem + "_h", otherwise), p.integer(stem + "_w", otherwise)};
    Numbers v = p.integers(name);
    if (v.empty()) v = {otherwise};
    if (v.size() == 1) v.push_back(v[0]);
    if (v.size() != 2) unsupported("other than two dimensions");
    v.resize(2);
    for (const int64_t n : v)
      if (n < 0 || n > 1 << 20) wrong({"has the impossible ", name, " ", n});
    return v;
  }

  Value convolution(const Prototxt& layer) {
    const Prototxt& p = layer.message("convolution_param");
    const bool transposed = type_ == "Deconvolution";
    const Numbers kernel = pair(p, "kernel_size", "kernel", 0),
                  stride = pair(p, "stride", "stride", 1), pad = pair(p, "pad", "pad", 0),
                  dilation = pair(p, "dilation", "dilation", 1);
    const int64_t out = p.integer("num_output", 0), group = p.integer("group", 1);
    const Blob& w = blob(0);
    const int64_t window = kernel[0] * kernel[1];
    if (out < 1 || out > 1 << 30 || group < 1 || out % group || window < 1 || window > 1 << 20 ||
        !count(w))
      wrong({"has ", out, " outputs in ", group, " groups and a kernel of ", kernel[0], "x",
             kernel[1]});
    // A convolution's weight is [out, in / group, h, w], a deconvolution's [in, out / group, h, w].
    const int64_t rows = transposed ? 0 : out;
    const int64_t inner = transposed ? out / group : count(w) / (rows * window);
    const int64_t outer = transposed ? count(w) / (inner * window) : rows;
    if (outer * inner * window != count(w) || outer % group)
      wrong({"has ", count(w), " weights, which do not fit its ", out, " outputs"});
    std::vector<std::string> inputs = {
        in_[0].name,
        net_.floats(w.values, {outer, inner, kernel[0], kernel[1]}, layer_ + ".weight")};
    if (p.boolean("bias_term", true)) {
      const Blob& b = blob(1);
      if (count(b) != out) wrong({"has ", count(b), " biases for ", out, " outputs"});
      inputs.push_back(net_.floats(b.values, {out}, layer_ + ".bias"));
    }
    return {net_.make(transposed ? "ConvTranspose" : "Conv", inputs,
                      {{"kernel_shape", kernel},
                       {"strides", stride},
                       {"pads", Numbers{pad[0], pad[1], pad[0], pad[1]}},
                       {"dilations", dilation},
                       {"group", group}}),
            4};
  }

  Value inner_product(const Prototxt& p) {
    const int64_t out = p.integer("num_output", 0), axis = p.integer("axis", 1);
    if (axis != 1) unsupported("another axis");
    const Blob& w = blob(0);
    if (out < 1 || !count(w) || count(w) % out)
      wrong({"has ", count(w), " weights, which do not fit its ", out, " outputs"});
    const bool transposed = p.boolean("transpose", false);
    const int64_t in = count(w) / out;
    const std::string flat = in_[0].rank == 2
                                 ? in_[0].name
                                 : net_.make("Flatten", {in_[0].name}, {{"axis", int64_t{1}}});
    std::vector<std::string> inputs = {
        flat, net_.floats(w.values, transposed ? Numbers{in, out} : Numbers{out, in},
                          layer_ + ".weight")};
    if (p.boolean("bias_term", true)) {
      if (count(blob(1)) != out) wrong({"has ", count(blob(1)), " biases for ", out, " outputs"});
      inputs.push_back(net_.floats(blob(1).values, {out}, layer_ + ".bias"));
    }
    return {net_.make("Gemm", inputs, {{"transB", int64_t{!transposed}}}), 2};
  }

  Value pooling(const Prototxt& p) {
    const std::string kind = p.text("pool", "MAX");
    if (kind != "MAX" && kind != "AVE" && kind != "0" && kind != "1")
      unsupported("stochastic pooling");
    const bool max = kind == "MAX" || kind == "0";
    if (p.boolean("global_pooling", false))
      return {net_.make(max ? "GlobalMaxPool" : "GlobalAveragePool", {in_[0].name}), 4};
    const Numbers kernel = pair(p, "kernel_size", "kernel", 0),
                  stride = pair(p, "stride", "stride", 1), pad = pair(p, "pad", "pad", 0);
    if (!kernel[0] || !kernel[1] || !stride[0] || !stride[1]) wrong({"has an empty window"});
    std::vector<OnnxBuilder::Attribute> attributes = {
        {"kernel_shape", kernel},
        {"strides", stride},
        {"pads", Numbers{pad[0], pad[1], pad[0], pad[1]}},
        {"ceil_mode", int64_t{p.text("round_mode", "CEIL") == "CEIL"}}};
    if (!max) attributes.emplace_back("count_include_pad", int64_t{1});
    return {net_.make(max ? "MaxPool" : "AveragePool", {in_[0].name}, attributes), 4};
  }

  Value batch_norm(const Prototxt& p) {
    Blob mean = blob(0), var = blob(1);
    const Blob& factor = blob(2);
    if (mean.values.size() != var.values.size() || factor.values.size() != 1)
      wrong({"has statistics that do not fit each other"});
    const float by = factor.values[0] == 0 ? 0 : 1 / factor.values[0];
    for (float& v : mean.values) v *= by;
    for (float& v : var.values) v *= by;
    const Numbers shape{count(mean)};
    const std::string ones = net_.floats(std::vector<float>(mean.values.size(), 1.0f), shape,
                                         layer_ + ".weight"),
                      zeros = net_.floats(std::vector<float>(mean.values.size(), 0.0f), shape,
                                          layer_ + ".bias");
    return {net_.make("BatchNormalization",
                      {in_[0].name, ones, zeros,
                       net_.floats(mean.values, shape, layer_ + ".running_mean"),
                       net_.floats(var.values, shape, layer_ + ".running_var")},
                      {{"epsilon", p.number("eps", 1e-5)}}),
            in_[0].rank};
  }

  Value scale(const Prototxt& p) {
    if (in_.size() > 1) return {net_.make("Mul", {in_[0].name, in_[1].name}), in_[0].rank};
    if (p.integer("axis", 1) != 1 || p.integer("num_axes", 1) != 1) unsupported("other axes");
    std::string y =
        net_.make("Mul", {in_[0].name, channels(blob(0), in_[0].rank, layer_ + ".weight")});
    if (p.boolean("bias_term", false))
      y = net_.make("Add", {y, channels(blob(1), in_[0].rank, layer_ + ".bias")});
    return {y, in_[0].rank};
  }

  Value bias(const Prototxt& p) {
    if (in_.size() > 1) return {net_.make("Add", {in_[0].name, in_[1].name}), in_[0].rank};
    if (p.integer("axis", 1) != 1 || p.integer("num_axes", 1) != 1) unsupported("other axes");
    return {net_.make("Add", {in_[0].name, channels(blob(0), in_[0].rank, layer_ + ".bias")}),
            in_[0].rank};
  }

  Value lrn(const Prototxt& p) {
    const int64_t size = p.integer("local_size", 5);
    const double alpha = p.number("alpha", 1), beta = p.number("beta", 0.75), k = p.number("k", 1);
    if (size < 1 || size > 1 << 20) wrong({"has windows of ", size});
    const std::string& x = in_[0].name;
    const std::string region = p.text("norm_region", "ACROSS_CHANNELS");
    if (region == "ACROSS_CHANNELS" || region == "0")
      return {
          net_.make("LRN", {x}, {{"size", size}, {"alpha", alpha}, {"beta", beta}, {"bias", k}}),
          4};
    // Within a channel: the mean square of a window.
    const int64_t pad = (size - 1) / 2;
    const std::string mean = net_.make("AveragePool", {net_.make("Mul", {x, x})},
                                       {{"kernel_shape", Numbers{size, size}},
                                        {"pads", Numbers{pad, pad, pad, pad}},
                                        {"count_include_pad", int64_t{1}}});
    const std::string sum =
        net_.make("Add", {net_.make("Mul", {mean, net_.scalar(alpha)}), net_.scalar(1)});
    return {net_.make("Div", {x, net_.make("Pow", {sum, net_.scalar(beta)})}), 4};
  }

  Value eltwise(const Prototxt& p) {
    const std::string kind = p.text("operation", "SUM");
    const auto weights = p.texts("coeff");
    std::vector<std::string> inputs;
    for (size_t i = 0; i < in_.size(); ++i) {
      if (weights.empty() || kind != "SUM") {
        inputs.push_back(in_[i].name);
        continue;
      }
      if (weights.size() != in_.size()) wrong({"has ", weights.size(), " coefficients"});
      inputs.push_back(
          net_.make("Mul", {in_[i].name, net_.scalar(std::strtod(weights[i].c_str(), nullptr))}));
    }
    if (kind == "SUM" || kind == "1") return {net_.make("Sum", inputs), in_[0].rank};
    if (kind == "MAX" || kind == "2") return {net_.make("Max", inputs), in_[0].rank};
    if (kind != "PROD" && kind != "0") wrong({"has the unknown operation ", printable(kind)});
    std::string y = inputs[0];
    for (size_t i = 1; i < inputs.size(); ++i) y = net_.make("Mul", {y, inputs[i]});
    return {y, in_[0].rank};
  }

  /// shift + scale * x.
  std::string linear(const std::string& x, double scale, double shift) {
    std::string y = x;
    if (scale != 1) y = net_.make("Mul", {y, net_.scalar(scale)});
    if (shift != 0) y = net_.make("Add", {y, net_.scalar(shift)});
    return y;
  }
  Value power(const Prototxt& p) {
    const double power = p.number("power", 1);
    const std::string y = linear(in_[0].name, p.number("scale", 1), p.number("shift", 0));
    if (power == 1) return {y == in_[0].name ? net_.make("Identity", {y}) : y, in_[0].rank};
    return {net_.make("Pow", {y, net_.scalar(power)}), in_[0].rank};
  }
  Value exponential(const Prototxt& layer) {
    const bool exp = type_ == "Exp";
    const Prototxt& p = layer.message(exp ? "exp_param" : "log_param");
    const double base = p.number("base", -1);
    if (base != -1 && base <= 0) wrong({"has the base ", base});
    const double factor = base == -1 ? 1 : std::log(base);
    const std::string x = linear(in_[0].name, p.number("scale", 1), p.number("shift", 0));
    if (exp) return {net_.make("Exp", {linear(x, factor, 0)}), in_[0].rank};
    return {linear(net_.make("Log", {x}), 1 / factor, 0), in_[0].rank};
  }

  Value concat(const Prototxt& p) {
    std::vector<std::string> inputs;
    for (const Value& v : in_) inputs.push_back(v.name);
    return {net_.make("Concat", inputs, {{"axis", p.integer("axis", p.integer("concat_dim", 1))}}),
            in_[0].rank};
  }

  std::vector<Value> slice(const Prototxt& p, size_t parts) {
    const int64_t axis = p.integer("axis", p.integer("slice_dim", 1));
    Numbers points = p.integers("slice_point");
    std::vector<std::string> names;
    std::vector<Value> out;
    if (points.empty()) {
      for (size_t i = 0; i < parts; ++i) names.push_back(net_.fresh("Split"));
      net_.node("Split", {in_[0].name}, names, {{"axis", axis}});
    } else {
      if (points.size() + 1 != parts)
        wrong({"has ", points.size(), " points for ", parts, " parts"});
      points.insert(points.begin(), 0);
      points.push_back(INT64_MAX);
      for (size_t i = 0; i < parts; ++i)
        names.push_back(net_.make("Slice", {in_[0].name, net_.ints({points[i]}),
                                            net_.ints({points[i + 1]}), net_.ints({axis})}));
    }
    for (const std::string& n : names) out.push_back({n, in_[0].rank});
    return out;
  }

  Value crop(const Prototxt& p) {
    if (in_.size() != 2) wrong({"needs two inputs"});
    const int64_t axis = p.integer("axis", 2);
    Numbers offsets = p.integers("offset"), axes;
    if (axis < 0 || axis >= in_[0].rank) wrong({"crops from axis ", axis});
    const auto n = static_cast<size_t>(in_[0].rank - axis);
    if (offsets.empty()) offsets = {0};
    if (offsets.size() == 1) offsets.resize(n, offsets[0]);
    if (offsets.size() != n) wrong({"has ", offsets.size(), " offsets"});
    for (size_t i = 0; i < n; ++i) axes.push_back(axis + static_cast<int64_t>(i));
    const std::string sizes =
        net_.make("Slice", {net_.make("Shape", {in_[1].name}), net_.ints({axis}),
                            net_.ints({INT64_MAX}), net_.ints({0})});
    const std::string from = net_.ints(offsets);
    return {
        net_.make("Slice", {in_[0].name, from, net_.make("Add", {from, sizes}), net_.ints(axes)}),
        in_[0].rank};
  }

  std::string_view what_;
  Blobs blobs_;
  OnnxBuilder net_;
  Problems problems_;
  std::map<std::string, Value> values_;
  std::vector<std::string> order_;  ///< results, in the order of the layers
  std::set<std::string> read_, labels_;
  std::string layer_, type_;
  std::vector<Value> in_;
};

}  // namespace

std::string import_caffe(std::string_view network, std::string_view weights, std::string_view what,
                         std::string_view stored) {
  if (stored.empty()) stored = what;
  return with_name(what, stored, [&] {
    return CaffeImporter(read_weights_file(weights, stored), what)
        .run(Prototxt::parse(network, what));
  });
}

CaffeSolver read_caffe_solver(std::string_view text, std::string_view what) {
  const Prototxt p = Prototxt::parse(text, what);
  CaffeSolver s;
  s.network = p.text("net", p.text("train_net"));
  std::string type = p.text("type", p.text("solver_type", "SGD"));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  s.momentum = p.number("momentum", 0);
  s.optimizer = type == "sgd" && s.momentum != 0 ? "momentum" : type;
  s.lr = p.number("base_lr", 0);
  s.weight_decay = p.number("weight_decay", 0);
  s.iterations = p.integer("max_iter", 0);
  s.clip_norm = std::max(0.0, p.number("clip_gradients", 0));
  const std::string policy = p.text("lr_policy", "fixed");
  if (policy == "fixed")
    s.schedule = "constant";
  else if (policy == "step")
    s.schedule = cat({"step:", p.integer("stepsize", 0), ":", p.number("gamma", 0)});
  else
    s.schedule = policy;
  return s;
}

const NetworkKind kCaffeFiles = {
    ".prototxt", "Caffe",
    [](const std::string& path) { return beside(path, ".prototxt", ".caffemodel"); },
    [](const std::string& path, const std::string& weights) {
      return read_text_network(path, weights, import_caffe);
    }};

}  // namespace nacre
