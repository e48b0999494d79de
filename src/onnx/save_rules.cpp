#include <cmath>

#include "nacre/onnx.h"
#include "onnx/save.h"

namespace nacre::onnx {
namespace {

using Names = std::vector<std::string>;

Ints joined(const Ints& a, const Ints& b) {
  Ints all = a;
  for (int64_t v : b) all.push_back(v);
  return all;
}

Names conv(Writer& w, const Recorded& r) {
  const Fields& f = r.fields;
  return {w.node("Conv", r.in,
                 {{"strides", f.is("stride")},
                  {"dilations", f.is("dilation")},
                  {"pads", joined(f.is("pad_low"), f.is("pad_high"))},
                  {"group", f.i("groups")}})};
}

Names conv_transpose(Writer& w, const Recorded& r) {
  const Fields& f = r.fields;
  const Shape &y = r.a.inputs[0].shape(), &kernel = r.a.inputs[1].shape();
  Ints extra;
  for (int64_t d = 0; d < f.is("stride").rank(); ++d)
    extra.push_back(f.is("input_size")[d] - ((y[2 + d] - 1) * f.is("stride")[d] +
                                             f.is("dilation")[d] * (kernel[2 + d] - 1) + 1 -
                                             f.is("pad_low")[d] - f.is("pad_high")[d]));
  return {w.node("ConvTranspose", r.in,
                 {{"strides", f.is("stride")},
                  {"dilations", f.is("dilation")},
                  {"pads", joined(f.is("pad_low"), f.is("pad_high"))},
                  {"output_padding", extra},
                  {"group", f.i("groups")}})};
}

/// ONNX Runtime chooses between numbers, not between truths.
Names choose(Writer& w, const Recorded& r) {
  if (r.a.outputs[0].dtype != DType::boolean) return {w.node("Where", r.in)};
  return {w.node("Or", {w.node("And", {r.in[0], r.in[1]}),
                        w.node("And", {w.node("Not", {r.in[0]}), r.in[2]})})};
}

Names pool(Writer& w, const Recorded& r) {
  const Fields& f = r.fields;
  Attributes a = {{"kernel_shape", f.is("kernel")},
                  {"strides", f.is("stride")},
                  {"pads", joined(f.is("pad_low"), f.is("pad_high"))}};
  bool dilated = false;
  for (int64_t d : f.is("dilation")) dilated |= d != 1;
  if (dilated) a.emplace_back("dilations", f.is("dilation"));
  if (std::string_view(r.a.op->name) == "max_pool") return {w.node("MaxPool", r.in, a)};
  if (dilated && w.opset < 19) return {};
  a.emplace_back("count_include_pad", int64_t{f.b("include_pad")});
  return {w.node("AveragePool", r.in, a)};
}

/// Adaptive pooling to sizes that divide those of the input.
Names adaptive(Writer& w, const Recorded& r) {
  const bool largest = std::string_view(r.a.op->name) == "adaptive_max_pool";
  const Shape &x = r.a.inputs[0].shape(), &y = r.a.outputs[0].shape;
  Ints kernel;
  bool global = true;
  for (int64_t d = 2; d < x.rank(); ++d) {
    if (y[d] == 0 || x[d] % y[d]) return {};
    kernel.push_back(x[d] / y[d]);
    global = global && y[d] == 1;
  }
  if (global) return {w.node(largest ? "GlobalMaxPool" : "GlobalAveragePool", r.in)};
  return {w.node(largest ? "MaxPool" : "AveragePool", r.in,
                 {{"kernel_shape", kernel}, {"strides", kernel}})};
}

template <const char* const& Op>
Names reduce(Writer& w, const Recorded& r) {
  Ints dims = r.fields.is("dims");
  if (dims.empty())
    for (int64_t d = 0; d < r.a.inputs[0].rank(); ++d) dims.push_back(d);
  const int64_t keep = r.fields.b("keepdim");
  if (dims.empty()) return {w.node("Identity", r.in)};
  const bool as_input = w.opset >= (std::string_view(Op) == "ReduceSum" ? 13 : 18);
  if (as_input) return {w.node(Op, {r.in[0], w.ints(dims)}, {{"keepdims", keep}})};
  return {w.node(Op, r.in, {{"axes", dims}, {"keepdims", keep}})};
}
constexpr const char* kSum = "ReduceSum";
constexpr const char* kMean = "ReduceMean";
constexpr const char* kMax = "ReduceMax";
constexpr const char* kMin = "ReduceMin";

template <const char* const& Op>
Names along_dim(Writer& w, const Recorded& r) {
  return {w.node(Op, r.in, {{"axis", r.fields.i("dim")}})};
}
constexpr const char* kSoftmax = "Softmax";
constexpr const char* kLogSoftmax = "LogSoftmax";
constexpr const char* kConcat = "Concat";
constexpr const char* kGather = "Gather";
constexpr const char* kGatherElements = "GatherElements";

Names top_k(Writer& w, const Recorded& r) {
  return w.add("TopK", {r.in[0], w.ints({r.fields.i("k")})},
               {{"axis", r.fields.i("dim")}, {"largest", int64_t{r.fields.b("largest")}}}, 2);
}

Names slice_box(Writer& w, const Recorded& r) {
  const Shape &x = r.a.inputs[0].shape(), &wide = r.b.inputs[0].shape();
  const Fields other(r.b);
  Ints starts, ends, axes, steps;
  for (int64_t d = 0; d < x.rank(); ++d) {
    const int64_t from = r.fields.is("starts")[d], n = r.fields.is("sizes")[d];
    const int64_t step = r.fields.is("steps").empty() ? 1 : r.fields.is("steps")[d];
    if (from == 0 && step == 1 && n == x[d] && other.is("sizes")[d] == wide[d]) continue;
    if (x[d] != wide[d]) return {};
    starts.push_back(from);
    ends.push_back(n ? from + (n - 1) * step + 1 : from);
    axes.push_back(d);
    steps.push_back(step);
  }
  if (axes.empty()) return {w.node("Identity", r.in)};
  return {w.node("Slice", {r.in[0], w.ints(starts), w.ints(ends), w.ints(axes), w.ints(steps)})};
}

/// The entries that come round, then the others.
Names roll_parts(Writer& w, const Recorded& r) {
  std::string all = r.in[0];
  const Ints &shifts = r.fields.is("shifts"), &dims = r.fields.is("dims");
  for (int64_t i = 0; i < dims.rank(); ++i) {
    const int64_t d = normalize_dim(dims[i], r.a.inputs[0].rank());
    const int64_t n = r.a.inputs[0].size(d);
    if (n != r.b.inputs[0].size(d)) return {};
    if (n == 0) continue;
    const int64_t cut = n - ((shifts[i] % n) + n) % n;
    const auto part = [&](int64_t from, int64_t to) {
      return w.node("Slice", {all, w.ints({from}), w.ints({to}), w.ints({d}), w.ints({1})});
    };
    const std::string tail = part(cut, n), head = part(0, cut);
    all = w.node("Concat", {tail, head}, {{"axis", d}});
  }
  return {w.node("Identity", {all})};
}

Names pad_box(Writer& w, const Recorded& r) {
  const std::string& mode = r.fields.s("mode");
  if (mode == "circular" && w.opset < 19) return {};
  const std::string name = mode == "replicate" ? "edge" : mode == "circular" ? "wrap" : mode;
  Names in = {r.in[0], w.ints(joined(r.fields.is("low"), r.fields.is("high")))};
  if (mode == "constant" && r.in.size() > 1) in.push_back(r.in[1]);
  return {w.node("Pad", in, {{"mode", name}})};
}

Names clip_bounds(Writer& w, const Recorded& r) {
  const DType t = r.a.inputs[0].dtype();
  const double low = r.fields.f("min"), high = r.fields.f("max");
  return {w.node("Clip", {r.in[0], std::isinf(low) ? "" : w.number(low, t),
                          std::isinf(high) ? "" : w.number(high, t)})};
}

Names layer_normalisation(Writer& w, const Recorded& r) {
  if (w.opset < 17 || r.in.size() < 2) return {};
  return {w.node("LayerNormalization", r.in,
                 {{"axis", -r.fields.i("normalized_rank")}, {"epsilon", r.fields.f("eps")}})};
}

/// Without masks, which need truths and choices, attention is a softmax between two products.
Names attention(Writer& w, const Recorded& r) {
  if (r.in.size() > 3 || r.fields.b("causal")) return {};
  Ints turned;
  for (int64_t d = 0; d < r.a.inputs[1].rank(); ++d) turned.push_back(d);
  std::swap(turned[turned.rank() - 1], turned[turned.rank() - 2]);
  const std::string scores =
      w.node("MatMul", {r.in[0], w.node("Transpose", {r.in[1]}, {{"perm", turned}})});
  const std::string scaled =
      w.node("Mul", {scores, w.number(r.fields.f("scale"), r.a.inputs[0].dtype())});
  return {w.node("MatMul", {w.node("Softmax", {scaled}, {{"axis", int64_t{-1}}}), r.in[2]})};
}

Names local_response(Writer& w, const Recorded& r) {
  const Fields& f = r.fields;
  if (f.i("size") % 2 == 0) return {};
  return {w.node(
      "LRN", r.in,
      {{"size", f.i("size")}, {"alpha", f.f("alpha")}, {"beta", f.f("beta")}, {"bias", f.f("k")}})};
}

/// Zero points of 0 of biases are left out, as ONNX Runtime wants it.
Names dequantize_linear(Writer& w, const Recorded& r) {
  std::vector<std::string> in = r.in;
  if (r.a.inputs[0].dtype() == DType::i32) in.pop_back();
  return {w.node("DequantizeLinear", in, {{"axis", r.fields.i("axis")}})};
}

}  // namespace

Rule find_rule(std::string_view op) {
  static const std::map<std::string_view, Rule> rules = {
      {"conv", conv},
      {"conv_input_grad", conv_transpose},
      {"max_pool", pool},
      {"avg_pool", pool},
      {"adaptive_avg_pool", adaptive},
      {"adaptive_max_pool", adaptive},
      {"sum", reduce<kSum>},
      {"mean", reduce<kMean>},
      {"amax", reduce<kMax>},
      {"amin", reduce<kMin>},
      {"softmax", along_dim<kSoftmax>},
      {"log_softmax", along_dim<kLogSoftmax>},
      {"concat", along_dim<kConcat>},
      {"index_select", along_dim<kGather>},
      {"gather", along_dim<kGatherElements>},
      {"topk", top_k},
      {"slice", slice_box},
      {"roll", roll_parts},
      {"pad", pad_box},
      {"clip", clip_bounds},
      {"layer_norm", layer_normalisation},
      {"local_response_norm", local_response},
      {"scaled_dot_product_attention", attention},
      {"where", choose},
      {"matmul", [](Writer& w, const Recorded& r) -> Names { return {w.node("MatMul", r.in)}; }},
      {"quantize",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("QuantizeLinear", r.in, {{"axis", r.fields.i("axis")}})};
       }},
      {"dequantize", dequantize_linear},
      {"embedding",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Gather", r.in, {{"axis", int64_t{0}}})};
       }},
      {"batch_norm_infer",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("BatchNormalization", r.in, {{"epsilon", r.fields.f("eps")}})};
       }},
      {"permute",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Transpose", r.in, {{"perm", r.fields.is("dims")}})};
       }},
      {"reshape",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Reshape", {r.in[0], w.sizes(r.a.outputs[0].shape, r.b.outputs[0].shape)})};
       }},
      {"expand",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Expand", {r.in[0], w.sizes(r.a.outputs[0].shape, r.b.outputs[0].shape)})};
       }},
      {"contiguous",
       [](Writer& w, const Recorded& r) -> Names { return {w.node("Identity", r.in)}; }},
      {"stop_gradient",
       [](Writer& w, const Recorded& r) -> Names { return {w.node("Identity", r.in)}; }},
      {"cast",
       [](Writer& w, const Recorded& r) -> Names {
         return {
             w.node("Cast", r.in, {{"to", static_cast<int64_t>(elem_of(r.fields.t("dtype")))}})};
       }},
      {"square",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Mul", {r.in[0], r.in[0]})};
       }},
      {"rsqrt",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Reciprocal", {w.node("Sqrt", r.in)})};
       }},
      {"expm1",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Sub", {w.node("Exp", r.in), w.number(1, r.a.inputs[0].dtype())})};
       }},
      {"erfc",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Sub", {w.number(1, r.a.inputs[0].dtype()), w.node("Erf", r.in)})};
       }},
      {"log1p",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("Log", {w.node("Add", {r.in[0], w.number(1, r.a.inputs[0].dtype())})})};
       }},
      {"hard_sigmoid",
       [](Writer& w, const Recorded& r) -> Names {
         return {w.node("HardSigmoid", r.in,
                        {{"alpha", r.fields.f("slope")}, {"beta", r.fields.f("offset")}})};
       }},
  };
  const auto at = rules.find(op);
  return at == rules.end() ? nullptr : at->second;
}

}  // namespace nacre::onnx
