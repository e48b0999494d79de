// Calls of functions (function.proto of TensorFlow) are replaced by the nodes of the function.
#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "formats/wire.h"
#include "importers/graphdef_file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr int kMostDepth = 32;
constexpr uint64_t kMostBytes = 64 << 20;  // that the nodes of all calls take, roughly

struct Function {
  std::vector<std::string> arguments, results;
  std::map<std::string, std::string, std::less<>> values;  ///< of results: which output they are
  std::vector<GraphNode> nodes;
};
using Functions = std::unordered_map<std::string, Function>;

std::string name_in(std::string_view argument, std::string_view what) {
  for (WireReader r(argument, what); r.next();)
    if (r.field() == 1) return std::string(r.bytes());
  return "";
}

std::pair<std::string, Function> read_function(std::string_view bytes, std::string_view what) {
  std::string name;
  Function f;
  for (WireReader r(bytes, what); r.next();) {
    if (r.field() == 1)
      for (WireReader s(r.bytes(), what); s.next();) {
        if (s.field() == 1) name = s.bytes();
        if (s.field() == 2) f.arguments.push_back(name_in(s.bytes(), what));
        if (s.field() == 3) f.results.push_back(name_in(s.bytes(), what));
      }
    if (r.field() == 3) f.nodes.push_back(read_graph_node(r.bytes(), what));
    if (r.field() != 4) continue;
    std::string key, value;
    for (WireReader entry(r.bytes(), what); entry.next();) {
      if (entry.field() == 1) key = entry.bytes();
      if (entry.field() == 2) value = entry.bytes();
    }
    f.values[key] = value;
  }
  return {std::move(name), std::move(f)};
}

bool is_call(const GraphNode& n) {
  return n.op == "PartitionedCall" || n.op == "StatefulPartitionedCall";
}

class Inliner {
 public:
  Inliner(const Functions& functions, std::string_view what) : functions_(functions), what_(what) {}

  std::vector<GraphNode> run(std::vector<GraphNode> nodes) {
    for (GraphNode& n : nodes) add(std::move(n), 0);
    return std::move(out_);
  }

 private:
  void add(GraphNode n, int depth) {
    bytes_ += 256 + n.name.size() + 128 * n.attributes.size();
    for (const std::string& i : n.inputs) bytes_ += 64 + i.size();
    if ((depth > 0 && bytes_ > kMostBytes) || depth > kMostDepth)
      fail(Error::Kind::data, {what_, " calls functions too often or too deeply"});
    const auto at = is_call(n) ? functions_.find(n.function("f")) : functions_.end();
    if (at == functions_.end()) {
      out_.push_back(std::move(n));
      return;
    }
    const Function& f = at->second;
    std::vector<std::string> given;
    for (const std::string& i : n.inputs)
      if (!i.starts_with("^")) given.push_back(i);
    if (given.size() != f.arguments.size()) wrong(n, "is called with too few or too many inputs");
    // "argument", or "node:output:3" within a function; "node:3" outside.
    const auto outside = [&](std::string_view value) -> std::string {
      if (value.starts_with("^")) return cat({"^", n.name, "/", value.substr(1)});
      const size_t colon = value.find(':');
      if (colon == value.npos) {
        const auto a = std::find(f.arguments.begin(), f.arguments.end(), value);
        if (a == f.arguments.end()) wrong(n, "reads what is not there");
        return given[static_cast<size_t>(a - f.arguments.begin())];
      }
      const std::string_view node = value.substr(0, colon), output = value.substr(colon + 1);
      const size_t second = output.find(':');
      if (second == output.npos) wrong(n, "reads what is not there");
      const std::string_view name = output.substr(0, second), index = output.substr(second + 1);
      return cat({n.name, "/", node, ":", name == "indices" && index == "0" ? "1" : index});
    };
    for (const GraphNode& inner : f.nodes) {
      GraphNode copy = inner;
      copy.name = cat({n.name, "/", inner.name});
      for (std::string& i : copy.inputs) i = outside(i);
      add(std::move(copy), depth + 1);
    }
    GraphNode results;
    results.name = n.name;
    results.op = "IdentityN";
    results.what = n.what;
    for (const std::string& r : f.results) {
      const auto value = f.values.find(r);
      if (value == f.values.end()) wrong(n, "does not say what it gives");
      results.inputs.push_back(outside(value->second));
    }
    out_.push_back(std::move(results));
  }

  [[noreturn]] void wrong(const GraphNode& n, const char* why) const {
    fail(Error::Kind::data,
         {what_, ": the function of node '", clip(printable(n.name), 100), "' ", why});
  }

  const Functions& functions_;
  std::string_view what_;
  std::vector<GraphNode> out_;
  uint64_t bytes_ = 0;
};

}  // namespace

std::vector<GraphNode> without_calls(std::vector<GraphNode> nodes, std::string_view graph,
                                     std::string_view what) {
  if (std::none_of(nodes.begin(), nodes.end(), is_call)) return nodes;
  Functions functions;
  for (WireReader r(graph, what); r.next();)
    if (r.field() == 2)
      for (WireReader library(r.bytes(), what); library.next();)
        if (library.field() == 1) functions.insert(read_function(library.bytes(), what));
  return Inliner(functions, what).run(std::move(nodes));
}

}  // namespace nacre
