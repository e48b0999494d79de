// A Transformer whose layers normalise before each part, of width 512 with 8 heads, and its keys
// and values kept for generation.
#pragma once

#include <cmath>

#include "workload.h"

namespace workload {

inline constexpr int64_t kWidth = 512, kHeads = 8, kLayers = 6, kInner = 2048;

struct Layer : Module {
  explicit Layer(const Scope& s)
      : Module(s),
        norm1(s / "norm1", {{kWidth}}),
        qkv(s / "qkv", {kWidth, 3 * kWidth}),
        out(s / "out", {kWidth, kWidth}),
        norm2(s / "norm2", {{kWidth}}),
        fc1(s / "fc1", {kWidth, kInner}),
        fc2(s / "fc2", {kInner, kWidth}) {}
  /// x: N x L x width; its queries, keys and values, each N x heads x L x width / heads.
  Tensors project(const Tensor& x, Context& ctx) {
    Tensors p = chunk(qkv(norm1(x, ctx), ctx), 3, -1);
    for (Tensor& t : p)
      t = transpose(reshape(t, {x.size(0), x.size(1), kHeads, kWidth / kHeads}), 1, 2);
    return p;
  }
  Tensor finish(const Tensor& x, const Tensor& seen, Context& ctx) {
    const Tensor y = x + out(reshape(transpose(seen, 1, 2), x.shape()), ctx);
    return y + fc2(gelu(fc1(norm2(y, ctx), ctx)), ctx);
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensors p = project(x, ctx);
    return finish(x, scaled_dot_product_attention(p[0], p[1], p[2]), ctx);
  }
  LayerNorm norm1;
  Linear qkv, out;
  LayerNorm norm2;
  Linear fc1, fc2;
};

struct Transformer : Module {
  explicit Transformer(const Scope& s) : Module(s), norm(s / "norm", {{kWidth}}) {
    for (int64_t i = 0; i < kLayers; ++i)
      layers.push_back(std::make_unique<Layer>(s / "layers" / i));
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    Tensor y = x;
    for (auto& layer : layers) y = (*layer)(y, ctx);
    return norm(y, ctx);
  }
  std::vector<std::unique_ptr<Layer>> layers;
  LayerNorm norm;
};

}  // namespace workload
