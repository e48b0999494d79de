#include "nacre/program.h"

#include "compile/plan.h"
#include "graph/kernel.h"
#include "graph/node.h"
#include "nacre/nn.h"
#include "nacre/ops.h"
#include "nacre/precision.h"

namespace nacre {

Program::Program(const Graph& graph) {
  for (const Tensor& t : graph.inputs()) inputs_.emplace_back(t.dtype(), t.shape());
  CompileOptions options;
  options.label = "program";
  options.precision = Precision::now();
  std::lock_guard lock(graph_mutex());
  plan_ = compile(graph, {}, {}, options);
}

Program::Program(const std::function<Tensors(const Tensors&)>& f, const Tensors& like)
    : Program(Graph::trace(f, like)) {}

Program Program::of(Module& net, const Shape& input, DType dtype) {
  NoGrad guard;
  return Program(
      [&](const Tensors& in) {
        Context ctx = Context::eval();
        return Tensors{net(in[0], ctx)};
      },
      {zeros(input, dtype)});
}

Tensors Program::operator()(const Tensors& inputs) const {
  if (inputs.size() != inputs_.size())
    fail(Error::Kind::shape,
         {"[program] takes ", inputs_.size(), " inputs, got ", inputs.size(), where()});
  Tensors in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined())
      fail(Error::Kind::shape, {"[program] input ", i, " is an undefined tensor", where()});
    const auto& [dtype, shape] = inputs_[i];
    if (inputs[i].dtype() != dtype || inputs[i].shape() != shape)
      fail(Error::Kind::shape,
           {"[program] input ", i, " is ", inputs[i].dtype(), " ", inputs[i].shape(),
            ", it was made for ", dtype, " ", shape, where()});
    const Output& o = inputs[i].node()->outputs[inputs[i].index()];
    const bool dense = inputs[i].evaluated() && Operand{o.dtype, o.shape, o.strides}.contiguous();
    in.push_back(dense ? inputs[i] : contiguous(inputs[i]));
  }
  eval(in);
  return run_on(*plan_, in);
}

size_t Program::work_bytes() const { return plan_->arena_bytes; }

}  // namespace nacre
