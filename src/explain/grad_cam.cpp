#include "explain/scores.h"
#include "nacre/autograd.h"

namespace nacre::explain {

Tensor grad_cam(Module& net, const Tensor& x, const Classes& classes, const std::string& layer) {
  std::string name = layer;
  if (name.empty()) {
    const std::vector<std::string> known = map_layers(net, x);
    if (known.empty())
      fail(Error::Kind::unsupported,
           {"[grad_cam] no layer gives maps [n, channels, h, w]; other methods do not need one"});
    name = known.back();
  }
  const Tapped t = tap(net, x, name);
  const Tensor g = grad(sum(pick(t.scores, classes)), {t.maps})[0];
  return maximum(sum(mean(g, {2, 3}, true) * t.maps, {1}, true), 0);
}

}  // namespace nacre::explain
