// The encoder of the Transformer (Vaswani et al. 2017), normalised before each part.
#pragma once
#include "nacre/nn.h"

namespace networks {
using namespace nacre;

struct EncoderLayer : Module {
  EncoderLayer(const Scope& s, int64_t width, int64_t number_of_heads, int64_t inner)
      : Module(s),
        norm1(s / "norm1", {{width}}),
        qkv(s / "qkv", {width, 3 * width}),
        out(s / "out", {width, width}),
        norm2(s / "norm2", {{width}}),
        fc1(s / "fc1", {width, inner}),
        fc2(s / "fc2", {inner, width}),
        drop(s / "drop", 0.1),
        heads(number_of_heads) {}
  Tensor forward(const Tensor& x, Context& ctx) override {
    const int64_t n = x.size(0), steps = x.size(1), width = x.size(2);
    const auto split_heads = [&](const Tensor& t) {
      return transpose(reshape(t, {n, steps, heads, width / heads}), 1, 2);
    };
    const Tensors p = chunk(qkv(norm1(x, ctx), ctx), 3, -1);
    const Tensor seen =
        scaled_dot_product_attention(split_heads(p[0]), split_heads(p[1]), split_heads(p[2]));
    const Tensor merged = reshape(transpose(seen, 1, 2), {n, steps, width});
    const Tensor y = x + drop(out(merged, ctx), ctx);
    return y + drop(fc2(gelu(fc1(norm2(y, ctx), ctx)), ctx), ctx);
  }
  LayerNorm norm1;
  Linear qkv, out;
  LayerNorm norm2;
  Linear fc1, fc2;
  Dropout drop;
  int64_t heads;
};

/// Words by number [batch, steps] to vectors [batch, steps, width].
struct TransformerEncoder : Module {
  struct Config {
    int64_t words = 0, steps = 0, width = 64, heads = 4, layers = 2;
  };
  TransformerEncoder(const Scope& s, const Config& c)
      : Module(s),
        embed(s / "embed", {c.words, c.width}),
        position(s.parameter("position", {c.steps, c.width}, init::normal(0, 0.02))),
        layers(s / "layers"),
        norm(s / "norm", {{c.width}}) {
    for (int64_t k = 0; k < c.layers; ++k) layers.add<EncoderLayer>(c.width, c.heads, 4 * c.width);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    return norm(layers(embed(x, ctx) + position.value(), ctx), ctx);
  }
  Embedding embed;
  Variable position;
  Sequential layers;
  LayerNorm norm;
};
}  // namespace networks
