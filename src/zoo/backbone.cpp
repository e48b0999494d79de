#include "nacre/backbone.h"

#include <algorithm>
#include <cmath>

#include "nacre/autograd.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

int64_t depth_of(const std::string& path) { return std::count(path.begin(), path.end(), '.'); }

int64_t root_of(int64_t n) {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(n))));
  return n > 0 && side * side == n ? side : 0;
}

/// A form in which an output for a square picture is a map, and its side; 0: none.
int64_t side_of(const Tensor& y, int64_t input, FeatureStage& stage) {
  using Form = FeatureStage::Form;
  int64_t side = 0;
  if (y.rank() == 4 && y.size(2) == y.size(3)) {
    side = y.size(2);
    stage.channels = y.size(1);
    stage.form = Form::maps;
  } else if (y.rank() == 4 && y.size(1) == y.size(2)) {
    side = y.size(1);
    stage.channels = y.size(3);
    stage.form = Form::channels_last;
  } else if (y.rank() == 3) {
    stage.first = root_of(y.size(1)) ? 0 : 1;
    side = root_of(y.size(1) - stage.first);
    stage.channels = y.size(2);
    stage.form = Form::tokens;
  }
  return side > 1 && side <= input ? side : 0;
}

}  // namespace

std::vector<FeatureStage> feature_stages(Module& net, const Shape& input) {
  if (input.rank() != 3 || input[1] != input[2])
    fail(Error::Kind::usage,
         {"a backbone takes square pictures, channels x side x side, got ", input});
  NoGrad guard;
  Context ctx = Context::eval();
  std::vector<std::pair<int64_t, FeatureStage>> found;
  ctx.hook = [&](const std::string& path, const Tensor& y) {
    FeatureStage stage;
    stage.name = path;
    const int64_t side = side_of(y, input[2], stage);
    if (side == 0 || y.size(0) != 1 || path == net.path()) return Tensor();
    stage.stride = static_cast<double>(input[2]) / static_cast<double>(side);
    const auto same =
        std::find_if(found.begin(), found.end(), [&](const auto& f) { return f.first == side; });
    // Tokens are a map only if a map was cut into them.
    if (same == found.end() && stage.form == FeatureStage::Form::tokens) return Tensor();
    if (same == found.end())
      found.emplace_back(side, stage);
    else if (depth_of(path) <= depth_of(same->second.name))
      same->second = stage;  // a whole stage rather than a part of the next one
    return Tensor();
  };
  net(zeros({1, input[0], input[1], input[2]}), ctx);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<FeatureStage> stages;
  for (auto& [side, stage] : found) stages.push_back(std::move(stage));
  return stages;
}

Tensor as_map(const FeatureStage& stage, const Tensor& y) {
  using Form = FeatureStage::Form;
  if (stage.form == Form::maps) return y;
  if (stage.form == Form::channels_last) return permute(y, {0, 3, 1, 2});
  const Tensor places = slice(y, 1, stage.first);
  const int64_t side = root_of(places.size(1));
  if (side == 0)
    fail(Error::Kind::shape,
         {stage.name, " gives ", places.size(1), " places, no square picture's"});
  return reshape(transpose(places, 1, 2), {y.size(0), stage.channels, side, side});
}

Backbone::Backbone(const Scope& s, const std::string& model, const std::string& options,
                   const Shape& input)
    : Module(s), net_(make_model(model, options, s)), stages_(feature_stages(*net_, input)) {
  if (stages_.empty())
    fail(Error::Kind::usage, {"model ", model, " makes no maps of pictures of ", input,
                              ", so it cannot be a backbone"});
}

std::vector<int64_t> Backbone::channels() const {
  std::vector<int64_t> list;
  for (const FeatureStage& s : stages_) list.push_back(s.channels);
  return list;
}

Tensors Backbone::features(const Tensor& x, Context& ctx) {
  for (const FeatureStage& s : stages_) ctx.taps[s.name] = {};
  (*net_)(x, ctx);
  Tensors maps;
  for (const FeatureStage& s : stages_) {
    maps.push_back(as_map(s, ctx.taps[s.name]));
    ctx.taps.erase(s.name);
  }
  return maps;
}

FeaturePyramid::FeaturePyramid(const Scope& s, const Config& c) : Module(s) {
  if (c.in.empty()) fail(Error::Kind::usage, {"a pyramid needs at least one map"});
  const auto block = [&](const char* name, size_t k, int64_t in, int64_t kernel) {
    return std::make_unique<Conv2d>(s / name / static_cast<int64_t>(k) / 0,
                                    ConvConfig{.in = in,
                                               .out = c.out,
                                               .kernel = kernel,
                                               .padding = kernel / 2,
                                               .init = init::he_uniform(1)});
  };
  for (size_t k = 0; k < c.in.size(); ++k) {
    inner_.push_back(block("inner_blocks", k, c.in[k], 1));
    layer_.push_back(block("layer_blocks", k, c.out, 3));
  }
}

Tensors FeaturePyramid::maps(const Tensors& features, Context& ctx) {
  if (features.size() != inner_.size())
    fail(Error::Kind::usage,
         {"the pyramid was made for ", inner_.size(), " maps, got ", features.size()});
  Tensors out(features.size());
  Tensor coarser;
  for (size_t k = features.size(); k-- > 0;) {
    Tensor y = (*inner_[k])(features[k], ctx);
    if (coarser.defined()) y = y + interpolate(coarser, {y.size(2), y.size(3)});
    coarser = y;
    out[k] = (*layer_[k])(y, ctx);
  }
  return out;
}

}  // namespace nacre
