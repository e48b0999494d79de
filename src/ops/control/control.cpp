#include "ops/control/control.h"

#include "nacre/autograd.h"

namespace nacre {

Graph with_extra_inputs(const Graph& g, size_t at, const Tensors& extra) {
  Tensors inputs = g.inputs(), added;
  for (const Tensor& t : extra) added.push_back(make_placeholder(0, t.dtype(), t.shape()));
  inputs.insert(inputs.begin() + static_cast<int64_t>(at), added.begin(), added.end());
  // Positions are part of a placeholder's identity, so the graph is recorded anew on fresh ones.
  Tracing guard;
  Tensors fresh, mine;
  for (const Tensor& t : inputs)
    fresh.push_back(make_placeholder(static_cast<int>(fresh.size()), t.dtype(), t.shape()));
  for (size_t i = 0; i < fresh.size(); ++i)
    if (i < at || i >= at + extra.size()) mine.push_back(fresh[i]);
  return Graph(fresh, g.call(mine));
}

std::function<Tensors(const Tensors&)> vjp_of_graph(const std::shared_ptr<const Graph>& g,
                                                    size_t inputs) {
  return [g, inputs](const Tensors& all) {
    Tensors in, dy, wanted, outputs;
    for (size_t i = 0; i < inputs; ++i) {
      in.push_back(is_float(all[i].dtype()) ? identity(all[i]) : all[i]);
      if (is_float(all[i].dtype())) wanted.push_back(in.back());
    }
    const Tensors out = g->call(in);
    size_t next = inputs;
    for (const Tensor& t : out)
      if (is_float(t.dtype())) {
        outputs.push_back(t);
        dy.push_back(all[next++]);
      }
    return vjp(outputs, wanted, dy);
  };
}

void check_takes(const Infer& in, const Graph& g,
                 const std::vector<std::pair<DType, Shape>>& inputs) {
  in.check(g.inputs().size() == inputs.size(),
           {"a graph of it takes ", g.inputs().size(), " inputs, got ", inputs.size()});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& want = g.inputs()[i];
    in.check(want.dtype() == inputs[i].first && want.shape() == inputs[i].second,
             {"input ", i, " of a graph of it is ", want.dtype(), " ", want.shape(), ", got ",
              inputs[i].first, " ", inputs[i].second});
  }
}

void append_dys(const Vjp& v, const Graph& g, Tensors& to) {
  for (size_t k = 0; k < g.outputs().size(); ++k)
    if (is_float(g.outputs()[k].dtype())) to.push_back(v.dy(k));
}

}  // namespace nacre
