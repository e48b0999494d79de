#include <algorithm>

#include "explain/scores.h"

namespace nacre::explain {
namespace {

using Maker = Tensor (*)(Module& net, const Tensor& x, const Classes& classes,
                         const HeatOptions& options);

Tensor each_alone(const Tensor& x, const Classes& classes,
                  const std::function<Tensor(const Tensor&, const Classes&)>& one) {
  const Classes all = for_each(classes, x.size(0));
  Tensors maps;
  for (int64_t i = 0; i < x.size(0); ++i)
    maps.push_back(one(slice(x, 0, i, i + 1), {all[static_cast<size_t>(i)]}));
  return concat(maps, 0);
}

struct Entry {
  Method method;
  Maker make;
};

const Entry kEntries[] = {
    {{"cam", "The last maps, weighted by what they add to the score", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return cam(net, x, c, o.layer);
     }},
    {{"grad_cam", "Maps of a layer, weighted by the score's mean gradient", false},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return grad_cam(net, x, c, o.layer);
     }},
    {{"lrp", "The score, handed back layer by layer to the pixels that made it", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return lrp(scores_of(net), x, c, LrpOptions::named(o.rule)).map;
     }},
    {{"saliency", "How strongly the score reacts to a change of each pixel", false},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions&) {
       return amax(saliency(scores_of(net), x, c), {1}, true);
     }},
    {{"guided_backprop", "The gradient, with what is negative stopped at each ReLU", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions&) {
       return guided_backprop(scores_of(net), x, c);
     }},
    {{"smooth_grad", "The mean gradient over noisy copies", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return smooth_grad(scores_of(net), x, c, {.key = o.key});
     }},
    {{"integrated_gradients", "Gradients summed on the way from an empty picture", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return integrated_gradients(scores_of(net), x, c, {.baseline = o.fill}).map;
     }},
    {{"occlusion", "By how much the score falls when a window is covered", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return mean(occlusion(scores_of(net), x, c, {.fill = o.fill}), {1}, true);
     }},
    {{"shap", "Shapley values of the cells of a grid", true},
     [](Module& net, const Tensor& x, const Classes& c, const HeatOptions& o) {
       return each_alone(x, c, [&](const Tensor& one, const Classes& k) {
         return shap(scores_of(net), one, k, {.shapley = {.key = o.key}, .fill = o.fill});
       });
     }},
};

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> list = [] {
    std::vector<Method> all;
    for (const Entry& e : kEntries) all.push_back(e.method);
    return all;
  }();
  return list;
}

Tensor heat(Module& net, const Tensor& x, const Classes& classes, const std::string& method,
            const HeatOptions& options) {
  check_pictures("explain", x);
  const auto* entry = std::find_if(std::begin(kEntries), std::end(kEntries),
                                   [&](const Entry& e) { return method == e.method.name; });
  if (entry == std::end(kEntries)) {
    std::string known;
    for (const Method& m : methods()) known += cat({known.empty() ? "" : ", ", m.name});
    fail(Error::Kind::usage, {"there is no method '", method, "'; known are ", known});
  }
  Tensor map = entry->make(net, x, classes, options);
  if (map.size(1) > 1) map = sum(map, {1}, true);
  if (map.size(2) != x.size(2) || map.size(3) != x.size(3))
    map = interpolate(map, {x.size(2), x.size(3)}, "bilinear");
  eval(map);
  return map;
}

double sanity(Module& net, const Tensor& x, const Classes& classes, const std::string& method,
              const HeatOptions& options, int64_t draws) {
  const auto map = [&] {
    return method == "saliency" ? gradient(scores_of(net), x, classes)
                                : heat(net, x, classes, method, options);
  };
  return sanity(net, map, draws, options.key);
}

Tensor heat(Module& net, const Tensor& x, const Classes& classes) {
  check_pictures("explain", x);
  return heat(net, x, classes, map_layers(net, x).empty() ? "integrated_gradients" : "grad_cam");
}

}  // namespace nacre::explain
