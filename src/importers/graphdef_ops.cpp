// The operators of TensorFlow's graphs, by their names and attributes of its op definitions.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "importers/graphdef.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using Values = NhwcBuilder::Values;
using Numbers = NhwcBuilder::Ints;

/// Height and width of a list with one entry for each dimension of a picture.
Numbers sides(const Numbers& v, bool last) {
  if (v.size() != 4) fail(Error::Kind::data, {"has ", v.size(), " numbers for four dimensions"});
  if (v[0] != 1 || v[last ? 3 : 1] != 1)
    throw NoTranslation{"steps from picture to picture or along channels"};
  return last ? Numbers{v[1], v[2]} : Numbers{v[2], v[3]};
}

NhwcWindow window(const GraphCall& c, const Numbers& kernel, const Numbers& strides) {
  NhwcWindow w;
  w.last = c.channels_last();
  if (!kernel.empty()) w.kernel = sides(kernel, w.last);
  w.strides = sides(strides, w.last);
  if (const Numbers d = c.node.integers("dilations"); !d.empty()) w.dilations = sides(d, w.last);
  w.padding = c.node.text("padding");
  if (const Numbers p = c.node.integers("explicit_paddings"); w.padding == "EXPLICIT") {
    if (p.size() != 8) fail(Error::Kind::data, {"has ", p.size(), " numbers of padding"});
    const size_t h = w.last ? 2 : 4;
    w.pads = {p[h], p[h + 2], p[h + 1], p[h + 3]};
  }
  return w;
}
NhwcWindow window(const GraphCall& c) { return window(c, {}, c.node.integers("strides")); }

Values conv(GraphCall& c) { return {c.net.conv(c[0], c[1], {3, 2, 0, 1}, nullptr, window(c), 0)}; }

/// A kernel [h, w, c, m] makes output c * m + k from channel c.
Values depthwise(GraphCall& c) {
  const auto& data = c[1]->data;
  if (!data || data->shape.size() != 4) throw NoTranslation{"a kernel that is computed"};
  ConstantData flat = *data;
  const int64_t channels = flat.shape[2];
  int64_t outputs = 0;
  if (__builtin_mul_overflow(channels, flat.shape[3], &outputs) || outputs < 1)
    fail(Error::Kind::data, {"has a kernel for ", channels, " channels"});
  flat.shape = {flat.shape[0], flat.shape[1], outputs, 1};
  const NhwcValue kernel = c.net.constant(c[1]->name, std::move(flat));
  return {c.net.conv(c[0], kernel, {2, 3, 0, 1}, nullptr, window(c), channels)};
}

Values conv_transpose(GraphCall& c) {
  return {c.net.conv_transpose(c[2], c[1], {3, 2, 0, 1}, nullptr, c[0], window(c))};
}

template <bool max>
Values pool(GraphCall& c) {
  return {c.net.pool(max, c[0], window(c, c.node.integers("ksize"), c.node.integers("strides")))};
}
Values max_pool_v2(GraphCall& c) {
  return {c.net.pool(true, c[0], window(c, c.integers(1, "sizes"), c.integers(2, "strides")))};
}

Values batch_norm(GraphCall& c) {
  if (c.node.flag("is_training", true)) throw NoTranslation{"statistics of the batch (training)"};
  c[4];
  return {c.net.batch_norm(c.in, c.node.real("epsilon", 1e-4), c.channels_last())};
}

Values bias_add(GraphCall& c) {
  const NhwcValue bias = c.channels_last() ? c[1] : c.net.unsqueeze(c[1], {1, 2});
  return {c.net.binary("Add", c[0], bias)};
}

Values matmul(GraphCall& c) {
  const bool batch = c.node.op != "MatMul";
  return {c.net.matmul(c[0], c[1], c.node.flag(batch ? "adj_x" : "transpose_a"),
                       c.node.flag(batch ? "adj_y" : "transpose_b"))};
}

Values einsum(GraphCall& c) {
  c[0];
  return {c.net.plain("Einsum", c.in, {{"equation", c.node.text("equation")}}, c[0]->type, -1)};
}

