// A model of the zoo as the backbone of another network: its maps at each resolution, by name.
//
//   Backbone body(s / "body", "resnet50", "", {3, 224, 224});
//   FeaturePyramid neck(s / "neck", {body.channels(), 256});
//   Tensors maps = neck.maps(body.features(x, ctx), ctx);        // strides 4, 8, 16, 32
//
// Options of every model take deform=PATTERN besides its own: convolutions whose path the regular
// expression matches get learned offsets and masks of their taps (DeformConv2d in nacre/blocks.h),
// which change nothing at first; they need one group and a square kernel.
//
// Ownership and threads are those of modules, see nacre/nn.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nacre/nn.h"

namespace nacre {

/// A map that a model makes on its way, asked for by name: ctx.taps[name] = {} before the pass.
struct FeatureStage {
  std::string name;  ///< path of the module whose output it is
  int64_t channels = 0;
  double stride = 1;  ///< input side over its side
  enum class Form { maps, channels_last, tokens } form = Form::maps;
  int64_t first = 0;  ///< tokens that are no place of the picture (class token), before the others
};

/// The last map of each resolution that the outermost modules give, finest first, for square
/// pictures of this shape (C x H x W).
/// Transformers' tokens and maps with channels last count too. Empty: the model makes no maps.
std::vector<FeatureStage> feature_stages(Module& net, const Shape& input);
/// A tapped output as N x C x H x W.
Tensor as_map(const FeatureStage& stage, const Tensor& output);

/// Any model of the zoo, without the use of its scores.
class Backbone : public Module {
 public:
  /// `input`: shape of a picture, C x H x W with H = W. Throws Error(usage) if the model does not
  /// take it or makes no maps.
  Backbone(const Scope& s, const std::string& model, const std::string& options,
           const Shape& input);
  const std::vector<FeatureStage>& stages() const { return stages_; }
  std::vector<int64_t> channels() const;
  /// The maps of all stages, finest first.
  Tensors features(const Tensor& x, Context& ctx);
  /// The coarsest map.
  Tensor forward(const Tensor& x, Context& ctx) override { return features(x, ctx).back(); }

 private:
  std::unique_ptr<Module> net_;
  std::vector<FeatureStage> stages_;
};

/// Lin et al. 2017: maps of equal channels, each with what the coarser ones know. Names as in
/// torchvision: inner_blocks.K.0 (1x1), layer_blocks.K.0 (3x3).
class FeaturePyramid : public Module {
 public:
  struct Config {
    std::vector<int64_t> in;  ///< channels of the maps, finest first
    int64_t out = 256;
  };
  FeaturePyramid(const Scope& s, const Config& c);
  Tensors maps(const Tensors& features, Context& ctx);
  /// Of a single map.
  Tensor forward(const Tensor& x, Context& ctx) override { return maps({x}, ctx)[0]; }

 private:
  std::vector<std::unique_ptr<Conv2d>> inner_, layer_;
};

}  // namespace nacre
