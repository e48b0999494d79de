#include <algorithm>
#include <string_view>

#include "explain/scores.h"
#include "explain/walk.h"
#include "nacre/autograd.h"

namespace nacre::explain {
namespace {

constexpr std::string_view kLinear[] = {"add",
                                        "sub",
                                        "neg",
                                        "mean",
                                        "sum",
                                        "avg_pool",
                                        "concat",
                                        "pad",
                                        "cast",
                                        "flip",
                                        "gather",
                                        "contiguous",
                                        "reshape",
                                        "permute",
                                        "slice",
                                        "expand",
                                        "index_select",
                                        "identity",
                                        "adaptive_avg_pool",
                                        "batch_norm_infer",
                                        "interpolate"};
constexpr std::string_view kProducts[] = {"mul", "div", "matmul", "conv"};

/// Whether y is an affine function of the maps.
bool affine_head(const Tapped& t) {
  bool affine = true;
  const Walk::Rule rule = [&](Walk& walk, Node& n, std::span<const Tensor> arrived) {
    const std::string_view op = n.op->name;
    const std::vector<size_t> inner = walk.dependent_inputs(n);
    if (among(kLinear, op) ||
        (among(kProducts, op) && inner.size() == 1 && !(op == "div" && inner[0] == 1))) {
      for (size_t i : inner) walk.send(n.inputs[i], zeros(n.inputs[i].shape()));
    } else if (n.op->decompose) {
      walk.send_through_parts(n, arrived, rule);
    } else {
      affine = false;
    }
  };
  Walk({t.scores}, {t.maps}).run({zeros(t.scores.shape())}, rule);
  return affine;
}

}  // namespace

Tensor cam(Module& net, const Tensor& x, const Classes& classes, const std::string& layer) {
  Tapped t;
  if (!layer.empty()) {
    t = tap(net, x, layer);
    if (!affine_head(t))
      fail(Error::Kind::unsupported,
           {"[cam] what follows layer '", layer, "' is not linear; grad_cam does not need that"});
  } else {
    std::vector<std::string> known = map_layers(net, x);
    if (!known.empty()) t = tap(net, x, known.back());
    if (known.empty() || !affine_head(t))
      fail(Error::Kind::unsupported,
           {"[cam] the model has no maps with only linear steps after them; grad_cam does not need "
            "that"});
  }
  const Tensor g = grad(sum(pick(t.scores, classes)), {t.maps})[0];
  return sum(g * t.maps, {1}, true);
}

}  // namespace nacre::explain
