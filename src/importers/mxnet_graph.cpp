#include "importers/mxnet_graph.h"

#include <cmath>
#include <cstdlib>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "importers/kinds.h"
#include "nacre/error.h"

namespace nacre {
namespace {

// Of the JSON text, where a node has about 15. As values they take far more memory than as text.
constexpr int64_t kMostValues = 400'000;

[[noreturn]] void wrong(const MxnetNode& n, const std::string& option, std::string_view wanted) {
  fail(Error::Kind::data,
       {"layer '", clip(printable(n.name), 100), "' has ", option, "=",
        clip(printable(n.options.at(option)), 60), ", which should be ", wanted});
}

}  // namespace

bool MxnetNode::has(const std::string& option) const {
  const auto at = options.find(option);
  return at != options.end() && !at->second.empty() && at->second != "None";
}

std::string MxnetNode::text(const std::string& option, const std::string& otherwise) const {
  return has(option) ? options.at(option) : otherwise;
}

double MxnetNode::number(const std::string& option, double otherwise) const {
  if (!has(option)) return otherwise;
  const std::string& s = options.at(option);
  char* end = nullptr;
  const double v = std::strtod(s.c_str(), &end);
  if (end == s.c_str() || *end || std::isnan(v)) wrong(*this, option, "a number");
  return v;
}

int64_t MxnetNode::integer(const std::string& option, int64_t otherwise) const {
  const double v = number(option, static_cast<double>(otherwise));
  if (v != std::floor(v) || std::abs(v) > 2147483648.0) wrong(*this, option, "an integer");
  return static_cast<int64_t>(v);
}

bool MxnetNode::boolean(const std::string& option, bool otherwise) const {
  if (!has(option)) return otherwise;
  const std::string& s = options.at(option);
  if (s == "True" || s == "true" || s == "1") return true;
  if (s != "False" && s != "false" && s != "0") wrong(*this, option, "True or False");
  return false;
}

std::vector<int64_t> MxnetNode::integers(const std::string& option, int64_t none) const {
  std::vector<int64_t> out;
  if (!has(option)) return out;
  std::string s = options.at(option);
  for (char& c : s)
    if (c == '(' || c == ')' || c == '[' || c == ']' || c == ',') c = ' ';
  const char* at = s.c_str();
  while (true) {
    while (*at == ' ') ++at;
    if (!*at) return out;
    if (out.size() >= 64) wrong(*this, option, "a list of at most 64 integers");
    if (std::string_view(at).starts_with("None")) {
      out.push_back(none);
      at += 4;
      continue;
    }
    char* end = nullptr;
    const double v = std::strtod(at, &end);
    if (end == at || v != std::floor(v) || std::abs(v) > 2147483648.0)
      wrong(*this, option, "a list of integers");
    out.push_back(static_cast<int64_t>(v));
    if (*end == 'L') ++end;  // as Python 2 writes them
    at = end;
  }
}

MxnetGraph read_mxnet_symbol(std::string_view json, std::string_view what) {
  const Json all = parse_json(json, what, {.values = kMostValues});
  const auto damaged = [&](std::initializer_list<Piece> why) {
    fail(Error::Kind::data, {what, " is no MXNet symbol: ", cat(why)});
  };
  MxnetGraph graph;
  if (!all.is_object() || !all.has("nodes") || !all.has("heads"))
    damaged({"nodes and heads are missing"});
  const auto input = [&](const Json& j, size_t before) {
    if (!j.is_list() || j.size() < 2) damaged({"an input is not [node, output]"});
    const int64_t node = j.list()[0].integer(), output = j.list()[1].integer();
    if (node < 0 || static_cast<size_t>(node) >= before || output < 0 || output > 10'000)
      damaged({"an input is output ", output, " of node ", node, ", which is not there"});
    return MxnetNode::Input{static_cast<size_t>(node), static_cast<size_t>(output)};
  };
  for (const Json& j : all.at("nodes").list()) {
    MxnetNode n;
    n.op = j.at("op").text();
    n.name = j.at("name").text();
    // Options have had three names in the course of time.
    for (const char* field : {"attrs", "param", "attr"})
      if (const Json* options = j.find(field); options && options->is_object())
        for (const auto& [name, value] : options->fields())
          if (value.is_text()) n.options.emplace(name, value.text());
    for (const Json& i : j.at("inputs").list()) n.inputs.push_back(input(i, graph.nodes.size()));
    graph.nodes.push_back(std::move(n));
  }
  for (const Json& h : all.at("heads").list()) graph.heads.push_back(input(h, graph.nodes.size()));
  if (graph.heads.empty()) damaged({"it has no outputs"});
  return graph;
}

std::string mxnet_params_beside(const std::string& path) {
  const std::string stem = beside(path, "symbol.json", "");
  const size_t slash = stem.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : stem.substr(0, slash + 1);
  const std::string begin = slash == std::string::npos ? stem : stem.substr(slash + 1);
  std::string last;
  for (const auto& entry : list_folder(folder))
    if (entry.name.starts_with(begin) && entry.name.ends_with(".params") &&
        entry.name.size() == begin.size() + 11 && entry.name > last)
      last = entry.name;
  if (last.empty())
    fail(Error::Kind::io,
         {"there is no ", stem, "0000.params, nor one of another epoch, beside ", path});
  return slash == std::string::npos ? last : stem.substr(0, slash + 1) + last;
}

MxnetRnn split_mxnet_rnn(std::span<const float> all, int64_t gates, int64_t size, int64_t layers,
                         int64_t directions) {
  // First the weights of each layer and direction, then the two biases of each. What is left for
  // the weights of the first input says how wide that is.
  const int64_t g = gates * size, each = g * directions;
  const int64_t others = each * ((layers - 1) * size * directions + layers * (size + 2));
  const int64_t rest = std::ssize(all) - others;
  MxnetRnn out;
  if (rest < each || rest % each) return out;
  out.width = rest / each;
  static const std::vector<int64_t> orders[] = {{}, {0}, {}, {1, 0, 2}, {0, 3, 1, 2}};
  const auto append = [&](std::vector<float>& to, int64_t from, int64_t columns) {
    for (const int64_t k : orders[gates])
      to.insert(to.end(), all.begin() + from + k * size * columns,
                all.begin() + from + (k + 1) * size * columns);
  };
  int64_t weight = 0, bias = std::ssize(all) - layers * directions * 2 * g;
  for (int64_t l = 0; l < layers; ++l) {
    const int64_t in = l ? size * directions : out.width;
    MxnetRnn::Layer layer;
    for (int64_t d = 0; d < directions; ++d) {
      append(layer.weight, weight, in);
      append(layer.recurrence, weight + g * in, size);
      append(layer.bias, bias, 1);
      append(layer.bias, bias + g, 1);
      weight += g * (in + size);
      bias += 2 * g;
    }
    out.layers.push_back(std::move(layer));
  }
  return out;
}

}  // namespace nacre