/// What one ONNX operator does.
struct Simple {
  const char *op, *onnx;
};
constexpr Simple kUnary[] = {
    {"Relu", "Relu"},         {"Elu", "Elu"},       {"Selu", "Selu"},
    {"Sigmoid", "Sigmoid"},   {"Tanh", "Tanh"},     {"Softplus", "Softplus"},
    {"Softsign", "Softsign"}, {"Erf", "Erf"},       {"Exp", "Exp"},
    {"Log", "Log"},           {"Neg", "Neg"},       {"Sqrt", "Sqrt"},
    {"Abs", "Abs"},           {"Sign", "Sign"},     {"Floor", "Floor"},
    {"Ceil", "Ceil"},         {"Rint", "Round"},    {"Round", "Round"},
    {"Sin", "Sin"},           {"Cos", "Cos"},       {"Tan", "Tan"},
    {"Asin", "Asin"},         {"Acos", "Acos"},     {"Atan", "Atan"},
    {"Sinh", "Sinh"},         {"Cosh", "Cosh"},     {"Reciprocal", "Reciprocal"},
    {"Inv", "Reciprocal"},    {"LogicalNot", "Not"}};
constexpr Simple kBinary[] = {{"Add", "Add"},
                              {"AddV2", "Add"},
                              {"Sub", "Sub"},
                              {"Mul", "Mul"},
                              {"RealDiv", "Div"},
                              {"Div", "Div"},
                              {"TruncateDiv", "Div"},
                              {"Maximum", "Max"},
                              {"Minimum", "Min"},
                              {"Pow", "Pow"},
                              {"Equal", "Equal"},
                              {"Greater", "Greater"},
                              {"GreaterEqual", "GreaterOrEqual"},
                              {"Less", "Less"},
                              {"LessEqual", "LessOrEqual"},
                              {"LogicalAnd", "And"},
                              {"LogicalOr", "Or"}};
constexpr Simple kReduce[] = {{"Mean", "ReduceMean"},
                              {"Sum", "ReduceSum"},
                              {"Max", "ReduceMax"},
                              {"Min", "ReduceMin"},
                              {"Prod", "ReduceProd"}};

template <size_t n>
const char* onnx_name(const Simple (&table)[n], std::string_view op) {
  for (const Simple& s : table)
    if (op == s.op) return s.onnx;
  return nullptr;
}

Values unary(GraphCall& c) { return {c.net.unary(onnx_name(kUnary, c.node.op), c[0])}; }
Values binary(GraphCall& c) { return {c.net.binary(onnx_name(kBinary, c.node.op), c[0], c[1])}; }
Values reduce(GraphCall& c) {
  return {c.net.reduce(onnx_name(kReduce, c.node.op), c[0], c[1], c.node.flag("keep_dims"))};
}
Values same(GraphCall& c) {
  c[0];
  return c.in;
}

Values logic(GraphCall& c) {
  const NhwcValue numbers = c.net.cast(c[0], Elem::i32);
  return {c.net.cast(c.net.reduce(c.node.op == "All" ? "ReduceMin" : "ReduceMax", numbers, c[1],
                                  c.node.flag("keep_dims")),
                     Elem::boolean)};
}

Values arg(GraphCall& c) {
  return {
      c.net.arg(c.node.op, c[0], c.integer(1, "an axis"), c.node.type("output_type", Elem::i64))};
}

Values squared_difference(GraphCall& c) {
  const NhwcValue d = c.net.binary("Sub", c[0], c[1]);
  return {c.net.binary("Mul", d, d)};
}

Values add_all(GraphCall& c) {
  NhwcValue sum = c[0];
  for (size_t i = 1; i < c.in.size(); ++i) sum = c.net.binary("Add", sum, c[i]);
  return {sum};
}

Values div_no_nan(GraphCall& c) {
  const NhwcValue zero = c.net.number(0, c[0]->type);
  const NhwcValue none = c.net.binary("Equal", c[1], zero);
  return {c.net.plain("Where", {none, zero, c.net.binary("Div", c[0], c[1])}, {}, c[0]->type,
                      std::max(c[0]->rank, c[1]->rank))};
}

