// Channels in blocks, held through a network, forward and backward: convolutions and their
// gradients take and give Nx(C/B)xHxWxB, what lies between them follows, and only the edges are
// reordered. Bias, an addition and the activation become part of the convolution. Channels that do
// not fill their last block are padded.
//
// Each rule turns an op on from_blocks(x) into from_blocks(op on x). A from_blocks that nothing
// else reads is thus never computed.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "ops/nn/blocks.h"
#include "ops/norm/norm.h"

namespace nacre {
namespace {

/// x of from_blocks(x); undefined for others.
Tensor inside(const Tensor& t) {
  return is_op(t.node(), "from_blocks") ? t.node()->inputs[0] : Tensor();
}

/// Whether enough of the blocks is not padding. Six channels of eight are not: plain convolutions
/// over a batch are faster there (LeNet-5 with AVX2, 64 pictures: infer 1.3 times, train 1.4).
bool fills(int64_t channels, int64_t block) {
  const int64_t whole = (channels + block - 1) / block * block;
  return static_cast<double>(channels) >= (block == 16 ? 0.6 : 0.8) * static_cast<double>(whole);
}

/// With zeros after the last entry of a dimension.
Tensor padded(const Tensor& t, int64_t dim, int64_t size) {
  if (t.size(dim) == size) return t;
  Shape more = t.shape();
  more[dim] = size - t.size(dim);
  return concat({t, zeros(more, t.dtype())}, dim);
}

/// Ops whose results are finite where all operands are: what they make of the zeros in padded
/// channels, zero weights make zero again.
bool stays_finite(std::string_view op) {
  static constexpr std::string_view known[] = {"add",  "sub",     "mul",     "neg",     "relu",
                                               "tanh", "sigmoid", "maximum", "minimum", "abs"};
  return std::find(std::begin(known), std::end(known), op) != std::end(known);
}

class Layout {
 public:
  Layout(const Graph& graph, const CompileOptions& options)
      : graph_(graph), options_(options), uses_(count_output_uses(graph)) {}

  Graph run() {
    return rewrite(graph_, [&](const Node& n, const Tensors& in) -> Tensors {
      const bool elementwise = n.op->kind == OpKind::elementwise;
      const DType type = n.outputs[0].dtype;
      if (type != DType::f32 && !(elementwise && type == DType::boolean)) return {};
      if (is_op(&n, "conv")) return convolution(n, in);
      if (is_op(&n, "conv_input_grad")) return input_grad(n, in);
      if (is_op(&n, "conv_weight_grad")) return weight_grad(n, in);
      if (in.empty() ||
          std::none_of(in.begin(), in.end(), [](const Tensor& t) { return inside(t).defined(); }))
        return {};
      if (is_op(&n, "max_pool") || is_op(&n, "avg_pool")) return pool(n, in[0]);
      if (is_op(&n, "batch_norm_infer")) return batch_norm(n, in);
      if (is_op(&n, "batch_norm_train")) return batch_norm_train(n, in);
      if (is_op(&n, "batch_norm_grad")) return batch_norm_grad(n, in);
      if (is_op(&n, "mean") || is_op(&n, "sum")) return over_pixels(n, in[0]);
      if (is_op(&n, "concat")) return join(n, in);
      if (is_op(&n, "slice")) return part(n, in[0]);
      if (!elementwise) return {};
      if (Tensors y = into_convolution(n, in); !y.empty()) return y;
      return on_elements(n, in);
    });
  }

 private:
  bool used_once(const Tensor& t) { return uses_[{t.node(), t.index()}] == 1; }

  /// True if a kernel is there for this node.
  bool claimed(const Tensor& t) const { return has_kernel(*t.node(), t.node()->inputs, options_); }

  /// A plain tensor in blocks, reordered once for all who read it.
  Tensor as_blocks(const Tensor& t, int64_t block) {
    if (const Tensor x = inside(t); x.defined() && x.size(-1) == block) return x;
    auto& known = reordered_[{t.node(), t.index(), block}];
    if (!known.second.defined()) known = {t, to_blocks(t, block)};
    return known.second;
  }

  /// One value for each channel, [C], as something that broadcasts over Nx(C/B)xHxWxB.
  static Tensor over_blocks(const Tensor& t, int64_t block) {
    return t.numel() % block == 0 ? reshape(t, {1, t.numel() / block, 1, 1, block})
                                  : to_blocks(reshape(t, {1, t.numel(), 1, 1}), block);
  }

