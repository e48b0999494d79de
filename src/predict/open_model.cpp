#include <algorithm>
#include <sstream>

#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/predict.h"
#include "predict/network.h"

namespace nacre {
namespace {

constexpr std::string_view kPrefix = "nacre.";
constexpr int64_t kMaxClasses = 1 << 20;

/// Of a picture: grey or coloured, with transparency or without.
bool may_be_channels(int64_t n) { return n >= 1 && n <= 4; }

}  // namespace

bool is_onnx(const std::string& path) { return path.ends_with(".onnx") || is_network_file(path); }

std::unique_ptr<onnx::Network> load_network(const std::string& path, const std::string& weights) {
  if (!is_network_file(path)) return onnx::load(path);
  return onnx::parse(import_network(path, weights), path);
}

Shape usual_shape(const onnx::Port& port) {
  if (port.type.kind != onnx::TypeInfo::Kind::tensor || !port.type.has_shape)
    fail(Error::Kind::usage,
         {"input '", port.name, "' is ", str(port.type), ", of which no shape is known"});
  Shape shape;
  for (int64_t d : port.type.dims) shape.push_back(d < 0 ? 1 : d);
  return shape;
}

std::map<std::string, Shape> input_shapes(const onnx::Network& net,
                                          const std::vector<std::string>& given) {
  std::map<std::string, Shape> shapes;
  for (const std::string& text : given) {
    const size_t at = text.find('=');
    const std::string name = at != std::string::npos ? text.substr(0, at)
                             : net.inputs().empty()  ? ""
                                                     : net.inputs()[0].name;
    const auto port = std::find_if(net.inputs().begin(), net.inputs().end(),
                                   [&](const onnx::Port& p) { return p.name == name; });
    if (port == net.inputs().end()) {
      std::string names;
      for (const onnx::Port& p : net.inputs()) names += (names.empty() ? "" : ", ") + p.name;
      fail(Error::Kind::usage, {"the model has no input '", name, "'; it has ", names});
    }
    Shape shape;
    std::istringstream sizes(text.substr(at == std::string::npos ? 0 : at + 1));
    for (std::string size; std::getline(sizes, size, 'x');) {
      if (size.empty() || size.size() > 9 || size.find_first_not_of("0123456789") < size.size() ||
          std::stoll(size) == 0)
        fail(Error::Kind::usage, {"a shape is as in ", name, "=1x3x224x224, not '", text, "'"});
      shape.push_back(std::stoll(size));
    }
    bool fits = !port->type.has_shape || port->type.dims.size() == shape.size();
    for (size_t d = 0; fits && port->type.has_shape && d < shape.size(); ++d)
      fits = port->type.dims[d] < 0 || port->type.dims[d] == shape[d];
    if (!fits)
      fail(Error::Kind::usage, {"input '", name, "' is ", str(port->type), ", not ", shape});
    shapes[name] = shape;
  }
  for (const onnx::Port& p : net.inputs())
    if (!shapes.count(p.name)) shapes[p.name] = usual_shape(p);
  return shapes;
}

bool has_channels_last(const Shape& picture) {
  return picture.rank() == 3 && may_be_channels(picture[2]) && !may_be_channels(picture[0]) &&
         !may_be_channels(picture[1]);
}

std::map<std::string, std::string> onnx_metadata(const ModelInfo& info) {
  std::map<std::string, std::string> data;
  for (const auto& [name, text] : info.extra) data[cat({kPrefix, name})] = text;
  if (!info.model.empty()) data["nacre.model"] = info.model;
  if (!info.transform.empty()) data["nacre.transform"] = info.transform;
  std::string classes;
  for (const std::string& name : info.classes) classes += name + "\n";
  if (!classes.empty()) data["nacre.classes"] = classes;
  return data;
}

Model open_model(const std::string& path) {
  if (!is_onnx(path)) return load_model(path);
  auto net = load_network(path);
  if (net->inputs().empty() || net->outputs().empty())
    fail(Error::Kind::usage, {path, " has ", net->inputs().size(), " inputs and ",
                              net->outputs().size(), " outputs, there should be one at least"});
  Model m;
  m.info.model = "onnx";
  const Shape whole = usual_shape(net->inputs()[0]);
  m.info.input = whole.slice(std::min<int64_t>(1, whole.rank()), whole.rank());
  const auto& data = net->metadata();
  for (const auto& [name, text] : data)
    if (name.starts_with(kPrefix)) m.info.extra[name.substr(kPrefix.size())] = text;
  const bool ours = m.info.extra.erase("model") > 0;
  m.info.extra.erase("transform");
  m.info.extra.erase("classes");
  if (const auto at = data.find("nacre.transform"); at != data.end()) {
    m.info.transform = at->second;
  } else if (!ours && m.info.input.rank() == 3) {
    const Shape& in = m.info.input;
    const Shape s = has_channels_last(in) ? Shape{in[2], in[0], in[1]} : in;
    // Of more channels no picture makes an input.
    if (may_be_channels(s[0]))
      m.info.transform = cat({"to_channels(", s[0], ")|resize(", s[2], ",", s[1], ")"});
  }
  const onnx::TypeInfo& out = net->outputs()[0].type;
  if (const auto at = data.find("nacre.classes"); at != data.end()) {
    std::stringstream lines(at->second);
    for (std::string line; std::getline(lines, line);) m.info.classes.push_back(line);
  } else if (!ours && out.dims.size() == 2 && out.dims[1] > 1) {
    for (int64_t k = 0; k < std::min(out.dims[1], kMaxClasses); ++k)
      m.info.classes.push_back(std::to_string(k));
  }
  m.net = std::move(net);
  return m;
}

}  // namespace nacre
