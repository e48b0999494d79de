#include "explain/scores.h"

#include <algorithm>

#include "nacre/autograd.h"
#include "nacre/zoo.h"

namespace nacre::explain {

Scores scores_of(Module& net) {
  return [&net](const Tensor& x) {
    Context ctx = Context::eval();
    return net(x, ctx);
  };
}

Classes for_each(const Classes& classes, int64_t n) {
  const auto given = static_cast<int64_t>(classes.size());
  if (given == n) return classes;
  if (given != 1)
    fail(Error::Kind::usage, {"[explain] ", given, " classes for ", n,
                              " samples: there should be one for each, or one for all"});
  return Classes(static_cast<size_t>(n), classes[0]);
}

Tensor pick(const Tensor& y, const Classes& classes) {
  if (y.rank() != 2 || !is_float(y.dtype()))
    fail(Error::Kind::shape, {"[explain] the model gives ", y.dtype(), " ", y.shape(),
                              "; a row of scores for each sample is needed"});
  const Classes all = for_each(classes, y.size(0));
  for (int64_t c : all)
    if (c < 0 || c >= y.size(1))
      fail(Error::Kind::usage,
           {"[explain] there is no class ", c, ": the model has ", y.size(1), ", counted from 0"});
  return reshape(gather(y, 1, Tensor::from(all, {y.size(0), 1})), {y.size(0)});
}

Tensor class_scores(const Scores& f, const Tensor& x, const Classes& classes) {
  return pick(f(x), classes);
}

Tensor gradient(const Scores& f, const Tensor& x, const Classes& classes) {
  return grad(sum(pick(f(x), classes)), {x})[0];
}

Tensor like(const Tensor& fill, const Tensor& x) {
  return fill.defined() ? expand(cast(fill, x.dtype()), x.shape()) : zeros(x.shape(), x.dtype());
}

void check_pictures(const char* method, const Tensor& x) {
  if (x.rank() != 4 || x.numel() == 0)
    fail(Error::Kind::shape,
         {"[", method, "] x has shape ", x.shape(), ", pictures [n, channels, h, w] are needed"});
}

namespace {

bool has_maps(const Shape& s) { return s.rank() == 4 && s[2] * s[3] > 1; }

}  // namespace

std::vector<std::string> map_layers(Module& net, const Tensor& x) {
  std::vector<std::string> names;
  for (const LayerInfo& l : list_layers(net, x.shape()))
    if (has_maps(l.output)) names.push_back(l.path);
  return names;
}

Tapped tap(Module& net, const Tensor& x, const std::string& layer) {
  Context ctx = Context::eval();
  ctx.taps[layer] = {};
  Tapped t;
  t.scores = net(x, ctx);
  t.maps = ctx.taps[layer];
  if (t.maps.defined() && has_maps(t.maps.shape())) return t;
  std::string known;
  for (const std::string& name : map_layers(net, x)) known += (known.empty() ? "" : ", ") + name;
  if (known.empty()) known = "none";
  if (t.maps.defined())
    fail(Error::Kind::usage, {"[explain] layer '", layer, "' gives ", t.maps.shape(),
                              ", not a stack of maps; layers that do: ", known});
  fail(Error::Kind::usage,
       {"[explain] there is no layer '", layer, "'; layers with maps: ", known});
}

}  // namespace nacre::explain