  Tensors convolution(const Node& n, const Tensors& in) {
    if (in[0].rank() != 4) return {};
    for (const int64_t block : kBlockSizes)
      if (Tensor y = convolution(n, in[0], in[1], block); y.defined()) return {y};
    return {};
  }

  /// How weights and channels lie in a convolution on blocks; no outs if they do not suit it.
  struct Channels {
    int64_t ins = 0, outs = 0;  ///< of the weight, with padding
    bool plain = false;         ///< x is a picture, not in blocks
  };
  static Channels channels(const Shape& weight, int64_t groups, int64_t block) {
    const int64_t outs = weight[0], ins = weight[1] * groups;
    const auto whole = [&](int64_t c) { return (c + block - 1) / block * block; };
    if (groups == 1) {
      const bool plain = ins <= 4;
      if (!fills(outs, block) || (!plain && !fills(ins, block))) return {};
      return {plain ? ins : whole(ins), whole(outs), plain};
    }
    if (groups == ins && outs == ins) {
      if (!fills(ins, block)) return {};
      return {1, whole(outs)};
    }
    if (ins % (groups * block) != 0 || outs % (groups * block) != 0) return {};
    return {weight[1], outs};
  }
  static Tensor padded_weight(const Tensor& w, const Channels& c) {
    return padded(padded(w, 0, c.outs), 1, c.ins);
  }
  /// Groups once a depthwise convolution is padded.
  static int64_t groups_of(const Shape& weight, int64_t groups, const Channels& c) {
    return groups == weight[0] ? c.outs : groups;
  }

  Tensors input_grad(const Node& n, const Tensors& in) {
    if (in[0].rank() != 4) return {};
    auto a = *static_cast<const ConvInputGradAttrs*>(n.attrs.get());
    const Shape& w = in[1].shape();
    const int64_t ins = w[1] * a.groups;
    for (const int64_t block : kBlockSizes) {
      const Channels c = channels(w, a.groups, block);
      if (c.outs == 0 || c.plain) continue;
      const Tensor operands[] = {as_blocks(in[0], block), padded_weight(in[1], c)};
      a.groups = groups_of(w, a.groups, c);
      const Tensor dx = make(*find_op("conv_blocks_input_grad"), box(a), operands);
      if (claimed(dx)) return {from_blocks(dx, ins)};
    }
    return {};
  }

  Tensors weight_grad(const Node& n, const Tensors& in) {
    if (in[0].rank() != 4) return {};
    auto a = *static_cast<const ConvWeightGradAttrs*>(n.attrs.get());
    const Shape& w = n.outputs[0].shape;
    for (const int64_t block : kBlockSizes) {
      const Channels c = channels(w, a.groups, block);
      if (c.outs == 0) continue;
      const Tensor operands[] = {c.plain ? in[0] : as_blocks(in[0], block),
                                 as_blocks(in[1], block)};
      a.groups = groups_of(w, a.groups, c);
      const Tensor dw = make(*find_op("conv_blocks_weight_grad"), box(a), operands);
      if (claimed(dw)) return {narrow(narrow(dw, 0, 0, w[0]), 1, 0, w[1])};
    }
    return {};
  }

  Tensor convolution(const Node& n, const Tensor& x, const Tensor& weight, int64_t block) {
    const int64_t outs = weight.size(0), groups = attr<int64_t>(n, "groups");
    const Channels c = channels(weight.shape(), groups, block);
    if (c.outs == 0) return {};
    ConvBlocksAttrs a;
    a.stride = attr<Ints>(n, "stride");
    a.dilation = attr<Ints>(n, "dilation");
    a.pad_low = attr<Ints>(n, "pad_low");
    a.pad_high = attr<Ints>(n, "pad_high");
    a.groups = groups_of(weight.shape(), groups, c);
    a.block = block;
    a.macs = macs_of(n);
    a.plain = c.plain;
    a.training = !weight.evaluated();
    const Tensor known = inside(x);
    if (known.defined() && known.size(-1) != block) return {};
    const Tensor in[] = {a.plain ? x : as_blocks(x, block), padded_weight(weight, c)};
    const Tensor y = make(*find_op("conv_blocks"), box(a), in);
    return claimed(y) ? from_blocks(y, outs) : Tensor();
  }

