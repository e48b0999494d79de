// nacre convert: weights from one kind of file to another, or into a model of the zoo.
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "nacre/import.h"
#include "nacre/predict.h"
#include "nacre/transforms.h"
#include "nacre/weights.h"
#include "nacre/zoo.h"
#include "predict/network.h"

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

int to_model(const ConvertArgs& a, const Weights& weights) {
  const ModelEntry& entry = find_model(a.model);
  ModelInfo info;
  info.model = entry.name;
  info.options = model_options(a.model, a.options);
  info.classes = class_names(a, entry, info.options);
  info.transform = a.transform.empty() ? "" : Transform::parse(a.transform).str();
  info.input = entry.input;
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
  return 0;
}

/// The initialisers of a model by name.
Weights onnx_weights(const std::string& path) {
  Weights w;
  w.format = "onnx";
  const auto net = load_network(path);
  for (const Variable& v : net->variables()) {
    // The tensor lives as long as what refers to its memory.
    auto value = std::make_shared<Tensor>(v.value());
    RawTensor raw = raw_tensor(*value);
    raw.owner = value;
    w.tensors.emplace_back(v.name(), raw);
  }
  return w;
}

/// A model file, or a model of the zoo with fresh parameters, as an ONNX file.
int to_onnx(const ConvertArgs& a) {
  if (!a.model.empty())
    fail(Error::Kind::usage, {"--model writes a model file of nacre's; convert that to ONNX then"});
  if (is_network_file(a.from)) {
    const std::string model = import_network(a.from, a.weights);
    onnx::parse(model, a.from);  // what is written can be read
    write_file_atomic(a.to, model);
    std::printf("%s: ONNX, opset 13, %zu bytes\n", a.to.c_str(), model.size());
    return 0;
  }
  Model m;
  if (file_exists(a.from)) {
    if (is_onnx(a.from)) fail(Error::Kind::usage, {a.from, " is an ONNX file already"});
    m = load_model(a.from);
  } else {
    m.net = make_model(a.from, "", Scope::init(Key(0)));
    m.info.input = find_model(a.from).input;
  }
  if (m.info.input.empty())
    fail(Error::Kind::usage, {a.from, " does not say what shape its input has"});
  onnx::SaveOptions options;
  options.opset = a.opset;
  options.metadata = onnx_metadata(m.info);
  onnx::save(a.to, *m.net, m.info.input, options);
  std::printf("%s: ONNX, opset %ld, %ld parameters\n", a.to.c_str(), static_cast<long>(a.opset),
              static_cast<long>(m.net->parameter_count()));
  return 0;
}

}  // namespace

int run_convert(const ConvertArgs& a) {
  refuse_same_file(a.from, a.to);
  if (a.format == "onnx" || (a.format.empty() && a.to.ends_with(".onnx"))) return to_onnx(a);
  for (const auto& [given, name] : {std::pair{!a.options.empty(), "--options"},
                                    {!a.classes.empty(), "--classes"},
                                    {!a.transform.empty(), "--transform"},
                                    {a.partial, "--partial"}})
    if (given && a.model.empty())
      fail(Error::Kind::usage, {name, " goes with --model, which is not given"});
  if (!a.weights.empty())
    fail(Error::Kind::usage, {"--weights goes with a network that is written as .onnx"});
  const Weights weights =
      is_onnx(a.from) ? onnx_weights(a.from) : read_weights(a.from, {.prefix = a.prefix});
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
  return 0;
}

}  // namespace nacre::cli
