#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <unordered_set>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/costs.h"
#include "graph/node.h"
#include "nacre/predict.h"
#include "nacre/recipes.h"
#include "nacre/zoo.h"
#include "predict/network.h"
#include "train/terminal.h"
#include "zoo/options.h"

namespace nacre::cli {
namespace {
std::string count(int64_t n) { return n ? std::to_string(n) : ""; }

/// "1234 bytes"
std::string size_text(const std::string& file) { return cat({bytes_of_model(file), " bytes"}); }

/// Multiply-accumulates of what was recorded and not counted before.
int64_t new_macs(const Tensor& y, std::unordered_set<const Node*>& seen) {
  int64_t macs = 0;
  std::vector<const Node*> open = {y.node()};
  while (!open.empty()) {
    const Node* n = open.back();
    open.pop_back();
    if (!n->op || n->evaluated || !seen.insert(n).second) continue;
    macs += macs_of(*n);
    for (const Tensor& in : n->inputs)
      if (in.defined()) open.push_back(in.node());
  }
  return macs;
}

/// The exit code: what --limits says of a file must hold.
int within(const ZooArgs& a, int64_t parameters, int64_t macs, const Costs& costs) {
  if (a.limits.empty()) return 0;
  Json numbers = Json::object();
  numbers["bytes"] = bytes_of_model(a.name);
  numbers["parameters"] = parameters;
  numbers["macs"] = macs;
  costs.add(numbers);
  std::erase_if(numbers.fields(), [](const auto& f) { return f.first == "joules_measured"; });
  check_limits(a.limits, a.name, numbers);
  return 0;
}

/// Layers of an ONNX model, for inputs of the sizes that --shape or the file states (1 where they
/// are open).
int show_onnx(const ZooArgs& a) {
  if (!a.options.empty())
    fail(Error::Kind::usage, {"--options are for models of the zoo; '", a.name, "' is a file"});
  const auto net = load_network(a.name);
  const auto shapes = input_shapes(*net, a.shapes);
  std::map<std::string, onnx::Value> inputs;
  for (const onnx::Port& p : net->inputs())
    inputs[p.name] =
        onnx::Value(zeros(shapes.at(p.name), onnx::storage_of(p.type.elem)), p.type.elem);
  struct Row {
    std::string layer, op, output, path;
    int64_t parameters, macs;
  };
  std::vector<Row> rows;
  std::unordered_set<const Node*> seen;
  Tensors kept;  // so that no node is let go of and another one takes its place in memory
  int64_t macs = 0;
  net->on_node = [&](const onnx::Network::Step& n) {
    int64_t parameters = 0, here = 0;
    for (const std::string& name : n.inputs)
      if (const Variable v = net->state()->find(name); v.defined() && v.is_parameter())
        parameters += v.value().numel();
    for (const onnx::Value& v : n.outputs)
      if (v.is_tensor()) {
        here += new_macs(v.tensor(), seen);
        kept.push_back(v.tensor());
      }
    macs += here;
    const std::string output =
        n.outputs.empty() || !n.outputs[0].is_tensor() ? "" : n.outputs[0].tensor().shape().str();
    rows.push_back({n.name, n.op, output, ModulePath::current(), parameters, here});
  };
  Context ctx = Context::eval();
  try {
    net->run(inputs, ctx);
  } catch (const Error& e) {
    bool open = false;
    for (const onnx::Port& p : net->inputs())
      for (const int64_t d : p.type.dims) open = open || d < 0;
    if (!open) throw;
    fail(e.kind(), {e.what(), "; sizes of inputs that ", a.name,
                    " leaves open are 1 here, or what --shape says"});
  }
  net->on_node = nullptr;
  kept.clear();
  const Costs costs = measure_costs(
      [&] {
        NoGrad guard;
        Context again = Context::eval();
        Tensors out;
        for (const onnx::Value& v : net->run(inputs, again))
          if (v.is_tensor()) out.push_back(v.tensor());
        return out;
      },
      macs);
  if (a.json) {
    Json layers = Json::array();
    for (const Row& r : rows) {
      Json j = Json::object();
      j["layer"] = r.layer;
      j["operator"] = r.op;
      j["output"] = r.output;
      j["parameters"] = r.parameters;
      j["macs"] = r.macs;
      costs.add_layer(j, r.path);
      layers.push_back(j);
    }
    Json j = Json::object();
    j["name"] = a.name;
    j["opset"] = net->opset();
    j["bytes"] = bytes_of_model(a.name);
    j["parameters"] = net->parameter_count();
    j["macs"] = macs;
    costs.add(j);
    j["layers"] = layers;
    std::printf("%s\n", print_json(j, 2).c_str());
    return within(a, net->parameter_count(), macs, costs);
  }
  std::printf("%s\nONNX, opset %ld%s%s\n\n", a.name.c_str(), static_cast<long>(net->opset()),
              net->producer().empty() ? "" : ", written by ", net->producer().c_str());
  for (const onnx::Port& p : net->inputs())
    std::printf("input       %s: %s\n", p.name.c_str(), str(p.type).c_str());
  for (const onnx::Port& p : net->outputs())
    std::printf("output      %s: %s\n", p.name.c_str(), str(p.type).c_str());
  std::printf("size        %s\nparameters  %ld\nMACs        %ld\n%s\n", size_text(a.name).c_str(),
              static_cast<long>(net->parameter_count()), static_cast<long>(macs),
              costs.text().c_str());
  TextTable table({"layer", "operator", "output", "parameters", "MACs", "traffic", "ms"});
  for (const Row& r : rows)
    table.add({r.layer, r.op, r.output, count(r.parameters), count(r.macs), costs.traffic(r.path),
               costs.milliseconds(r.path)});
  std::printf("%s", table.str().c_str());
  return within(a, net->parameter_count(), macs, costs);
}

/// Of a model file, for one sample.
Costs costs_of(Module& net, const Shape& input, int64_t macs) {
  const Tensor x = zeros(input);
  return measure_costs(
      [&] {
        NoGrad guard;
        Context ctx = Context::eval();
        return Tensors{net(x, ctx)};
      },
      macs);
}

Json recipe_json(const Recipe& r) {
  Json j = Json::object();
  j["name"] = r.name;
  j["model"] = r.config.model;
  j["about"] = r.about;
  j["data"] = r.data;
  j["source"] = r.source;
  j["published"] = r.published;
  j["measured"] = r.measured;
  j["time"] = r.time;
  return j;
}

/// What nacre and others reached with a model.
std::vector<Recipe> recipes_of(const std::string& model) {
  std::vector<Recipe> list = all_recipes();
  std::erase_if(list, [&](const Recipe& r) { return r.config.model != model; });
  return list;
}

constexpr const char* kCardFields[] = {"data", "seed", "part", "score"};

/// What training wrote of itself into a model file.
void add_training(Json& card, const ModelInfo& info) {
  for (const char* field : kCardFields)
    if (const auto at = info.extra.find(field); at != info.extra.end()) card[field] = at->second;
}

/// What a model file says of its training, and what it is held to by its checksums; false if it is
/// no model file of nacre's.
bool read_card(const std::string& path, Json& card) {
  card["file"] = path;
  try {
    const SafeTensors file = SafeTensors::open(path);
    const auto format = file.metadata().find("format");
    if (format == file.metadata().end() || !format->second.starts_with("nacre-model")) return false;
    const Model m = load_model(path);
    card["model"] = m.info.model;
    card["options"] = m.info.options;
    card["parameters"] = m.net->parameter_count();
    add_training(card, m.info);
    char checksum[9];
    std::snprintf(checksum, sizeof(checksum), "%08x", crc32c(MappedFile::open(path)->bytes()));
    card["crc32c"] = checksum;
  } catch (const Error& e) {
    card["error"] = e.what();
  }
  return true;
}

/// The model files below a folder, each read whole.
int list_folder(const ZooArgs& a) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::recursive_directory_iterator f(
      a.name, std::filesystem::directory_options::skip_permission_denied, error);
  for (std::error_code odd; !error && f != end(f); f.increment(error))  // odd: a link to itself
    if (f->is_regular_file(odd) && f->path().extension() == ".safetensors")
      paths.push_back(f->path());
  if (error) fail(Error::Kind::io, {"cannot read the folder '", a.name, "': ", error.message()});
  std::sort(paths.begin(), paths.end());
  Json list = Json::array();
  int damaged = 0;
  TextTable table({"file", "model", "parameters", "data", "seed", "part", "score", "CRC-32C"});
  for (const std::string& path : paths) {
    Json card = Json::object();
    if (!read_card(path, card)) continue;
    const std::string wrong = card.text_or("error", "");
    damaged += !wrong.empty();
    std::vector<std::string> row = {path, wrong.empty() ? card.at("model").text() : "damaged",
                                    wrong.empty() ? count(card.at("parameters").integer()) : ""};
    for (const char* field : kCardFields) row.push_back(card.text_or(field, ""));
    row.push_back(card.text_or("crc32c", ""));
    table.add(row);
    if (!wrong.empty()) std::fprintf(stderr, "nacre: %s\n", wrong.c_str());
    list.push_back(std::move(card));
  }
  std::printf("%s", a.json ? (print_json(list, 2) + "\n").c_str() : table.str(70).c_str());
  return damaged ? 1 : 0;
}

}  // namespace

