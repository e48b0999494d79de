// How far the outputs of two networks are apart.
#include <algorithm>
#include <cmath>

#include "nacre/convert.h"
#include "nacre/ops.h"
#include "predict/network.h"

namespace nacre {

NetworkFunction as_function(Module& net, const Shape& sample, DType dtype) {
  Shape shape = sample;
  shape.insert(0, 1);
  return {{{"input", dtype, shape, true}}, {"output"}, [&net](const Tensors& in) {
            NoGrad guard;
            Context ctx = Context::eval();
            return Tensors{net(in[0], ctx)};
          }};
}

NetworkFunction as_function(onnx::Network& net) {
  NetworkFunction f;
  for (const onnx::Port& p : net.inputs()) {
    const Shape shape = usual_shape(p);
    const DType t =
        p.type.elem == onnx::Elem::undefined ? DType::f32 : onnx::storage_of(p.type.elem);
    f.inputs.push_back({p.name, t, shape, !p.type.dims.empty() && p.type.dims[0] < 0});
  }
  for (const onnx::Port& p : net.outputs()) f.outputs.push_back(p.name);
  f.run = [&net](const Tensors& in) {
    NoGrad guard;
    Context ctx = Context::eval();
    std::map<std::string, onnx::Value> values;
    for (size_t k = 0; k < in.size(); ++k)
      values[net.inputs()[k].name] = onnx::Value(in[k], net.inputs()[k].type.elem);
    Tensors out;
    for (const onnx::Value& v : net.run(values, ctx)) out.push_back(v.tensor());
    return out;
  };
  return f;
}

namespace {

/// For each output of `before` the one of `after`.
std::vector<size_t> matched(const NetworkFunction& before, const NetworkFunction& after) {
  std::vector<size_t> at;
  for (size_t k = 0; k < before.outputs.size(); ++k) {
    const auto same = std::find(after.outputs.begin(), after.outputs.end(), before.outputs[k]);
    if (same != after.outputs.end()) at.push_back(size_t(same - after.outputs.begin()));
  }
  if (at.size() == before.outputs.size()) return at;
  at.clear();
  for (size_t k = 0; k < before.outputs.size(); ++k) at.push_back(k);
  return at;
}

}  // namespace

OutputDifference compare_values(const std::string& name, const Tensor& want, const Tensor& got) {
  double most = 0, largest = 0;
  if (want.shape() != got.shape()) {
    most = INFINITY;
  } else {
    const auto a = want.to_vector<double>(), b = got.to_vector<double>();
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
      const double apart = std::abs(a[i] - b[i]);
      most = std::max(most, std::isnan(apart) ? INFINITY : apart);
    }
    for (const double v : a)
      if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  return {name, most, most == 0 ? 0 : most / largest};
}

std::vector<OutputDifference> compare_outputs(const NetworkFunction& before,
                                              const NetworkFunction& after,
                                              const CompareOptions& options) {
  if (before.inputs.size() != after.inputs.size() || before.outputs.size() != after.outputs.size())
    fail(Error::Kind::usage,
         {"a network of ", before.inputs.size(), " inputs and ", before.outputs.size(),
          " outputs is compared with one of ", after.inputs.size(), " and ", after.outputs.size()});
  const auto at = matched(before, after);
  std::vector<OutputDifference> found;
  for (const std::string& name : before.outputs) found.push_back({name, 0, 0});
  bool any_batch = true;
  for (const NetworkFunction* f : {&before, &after})
    for (const auto& in : f->inputs) any_batch = any_batch && in.any_batch;
  for (int64_t batch = 1; batch <= 1 + any_batch; ++batch)
    for (int64_t s = 0; s < options.samples; ++s) {
      Tensors in;
      for (size_t k = 0; k < before.inputs.size(); ++k) {
        const auto& input = before.inputs[k];
        Shape shape = input.shape;
        if (any_batch) shape[0] = batch;
        const Key key = Key(options.seed).fold_in(static_cast<uint64_t>(2 * s + batch)).fold_in(k);
        const Tensor v = normal(shape, key);
        in.push_back(is_float(input.dtype) ? cast(v, input.dtype) : cast(v > 0.0, input.dtype));
      }
      const Tensors a = before.run(in), b = after.run(in);
      for (size_t k = 0; k < a.size(); ++k) {
        const OutputDifference d = compare_values(found[k].name, a[k], b[at[k]]);
        found[k].absolute = std::max(found[k].absolute, d.absolute);
        found[k].relative = std::max(found[k].relative, d.relative);
      }
    }
  return found;
}

}  // namespace nacre