Values concat(GraphCall& c) {
  if (c.in.size() < 2) fail(Error::Kind::data, {"joins nothing"});
  const bool first = c.node.op == "Concat";
  const Values parts(c.in.begin() + first, c.in.end() - !first);
  return {c.net.concat(parts, c.integer(first ? 0 : c.in.size() - 1, "an axis"))};
}

Values split(GraphCall& c) {
  return c.net.split(c[1], c.integer(0, "an axis"), c.node.integer("num_split"), nullptr);
}
Values split_v(GraphCall& c) {
  return c.net.split(c[0], c.integer(2, "an axis"), c.node.integer("num_split"), c[1]);
}

Values strided_slice(GraphCall& c) {
  const GraphNode& n = c.node;
  return {c.net.strided_slice(
      c[0], c[1], c[2], c[3],
      {n.integer("begin_mask"), n.integer("end_mask"), n.integer("ellipsis_mask"),
       n.integer("new_axis_mask"), n.integer("shrink_axis_mask")})};
}

Values mirror_pad(GraphCall& c) {
  const std::string mode = c.node.text("mode");
  if (mode != "REFLECT") throw NoTranslation{cat({"mode ", mode})};
  return {c.net.pad(c[0], c[1], "reflect", nullptr)};
}

Values gather(GraphCall& c) {
  if (c.node.integer("batch_dims") != 0) throw NoTranslation{"batch_dims"};
  return {c.net.gather(c[0], c[1], c.node.op == "GatherV2" ? c.integer(2, "an axis") : 0)};
}

Values gather_nd(GraphCall& c) {
  return {c.net.plain("GatherND", {c[0], c.net.cast(c[1], Elem::i64)}, {}, c[0]->type, -1)};
}

Values select(GraphCall& c) {
  NhwcValue condition = c[0];
  // Of the first version, a vector chooses rows.
  if (c.node.op == "Select" && condition->rank == 1 && c[1]->rank > 1) {
    Numbers axes;
    for (int d = 1; d < c[1]->rank; ++d) axes.push_back(d);
    condition = c.net.unsqueeze(condition, axes);
  }
  const int rank = std::min({condition->rank, c[1]->rank, c[2]->rank}) < 0
                       ? -1
                       : std::max({condition->rank, c[1]->rank, c[2]->rank});
  return {c.net.plain("Where", {condition, c[1], c[2]}, {}, c[1]->type, rank)};
}

Values where_true(GraphCall& c) {
  const NhwcValue columns = c.net.plain("NonZero", {c[0]}, {}, Elem::i64, 2);
  return {c.net.transpose(columns, {1, 0})};
}

Values resize(GraphCall& c) {
  return {c.net.resize(c[0], c[1], c.node.op == "ResizeNearestNeighbor",
                       c.node.flag("align_corners"), c.node.flag("half_pixel_centers"))};
}

Values blocks(GraphCall& c) {
  const bool to_batch = c.node.op.starts_with("SpaceToBatch");
  const bool list = c.node.op.ends_with("ND");
  const int64_t size = c.node.integer("block_size");
  const Numbers block = list ? c.integers(1, "blocks") : Numbers{size, size};
  const Numbers edges = c.integers(list ? 2 : 1, "padding");
  return {to_batch ? c.net.space_to_batch(c[0], block, edges)
                   : c.net.batch_to_space(c[0], block, edges)};
}

Values zeros_or_ones(GraphCall& c) {
  const NhwcValue one = c.net.number(c.node.op == "OnesLike", c[0]->type);
  NhwcValue y = c.net.expand(one, c.net.shape_of(c[0], Elem::i64));
  y->rank = c[0]->rank;
  return {y};
}

Values rank_of(GraphCall& c) {
  if (c[0]->rank < 0) throw NoTranslation{"an input of unknown rank"};
  return {c.net.number(c[0]->rank, Elem::i32)};
}

Values top_k(GraphCall& c) {
  const NhwcValue k = c.net.reshape(c.net.cast(c[1], Elem::i64), c.net.integers({1}));
  const Values both = c.net.top_k(c[0], k);
  return {both[0], c.net.cast(both[1], c.node.type("index_type", Elem::i32))};
}

