// nacre convert: weights from one kind of file to another, or into a model of the zoo.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "nacre/autograd.h"
#include "nacre/convert.h"
#include "nacre/data.h"
#include "nacre/import.h"
#include "nacre/ops.h"
#include "nacre/predict.h"
#include "nacre/quantize.h"
#include "nacre/transforms.h"
#include "nacre/weights.h"
#include "nacre/zoo.h"
#include "predict/network.h"
#include "zoo/options.h"

namespace nacre::cli {
namespace {

/// The value of an option in text that model_options() made; empty if it is not there.
std::string option_of(const std::string& options, const std::string& name) {
  std::stringstream words(options);
  for (std::string word; words >> word;)
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  return "";
}

std::vector<std::string> class_names(const ConvertArgs& a, const ModelEntry& entry,
                                     const std::string& options) {
  std::vector<std::string> names;
  const std::string count = option_of(options, "classes");
  if (a.classes.empty()) {
    if (!entry.regression && !count.empty())
      for (int64_t k = 0; k < std::stoll(count); ++k) names.push_back(std::to_string(k));
    return names;
  }
  std::stringstream lines(read_file(a.classes, 16 << 20));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (std::to_string(names.size()) != count)
    fail(Error::Kind::usage, {a.classes, " names ", names.size(), " classes, the model has ",
                              count.empty() ? "none" : count});
  return names;
}

void refuse_same_file(const std::string& from, const std::string& to) {
  std::error_code missing;
  if (std::filesystem::equivalent(from, to, missing))
    fail(Error::Kind::usage, {"the input ", from, " would be written over; choose another output"});
}

/// The arrays of a network by name.
Weights weights_of(const Module& net, const char* format) {
  Weights w;
  w.format = format;
  for (const Variable& v : net.variables()) {
    // The tensor lives as long as what refers to its memory.
    auto value = std::make_shared<Tensor>(v.value());
    RawTensor raw = raw_tensor(*value);
    raw.owner = value;
    w.tensors.emplace_back(v.name(), raw);
  }
  return w;
}

/// Arrays of a file, or of a model of the zoo with fresh parameters.
Weights open_weights(const ConvertArgs& a) {
  if (is_onnx(a.from)) return weights_of(*load_network(a.from, a.weights), "onnx");
  const auto zoo = all_models();
  if (a.model.empty() && !file_exists(a.from) &&
      std::any_of(zoo.begin(), zoo.end(), [&](const ModelEntry* e) { return e->name == a.from; }))
    return weights_of(*fresh_model(a.from, a.options).net, "nacre");
  return read_weights(a.from, {.prefix = a.prefix});
}

/// What is converted: a network of another framework, a model file, or a model of the zoo with
/// fresh parameters.
struct Source {
  std::unique_ptr<onnx::Network> network;
  std::string bytes;  ///< of the ONNX model that an importer made
  Model model;        ///< where there is no network
};

Source open_source(const ConvertArgs& a) {
  if (!a.model.empty())
    fail(Error::Kind::usage, {"--model writes a model file of nacre's; convert that then"});
  Source s;
  if (is_network_file(a.from)) {
    s.bytes = import_network(a.from, a.weights);
    s.network = onnx::parse(s.bytes, a.from);
    return s;
  }
  if (!a.weights.empty())
    fail(Error::Kind::usage, {"--weights goes with a network of another framework; ", a.from,
                              " has its weights inside"});
  if (is_onnx(a.from)) {
    s.network = load_network(a.from);
  } else {
    s.model = file_exists(a.from) ? load_model(a.from) : fresh_model(a.from, a.options);
  }
  if (!s.network && s.model.info.input.empty())
    fail(Error::Kind::usage, {a.from, " does not say what shape its input has"});
  return s;
}

NetworkFunction function_of(const Source& s) {
  return s.network ? as_function(*s.network) : as_function(*s.model.net, s.model.info.input);
}

void write_onnx(const ConvertArgs& a, const Source& s) {
  if (s.network && s.bytes.empty()) fail(Error::Kind::usage, {a.from, " is an ONNX file already"});
  if (s.network && a.opset != 0 && a.opset != 13)
    fail(Error::Kind::usage,
         {"networks of other frameworks are written with opset 13, not ", a.opset});
  if (s.network) {
    const std::string model = with_output_shapes(s.bytes, *s.network);
    write_file_atomic(a.to, model);
    std::printf("%s: ONNX, opset 13, %zu bytes\n", a.to.c_str(), model.size());
    return;
  }
  onnx::SaveOptions options;
  if (a.opset != 0) options.opset = a.opset;
  options.metadata = onnx_metadata(s.model.info);
  onnx::save(a.to, *s.model.net, s.model.info.input, options);
  std::printf("%s: ONNX, opset %ld, %ld parameters\n", a.to.c_str(),
              static_cast<long>(options.opset), static_cast<long>(s.model.net->parameter_count()));
}

void write_ncnn(const ConvertArgs& a, const Source& s) {
  if (!a.to.ends_with(".param"))
    fail(Error::Kind::usage, {"an ncnn network is written to a file .param, not to ", a.to});
  const NcnnFiles files = to_ncnn(function_of(s), a.from);
  const std::string bin = a.to.substr(0, a.to.size() - 6) + ".bin";
  write_file_atomic(bin, files.bin);
  write_file_atomic(a.to, files.param);
  std::printf("%s, %s: ncnn, %zu layers, %zu bytes of weights\n", a.to.c_str(), bin.c_str(),
              static_cast<size_t>(std::count(files.param.begin(), files.param.end(), '\n')) - 2,
              files.bin.size());
}

/// Prints a line; false if the difference is too large.
bool report(const ConvertArgs& a, const OutputDifference& d) {
  const bool fits = d.relative <= a.tolerance;
  std::printf("%s: largest difference %.3g, %.3g of the largest value%s\n", d.name.c_str(),
              d.absolute, d.relative, fits ? "" : ": too much");
  return fits;
}

/// What was written computes the same.
int check_outputs(const ConvertArgs& a, const Source& before) {
  const auto after = load_network(a.to);
  bool fits = true;
  for (const OutputDifference& d : compare_outputs(function_of(before), as_function(*after)))
    fits = report(a, d) && fits;
  return fits ? 0 : 1;
}

/// What was written has the same values.
int check_arrays(const ConvertArgs& a, const std::vector<NamedTensor>& before) {
  OutputDifference worst{cat({before.size(), " arrays"})};
  std::map<std::string, Tensor> after;
  if (std::filesystem::is_directory(a.to)) {
    for (const auto& [name, array] : before)
      after[name] = copied_tensor(load_npy(a.to + "/" + name + ".npy"));
  } else {
    for (const auto& [name, array] : read_weights(a.to).tensors) after[name] = copied_tensor(array);
  }
  for (const auto& [name, array] : before) {
    const auto at = after.find(name);
    const OutputDifference d = at == after.end()
                                   ? OutputDifference{name, INFINITY, INFINITY}
                                   : compare_values(name, copied_tensor(array), at->second);
    worst.absolute = std::max(worst.absolute, d.absolute);
    worst.relative = std::max(worst.relative, d.relative);
  }
  return report(a, worst) ? 0 : 1;
}

int to_model(const ConvertArgs& a, const Weights& weights) {
  const ModelEntry& entry = find_model(a.model);
  ModelInfo info;
  info.model = entry.name;
  info.options = model_options(a.model, a.options);
  info.classes = class_names(a, entry, info.options);
  info.transform = a.transform.empty() ? "" : Transform::parse(a.transform).str();
  info.input = model_input(a.model, a.options);
  const auto net = make_model(a.model, a.options, Scope::init(Key(0)));
  StateReport report;
  try {
    report = load_state(*net, weights.tensors, !a.partial);
  } catch (const Error& e) {
    fail(e.kind(), {a.from, ": ", e.what()});
  }
  if (a.partial && report.taken == 0)
    fail(Error::Kind::data, {a.from, " has nothing for ", a.model, ": ", report.text()});
  if (!report.fits()) log_warning({a.from, ": ", report.text()});
  info.extra["converted_from"] = weights.format;
  save_model(a.to, *net, info);
  std::printf("%s: %s, %zu variables, %ld parameters\n", a.to.c_str(), entry.name, report.taken,
              static_cast<long>(net->parameter_count()));
  if (!a.check) return 0;
  std::vector<NamedTensor> taken;
  for (const Variable& v : net->variables())
    for (const NamedTensor& array : weights.tensors)
      if (array.first == v.name() && array.second.shape == v.value().shape())
        taken.push_back(array);
  return check_arrays(a, taken);
}

/// Some samples of a data set, as the model takes them.
Tensors some_samples(const ConvertArgs& a, const ModelInfo& info) {
  OpenOptions open;
  TableSchema schema;
  if (const auto at = info.extra.find("table"); at != info.extra.end()) {
    schema = TableSchema::from_json(at->second);
    open.csv.schema = &schema;
  }
  const DatasetPtr data = open_dataset(a.data, open).train;
  LoaderOptions options;
  options.batch = std::min<int64_t>(32, a.samples);
  options.training = false;
  DataLoader loader(data, Transform::parse(info.transform), shuffled(data->size()), options);
  loader.start(0);
  Tensors batches;
  for (int64_t n = 0; n < a.samples;) {
    const auto b = loader.next();
    if (!b) break;
    const Shape sample = b->shape.slice(1, b->shape.rank());
    bool fits = sample.rank() == info.input.rank();
    for (int64_t d = 0; fits && d < sample.rank(); ++d)
      fits = info.input[d] < 1 || info.input[d] == sample[d];
    if (!fits)
      fail(Error::Kind::data,
           {"samples of ", a.data, " are ", sample, ", the network takes ", info.input,
            "; a model of `nacre train` keeps the transform that makes them so"});
    batches.push_back(Tensor::from(b->x, b->shape));
    n += b->shape[0];
  }
  if (batches.empty()) fail(Error::Kind::data, {a.data, " holds no samples"});
  return batches;
}

/// What was written gives about what the network gives for samples; other inputs may leave the
/// ranges.
int check_samples(const ConvertArgs& a, Module& before, const Tensors& samples) {
  const auto after = load_network(a.to);
  Context one = Context::eval(), two = Context::eval();
  NoGrad guard;
  Tensors want, got;
  for (const Tensor& x : samples) {
    want.push_back(before(x, one));
    got.push_back((*after)(x, two));
  }
  return report(a, compare_values("output", concat(want, 0), concat(got, 0))) ? 0 : 1;
}

/// Into an ONNX file that computes in integers of 8 bits.
int to_integers(const ConvertArgs& a, std::string_view format) {
  if (format != "onnx") fail(Error::Kind::usage, {"--int8 writes ONNX files, not ", a.to});
  if (a.data.empty())
    fail(Error::Kind::usage, {"--int8 takes the ranges of values from --data, which is not given"});
  for (const auto& [given, name] : {std::pair{!a.model.empty(), "--model"},
                                    {!a.weights.empty(), "--weights"},
                                    {!a.prefix.empty(), "--prefix"},
                                    {!a.runner.empty(), "--runner"}})
    if (given) fail(Error::Kind::usage, {name, " does not go with --int8"});
  Model m = file_exists(a.from) ? open_model(a.from) : fresh_model(a.from, a.options);
  if (m.info.input.empty())
    fail(Error::Kind::usage, {a.from, " does not say what shape its input has"});
  const std::shared_ptr<Module> net = std::move(m.net);
  QuantizeOptions ranges;
  if (a.range == "percentile") ranges.range = QuantizeOptions::Range::percentile;
  if (a.range == "error") ranges.range = QuantizeOptions::Range::error;
  const Tensors samples = some_samples(a, m.info);
  const auto small = quantize(net, samples, ranges);
  onnx::SaveOptions options;
  if (a.opset != 0) options.opset = a.opset;
  options.metadata = onnx_metadata(m.info);
  onnx::save(a.to, *small, m.info.input, options);
  std::printf("%s: ONNX, opset %ld, integers of 8 bits, %ld bytes\n", a.to.c_str(),
              static_cast<long>(options.opset),
              static_cast<long>(std::filesystem::file_size(a.to)));
  return a.check ? check_samples(a, *net, samples) : 0;
}

/// Into a file that holds a whole network.
int to_network(const ConvertArgs& a, std::string_view format) {
  const Source source = open_source(a);
  if (format == "onnx")
    write_onnx(a, source);
  else
    write_ncnn(a, source);
  return a.check ? check_outputs(a, source) : 0;
}

void refuse_idle_options(const ConvertArgs& a) {
  if (!a.model.empty()) return;
  if (!a.options.empty() && file_exists(a.from))
    fail(Error::Kind::usage,
         {"--options make a model of the zoo; ", a.from, " is a file and has its own"});
  for (const auto& [given, name] : {std::pair{!a.classes.empty(), "--classes"},
                                    {!a.transform.empty(), "--transform"},
                                    {a.partial, "--partial"}})
    if (given) fail(Error::Kind::usage, {name, " goes with --model, which is not given"});
}

}  // namespace

Model fresh_model(const std::string& name, const std::string& options) {
  if (name.find_first_of("./") != std::string::npos && !file_exists(name))
    fail(Error::Kind::io, {"cannot read ", name, ": no such file or folder"});
  Model m;
  m.info.model = find_model(name).name;
  m.info.options = model_options(name, options);
  m.info.input = model_input(name, options);
  m.net = make_model(name, options, Scope::init(Key(0)));
  return m;
}

int run_convert(const ConvertArgs& a) {
  refuse_same_file(a.from, a.to);
  refuse_idle_options(a);
  if (!a.int8 && !a.data.empty()) fail(Error::Kind::usage, {"--data goes with --int8"});
  if (a.int8)
    return to_integers(a, a.format.empty() && a.to.ends_with(".onnx") ? "onnx" : a.format);
  if (a.format == "program" || a.format == "exe" ||
      (a.format.empty() && a.to.ends_with(".program")))
    return convert_to_program(a);
  if (!a.runner.empty()) fail(Error::Kind::usage, {"--runner goes with --to exe"});
  for (const auto& [format, ending] : {std::pair{"onnx", ".onnx"}, {"ncnn", ".param"}})
    if (a.format == format || (a.format.empty() && a.to.ends_with(ending)))
      return to_network(a, format);
  if (!a.weights.empty() && !is_network_file(a.from))
    fail(Error::Kind::usage, {"--weights goes with a network of another framework"});
  const Weights weights = open_weights(a);
  if (!a.prefix.empty() && weights.format != "pytorch")
    fail(Error::Kind::usage, {"--prefix goes with a PyTorch checkpoint of several dictionaries"});
  if (weights.metadata.contains("prefix"))
    log_info({a.from, ": takes '", weights.metadata.at("prefix"), "'"});
  if (weights.tensors.empty()) fail(Error::Kind::data, {a.from, " holds no arrays"});
  if (!a.model.empty()) return to_model(a, weights);
  const bool same = weights.format == "safetensors";
  write_weights(a.to, weights.tensors, same ? weights.metadata : decltype(weights.metadata){},
                a.format);
  int64_t values = 0;
  for (const auto& [name, array] : weights.tensors) values += array.shape.numel();
  std::printf("%s: %zu arrays, %ld values\n", a.to.c_str(), weights.tensors.size(),
              static_cast<long>(values));
  return a.check ? check_arrays(a, weights.tensors) : 0;
}

}  // namespace nacre::cli