int run_zoo_list(const ZooArgs& a) {
  if (!a.name.empty()) {
    if (!std::filesystem::is_directory(a.name))
      fail(Error::Kind::usage,
           {"'", a.name, "' is no folder; nacre zoo show FILE is for one model"});
    return list_folder(a);
  }
  Json list = Json::array();
  TextTable table({"model", "parameters", "MACs", "input", "what it is"});
  for (const ModelEntry* m : all_models()) {
    if (a.json) {
      Json j = Json::object();
      j["name"] = m->name;
      j["summary"] = m->summary;
      j["paper"] = m->paper;
      j["input"] = m->input.empty() ? "" : m->input.str();
      j["parameters"] = m->parameters;
      j["macs"] = m->macs;
      list.push_back(j);
    }
    table.add({m->name, count(m->parameters), count(m->macs),
               m->input.empty() ? "" : m->input.str(), m->summary});
  }
  std::printf("%s", a.json ? (print_json(list, 2) + "\n").c_str() : table.str(70).c_str());
  return 0;
}

int run_zoo_recipes(const ZooArgs& a) {
  if (!a.name.empty()) {
    const Recipe r = find_recipe(a.name);
    std::printf("%s", a.json ? (print_json(recipe_json(r), 2) + "\n").c_str() : r.text.c_str());
    return 0;
  }
  if (a.json) {
    Json list = Json::array();
    for (const Recipe& r : all_recipes()) list.push_back(recipe_json(r));
    std::printf("%s\n", print_json(list, 2).c_str());
    return 0;
  }
  TextTable table({"recipe", "published", "measured", "what it is"});
  for (const Recipe& r : all_recipes()) table.add({r.name, r.published, r.measured, r.about});
  std::printf("%s", table.str(60).c_str());
  return 0;
}

