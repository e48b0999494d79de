// The models that come with nacre, by name, and the file that holds a trained one.
//
//   auto net = make_model("lenet5", "classes=26", Scope::init(Key(0)));
//   save_model("a.safetensors", *net, info);
//   Model m = load_model("a.safetensors");           // architecture, parameters, transform and
//   labels Tensor y = m.net->operator()(x, ctx);
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nacre/formats.h"
#include "nacre/nn.h"
#include "nacre/op.h"

namespace nacre {

struct FitData;
struct Fitted;

/// What is known of a model, collected by the build from the files of src/zoo. Sizes of one model
/// are entries of one file that differ in their options.
struct ModelEntry {
  const char* name;
  const char* summary;     ///< one sentence
  const char* paper;       ///< authors, title or venue, year
  const AttrType* config;  ///< the options, a struct with fields()
  std::unique_ptr<Module> (*make)(const Scope&, const void* config);
  /// Options of this entry that differ from the defaults of Config: "layers=3-4-6-3".
  const char* options = "";
  /// Shape of one input without the batch, for the entry's options; empty: as the data has it
  /// (tables).
  Shape input = {};
  int64_t parameters = 0;  ///< published, for the entry's options; 0: not published
  int64_t macs =
      0;  ///< multiply-accumulates for one input of that shape, published; 0: not published
  const char* tiny = "";    ///< options of a small form that tests train, over those above
  Shape tiny_input = {};    ///< its input; empty: as input
  bool regression = false;  ///< gives values, not class scores
  /// Settings of training that fit it, where TrainConfig's defaults do not: "loss=mse lr=0.01".
  const char* settings = "";
  /// Of a model that is fitted at once and not trained by steps, see nacre/tabular.h: its sizes and
  /// values from rows, and from rows held out (null: none) to know when to stop.
  Fitted (*fit)(const FitData& data, const FitData* held_out, const void* config) = nullptr;
  bool missing = false;  ///< takes rows with missing values (NaN) as they are
};

/// Defines model_<name>. The build collects these into the table of models.
#define MODEL(name)                     \
  extern const ModelEntry model_##name; \
  const ModelEntry model_##name

/// For ModelEntry::make.
template <typename M>
std::unique_ptr<Module> construct(const Scope& s, const void* config) {
  return std::make_unique<M>(s, *static_cast<const typename M::Config*>(config));
}

/// All models, sorted by name, and one by name; Error(usage) names near ones if there is none.
std::vector<const ModelEntry*> all_models();
const ModelEntry& find_model(std::string_view name);

/// Options as text, "classes=10 width=32": names and values of a model's Config. Error(usage) for
/// unknown ones.
std::unique_ptr<Module> make_model(std::string_view name, std::string_view options,
                                   const Scope& scope);
/// A model of values whose outputs are those of `net` times `std` plus `mean` (both [outputs]), so
/// that `net` works with values of mean 0 and deviation 1. They are the buffers "output_mean" and
/// "output_std" of the state, and part of the model file. `scope` is the one `net` was made from.
std::unique_ptr<Module> rescaled(const Scope& scope, std::unique_ptr<Module> net,
                                 const Tensor& mean, const Tensor& std);
/// The std of such a model; undefined for others.
Tensor output_std(const Module& net);

/// All options with their values, as text that make_model takes.
std::string model_options(std::string_view name, std::string_view options = {});

/// Multiply-accumulates of convolutions and matrix products for an input of this shape (with
/// batch), in evaluation mode.
int64_t count_macs(Module& net, const Shape& input);

/// Output shape and parameters of each layer for an input of this shape (with batch).
struct LayerInfo {
  std::string path;
  Shape output;
  int64_t parameters = 0;
};
std::vector<LayerInfo> list_layers(Module& net, const Shape& input);

/// What a model file holds besides the parameters.
struct ModelInfo {
  std::string model;  ///< zoo name
  std::string options;
  std::string transform;                     ///< text form, see nacre/transforms.h
  std::vector<std::string> classes;          ///< empty for regression
  Shape input;                               ///< of one sample, after the transform
  std::map<std::string, std::string> extra;  ///< metrics, table schema and the like
};

struct Model {
  ModelInfo info;
  std::unique_ptr<Module> net;
};

/// One .safetensors file: parameters and buffers by name, everything else in its metadata. Atomic.
/// Throws Error(io).
void save_model(const std::string& path, const Module& net, const ModelInfo& info);
/// Throws Error(io), or Error(data) if the file is not a model of nacre's. Nothing in the file is
/// executed.
Model load_model(const std::string& path);

// ---- weights of others into a model, see nacre/weights.h

/// What did not fit.
struct StateReport {
  std::vector<std::string> missing;      ///< variables that the file has no array for
  std::vector<std::string> unexpected;   ///< arrays that the model has no variable for
  std::vector<std::string> wrong_shape;  ///< "fc.weight (1000x512, the model wants 10x512)"
  size_t taken = 0;                      ///< variables that got their values
  bool fits() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
  /// One sentence with all names (ten of each kind).
  std::string text() const;
};

/// Gives the variables of a model the values of the arrays with their names, converted to their
/// types. What is_idle_array() names is passed over.
/// strict: if anything does not fit, throws Error(data) with report.text() and changes nothing.
StateReport load_state(Module& net, std::span<const NamedTensor> tensors, bool strict = true);

/// A Scope source that finds arrays by name.
Scope::Source weights_source(std::vector<NamedTensor> tensors);

}  // namespace nacre