  /// y = conv(...) then `n`, as one node.
  Tensors into_convolution(const Node& n, const Tensors& in) {
    const auto last = [&](size_t i) -> const Node* {  // a convolution that only `n` reads
      const Tensor x = inside(in[i]);
      return x.defined() && is_op(x.node(), "conv_blocks") && used_once(n.inputs[i]) ? x.node()
                                                                                     : nullptr;
    };
    const auto again = [&](const Node* conv, const ConvBlocksAttrs& a, Tensors inputs) -> Tensors {
      const MadeFor place(*conv);
      const Tensor y = make(*conv->op, box(a), inputs);
      return claimed(y) ? Tensors{from_blocks(y, n.outputs[0].shape[1])} : Tensors();
    };
    const auto attrs = [](const Node* conv) {
      return *static_cast<const ConvBlocksAttrs*>(conv->attrs.get());
    };
    const auto limited = [](const ConvBlocksAttrs& a) {
      return a.low > -INFINITY || a.high < INFINITY;
    };
    for (size_t i = 0; i < in.size() && i < 2; ++i) {
      const Node* conv = last(i);
      if (!conv) continue;
      ConvBlocksAttrs a = attrs(conv);
      Tensors inputs(conv->inputs.begin(), conv->inputs.end());
      if (is_op(&n, "relu") && !limited(a)) {
        a.low = 0;
        return again(conv, a, std::move(inputs));
      }
      if (in.size() < 2 || in[i].shape() != n.outputs[0].shape) continue;
      const Tensor& other = in[1 - i];
      const bool number = other.evaluated() && other.numel() == 1 && !std::isnan(other.item());
      if (is_op(&n, "maximum") && number && !limited(a)) {
        a.low = other.item();
        return again(conv, a, std::move(inputs));
      }
      if (is_op(&n, "minimum") && number && a.high == INFINITY && a.low <= other.item()) {
        a.high = other.item();
        return again(conv, a, std::move(inputs));
      }
      if (!is_op(&n, "add") || limited(a) || a.swish || a.residual) continue;
      if (const Tensor bias = per_channel(other, n.outputs[0].shape[1]);
          bias.defined() && !a.bias) {
        a.bias = true;
        inputs.push_back(padded(bias, 0, inputs[1].size(0)));
        return again(conv, a, std::move(inputs));
      }
      const Tensor sum = inside(other);
      if (!sum.defined() || sum.shape() != inside(in[i]).shape()) continue;
      a.residual = true;
      inputs.push_back(sum);
      return again(conv, a, std::move(inputs));
    }
    return swish(n, in, again);
  }

  /// y * sigmoid(y), where nothing else reads y.
  template <typename Again>
  Tensors swish(const Node& n, const Tensors& in, const Again& again) {
    if (!is_op(&n, "mul")) return {};
    for (size_t i = 0; i < 2; ++i) {
      const Tensor y = inside(in[i]), gate = inside(in[1 - i]);
      if (!y.defined() || !gate.defined() || !is_op(y.node(), "conv_blocks") ||
          !is_op(gate.node(), "sigmoid") || !same(gate.node()->inputs[0], y) ||
          uses_[{n.inputs[i].node(), n.inputs[i].index()}] != 2 || !used_once(n.inputs[1 - i]))
        continue;
      ConvBlocksAttrs a = *static_cast<const ConvBlocksAttrs*>(y.node()->attrs.get());
      if (a.swish || a.low > -INFINITY || a.high < INFINITY) continue;
      a.swish = true;
      return again(y.node(), a, Tensors(y.node()->inputs.begin(), y.node()->inputs.end()));
    }
    return {};
  }

  /// What has one value for each channel of NxCxHxW, as [C]; undefined for others.
  static Tensor per_channel(const Tensor& t, int64_t channels) {
    if (t.dtype() != DType::f32) return {};
    if (t.numel() == 1) return expand(reshape(t, {1}), {channels});
    const int64_t rank = t.rank();
    const bool fits = (rank == 3 || (rank == 4 && t.size(0) == 1)) && t.size(-3) == channels &&
                      t.size(-2) == 1 && t.size(-1) == 1;
    return fits ? reshape(t, {channels}) : Tensor();
  }

