// MXNet (https://mxnet.apache.org): a symbol as JSON, and its arrays in a .params file.
#include <algorithm>

#include "base/text.h"
#include "importers/kinds.h"
#include "importers/mxnet_importer.h"
#include "nacre/import.h"

namespace nacre {

std::string MxnetImporter::run(const MxnetGraph& graph) {
  graph_ = &graph;
  for (const MxnetNode& n : graph.nodes)
    for (const auto& i : n.inputs) readers_[i.node].push_back(&n);
  values_.resize(graph.nodes.size());
  for (size_t k = 0; k < graph.nodes.size(); ++k) {
    n_ = &graph.nodes[k];
    at_ = k;
    if (n_->op == "null") {
      variable();
      continue;
    }
    in_.clear();
    for (const auto& i : n_->inputs) in_.push_back(value(i));
    translate();
  }
  problems_.finish("operators");
  std::map<std::string, int> names;
  for (const auto& head : graph.heads) {
    const Value v = value(head);
    const MxnetNode& n = graph.nodes[head.node];
    const bool several = values_[head.node].size() > 1;
    std::string name = cat({n.name, n.op == "null" ? "" : "_output"});
    if (several) name += std::to_string(head.output);
    if (names[name]++) continue;
    net_.node("Identity", {x(v)}, {name == v.name ? net_.fresh("output") : name});
    net_.output(name, v.rank);
  }
  return net_.finish();
}

// ---- values

void MxnetImporter::wrong(std::initializer_list<Piece> why) const {
  fail(Error::Kind::data, {what_, ": layer '", clip(printable(n_->name), 100), "' ", cat(why)});
}

void MxnetImporter::unsupported(std::string_view use) {
  problems_.add(cat({n_->op, " with ", use}), n_->name);
  give(net_.fresh("missing"), -1);
}

MxnetImporter::Value MxnetImporter::value(const MxnetNode::Input& i) const {
  const auto& all = values_[i.node];
  if (i.output < all.size()) return all[i.output];
  const MxnetNode& n = graph_->nodes[i.node];
  fail(Error::Kind::data, {what_, ": output ", i.output, " of layer '",
                           clip(printable(n.name), 100), "' is read, it has ", all.size()});
}

std::string MxnetImporter::x(const Value& v) {
  if (!v.array || !stored_.insert(v.name).second) return v.name;
  const RawTensor& a = *v.array;
  return net_.array(a, v.name);
}

const MxnetImporter::Value& MxnetImporter::in(size_t i) const {
  if (i >= in_.size()) wrong({"has ", in_.size(), " inputs, needs ", i + 1});
  return in_[i];
}

int MxnetImporter::known(size_t i) {
  if (rank(i) > 0) return rank(i);
  unsupported("an input whose rank is not known");
  return 0;
}

void MxnetImporter::make(std::string_view op, const std::vector<std::string>& inputs,
                         const Attributes& attributes, int rank) {
  const std::string name = net_.fresh(n_->name);
  net_.node(op, inputs, {name}, attributes, n_->name);
  give(name, rank);
}

const RawTensor& MxnetImporter::array(size_t i) const {
  const Value& v = in(i);
  if (!v.array) wrong({"reads weights that the .params file does not have"});
  if (v.array->dtype != DType::f32)
    fail(Error::Kind::unsupported, {what_, ": '", clip(printable(v.name), 100), "' is of type ",
                                    name_of(v.array->dtype), ", only f32 is translated"});
  return *v.array;
}

std::span<const float> MxnetImporter::floats(size_t i) const {
  const RawTensor& a = array(i);
  return {static_cast<const float*>(a.data), static_cast<size_t>(a.shape.numel())};
}

int64_t MxnetImporter::bounded(const std::string& option, int64_t otherwise, int64_t least) const {
  const int64_t v = n_->integer(option, otherwise);
  if (v < least || v > 1 << 30) wrong({"has the impossible ", option, " ", v});
  return v;
}

MxnetImporter::Ints MxnetImporter::sizes(const std::string& option, size_t n, int64_t otherwise,
                                         int64_t least) const {
  Ints v = n_->integers(option);
  if (v.empty()) v.assign(n, otherwise);
  if (v.size() != n) wrong({"has ", v.size(), " sizes of ", option, ", needs ", n});
  for (const int64_t d : v)
    if (d < least || d > 1 << 20) wrong({"has the impossible ", option, " ", d});
  return v;
}

std::string MxnetImporter::channels(size_t i, int rank) {
  const auto v = floats(i);
  Ints shape{std::ssize(v)};
  for (int d = 2; d < rank && v.size() > 1; ++d) shape.push_back(1);
  return net_.floats(v, shape, in(i).name + "_channels");
}

void MxnetImporter::variable() {
  const std::string& name = n_->name;
  if (const auto at = arrays_.find(name); at != arrays_.end()) {
    values_[at_].push_back({name, static_cast<int>(at->second.shape.rank()), &at->second});
    return;
  }
  const auto& readers = readers_[at_];
  const auto all = [&](auto f) { return std::all_of(readers.begin(), readers.end(), f); };
  // What only training reads, and first states of recurrent layers, which are zero.
  const bool label = !readers.empty() && all([&](const MxnetNode* r) {
    return is_mxnet_loss(r->op) && r->inputs.size() > 1 && r->inputs[0].node != at_;
  });
  const bool state = !readers.empty() && all([&](const MxnetNode* r) {
    return r->op == "RNN" && r->inputs.size() > 2 && r->inputs[0].node != at_ &&
           r->inputs[1].node != at_;
  });
  if (label || state) {
    values_[at_].push_back({name, -1, nullptr, state});
    return;
  }
  Ints shape = n_->integers("__shape__");
  for (int64_t& d : shape)
    if (d <= 0) d = -1;
  if (shape.empty() && !readers.empty()) shape = guessed(*readers[0]);
  if (shape.empty()) {
    net_.input(name, int64_t{1});
    values_[at_].push_back({name, -1});
  } else {
    shape[0] = -1;
    net_.input(name, shape);
    values_[at_].push_back({name, static_cast<int>(shape.size())});
  }
}

MxnetImporter::Ints MxnetImporter::guessed(const MxnetNode& reader) const {
  if (reader.inputs.size() < 2 || reader.inputs[0].node != at_) return {};
  const auto at = arrays_.find(graph_->nodes[reader.inputs[1].node].name);
  if (at == arrays_.end()) return {};
  const Shape& w = at->second.shape;
  if (reader.op == "Convolution" && w.rank() >= 3 && w[1] < 1 << 20) {
    Ints shape(static_cast<size_t>(w.rank()), -1);
    shape[1] = w[1] * std::clamp<int64_t>(reader.integer("num_group", 1), 1, 1 << 20);
    return shape;
  }
  if (reader.op == "FullyConnected" && w.rank() == 2) return {-1, w[1]};
  if (reader.op == "BatchNorm" && w.rank() == 1) return {-1, w[0], -1, -1};
  return {};
}

std::string import_mxnet(std::string_view symbol, std::string_view params, std::string_view what,
                         std::string_view stored) {
  if (stored.empty()) stored = what;
  return with_name(what, stored, [&] {
    const MxnetGraph graph = read_mxnet_symbol(symbol, what);
    const Weights weights = parse_mxnet(params, nullptr, stored);
    return MxnetImporter(weights, what).run(graph);
  });
}

const NetworkKind kMxnetFiles = {"-symbol.json", "MXNet", mxnet_params_beside,
                                 [](const std::string& path, const std::string& weights) {
                                   return read_text_network(path, weights, import_mxnet);
                                 }};

}  // namespace nacre
