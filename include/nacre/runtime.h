// Runtime: a network that is only run, by kernels of nacre's own, without graphs, training or other
// libraries. What it opens are program files:
//
//   nacre convert digits.safetensors digits.program --to program
//
//   const nacre::Runtime digits("digits.program");
//   float x[32 * 32], y[10];
//   const void* in[] = {x};
//   void* out[] = {y};
//   digits.run(in, out);                       // takes no memory after the first call
//   for (auto& [k, p] : digits.best(y, 3)) std::cout << digits.classes()[k] << " " << p << "\n";
//
// A call uses one thread; any number of threads may call one Runtime. Nothing in a file is
// executed, and everything in it is checked when it is opened.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nacre/dtype.h"
#include "nacre/shape.h"

namespace nacre {

class Runtime {
 public:
  /// Throws Error(io) if the file cannot be read and Error(data) if it is no program file, or
  /// damaged.
  explicit Runtime(const std::string& path);
  /// The same from bytes that `owner` keeps alive. `what` names them in messages.
  Runtime(std::string_view bytes, std::shared_ptr<const void> owner, std::string_view what);
  ~Runtime();
  Runtime(Runtime&&) noexcept;
  Runtime& operator=(Runtime&&) noexcept;

  struct Port {
    std::string name;
    DType dtype;
    Shape shape;  ///< -1 for the first dimension of what takes any number of samples
  };
  const std::string& name() const;  ///< of the architecture: "lenet5"
  /// Steps between a picture and the network, as Transform has them; empty if there are none.
  const std::string& transform() const;
  const std::vector<std::string>& classes() const;  ///< empty if the network gives values
  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  /// True if a call may have any number of samples, which do not affect each other.
  bool batches() const;
  size_t steps() const;
  /// Names of the kernels that the steps use, each once: "conv", "unary_relu".
  std::vector<std::string> kernels() const;
  size_t weight_bytes() const;
  /// Bytes of work space of a running call.
  size_t work_bytes() const;

  /// Reads each input and writes each output: row-major, of the port's type and shape, with `rows`
  /// in place of -1. Work space is kept for later calls, so that no memory is taken once as many
  /// calls as ever run at the same time have been there. Throws Error(usage) if the number of
  /// pointers or rows does not fit.
  void run(std::span<const void* const> in, std::span<void* const> out, int64_t rows = 1) const;

  /// Classes by number with their probabilities, best first, of a row of the first output. Throws
  /// Error(usage) if the network gives values.
  std::vector<std::pair<size_t, double>> best(std::span<const float> scores, size_t most) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nacre
