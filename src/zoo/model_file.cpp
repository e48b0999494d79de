// The file of a trained model: parameters by name, everything else as text in the metadata.
#include <algorithm>

#include <filesystem>

#include "base/json.h"
#include "nacre/formats.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

constexpr const char* kFormat = "nacre-model-1";

Scope::Source source_of(std::shared_ptr<const SafeTensors> file) {
  return [file](const std::string& path, const Shape&, DType) -> Tensor {
    const RawTensor* raw = file->find(path);
    return raw ? shared_tensor(*raw) : Tensor();
  };
}

}  // namespace

void save_model(const std::string& path, const Module& net, const ModelInfo& info) {
  std::vector<NamedTensor> tensors;
  for (const Variable& v : net.variables()) tensors.emplace_back(v.name(), raw_tensor(v.value()));
  Json classes = Json::array(), input = Json::array();
  for (const auto& c : info.classes) classes.push_back(c);
  for (int64_t d : info.input) input.push_back(d);
  std::map<std::string, std::string> meta = {{"format", kFormat},
                                             {"model", info.model},
                                             {"options", info.options},
                                             {"transform", info.transform},
                                             {"classes", print_json(classes)},
                                             {"input", print_json(input)}};
  for (const auto& [k, v] : info.extra) meta.emplace(k, v);
  save_safetensors(path, tensors, meta);
}

Model load_model(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension().string();
  for (const char* weights : {".npz", ".npy", ".pth", ".pt", ".gguf", ".params", ".bin"})
    if (ending == weights)
      fail(Error::Kind::usage,
           {"'", path, "' holds weights and no network; `nacre convert ", path,
            " model.safetensors --model NAME` puts them into a model of the zoo"});
  const auto file = std::make_shared<const SafeTensors>(SafeTensors::open(path));
  const auto& meta = file->metadata();
  const auto text = [&](const char* name) {
    const auto at = meta.find(name);
    if (at == meta.end())
      fail(Error::Kind::data,
           {path, " is not a model file of nacre: its metadata has no '", name, "'"});
    return at->second;
  };
  if (text("format") != kFormat)
    fail(Error::Kind::data,
         {path, " has format '", text("format"), "', this version reads '", kFormat, "'"});
  Model m;
  m.info.model = text("model");
  m.info.options = text("options");
  m.info.transform = text("transform");
  const Json classes = parse_json(text("classes"), path), input = parse_json(text("input"), path);
  try {
    for (const Json& c : classes.list()) m.info.classes.push_back(c.text());
    for (const Json& d : input.list()) m.info.input.push_back(d.integer());
  } catch (const Error& e) {
    fail(Error::Kind::data, {path, ": its classes or its input: ", e.what()});
  }
  for (const auto& [k, v] : meta)
    if (k != "format" && k != "model" && k != "options" && k != "transform" && k != "classes" &&
        k != "input")
      m.info.extra[k] = v;
  const auto known = all_models();
  if (std::none_of(known.begin(), known.end(),
                   [&](const ModelEntry* e) { return e->name == m.info.model; }))
    fail(Error::Kind::data,
         {path, " holds a model '", m.info.model,
          "', which nacre does not have; if a plug-in has it, load that first (--plugin FILE)"});
  try {
    const Scope scope = Scope::load(source_of(file));
    m.net = make_model(m.info.model, m.info.options, scope);
    if (file->find("output_mean"))
      m.net = rescaled(scope, std::move(m.net), shared_tensor(file->at("output_mean")),
                       shared_tensor(file->at("output_std")));
  } catch (const Error& e) {
    fail(Error::Kind::data, {path, ": ", e.what()});
  }
  return m;
}

}  // namespace nacre