  Tensors on_elements(const Node& n, const Tensors& in) {
    const Shape& out = n.outputs[0].shape;
    if (out.rank() != 4) return {};
    int64_t block = 0;
    for (const Tensor& t : in)
      if (const Tensor x = inside(t); x.defined() && x.rank() == 5) block = x.size(4);
    if (block == 0 || (out[1] % block != 0 && !stays_finite(n.op->name))) return {};
    Tensors blocks;
    int held = 0, plain = 0;  // operands of the full size
    for (const Tensor& t : in) {
      const Tensor x = inside(t), few = unexpanded(t), channels = per_channel(few, out[1]);
      if (t.numel() == 1)
        blocks.push_back(t);
      else if (x.defined() && x.rank() == 5 && x.size(4) == block && t.size(1) == out[1])
        blocks.push_back(x);
      else if (channels.defined())
        blocks.push_back(over_blocks(channels, block));
      else if (few.rank() == 4 && few.size(1) == out[1] && 8 * few.numel() <= out.numel())
        blocks.push_back(as_blocks(few, block));  // the gate of a squeeze-and-excite block, say
      else if (few.rank() == 4 && few.size(1) == 1)
        blocks.push_back(unsqueeze(few, 4));  // a number for each sample or pixel
      else if (t.shape() == out && t.dtype() == DType::f32 && out[1] % block == 0)
        blocks.push_back(as_blocks(t, block));
      else
        return {};
      held += x.defined() && t.shape() == out;
      plain += !x.defined() && blocks.back().numel() == out.numel();
    }
    if (held == 0 || plain > held) return {};
    const Tensor y = make(*n.op, n.attrs, blocks);
    return y.rank() == 5 ? Tensors{from_blocks(y, out[1])} : Tensors();
  }

  /// Below a view that repeats values.
  static Tensor unexpanded(const Tensor& t) {
    return is_op(t.node(), "expand") && t.node()->inputs[0].rank() == t.rank() ? t.node()->inputs[0]
                                                                               : t;
  }

  Tensors batch_norm(const Node& n, const Tensors& in) {
    const Tensor x = inside(in[0]);
    if (!x.defined() || x.rank() != 5) return {};
    const Tensor scale = in[1] * rsqrt(in[4] + attr<double>(n, "eps")),
                 shift = in[2] - in[3] * scale;
    const int64_t block = x.size(4);
    return {from_blocks(x * over_blocks(scale, block) + over_blocks(shift, block), in[0].size(1))};
  }

  Tensors batch_norm_train(const Node& n, const Tensors& in) {
    const Tensor x = inside(in[0]);
    if (!x.defined() || x.rank() != 5) return {};
    const int64_t block = x.size(4), channels = in[0].size(1);
    const Tensors m =
        make_all(*find_op("channel_moments"), box(ChannelAttrs{true}), std::span(&x, 1));
    const Tensor mean = narrow(m[0], 0, 0, channels), variance = narrow(m[1], 0, 0, channels),
                 scale = in[1] * rsqrt(variance + attr<double>(n, "eps"));
    const Tensor y =
        (x - over_blocks(mean, block)) * over_blocks(scale, block) + over_blocks(in[2], block);
    return {from_blocks(y, channels), mean, variance};
  }

  Tensors batch_norm_grad(const Node& n, const Tensors& in) {
    const Tensor &weight = in[1], &mean = in[2];
    const Tensor known = inside(in[0]).defined() ? inside(in[0]) : inside(in[4]);
    if (!known.defined() || known.rank() != 5) return {};
    const int64_t block = known.size(4), channels = in[0].size(1);
    const Tensor x = as_blocks(in[0], block), dy = as_blocks(in[4], block);
    const Tensor operands[] = {x, dy, padded(mean, 0, x.size(1) * block)};
    const Tensors sums = make_all(*find_op("channel_products"), box(ChannelAttrs{true}), operands);
    const double count = static_cast<double>(in[0].numel()) / static_cast<double>(channels);
    const Tensor rstd = rsqrt(in[3] + attr<double>(n, "eps")), db = narrow(sums[0], 0, 0, channels),
                 dw = narrow(sums[1], 0, 0, channels) * rstd;
    // dx = scale (dy - db / count - (x - mean) rstd dw / count)
    const Tensor scale = weight * rstd, by_x = scale * rstd * dw * (-1 / count),
                 shift = scale * db * (-1 / count);
    const Tensor dx = (x - over_blocks(mean, block)) * over_blocks(by_x, block) +
                      (dy * over_blocks(scale, block) + over_blocks(shift, block));
    return {from_blocks(dx, channels), dw, db};
  }

