// A classifier of sequences: two layers of long short-term memory (Hochreiter and Schmidhuber
// 1997), the last step's output, a full layer. Parameters are named as in PyTorch.
#pragma once

#include <cmath>

#include "nacre/nn.h"

namespace networks {
using namespace nacre;

struct LstmClassifier : Module {
  struct Config {
    int64_t in = 0, hidden = 0, classes = 0, layers = 2;
  };
  LstmClassifier(const Scope& s, const Config& c)
      : Module(s), fc(s / "fc", {c.hidden, c.classes}), layers(c.layers) {
    const double bound = 1 / std::sqrt(static_cast<double>(c.hidden));
    for (int64_t k = 0; k < c.layers; ++k)
      for (const std::string name : {"weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l"}) {
        const bool matrix = name[0] == 'w', from_input = name.find("_ih") != std::string::npos;
        const Shape rows{4 * c.hidden};
        const Shape shape{4 * c.hidden, from_input && k == 0 ? c.in : c.hidden};
        weights.push_back((s / "lstm")
                              .parameter(name + std::to_string(k), matrix ? shape : rows,
                                         init::uniform(-bound, bound)));
      }
  }
  /// x: [steps, batch, in].
  Tensor forward(const Tensor& x, Context& ctx) override {
    RnnOptions options;
    options.layers = layers;
    return fc(select(lstm(x, values(weights), options)[0], 0, -1), ctx);
  }
  std::vector<Variable> weights;
  Linear fc;
  int64_t layers;
};
}  // namespace networks