Values cumulative(GraphCall& c) {
  return {c.net.plain("CumSum", {c[0], c[1]},
                      {{"exclusive", int64_t{c.node.flag("exclusive")}},
                       {"reverse", int64_t{c.node.flag("reverse")}}},
                      c[0]->type, c[0]->rank)};
}

using Table = std::unordered_map<std::string_view, GraphOperator>;

const Table& operators() {
  static const Table table = [] {
    Table t{
        {"Conv2D", conv},
        {"DepthwiseConv2dNative", depthwise},
        {"Conv2DBackpropInput", conv_transpose},
        {"MaxPool", pool<true>},
        {"MaxPoolV2", max_pool_v2},
        {"AvgPool", pool<false>},
        {"FusedBatchNorm", batch_norm},
        {"FusedBatchNormV2", batch_norm},
        {"FusedBatchNormV3", batch_norm},
        {"BiasAdd", bias_add},
        {"BiasAddV1", bias_add},
        {"MatMul", matmul},
        {"BatchMatMul", matmul},
        {"BatchMatMulV2", matmul},
        {"BatchMatMulV3", matmul},
        {"Einsum", einsum},
        {"Identity", same},
        {"IdentityN", same},
        {"StopGradient", same},
        {"PreventGradient", same},
        {"CheckNumerics", same},
        {"Snapshot", same},
        {"EnsureShape", [](GraphCall& c) -> Values { return {c[0]}; }},
        {"PlaceholderWithDefault", same},
        {"Relu6", [](GraphCall& c) -> Values { return {c.net.clip(c[0], 0, 6)}; }},
        {"LeakyRelu",
         [](GraphCall& c) -> Values {
           return {c.net.unary("LeakyRelu", c[0], {{"alpha", c.node.real("alpha", 0.2)}})};
         }},
        {"Softmax", [](GraphCall& c) -> Values { return {c.net.softmax("Softmax", c[0], -1)}; }},
        {"LogSoftmax",
         [](GraphCall& c) -> Values { return {c.net.softmax("LogSoftmax", c[0], -1)}; }},
        {"Rsqrt",
         [](GraphCall& c) -> Values {
           return {c.net.unary("Reciprocal", c.net.unary("Sqrt", c[0]))};
         }},
        {"Square", [](GraphCall& c) -> Values { return {c.net.binary("Mul", c[0], c[0])}; }},
        {"Log1p",
         [](GraphCall& c) -> Values {
           return {c.net.unary("Log", c.net.binary("Add", c[0], c.net.number(1, c[0]->type)))};
         }},
        {"Expm1",
         [](GraphCall& c) -> Values {
           return {c.net.binary("Sub", c.net.unary("Exp", c[0]), c.net.number(1, c[0]->type))};
         }},
        {"Erfc",
         [](GraphCall& c) -> Values {
           return {c.net.binary("Sub", c.net.number(1, c[0]->type), c.net.unary("Erf", c[0]))};
         }},
        {"NotEqual",
         [](GraphCall& c) -> Values {
           return {c.net.unary("Not", c.net.binary("Equal", c[0], c[1]))};
         }},
        {"FloorDiv", [](GraphCall& c) -> Values { return {c.net.floor_div(c[0], c[1])}; }},
        {"FloorMod", [](GraphCall& c) -> Values { return {c.net.floor_mod(c[0], c[1])}; }},
        {"SquaredDifference", squared_difference},
        {"AddN", add_all},
        {"DivNoNan", div_no_nan},
        {"All", logic},
        {"Any", logic},
        {"ArgMax", arg},
        {"ArgMin", arg},
        {"Reshape", [](GraphCall& c) -> Values { return {c.net.reshape(c[0], c[1])}; }},
        {"Squeeze",
         [](GraphCall& c) -> Values {
           return {c.net.squeeze(c[0], c.node.integers("squeeze_dims"))};
         }},
        {"ExpandDims",
         [](GraphCall& c) -> Values { return {c.net.unsqueeze(c[0], c.integers(1, "an axis"))}; }},
        {"Transpose",
         [](GraphCall& c) -> Values { return {c.net.transpose(c[0], c.integers(1, "an order"))}; }},
        {"ConcatV2", concat},
        {"Concat", concat},
        {"Pack", [](GraphCall& c) -> Values { return {c.net.pack(c.in, c.node.integer("axis"))}; }},
        {"Unpack",
         [](GraphCall& c) -> Values {
           return c.net.unpack(c[0], c.node.integer("axis"), c.node.integer("num"));
         }},
        {"Split", split},
        {"SplitV", split_v},
        {"Slice", [](GraphCall& c) -> Values { return {c.net.slice(c[0], c[1], c[2])}; }},
        {"StridedSlice", strided_slice},
        {"Pad",
         [](GraphCall& c) -> Values { return {c.net.pad(c[0], c[1], "constant", nullptr)}; }},
        {"PadV2", [](GraphCall& c) -> Values { return {c.net.pad(c[0], c[1], "constant", c[2])}; }},
        {"MirrorPad", mirror_pad},
        {"Tile",
         [](GraphCall& c) -> Values {
           return {c.net.plain("Tile", {c[0], c.net.cast(c[1], Elem::i64)}, {}, c[0]->type,
                               c[0]->rank)};
         }},
        {"Fill", [](GraphCall& c) -> Values { return {c.net.expand(c[1], c[0])}; }},
        {"BroadcastTo", [](GraphCall& c) -> Values { return {c.net.expand(c[0], c[1])}; }},
        {"ZerosLike", zeros_or_ones},
        {"OnesLike", zeros_or_ones},
        {"Shape",
         [](GraphCall& c) -> Values {
           return {c.net.shape_of(c[0], c.node.type("out_type", Elem::i32))};
         }},
        {"Size",
         [](GraphCall& c) -> Values {
           return {c.net.cast(c.net.plain("Size", {c[0]}, {}, Elem::i64, 0),
                              c.node.type("out_type", Elem::i32))};
         }},
        {"Rank", rank_of},
        {"Range",
         [](GraphCall& c) -> Values {
           return {c.net.plain("Range", {c[0], c[1], c[2]}, {}, c[0]->type, 1)};
         }},
        {"Cast", [](GraphCall& c) -> Values { return {c.net.cast(c[0], c.node.type("DstT"))}; }},
        {"Gather", gather},
        {"GatherV2", gather},
        {"GatherNd", gather_nd},
        {"OneHot",
         [](GraphCall& c) -> Values {
           return {c.net.one_hot(c[0], c[1], c[2], c[3], c.node.integer("axis", -1))};
         }},
        {"Select", select},
        {"SelectV2", select},
        {"Where", where_true},
        {"TopKV2", top_k},
        {"Cumsum", cumulative},
        {"ResizeBilinear", resize},
        {"ResizeNearestNeighbor", resize},
        {"SpaceToDepth",
         [](GraphCall& c) -> Values {
           return {
               c.net.depth_to_space(c[0], c.node.integer("block_size"), true, c.channels_last())};
         }},
        {"DepthToSpace",
         [](GraphCall& c) -> Values {
           return {
               c.net.depth_to_space(c[0], c.node.integer("block_size"), false, c.channels_last())};
         }},
        {"SpaceToBatch", blocks},
        {"SpaceToBatchND", blocks},
        {"BatchToSpace", blocks},
        {"BatchToSpaceND", blocks},
        {"LRN",
         [](GraphCall& c) -> Values {
           const GraphNode& n = c.node;
           return {c.net.lrn(c[0], n.integer("depth_radius", 5), n.real("bias", 1),
                             n.real("alpha", 1), n.real("beta", 0.5))};
         }},
    };
    for (const Simple& s : kUnary) t.emplace(s.op, unary);
    for (const Simple& s : kBinary) t.emplace(s.op, binary);
    for (const Simple& s : kReduce) t.emplace(s.op, reduce);
    return t;
  }();
  return table;
}

}  // namespace

GraphOperator find_graph_operator(std::string_view op) {
  const auto at = operators().find(op);
  return at == operators().end() ? nullptr : at->second;
}

}  // namespace nacre