int run_zoo_show(const ZooArgs& a) {
  if (is_onnx(a.name)) return show_onnx(a);
  if (!a.shapes.empty())
    fail(Error::Kind::usage,
         {"--shape is for files of other programs; the shape of '", a.name, "' is known"});
  const bool file = std::filesystem::is_regular_file(a.name);
  if (file && !a.options.empty())
    fail(Error::Kind::usage, {"--options are for models of the zoo; '", a.name, "' is a file"});
  if (!file && !a.limits.empty())
    fail(Error::Kind::usage, {"--limits is for the file of a model; '", a.name, "' is none"});
  Model held;
  if (file) held = load_model(a.name);
  const ModelEntry& m = find_model(file ? held.info.model : a.name);
  const std::string options = file ? held.info.options : model_options(a.name, a.options);
  const auto net = file ? std::move(held.net) : make_model(a.name, a.options, Scope::init(Key(0)));
  Shape input = {1};
  for (int64_t d : file ? held.info.input : model_input(a.name, a.options)) input.push_back(d);
  bool usual = input.size() > 1;
  int64_t macs = 0;
  try {
    if (usual) macs = count_macs(*net, input);
  } catch (const Error& e) {
    if (a.options.empty()) throw;
    usual = false;
    log_warning({"with these options the model takes no input of ", input.str(), ": ", e.what()});
  }
  if (a.json) {
    Json j = Json::object();
    j["name"] = m.name;
    j["summary"] = m.summary;
    j["paper"] = m.paper;
    j["options"] = options;
    if (file) {
      j["bytes"] = bytes_of_model(a.name);
      j["transform"] = held.info.transform;
      j["classes"] = Json::array();
      for (const std::string& c : held.info.classes) j["classes"].push_back(c);
      add_training(j, held.info);
    } else {
      j["settings"] = m.settings;
    }
    j["parameters"] = net->parameter_count();
    if (usual) j["macs"] = macs;
    Costs costs;
    if (usual && file) {
      costs = costs_of(*net, input, macs);
      costs.add(j);
    }
    j["recipes"] = Json::array();
    for (const Recipe& r : recipes_of(m.name)) j["recipes"].push_back(recipe_json(r));
    std::printf("%s\n", print_json(j).c_str());
    return within(a, net->parameter_count(), macs, costs);
  }
  std::printf("%s\n%s\n%s\n\noptions     %s\nparameters  %ld%s\n", m.name, m.summary, m.paper,
              options.c_str(), static_cast<long>(net->parameter_count()),
              a.options.empty() && !file && m.parameters
                  ? cat({" (published ", m.parameters, ")"}).c_str()
                  : "");
  if (file) {
    std::string classes;
    for (size_t i = 0; i < std::min<size_t>(10, held.info.classes.size()); ++i)
      classes += (i ? ", " : "") + held.info.classes[i];
    if (held.info.classes.size() > 10) classes += cat({", ... (", held.info.classes.size(), ")"});
    std::printf("size        %s\ntransform   %s\nclasses     %s\n", size_text(a.name).c_str(),
                held.info.transform.c_str(), classes.c_str());
    auto& card = held.info.extra;
    if (card.contains("score"))
      std::printf("trained     on %s with seed %s; %s on the part '%s'\n", card["data"].c_str(),
                  card["seed"].c_str(), card["score"].c_str(), card["part"].c_str());
  } else if (*m.settings) {
    std::printf("settings    %s\n", m.settings);
  }
  if (const auto recipes = recipes_of(m.name); !file && !recipes.empty()) {
    TextTable results({"recipe", "published", "measured", "time"});
    for (const Recipe& r : recipes)
      results.add({r.name, r.published, r.measured.empty() ? "not yet" : r.measured, r.time});
    std::printf("\n%s\n", results.str().c_str());
  }
  if (!usual) return 0;
  std::printf(
      "MACs        %ld for an input of %s%s\n", static_cast<long>(macs), input.str().c_str(),
      a.options.empty() && m.macs && !file ? cat({" (published ", m.macs, ")"}).c_str() : "");
  if (file) {
    const Costs costs = costs_of(*net, input, macs);
    std::printf("%s\n", costs.text().c_str());
    TextTable table({"layer", "output", "parameters", "traffic", "ms"});
    for (const LayerInfo& l : list_layers(*net, input))
      table.add({l.path, l.output.str(), count(l.parameters), costs.traffic(l.path),
                 costs.milliseconds(l.path)});
    std::printf("%s", table.str().c_str());
    return within(a, net->parameter_count(), macs, costs);
  }
  std::printf("\n");
  TextTable table({"layer", "output", "parameters"});
  for (const LayerInfo& l : list_layers(*net, input))
    table.add({l.path, l.output.str(), count(l.parameters)});
  std::printf("%s", table.str().c_str());
  return 0;
}

}  // namespace nacre::cli