  Tensors pool(const Node& n, const Tensor& in) {
    const bool average = is_op(&n, "avg_pool");
    if (in.rank() != 4 || (!average && uses_.count({&n, 1}))) return {};
    PoolBlocksAttrs a;
    a.kernel = attr<Ints>(n, "kernel");
    a.stride = attr<Ints>(n, "stride");
    a.dilation = attr<Ints>(n, "dilation");
    a.pad_low = attr<Ints>(n, "pad_low");
    a.pad_high = attr<Ints>(n, "pad_high");
    a.average = average;
    if (average) a.include_pad = attr<bool>(n, "include_pad");
    const Tensor x[] = {inside(in)};
    const Tensor y = make(*find_op("pool_blocks"), box(a), x);
    if (!claimed(y)) return {};
    Tensors out = {from_blocks(y, in.size(1))};
    if (!average) out.emplace_back();  // the places, which nobody reads
    return out;
  }

  /// A mean or sum over height and width, or over all but channels.
  Tensors over_pixels(const Node& n, const Tensor& in) {
    if (in.rank() != 4) return {};
    const Tensor x[] = {inside(in)};
    if (attr<Ints>(n, "dims") == Ints{0, 2, 3} && in.numel() > 0) {
      Tensor m = make_all(*find_op("channel_moments"), box(ChannelAttrs{true}), x)[0];
      if (is_op(&n, "sum"))
        m = m * (static_cast<double>(in.numel()) / static_cast<double>(in.size(1)));
      return {reshape(narrow(m, 0, 0, in.size(1)), n.outputs[0].shape)};
    }
    if (attr<Ints>(n, "dims") != Ints{2, 3}) return {};
    const Tensor y = make(*n.op, n.attrs, x);  // [N, G, B] or [N, G, 1, 1, B]
    const Tensor rows = reshape(y, {x[0].size(0), x[0].size(1) * x[0].size(4)});
    return {reshape(narrow(rows, 1, 0, in.size(1)), n.outputs[0].shape)};
  }

  Tensors join(const Node& n, const Tensors& in) {
    if (attr<int64_t>(n, "dim") != 1) return {};
    Tensors blocks;
    for (const Tensor& t : in) {
      const Tensor x = inside(t);
      if (!x.defined() || t.rank() != 4 || t.size(1) % x.size(4) != 0 ||
          (!blocks.empty() && blocks[0].size(4) != x.size(4)))
        return {};
      blocks.push_back(x);
    }
    return {from_blocks(concat(blocks, 1), n.outputs[0].shape[1])};
  }

  /// Whole blocks of channels.
  Tensors part(const Node& n, const Tensor& in) {
    const Tensor x = inside(in);
    if (in.rank() != 4 || attr<Ints>(n, "steps") != Ints{1, 1, 1, 1}) return {};
    const Ints starts = attr<Ints>(n, "starts"), sizes = attr<Ints>(n, "sizes");
    const int64_t block = x.size(4);
    for (const int64_t d : {0, 2, 3})
      if (sizes[d] != in.size(d)) return {};
    if (starts[1] % block != 0 || sizes[1] % block != 0) return {};
    return {from_blocks(narrow(x, 1, starts[1] / block, sizes[1] / block), sizes[1])};
  }

  const Graph& graph_;
  const CompileOptions& options_;
  OutputUses uses_;
  // Of the new graph, with what they are kept for.
  std::map<std::tuple<const Node*, uint32_t, int64_t>, std::pair<Tensor, Tensor>> reordered_;
};

Graph run_layout(const Graph& graph, const CompileOptions& options) {
  const auto nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(), [](const Node* n) {
        return is_op(n, "conv") || is_op(n, "conv_input_grad") || is_op(n, "conv_weight_grad");
      }))
    return graph;
  return Layout(graph, options).run();
}

}  // namespace

extern const Pass pass_layout;
const Pass pass_layout = {"layout", run_layout};

}  // namespace nacre
