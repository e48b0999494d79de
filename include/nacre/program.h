// A computation that is compiled once and then only run: inference, and whatever else is called
// often with inputs of one shape.
//
//   auto net = make_model("resnet18", "", Scope::init(Key(0)));
//   Program p = Program::of(*net, {1, 3, 224, 224});
//   Tensor y = p({x})[0];                            // no recording, no look-up
//
// What the function captures (weights) are constants: batch norms become part of the convolutions
// before them, weights are kept in the layout of the kernels. Later changes of a weight are not
// seen. Any number of threads may call one Program.
#pragma once

#include <functional>
#include <memory>

#include "nacre/graph.h"

namespace nacre {

class Module;
class Plan;

class Program {
 public:
  /// Traces `f` for inputs of the types and shapes of `like`, as Graph::trace does.
  Program(const std::function<Tensors(const Tensors&)>& f, const Tensors& like);
  /// Throws Error(unsupported) if the graph cannot be compiled.
  explicit Program(const Graph& graph);
  /// A model in evaluation mode, for an input of this shape (with batch).
  static Program of(Module& net, const Shape& input, DType dtype = DType::f32);

  /// The results for other values; evaluates the inputs. Throws Error(shape) if number, types or
  /// shapes are not those that it was made for.
  Tensors operator()(const Tensors& inputs) const;

  /// Bytes of work space that a running call takes besides its results.
  size_t work_bytes() const;

 private:
  std::vector<std::pair<DType, Shape>> inputs_;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace nacre
