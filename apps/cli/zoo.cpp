#include <cstdio>

#include "base/json.h"
#include "cli/commands.h"
#include "nacre/zoo.h"
#include "train/terminal.h"

namespace nacre::cli {
namespace {
std::string count(int64_t n) { return n ? std::to_string(n) : ""; }
}  // namespace

int run_zoo_list(const ZooArgs& a) {
  Json list = Json::array();
  TextTable table({"model", "parameters", "MACs", "input", "what it is"});
  for (const ModelEntry* m : all_models()) {
    if (a.json) {
      Json j = Json::object();
      j["name"] = m->name;
      j["summary"] = m->summary;
      j["paper"] = m->paper;
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

int run_zoo_show(const ZooArgs& a) {
  const ModelEntry& m = find_model(a.name);
  const std::string options = model_options(a.name, a.options);
  auto net = make_model(a.name, a.options, Scope::init(Key(0)));
  Shape input = {1};
  for (int64_t d : m.input) input.push_back(d);
  const bool usual = a.options.empty();
  const int64_t macs = usual ? count_macs(*net, input) : 0;
  if (a.json) {
    Json j = Json::object();
    j["name"] = m.name;
    j["summary"] = m.summary;
    j["paper"] = m.paper;
    j["options"] = options;
    j["settings"] = m.settings;
    j["parameters"] = net->parameter_count();
    if (usual) j["macs"] = macs;
    std::printf("%s\n", print_json(j).c_str());
    return 0;
  }
  std::printf("%s\n%s\n%s\n\noptions     %s\nparameters  %ld%s\n", m.name, m.summary, m.paper,
              options.c_str(), static_cast<long>(net->parameter_count()),
              usual && m.parameters ? cat({" (published ", m.parameters, ")"}).c_str() : "");
  if (*m.settings) std::printf("settings    %s\n", m.settings);
  if (!usual) return 0;
  std::printf("MACs        %ld for an input of %s%s\n\n", static_cast<long>(macs),
              input.str().c_str(), m.macs ? cat({" (published ", m.macs, ")"}).c_str() : "");
  TextTable table({"layer", "output", "parameters"});
  for (const LayerInfo& l : list_layers(*net, input))
    table.add({l.path, l.output.str(), count(l.parameters)});
  std::printf("%s", table.str().c_str());
  return 0;
}

}  // namespace nacre::cli
