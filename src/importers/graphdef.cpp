// Frozen graphs of TensorFlow (Abadi et al. 2016).
#include "importers/graphdef.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "importers/kinds.h"
#include "importers/problems.h"
#include "nacre/error.h"
#include "nacre/import.h"

namespace nacre {
namespace {

constexpr uint64_t kRepeatedBytes = 64 << 20;  // of constants that repeat one value

bool is_variable(std::string_view op) {
  return op == "Variable" || op == "VariableV2" || op == "VarHandleOp" ||
         op == "AutoReloadVariable";
}
/// Nodes that stand at the end of a graph without being results.
bool is_no_result(std::string_view op) {
  return op == "NoOp" || op == "Assert" || op == "Const" || op == "Placeholder" || op == "Print" ||
         op == "PlaceholderWithDefault" || op.starts_with("Assign") || op.starts_with("Save") ||
         op.starts_with("Restore");
}

class GraphDefImporter {
 public:
  GraphDefImporter(std::vector<GraphNode> nodes, std::string_view what, uint64_t size)
      : what_(what),
        nodes_(std::move(nodes)),
        net_("tensorflow", size),
        problems_(what),
        budget_(kRepeatedBytes + size) {
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!index_.emplace(nodes_[i].name, i).second)
        fail(Error::Kind::data, {what_, " has two nodes named '", shown(nodes_[i].name), "'"});
  }

