// nacre run: a model on raw tensors.
#include <cstdio>
#include <set>

#include "base/file.h"
#include "cli/commands.h"
#include "nacre/formats.h"
#include "nacre/predict.h"
#include "nacre/zoo.h"
#include "predict/network.h"

namespace nacre::cli {
namespace {

/// A name of an output as that of a file: anything but letters, digits and ._- becomes _.
std::string file_name(const std::string& name) {
  std::string file;
  for (char c : name)
    file += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ||
                    (c == '.' && !file.empty())
                ? c
                : '_';
  return file.empty() ? "_" : file;
}

void write(const std::string& folder, const std::string& name, const onnx::Value& v) {
  if (v.is_sequence()) {
    for (size_t k = 0; k < v.items().size(); ++k)
      write(folder, name + "." + std::to_string(k), v.items()[k]);
    return;
  }
  if (v.is_none()) return;
  const std::string path = folder + "/" + file_name(name) + ".npy";
  if (v.is_strings()) fail(Error::Kind::unsupported, {"output '", name, "' is text"});
  const Tensor t = v.tensor().dtype() == DType::bf16 ? cast(v.tensor(), DType::f32) : v.tensor();
  save_npy(path, raw_tensor(t));
  std::printf("%s  %s\n", path.c_str(), onnx::Value(t).str().c_str());
}

}  // namespace

int run_run(const RunArgs& a) {
  std::map<std::string, onnx::Value> inputs;
  for (const std::string& given : a.inputs) {
    const size_t at = given.find('=');
    if (at == std::string::npos || at == 0)
      fail(Error::Kind::usage, {"--input is NAME=FILE.npy, not '", given, "'"});
    if (!inputs.emplace(given.substr(0, at), copied_tensor(load_npy(given.substr(at + 1)))).second)
      fail(Error::Kind::usage, {"input '", given.substr(0, at), "' is given twice"});
  }
  NoGrad guard;
  Context ctx = Context::eval();
  std::vector<std::pair<std::string, onnx::Value>> outputs;
  if (is_onnx(a.model)) {
    const auto net = load_network(a.model);
    const onnx::Values values = net->run(inputs, ctx);
    for (size_t k = 0; k < values.size(); ++k)
      outputs.emplace_back(net->outputs()[k].name, values[k]);
  } else {
    const Model m = file_exists(a.model) ? load_model(a.model) : fresh_model(a.model);
    if (inputs.size() != 1 || !inputs.count("input"))
      fail(Error::Kind::usage, {"this model has one input, which is named 'input': --input "
                                "input=FILE.npy"});
    outputs.emplace_back("output", (*m.net)(inputs.begin()->second.tensor(), ctx));
  }
  Tensors all;
  for (const auto& [name, v] : outputs)
    if (v.is_tensor()) all.push_back(v.tensor());
  eval(all);
  std::set<std::string> files;
  for (const auto& [name, v] : outputs)
    if (!files.insert(file_name(name)).second)
      fail(Error::Kind::unsupported, {"two outputs would be written to ", file_name(name), ".npy"});
  make_folders(a.output);
  for (const auto& [name, v] : outputs) write(a.output, name, v);
  return 0;
}

}  // namespace nacre::cli
