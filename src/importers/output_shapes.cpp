// The sizes of an imported network's outputs, which files of other frameworks seldom state.
#include <map>

#include "formats/wire.h"
#include "nacre/error.h"
#include "nacre/graph.h"
#include "nacre/import.h"
#include "nacre/onnx.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

using Dims = std::vector<int64_t>;

/// The shapes of the outputs for a batch of this size, and this size for what else is open; none
/// if the network does not take such inputs, or if the shapes depend on values.
std::vector<Dims> recorded(onnx::Network& net, int64_t batch, int64_t open) {
  std::map<std::string, onnx::Value> values;
  Tensors like;
  for (const onnx::Port& p : net.inputs()) {
    if (p.type.kind != onnx::TypeInfo::Kind::tensor || !p.type.has_shape) return {};
    Shape shape;
    for (const int64_t d : p.type.dims) shape.push_back(d >= 0 ? d : shape.empty() ? batch : open);
    like.push_back(zeros(shape, onnx::storage_of(p.type.elem)));
  }
  std::vector<Dims> shapes;
  try {
    NoGrad guard;
    Context ctx = Context::eval();
    const Graph graph = Graph::trace(
        [&](const Tensors& in) {
          for (size_t k = 0; k < in.size(); ++k)
            values[net.inputs()[k].name] = onnx::Value(in[k], net.inputs()[k].type.elem);
          Tensors out;
          for (const onnx::Value& v : net.run(values, ctx)) out.push_back(v.tensor());
          return out;
        },
        like);
    for (const Tensor& t : graph.outputs()) shapes.emplace_back(t.shape().begin(), t.shape().end());
  } catch (const Error&) {
  }
  return shapes;
}

/// A ValueInfoProto.
WireWriter port(const onnx::Port& p, const Dims& dims) {
  WireWriter shape, tensor, type, info;
  for (const int64_t d : dims) {
    WireWriter dim;
    if (d >= 0) dim.integer(1, d);
    shape.message(1, dim);
  }
  tensor.integer(1, static_cast<int64_t>(p.type.elem));
  tensor.message(2, shape);
  type.message(1, tensor);
  info.bytes(1, p.name);
  info.message(2, type);
  return info;
}

}  // namespace

std::string with_output_shapes(std::string_view model, onnx::Network& net) {
  constexpr int64_t kOpen[][2] = {{64, 96}, {224, 256}, {2, 3}};  // what networks usually take
  std::vector<Dims> some, others;
  for (const auto& [a, b] : kOpen) {
    some = recorded(net, 2, a);
    others = some.empty() ? some : recorded(net, 3, b);
    if (!others.empty()) break;
  }
  if (others.size() != net.outputs().size()) return std::string(model);
  for (size_t k = 0; k < some.size(); ++k) {
    if (some[k].size() != others[k].size()) return std::string(model);
    for (size_t d = 0; d < some[k].size(); ++d)
      if (some[k][d] != others[k][d]) some[k][d] = -1;
  }
  // The fields of import_network()'s models are numbers and messages.
  const auto copy = [](WireWriter& to, const WireReader& r) {
    r.is_message() ? to.bytes(r.field(), r.bytes()) : to.integer(r.field(), r.integer());
  };
  WireWriter whole;
  for (WireReader r(model, "the model"); r.next();) {
    if (r.field() != 7) {
      copy(whole, r);
      continue;
    }
    WireWriter graph;
    size_t output = 0;
    for (WireReader g(r.bytes(), "the model"); g.next();) {
      if (g.field() != 12) {
        copy(graph, g);
        continue;
      }
      graph.message(12, port(net.outputs().at(output), some[output]));
      ++output;
    }
    whole.message(7, graph);
  }
  return whole.str();
}

}  // namespace nacre