  std::string run() {
    refuse_variables();
    read_edges();
    values_.resize(nodes_.size());
    // Inputs in the order of the file, then what results need.
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].op == "Placeholder") translate(i);
    std::vector<size_t> results;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!is_read_[i] && !is_no_result(nodes_[i].op)) results.push_back(i);
    if (results.empty()) fail(Error::Kind::data, {what_, " has no node whose values are a result"});
    for (const size_t r : results) make(r);
    problems_.finish("operators");
    for (const size_t r : results) write(r);
    return net_.finish();
  }

 private:
  static std::string shown(std::string_view name) { return clip(printable(name), 100); }

  void refuse_variables() const {
    std::vector<std::string> names;
    for (const GraphNode& n : nodes_)
      if (is_variable(n.op)) names.push_back(n.name);
    if (names.empty()) return;
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(3, names.size()); ++i)
      list += cat({i ? ", '" : "'", shown(names[i]), "'"});
    fail(Error::Kind::unsupported,
         {what_, " has ", names.size(), " variables (", list, names.size() > 3 ? ", ..." : "",
          "), whose values are not in it; freeze it first (convert_variables_to_constants_v2)"});
  }

  struct Port {
    size_t node = 0, output = 0;
  };

  /// Which outputs each node reads; marks nodes that are read.
  void read_edges() {
    is_read_.resize(nodes_.size());
    edges_.resize(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); ++i)
      for (const std::string& input : nodes_[i].inputs) {
        const bool order = input.starts_with("^");
        std::string_view name = std::string_view(input).substr(order ? 1 : 0);
        Port port;
        if (const size_t colon = name.rfind(':'); !order && colon != name.npos) {
          const std::string_view digits = name.substr(colon + 1);
          const auto end = std::from_chars(digits.begin(), digits.end(), port.output);
          if (end.ec != std::errc() || end.ptr != digits.end() || port.output > 1 << 16)
            fail(Error::Kind::data,
                 {what_, ": node '", shown(nodes_[i].name), "' reads '", shown(input), "'"});
          name = name.substr(0, colon);
        }
        const auto at = index_.find(name);
        if (at == index_.end())
          fail(Error::Kind::data, {what_, ": node '", shown(nodes_[i].name), "' reads '",
                                   shown(name), "', which no node makes"});
        if (order) continue;
        port.node = at->second;
        edges_[i].push_back(port);
        is_read_[port.node] = true;
      }
  }

  /// Translates what a node needs, then the node. Without recursion: graphs are deep.
  void make(size_t result) {
    std::vector<std::pair<size_t, size_t>> stack{{result, 0}};  // node, inputs done
    std::vector<size_t> open;
    while (!stack.empty()) {
      auto& [node, done] = stack.back();
      if (done == 0 && !values_[node].empty()) {
        stack.pop_back();
        continue;
      }
      if (done == 0 && !in_work_.insert(node).second)
        fail(Error::Kind::data,
             {what_, ": node '", shown(nodes_[node].name), "' needs its own result"});
      if (done < edges_[node].size()) {
        const size_t next = edges_[node][done++].node;
        if (values_[next].empty()) {
          if (in_work_.contains(next))
            fail(Error::Kind::data,
                 {what_, ": node '", shown(nodes_[next].name), "' needs its own result"});
          stack.emplace_back(next, 0);
        }
        continue;
      }
      in_work_.erase(node);
      translate(node);
      stack.pop_back();
    }
  }

  void translate(size_t i) {
    const GraphNode& n = nodes_[i];
    net_.label(n.name);
    try {
      if (n.op == "Placeholder") {
        const auto shape = n.shape("shape");
        values_[i] = {net_.input(n.name, n.type("dtype"), shape.value_or(std::vector<int64_t>()),
                                 shape.has_value())};
        return;
      }
      if (n.op == "Const") {
        values_[i] = {net_.constant(n.name, n.tensor("value", budget_))};
        return;
      }
      NhwcBuilder::Values in;
      for (const Port& p : edges_[i]) {
        const auto& from = values_[p.node];
        if (p.output >= from.size() && !broken_.contains(p.node))
          throw NoTranslation{cat({"output ", p.output, " of a ", nodes_[p.node].op})};
        in.push_back(broken_.contains(p.node) ? from[0] : from[p.output]);
      }
      const GraphOperator op = find_graph_operator(n.op);
      if (!op) {
        problems_.add(n.op, n.name);
      } else if (std::any_of(in.begin(), in.end(), [](const auto& v) { return !v; })) {
        // An input has no translation, which is told already.
      } else {
        GraphCall call{n, in, net_};
        values_[i] = op(call);
        return;
      }
    } catch (const NoTranslation& e) {
      problems_.add(cat({n.op, " with ", e.use}), n.name);
    } catch (const Error& e) {
      if (std::string_view(e.what()).starts_with(what_)) throw;
      fail(e.kind(), {what_, ": node '", shown(n.name), "' (", shown(n.op), ") ", e.what()});
    }
    broken_.insert(i);
    values_[i] = {nullptr};
  }

  void write(size_t i) {
    const auto& from = values_[i];
    for (size_t k = 0; k < from.size(); ++k)
      net_.output(k == 0 ? nodes_[i].name : cat({nodes_[i].name, ":", k}), from[k]);
  }

  std::string_view what_;
  std::vector<GraphNode> nodes_;
  NhwcBuilder net_;
  Problems problems_;
  uint64_t budget_;
  std::unordered_map<std::string_view, size_t> index_;
  std::vector<std::vector<Port>> edges_;
  std::vector<bool> is_read_;
  std::vector<NhwcBuilder::Values> values_;
  std::set<size_t> in_work_, broken_;
};

}  // namespace

const NhwcValue& GraphCall::operator[](size_t i) const {
  if (i >= in.size()) fail(Error::Kind::data, {"has only ", in.size(), " inputs"});
  return in[i];
}

std::vector<int64_t> GraphCall::integers(size_t i, std::string_view what) const {
  std::vector<int64_t> v;
  if (!NhwcBuilder::known((*this)[i], v))
    throw NoTranslation{cat({what, " computed in the graph"})};
  return v;
}

int64_t GraphCall::integer(size_t i, std::string_view what) const {
  const auto v = integers(i, what);
  if (v.size() != 1) fail(Error::Kind::data, {"has ", v.size(), " numbers for ", what});
  return v[0];
}

bool GraphCall::channels_last() const {
  const std::string format = node.text("data_format", "NHWC");
  if (format != "NHWC" && format != "NCHW") throw NoTranslation{cat({"data_format ", format})};
  return format == "NHWC";
}

std::string import_graphdef(std::string_view graph, std::string_view what) {
  return with_name(what, what, [&] {
    return GraphDefImporter(read_graphdef(graph, what), what, graph.size()).run();
  });
}

const NetworkKind kGraphDefFiles = {".pb", "TensorFlow", no_weights,
                                    [](const std::string& path, const std::string& weights) {
                                      return read_whole_network(path, weights, import_graphdef);
                                    }};

}  // namespace nacre
