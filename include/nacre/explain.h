// Why a network answers as it does: heat maps of pictures, importance of columns, what units see.
//
//   Model m = load_model("m.safetensors");
//   auto f = explain::scores_of(*m.net);
//   Tensor map = explain::integrated_gradients(f, x, {3}).map;      // x: 1xCxHxW, class 3
//   explain::Lrp r = explain::lrp(f, x, {3});                       // sum(map) + bias = score
//   Tensor cam = explain::grad_cam(*m.net, x, {3});                 // 1x1xhxw
//
// A score is an output before softmax (or a predicted value); it is given by its column, the class.
// Lists of classes hold one entry for each sample of x, or one for all. Attributions have the shape
// of x and the unit of the score unless stated otherwise; they are pending graphs until asked for.
// Modules are used in evaluation mode; nothing here changes a model for good. A model may be
// explained by one thread at a time. Wrong classes, layers and shapes throw Error(usage) or
// Error(shape).
#pragma once

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nacre/data.h"
#include "nacre/image.h"
#include "nacre/nn.h"

namespace nacre::explain {

/// From samples [n, ...] to scores [n, classes].
using Scores = std::function<Tensor(const Tensor& x)>;
using Classes = std::vector<int64_t>;

/// The model in evaluation mode. It has to outlive the result.
Scores scores_of(Module& net);

/// The score of its class for each sample: [n].
Tensor class_scores(const Scores& f, const Tensor& x, const Classes& classes);

// ---- gradients

/// |d score / d x| (Simonyan, Vedaldi and Zisserman 2014).
Tensor saliency(const Scores& f, const Tensor& x, const Classes& classes);

/// The gradient where each ReLU also stops what is negative on its way back (Springenberg,
/// Dosovitskiy, Brox and Riedmiller 2015).
Tensor guided_backprop(const Scores& f, const Tensor& x, const Classes& classes);

/// The mean gradient over noisy copies of the samples (Smilkov et al. 2017): `samples` draws of
/// normal noise with a deviation of `noise` times the range of x.
struct SmoothGradOptions {
  int64_t samples = 32;
  double noise = 0.1;
  Key key = Key(0);
};
Tensor smooth_grad(const Scores& f, const Tensor& x, const Classes& classes,
                   const SmoothGradOptions& options = {});
/// The same with given noise: [draws, ...shape of x].
Tensor smooth_grad(const Scores& f, const Tensor& x, const Classes& classes, const Tensor& noise);

/// (x - baseline) times the mean gradient on the straight way from the baseline to x (Sundararajan,
/// Taly and Yan 2017), by the midpoint rule.
struct IntegratedGradients {
  Tensor map;
  /// score(x) - score(baseline) - sum(map), for each sample [n]: the error of the rule. It vanishes
  /// as steps grow (completeness).
  Tensor gap;
};
struct IntegratedGradientsOptions {
  int64_t steps = 64;
  int64_t batch = 16;  ///< steps computed at once
  Tensor baseline{};   ///< of the shape of x, or one that broadcasts to it; undefined: zeros
};
IntegratedGradients integrated_gradients(const Scores& f, const Tensor& x, const Classes& classes,
                                         const IntegratedGradientsOptions& options = {});

// ---- class activation maps

/// Layers whose output is a stack of maps, [n, channels, h, w] with h * w > 1, in order of their
/// evaluation, for inputs of the shape of x.
std::vector<std::string> map_layers(Module& net, const Tensor& x);

/// Class activation map (Zhou et al. 2016): the layer's maps, weighted by what they add to the
/// score, summed over channels. Needs that only linear steps (means, full layers) come after the
/// layer; then the sum over positions is the score minus what a layer of zeros would give. layer
/// "": the last such layer; Error(unsupported) if there is none. Returns [n, 1, h, w].
Tensor cam(Module& net, const Tensor& x, const Classes& classes, const std::string& layer = "");

/// Grad-CAM (Selvaraju et al. 2017): the positive part of the sum of the layer's maps, each
/// weighted by the mean gradient of the score over its positions. layer "": the last with maps.
/// Returns [n, 1, h, w].
Tensor grad_cam(Module& net, const Tensor& x, const Classes& classes,
                const std::string& layer = "");

// ---- relevance

/// How the relevance of a layer's outputs goes to its inputs; z is what an input times a weight
/// adds to an output.
enum class LrpRule {
  epsilon,  ///< in proportion to z, over (sum of z + epsilon with the sign of the sum)
  gamma,    ///< as epsilon, with z + gamma * (positive part of z)
  zplus,    ///< in proportion to the positive parts of z (Montavon et al. 2017)
  flat,     ///< equally to all inputs that the output sees (Lapuschkin et al. 2019)
};
struct LrpOptions {
  LrpRule conv = LrpRule::gamma;     ///< of convolutions
  LrpRule dense = LrpRule::epsilon;  ///< of matrix products
  LrpRule first = LrpRule::gamma;    ///< of layers that see the input itself
  double epsilon = 1e-6, gamma = 0.25;
  /// True: biases take their share of the relevance, as an input of 1 would. False: none.
  bool bias = true;
  /// "composite" (the default: gamma for convolutions, epsilon for full layers), "composite_flat"
  /// (zplus, epsilon, and flat for the first layer), or epsilon, gamma or zplus for all layers.
  static LrpOptions named(const std::string& name);
};
struct Lrp {
  Tensor map;   ///< sum(map) + bias = score, up to what epsilon takes
  Tensor bias;  ///< the relevance of biases and other constants, of all samples together
};
/// Layer-wise relevance propagation (Bach et al. 2015; rules after Montavon et al. 2019). The graph
/// of the network is walked backwards, so any architecture will do: a batch norm, scale or bias
/// after a convolution or matrix product is part of that layer; activations and maximum pooling
/// hand relevance on; sums, means and residual additions share it in proportion; of a product of
/// two signals each gets half, and a gate, attention weight or norm (softmax, sigmoid, rsqrt, a
/// divisor) nothing, as if it were a constant (Ali et al. 2022). Error(unsupported) names all
/// operators that have no rule.
Lrp lrp(const Scores& f, const Tensor& x, const Classes& classes, const LrpOptions& options = {});

// ---- what happens when parts are taken away

/// By how much the score falls when a window is filled (Zeiler and Fergus 2014), averaged over the
/// windows that cover a value. All channels are filled together. x: [n, channels, h, w].
struct OcclusionOptions {
  int64_t window = 0;  ///< side; 0: a seventh of the shorter side, at least 2
  int64_t stride = 0;  ///< 0: half the window
  Tensor fill{};       ///< broadcasts to x; undefined: zeros
  int64_t batch = 32;  ///< windows computed at once
};
Tensor occlusion(const Scores& f, const Tensor& x, const Classes& classes,
                 const OcclusionOptions& options = {});

/// Shapley values of `players` in a game: how much each adds on average to what the players before
/// it have won, over all orders (Shapley 1953). `value` is asked for many coalitions at once: one
/// entry for each player. With 2^players <= 2 * samples * (players + 1) all coalitions are asked
/// and the values are exact, else `samples` random orders and their reverses are averaged (Castro
/// et al. 2009; Mitchell et al. 2022). In both cases they sum to value(all) - value(none) up to
/// rounding.
using Game = std::function<std::vector<double>(const std::vector<std::vector<bool>>& coalitions)>;
struct ShapleyOptions {
  int64_t samples = 8;
  int64_t batch = 32;  ///< coalitions asked at once
  Key key = Key(0);
};
std::vector<double> shapley(const Game& value, int64_t players, const ShapleyOptions& options = {});

/// SHAP for pictures (Lundberg and Lee 2017): Shapley values of the cells of a grid; a cell that is
/// absent is filled. Each value is spread over its cell. x: [1, channels, h, w].
struct ShapOptions {
  int64_t grid = 6;  ///< cells along the longer side
  ShapleyOptions shapley{};
  Tensor fill{};  ///< broadcasts to x; undefined: zeros
};
Tensor shap(const Scores& f, const Tensor& x, const Classes& classes,
            const ShapOptions& options = {});

// ---- all methods by name, and their pictures

struct Method {
  const char* name;     ///< "grad_cam"
  const char* summary;  ///< one sentence
  bool is_signed;       ///< negative values speak against the class
};
/// The methods above that explain pictures.
const std::vector<Method>& methods();

struct HeatOptions {
  std::string layer;               ///< of cam and grad_cam
  std::string rule = "composite";  ///< of lrp, see LrpOptions::named
  Tensor fill{};                   ///< what stands for absence; undefined: zeros
  Key key = Key(0);                ///< of what is drawn at random
};
/// The map of a method, summed over channels (the largest one for saliency) and enlarged to the
/// size of the picture where the method's own is smaller: [n, 1, h, w]. Evaluated. Error(usage) if
/// there is no such method.
Tensor heat(Module& net, const Tensor& x, const Classes& classes, const std::string& method,
            const HeatOptions& options = {});
/// By grad_cam, or by integrated_gradients if no layer has maps.
Tensor heat(Module& net, const Tensor& x, const Classes& classes);

/// Spearman's rank correlation; equal values share their mean rank. 0 if one of the two is
/// constant. Throws Error(usage) for lengths that differ.
double rank_correlation(std::span<const float> a, std::span<const float> b);

/// How much a map has to do with what the model has learned (Adebayo et al. 2018): the mean rank
/// correlation of `map()` with the maps that the model gives with random parameters, each drawn
/// with the mean and deviation of the trained ones. Near 0: the map shows the model; near 1: it
/// shows the picture. The parameters are put back, also if `map` throws.
double sanity(Module& net, const std::function<Tensor()>& map, int64_t draws = 4, Key key = Key(0));
/// The same for heat(). Saliency is compared with the gradient's signs kept: magnitudes of
/// gradients are alike in all networks of one architecture, whose edges see less.
double sanity(Module& net, const Tensor& x, const Classes& classes, const std::string& method,
              const HeatOptions& options = {}, int64_t draws = 4);

/// Sample i of x [n, channels, h, w] as a picture: what the network saw, with the normalisation of
/// the transform undone. 1 or 3 channels; of others their mean is shown in grey.
Image picture_of(const Tensor& x, const Transform& transform, int64_t i = 0);

/// Map i of [n, 1, h, w] laid over a picture in grey: red speaks for the class, blue against it,
/// both in proportion to the 99.5th percentile of the map's magnitude. The result is enlarged so
/// that its shorter side has at least `side` pixels.
Image overlay(const Image& picture, const Tensor& map, int64_t i = 0, int side = 224);

// ---- tables: x is [rows, features]

/// The features that a column of a table became: one, or one for each category.
struct Column {
  std::string name;
  int64_t first = 0, count = 1;
  std::vector<std::string> categories{};  ///< empty for numbers
};
/// Columns of free text have none and are left out.
std::vector<Column> columns_of(const TableSchema& schema);

/// How good scores are; higher is better.
using Quality = std::function<double(const Tensor& scores)>;
/// The share of rows whose largest score is that of their label.
Quality accuracy_of(std::vector<int64_t> labels);
/// The coefficient of determination.
Quality r2_of(std::vector<float> targets);

/// By how much the quality falls when a column's values are dealt out to the rows anew (Breiman
/// 2001; Fisher, Rudin and Dominici 2019): the mean over `repeats` shuffles and its deviation. The
/// features of a column move together. In order of the columns.
struct Importance {
  std::string column;
  double mean = 0, deviation = 0;
};
struct ImportanceOptions {
  int64_t repeats = 5;
  Key key = Key(0);
};
std::vector<Importance> permutation_importance(const Scores& f, const Tensor& x,
                                               const Quality& quality,
                                               const std::vector<Column>& columns,
                                               const ImportanceOptions& options = {});

/// The mean output of all rows while one column is set to a value (Friedman 2001): at each
/// category, or at `points` places evenly between the 5th and 95th percentile of a number (at each
/// value if there are no more).
struct Dependence {
  std::string column;
  std::vector<double> at;                 ///< numbers; 0, 1, ... for categories
  std::vector<std::string> categories{};  ///< empty for numbers
  std::vector<std::vector<double>> mean;  ///< for each place, of each output
};
Dependence partial_dependence(const Scores& f, const Tensor& x, const Column& column,
                              int64_t points = 20);

/// SHAP for one row [1, features]: Shapley values of the columns, where an absent column has the
/// values of the rows of `background` [rows, features], averaged over them. They sum to the row's
/// score minus the mean score of the background.
std::vector<double> shap(const Scores& f, const Tensor& row, int64_t class_index,
                         const Tensor& background, const std::vector<Column>& columns,
                         const ShapleyOptions& options = {});

// ---- what units look for

/// A channel of a layer's output (its mean over positions), or a feature of one without positions.
struct Unit {
  std::string layer;  ///< path of a module; "": the model's own output
  int64_t channel = 0;
};

/// Activation maximisation (Erhan et al. 2009; Simonyan et al. 2014): from noise around `start`,
/// steps up the gradient of the unit minus l2 times the mean square of the picture. Steps have a
/// fixed mean size that falls to zero; `smooth` means over 3x3 neighbours are taken of each
/// gradient, without which what is found is texture.
struct ActivationMaxOptions {
  int64_t samples = 4;  ///< pictures, each from noise of its own
  int64_t steps = 200;
  double lr = 0.05;  ///< mean size of the first step
  double l2 = 1;
  int64_t smooth = 2;
  double noise = 0.05;
  double low = -INFINITY, high = INFINITY;  ///< values stay between
  Tensor start{};                           ///< broadcasts to a picture; undefined: zeros
  Key key = Key(0);
};
struct ActivationMax {
  Tensor pictures;                ///< [samples, channels, h, w]
  std::vector<double> objective;  ///< before each step and after the last, mean over samples
};
/// input: [channels, h, w].
ActivationMax activation_max(Module& net, const Shape& input, const Unit& unit,
                             const ActivationMaxOptions& options = {});

/// Where a unit is most active.
struct TopActivation {
  int64_t sample = 0;
  float value = 0;
  int64_t x = 0, y = 0;  ///< of the peak in the layer's map
};
/// For each channel of a layer the `count` pictures of the data set with the highest peak, best
/// first.
std::vector<std::vector<TopActivation>> top_activations(Module& net, const DatasetPtr& data,
                                                        const Transform& transform,
                                                        const std::string& layer,
                                                        int64_t count = 9);

/// Network dissection (Bau et al. 2017): how well the region where a channel is among its
/// `quantile` highest activations over the data, enlarged to the picture, covers the pixels of a
/// concept. Concepts are the classes of Sample::mask.
struct Dissection {
  std::vector<float> threshold;          ///< of each unit
  std::vector<std::vector<double>> iou;  ///< intersection over union, [unit][concept]
};
Dissection dissect(Module& net, const DatasetPtr& data, const Transform& transform,
                   const std::string& layer, int64_t concepts, double quantile = 0.005);

// ---- maps and weights as pictures

/// How planes of numbers are laid out in one grey picture: row after row with a pixel between,
/// value = low + pixel * (high - low), where pixels go from 0 to 1.
struct Grid {
  int64_t planes = 0, height = 0, width = 0, columns = 1;
  float low = 0, high = 0;
};
/// The last two dimensions of t are planes; [out, in, h, w] has a row for each `out` if that is not
/// too wide. A list is one plane of one row. Throws Error(unsupported) for more than 2^26 pixels.
Grid grid_of(const Tensor& t);
Image grid_picture(const Tensor& t, const Grid& grid);
/// The numbers again, [planes, height, width], within (high - low) / 510 if the picture was stored
/// with 8 bits. Throws Error(data) if the picture does not fit.
Tensor grid_values(const Image& picture, const Grid& grid);

/// The maps of each layer that has some, for one sample: [1, channels, h, w] by path.
std::vector<std::pair<std::string, Tensor>> feature_maps(Module& net, const Tensor& x);

}  // namespace nacre::explain
