// Hard-concrete gates, with the names of the paper: u is uniform noise, s a stretched sigmoid.
#include <cmath>

#include "nacre/optim.h"

namespace nacre {

L0Gates::L0Gates(const Module& net, const std::vector<std::string>& layers, const Options& o)
    : o_(o) {
  if (!(o.open > 0 && o.open < 1) || !(o.temperature > 0) || !(o.low < 0) || !(o.high > 1))
    fail(Error::Kind::usage,
         {"[l0] open should be within 0..1, temperature above 0, low below 0 and high above 1, "
          "got ",
          o.open, ", ", o.temperature, ", ", o.low, ", ", o.high});
  const double logit = std::log(o.open / (1 - o.open)) + o.temperature * std::log(-o.low / o.high);
  for (const std::string& path : layers) {
    Layer layer{path, net.state()->find(path + ".weight"), net.state()->find(path + ".bias"), {}};
    if (!layer.weight.defined())
      fail(Error::Kind::usage, {"[l0] the model has no '", path, ".weight'"});
    const Tensor& w = layer.weight.value();
    if (w.rank() < 2)
      fail(Error::Kind::usage,
           {"[l0] '", path, ".weight' has shape ", w.shape(), ", rank 2 or more is needed"});
    const Tensor start = full({w.size(0)}, logit, w.dtype());
    eval(start);
    layer.log_alpha = state_->add("log_alpha." + path, start, true);
    layers_.push_back(layer);
  }
}

Tensor L0Gates::gate(const Layer& layer, const Key* key) const {
  Tensor s = layer.log_alpha.value();
  if (key) {
    const Tensor u = uniform(s.shape(), key->fold_in(layer.path), 1e-6, 1 - 1e-6, s.dtype());
    s = (log(u) - log1p(-u) + s) / o_.temperature;
  }
  return clip(sigmoid(s) * (o_.high - o_.low) + o_.low, 0, 1);
}

void L0Gates::attach(Context& ctx) const {
  const Key key = ctx.key();
  ctx.hook = [this, key, training = ctx.training(), before = std::move(ctx.hook)](
                 const std::string& path, const Tensor& output) {
    Tensor y = output;
    if (before)
      if (Tensor replaced = before(path, y); replaced.defined()) y = std::move(replaced);
    for (const Layer& layer : layers_) {
      if (layer.path != path) continue;
      Tensor g = gate(layer, training ? &key : nullptr);
      if (layer.weight.value().rank() > 2) {  // channels are dimension 1 of the output
        Shape shape{g.size(0)};
        for (int64_t d = 2; d < y.rank(); ++d) shape.push_back(1);
        g = reshape(g, shape);
      }
      y = y * g;
    }
    return y;
  };
}

Tensor L0Gates::expected_weights() const {
  const double shift = o_.temperature * std::log(-o_.low / o_.high);
  Tensor total = Tensor::scalar(0, DType::f32);
  for (const Layer& l : layers_) {
    const Tensor& w = l.weight.value();
    const auto each = static_cast<double>(w.numel()) / static_cast<double>(w.size(0));
    total = total + cast(each * sum(sigmoid(l.log_alpha.value() - shift)), DType::f32);
  }
  return total;
}

std::vector<std::vector<float>> L0Gates::values() const {
  NoGrad guard;
  std::vector<std::vector<float>> all;
  for (const Layer& l : layers_) all.push_back(gate(l, nullptr).to_vector<float>());
  return all;
}

void L0Gates::prune() {
  NoGrad guard;
  Tensors changed;
  for (Layer& l : layers_) {
    const Tensor g = gate(l, nullptr);
    Shape shape{g.size(0)};
    for (int64_t d = 1; d < l.weight.value().rank(); ++d) shape.push_back(1);
    l.weight.set(l.weight.value() * reshape(g, shape));
    changed.push_back(l.weight.value());
    if (!l.bias.defined()) continue;
    l.bias.set(l.bias.value() * g);
    changed.push_back(l.bias.value());
  }
  eval(changed);
  for (Layer& l : layers_) {
    l.weight.commit();
    if (l.bias.defined()) l.bias.commit();
  }
}

}  // namespace nacre
