// Channels in blocks, held through a network: convolutions whose weights never change (of a
// Program, that is) take and give Nx(C/B)xHxWxB, what lies between them follows, and only the edges
// are reordered. Bias, an addition and the activation become part of the convolution.
//
// Each rule turns an op on from_blocks(x) into from_blocks(op on x). A from_blocks that nothing
// else reads is thus never computed.
#include <algorithm>
#include <map>

#include "compile/plan.h"
#include "compile/rewrite.h"
#include "ops/nn/blocks.h"

namespace nacre {
namespace {

/// x of from_blocks(x); undefined for others.
Tensor inside(const Tensor& t) {
  return is_op(t.node(), "from_blocks") ? t.node()->inputs[0] : Tensor();
}

/// Of channels in blocks, the share that is not padding.
double share(int64_t channels, int64_t block) {
  return static_cast<double>(channels) /
         static_cast<double>((channels + block - 1) / block * block);
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
  Layout(const Graph& graph, const CompileOptions& options) : graph_(graph), options_(options) {
    for (const Node* n : graph.nodes())
      for (const Tensor& t : n->inputs) ++uses_[{t.node(), t.index()}];
    for (const Tensor& t : graph.outputs()) ++uses_[{t.node(), t.index()}];
  }

  Graph run() {
    return rewrite(graph_, [&](const Node& n, const Tensors& in) -> Tensors {
      if (n.outputs[0].dtype != DType::f32) return {};
      if (is_op(&n, "conv")) return convolution(n, in);
      if (in.empty() ||
          std::none_of(in.begin(), in.end(), [](const Tensor& t) { return inside(t).defined(); }))
        return {};
      if (is_op(&n, "max_pool") || is_op(&n, "avg_pool")) return pool(n, in[0]);
      if (is_op(&n, "batch_norm_infer")) return batch_norm(n, in);
      if (is_op(&n, "mean") || is_op(&n, "sum")) return over_pixels(n, in[0]);
      if (is_op(&n, "concat")) return join(n, in);
      if (n.op->kind != OpKind::elementwise) return {};
      if (Tensors y = into_convolution(n, in); !y.empty()) return y;
      return elementwise(n, in);
    });
  }

 private:
  bool used_once(const Tensor& t) { return uses_[{t.node(), t.index()}] == 1; }

  /// True if a kernel is there for this node.
  bool claimed(const Tensor& t) const { return has_kernel(*t.node(), t.node()->inputs, options_); }

  Tensors convolution(const Node& n, const Tensors& in) {
    if (!in[1].evaluated() || in[0].rank() != 4) return {};
    for (const int64_t block : {16, 8})
      if (Tensor y = convolution(n, in[0], in[1], block); y.defined()) return {y};
    return {};
  }

  Tensor convolution(const Node& n, const Tensor& x, const Tensor& weight, int64_t block) {
    const int64_t outs = weight.size(0), ins = x.size(1), groups = attr<int64_t>(n, "groups");
    const auto whole = [&](int64_t c) { return (c + block - 1) / block * block; };
    ConvBlocksAttrs a;
    a.stride = attr<Ints>(n, "stride");
    a.dilation = attr<Ints>(n, "dilation");
    a.pad_low = attr<Ints>(n, "pad_low");
    a.pad_high = attr<Ints>(n, "pad_high");
    a.block = block;
    a.macs = macs_of(n);
    Tensor w = weight;
    if (groups == 1) {
      a.plain = ins <= 4;  // a picture
      if (share(outs, block) < 0.6 || (!a.plain && share(ins, block) < 0.6)) return {};
      w = padded(padded(w, 0, whole(outs)), 1, a.plain ? ins : whole(ins));
    } else if (groups == ins && outs == ins) {
      if (share(ins, block) < 0.6) return {};
      w = padded(w, 0, whole(outs));
      a.groups = whole(ins);
    } else {
      if (ins % (groups * block) != 0 || outs % (groups * block) != 0) return {};
      a.groups = groups;
    }
    const Tensor known = inside(x);
    if (known.defined() && known.size(-1) != block) return {};
    const Tensor from = a.plain ? x : known.defined() ? known : to_blocks(x, block);
    const Tensor in[] = {from, w};
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
      const bool number = other.evaluated() && other.numel() == 1;
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

  /// A constant that has one value for each channel of NxCxHxW, as [C]; undefined for others.
  static Tensor per_channel(const Tensor& t, int64_t channels) {
    if (!t.evaluated() || t.dtype() != DType::f32) return {};
    if (t.numel() == 1) return expand(reshape(t, {1}), {channels});
    const int64_t rank = t.rank();
    const bool fits = (rank == 3 || (rank == 4 && t.size(0) == 1)) && t.size(-3) == channels &&
                      t.size(-2) == 1 && t.size(-1) == 1;
    return fits ? reshape(t, {channels}) : Tensor();
  }

  Tensors elementwise(const Node& n, const Tensors& in) {
    const Shape& out = n.outputs[0].shape;
    if (out.rank() != 4) return {};
    int64_t block = 0;
    for (const Tensor& t : in)
      if (const Tensor x = inside(t); x.defined() && x.rank() == 5) block = x.size(4);
    if (block == 0 || (out[1] % block != 0 && !stays_finite(n.op->name))) return {};
    Tensors blocks;
    bool full = false;
    for (const Tensor& t : in) {
      const Tensor x = inside(t), channels = per_channel(t, out[1]);
      if (t.numel() == 1)
        blocks.push_back(t);
      else if (x.defined() && x.rank() == 5 && x.size(4) == block && t.size(1) == out[1])
        blocks.push_back(x);
      else if (channels.defined())
        blocks.push_back(to_blocks(reshape(channels, {1, out[1], 1, 1}), block));
      else if (t.rank() == 4 && t.size(1) == out[1] && 8 * t.numel() <= out.numel())
        blocks.push_back(to_blocks(t, block));  // the gate of a squeeze-and-excite block, say
      else
        return {};
      full = full || t.shape() == out;
    }
    if (!full) return {};
    const Tensor y = make(*n.op, n.attrs, blocks);
    return y.rank() == 5 ? Tensors{from_blocks(y, out[1])} : Tensors();
  }

  Tensors batch_norm(const Node& n, const Tensors& in) {
    if (in[0].rank() != 4) return {};
    for (size_t i = 1; i < in.size(); ++i)
      if (!in[i].evaluated()) return {};
    const Tensor x = inside(in[0]);
    const Tensor scale = in[1] * rsqrt(in[4] + attr<double>(n, "eps")),
                 shift = in[2] - in[3] * scale;
    const auto blocks = [&](const Tensor& t) {
      return to_blocks(reshape(t, {1, in[0].size(1), 1, 1}), x.size(4));
    };
    return {from_blocks(x * blocks(scale) + blocks(shift), in[0].size(1))};
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

  /// A mean or sum over height and width.
  Tensors over_pixels(const Node& n, const Tensor& in) {
    if (in.rank() != 4 || attr<Ints>(n, "dims") != Ints{2, 3}) return {};
    const Tensor x[] = {inside(in)};
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

  const Graph& graph_;
  const CompileOptions& options_;
  std::map<std::pair<const Node*, uint32_t>, int> uses_;
};

Graph run_layout(const Graph& graph, const CompileOptions& options) {
  const auto nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [](const Node* n) { return is_op(n, "conv") && n->inputs[1].evaluated(); }))
    return graph;
  return Layout(graph, options).run();
}

}  // namespace

extern const Pass pass_layout;
const Pass pass_layout = {"layout", run_layout};

}  // namespace nacre
